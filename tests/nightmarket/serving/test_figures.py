import math
from datetime import date

from nightmarket.serving.figures import flatten_metrics, flatten_params


def test_params_become_dotted_names_and_lists_json():
    content = {"rank": {"seed": 17, "parts": ["a", "b"]}, "report": {}, "snapshot": {"folder": None, "source": "demo"}}
    assert flatten_params(content) == {
        "rank.parts": '["a", "b"]',
        "rank.seed": "17",
        "snapshot.folder": "null",
        "snapshot.source": "demo",
    }


def test_a_date_of_yaml_is_a_param_as_it_is_written():
    assert flatten_params({"snapshot": {"business_date": date(2025, 2, 24)}}) == {
        "snapshot.business_date": '"2025-02-24"'
    }


def test_metrics_become_names_that_a_registry_takes():
    content = {"all": {"nightmarket": {"ndcg@10": {"value": 0.4, "low": 0.3, "high": 0.5}}}, "text": {"no": "number"}}
    assert flatten_metrics(content) == (
        {
            "all.nightmarket.ndcg_at_10": 0.4,
            "all.nightmarket.ndcg_at_10.low": 0.3,
            "all.nightmarket.ndcg_at_10.high": 0.5,
        },
        [],
    )


def test_what_is_not_finite_is_left_out_and_named():
    flat, left_out = flatten_metrics({"a": {"value": math.nan}, "b": math.inf, "c": None, "d": 1})
    assert flat == {"d": 1.0}
    assert left_out == ["a.value", "b", "c"]
