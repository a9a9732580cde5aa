"""Offers at the moment of a visit: caps, hold-outs and consent hold, and no number of processes overspends."""

import multiprocessing
import os
import sqlite3
from contextlib import closing
from datetime import date, timedelta

import pyarrow as pa
import pytest

from nightmarket.histories.calendar import day_of
from tasks.campaigns import control, export, stopping
from tasks.files import storage
from tasks.live import campaigns, log
from tasks.live.campaigns import PlannedOffer, RunningCampaign
from tasks.live.log import LiveLog
from tasks.live.offers import OfferDesk, OfferQuestion

DAY = date(2026, 3, 2)
HOUR = 3_600_000_000


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NIGHTMARKET_HOME", raising=False)
    (tmp_path / "params.yaml").write_text("snapshot: {source: demo}")


def campaign(planned, budget=100.0, name="spring", days=4, per_customer=2, per_week=2):
    return RunningCampaign(name, "site", DAY, DAY + timedelta(days - 1), budget, per_customer, per_week, {}, planned)


def question(customer, id=b"1", day=DAY, hour=12.0, channel="site", at=None):
    at = day_of(day) * 24 * HOUR + int(hour * HOUR) if at is None else at
    return OfferQuestion(id, (customer,), channel, at, day, hour, 1)


def contact(offer="ten", day=DAY, value=5.0, cost=1.0):
    return PlannedOffer(offer, day, value, cost, 0.9)


@pytest.fixture
def desk():
    with closing(LiveLog()) as live:
        yield OfferDesk(live)


def test_a_contact_is_made_once_from_its_day_on_and_the_same_under_the_same_id(desk):
    desk.campaigns = [campaign({"ada": (contact(day=DAY + timedelta(1)),)})]
    assert desk.decide(question("ada")) is None
    assert desk.decide(question("bob", b"0", DAY + timedelta(1))) is None
    made = desk.decide(question("ada", b"2", DAY + timedelta(2)))
    assert (made.campaign, made.offer, made.cost, made.propensity, made.day) == (
        "spring",
        "ten",
        1.0,
        0.9,
        day_of(DAY) + 2,
    )
    assert desk.decide(question("ada", b"2", DAY + timedelta(3))) == made
    assert desk.decide(question("ada", b"3", DAY + timedelta(3))) is None
    for other in (question("bob", b"2"), question("ada", b"2", channel="email")):
        with pytest.raises(KeyError):
            desk.decide(other)


