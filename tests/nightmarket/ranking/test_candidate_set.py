"""A candidate set's generators, its samples of launches and its batches that are made ahead, with stand-ins for what it
is made from."""

import os
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import sparse

from nightmarket.ranking import candidate_set
from nightmarket.ranking.candidate_set import Batch, Budget, CandidateSet, TextScores, ahead


def bare(**parts):
    """A candidate set with the parts that a test looks at."""
    made = object.__new__(CandidateSet)
    made.__dict__.update({"_budget": Budget(), "text": None} | parts)
    return made


def test_the_budget_is_the_one_that_the_figures_were_measured_with():
    assert vars(Budget()) == {
        "history": 150, "ease": 60, "neighbours": 40, "popular": 30, "kind": 50, "line": 40, "rare": 40, "text": 0,
        "launch": 200, "seen": 60, "together": 40, "leads": 40, "of_kind": 40, "content": 60, "young": 40,
        "factors": 60, "pictured": 40, "taste": 0, "preferred": 60,
    }  # fmt: skip


def test_a_pair_is_positive_where_it_was_bought_however_often():
    bought = sparse.csr_matrix(np.array([[0.0, 2.0], [1.0, 0.0]], np.float32))
    batch = Batch(
        None, np.array([0, 0, 1, 1], np.int32), np.array([0, 1, 0, 1], np.int32), np.zeros((4, 0), np.float32)
    )
    assert batch.label(bought).tolist() == [False, True, True, False]


TEXT = TextScores(
    np.array([[1.0, 0.0], [0.0, 2.0]], np.float32), np.array([[3.0, 0.0], [0.0, 4.0]], np.float32),
    np.array([[1.0, 1.0], [2.0, 3.0], [5.0, 7.0]], np.float32),
)  # fmt: skip


@pytest.fixture
def recorded(monkeypatch):
    """Generators' scores replaced by what they were asked for."""
    for name in ("ease_scores", "neighbour_scores", "popularity_scores", "rare_scores"):
        monkeypatch.setattr(candidate_set, name, lambda statistics, items, name=name: (name, items.tolist()))
    monkeypatch.setattr(
        candidate_set, "affinity", lambda statistics, level, items, weight: (level, items.tolist(), weight.tolist())
    )


def test_each_generator_has_its_budget_its_products_and_weights(recorded):
    buyers = {"4w": np.array([1.0, 2, 3, 4]), "13w": np.array([10.0, 20, 0, 1]), "ever": np.array([100.0, 0, 300, 7])}
    known = {"active": np.array([0, 2], np.int32), "rare": np.array([1, 2, 3], np.int32), "buyers": buyers}
    statistics = SimpleNamespace(**known, behaves=False)
    budget = Budget(ease=1, neighbours=2, popular=3, kind=4, line=5, rare=6, text=7)
    made = {each.name: each for each in bare(statistics=statistics, _budget=budget, text=TEXT).generators}
    weights = pytest.approx([1 + 1 + 1, 3 + 0 + 3])
    assert {name: each.num for name, each in made.items()} == {
        "ease": 1, "neighbours": 2, "popular": 3, "kind": 4, "line": 5, "rare": 6, "tower": 7,
    }  # fmt: skip
    for name in ("ease", "neighbours", "popular"):
        assert made[name].items.tolist() == [0, 2]
        assert made[name].score[1] == [0, 2]
    for name in ("kind", "line"):
        level, items, weight = made[name].score
        assert (level, items, made[name].items.tolist()) == (name, [0, 2], [0, 2])
        assert weight == weights
    assert made["rare"].score == ("rare_scores", [1, 3]), "rare products that somebody bought in the last 13 weeks"
    assert made["rare"].items.tolist() == [1, 3]
    tower = made["tower"].score(SimpleNamespace(rows=slice(1, 2)))
    assert tower.tolist() == [[2.0, 14.0]]
    assert made["tower"].items.tolist() == [0, 2]
    assert "tower" not in [each.name for each in bare(statistics=statistics).generators]


