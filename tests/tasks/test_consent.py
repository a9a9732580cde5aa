"""Consent is a hard limit: whom the tables, or the lists at the moment of an export, do not clear is in no file."""

import datetime
import json
import pathlib

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv as pcsv
import pyarrow.parquet as pq
import pytest
import yaml

from nightmarket.contracts import InputError
from nightmarket.delivery import consent
from tasks.__main__ import main
from tasks.campaigns import export
from tasks.files import storage
from tasks.privacy.pseudonyms import Pseudonyms, customer_keys, forget

DAY = datetime.date(2024, 3, 1)
CHANNELS = ("email", "sms")
PLANTED = {
    "unsubscribed": "suppressed", "said no": "no consent", "silent": "no consent", "unreachable": "not reachable",
    "child": "too young", "objected": "objected to profiling", "forgotten": "suppressed", "deleted": "no consent",
    "dropped in": "suppressed",
}  # fmt: skip
"""What happens to a customer between approval and export → the reason that the receipt counts."""


@pytest.fixture
def shop(tmp_path, monkeypatch):
    """A checkout with 60 customers in a folder of tables, all of whom may be contacted, and nobody suppressed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NIGHTMARKET_HOME", raising=False)
    (tmp_path / "params.yaml").write_text(
        yaml.safe_dump({"snapshot": {"source": "folder", "folder": "tables", "time_zone": "Europe/Berlin"}})
    )
    (tmp_path / "tables").mkdir()
    write_customers(tmp_path)
    write_suppressions(tmp_path, [])
    return tmp_path


def own(number):
    return f"{number:04d}"


def pseudonyms(numbers):
    return Pseudonyms(customer_keys())(pa.array([own(number) for number in numbers])).to_pylist()


def write_customers(home, num=60, without=(), **changes):
    """customers.csv as a shop exports it; changes: {column: {customer: value}}"""
    columns = {"consent_email": "Yes", "Consent SMS": "1", "reachable_email": "true", "birth_year": "1980"}
    rows = [number for number in range(num) if number not in without]
    table = {"customer_id": [own(number) for number in rows]}
    for name, usual in columns.items():
        changed = changes.get(name.lower().replace(" ", "_"), {})
        table[name] = [changed.get(number, usual) for number in rows]
    pcsv.write_csv(pa.table(table), home / "tables/customers.csv")


def write_suppressions(home, rows, place="tables"):
    """(customer, channel, reason) as suppressions.csv."""
    (home / place).mkdir(exist_ok=True)
    lines = [",".join(row) for row in [("customer_id", "channel", "from", "reason"), *rows]]
    (home / place / "suppressions.csv").write_text("\n".join(lines) + "\n")


def planned(home, num=60, **said):
    """A plan that sends to three of four customers on both channels, approved."""
    folder = home / "planned"
    folder.mkdir(exist_ok=True)
    customer = np.repeat(pseudonyms(range(num)), 2).tolist()
    arm = np.where(np.arange(num) % 4 == 0, "holdout", "send").tolist()
    size = len(customer)
    columns = {
        "customer_id": customer, "segment": ["1"] * size, "offer": ["a tenth off"] * size,
        "offer_kind": ["discount"] * size, "channel": list(CHANNELS) * num, "day": pa.array([DAY] * size),
        "slot": ["9-12"] * size, "probability": [0.1] * size, "expected_value": [1.0] * size, "cost": [0.1] * size,
        "expected_profit": [0.9] * size, "propensity": [0.75] * size, "arm": np.repeat(arm, 2).tolist(),
    }  # fmt: skip
    storage.write_table(pa.table(columns), folder / "plan.parquet")
    storage.write_table(pa.table({"customer_id": customer[::2], "arm": arm}), folder / "eligible.parquet")
    about = {"known": True, "listed": True, "ground": "", "min_age": 18, "channels": list(CHANNELS)}
    storage.write_json({"num_sent": 45, "consent": about | said}, folder / "summary.json")
    return folder


def exported(home, folder, name="spring"):
    target = export.export(folder, home, name, approved=export.digest(folder), receipt={}, excel=False)
    return target, json.loads((target / "receipt.json").read_text())


def reached(target):
    """Every customer named in any file of an export."""
    names = set()
    for path in target.iterdir():
        if path.suffix == ".parquet":
            names |= set(pq.read_table(path)["customer_id"].to_pylist())
        if path.suffix == ".csv":
            names |= set(pcsv.read_csv(path)["customer_id"].to_pylist())
    return names


def named_in(folder, customers):
    """{file: kinds of customers whose name is in it}, where there are any."""
    kinds = {}
    for path in folder.iterdir():
        content = path.read_bytes()
        if path.suffix == ".parquet":
            content += repr(pq.read_table(path).to_pydict()).encode()
        kinds[path.name] = [kind for kind, name in customers.items() if name.encode() in content]
    return {file: named for file, named in kinds.items() if named}


def test_a_plan_goes_out_whole_where_nobody_withdrew(shop):
    target, receipt = exported(shop, planned(shop))
    assert receipt["taken_out"] == {"contacts": 0, "customers": 0, "reasons": {}}
    assert receipt["files"]["send.csv"]["rows"] == 90
    assert receipt["lists"] == {
        "customers.csv": {"rows": 60, "of_the_plan": 60},
        "suppressions.csv": {"rows": 0, "of_the_plan": 0},
    }
    assert reached(target) == set(pseudonyms(range(60)))


def test_one_customer_of_each_kind_who_withdrew_after_the_approval_is_in_no_file(shop):
    folder = planned(shop)
    who = dict(zip(PLANTED, (1, 2, 3, 5, 6, 7, 9, 10, 11), strict=True))  # all are sent to
    write_suppressions(
        shop, [(own(who["unsubscribed"]), "", "", "unsubscribed"), (own(who["objected"]), "", "", "Art. 21")]
    )
    write_customers(
        shop, without=[who["deleted"]],
        consent_email={who["said no"]: "nein", who["silent"]: ""},
        consent_sms={who["said no"]: "perhaps", who["silent"]: "N/A", who["unreachable"]: "false"},
        reachable_email={who["unreachable"]: "0"},
        birth_year={who["child"]: str(datetime.date.today().year - 18)},
    )  # fmt: skip
    write_suppressions(shop, [(own(who["dropped in"]), "mailing", "", "")], ".nightmarket")
    forget(pseudonyms([who["forgotten"]]), "2024-03-01")
    target, receipt = exported(shop, folder)
    gone = dict(zip(who, pseudonyms(who.values()), strict=True))
    assert not {kind for kind, name in gone.items() if name in reached(target)}
    assert named_in(target, gone) == {}
    taken_out = receipt["taken_out"]
    assert (taken_out["contacts"], taken_out["customers"]) == (18, 9)
    reasons = list(PLANTED.values())
    counted = {reason: reasons.count(reason) for reason in reasons}
    counted["no consent"] += 1  # who is out of reach by e-mail has no consent for sms
    assert taken_out["reasons"] == counted


@pytest.mark.slow
def test_a_list_that_changes_between_approval_and_export_is_followed_each_time(shop):
    """50 times some unsubscribe of a channel or of all, in the shop's table or beside it, or take consent back."""
    folder, rng = planned(shop), np.random.default_rng(5)
    every, taken = np.array(pseudonyms(range(60))), 0
    for number in range(50):
        left = rng.choice(60, 9, replace=False)
        channel = rng.choice(["", "email", "SMS", "e-mail"], 6)
        rows = [(own(who), name, "", "unsubscribed") for who, name in zip(left, channel, strict=False)]
        write_suppressions(shop, rows[:3])
        by_name = [(every[who], *row[1:]) if who % 2 else row for who, row in zip(left[3:6], rows[3:], strict=True)]
        write_suppressions(shop, by_name, ".nightmarket")
        write_customers(shop, consent_email=dict.fromkeys(left[6:], "0"))
        target, receipt = exported(shop, folder, f"c{number}")
        closed = {(every[who], way) for who, name in zip(left, channel, strict=False) for way in CHANNELS
                  if not name or name.lower().replace("-", "") == way}  # fmt: skip
        closed |= {(every[who], "email") for who in left[6:]}
        sent = pq.read_table(target / "send.parquet")
        held = pq.read_table(target / "holdout.parquet")
        out = {*zip(sent["customer_id"].to_pylist(), sent["channel"].to_pylist(), strict=True)}
        kept = {*zip(held["customer_id"].to_pylist(), held["channel"].to_pylist(), strict=True)}
        assert not closed & (out | kept)
        assert len(out) + len(kept) == 120 - len(closed), "nobody else is taken out"
        assert receipt["taken_out"]["contacts"] == 90 - len(out)
        taken += receipt["taken_out"]["contacts"]
    assert taken > 200


