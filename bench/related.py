"""What stands beside a product: *goes with* against what baskets hold, *similar* against the truth of made-up shops.

    python -m bench.related [--demo FOLDER] [--shops fashion electronics] [--seeds 11 12] [--windows 3]

*Goes with*: recall@10 of what else an occasion of the next four weeks holds (a basket; where baskets hold one product,
what a customer buys in the window), per product of it that was known at the cut; the mean of each customer's, beside
plain co-occurrence: how many occasions held both. *Similar*: recall@10 of the ten products that the customers would buy
most instead, were the product not there, by the probabilities that the shop was made from; beside what the live site
answers without the table, and what is met in one visit. Differences are paired, with 95% intervals over customers
(*goes with*) or products (*similar*). `--demo`: a folder in which `prepare` has run; its last `--windows` windows are
judged; the settings were chosen on the two before. The last line is one JSON object.
"""

import argparse
import contextlib
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

from bench.domains.data import load
from bench.domains.ours import write
from bench.domains.question import Question
from bench.machine import machine
from bench.shops.truth import Truth
from nightmarket.contracts.arrays import Bools, Float64s, Int32s
from nightmarket.evaluation.intervals import bootstrap
from nightmarket.evaluation.protocol import Window
from nightmarket.ranking import behaviour
from nightmarket.ranking.related.goes_with import goes_with
from nightmarket.ranking.related.neighbours import unit
from nightmarket.ranking.related.occasions import Occasions
from nightmarket.ranking.related.similar import similar
from nightmarket.ranking.sessions import shop as sessions
from nightmarket.serving.live.neighbours import alike
from tasks.__main__ import main as run_stage
from tasks.files.prepared import Prepared
from tasks.models import recommender

PLACES, DAYS = 10, 28
ASKED = 300
"""Products of a window whose substitutes are judged: those with most purchases to be expected."""


def recall(lists: Int32s, coming: Occasions, known: Bools, num_customers: int) -> Float64s:
    """(C,) mean recall of each customer's products known (I,), NaN without one; lists (I, PLACES)."""
    several = np.flatnonzero(coming.sizes > 1)
    items, customer = coming.items[several].tocsr(), coming.customer[several]
    row, place = np.nonzero(lists >= 0)
    shape = (lists.shape[0], lists.shape[0])
    listed = sparse.csr_matrix((np.ones(row.size, np.float32), (row, lists[row, place])), shape)
    hits = (items @ listed.T.tocsr()).multiply(items).tocoo()
    share = hits.data / (np.diff(items.indptr) - 1)[hits.row] * known[hits.col]
    asked = np.repeat(customer, np.diff(items.indptr))[known[items.indices]]
    num = np.bincount(asked, minlength=num_customers)
    total = np.bincount(customer[hits.row], share, num_customers)
    return np.where(num > 0, total / np.maximum(num, 1), np.nan)


def co_occurring(bought: Occasions, offered: Bools) -> Int32s:
    """(I, PLACES) what stood in most occasions with each item, of what may be listed."""
    counts = (bought.items.T.tocsr() @ bought.items).tocsr()
    counts = (counts @ sparse.diags_array(offered.astype(np.float32))).tocsr()
    counts.setdiag(0)
    counts.eliminate_zeros()
    row = np.repeat(np.arange(counts.shape[0]), np.diff(counts.indptr))
    order = np.lexsort((counts.indices, -counts.data, row))
    place = np.arange(order.size) - counts.indptr[row[order]]
    kept = order[place < PLACES]
    lists = np.full((counts.shape[0], PLACES), -1, np.int32)
    lists[row[kept], place[place < PLACES]] = counts.indices[kept]
    return lists


def compared(ours: Float64s, other: Float64s) -> dict[str, float]:
    """Both means, and the paired difference with its interval."""
    both = ~(np.isnan(ours) | np.isnan(other))
    gap = bootstrap((ours - other)[both], seed=17)
    told = {"ours": float(ours[both].mean()), "other": float(other[both].mean()), "units": int(both.sum())}
    return told | {"difference": gap.value, "low": gap.low, "high": gap.high}


def window(data: Prepared, cut: int, truth: Truth | None) -> tuple[dict[str, tuple[Float64s, Float64s]], float]:
    """Per comparison what ours and the other reached by customer or product; seconds that the two tables took."""
    statistics = recommender.statistics(data, Window.after(cut, DAYS))
    offered = data.catalogue.on_sale(cut + 1)
    past = data.histories.until(cut).where(data.recommendable[data.histories.until(cut).item])
    coming = data.histories.between(cut + 1, cut + DAYS)
    coming = coming.where(data.recommendable[coming.item])
    factors = behaviour.latent(statistics) if statistics.behaves else None
    taste = unit(factors.filed().items) if factors is not None else None
    shop = sessions.build(statistics, factors and factors.filed())
    started = time.perf_counter()
    bought = Occasions.of(past, cut + 1)
    beside = goes_with(bought, data.catalogue, offered, cut + 1, taste, 30).item[:, :PLACES]
    instead = similar(data.catalogue, offered, shop.near, shop.popularity, taste, data.terms, 30)
    seconds = time.perf_counter() - started
    later, known = Occasions.of(coming, cut + DAYS + 1), np.zeros(data.catalogue.num_items, bool)
    known[past.item] = True
    ours, plain = (recall(lists, later, known, past.num_customers) for lists in (beside, co_occurring(bought, offered)))
    told = {"goes with / co-occurrence": (ours, plain)}
    if truth is not None:
        asked, wanted = substitutes(truth, data, cut, offered)
        group = group_of(data)
        lists = instead.one_of_group(group).item[asked, :PLACES]
        reached = hits(lists, wanted)
        live = [_best(shop, item, offered, group) for item in asked.tolist()]
        told["similar / live scorer"] = (reached, hits(np.stack(live), wanted))
        met = np.full((asked.size, PLACES), -1, np.int32)
        for row, item in enumerate(asked.tolist()):
            near = shop.near.of_items(np.array([item], np.int32))
            near = near[offered[near] & ((group[near] < 0) | (group[near] != group[item]))][:PLACES]
            met[row, : near.size] = near
        told["similar / met in one visit"] = (reached, hits(met, wanted))
    return told, seconds


