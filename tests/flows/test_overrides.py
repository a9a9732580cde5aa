import pytest
from pydantic import Field

from flows.engine.run import overrides
from nightmarket.contracts import InputError
from tasks.pipeline import settings


class Rank(settings.StageSettings):
    num_leaves: int = Field(default=31, ge=2)
    weights: dict[str, float] = Field(default_factory=dict)


@pytest.fixture(autouse=True)
def rank_settings(monkeypatch):
    monkeypatch.setattr(settings, "settings_model", lambda name: Rank)


def test_an_override_replaces_one_value_and_leaves_the_rest():
    content = {"rank": {"num_leaves": 31, "weights": {"text": 1.0}}, "score": {"num_recommendations": 20}}
    changed = overrides.checked(content, {"rank.num_leaves": 63, "rank.weights.text": 0.5})
    assert changed == {"rank": {"num_leaves": 63, "weights": {"text": 0.5}}, "score": {"num_recommendations": 20}}
    assert content["rank"]["num_leaves"] == 31


@pytest.mark.parametrize(
    ("key", "value", "line"),
    [
        ("rank.num_leaves", "many", r"override: rank\.num_leaves: expected a whole number; found many"),
        ("rank.num_leaves", 1, r"override: rank\.num_leaves: must be at least 2; found 1"),
        ("rank.leaves", 63, r"override: rank\.leaves: unknown key; did you mean num_leaves\?"),
        ("ranking.num_leaves", 63, r"override 'ranking.num_leaves': unknown section 'ranking'; did you mean rank\?"),
        ("rank", 63, "override 'rank': name the key too"),
        ("rank.num_leaves.deep", 63, "override 'rank.num_leaves.deep': 'num_leaves' is a value"),
    ],
)
def test_a_wrong_override_fails_in_one_line_that_names_it(key, value, line):
    with pytest.raises(InputError, match=f"^{line}[^\n]*$"):
        overrides.checked({"rank": {"num_leaves": 31}}, {key: value})


def test_a_value_on_the_command_line_is_read_as_yaml():
    assert overrides.parse("rank.num_leaves=63") == ("rank.num_leaves", 63)
    assert overrides.parse("prepare.exclude=[FUEL, TOYS]") == ("prepare.exclude", ["FUEL", "TOYS"])
    assert overrides.parse("prepare.window_end=null") == ("prepare.window_end", None)


@pytest.mark.parametrize("text", ["rank.num_leaves", "rank.num_leaves=[", "=3"])
def test_an_assignment_that_cannot_be_read_is_refused(text):
    with pytest.raises(InputError, match="--set"):
        overrides.parse(text)