def test_a_list_that_is_gone_or_cannot_be_read_stops_the_export(shop):
    folder = planned(shop)
    (shop / "tables/suppressions.csv").unlink()
    with pytest.raises(InputError, match="suppressions is gone, and the plan was made with it"):
        exported(shop, folder)
    write_suppressions(shop, [])
    pcsv.write_csv(pa.table({"customer_id": [own(1)], "age": ["33"]}), shop / "tables/customers.csv")
    with pytest.raises(InputError, match="customers has no column of consent any more"):
        exported(shop, folder)
    (shop / "tables").rename(shop / "elsewhere")
    with pytest.raises(InputError, match="there is no folder"):
        exported(shop, folder)
    assert not (shop / "exports").exists()


def test_nothing_is_exported_without_consent_or_a_stated_ground(shop):
    (shop / "params.yaml").write_text("snapshot: {source: demo}")
    with pytest.raises(InputError, match="the tables know no consent, and no ground is stated"):
        exported(shop, planned(shop, known=False, listed=False, ground=" "))
    folder = planned(shop, known=False, listed=False, ground="existing customers, told at purchase")
    assert exported(shop, folder)[1]["taken_out"]["contacts"] == 0
    storage.write_json({"num_sent": 45}, folder / "summary.json")
    with pytest.raises(InputError, match="does not say whom it may contact"):
        exported(shop, folder, "summer")


