"""A fitted scorer, by name: scores of any items for any slice of customers, from their histories alone.

Shapes: B customers of a slice, A items asked for, I items, E width of the space, K places.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nightmarket.contracts import InputError
from nightmarket.contracts.arrays import Float32s, Int32s, Int64s
from nightmarket.encoding.device import choose_device
from nightmarket.retrieval.scorers.attention import SelfAttentive
from nightmarket.retrieval.scorers.config import ScorerConfig, known_fields
from nightmarket.retrieval.scorers.factors import DeepMatrixFactorisation, MatrixFactorisation
from nightmarket.retrieval.scorers.loss import Loss, negative_sampling, sampled_softmax
from nightmarket.retrieval.scorers.material import EventTable, ScorerData, Vocabulary
from nightmarket.retrieval.scorers.past import Past, tensor
from nightmarket.retrieval.scorers.space import ItemSpace, Sizes
from nightmarket.retrieval.scorers.terms import SideTerms, Trend
from nightmarket.retrieval.scorers.text import Cosine, Linear


@dataclass(frozen=True)
class Kind:
    """A scorer's model, its loss, and where its defaults differ from those of ScorerConfig."""

    space: type[ItemSpace]
    loss: Loss
    defaults: dict[str, Any]


SCORERS: dict[str, Kind] = {
    "cosine": Kind(Cosine, sampled_softmax, {}),
    "linear": Kind(
        Linear,
        negative_sampling,
        {"repeats": False, "trend": False, "launch_weight": 0.0, "hidden_share": 0.0, "learning_rate": 0.03},
    ),
    "matrix_factorisation": Kind(MatrixFactorisation, sampled_softmax, {"dim": 32, "table_decay": 3e-2}),
    "deep_matrix_factorisation": Kind(DeepMatrixFactorisation, sampled_softmax, {"dim": 32, "hidden": 64}),
    "self_attentive": Kind(SelfAttentive, sampled_softmax, {}),
}


def kind_of(name: str) -> Kind:
    """Raises InputError that lists the names when there is no such scorer."""
    if name not in SCORERS:
        raise InputError(f"scorers: '{name}' is no scorer; choose from {', '.join(SCORERS)}")
    return SCORERS[name]


def config_of(name: str, **changed: Any) -> ScorerConfig:
    """The scorer's defaults with some fields changed. Raises InputError at an unknown scorer or field."""
    return ScorerConfig(**{**kind_of(name).defaults, **known_fields(changed)})


_CHUNK = 256
_BLOCK = 16384


@dataclass(frozen=True)
class Scorer:
    """A name, weights, and the events that it looks at; see `fit`, `load` and `at`."""

    name: str
    config: ScorerConfig
    space: ItemSpace
    terms: SideTerms
    ledger: EventTable

    def at(self, material: ScorerData, cut: int, codes: NDArray | None = None) -> "Scorer":
        """The same weights on other histories, or at another cut: nothing is trained.

        codes  (I,) the code that each item had when the scorer was fitted, -1 for new ones; None: the same codes

        Customers are known by their history alone. An item that was not there at the fit, or had too few buyers, is
        scored by its text and by how it sells, where the scorer reads them.
        """
        vocabulary = self.ledger.vocabulary if codes is None else self.ledger.vocabulary.renumbered(codes)
        if self.space.sizes != (sizes := sizes_of(self.name, material, vocabulary)):
            raise InputError(
                f"scorers: {self.name} was fitted on text vectors of {self.space.sizes.text_dim} dimensions and is "
                f"given {sizes.text_dim}; use the same encoder, or fit again"
            )
        return Scorer(self.name, self.config, self.space, self.terms, EventTable(material, vocabulary, cut))

    @torch.no_grad()
    def scores(self, rows: slice, items: NDArray) -> Float32s:
        """(B, A) scores of the items for the customers of a slice; higher is better.

        Comparable within a customer. For `linear` the sigmoid is the chance of a purchase within the horizon.
        """
        device, ledger = self._device, self.ledger
        customers = np.arange(ledger.num_customers, dtype=np.int64)[rows]
        items = np.asarray(items, dtype=np.int64)
        out = np.empty((len(customers), len(items)), np.float32)
        column = np.full(ledger.num_items, -1, np.int64)
        column[items] = np.arange(len(items))
        vectors, level, trend = (part[tensor(items, device)] for part in (*self._items, self._trend))
        for start in range(0, len(customers), _CHUNK):
            past = Past(ledger, customers[start : start + _CHUNK], ledger.origin)
            u = self.space.customers(past, self._bank)
            dense = u @ vectors.T + self.terms.of_customers(tensor(past.pace, device)) @ trend.T + level
            if self.terms.repeats is not None:
                chosen = column[past.pairs.item] >= 0
                item = past.pairs.item[chosen]
                features = tensor(past.pairs.features[chosen], device)
                again = self.terms.of_pairs(features, self._trend[tensor(item, device)])
                dense[tensor(past.pairs.row[chosen], device), tensor(column[item], device)] = again
            out[start : start + _CHUNK] = dense.cpu().numpy()
        return out

    def recommend(self, rows: slice, k: int, exclude_own: bool = False) -> Int32s:
        """(B, k) best recommendable items that were sold by the cut, -1 where there are fewer.

        exclude_own  leave out what the customer has bought before
        Ties go to the lower code.
        """
        ledger, material = self.ledger, self.ledger.material
        allowed = ledger.first_week <= ledger.origin
        if material.recommendable is not None:
            allowed = allowed & material.recommendable
        items = np.flatnonzero(allowed)
        customers = np.arange(ledger.num_customers, dtype=np.int64)[rows]
        lists = np.full((len(customers), k), -1, np.int32)
        for start in range(0, len(customers), _CHUNK):
            some = customers[start : start + _CHUNK]
            scores = self.scores(slice(int(some[0]), int(some[-1]) + 1), items)
            for i, customer in enumerate(some):
                if exclude_own:
                    own = ledger.item[ledger.indptr[customer] : ledger.indptr[customer + 1]]
                    scores[i, np.searchsorted(items, own[allowed[own]])] = -np.inf
                best = _best(scores[i], k)
                lists[start + i, : len(best)] = items[best]
        return lists

    def save(self) -> tuple[dict[str, NDArray], dict[str, Any]]:
        """Tensors and a JSON-able configuration, from which `load` rebuilds the scorer; no customer's data in them."""
        vocabulary = self.ledger.vocabulary
        tensors = {name: value.detach().cpu().numpy().copy() for name, value in _state(self.space, self.terms).items()}
        tensors |= {"item_row": vocabulary.item_row.copy(), "price_edges": vocabulary.price_edges.copy()}
        return tensors, {"name": self.name, "scorer": asdict(self.config), "sizes": asdict(self.space.sizes)}

    @property
    def _device(self) -> torch.device:
        return next(self.space.parameters()).device

    @cached_property
    def _bank(self) -> Tensor | None:
        return bank_of(self.ledger.material, self._device)

    @cached_property
    def _trend(self) -> Tensor:
        """(I, G)"""
        everything = np.arange(self.ledger.num_items)
        return tensor(Trend(self.ledger).features(everything, self.ledger.origin), self._device)

    @cached_property
    def _items(self) -> tuple[Tensor, Tensor]:
        """Vectors (I, E) and the term of the trend (I,)."""
        ledger, device = self.ledger, self._device
        items = np.arange(ledger.num_items)
        rows, texts = tensor(ledger.rows(items, ledger.origin), device), tensor(ledger.text, device)
        with torch.no_grad():
            blocks = [
                self.space.items(rows[start : start + _BLOCK], texts[start : start + _BLOCK], self._bank)
                for start in range(0, max(len(items), 1), _BLOCK)
            ]
            return torch.cat(blocks), self.terms.of_items(self._trend)


