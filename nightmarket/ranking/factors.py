"""Latent factors of visitors and products in which a product's own factors lean on what its words and kind say.

Implicit matrix factorisation (Hu, Koren & Volinsky, 2008; the weights of Rendle et al., 2022) with a prior for each
product that is linear in its attributes, as in collaborative topic regression (Wang & Blei, 2011). A product that many
met has factors of its own; one that nobody has met yet has those of its words: that two words mean the same style is
learned from who looks at both. Shapes: V visitors, A items learned from, I items, B customers of a slice, D factors,
F attributes.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from nightmarket.contracts.arrays import Float32s, Int32s, Values
from nightmarket.histories.catalogue import Catalogue
from nightmarket.histories.interactions import Interactions

DIMENSIONS = 64
ROUNDS = 5
HALF_LIFE = 60.0
"""Days in which what an event teaches of products halves."""
UNSEEN = 20.0
"""Weight of all that a visitor did not do, over the weight of all that was done."""
RIDGE = 0.012
"""Of the factors, over the weight that a row is fitted with."""
EVIDENCE = 2.0
"""Strength of what was done with a product at which its own factors count half for what words mean."""
LEVELS = ("kind", "line", "category", "maker", "brand", "size")
LEVEL_WEIGHT = 0.3
"""Of each level's code, beside a text's terms of length 1."""
VECTOR_WEIGHT = 0.4
"""Of a product's own vector, beside them: see docs/experiments/launches.md."""
CONJUGATE_STEPS = 25
CELLS = 200_000
"""Pairs of a row and an item that are solved together: times D floats."""
MOST_VISITORS, MOST_ITEMS = 50_000, 50_000
"""Learned from: those who did most, and what most was done with. Other items have the factors of their attributes."""
SEED = 17


@dataclass(frozen=True)
class Factors:
    """items (I, D); `gram` (D, D) of those that were learned from, times `unseen`; `usual` strength of a visitor."""

    items: Float32s
    gram: Float32s
    unseen: float
    usual: float

    def customers(self, done: sparse.csr_matrix) -> Float32s:
        """(B, D) factors of customers who did `done` (B, I), strengths of at least 0."""
        ridge = _ridge(np.asarray(done.sum(axis=1)).ravel(), self.usual)
        nobody = np.zeros((done.shape[0], DIMENSIONS), np.float32)
        return solved(done, self.items, self.gram, self.unseen, ridge, nobody)

    def tensors(self) -> dict[str, Values]:
        """By name, half as exact, for a file."""
        numbers = np.array([self.unseen, self.usual])
        return {"items": self.items.astype(np.float16), "gram": self.gram, "numbers": numbers}

    @classmethod
    def of(cls, tensors: Mapping[str, Values]) -> "Factors":
        """The reverse of `tensors`."""
        unseen, usual = tensors["numbers"].tolist()
        return cls(tensors["items"], tensors["gram"], unseen, usual)

    def filed(self) -> "Factors":
        """As a file gives them back."""
        return Factors.of(self.tensors())


def fit(events: Interactions, today: int, attributes: sparse.csr_matrix) -> Factors | None:
    """Factors from all that visitors did; None where nobody did anything.

    attributes  (I, F) see `attributes`
    """
    visits, columns = _visits(events, today)
    if visits.nnz == 0:
        return None
    num_visitors, num_items = visits.shape
    by_item = visits.T.tocsr()
    strengths = [np.asarray(visits.sum(axis=axis)).ravel() for axis in (1, 0)]
    usual = [float(of_side.mean()) for of_side in strengths]
    unseen = UNSEEN * float(strengths[0].sum()) / (num_visitors * num_items)
    ridges = [_ridge(of_side, mean) for of_side, mean in zip(strengths, usual, strict=True)]
    known, evidence = attributes[columns], (strengths[1] / (strengths[1] + EVIDENCE)).astype(np.float32)
    rng = np.random.default_rng(SEED)
    own = (0.1 * rng.standard_normal((num_items, DIMENSIONS))).astype(np.float32)
    visitors = np.zeros((num_visitors, DIMENSIONS), np.float32)
    meaning = np.zeros((attributes.shape[1], DIMENSIONS), np.float32)
    for _ in range(ROUNDS):
        visitors = solved(visits, own, own.T @ own * unseen, unseen, ridges[0], np.zeros_like(visitors))
        gram = visitors.T @ visitors * unseen
        own = solved(by_item, visitors, gram, unseen, ridges[1], known @ meaning)
        meaning = regression(known, own, evidence, meaning)
    items = np.asarray(attributes @ meaning, np.float32)
    items[columns] = solved(by_item, visitors, visitors.T @ visitors * unseen, unseen, ridges[1], known @ meaning)
    learned = items[columns]
    return Factors(items, (learned.T @ learned * unseen).astype(np.float32), unseen, usual[0])