def test_limits_of_a_customer_hold_over_campaigns_and_days(desk):
    rows = tuple(contact(day=DAY + timedelta(at)) for at in range(4))
    desk.campaigns = [campaign({"ada": rows}), campaign({"ada": rows}, name="other")]
    made = [desk.decide(question("ada", bytes([at]), DAY + timedelta(at // 2), 9 + at % 2)) for at in range(8)]
    assert [row is not None for row in made] == [True, False, True, False, False, False, False, False]
    desk.campaigns = [
        campaign({"eve": rows}, name="one", per_customer=1),
        campaign({"eve": rows}, name="two", per_week=9),
    ]
    made = [desk.decide(question("eve", bytes([9, at]), DAY + timedelta(at))) for at in range(3)]
    assert [row and row.campaign for row in made] == ["one", "two", "two"]


def test_a_budget_is_spent_on_what_is_worth_most_through_the_day_and_never_beyond(desk):
    planned = {f"c{at}": (contact(value=10.0 if at % 4 == 0 else 1.0),) for at in range(400)}
    desk.campaigns = [campaign(planned, budget=100.0, days=1)]
    made = [desk.decide(question(f"c{at}", at.to_bytes(4, "big"), hour=at * 24 / 400)) for at in range(400)]
    served = [row for row in made if row is not None]
    assert sum(row.cost for row in served) <= 100
    assert sum(row.value == 10 for row in served) >= 80
    assert len([row for row in served if row.hour >= 18]) >= 15  # the evening is not sold out


def test_who_was_kept_waiting_for_money_is_asked_again_after_an_hour(desk):
    desk.campaigns = [campaign({"ada": (contact(value=-1.0),)})]
    for id, at in ((b"1", 0), (b"2", HOUR // 2), (b"3", 2 * HOUR)):
        assert desk.decide(question("ada", id, at=at)) is None
    with sqlite3.connect(log.path()) as reading:
        assert [row[0] for row in reading.execute("select at from offers")] == [0, 2 * HOUR]


def ask_all(number, planned, budget, fault):
    if fault:
        os.environ[storage.FAULT] = fault
    with closing(LiveLog(patience_s=30)) as live, open(f"told-{number}", "w") as told:
        desk = OfferDesk(live, [campaign(planned, budget, days=1)])
        for at in range(number, len(planned), 3):
            row = desk.decide(question(f"c{at}", f"{number}-{at}".encode(), hour=at * 24 / len(planned)))
            told.write(f"{number}-{at} {row is not None}\n")
            told.flush()


@pytest.mark.distributed
def test_workers_at_the_same_time_one_of_which_is_killed_never_spend_more_and_lose_nothing(tmp_path):
    planned = {f"c{at}": (contact(value=2.0, cost=0.7),) for at in range(150)}
    LiveLog().close()
    spawn = multiprocessing.get_context("spawn")
    faults = ("", "live.written:20:kill", "live.committed:15:kill")
    workers = [spawn.Process(target=ask_all, args=(at, planned, 20.0, fault)) for at, fault in enumerate(faults)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0, -9, -9]
    with sqlite3.connect(log.path()) as reading:
        rows = dict(reading.execute("select id, served from offers").fetchall())
        spent = reading.execute("select sum(cost) from offers where served").fetchone()[0]
    assert 10 < spent <= 20
    for number in range(3):
        for line in (tmp_path / f"told-{number}").read_text().splitlines():
            id, served = line.split()
            assert (rows.get(id.encode()) == 1) == (served == "True")
    for number in (1, 2):
        ask_all(number, planned, 20.0, "")
    with sqlite3.connect(log.path()) as reading:  # asked again, what was lost is decided, what was decided is the same
        again = dict(reading.execute("select id, served from offers").fetchall())
        assert reading.execute("select sum(cost) from offers where served").fetchone()[0] <= 20
    assert {id: again[id] for id in rows} == rows


def exported(folder, name="spring", day=DAY, **changes):
    """A campaign as an export leaves it: ada and bob are contacted, cy is kept back."""
    planned = folder / f"planned-{name}"
    planned.mkdir()
    columns = {
        "customer_id": ["ada", "bob", "cy"], "channel": ["site"] * 3, "day": pa.array([day] * 3), "slot": ["9-12"] * 3,
        "offer": ["ten"] * 3, "offer_kind": ["discount"] * 3, "segment": ["a"] * 3, "probability": [0.1] * 3,
        "expected_value": [2.0] * 3, "cost": [0.5] * 3, "expected_profit": [1.5] * 3, "propensity": [0.9, 0.9, 0.1],
        "arm": ["send", "send", "holdout"],
    }  # fmt: skip
    storage.write_table(pa.table(columns | changes), planned / "plan.parquet")
    arms = {"customer_id": (columns | changes)["customer_id"], "arm": ["send", "send", "holdout"]}
    arms |= {"arm": (columns | changes)["arm"]}
    storage.write_table(pa.table(arms), planned / "eligible.parquet")
    ground = {
        "known": False,
        "listed": False,
        "ground": "told at purchase",
        "min_age": 18,
        "channels": ["site", "email"],
    }
    asked = {"start": day.isoformat(), "days": 4, "goal": "profit", "max_per_customer": 2, "max_per_week": 2}
    offer = {"name": "ten", "kind": "discount", "called": {"en": "shoes"}, "customer_terms": {"percent": 10}}
    known = {"known": [], "protect_days": 28}
    summary = {"consent": ground, "campaign": asked, "offers": [offer], "exported": known}
    storage.write_json(summary, planned / "summary.json")
    export.export(planned, folder, name, approved=export.digest(planned), receipt={"approved_by": "Li"}, excel=False)


def test_what_runs_is_what_was_exported_and_consent_is_asked_again(tmp_path):
    exported(tmp_path)
    [running], problems = campaigns.running(tmp_path, DAY + timedelta(3))
    assert problems == []
    assert (running.budget, running.last, running.offers["ten"]["terms"]) == (1.0, DAY + timedelta(3), {"percent": 10})
    assert running.planned == {name: (PlannedOffer("ten", DAY, 2.0, 0.5, 0.9),) for name in ("ada", "bob")}
    for day in (DAY - timedelta(1), DAY + timedelta(4)):
        assert campaigns.running(tmp_path, day) == ([], [])
    (tmp_path / ".nightmarket/suppressions.csv").write_text("customer_id,channel,reason\nada,site,unsubscribed\n")
    [running], _ = campaigns.running(tmp_path, DAY)
    assert list(running.planned) == ["bob"]
    assert running.budget == 1.0


def test_a_campaign_that_was_taken_back_is_offered_to_nobody(tmp_path):
    exported(tmp_path)
    assert campaigns.running(tmp_path, DAY)[0]
    stopping.stop(tmp_path, "spring", "Li", "wrong price")
    assert campaigns.running(tmp_path, DAY) == ([], [])


def test_whom_the_control_group_holds_is_made_nothing(tmp_path):
    exported(tmp_path)
    (tmp_path / "params.yaml").write_text("snapshot: {source: demo}\nplan: {control: {share: 0.5}}")
    [running], _ = campaigns.running(tmp_path, DAY)
    assert set(running.planned) == {"ada", "bob"} - control.inside(tmp_path, {"ada", "bob"})
    assert len(running.planned) < 2


def test_a_campaign_that_cannot_be_read_is_not_offered_and_says_why(tmp_path):
    exported(tmp_path)
    exported(tmp_path, "broken")
    (tmp_path / "exports/broken/send.parquet").write_bytes(b"PAR1")
    runs, problems = campaigns.running(tmp_path, DAY)
    assert "spring" not in {running.name for running in runs}  # nobody knows whom the broken one contacts
    assert any(problem.startswith("broken: ") for problem in problems)