def load(tensors: Mapping[str, NDArray], config: Mapping[str, Any], material: ScorerData, cut: int) -> Scorer:
    """The scorer that `save` gave, on histories up to the end of the day `cut`.

    For a catalogue whose codes have moved, load it with the material of the fit's codes and use `at`. Raises InputError
    when tensors are missing, of the wrong shape or not finite.
    """
    name = config["name"]
    settings, sizes = config_of(name, **config["scorer"]), Sizes(**config["sizes"])
    space, terms = kind_of(name).space(settings, sizes), SideTerms(settings.repeats, settings.trend)
    wanted = _state(space, terms)
    for key in (*wanted, "item_row", "price_edges"):
        tensor_of = tensors.get(key)
        shape = tuple(wanted[key].shape) if key in wanted else None if tensor_of is None else tensor_of.shape
        if tensor_of is None or tensor_of.shape != shape or not np.isfinite(tensor_of).all():
            raise InputError(f"scorers: tensor '{key}' of {name} is missing or damaged; restore the model's folder")
    for prefix, module in (("space.", space), ("terms.", terms)):
        own = {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
        module.load_state_dict({key: torch.from_numpy(np.array(value)) for key, value in own.items()})
        module.to(choose_device()).eval()
    vocabulary = Vocabulary(tensors["item_row"], tensors["price_edges"], sizes.num_rows, sizes.num_channels)
    if sizes != (found_sizes := sizes_of(name, material, vocabulary)):
        raise InputError(
            f"scorers: {name} was fitted on text vectors of {sizes.text_dim} dimensions and is given "
            f"{found_sizes.text_dim}; use the same encoder, or fit again"
        )
    return Scorer(name, settings, space, terms, EventTable(material, vocabulary, cut))


def sizes_of(name: str, material: ScorerData, vocabulary: Vocabulary) -> Sizes:
    """Raises InputError when the scorer needs text and there is none."""
    space = kind_of(name).space
    if material.text_vectors is None and space.needs_text:
        raise InputError(f"scorers: {name} reads nothing but text, and there are no text vectors; run embed first")
    dim = material.text_vectors.shape[1] if material.text_vectors is not None and space.reads_text else 0
    return Sizes(vocabulary.num_rows, vocabulary.num_channels, dim)


def bank_of(material: ScorerData, device: torch.device) -> Tensor | None:
    """(T, D) text vectors on the device."""
    if material.text_vectors is None:
        return None
    return tensor(material.text_vectors.astype(np.float32), device)


def _state(space: ItemSpace, terms: SideTerms) -> dict[str, Tensor]:
    return {f"space.{k}": v for k, v in space.state_dict().items()} | {
        f"terms.{k}": v for k, v in terms.state_dict().items()
    }


def _best(scores: Float32s, k: int) -> Int64s:
    """Places of the k best finite scores, best first, ties to the lower place."""
    if k < len(scores):
        border = -np.partition(-scores, k - 1)[k - 1]
        place = np.flatnonzero(scores >= border)
    else:
        place = np.arange(len(scores))
    place = place[np.argsort(-scores[place], kind="stable")]
    return place[np.isfinite(scores[place])][:k]