def group_of(data: Prepared) -> Int32s:
    """(I,) the group of sizes of each product, -1 for none."""
    if "group_id" not in data.products:
        return np.full(len(data.products), -1, np.int32)
    codes = data.products["group_id"].astype("category").cat.codes
    return codes.to_numpy().astype(np.int32)


def _best(shop: sessions.SessionShop, item: int, offered: Bools, group: Int32s) -> Int32s:
    items, score = alike(shop, item)
    kept = offered[items] & ((group[items] < 0) | (group[items] != group[item]))
    items = items[kept][np.lexsort((items[kept], -score[kept]))]
    code = np.where(group[items] >= 0, group[items], -1 - np.arange(items.size))
    items = items[np.sort(np.unique(code, return_index=True)[1])][:PLACES]
    return np.pad(items, (0, PLACES - items.size), constant_values=-1)


def substitutes(truth: Truth, data: Prepared, cut: int, offered: Bools) -> tuple[Int32s, list[set[int]]]:
    """ASKED products, and of each the ten of its kind (sizes of one product are one, all of them right) that its buyers
    would buy most were it not there: sum over customers of P(it) P(other) / P(others of the kind)."""
    people = np.random.default_rng(17).permutation(truth.customer_ids.size)[:2000]
    chance = truth.probabilities(cut, DAYS, people)
    place = {name: at for at, name in enumerate(truth.product_ids.tolist())}
    column = np.array([place[name] for name in data.products["product_id"]])
    chance = np.where(offered, chance[:, column], 0)
    group, kind = group_of(data), data.catalogue.kind
    family = np.where(group >= 0, group, group.max(initial=-1) + 1 + np.arange(group.size))
    asked = np.argsort(-chance.sum(axis=0), kind="stable")[:ASKED].astype(np.int32)
    wanted = []
    for item in asked.tolist():
        others = np.flatnonzero((kind == kind[item]) & (family != family[item]) & offered)
        rest = chance[:, others]
        worth = (chance[:, item] / np.maximum(rest.sum(axis=1), 1e-12)) @ rest
        names, row = np.unique(family[others], return_inverse=True)
        best = names[np.argsort(-np.bincount(row, worth), kind="stable")[:PLACES]]
        wanted.append(best.tolist())
    return asked, [set(np.flatnonzero(np.isin(family, best)).tolist()) for best in wanted]


def hits(lists: Int32s, wanted: list[set[int]]) -> Float64s:
    """(N,) share of the ten that each list holds."""
    return np.array([len(good & set(row)) / PLACES for row, good in zip(lists.tolist(), wanted, strict=True)])


def shops(names: list[str], seeds: list[int]) -> Iterator[tuple[str, Prepared, Truth]]:
    """Each made-up shop, prepared."""
    for name in names:
        for seed in seeds:
            made = load(name, seed)
            with tempfile.TemporaryDirectory() as scratch, contextlib.chdir(scratch):
                last = Window.after(made.last, DAYS)
                write(Question.of(made.shop, last, np.arange(made.shop.customer_ids.size)))
                if run_stage("prepare") or made.truth is None:
                    raise SystemExit(f"{name}: prepare failed")
                yield f"{name} {seed}", Prepared(), made.truth


def judged(data: Prepared, truth: Truth | None, windows: int) -> tuple[dict[str, dict[str, float]], float]:
    """All windows together, the last one first."""
    parts: dict[str, list[tuple[Float64s, Float64s]]] = {}
    seconds = 0.0
    for back in range(1, windows + 1):
        told, took = window(data, data.windows.test.last_target - DAYS * back, truth)
        seconds = max(seconds, took)
        for name, pair in told.items():
            parts.setdefault(name, []).append(pair)
    joined = {name: [np.concatenate(side) for side in zip(*pairs, strict=True)] for name, pairs in parts.items()}
    return {name: compared(ours, other) for name, (ours, other) in joined.items()}, seconds


def main(words: list[str] | None = None) -> int:
    """Judge what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--demo", type=Path)
    parser.add_argument("--shops", nargs="*", default=["fashion", "electronics"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[11, 12])
    parser.add_argument("--windows", type=int, default=3)
    asked = parser.parse_args(words)
    figures: dict[str, Any] = {}
    print("| shop | comparison | ours | other | difference | units |\n|---|---|---|---|---|---|")

    def say(name: str, data: Prepared, truth: Truth | None) -> None:
        told, seconds = judged(data, truth, asked.windows)
        figures[name] = told | {"seconds": seconds}
        for pair, row in told.items():
            gap = f"{row['difference']:+.4f} [{row['low']:+.4f}, {row['high']:+.4f}]"
            print(
                f"| {name} | {pair} | {row['ours']:.4f} | {row['other']:.4f} | {gap} | {row['units']:,} |", flush=True
            )

    if asked.demo:
        say("demo", Prepared(asked.demo), None)
    for name, data, truth in shops(asked.shops, asked.seeds):
        say(name, data, truth)
    print(json.dumps({"windows": asked.windows, "related": figures, "machine": machine()}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
