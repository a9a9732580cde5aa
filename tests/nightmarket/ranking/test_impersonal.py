"""The list that is the same for everybody."""

from types import SimpleNamespace

import numpy as np
import pytest

from nightmarket.evaluation.protocol import Targets
from nightmarket.ranking.impersonal import SPAN, PopularList, SpanFigures, best_span


@pytest.mark.parametrize(
    ("language", "target", "reason"),
    [
        ("en", "purchase", "bought by 30 customers in the last 4 weeks"),
        ("en", "view", "looked at by 30 customers in the last 4 weeks"),
        ("zh", "view", "近 4 周有 30 位顾客看过"),
    ],
)
def test_its_reasons_speak_of_what_lists_foretell(language, target, reason):
    buyers = {"2w": np.array([9, 0, 9]), "4w": np.array([30, 0, 30]), "ever": np.array([40, 1, 50])}
    statistics = SimpleNamespace(buyers=buyers, active=np.array([0, 2], np.int32))
    popular = PopularList.of(statistics, 1, language, target)
    assert popular.items[: popular.num].tolist() == [2]
    assert popular.reasons[: popular.num].tolist() == [reason]


def test_the_list_is_of_the_span_that_best_foretold_what_strangers_bought():
    """Product 0 sold in the last two weeks, 1 in the last four: strangers buy 1, known customers 0."""
    none, few = np.zeros(12), {0: 5.0, 1: 3.0}
    buyers = {"2w": none.copy(), "4w": none.copy(), "13w": none.copy(), "ever": none.copy()}
    buyers["2w"][0], buyers["4w"][1] = few[0], few[1]
    known = np.arange(100) < 60
    statistics = SimpleNamespace(buyers=buyers, active=np.arange(12, dtype=np.int32), known=known, behaves=False)
    wanted = Targets(np.arange(101), np.where(known, 0, 1).astype(np.int32))
    assert best_span([SpanFigures.of(statistics, wanted)]) == "4w"
    statistics.known = np.arange(100) < 90  # ten strangers tell nothing, so all buyers do
    assert best_span([SpanFigures.of(statistics, wanted)]) == "2w"


def test_where_looks_are_recorded_the_list_may_be_of_what_is_looked_at():
    """Product 0 sold, 1 was looked at, and 1 is what strangers buy."""
    none = np.zeros(12, np.float32)
    sold, looked = np.eye(12, dtype=np.float32)[:2]
    buyers = {"2w": sold, "4w": sold, "13w": none, "ever": sold}
    shop = {"buyers": buyers, "active": np.arange(12, dtype=np.int32), "known": np.zeros(40, bool), "attention": looked}
    wanted = Targets(np.arange(41), np.ones(40, np.int32))
    assert best_span([SpanFigures.of(SimpleNamespace(**shop, behaves=True), wanted)]) == "attention"
    assert best_span([SpanFigures.of(SimpleNamespace(**shop, behaves=False), wanted)]) != "attention"


def test_too_few_buyers_choose_no_span():
    buyers = dict.fromkeys(("2w", "4w", "13w", "ever"), np.zeros(3))
    statistics = SimpleNamespace(
        buyers=buyers, active=np.arange(3, dtype=np.int32), known=np.zeros(20, bool), behaves=False
    )
    assert best_span([SpanFigures.of(statistics, Targets(np.arange(21), np.zeros(20, np.int32)))]) == SPAN
    assert best_span([]) == SPAN
