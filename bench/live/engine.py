"""The engine alone, in a process of its own and on one core: milliseconds of each step of the ladder, start, memory."""

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from nightmarket.ranking.sessions.features import Asked
from nightmarket.serving.live import Ask, LiveEvent, LiveRecommender
from nightmarket.serving.live import bundle as halves
from nightmarket.serving.live.recommender import Question

BUSY = 2000
"""Products that the visitors' events are drawn from: those most in demand."""
GUESTS = 1 / 3
START = """
import sys, time
begun = time.process_time()
from nightmarket.serving.live import Ask, LiveRecommender
live = LiveRecommender.open(sys.argv[1])
live.recommend(Ask(float(sys.argv[2])))
print(time.process_time() - begun)
"""


def questions(live: LiveRecommender, folder: Path, num: int, seed: int = 7) -> list[Ask]:
    """Of customers and guests on the day after the night, after one to five events."""
    known = halves.read(folder / "model", folder / "state", verify=False)
    rng, customers = np.random.default_rng(seed), list(known.customers.texts)
    now, kinds = float(live.made_from["known_until"]) + 50_000, ("view", "view", "view", "cart")
    busy = [known.products.texts[item] for item in known.demand[:BUSY].tolist()]
    asks = []
    for _ in range(num):
        met = [busy[row] for row in rng.integers(0, len(busy), rng.integers(1, 6))]
        events = [
            LiveEvent(kinds[rng.integers(4)], product, now - 30.0 * (len(met) - at)) for at, product in enumerate(met)
        ]
        who = None if rng.random() < GUESTS else customers[rng.integers(len(customers))]
        asks.append(Ask(now, customer=who, events=tuple(events)))
    return asks


def measure(folder: Path, num: int) -> tuple[dict[str, Any], str]:
    """{step: milliseconds and requests a second} of `num` requests each, and the rest; and a table."""
    live = LiveRecommender.open(folder)
    asks = questions(live, folder, num)
    content: dict[str, Any] = {"requests": num, "products": live.made_from["num_products"]}
    for ask in asks[:20]:
        live.recommend(ask)
    for step in ("reranked", "nightly", "popular"):
        content[step] = _timed(live, asks, step)
    known = halves.read(folder / "model", folder / "state", verify=False)
    sizes = [Asked(known.shop, Question(known, ask).visit).candidates().size for ask in asks[:100]]
    now = str(asks[0].now)
    done = subprocess.run([sys.executable, "-c", START, str(folder), now], capture_output=True, text=True, check=True)
    content |= {"candidates": int(np.median(sizes)), "start_cpu_s": round(float(done.stdout), 2)} | _memory()
    rows = [f"| {step} | " + " | ".join(str(value) for value in content[step].values()) + " |" for step in _STEPS]
    head = "| step | p50 ms | p99 ms | of the processor: p50 | p99 | a second |\n|---|---|---|---|---|---|"
    return content, "\n".join([head, *rows])


_STEPS = ("reranked", "nightly", "popular")


def _timed(live: LiveRecommender, asks: list[Ask], step: str) -> dict[str, float]:
    wall, processor = [], []
    for ask in asks:
        begun, busy = time.perf_counter(), time.thread_time()
        live.answered(ask, step)
        wall.append(1000 * (time.perf_counter() - begun))
        processor.append(1000 * (time.thread_time() - busy))
    figures = {"p50_ms": np.median(wall), "p99_ms": np.quantile(wall, 0.99)}
    figures |= {"cpu_p50_ms": np.median(processor), "cpu_p99_ms": np.quantile(processor, 0.99)}
    return {name: round(float(value), 2) for name, value in figures.items()} | {
        "cpu_per_second": round(1000 / float(np.mean(processor)))
    }


def _memory() -> dict[str, float]:
    """Of this process: all that it holds, and what of it no other process can share, in GB."""
    lines = Path(f"/proc/{os.getpid()}/smaps_rollup").read_text(encoding="ascii").splitlines()
    sizes = {line.split(":")[0]: int(line.split()[1]) for line in lines[1:]}
    return {"worker_gb": round(sizes["Rss"] / 2**20, 3), "private_gb": round(sizes["Private_Dirty"] / 2**20, 3)}
