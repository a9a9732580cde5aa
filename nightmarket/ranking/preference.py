"""What a customer prefers among products of one kind: a style, a look, a maker, whatever products differ in.

What a customer looks for changes from day to day; how it should be, less. So products are compared within their kind:
of what is known of them (words, vectors) the mean of the kind is taken off, and what is left is scaled so that it
varies by 1 in every direction over all that was done. Customers then differ in their means, in some directions much and
in most not at all: probabilistic linear discriminant analysis (Ioffe, 2006) with customers for its classes. How much
they differ, and how clearly a look or a cart shows it, is measured on pairs of products of one customer; a customer's
own mean is shrunk accordingly. Sizes and colours of a product count as one, the first of them.
Shapes: V visitors, B customers of a slice, I items, D numbers known of each, E directions, N pairs.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse

from nightmarket.contracts.arrays import Bools, Float32s, Float64s, Int32s
from nightmarket.histories.catalogue import Catalogue
from nightmarket.histories.interactions import LOOKED, STRENGTH, Interactions

HALF_LIFE = 180.0
"""Days in which an event halves as a sign of what somebody prefers."""
WORDS = 64
"""Main directions of the words."""
SPARE, STEPS, SAMPLE = 8, 3, 20_000
"""Of finding them (Halko, Martinsson & Tropp, 2011), in so many products."""
PRIOR = 20.0
"""Events of a kind at which its own mean counts half, beside that of all kinds."""
LEAST = 1e-3
"""Of the largest variance: directions that vary less are left out."""
MOST_VISITORS = 50_000
FAINT, CLEAR = 0.2, 3.0
"""The least and the most that an event shows of a preference, where an average one shows 1."""
SEED = 17


@dataclass(frozen=True)
class Preferences:
    """items (I, E) in directions in which customers differ; `first` (I,) of each item's sizes and colours; `spread`
    (E,) variance of customers' means; `signal` (2,) how much of a preference looks and other events show."""

    items: Float32s
    first: Int32s
    spread: Float32s
    signal: Float32s

    def customers(self, events: Interactions, today: int) -> Float32s:
        """(B, E) what each customer of a slice is expected to prefer: its product with an item is how much more
        probable, in its logarithm, this makes it that they take the item and not another of its kind."""
        num, done = events.num_customers, replace(events, item=self.first[events.item])
        looks, others = (_met(done, today, done.customer, num, looked) for looked in (True, False))
        of_looks, of_others = self.signal
        total = of_looks * (looks @ self.items) + of_others * (others @ self.items)
        evidence = of_looks**2 * looks.sum(axis=1) + of_others**2 * others.sum(axis=1)
        means = self.spread * total / (1 + self.spread * np.asarray(evidence).reshape(-1, 1))
        return np.asarray(of_others * means, np.float32)


def fit(events: Interactions, today: int, known: Float32s, catalogue: Catalogue) -> Preferences | None:
    """What customers, and guests in their sessions, differ in; None where nobody differs from anybody.

    known  (I, D) what is known of each item, see `described`
    """
    first = catalogue.first_of_group()
    done = replace(events, item=first[events.item])
    visitor = done.visitors()
    num = int(visitor.max(initial=-1)) + 1
    looks, others = (_met(done, today, visitor, num, looked) for looked in (True, False))
    often = np.diff((looks + others).tocsr().indptr)
    kept = np.sort(np.argsort(-often, kind="stable")[:MOST_VISITORS])
    looks, others = looks[kept], others[kept]
    both = (looks + others).tocsr()
    if not (often > 1).any() or known.shape[1] == 0:
        return None
    items = _scaled(known, catalogue.kind, np.asarray(both.sum(axis=0)).ravel().astype(np.float64))
    spread, axes = np.linalg.eigh(_shared(both, items))
    differ = spread > 0
    if not differ.any():
        return None
    spread, items = spread[differ], (items @ axes[:, differ].astype(np.float32)).astype(np.float32)
    signal = np.array([_signal(part, items, spread) for part in (looks, others)], np.float32)
    return Preferences(items, first, spread.astype(np.float32), signal)


def described(catalogue: Catalogue, terms: sparse.csr_matrix | None, vectors: Float32s | None) -> Float32s:
    """(I, D) what is known of each item but its size or colour: its vector and the main directions of its words, less
    the mean of its kind.

    terms    (T, F) of the texts
    vectors  (I, K) rows of zeros where an item has none
    """
    kind, parts = catalogue.kind, [np.zeros((catalogue.num_items, 0), np.float32)]
    if vectors is not None:
        there: Bools = np.abs(vectors).sum(axis=1) > 0
        parts.append(np.where(there[:, None], vectors - _mean(vectors, kind, there)[kind], 0))
    if terms is not None:
        words = terms[catalogue.text].tocsr() @ _main_words(terms, catalogue)
        parts.append(words - _mean(words, kind)[kind])
    return _mean(np.hstack(parts), catalogue.group)[catalogue.group]


