"""From the store to results.json: what every peer reached with its chosen settings, and nightmarket beside it."""

import json
import os
import platform
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bench.libraries import evaluator, trial, tuning
from bench.libraries.keeping import ENDS, STORE, TUNING, read_truth
from bench.libraries.roster import ROSTER
from bench.libraries.shop import TASKS, Shop

RESULTS = Path(__file__).parent / "results.json"


def read(path: Path = RESULTS) -> dict[str, Any]:
    """results.json."""
    return json.loads(path.read_text(encoding="utf-8"))


def write(content: dict[str, Any], path: Path = RESULTS) -> None:
    """Keys in the order of the roster, one fact a line."""
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def search_path(name: str, store: Path = STORE) -> Path:
    """What was tried for a peer."""
    return store / "search" / f"{name}.json"


def chosen(name: str, task: str, store: Path = STORE) -> dict[str, Any]:
    """The settings of a peer for a task: the search's best, or the only ones there are."""
    path = search_path(name, store)
    if not path.exists():
        return ROSTER[name].default
    tried = json.loads(path.read_text(encoding="utf-8"))["tried"]
    return tuning.chosen([row for row in tried if "failed" not in row], task)


def collect(ends: list[str], seeds: int, store: Path = STORE) -> dict[str, Any]:
    """results.json's peers from the fits that the store holds; what is not there is left out."""
    content: dict[str, Any] = {"machine": machine(), "windows": {}, "peers": {}, "ours": {}, "paired": {}}
    content["search"] = {"window": TUNING, "seed": tuning.SEED}
    for name in ROSTER:
        content["peers"][name] = {"title": ROSTER[name].title, "chosen": {}, "windows": {}} | _searched(name, store)
    for end in ends:
        if (store / end / "shop.npz").exists():
            _collect_window(content, end, seeds, store)
    content["peers"] = {name: library for name, library in content["peers"].items() if library["windows"]}
    return content


def _searched(name: str, store: Path) -> dict[str, Any]:
    path = search_path(name, store)
    content = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {"tried": []}
    spent = round(sum(row["cpu_seconds"] for row in content["tried"]))
    return content | {"tuning_cpu_seconds": spent}


def _collect_window(content: dict[str, Any], end: str, seeds: int, store: Path) -> None:
    shop, truth = Shop.load(store / end / "shop.npz"), read_truth(store / end)
    first = (shop.cut - int(shop.day.min())) // 7 + 2
    content["windows"][end] = {
        "weeks": f"{first}–{first + 3}",
        "num_customers": {task: int((np.diff(truth[task][0]) > 0).sum()) for task in TASKS},
        "num_products": {"all": int(shop.sold.sum()), "launch": int(shop.launching.size)},
    }
    columns: dict[str, list] = {"customer": [], "task": [], "peer": [], "ndcg@10": []}
    for name, entry in ROSTER.items():
        of_peer = content["peers"][name]
        for task in entry.tasks:
            settings = chosen(name, task, store)
            fits = _fits(name, end, settings, seeds if entry.stochastic else 1, store)
            if not fits:
                continue
            of_seeds = [evaluator.per_customer({task: fit.lists[task]}, truth)[task] for fit in fits]
            of_task = evaluator.figures(of_seeds, [fit.lists[task] for fit in fits], shop, task)
            of_peer["chosen"][task] = settings
            of_peer["versions"] = fits[0].record["versions"]
            of_peer["windows"].setdefault(end, {})[task] = of_task | {"cost": cost(fits, task)}
            mean = evaluator.mean_over_seeds([figures["ndcg@10"] for figures in of_seeds])
            known = np.flatnonzero(~np.isnan(mean))
            columns["customer"].append(known.astype(np.int32))
            columns["task"] += [task] * known.size
            columns["peer"] += [name] * known.size
            columns["ndcg@10"].append(mean[known])
    columns["customer"] = np.concatenate(columns["customer"]) if columns["customer"] else []
    columns["ndcg@10"] = np.concatenate(columns["ndcg@10"]) if columns["ndcg@10"] else []
    pq.write_table(pa.table(columns), store / end / "per_customer.parquet")


def _fits(name: str, end: str, settings: dict[str, Any], seeds: int, store: Path) -> list[trial.Trial]:
    there = [
        seed for seed in range(seeds) if (trial.folder_of(name, end, settings, seed, store) / "record.json").exists()
    ]
    return [trial.run(name, end, settings, seed, store) for seed in there]


def cost(fits: list[trial.Trial], task: str) -> dict[str, float]:
    """Means over seeds: seconds and CPU seconds to fit and to recommend for all customers; the largest peak memory."""
    records = [fit.record for fit in fits]
    content = {
        f"fit_{kind}": np.mean([record["fit"][kind] for record in records]) for kind in ("seconds", "cpu_seconds")
    }
    for kind in ("seconds", "cpu_seconds"):
        content[f"recommend_{kind}"] = np.mean([record["recommend"][task][kind] for record in records])
    content = {name: round(float(value), 1) for name, value in content.items()}
    return content | {"peak_mib": max(record["peak_mib"] for record in records)}


def machine() -> dict[str, Any]:
    """What the figures were made on."""
    listed = Path("/proc/cpuinfo")
    lines = listed.read_text(encoding="utf-8").splitlines() if listed.exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    cpu = names[0] if names else platform.processor()
    return {"cores": os.cpu_count(), "cpu": cpu, "python": platform.python_version()}


def add_ours(content: dict[str, Any], given: list[str], store: Path = STORE) -> None:
    """Put nightmarket's figures, and its paired difference to each peer, into `content`, in place.

    given  [END=]PATH, PATH an evaluate folder, its metrics.json or a per_customer.parquet (customer, task, ndcg@10).
           Without END the window is the last one. Raises ValueError when END is no window of ours.
    """
    for pair in given:
        end, _, path = pair.rpartition("=")
        end = end or ENDS[0]
        if end not in content["windows"]:
            raise ValueError(f"--ours {pair}: {end} is none of the windows {', '.join(content['windows'])}")
        file = Path(path)
        file = (
            file / "per_customer.parquet"
            if file.is_dir()
            else file.with_name("per_customer.parquet")
            if (file.suffix == ".json")
            else file
        )
        ours = _dense(pq.read_table(file).to_pandas())
        theirs = pq.read_table(store / end / "per_customer.parquet").to_pandas()
        content["ours"][end] = {task: evaluator.interval(values) for task, values in ours.items()}
        content["paired"][end] = {
            task: {
                name: evaluator.against(ours[task], _like(ours[task], of_peer, f"{pair}: {task}, {name}"))
                for name, of_peer in theirs[theirs["task"] == task].groupby("peer", sort=False)
            }
            for task in ours
        }


def _dense(table: Any) -> dict[str, np.ndarray]:
    """task → (C,), NaN for customers without targets."""
    size = int(table["customer"].max()) + 1
    by_task = {task: np.full(size, np.nan) for task in table["task"].unique()}
    for task, part in table.groupby("task", sort=False):
        by_task[task][part["customer"].to_numpy()] = part["ndcg@10"].to_numpy()
    return by_task


def _like(ours: np.ndarray, of_peer: Any, what: str) -> np.ndarray:
    """(C,) the peer's figures in our order."""
    customer = of_peer["customer"].to_numpy()
    if not np.array_equal(np.sort(customer), np.flatnonzero(~np.isnan(ours))):
        raise ValueError(
            f"--ours {what}: the customers differ from those of the window, so it is another window or data"
        )
    values = np.full(ours.size, np.nan)
    values[customer] = of_peer["ndcg@10"].to_numpy()
    return values
