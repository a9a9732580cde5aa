"""A night that never began is told by a timer of its own, once."""

import datetime

import pytest

from flows.engine.reporting import heartbeat
from nightmarket.contracts import InputError

START = datetime.datetime(2026, 1, 2, 2, 0, tzinfo=datetime.UTC)


@pytest.fixture
def clock(monkeypatch):
    """A time that the test moves, in hours."""
    now = [START]
    monkeypatch.setattr(heartbeat, "_now", lambda: now[0])

    def move(hours):
        now[0] += datetime.timedelta(hours=hours)

    return move


@pytest.fixture
def home(tmp_path, monkeypatch, webhook):
    (tmp_path / "params.yaml").write_text("heartbeat:\n  hours: 26\n", encoding="utf-8")
    monkeypatch.setenv("NIGHTMARKET_WEBHOOK_URL", f"http://127.0.0.1:{webhook.server_port}/")
    return tmp_path


def test_a_silence_is_told_once_and_again_after_as_long_and_ends_with_the_next_start(home, clock, webhook, capsys):
    heartbeat.started(home, "nightly-20260102-020000")
    clock(25)
    assert heartbeat.from_terminal(home, []) == 0
    clock(2)
    assert [heartbeat.from_terminal(home, []) for _ in range(2)] == [1, 1]
    assert len(webhook.got) == 1
    assert "no night has started for 27.0 hours, since nightly-20260102-020000" in webhook.got[0]["text"]
    assert webhook.got[0]["champion"] == "none yet"
    clock(26)
    assert heartbeat.from_terminal(home, []) == 1
    assert len(webhook.got) == 2
    heartbeat.started(home, "nightly-20260104-070000")
    assert heartbeat.from_terminal(home, []) == 0
    assert len(webhook.got) == 2
    assert "nightly-20260104-070000 started 0.0 hours ago" in capsys.readouterr().out


def test_a_checkout_without_any_night_is_told_of_and_one_that_wants_no_word_is_not(home, clock, webhook):
    assert heartbeat.from_terminal(home, ["--hours", "3"]) == 1
    assert "no night has started in this checkout yet; 3 hours may pass" in webhook.got[0]["text"]
    with pytest.raises(InputError, match="--hours must be above 0; found 0"):
        heartbeat.from_terminal(home, ["--hours", "0"])
    (home / "params.yaml").write_text("heartbeat:\n  hours: null\n", encoding="utf-8")
    assert heartbeat.from_terminal(home, []) == 0
    assert len(webhook.got) == 1


def test_what_the_webhook_did_not_take_is_told_again(home, clock, webhook, monkeypatch):
    address = f"http://127.0.0.1:{webhook.server_port}/"
    monkeypatch.setenv("NIGHTMARKET_WEBHOOK_URL", "http://127.0.0.1:1/")
    assert heartbeat.from_terminal(home, []) == 1
    monkeypatch.setenv("NIGHTMARKET_WEBHOOK_URL", address)
    assert heartbeat.from_terminal(home, []) == 1
    assert len(webhook.got) == 1


@pytest.mark.prefect
def test_a_night_leaves_its_start(finished_project):
    project, _ = finished_project
    run = heartbeat._read(project.home / heartbeat.STARTED)["run"]
    assert f"refs/runs/{run}" in project.runs()