def test_words_of_a_plan_say_how_many_are_not_contacted_and_why():
    codes = np.array([[0, 4], [4, 4], [1, 1], [3, 3], [0, 0]], np.int8)
    said = consent.permission(codes, CHANNELS) | {"known": True, "ground": ""}
    assert said["num_out"] == 3
    assert consent.words(said) == [
        "Not contacted: 1 who objected to profiling, 1 too young, 1 without email consent, 2 without sms consent; "
        "3 customers are left out on every channel."
    ]


@pytest.mark.slow
def test_one_customer_of_each_kind_in_a_shop_s_own_tables_is_in_no_file_of_plan_and_export(copied_night):
    customers = pq.read_table("tables/customers.parquet").to_pandas()
    bought = pq.read_table("tables/events.parquet")["customer_id"].unique().to_pylist()
    kinds = ("no consent", "silent", "perhaps", "not yet", "unreachable", "young", "unsubscribed", "objected")
    who = dict(zip(kinds, bought, strict=False))
    of = {name: customers["customer_id"] == customer for name, customer in who.items()}
    answers = np.full(len(customers), "Ja", object)
    answers[of["no consent"]], answers[of["silent"]], answers[of["perhaps"]] = "Nein", None, "vielleicht"
    told = customers.assign(
        **{"Consent Email": answers, "reachable_email": np.where(of["unreachable"], 0, 1)},
        consent_email_at=np.where(of["not yet"], "2099-01-01", "2023-05-04 10:00"),
        birth_year=np.where(of["young"], 2020, 1980),
    )
    told.to_parquet("tables/customers.parquet")
    listed = {"Customer ID": [who["unsubscribed"], who["objected"]], "reason": ["complained", "no profiling"]}
    pq.write_table(pa.table(listed), "tables/suppressions.parquet")
    for stage in ("snapshot", "validate", "prepare", "plan"):
        assert main(stage) == 0
    home = pathlib.Path.cwd()
    closed = storage.read_json(home / "artifacts/plan/summary.json")["consent"]["closed"]
    assert {row["reason"]: row["customers"] for row in closed} == {
        "no consent": 4, "not reachable": 1, "too young": 1, "suppressed": 1, "objected to profiling": 1
    }  # fmt: skip
    gone = dict(zip(who, Pseudonyms(customer_keys())(pa.array([*who.values()])).to_pylist(), strict=True))
    sent = pq.read_table("artifacts/plan/plan.parquet", filters=[("arm", "=", "send")])["customer_id"].to_pylist()
    assert named_in(home / "artifacts/plan", gone) == {}
    gone["unsubscribed after the plan"] = sent[0]
    assert set(named_in(home / "artifacts/plan", gone)) == {"plan.parquet", "eligible.parquet"}
    (home / ".nightmarket/suppressions.csv").write_text(f"customer_id\n{sent[0]}\n")
    target, receipt = exported(home, home / "artifacts/plan")
    assert receipt["taken_out"]["reasons"] == {"suppressed": 1}
    assert named_in(target, gone) == {}


