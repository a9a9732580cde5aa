"""The peers' interface, its masking rule, the search, the judge and the table; no library of a peer is needed."""

import dataclasses
import json
import re

import numpy as np
import pandas as pd
import pytest

from bench.libraries import evaluator, house, results, table, trial, tuning, windows
from bench.libraries.keeping import TUNING, read_truth
from bench.libraries.roster import ROSTER, Entry
from bench.libraries.shop import Shop, admitted, best_items, lists
from bench.libraries.upcf import UpCf, asymmetric_cosine, recent_shares
from nightmarket.evaluation.protocol import Window
from nightmarket.histories.calendar import last_day
from nightmarket.histories.promotions import Promotions
from tasks.files.prepared import Prepared

NUM_CUSTOMERS, NUM_ITEMS, ORIGIN = 30, 24, 12
PEERS = {
    "popularity": house.Popularity(0, weeks=4),
    "recency_frequency": house.RecencyFrequency(0, half_life=60.0),
    "tifu_knn": house.Tifu(0, num_neighbours=5),
    "ease": house.Ease(0, ridge=3.0),
    "upcf": UpCf(0, recency=3, alpha=0.25, locality=2),
}


def shop_from(lines: list[tuple[int, int, int]], num_customers: int, num_items: int) -> Shop:
    """Lines (customer, basket's day, item); each customer's day is a basket."""
    customer, day, item = (np.array(column, np.int32) for column in zip(*sorted(lines), strict=True))
    basket = np.unique(np.stack([customer, day]), axis=1, return_inverse=True)[1].astype(np.int32).ravel()
    ones, codes = np.ones(item.size, np.float32), np.arange(num_items, dtype=np.int32)
    return Shop(
        customer, item, (day - 4) // 7, day, basket, ones, ones, *(codes % n for n in (2, 4, 8, 12, 3)),
        np.array([num_items - 1], np.int32), last_day(ORIGIN), num_customers, num_items,
    )  # fmt: skip


@pytest.fixture(scope="module")
def shop() -> Shop:
    """Item 23 launches, item 22 was never sold, customer 29 never came."""
    rng = np.random.default_rng(3)
    lines = {
        (int(c), int(d), int((c * 3 + i) % 22))
        for c, d, i in zip(
            rng.integers(0, 29, 900), rng.integers(4, 7 * ORIGIN + 11, 900), rng.integers(0, 9, 900), strict=True
        )
    }
    return shop_from(list(lines), NUM_CUSTOMERS, NUM_ITEMS)


@pytest.mark.parametrize("name", PEERS)
@pytest.mark.parametrize("task", ["all", "new"])
def test_every_peer_gives_distinct_admitted_items_and_masks_own_purchases_for_new(name, task, shop):
    PEERS[name].fit(shop)
    recommended = lists(PEERS[name], shop, task, num=20, batch=7)
    bought = shop.matrix().toarray() > 0
    assert recommended.shape == (NUM_CUSTOMERS, 20)
    for customer, row in enumerate(recommended):
        items = row[row >= 0]
        assert (row[: items.size] >= 0).all(), "gaps come last"
        assert np.unique(items).size == items.size
        assert admitted(shop, task)[items].all()
        if task == "new":
            assert not bought[customer, items].any()
            assert items.size == min(20, 22 - bought[customer].sum())


def test_only_launched_products_are_ranked_for_launch(shop):
    library = house.Affinity(0)
    library.fit(shop)
    assert set(lists(library, shop, "launch", 5).ravel()) == {-1, 23}


def test_the_batch_does_not_matter(shop):
    PEERS["upcf"].fit(shop)
    assert (lists(PEERS["upcf"], shop, "all", batch=4) == lists(PEERS["upcf"], shop, "all", batch=100)).all()


