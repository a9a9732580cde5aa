"""Which modules are changed, which tests answer for them, and the changes that are none."""

from pathlib import Path

LIBRARY = "tests/nightmarket"
EVALUATION = f"{LIBRARY}/evaluation"
METRICS = (f"{LIBRARY}/test_evaluation.py", f"{EVALUATION}/test_metrics.py", f"{EVALUATION}/test_intervals.py")
TIME = (f"{LIBRARY}/test_histories.py",)
RANKING = (f"{LIBRARY}/test_ranking.py",)
TESTS: dict[str, tuple[str, ...]] = {
    "nightmarket/evaluation/metrics.py": METRICS,
    "nightmarket/evaluation/intervals.py": METRICS,
    "nightmarket/evaluation/offpolicy": (f"{EVALUATION}/test_offpolicy_by_hand.py",),
    "nightmarket/evaluation/experiments": (f"{EVALUATION}/experiments",),
    "nightmarket/serving/gate.py": (f"{LIBRARY}/serving/test_gate.py",),
    "nightmarket/delivery/allocation.py": (f"{LIBRARY}/delivery/test_allocation_by_hand.py",),
    "nightmarket/histories/calendar.py": TIME,
    "nightmarket/ranking/generators.py": (f"{LIBRARY}/ranking/test_generators.py",),
    "nightmarket/ranking/candidate_set.py": RANKING,
}
"""{module or room: tests}; modules with the same tests share one run without a fault."""

MODULES: dict[str, tuple[str, ...]] = {
    ".".join(path.with_suffix("").parts): tests
    for place, tests in TESTS.items()
    for path in (sorted(Path(place).glob("*.py")) if Path(place).is_dir() else [Path(place)])
    if path.name != "__init__.py"
}

EQUIVALENT: dict[tuple[str, str], str] = {}
"""{(module, fault): why no test can find it}."""