def write_deliveries(home, rows):
    """(customer, channel, sent, bounced, unsubscribed, complained) as deliveries.csv."""
    header = ("customer_id", "channel", "sent", "Bounced", "unsubscribed", "complained")
    lines = [",".join(row) for row in [header, *rows]]
    (home / "tables/deliveries.csv").write_text("\n".join(lines) + "\n")


def test_what_a_mail_tool_gave_back_closes_the_channel_at_the_export(shop):
    folder = planned(shop)
    rows = [
        (own(1), "", "2025-01-01 10:00", "hard", "", ""),  # out of reach by e-mail
        (own(2), "email", "2025-02-01 10:00", "no", "", ""),  # reached again after a bounce
        (own(2), "email", "2025-01-01 10:00", "2025-01-01 10:05", "", ""),
        (own(3), "sms", "2025-01-01 10:00", "0", "2025-01-03", ""),  # no sms any more, whatever comes later
        (own(3), "sms", "2025-01-09 10:00", "0", "", ""),
        (own(5), "email", "2025-01-01 10:00", "soft", "no", "spam"),
        (own(6), "email", "2025-01-01 10:00", "soft", "no", "no"),
    ]
    write_deliveries(shop, rows)
    target, receipt = exported(shop, folder)
    assert receipt["taken_out"] == {"contacts": 3, "customers": 3, "reasons": {"suppressed": 2, "not reachable": 1}}
    assert receipt["lists"]["deliveries.csv"] == {"rows": 7, "of_the_plan": 7}
    table = pd.read_csv(target / "send.csv")
    channels = table.groupby("customer_id")["channel"].apply(set).to_dict()
    names = pseudonyms(range(7))
    assert [channels[names[who]] for who in (1, 2, 3, 5, 6)] == [
        {"sms"}, {"email", "sms"}, {"email"}, {"sms"}, {"email", "sms"}
    ]  # fmt: skip


def test_a_plan_that_knew_deliveries_is_not_exported_without_them(shop):
    with pytest.raises(InputError, match="deliveries is gone, and the plan was made with it"):
        exported(shop, planned(shop, delivered=True))


def test_the_night_reads_deliveries_and_counts_whom_they_close(shop):
    customers = pd.DataFrame({"customer_id": ["a", "b", "c"]})
    deliveries = pd.DataFrame(
        {"customer_id": ["a", "b", "z"], "bounced": ["yes", None, "yes"], "unsubscribed": [None, "yes", None]}
    )
    today = datetime.date(2025, 6, 1)
    facts = consent.contact_facts(customers, None, CHANNELS, datetime.datetime(2025, 6, 1), today, deliveries)
    assert facts.reach.tolist() == [[False, True], [True, True], [True, True]]
    assert facts.suppressed.tolist() == [[False, False], [True, False], [False, False]]
