"""Who takes part, and the settings that are tried on a window before those that judge."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from bench.domains import als, collaborative, content
from bench.domains.collaborative import BEHAVIOUR, PURCHASES, Method, Scorer, lists
from bench.domains.question import Question
from bench.shops.tables import places
from bench.shops.truth import Truth
from nightmarket.contracts.arrays import Float32s, Int32s, Int64s


def _als(question: Question, half_life: float | None = 60.0, alpha: float = 10.0, **settings: Any) -> Scorer:
    """implicit's ALS on all behaviours."""
    customers, products = als.fit(question.matrix(BEHAVIOUR, half_life) * alpha, settings)
    return lambda rows: np.asarray(customers[question.asked[rows]] @ products.T, np.float32)


def _each(*settings: dict[str, Any]) -> tuple[dict[str, Any], ...]:
    return settings


WORDS = _each({}, {"half_life": 30.0}, {"half_life": 15.0}, {"half_life": None}, {"sublinear": True})
TEXT = _each({}, {"half_life": 30.0}, {"half_life": None}, {"centred": False})
ROSTER: dict[str, Method] = {
    "popularity": Method(collaborative.popularity, _each({}, {"days": 7}, {"days": 84})),
    "recency_frequency": Method(collaborative.recency_frequency, _each({}, {"half_life": 30.0}), ("all",)),
    "item_knn": Method(
        collaborative.item_knn,
        _each({}, {"num": 300}, {"half_life": 30.0}, {"shrink": 1.0}, {"half_life": None, "log": True}),
    ),
    "ease_purchases": Method(
        partial(collaborative.ease, weights=PURCHASES),
        _each({}, {"ridge": 5.0}, {"ridge": 300.0, "log": True}, {"ridge": 1000.0}, {"ridge": 20.0, "half_life": 90.0}),
    ),
    "ease_behaviour": Method(
        partial(collaborative.ease, weights=BEHAVIOUR),
        _each(
            {"half_life": 60.0},
            {"half_life": 60.0, "ridge": 10.0},
            {"half_life": 180.0, "ridge": 150.0},
            {"half_life": 60.0, "ridge": 50.0, "log": True},
            {"ridge": 50.0, "log": True},
            {"ridge": 150.0, "log": True},
            {"ridge": 500.0, "log": True},
        ),
    ),
    "als_behaviour": Method(
        _als,
        _each({"factors": 64}, {"factors": 64, "alpha": 2.0}, {"factors": 128}, {"factors": 64, "half_life": 25.0}),
    ),
    "tfidf_purchases": Method(partial(content.tfidf, weights=PURCHASES), WORDS),
    "tfidf_behaviour": Method(partial(content.tfidf, weights=BEHAVIOUR), WORDS),
    "minilm_behaviour": Method(partial(content.encoder, weights=BEHAVIOUR), TEXT),
    "tifu_knn": Method(collaborative.tifu_knn, _each({}, {"own_share": 0.3}, {"num_neighbours": 100}), ("all", "new")),
}
TRUTH = "truth"
INFORMED = "informed"
OWNED = "owned"


@dataclass(frozen=True)
class Chosen:
    """A method with settings per task; tasks that share settings share one fit. The setting `owned` says whether lists
    of *all* hold what the customer bought before."""

    method: Method
    settings: Mapping[str, dict[str, Any]]

    def __call__(self, question: Question, num: int) -> Mapping[str, Int32s]:
        """Lists of every task that the settings name."""
        best: dict[str, Int32s] = {}
        fits: list[dict[str, Any]] = []
        for settings in self.settings.values():
            if settings not in fits:
                fits.append(settings)
        for settings in fits:
            tasks = tuple(task for task, chosen in self.settings.items() if chosen == settings)
            fit = {key: value for key, value in settings.items() if key != OWNED}
            best |= lists(question, self.method.make(question, **fit), num, tasks, owned=settings.get(OWNED, True))
        return best


@dataclass(frozen=True)
class Ceiling:
    """The ranking by the true probabilities of the window."""

    truth: Truth

    def __call__(self, question: Question, num: int) -> Mapping[str, Int32s]:
        """Lists of every task."""
        shop, window = question.shop, question.window
        who = places(self.truth.customer_ids, shop.customer_ids[question.asked])
        columns = places(self.truth.product_ids, shop.product_ids)

        def score(rows: Int64s) -> Float32s:
            return self.truth.probabilities(window.cut, window.days, who[rows])[:, columns]

        return lists(question, score, num)
