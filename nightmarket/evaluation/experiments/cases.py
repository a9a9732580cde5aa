"""A retailer's tables as experiments: one per campaign with exposures in at least two arms; the customer is the unit.

A customer is assigned at their first exposure of the campaign. The outcomes are those of a fixed number of days from
then, or until the campaign ends if that is earlier; they count when they are complete, never before, because a sequence
that counts customers has no clock for outcomes that still come in.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nightmarket.contracts import InputError
from nightmarket.contracts.arrays import Float64s
from nightmarket.evaluation.experiments.effects import Covariate, Metric
from nightmarket.evaluation.experiments.ledger import version_of
from nightmarket.evaluation.experiments.readout import Experiment

CONTROLS = ("control", "对照", "对照组")
HOLDOUTS = ("holdout", "hold-out", "no contact", "空白", "空白组")
"""Control arms that got nothing and so cannot respond: only what they buy is compared."""
COVARIATE_DAYS = 91
RESPONSE, RESPONSE_VALUE, PURCHASES = "response rate", "value of responses", "purchase value"


@dataclass(frozen=True)
class ExperimentPlan:
    """What was decided before the start; None where it was not written down.

    control    the arm to compare with
    shares     planned share per arm
    customers  planned number, all arms together, after which the experiment ends
    """

    control: str | None = None
    shares: Mapping[str, float] | None = None
    customers: int | None = None


@dataclass(frozen=True)
class ExperimentData:
    """An experiment out of the tables.

    customers  (U,) ids, row = customer of `experiment`
    final      no more outcomes will come: the campaign is over, or the planned customers are in
    """

    experiment: Experiment
    customers: NDArray[np.object_]
    final: bool


def without_holdouts(exposures: pd.DataFrame) -> pd.DataFrame:
    """The exposures of those who were shown something; rows of a holdout say what its customers did not get."""
    return exposures[~exposures["arm"].fillna("").str.casefold().isin(HOLDOUTS)]


def arms_of(exposures: pd.DataFrame) -> dict[str, list[str]]:
    """{campaign: arms in alphabetical order} of the campaigns with at least two arms."""
    named = exposures.loc[exposures["arm"].notna(), ["campaign_id", "arm"]].drop_duplicates()
    by_campaign = {str(name): sorted(rows["arm"]) for name, rows in named.groupby("campaign_id")}
    return {name: arms for name, arms in by_campaign.items() if len(arms) > 1}


def case(
    campaign: pd.Series,
    exposures: pd.DataFrame,
    responses: pd.DataFrame,
    purchases: pd.DataFrame,
    *,
    known_until: pd.Timestamp,
    outcome_days: int,
    planned: int,
    plan: ExperimentPlan,
) -> ExperimentData:
    """One experiment.

    campaign     row of the contract's table;  exposures, responses  its rows
    purchases    customer_id, timestamp, value of the customers exposed
    known_until  end of what the tables know, UTC without zone
    outcome_days days after the first exposure in which outcomes count
    planned      customers for which the sequence is narrowest where the plan gives none

    Raises InputError where the plan names arms that the exposures do not have.
    """
    units, mixed = _units(campaign, exposures, outcome_days)
    arms = sorted(set(units["arm"]) | set(plan.shares or {}))
    control = _control(arms, plan, campaign["campaign_id"])
    history = _total(purchases, units, units["assigned_at"] - pd.Timedelta(days=COVARIATE_DAYS), units["assigned_at"])
    assigned_at = units["assigned_at"].to_numpy("datetime64[us]")
    covariate = Covariate(f"purchase value, {COVARIATE_DAYS} days before", history, assigned_at)
    spent = _total(purchases, units, units["assigned_at"], units["until"])
    metrics = [Metric(PURCHASES, spent, covariate=covariate)]
    if control.casefold() not in HOLDOUTS:
        metrics = _response_metrics(responses, units, covariate) + metrics
    counted = (units["until"] <= known_until).to_numpy()
    over = bool(counted.all()) and campaign["end"] < known_until
    return ExperimentData(
        Experiment(
            name=str(campaign["campaign_id"]),
            arm=units["arm"].to_numpy(object),
            assigned_at=assigned_at,
            metrics=tuple(metrics),
            control=control,
            shares=_shares(arms, exposures, plan),
            planned=plan.customers or planned,
            counted=counted,
            mixed=mixed,
            ends=plan.customers is not None,
            customers=units["customer_id"].to_numpy(object),
        ),
        units["customer_id"].to_numpy(object),
        over or (plan.customers is not None and int(counted.sum()) >= plan.customers),
    )


def _response_metrics(responses: pd.DataFrame, units: pd.DataFrame, covariate: Covariate) -> list[Metric]:
    """Whether each customer responded and, where responses have a value, its sum."""
    answers = responses.assign(value=responses["value"].fillna(0.0), num=1.0)
    answered = _total(answers, units, units["assigned_at"], units["until"], "num") > 0
    metrics = [Metric(RESPONSE, answered.astype(np.float64), covariate=covariate)]
    if responses["value"].notna().any():
        worth = _total(answers, units, units["assigned_at"], units["until"])
        metrics.append(Metric(RESPONSE_VALUE, worth, covariate=covariate))
    return metrics


def _units(campaign: pd.Series, exposures: pd.DataFrame, days: int) -> tuple[pd.DataFrame, int]:
    """One row per customer with one arm (customer_id, arm, assigned_at, until), and how many had more than one."""
    rows = exposures.loc[exposures["arm"].notna(), ["customer_id", "arm", "timestamp"]].copy()
    rows["timestamp"] = rows["timestamp"].fillna(campaign["start"])
    by = rows.groupby("customer_id", sort=True)
    units = by.agg(arm=("arm", "min"), last=("arm", "max"), assigned_at=("timestamp", "min")).reset_index()
    mixed = units["arm"] != units["last"]
    units = units[~mixed].drop(columns="last").reset_index(drop=True)
    until = units["assigned_at"] + pd.Timedelta(days=days)
    units["until"] = until.clip(upper=campaign["end"] + pd.Timedelta(seconds=1))
    return units, int(mixed.sum())


def _total(
    rows: pd.DataFrame, units: pd.DataFrame, start: pd.Series, end: pd.Series, column: str = "value"
) -> Float64s:
    """(U,) sum of a column over each customer's rows from `start` up to, not with, `end`."""
    place = pd.Index(units["customer_id"]).get_indexer(rows["customer_id"])
    rows, place = rows[place >= 0], place[place >= 0]
    moment = rows["timestamp"].to_numpy("datetime64[us]")
    first, last = (bound.to_numpy("datetime64[us]")[place] for bound in (start, end))
    inside = (moment >= first) & (moment < last)
    values = rows[column].fillna(0.0).to_numpy(np.float64)
    return np.bincount(place[inside], values[inside], len(units)).astype(np.float64)