def _main_words(terms: sparse.csr_matrix, catalogue: Catalogue) -> Float32s:
    """(F, D) the main directions in which the words (T, F) of products differ from the mean of their kind."""
    rows = np.arange(catalogue.num_items)[:: max(catalogue.num_items // SAMPLE, 1)]
    kind = np.unique(catalogue.kind[rows], return_inverse=True)[1].astype(np.int32)
    sample = terms[catalogue.text[rows]].tocsr()
    used = np.flatnonzero(np.bincount(sample.indices, minlength=sample.shape[1]) > 1)
    sample = sample[:, used].astype(np.float32)
    num = min(WORDS + SPARE, *sample.shape)

    def within(columns: Float32s) -> Float32s:
        return columns - _mean(columns, kind)[kind]

    rng = np.random.default_rng(SEED)
    spanned = within(sample @ rng.standard_normal((used.size, num)).astype(np.float32))
    for _ in range(STEPS):
        spanned = within(sample @ (sample.T @ np.linalg.qr(spanned)[0]))
    inner = within(np.linalg.qr(spanned)[0]).T @ sample
    width, axes = np.linalg.eigh(inner @ inner.T)
    kept = np.flatnonzero(width > LEAST**2 * width.max(initial=0))[::-1][:WORDS]
    main = np.zeros((terms.shape[1], kept.size), np.float32)
    main[used] = inner.T @ (axes[:, kept] / np.sqrt(width[kept]))
    return main


def _mean(rows: Float32s, code: Int32s, counted: Bools | None = None) -> Float32s:
    """(K, D) means of the rows (I, D) of each code, or of those that are `counted` (I,); 0 where there are none."""
    weight = np.ones(code.size, np.float32) if counted is None else counted.astype(np.float32)
    by_code = sparse.csr_matrix((weight, (code, np.arange(code.size))))
    return np.asarray((by_code @ rows) / np.maximum(np.bincount(code, weight), 1)[:, None], np.float32)


def _met(events: Interactions, today: int, rows: Int32s, num_rows: int, looked: bool) -> sparse.csr_matrix:
    """(R, I) what each row only looked at, or did more with: log(1 + how often), halved by age."""

    def often(mask: Bools) -> sparse.csr_matrix:
        weight = np.exp2((events.day[mask] - today) / HALF_LIFE).astype(np.float32)
        sums = sparse.coo_matrix((weight, (rows[mask], events.item[mask])), (num_rows, events.num_items)).tocsr()
        sums.data = np.log1p(sums.data)
        return sums

    looks = np.isin(events.kind, LOOKED)
    others = often(~looks & (STRENGTH[events.kind] > 0))
    if not looked:
        return others
    seen = often(looks)
    return (seen - seen.multiply(others > 0)).tocsr()


def _signal(met: sparse.csr_matrix, items: Float32s, spread: Float64s) -> float:
    """How much of a preference what was met (V, I) shows; 1, as on average, where nothing was met."""
    if met.nnz == 0:
        return 1.0
    shared = float(np.diag(_shared(met, items)) @ spread / (spread @ spread))
    return float(np.clip(np.sqrt(max(shared, 0.0)), FAINT, CLEAR))


def _scaled(known: Float32s, kind: Int32s, weight: Float64s) -> Float32s:
    """(I, E) what is known of the items less the mean of their kind, with variance 1 in every direction over what was
    done, weight (I,)."""
    centre = weight @ known / weight.sum()
    by_kind = sparse.csr_matrix((weight, (kind, np.arange(kind.size))))
    total = np.asarray(by_kind.sum(axis=1)).reshape(-1, 1)
    rest = known - ((by_kind @ known + PRIOR * centre) / (total + PRIOR))[kind]
    spread, axes = np.linalg.eigh((rest * weight[:, None]).T @ rest / weight.sum())
    kept = spread > LEAST * max(float(spread.max()), 1e-12)
    return np.asarray(rest @ (axes[:, kept] / np.sqrt(spread[kept])), np.float32)


def _shared(met: sparse.csr_matrix, items: Float32s) -> Float64s:
    """(E, E) mean product of two different items of one visitor, by what each met (V, I)."""
    sums = np.asarray(met @ items, np.float64)
    same = np.asarray(met.multiply(met).sum(axis=0)).ravel()
    pairs = float((np.asarray(met.sum(axis=1), np.float64) ** 2).sum() - same.sum())
    products: Float64s = sums.T @ sums - (items * same[:, None]).T.astype(np.float64) @ items
    return products / max(pairs, 1e-9)
