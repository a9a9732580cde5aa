"""The next product of a visit: who is asked about what, and simple methods by hand."""

from types import SimpleNamespace

import numpy as np
import pytest

from bench.next_item import __main__ as bench
from bench.next_item import peers, visits
from bench.next_item.results import OURS, Results, markdown
from bench.next_item.visits import people, questions
from nightmarket.histories.interactions import GUEST, KINDS, Interactions

VIEW, CART, PURCHASE = (KINDS.index(kind) for kind in ("view", "cart", "purchase"))
NUM_ITEMS = 6


class Night:
    """What simple methods ask of a shop: items 0 to 2 are of one kind."""

    cut = 100

    catalogue = SimpleNamespace(kind=np.array([0, 0, 0, 1, 1, 1], np.int32))

    @staticmethod
    def on_sale(items, day):
        return items != 4


def events(*rows):
    """(customer, item, day, kind, session)"""
    customer, item, day, kind, session = np.array(rows, np.int32).T
    second = day.astype(np.int64) * 86_400 + 60 * np.arange(day.size)
    return Interactions(customer, item, day, second, kind.astype(np.int8), session, 3, NUM_ITEMS)


MADE = events(
    (GUEST, 0, 100, VIEW, 0),
    (GUEST, 1, 100, VIEW, 0),
    (GUEST, 3, 100, VIEW, 1),
    (GUEST, 1, 100, VIEW, 1),
    (0, 1, 99, VIEW, 2),
    (0, 5, 99, VIEW, 2),
    (0, 2, 101, VIEW, 3),
    (0, 3, 101, VIEW, 3),
    (0, 2, 101, CART, 3),
    (0, 5, 101, PURCHASE, 3),
    (1, 2, 101, VIEW, 4),
    (1, 2, 101, VIEW, 4),
)


def test_a_visit_is_asked_about_what_is_new_to_it_and_what_is_taken():
    (asked,) = questions(MADE, 101, 2, 9, np.random.default_rng(0))
    assert (asked.unit, asked.met.tolist()) == (0, [2, 3])
    assert {target: items.tolist() for target, items in asked.targets.items()} == {
        "next": [5],
        "taken": [5],
        "taken_again": [2, 5],
    }
    assert not list(questions(MADE, 101, 4, 9, np.random.default_rng(0)))


def test_customers_who_behave_like_no_person_are_set_aside(monkeypatch):
    monkeypatch.setattr(visits, "MOST_A_DAY", 3)
    assert np.unique(people(MADE).customer).tolist() == [GUEST, 1]


@pytest.mark.parametrize(
    ("name", "settings", "best"),
    [
        ("popular", {"days": 7}, [1, 0, 5]),
        ("popular_of_kind", {"days": 7}, [5, 1, 0]),
        ("co_visits", {"scale": "counts", "last": True, "fade": 1.0}, [1, 0, 5]),
        ("co_visits", {"scale": "cosine", "last": False, "fade": 1.0}, [1, 0, 5]),
        ("visit_knn", {"num": 1, "days": 28}, [1, 0, 5]),
    ],
)
def test_simple_methods_order_as_worked_out_by_hand(name, settings, best):
    scorer = peers.PEERS[name][0](MADE, Night, **settings)
    asked = next(questions(MADE, 101, 2, 9, np.random.default_rng(0)))
    ranked = bench.theirs(Night, scorer, asked, again=False)
    assert ranked[ranked >= 0].tolist() == best  # neither what was met nor what is not on sale


def test_what_comes_out_is_paired_by_visit():
    results = Results()
    wanted = [np.array([1]), np.array([2])]
    for method, lists in ((OURS, [[1, 0], [0, 2]]), ("popular", [[0, 1], [0, 1]])):
        padded = np.pad(np.array(lists, np.int32), ((0, 0), (0, 8)), constant_values=-1)
        results.add(("made", "next", "1", "0"), method, 7, [3, 4], padded, wanted)
    content = results.content()
    second = 1 / np.log2(3)
    assert content["made"]["next"]["1"]["0"][OURS]["ndcg@10"]["value"] == pytest.approx((1 + second) / 2, abs=1e-5)
    gain = content["paired"]["made"]["next"]["1"]["0"]["popular"]["ndcg@10"]
    assert gain["value"] == pytest.approx(0.5, abs=1e-5)
    assert content["questions"]["made"]["next"]["1"]["0"] == {"num": 2}
    assert f"{(1 + second) / 2:.4f}, hit 1.000" in markdown(content)
