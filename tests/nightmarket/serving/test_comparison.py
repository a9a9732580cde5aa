import copy

import pytest

from nightmarket.serving.comparison import compare

RECORD = {
    "validate": {
        "cmd": "v",
        "deps": [{"path": "data/raw", "md5": "r"}, {"path": "tasks/validate.py", "md5": "c"}],
        "outs": [{"path": "artifacts/validate", "md5": "v"}],
    },
    "rank": {
        "cmd": "r",
        "deps": [{"path": "artifacts/validate", "md5": "v"}, {"path": "tasks/rank.py", "md5": "d"}],
        "params": {"params.yaml": {"rank": {"seed": 17}}},
        "outs": [{"path": "artifacts/rank", "md5": "m"}],
    },
}
WEIGHTS = {"rank/ranker.txt": "aa", "finetune/tower.safetensors": "bb"}
METRICS = {"all": {"nightmarket": {"ndcg@10": {"value": 0.4, "low": 0.3, "high": 0.5}}}, "num_customers": {"all": 40}}
MADE_ON = {"torch": "2.13.0", "threads": "2", "packages": {"numpy": "2.4.6"}}


def verdict(change=lambda stages, weights, metrics, made_on: None):
    """The verdict over a rebuild that differs from the record by the change."""
    rebuilt = copy.deepcopy((RECORD, WEIGHTS, METRICS, MADE_ON))
    change(*rebuilt)
    return compare(*zip((RECORD, WEIGHTS, METRICS, MADE_ON), rebuilt, strict=True))


def outs(stages, weights, metrics, made_on):
    stages["rank"]["outs"][0]["md5"] = "other"
    weights["rank/ranker.txt"] = "cc"
    metrics["all"]["nightmarket"]["ndcg@10"]["value"] += 1e-16 + 1e-15


def test_what_is_the_same_is_identical_and_says_how_much_was_compared():
    assert verdict().identical
    assert verdict().sentence == "identical: 2 outputs, 2 files of the package, 4 figures"


def test_every_difference_is_in_the_table_down_to_the_last_digit():
    comparison = verdict(outs)
    assert not comparison.identical
    assert comparison.rows() == [
        {"what": "output", "name": "artifacts/rank", "on record": "m", "rebuilt": "other"},
        {"what": "weights", "name": "rank/ranker.txt", "on record": "aa", "rebuilt": "cc"},
        {
            "what": "figure",
            "name": "all.nightmarket.ndcg@10.value",
            "on record": "0.4",
            "rebuilt": repr(0.4 + 1e-16 + 1e-15),
        },
    ]
    assert comparison.sentence.startswith("differs: 1 output, 1 weights, 1 figure of 2 outputs, 2 files of the package")


def test_a_stage_alone_is_not_deterministic_and_with_another_environment_that_is_named():
    assert "rank is the first to differ" in verdict(outs).cause
    assert "not deterministic" in verdict(outs).cause

    def both(stages, weights, metrics, made_on):
        outs(stages, weights, metrics, made_on)
        made_on["torch"] = "2.14.0"
        made_on["packages"]["numpy"] = "3.0"

    assert verdict(both).cause.endswith("and the environment is another: numpy, torch")


def test_another_environment_with_the_same_results_is_identical_and_still_shown():
    comparison = verdict(lambda stages, weights, metrics, made_on: made_on.update(threads=4))
    assert comparison.identical
    assert comparison.rows() == [{"what": "environment", "name": "threads", "on record": "2", "rebuilt": "4"}]


def test_what_only_one_side_knows_of_the_environment_is_not_compared():
    assert verdict(lambda stages, weights, metrics, made_on: made_on.pop("torch")).rows() == []


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        (
            lambda stage: stage["validate"]["deps"][1].update(md5="edited"),
            "validate worked on other code or data than the record says: tasks/validate.py",
        ),
        (
            lambda stage: stage["rank"]["params"]["params.yaml"]["rank"].update(seed=18),
            "rank worked with other parameters than the record says",
        ),
    ],
)
def test_other_code_or_parameters_come_before_the_environment(change, cause):
    def all_of_it(stages, weights, metrics, made_on):
        change(stages)
        outs(stages, weights, metrics, made_on)
        made_on["torch"] = "2.14.0"

    assert verdict(all_of_it).cause == cause


def test_an_earlier_stage_that_differs_is_the_cause_of_the_later_ones():
    def earlier(stages, weights, metrics, made_on):
        stages["validate"]["outs"][0]["md5"] = stages["rank"]["deps"][0]["md5"] = "w"
        outs(stages, weights, metrics, made_on)

    assert verdict(earlier).cause.startswith("validate is the first to differ")


def test_a_figure_or_file_that_is_gone_differs():
    def gone(stages, weights, metrics, made_on):
        del weights["rank/ranker.txt"]
        metrics["all"]["nightmarket"] = {}

    names = {row["name"]: row["rebuilt"] for row in verdict(gone).rows()}
    assert names["rank/ranker.txt"] == "missing"
    assert names["all.nightmarket.ndcg@10.low"] == "missing"
