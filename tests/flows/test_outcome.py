"""What a run says of itself where some figures are not there: on a task of which nobody could be judged."""

import pytest

from flows.engine.reporting import outcome
from nightmarket.reporting import words
from nightmarket.serving import card, figures
from tasks.files import catalogue
from tasks.registry import versions

NOBODY = {"value": None, "low": None, "high": None}
SOME = {"value": 0.25, "low": 0.125, "high": 0.375}


@pytest.fixture
def judged(tmp_path):
    """Somebody on one task, nobody on the other."""
    models = {"all": {"nightmarket": {"ndcg@10": SOME}, "popularity": {"ndcg@10": NOBODY}}}
    catalogue.METRICS.at(tmp_path).write({**models, "launch": {"nightmarket": {"ndcg@10": NOBODY}}})
    return tmp_path


def test_a_task_on_which_nobody_could_be_judged_is_in_no_message(judged):
    assert outcome.headline(judged) == [{"task": "all", "metric": "ndcg@10", **SOME}]
    assert outcome.table(judged) == [{"task": "all", "model": "nightmarket", **SOME}]
    assert outcome.commit_message("night-1", judged).splitlines()[2:] == ["all ndcg@10 0.2500 [0.1250, 0.3750]"]


def test_a_night_on_which_nobody_could_be_judged_has_no_metrics_yet(tmp_path):
    catalogue.METRICS.at(tmp_path).write({"all": {"nightmarket": {"ndcg@10": NOBODY}}})
    assert outcome.commit_message("night-1", tmp_path).endswith("no metrics yet")


def test_versions_cards_pictures_and_pages_leave_it_out():
    rows = [{"version": 1, "figures": {"all": SOME, "launch": NOBODY}}]
    assert "| 0.2500 [0.1250, 0.3750] |  |  |" in versions.quality(rows)
    table = card._figures({"metrics": {"all": {"ndcg@10": SOME}, "launch": {"ndcg@10": NOBODY}}})
    assert [row[0] for row in table] == ["task", "all"]
    bars = [{"task": "all", "model": "nightmarket", **SOME}, {"task": "launch", "model": "nightmarket", **NOBODY}]
    assert [axes.get_title() for axes in figures.ndcg_bars(bars).axes] == ["all"]
    assert words.interval(NOBODY) == "–"
    assert words.standing(NOBODY) == "level"