def test_best_items_break_ties_by_code_and_leave_out_what_is_not_finite():
    scores = np.array([[1, 3, 3, -np.inf, 3], [-np.inf, -np.inf, 0, -np.inf, -np.inf]], np.float32)
    assert best_items(scores, 3).tolist() == [[1, 2, 4], [2, -1, -1]]
    assert best_items(scores[:, :2], 3).tolist() == [[1, 0, -1], [-1, -1, -1]]


def test_shares_count_baskets_in_the_window_of_the_newest():
    shop = shop_from([(0, 10, 0), (0, 11, 0), (0, 11, 1), (0, 12, 1), (1, 10, 2)], 3, 3)
    assert recent_shares(shop, 2).toarray() == pytest.approx(np.array([[0.5, 1, 0], [0, 0, 1], [0, 0, 0]]))
    assert recent_shares(shop, 0).toarray()[0] == pytest.approx([2 / 3, 2 / 3, 0])


def test_upcf_equals_its_formula(shop):
    alpha, locality, window = 0.75, 3, 4
    library = UpCf(0, recency=window, alpha=alpha, locality=locality)
    library.fit(shop)
    sets = [set(shop.item[shop.customer == c].tolist()) for c in range(NUM_CUSTOMERS)]
    expected = np.zeros((NUM_CUSTOMERS, NUM_ITEMS))
    for u in range(29):
        for v in range(29):
            like = len(sets[u] & sets[v]) / (len(sets[u]) ** alpha * len(sets[v]) ** (1 - alpha))
            days = np.unique(shop.day[shop.customer == v])[-window:]
            for day in days:
                for item in np.unique(shop.item[(shop.customer == v) & (shop.day == day)]):
                    expected[u, item] += like**locality / len(days)
    scores = library.scores(np.arange(NUM_CUSTOMERS, dtype=np.int32))
    scale = np.maximum((asymmetric_cosine(shop.matrix(), alpha) ** locality).max(axis=1, keepdims=True), 1e-30)
    assert scores * scale == pytest.approx(expected, rel=1e-4, abs=1e-6)


def test_a_shop_comes_back_from_its_file(shop, tmp_path):
    shop.save(tmp_path / "shop.npz")
    again = Shop.load(tmp_path / "shop.npz")
    for field in dataclasses.fields(Shop):
        assert np.array_equal(getattr(shop, field.name), getattr(again, field.name)), field.name


def test_a_peer_sees_no_line_of_the_target_weeks_and_learns_only_which_products_launch(shop):
    late = 7 * (ORIGIN + 1) + 6
    lines = house.histories(shop_from([(0, late - 20, 0), (0, late, 1), (1, late - 20, 1), (1, late, 3)], 2, 5))
    names = ("department", "category", "type", "maker", "brand")
    products = pd.DataFrame({name: list("aabbc") for name in names} | {"text_id": range(5), "recommendable": True})
    none = np.zeros(0, np.int32)
    prepared = Prepared()
    prepared.histories, prepared.products = lines, products
    prepared.promotions = Promotions(none, none, none.astype("f4"), none.astype("f4"))
    seen = windows.shop_of(prepared, Window.after(last_day(ORIGIN), 28))
    assert lines.week.max() > ORIGIN
    assert seen.week.max() <= ORIGIN
    assert seen.launching.tolist() == [3]
    assert np.flatnonzero(seen.sold).tolist() == [0, 1]
    assert seen.maker.tolist() == [0, 0, 1, 1, 2]


def test_weights_tell_old_purchases_from_new_ones():
    shop = shop_from([(0, 7 * ORIGIN + 10, 0), (0, 7 * ORIGIN - 80, 1)], 1, 2)
    assert shop.weighted("recent").toarray()[0] == pytest.approx([1, 0.5])
    assert shop.weighted("binary").toarray()[0].tolist() == [1, 1]
    with pytest.raises(ValueError, match="binary, log or recent"):
        shop.weighted("square")