def _control(arms: Sequence[str], plan: ExperimentPlan, campaign: str) -> str:
    """The planned control, an arm with a control's name, the oldest version, or the first by the alphabet."""
    if plan.control is not None:
        if plan.control not in arms:
            raise InputError(
                f"experiment {campaign}: the planned control '{plan.control}' is no arm; there are {', '.join(arms)}"
            )
        return plan.control
    for name in (*HOLDOUTS, *CONTROLS):
        for arm in arms:
            if arm.casefold() == name:
                return arm
    numbers = [version_of(arm) for arm in arms]
    if all(number is not None for number in numbers):
        return min(zip(numbers, arms, strict=True))[1]
    return arms[0]


def _shares(arms: Sequence[str], exposures: pd.DataFrame, plan: ExperimentPlan) -> dict[str, float]:
    """The planned shares; else the logged propensities, where each arm has one and they sum to 1; else equal ones."""
    return dict(plan.shares or logged_shares(exposures) or dict.fromkeys(arms, 1 / len(arms)))


def logged_shares(exposures: pd.DataFrame) -> dict[str, float] | None:
    """Propensities that are the arms' shares: one per arm, and they sum to 1. None where they are something else."""
    logged = exposures.loc[exposures["arm"].notna()].groupby("arm")["propensity"].agg(["min", "max", "count", "size"])
    if (logged["count"] == logged["size"]).all() and np.allclose(logged["min"], logged["max"], atol=1e-9):
        shares = logged["min"].to_dict()
        if abs(sum(shares.values()) - 1) < 1e-6 and min(shares.values()) > 0:
            return {str(arm): float(share) for arm, share in shares.items()}
    return None
