"""Which modules are changed, which tests answer for them, and the changes that are none."""

LIBRARY = "tests/nightmarket"
METRICS = tuple(
    f"{LIBRARY}/{name}.py" for name in ("test_evaluation", "evaluation/test_metrics", "evaluation/test_intervals")
)
OFFPOLICY = (f"{LIBRARY}/evaluation/test_offpolicy_by_hand.py",)
EXPERIMENTS = (f"{LIBRARY}/evaluation/experiments",)
RANKING = (f"{LIBRARY}/test_ranking.py", f"{LIBRARY}/ranking")
MODULES: dict[str, tuple[str, ...]] = {
    "nightmarket.evaluation.metrics": METRICS,
    "nightmarket.evaluation.intervals": METRICS,
    **{
        f"nightmarket.evaluation.offpolicy.{name}": OFFPOLICY
        for name in ("diagnostics", "estimators", "logs", "rewards", "verdict")
    },
    **{
        f"nightmarket.evaluation.experiments.{name}": EXPERIMENTS
        for name in ("assignment", "cases", "contacts", "design", "effect_index", "effects", "ledger", "multiplicity",
                     "readout", "sample_ratio", "sequence")
    },
    "nightmarket.serving.gate": (f"{LIBRARY}/serving/test_gate.py",),
    "nightmarket.delivery.allocation": (f"{LIBRARY}/delivery/test_allocation.py",),
    "nightmarket.histories.calendar": (f"{LIBRARY}/test_histories.py",),
    "nightmarket.ranking.generators": RANKING,
    "nightmarket.ranking.candidate_set": RANKING,
}  # fmt: skip
"""{module: tests}; modules with the same tests share one run without a fault."""

EQUIVALENT: dict[tuple[str, str], str] = {}
"""{(module, fault): why no test can find it}."""