def test_a_sequence_keeps_the_baskets_in_time_and_shuffles_the_lines_of_a_basket(shop):
    lines = np.flatnonzero(shop.item != 3)
    order = shop.sequence(lines, seed=1)
    assert sorted(order) == lines.tolist()
    owner, basket = shop.customer[order], shop.basket[order]
    assert (np.diff(owner) >= 0).all()
    assert (np.diff(basket)[np.diff(owner) == 0] >= 0).all()
    rising = np.diff(shop.item[order])[(np.diff(basket) == 0) & (np.diff(owner) == 0)] > 0
    assert 0.4 < rising.mean() < 0.6
    assert (order == shop.sequence(lines, seed=1)).all()


def test_a_search_begins_with_the_default_and_stops_at_either_budget():
    entry = Entry("x", "m:C", {"a": 2}, {"a": list(range(20))})
    budget = tuning.Budget(most_settings=6, most_cpu_seconds=50.0)
    cheap = list(tuning.search(entry, lambda settings: ({"all": 0.0}, 1.0), budget))
    dear = list(tuning.search(entry, lambda settings: ({"all": 0.0}, 20.0), budget))
    dearest = list(tuning.search(entry, lambda settings: ({"all": 0.0}, 1000.0), budget))
    assert cheap[0]["settings"] == {"a": 2}
    assert (len(cheap), len(dear), len(dearest)) == (6, 3, tuning.LEAST_SETTINGS)
    assert len({row["settings"]["a"] for row in cheap}) == len(cheap)


def test_each_task_has_its_own_best_setting():
    tried = [{"settings": {"a": a}, "ndcg@10": {"all": a, "new": -a}} for a in (1, 2, 3)]
    assert tuning.chosen(tried, "all") == {"a": 3}
    assert tuning.chosen(tried, "new") == {"a": 1}


def test_every_default_lies_in_its_space():
    for name, entry in ROSTER.items():
        for key, values in entry.space.items():
            assert entry.default[key] in values, f"{name}: {key}"


def test_every_library_is_pinned():
    lines = (trial.ROOT / "bench/libraries/requirements.txt").read_text(encoding="utf-8").splitlines()
    wanted = [line for line in lines if not line.startswith("#")]
    assert len(wanted) > 20
    assert all(re.fullmatch(r"[\w.\-]+==[\w.]+", line) for line in wanted)


@pytest.fixture
def store(shop, tmp_path):
    """A store with one window: everybody wants items 0 and 5."""
    folder = tmp_path / TUNING
    folder.mkdir()
    shop.save(folder / "shop.npz")
    indptr, items = np.arange(NUM_CUSTOMERS + 1) * 2, np.tile(np.array([0, 5], np.int32), NUM_CUSTOMERS)
    none = np.zeros(NUM_CUSTOMERS + 1, np.int64), np.zeros(0, np.int32)
    truth = {"all": (indptr, items), "new": none, "launch": none}
    parts = {f"{task}_indptr": t[0] for task, t in truth.items()} | {f"{task}_items": t[1] for task, t in truth.items()}
    np.savez(folder / "truth.npz", **parts)
    return tmp_path


