"""Which modules are changed, which tests answer for them, and the changes that are none."""

from pathlib import Path

LIBRARY = "tests/nightmarket"
EVALUATION = f"{LIBRARY}/evaluation"
METRICS = (f"{LIBRARY}/test_evaluation.py", f"{EVALUATION}/test_metrics.py", f"{EVALUATION}/test_intervals.py")
TIME = (f"{LIBRARY}/test_histories.py", f"{EVALUATION}/test_protocol.py", f"{EVALUATION}/test_time_cuts.py")
CANDIDATES = (
    f"{LIBRARY}/ranking/test_generators.py",
    f"{LIBRARY}/ranking/test_candidate_set.py",
    f"{LIBRARY}/ranking/test_behaviour.py",
    f"{LIBRARY}/test_ranking.py",
)
TESTS: dict[str, tuple[str, ...]] = {
    "nightmarket/evaluation/metrics.py": METRICS,
    "nightmarket/evaluation/intervals.py": METRICS,
    "nightmarket/evaluation/offpolicy": (
        f"{EVALUATION}/test_offpolicy_by_hand.py",
        f"{EVALUATION}/test_offpolicy_looks_by_hand.py",
        f"{EVALUATION}/test_offpolicy_spoiled.py",
    ),
    "nightmarket/evaluation/experiments": (f"{EVALUATION}/experiments",),
    "nightmarket/serving/gate.py": (f"{LIBRARY}/serving/test_gate.py",),
    "nightmarket/delivery/allocation.py": (
        f"{LIBRARY}/delivery/test_allocation_by_hand.py",
        f"{LIBRARY}/delivery/test_allocation.py",
    ),
    "nightmarket/evaluation/protocol.py": TIME,
    "nightmarket/histories/calendar.py": TIME,
    "nightmarket/ranking/generators.py": CANDIDATES,
    "nightmarket/ranking/candidate_set.py": CANDIDATES,
}
"""{module or room: tests}; modules with the same tests share one run without a fault."""

MODULES: dict[str, tuple[str, ...]] = {
    ".".join(path.with_suffix("").parts): tests
    for place, tests in TESTS.items()
    for path in (sorted(Path(place).glob("*.py")) if Path(place).is_dir() else [Path(place)])
    if path.name != "__init__.py"
}

_INTERVALS, _METRICS = "nightmarket.evaluation.intervals", "nightmarket.evaluation.metrics"
_DESIGN = "nightmarket.evaluation.experiments.design"
_BRACKET = "where the search of a root begins and ends; the root lies far inside"
_SPACING = "how far apart the customers' codes lie; any distance above the highest item does"
_MEMORY = "decides how many resamples are held at a time; they are the same ones"
_ALLOCATION = "nightmarket.delivery.allocation"
_UNREAD = "of customers without targets, whose figures are NaN"
EQUIVALENT: dict[tuple[str, str], str] = {
    (_INTERVALS, "module: 4_000_000 -> 4000001"): _MEMORY,
    (_INTERVALS, "_resamples: size * num -> size"): _MEMORY,
    (_INTERVALS, "_resamples: size * num -> (size / num)"): _MEMORY,
    (_INTERVALS, "_resamples: size * num <= _KEPT -> (size * num >= _KEPT)"): _MEMORY,
    (_INTERVALS, "_resamples: size * num <= _KEPT -> (size * num < _KEPT)"): _MEMORY,
    (_INTERVALS, "_blocks: _KEPT // size -> (_KEPT * size)"): _MEMORY,
    (_METRICS, "rank_metrics: 0.0 -> 0.25"): _UNREAD,
    (_METRICS, "hits: 2 -> 3"): _SPACING,
    (_ALLOCATION, "as_sent: 0.0 -> 0.25"): "a share of no close calls",
    (
        _ALLOCATION,
        "module: (5**0.5 - 1) / 2 -> ((5 ** 0.5 - 1) * 2)",
    ): "as far from every fraction, so as even a spread",
    (_DESIGN, "minimum_detectable_effect: 1e6 -> 1250000.0"): _BRACKET,
    (_DESIGN, "minimum_detectable_effect: 1e6 * outcome.sd -> 1000000.0"): _BRACKET,
    (_DESIGN, "minimum_detectable_effect: 1e-9 -> 1.25e-09"): _BRACKET,
    (_DESIGN, "minimum_detectable_effect: 1e-12 -> 1.25e-12"): _BRACKET,
    (_DESIGN, "minimum_detectable_effect: 1e-12 * top -> 1e-12"): _BRACKET,
    (_DESIGN, "minimum_detectable_effect: 1e-12 * top -> (1e-12 / top)"): _BRACKET,
}
"""{(module, fault): why no test can find it}."""
