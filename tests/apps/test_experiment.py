"""The site's experiment: who is in which arm, what the arm gives, and that the log says so."""

import asyncio
import sqlite3
import time
from collections import Counter

import pytest
from pydantic import ValidationError

from apps.api.routes import recommended
from apps.api.schemas import RecommendationRequest
from nightmarket.evaluation.experiments.assignment import Arms, assign
from tasks.live import log
from tasks.pipeline.settings import SiteExperiment
from tasks.privacy.pseudonyms import customer_keys
from tests.apps.small import small_site

ARMS = {"night": {"share": 0.25, "best": "nightly"}, "live": {"share": 0.75}}
EXPERIMENT = SiteExperiment.model_validate({"name": "live or night", "arms": ARMS})


@pytest.fixture
def site(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NIGHTMARKET_HOME", raising=False)
    made = small_site(tmp_path, EXPERIMENT)
    yield made
    made.writer.stop()


def ask(site, **asked):
    return asyncio.run(recommended(site, f"r{time.monotonic_ns()}", RecommendationRequest(**asked)))


def test_a_visitor_is_always_in_the_arm_of_the_stable_hash_and_gets_what_it_says(site):
    names = [f"c{number}" for number in range(60)]
    answers = {name: ask(site, customer_id=name, count=2) for name in names}
    hashed = [site.visitors.customer(name).present for name in names]
    planned = assign(hashed, Arms("live or night", {"night": 0.25, "live": 0.75}), customer_keys()[0]).arm
    assert [answers[name].arm for name in names] == planned.tolist()
    steps = {(answer.arm, answer.step) for answer in answers.values()}
    assert steps == {("night", "popular"), ("live", "reranked")}
    assert ask(site, customer_id="c1", session_id="s").arm == answers["c1"].arm
    visits = Counter(ask(site, session_id=f"s{number}", log=False).arm for number in range(200))
    assert 25 <= visits["night"] <= 80
    assert ask(site).arm is None  # nobody to be dealt


def test_lists_are_logged_with_the_arm(site):
    arm = ask(site, customer_id="c7").arm
    site.writer.stop()
    with sqlite3.connect(log.path()) as reading:
        assert reading.execute("select distinct arm from lists").fetchall() == [(arm,)]


def test_a_question_for_less_than_the_arm_gives_keeps_what_it_asks(site):
    live = next(name for name in "abcdefgh" if ask(site, customer_id=name, log=False).arm == "live")
    assert ask(site, customer_id=live, best="popular", log=False).step == "popular"


def test_shares_that_are_not_whole_are_refused():
    with pytest.raises(ValidationError, match=r"arms: their shares sum to 0\.5; make it 1"):
        SiteExperiment.model_validate({"name": "x", "arms": {"a": {"share": 0.25}, "b": {"share": 0.25}}})