def test_a_fit_runs_in_its_own_process_once_and_is_collected(store, shop):
    settings = ROSTER["upcf"].default
    first = trial.run("upcf", TUNING, settings, 0, store)
    record = trial.folder_of("upcf", TUNING, settings, 0, store) / "record.json"
    made = record.stat().st_mtime_ns
    second = trial.run("upcf", TUNING, settings, 0, store)
    assert record.stat().st_mtime_ns == made
    assert (first.lists["all"] == second.lists["all"]).all()
    assert first.record["peak_mib"] > 10

    content = results.collect([TUNING], 3, store)
    assert list(content["peers"]) == ["upcf"]
    figures = content["peers"]["upcf"]["windows"][TUNING]["all"]
    expected = evaluator.per_customer(first.lists, read_truth(store / TUNING))["all"]["ndcg@10"].mean()
    assert figures["ndcg@10"]["value"] == pytest.approx(expected, abs=1e-5)
    assert figures["cost"]["peak_mib"] == first.record["peak_mib"]

    theirs = pd.read_parquet(store / TUNING / "per_customer.parquet")
    ours = theirs[["customer", "task", "ndcg@10"]].copy()
    ours["ndcg@10"] += 0.25
    ours.to_parquet(store / "per_customer.parquet")
    results.add_ours(content, [f"{TUNING}={store}"], store)
    gain = content["paired"][TUNING]["all"]["upcf"]
    assert (gain["value"], gain["low"], gain["high"]) == pytest.approx((0.25, 0.25, 0.25))
    assert "+.2500 [+.2500, +.2500]" in table.quality(content, "all")

    ours[ours["customer"] != 4].to_parquet(store / "per_customer.parquet")
    with pytest.raises(ValueError, match="another window or data"):
        results.add_ours(content, [f"{TUNING}={store / 'per_customer.parquet'}"], store)


def test_a_fit_that_holds_too_much_or_fails_is_reported(store, monkeypatch):
    with pytest.raises(trial.TrialError, match="unexpected keyword"):
        trial.run("upcf", TUNING, {"colour": 1}, 0, store)
    monkeypatch.setattr(trial, "MOST_MIB", 1)
    with pytest.raises(trial.TrialError, match="more than the 1 allowed"):
        trial.run("upcf", TUNING, ROSTER["upcf"].default, 0, store)


def test_the_table_ranks_peers_marks_the_tuning_window_and_keeps_the_page_around_it(tmp_path):
    def of_window(value: float, deviation: float | None = None) -> dict:
        figure = {"value": value, "low": value - 0.01, "high": value + 0.01}
        cost = {f"{what}_{kind}": 1.5 for what in ("fit", "recommend") for kind in ("seconds", "cpu_seconds")}
        return {"ndcg@10": figure, "seed_deviation": deviation, "seeds": [value] * 3, "cost": cost | {"peak_mib": 1234}}

    rest = {"versions": {"lib": "1.0"}, "tried": [{}] * 4, "tuning_cpu_seconds": 9}
    content = {
        "machine": {"cores": 2},
        "search": {"window": "b", "seed": 17},
        "windows": {"a": {"weeks": "49–52"}, "b": {"weeks": "45–48"}},
        "peers": {
            "low": {"title": "Low", "chosen": {"all": {"k": 1}}, "windows": {"a": {"all": of_window(0.1)}}} | rest,
            "high": {"title": "High", "chosen": {"all": {"k": 2}}, "windows": {"a": {"all": of_window(0.2, 0.003)}}}
            | rest,
        },
        "ours": {"a": {"all": {"value": 0.3, "low": 0.29, "high": 0.31}}},
        "paired": {"a": {"all": {"low": {"value": -0.2, "low": -0.21, "high": 0.19}}}},
    }
    rows = table.quality(content, "all").splitlines()
    assert rows[0] == "| all | weeks 49–52 |"
    assert rows[2] == "| **nightmarket** | .3000 [.2900, .3100] |"
    assert rows[3] == "| High | .2000 [.1900, .2100] ± .0030 (3 seeds) |"
    assert rows[4] == "| Low | .1000 [.0900, .1100]<br>−.2000 [−.2100, +.1900] |"
    assert "| Low | 1.5 | 1.5 | 1,234 | 4 | 9 | lib 1.0 |" in table.costs(content)

    page = tmp_path / "page.md"
    page.write_text(f"before\n{table.BEGIN}\nold\n{table.END}\nafter\n", encoding="utf-8")
    table.place(page, table.markdown(json.loads(json.dumps(content))))
    text = page.read_text(encoding="utf-8")
    assert text.startswith("before\n")
    assert text.endswith("\nafter\n")
    assert "old" not in text
    page.write_text("no marks", encoding="utf-8")
    with pytest.raises(ValueError, match="lacks the marks"):
        table.place(page, "x")
