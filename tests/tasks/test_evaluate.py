"""evaluate: figures in the promised shape, equal to those that one computes from the lists."""

import json
import math

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml

from nightmarket.evaluation.protocol import TASKS, targets
from nightmarket.ranking.baseline_lists import BASELINES
from nightmarket.ranking.model import recommend
from tasks.__main__ import main
from tasks.files.prepared import Prepared
from tasks.models import recommender

NAMES = {f"{m}@{k}" for m in ("ndcg", "recall", "hit", "mrr") for k in (10, 20)} | {"coverage@10", "novelty@10"}


@pytest.fixture(scope="module")
def metrics(whole_night):
    return json.loads((whole_night / "artifacts/evaluate/metrics.json").read_text())


def test_every_task_has_every_metric_with_an_ordered_interval(metrics):
    for task in TASKS:
        assert {"nightmarket", "nightmarket_plan"} <= set(metrics[task])
        for name, figures in metrics[task].items():
            assert set(figures) - {"audience_auc"} == ({"ndcg@10"} if name.startswith("text_") else NAMES)
            for metric, figure in figures.items():
                assert set(figure) - {"num_launches"} == {"value", "low", "high"}, metric
                assert all(math.isfinite(v) for v in figure.values())
                assert figure["low"] <= figure["value"] <= figure["high"]


def test_all_baselines_and_the_encoder_before_and_after_stand_beside_ours(metrics):
    assert {*BASELINES, "nightmarket", "text_before", "text_after"} <= set(metrics["all"])
    assert set(metrics["paired"]["all"]) == set(metrics["all"]) - {"nightmarket", "text_before", "text_after"}
    assert "affinity" in metrics["launch"]


def test_a_paired_difference_is_the_difference_of_the_values(metrics):
    for task in ("all", "new"):
        for name, figures in metrics["paired"][task].items():
            ours, theirs = metrics[task]["nightmarket"]["ndcg@10"], metrics[task][name]["ndcg@10"]
            assert figures["ndcg@10"]["value"] == pytest.approx(ours["value"] - theirs["value"], abs=1e-9)


def test_per_customer_figures_average_to_the_metric(metrics, whole_night):
    table = pq.read_table(whole_night / "artifacts/evaluate/per_customer.parquet").to_pandas()
    for task, part in table.groupby("task"):
        assert part["ndcg@10"].mean() == pytest.approx(metrics[task]["nightmarket"]["ndcg@10"]["value"], abs=1e-9)
        assert len(part) == metrics["num_customers"][task]


def test_the_ranker_beats_popularity_where_customers_have_habits(metrics):
    assert metrics["paired"]["all"]["popularity"]["ndcg@10"]["low"] > 0


def test_lists_hold_no_product_twice_and_new_ones_nothing_bought_before(whole_night, monkeypatch):
    monkeypatch.chdir(whole_night)
    data, model = Prepared(), recommender.load(whole_night / "artifacts/rank")
    window = data.windows.test
    candidate_set = recommender.candidate_set(model, data, whole_night / "artifacts/finetune", window)
    lists = recommend(model, candidate_set)[False]
    before = data.histories.until(window.cut)
    bought = set(zip(before.customer.tolist(), before.item.tolist(), strict=True))
    young = {"launch": set(candidate_set.launched.tolist()), "debut": set(data.launching(window).tolist())}
    for task, table in lists.items():
        for customer, row in enumerate(table):
            shown = row[row >= 0].tolist()
            assert len(shown) == len(set(shown))
            if task in ("new", "rare"):
                assert not {(customer, i) for i in shown} & bought
            if task == "rare":
                assert (candidate_set.statistics.buyers["ever"][shown] < 10).all()
            if task in young:
                assert set(shown) <= young[task]


def test_targets_of_launch_are_products_without_a_sale_before(whole_night, monkeypatch):
    monkeypatch.chdir(whole_night)
    data = Prepared()
    window = data.windows.test
    items = targets(data.histories, window)["debut"].items
    first = data.histories.first_days()[items]
    assert items.size
    assert (first > window.cut).all()
    assert set(np.unique(items).tolist()) == set(data.launching(window).tolist())


def test_the_encoder_is_measured_on_the_same_customers(metrics, whole_night):
    history = json.loads((whole_night / "artifacts/finetune/history.json").read_text())
    counted = history["test"]["num_customers"]
    assert counted == {task: metrics["num_customers"][task] for task in ("all", "new", "debut")}


def test_probabilities_are_judged_on_all_candidates(metrics):
    calibration = metrics["calibration"]
    assert 0 <= calibration["ece"] < 0.1
    assert calibration["num_pairs"] == sum(part["num_pairs"] for part in calibration["bins"])


def test_groups_are_told_for_what_is_bought_and_what_is_new(metrics):
    assert set(metrics["groups"]) == {"all", "new"}
    assert metrics["groups"]["all"]["against"] in BASELINES


def test_scorers_named_in_params_stand_in_the_comparison(copied_night):
    path = copied_night / "params.yaml"
    params = yaml.safe_load(path.read_text())
    params["evaluate"] |= {"scorers": ["cosine", "matrix_factorisation"], "scorer_steps": 3}
    path.write_text(yaml.safe_dump(params))
    assert main("evaluate") == 0
    by_task = json.loads((copied_night / "artifacts/evaluate/metrics.json").read_text())
    for task in TASKS:
        assert {"scorer_cosine", "scorer_matrix_factorisation"} <= set(by_task[task])


def test_an_unknown_scorer_is_one_line(copied_night, capsys):
    path = copied_night / "params.yaml"
    params = yaml.safe_load(path.read_text())
    params["evaluate"]["scorers"] = ["cosin"]
    path.write_text(yaml.safe_dump(params))
    assert main("evaluate") == 2
    err = capsys.readouterr().err.strip().splitlines()[-1]
    assert "cosin" in err
    assert "self_attentive" in err
