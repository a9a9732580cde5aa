"""The universal control group: no campaign contacts it, and what the contacts bring is read off it."""

import json
import shutil
from datetime import date

import numpy as np
import pandas as pd
import pytest
import yaml

from nightmarket.delivery.control import in_control
from tasks.__main__ import main
from tasks.campaigns import export
from tasks.files import storage
from tasks.privacy.pseudonyms import customer_keys


@pytest.fixture
def shop(copied_night):
    """The night as a checkout from which campaigns are exported."""
    customer_keys()
    change(copied_night, consent="told at purchase", channels={"email": {"cost": 0.0}})
    return copied_night


def change(folder, **plan):
    params = yaml.safe_load((folder / "params.yaml").read_text(encoding="utf-8"))
    params["plan"] = params.get("plan", {}) | plan
    (folder / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")


def planned(folder, **changes):
    change(folder, **changes)
    assert main("plan") == 0
    out = folder / "artifacts/plan"
    return pd.read_parquet(out / "plan.parquet"), json.loads((out / "summary.json").read_text(encoding="utf-8"))


def test_no_plan_touches_the_group_whatever_its_name_and_each_says_how_many_are_left_alone(shop):
    ids = pd.read_parquet("artifacts/prepare/customers.parquet").customer_id.to_numpy()
    group = set(ids[in_control(ids.tolist(), 0.25)])
    assert 0 < len(group) < len(ids)
    rows, summary = planned(shop, name="spring")
    assert set(rows.customer_id) & group, "there is none by default"
    assert summary["control"]["share"] == 0
    assert "control group" not in summary["words"]
    everybody = summary["num_eligible"]
    for name in ("spring", "summer"):
        rows, summary = planned(shop, name=name, control={"share": 0.25})
        assert len(rows)
        assert not set(rows.customer_id) & group, "neither sent to nor kept back"
        assert not set(pd.read_parquet("artifacts/plan/eligible.parquet").customer_id) & group
        assert summary["control"]["num"] == len(group)
        assert summary["num_eligible"] == everybody - summary["control"]["num_left_alone"]
        alone = summary["control"]["num_left_alone"]
        assert f"{alone} customers are left alone: they are in the permanent control group" in summary["words"]
        assert "plan.control.since" in summary["words"]
    larger = set(ids[in_control(ids.tolist(), 0.5)])
    assert group < larger


def test_a_plan_made_before_there_was_a_group_is_exported_without_it(shop):
    rows, _ = planned(shop, name="spring")
    shutil.copy(shop / "params.yaml", shop / "before.yaml")
    change(shop, control={"share": 0.3})
    out = shop / "artifacts/plan"
    folder = export.export(out, shop, "spring", approved=export.digest(out), receipt={}, excel=False)
    names = {
        *pd.read_parquet(folder / "send.parquet").customer_id,
        *pd.read_parquet(folder / "holdout.parquet").customer_id,
    }
    names |= set(pd.read_parquet(folder / "eligible.parquet").customer_id)
    group = {name for name in rows.customer_id if in_control([name], 0.3)[0]}
    assert group
    assert names == set(rows.customer_id) - group
    taken_out = json.loads((folder / "receipt.json").read_text())["taken_out"]
    assert taken_out["reasons"] == {"control group": len(group & set(rows.customer_id[rows.arm == "send"]))}


def test_a_share_that_cannot_be_is_refused_by_its_key(shop, capsys):
    change(shop, control={"share": 0.9})
    assert main("plan") == 2
    assert ": plan.control.share: " in capsys.readouterr().err


def test_whole_quarters_since_the_group_is_held_are_read_out(shop):
    windows = storage.read_json(shop / "artifacts/prepare/windows.json")
    day = date.fromisoformat(windows["as_of"])
    change(shop, control={"share": 0.5})
    assert main("readout") == 0
    readout = shop / "artifacts/readout/readout.json"
    assert storage.read_json(readout)["control"] == [], "nothing says since when"
    change(shop, control={"share": 0.5, "since": f"{day.year}-01-01"})
    assert main("readout") == 0
    quarters = storage.read_json(readout)["control"]
    assert [row["name"] for row in quarters] == [f"{day.year} Q{number}" for number in range(1, (day.month + 2) // 3)]
    last = quarters[-1]
    customers = pd.read_parquet("artifacts/prepare/customers.parquet")
    events = pd.read_parquet("artifacts/validate/clean/events.parquet", columns=["customer_id", "timestamp"])
    known = set(events[events.timestamp < pd.Timestamp(last["first"])].customer_id)
    ids = customers.customer_id[customers.customer_id.isin(known)].tolist()
    assert last["num_control"] == int(np.sum(in_control(ids, 0.5)))
    assert last["num_others"] == len(ids) - last["num_control"]
    assert "at least 100 are needed" in last["metrics"]["value"]["why"], "80 customers are too few for a figure"
    logged = set(pd.read_parquet("artifacts/validate/clean/exposures.parquet").customer_id)
    assert last["num_contacted"] <= len(logged)
    assert main("report") == 0
    page = (shop / "artifacts/report/index.html").read_text(encoding="utf-8")
    assert "What all contacts bring" in page