def attributes(
    catalogue: Catalogue, terms: sparse.csr_matrix | None, vectors: Float32s | None = None
) -> sparse.csr_matrix:
    """(I, F) what is said of each item: terms of its text that stand in two texts at least, its vector, codes at
    LEVELS, and 1.

    vectors  (I, K) rows of length 1, or of zeros where a product has none
    """
    parts = [sparse.csr_matrix(np.full((catalogue.num_items, 1), LEVEL_WEIGHT, np.float32))]
    if terms is not None:
        of_texts = sparse.csr_matrix(terms)
        several = np.flatnonzero(np.bincount(of_texts.indices, minlength=of_texts.shape[1]) > 1)
        parts.append(of_texts[:, several][catalogue.text])
    if vectors is not None:
        parts.append(sparse.csr_matrix(VECTOR_WEIGHT * vectors))
    for level in LEVELS:
        codes = catalogue.codes(level)
        rows = np.flatnonzero(codes >= 0)
        shape = (catalogue.num_items, int(codes.max(initial=-1)) + 1)
        values = np.full(rows.size, LEVEL_WEIGHT, np.float32)
        parts.append(sparse.csr_matrix((values, (rows, codes[rows])), shape))
    return sparse.hstack(parts, format="csr", dtype=np.float32)


def strengths(events: Interactions, today: int, rows: Int32s, num_rows: int) -> sparse.csr_matrix:
    """(R, I) what was done, by strength and age: sums of at least 0, since a return takes back its purchase."""
    weight = events.strengths(today, HALF_LIFE)
    shape = (num_rows, events.num_items)
    done = sparse.coo_matrix((weight, (rows, events.item)), shape=shape).tocsr()
    done.data[done.data < 0] = 0
    done.eliminate_zeros()
    return done


def _visits(events: Interactions, today: int) -> tuple[sparse.csr_matrix, Int32s]:
    """(V, A) what customers and sessions of guests did, and the items (A,)."""
    visitor = events.visitors()
    done = strengths(events, today, visitor, int(visitor.max(initial=-1)) + 1)
    for axis, most in ((0, MOST_ITEMS), (1, MOST_VISITORS)):
        total = np.asarray(done.sum(axis=axis)).ravel()
        kept = np.sort(np.argsort(-total, kind="stable")[:most])
        kept = kept[total[kept] > 0]
        if axis == 0:
            columns, done = kept.astype(np.int32), done[:, kept]
        else:
            done = done[kept]
    return done.tocsr(), columns


def _ridge(strength: Float32s, usual: float) -> Float32s:
    return (RIDGE * (strength + UNSEEN * usual)).astype(np.float32)


def solved(
    done: sparse.csr_matrix, other: Float32s, gram: Float32s, unseen: float, ridge: Float32s, prior: Float32s
) -> Float32s:
    """(R, D) the rows' factors that fit `done` (R, N) best, given those of the other side (N, D); a row of nothing
    keeps its prior.

    gram   (D, D) of the other side, times `unseen`, the weight of what was not done
    ridge  (R,) of the distance to the prior (R, D)
    """
    num = np.diff(done.indptr)
    order = np.argsort(num, kind="stable")
    order = order[num[order] > 0]
    factors = np.array(prior, np.float32)
    eye, start = np.eye(other.shape[1], dtype=np.float32), 0
    while start < order.size:
        stop = min(start + 512, order.size)
        while stop - start > 1 and (stop - start) * num[order[stop - 1]] > CELLS:
            stop = start + (stop - start) // 2
        rows, start = order[start:stop], stop
        place = np.arange(num[rows[-1]])
        real = place < num[rows][:, None]
        at = np.where(real, done.indptr[rows][:, None] + place, 0)
        weight = np.where(real, done.data[at], 0).astype(np.float32)
        near = other[done.indices[at]] * np.sqrt(weight)[:, :, None]
        left = near.transpose(0, 2, 1) @ near + gram + ridge[rows][:, None, None] * eye
        pull = np.where(weight > 0, (unseen + weight) / np.sqrt(np.maximum(weight, 1e-12)), 0).astype(np.float32)
        right = (pull[:, None, :] @ near)[:, 0] + ridge[rows][:, None] * factors[rows]
        factors[rows] = np.linalg.solve(left, right[:, :, None])[:, :, 0]
    return factors


def regression(known: sparse.csr_matrix, own: Float32s, evidence: Float32s, start: Float32s) -> Float32s:
    """(F, D) what each attribute means: ridge regression of items' factors (A, D) on their attributes (A, F), weighted
    by their evidence (A,), by conjugate gradients from `start`."""
    by_attribute = known.T.tocsr()
    weight = np.asarray(evidence, np.float32)[:, None]
    meaning = start.copy()
    rest = by_attribute @ (weight * (own - known @ meaning)) - meaning
    step, length = rest.copy(), (rest * rest).sum(axis=0)
    for _ in range(CONJUGATE_STEPS):
        moved = by_attribute @ (weight * (known @ step)) + step
        size = length / np.maximum((step * moved).sum(axis=0), 1e-20)
        meaning += size * step
        rest -= size * moved
        shrunk = (rest * rest).sum(axis=0)
        step = rest + shrunk / np.maximum(length, 1e-20) * step
        length = shrunk
    return meaning
