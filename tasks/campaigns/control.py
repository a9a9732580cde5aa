"""The universal control group in plans, launches and exports."""

from collections.abc import Collection
from datetime import date
from pathlib import Path
from typing import Any, cast

import pandas as pd
from pydantic import Field

from nightmarket.contracts.arrays import Bools, Int64s
from nightmarket.delivery.control import in_control
from tasks.pipeline import settings
from tasks.pipeline.settings import StageSettings


class ControlGroup(StageSettings):
    """Customers whom no campaign and no launch contacts, for good."""

    share: float = Field(0.0, ge=0, le=0.5, description="share of the customers; 0: there is no such group")
    since: date | None = Field(
        None, description="day from which on it is held; whole quarters after it are read out; null: none is"
    )


def members(customers: pd.DataFrame, group: ControlGroup) -> Bools:
    """(C,) who is in the group; row c of `customers` is customer c."""
    return in_control(customers["customer_id"].tolist(), group.share)


def inside(home: Path, customer_ids: Collection[str]) -> set[str]:
    """Those of some customers who are in the group as params.yaml of the main checkout has it now."""
    path = home / "params.yaml"
    if not path.exists():
        return set()
    group: ControlGroup = cast(Any, settings.load("plan", path)).control
    names = sorted(customer_ids)
    return {name for name, held in zip(names, in_control(names, group.share).tolist(), strict=True) if held}


def said(group: ControlGroup, inside: Bools, asked: Int64s) -> dict[str, Any]:
    """For the summary of a plan; asked  (E,)  customers who could be contacted but for the group."""
    since = group.since.isoformat() if group.since else None
    return {"share": group.share, "since": since, "num": int(inside.sum()), "num_left_alone": int(inside[asked].sum())}


def words(about: dict[str, Any]) -> list[str]:
    """Sentences for the person who approves; none where there is no group."""
    if not about["share"]:
        return []
    kept = f"{about['num_left_alone']:,} customers are left alone: they are in the permanent control group "
    since = "" if about["since"] else "; nothing is read out of it until plan.control.since says since when it is held"
    return [f"{kept}({about['share']:.1%} of all, {about['num']:,}){since}."]