def test_launches_are_proposed_by_their_tables_and_by_text_where_there_is_one():
    tables = SimpleNamespace(generators=lambda num: [SimpleNamespace(name="kind", num=num)])
    launching = np.array([1], np.int32)
    made = bare(_launches=tables, launching=launching, _budget=Budget(launch=9), text=TEXT).launch_generators
    assert [(each.name, each.num) for each in made] == [("kind", 9), ("tower", 9)]
    assert made[1].items.tolist() == [1]
    assert made[1].score(SimpleNamespace(rows=slice(0, 2))).tolist() == [[6.0], [12.0]]
    assert [each.name for each in bare(_launches=tables, launching=launching).launch_generators] == ["kind"]


def sampled(share, launching=(2, 4), step=2):
    """(customer, item) of the sampled pairs of three customers."""
    bought = np.zeros((3, 6), np.float32)
    bought[0, 4], bought[2, 2], bought[1, 3] = 2, 1, 1
    statistics = SimpleNamespace(slices=lambda step: [slice(0, step), slice(step, 3)])
    made = bare(statistics=statistics, launching=np.array(launching, np.int32))
    made._launch_batch = lambda rows, customer, item: list(
        zip((customer + rows.start).tolist(), item.tolist(), strict=True)
    )
    pairs = made.sampled_launches(sparse.csr_matrix(bought), share, np.random.default_rng(0), step)
    return [pair for batch in pairs for pair in batch]


def test_every_bought_launch_is_in_the_sample_and_of_the_others_a_share():
    assert sampled(0.0) == [(0, 4), (2, 2)]
    assert sampled(1.0) == [(customer, item) for customer in range(3) for item in (2, 4)]
    assert sampled(1.0, launching=()) == []


def test_pairs_of_launches_have_their_own_scores_and_the_customers_own_numbers():
    scores = np.array([[1.0, 2, 3], [4, 5, 6]], np.float32)
    seen = {}

    def rows(customers, customer, item, given):
        seen.update(customer=customer.tolist(), item=item.tolist(), scores=given["kind"].tolist())
        return np.zeros((customer.size, 1), np.float32)

    tables = SimpleNamespace(
        generators=lambda num: [SimpleNamespace(name="kind", score=lambda customers: scores)], rows=rows
    )
    statistics = SimpleNamespace(customers=lambda rows: rows, slices=lambda step: [slice(10, 12)])
    made = bare(_launches=tables, statistics=statistics, launching=np.array([3, 5, 8], np.int32))
    [batch] = made.audience(np.array([8, 3], np.int32))
    assert seen == {"customer": [0, 0, 1, 1], "item": [8, 3, 8, 3], "scores": [3.0, 1.0, 6.0, 4.0]}
    assert batch.customer.tolist() == [10, 10, 11, 11]
    assert batch.item.tolist() == [8, 3, 8, 3]


def test_batches_come_in_order_and_no_more_than_the_workers_are_under_way(monkeypatch):
    monkeypatch.setattr(candidate_set, "WORKERS", 2)
    begun = []

    def wanted():
        for number in range(6):
            begun.append(number)
            yield number

    made = ahead(lambda number: number * 10, wanted())
    assert next(made) == 0
    assert begun == [0, 1, 2], "two are made while one is used"
    assert list(made) == [10, 20, 30, 40, 50]
    assert list(ahead(lambda number: number, iter(()))) == []


@pytest.mark.parametrize(
    ("cores", "processes", "workers"),
    [(1, None, 1), (2, None, 2), (4, "", 4), (64, "1", 4), (8, "4", 2), (2, "4", 1), (None, None, 1)],
)
def test_batches_are_made_by_up_to_four_threads_and_processes_share_the_cores(monkeypatch, cores, processes, workers):
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    monkeypatch.delenv("LOCAL_WORLD_SIZE", raising=False)
    if processes is not None:
        monkeypatch.setenv("LOCAL_WORLD_SIZE", processes)
    again = {"__name__": "again"}
    exec(candidate_set.__loader__.get_code(candidate_set.__name__), again)
    assert again["WORKERS"] == workers
