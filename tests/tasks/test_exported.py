"""Exported campaigns know each other: limits hold over all, and whom one keeps back no other touches."""

import json
from collections import defaultdict
from datetime import date, timedelta

import pandas as pd
import pytest
import yaml

from nightmarket.contracts import InputError
from tasks.__main__ import main
from tasks.campaigns import export, exported
from tasks.files import storage
from tasks.privacy.pseudonyms import customer_keys


@pytest.fixture
def shop(copied_night):
    """The night as a checkout from which campaigns are exported; its source has no lists, so a ground is stated."""
    customer_keys()
    params = yaml.safe_load((copied_night / "params.yaml").read_text(encoding="utf-8"))
    params["plan"] |= {"consent": "told at purchase", "holdout": 0.3, "max_per_week": 2, "max_per_customer": 2}
    params["plan"]["channels"] = {"email": {"cost": 0.0}}
    (copied_night / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    return copied_night


def plan(shop, name, **changes):
    """The stage `plan` under a name: its rows and summary."""
    params = yaml.safe_load((shop / "params.yaml").read_text(encoding="utf-8"))
    params["plan"] |= {"name": name, **changes}
    (shop / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    assert main("plan") == 0
    out = shop / "artifacts/plan"
    return pd.read_parquet(out / "plan.parquet"), json.loads((out / "summary.json").read_text(encoding="utf-8"))


def send(shop, name):
    """Export the plan as it lies there: the receipt, who is contacted when, and who is kept back."""
    planned = shop / "artifacts/plan"
    folder = export.export(planned, shop, name, approved=export.digest(planned), receipt={}, excel=False)
    arms = pd.read_parquet(folder / "eligible.parquet")
    kept = {*arms["customer_id"][arms["arm"] == "holdout"], *pd.read_parquet(folder / "holdout.parquet")["customer_id"]}
    return json.loads((folder / "receipt.json").read_text()), pd.read_parquet(folder / "send.parquet"), kept


def most_in_a_week(*sent):
    """Most contacts of one customer in any seven days."""
    days = defaultdict(list)
    for table in sent:
        for customer, day in zip(table["customer_id"], table["day"], strict=True):
            days[customer].append(day)
    return max(sum(0 <= (later - first).days < 7 for later in its) for its in days.values() for first in its)


def as_of(shop):
    return date.fromisoformat(storage.read_json(shop / "artifacts/prepare/windows.json")["as_of"])


def test_three_campaigns_in_one_week_break_no_limit_and_touch_nobody_whom_another_keeps_back(shop):
    sent, kept, kept_before = [], set(), set()
    for name in ("spring", "summer", "autumn"):
        rows, summary = plan(shop, name, start=str(as_of(shop) + timedelta(len(sent))))
        assert set(summary["exported"]["known"]) == {path.name for path in (shop / "exports").glob("*")}
        receipt, table, held = send(shop, name)
        assert receipt["taken_out"]["contacts"] == 0, "the plan knew already"
        assert not set(table["customer_id"]) & kept, f"{name} contacts whom an earlier one keeps back"
        assert not set(rows["customer_id"]) & kept
        sent.append(table)
        kept_before, kept = kept, kept | held
    assert len(sent[0]) > 20
    assert most_in_a_week(sent[0]) == 2
    assert most_in_a_week(*sent) == 2
    assert kept_before


def test_of_two_plans_that_waited_side_by_side_the_later_export_gives_way(shop):
    plan(shop, "spring")
    waiting = shop / "waiting"
    (shop / "artifacts/plan").rename(waiting)
    (shop / "artifacts/plan").mkdir()
    plan(shop, "summer")
    _, first, held = send(shop, "summer")
    folder = export.export(waiting, shop, "spring", approved=export.digest(waiting), receipt={}, excel=False)
    second = pd.read_parquet(folder / "send.parquet")
    reasons = json.loads((folder / "receipt.json").read_text())["taken_out"]["reasons"]
    assert reasons["contact limit"] > 0
    assert reasons["kept back for another campaign"] > 0
    assert not set(second["customer_id"]) & {*held, *first["customer_id"]}
    assert not set(pd.read_parquet(folder / "eligible.parquet")["customer_id"]) & {*held, *first["customer_id"]}


def test_where_hold_outs_are_not_protected_the_plan_says_how_many_are_lost(shop):
    plan(shop, "spring")
    _, _, held = send(shop, "spring")
    rows, summary = plan(shop, "summer", protect_holdouts=None)
    lost = len(held & set(rows["customer_id"][rows["arm"] == "send"]))
    assert lost > 0
    assert f"{lost} of the {len(held)} customers whom the campaign spring keeps back are contacted" in summary["words"]


def test_the_hold_out_of_a_campaign_is_free_again_when_its_outcome_is_in(shop):
    start = as_of(shop)
    plan(shop, "spring", days=3)
    _, _, held = send(shop, "spring")
    rows, _ = plan(shop, "later", start=str(start + timedelta(2 + 29)), days=7)
    assert held & set(rows["customer_id"])
    rows, _ = plan(shop, "sooner", start=str(start + timedelta(2 + 28)), days=7)
    assert not held & set(rows["customer_id"])


def test_an_exported_contact_counts_once_when_the_log_has_it_and_not_where_the_log_of_its_campaign_does_not(shop):
    plan(shop, "spring", days=3)
    _, sent, _ = send(shop, "spring")
    customers = pd.read_parquet("artifacts/prepare/customers.parquet")

    class Nights:
        time_zone = "Asia/Shanghai"
        as_of = str(max(sent["day"]) + timedelta(1))

    def days():
        return exported.earlier(customers, Nights, date.fromisoformat(Nights.as_of), 7, 28, shop)

    before = days()
    assert before.counted == len(sent)
    assert sum(map(len, before.days.values())) >= len(sent)
    exposures = "artifacts/validate/clean/exposures.parquet"
    noon = pd.to_datetime(sent["day"]) + pd.Timedelta(hours=4)
    template = pd.read_parquet(exposures).iloc[[0]]
    log = template.loc[template.index.repeat(len(sent))].assign(
        customer_id=sent["customer_id"].to_numpy(), campaign_id="another", timestamp=noon.to_numpy()
    )
    earlier = pd.read_parquet(exposures)
    pd.concat([earlier, log]).to_parquet(exposures)
    same_days = days()
    assert (same_days.counted, same_days.days) == (0, before.days)
    pd.concat([earlier, log.assign(campaign_id="spring").iloc[:1]]).to_parquet(exposures)
    assert days().counted == 0
    assert sum(map(len, days().days.values())) == sum(map(len, before.days.values())) - len(sent) + 1


def test_an_export_whose_files_are_gone_stops_the_next_plan_in_one_line(shop):
    plan(shop, "spring")
    send(shop, "spring")
    (shop / "exports/spring/send.parquet").unlink()
    with pytest.raises(InputError, match=r"exports/spring: send\.parquet is gone") as error:
        exported.exported(shop)
    assert "\n" not in str(error.value)
