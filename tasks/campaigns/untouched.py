"""What came of the universal control group: customers whom nothing contacted against the others."""

from datetime import date
from typing import Any

import numpy as np
import pandas as pd

from nightmarket.contracts.arrays import Int64s
from nightmarket.evaluation.experiments import cases, control_group
from nightmarket.evaluation.experiments.control_group import Members
from nightmarket.histories.calendar import NEVER
from tasks.campaigns.control import ControlGroup, members
from tasks.files import catalogue
from tasks.files.prepared import Prepared


def read_out(group: ControlGroup, exposures: pd.DataFrame) -> list[dict[str, Any]]:
    """What all contacts brought, by whole quarter and year; empty without a group, or where nothing says since when.

    exposures  the shop's log of contacts, which may have reached the group against all plans
    """
    if not group.share or group.since is None:
        return []
    data = Prepared()
    until = date.fromisoformat(data.windows.as_of)
    whole = control_group.periods(group.since, until)
    if not whole:
        return []
    ids = data.customers["customer_id"]
    since = pd.Timestamp(group.since)
    shown = cases.without_holdouts(exposures)
    shown = shown[shown["timestamp"].isna() | (shown["timestamp"] >= since)]
    contacted = ids.isin(shown["customer_id"]).to_numpy(bool)
    people = Members(members(data.customers, group), _known_from(ids), contacted)
    kept = data.histories.until(data.windows.last_day)
    return [control_group.read_out(period, group.since, people, kept) for period in whole]


def _known_from(ids: pd.Series) -> Int64s:
    """(C,) the day of each customer's first event of any kind, NEVER where there is none."""
    events = catalogue.CLEAN_EVENTS.read(["customer_id", "timestamp"])
    first = events.group_by("customer_id").aggregate([("timestamp", "min")]).to_pandas()
    days = (pd.to_datetime(first["timestamp_min"]) - pd.Timestamp(0)).dt.days
    known = ids.map(pd.Series(days.to_numpy(), first["customer_id"])).fillna(NEVER)
    return known.to_numpy(np.int64)
