"""Ask a recommender in a process of its own, so that its time and memory are its own, and look at its lists."""

import multiprocessing
import resource
import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

from bench.domains.question import Question, Recommender, Targets
from nightmarket.contracts.arrays import Float64s, Int32s, Int64s
from nightmarket.evaluation.intervals import Interval
from nightmarket.evaluation.metrics import rank_metrics

PLACES = 20
METRIC = "ndcg@10"
SEED = 17
RESAMPLES = 1000


class AnswerError(Exception):
    """A recommender that ended without lists, or with lists that break the rules."""


@dataclass(frozen=True)
class Answer:
    """Lists (B, PLACES) per task; seconds from question to lists; peak MiB, children's included, above the start."""

    lists: Mapping[str, Int32s]
    seconds: float
    peak_mib: float


def ask(recommender: Recommender, question: Question) -> Answer:
    """Raises AnswerError with the reason."""
    context = multiprocessing.get_context("fork")  # the shop is not copied
    here, there = context.Pipe(duplex=False)
    child = context.Process(target=_answer, args=(recommender, question, there))
    child.start()
    there.close()
    try:
        told = here.recv()
    except EOFError:
        child.join()
        raise AnswerError(f"its process ended with {child.exitcode}") from None
    child.join()
    if isinstance(told, str):
        raise AnswerError(told)
    for task, places in told.lists.items():
        check(question, task, places)
    return told


def _answer(recommender: Recommender, question: Question, out: Connection) -> None:
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak begins anew
        start, begun = _memory("VmRSS"), time.perf_counter()
        lists = dict(recommender(question, PLACES))
        seconds = time.perf_counter() - begun
        children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        out.send(Answer(lists, seconds, max(_memory("VmHWM") - start, children, 0.0)))
    except Exception as error:
        traceback.print_exc()
        out.send(f"{type(error).__name__}: {error}")
    out.close()


def _memory(name: str) -> float:
    """MiB of this process, as the system states them."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) / 1024


def check(question: Question, task: str, places: Int32s) -> None:
    """Refuse lists that hold what their task excludes, or a product twice."""
    allowed = question.launching if task == "launch" else question.active
    wrong = (places >= 0) & ~allowed[np.maximum(places, 0)]
    if task == "new":
        owned = question.bought[question.asked]
        for row, items in enumerate(places):
            wrong[row] |= np.isin(items, owned.indices[owned.indptr[row] : owned.indptr[row + 1]])
    ordered = np.sort(np.where(places >= 0, places, -1 - np.arange(places.shape[1])), axis=1)
    twice = (ordered[:, 1:] == ordered[:, :-1]).any(axis=1)
    if places.shape[0] != question.asked.size or wrong.any() or twice.any():
        raise AnswerError(
            f"{task}: {places.shape[0]} lists for {question.asked.size} customers, {wrong.sum()} products that it "
            f"excludes, {twice.sum()} lists with a product twice"
        )


def scores(lists: Mapping[str, Int32s], wanted: Targets) -> dict[str, Float64s]:
    """task -> (B,) NDCG@10, NaN for customers without a target."""
    return {task: rank_metrics(lists[task], wanted.indptr[task], wanted.items[task])[METRIC] for task in lists}


@dataclass(frozen=True)
class Pool:
    """Figures of customers in several windows and shops: `unit` (N,) numbers the customers, a figure is NaN where the
    task does not concern them."""

    unit: Int64s
    value: Float64s

    @classmethod
    def of(cls, parts: list[tuple[int, Int64s, Float64s]]) -> "Pool":
        """From (seed, customers, figures) of each window: customers of two seeds are different people."""
        unit = np.concatenate([customers + (seed << 32) for seed, customers, _ in parts])
        return cls(np.unique(unit, return_inverse=True)[1], np.concatenate([figures for *_, figures in parts]))

    def interval(self) -> Interval:
        """Mean with its 95% percentile bootstrap, in which customers are drawn with all of their windows."""
        known = ~np.isnan(self.value)
        if not known.any():
            return Interval(0.0, 0.0, 0.0)
        codes = np.unique(self.unit[known], return_inverse=True)[1]
        total = np.bincount(codes, self.value[known])
        count = np.bincount(codes).astype(np.float64)
        rng = np.random.default_rng(SEED)
        chance = np.full(total.size, 1 / total.size)
        means = np.empty(RESAMPLES)
        for place in range(RESAMPLES):
            drawn = rng.multinomial(total.size, chance)
            means[place] = drawn @ total / (drawn @ count)
        low, high = np.quantile(means, [0.025, 0.975])
        return Interval(float(total.sum() / count.sum()), float(low), float(high))


def minus(ours: Pool, theirs: Pool) -> Pool:
    """Customer by customer and window by window."""
    return Pool(ours.unit, ours.value - theirs.value)
