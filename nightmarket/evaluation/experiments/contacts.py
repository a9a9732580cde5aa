"""Who was shown what, who clicked and who responded: the rows that the effect index and the logs are made of."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from nightmarket.contracts import InputError
from nightmarket.evaluation.experiments.cases import without_holdouts
from nightmarket.evaluation.offpolicy.logs import Log

MAX_ACTIONS = 50
"""Offers of one campaign; with more, a log says little about each."""


def tallies(
    campaigns: pd.DataFrame,
    exposures: pd.DataFrame,
    responses: pd.DataFrame,
    clicks: pd.DataFrame,
    offers: pd.DataFrame,
) -> pd.DataFrame:
    """One row per campaign and customer shown something: kind, arm (missing where there is none), and counts.

    clicks       customer_id, product_id, timestamp; counted where the customer was shown the product, or the campaign
                 has an offer on it, from the first exposure to the campaign's end
    impressions  rows of exposures;  responses  1 where the customer responded in that time, however often
    Arms that got nothing are left out: they have no impressions.
    """
    shown = without_holdouts(exposures)
    by = shown.groupby(["campaign_id", "customer_id"])
    rows = by.agg(impressions=("customer_id", "size"), arm=("arm", "first"), since=("timestamp", "min")).reset_index()
    rows = rows.merge(campaigns[["campaign_id", "kind", "start", "end"]], on="campaign_id", validate="many_to_one")
    rows["since"] = rows["since"].fillna(rows["start"])
    rows["clicks"] = 0.0
    if len(clicks) and len(rows):
        shown_products = shown.loc[shown["product_id"].notna(), ["campaign_id", "customer_id", "product_id"]]
        on_offer = offers[["campaign_id", "product_id"]].drop_duplicates()
        on_offer = on_offer[on_offer["product_id"].isin(set(clicks["product_id"]))]
        touched = pd.concat(
            [
                clicks.merge(shown_products.drop_duplicates(), on=["customer_id", "product_id"]),
                clicks.merge(on_offer, on="product_id"),
            ]
        ).drop_duplicates()
        rows["clicks"] = _inside(rows, touched)
    rows["responses"] = np.minimum(_inside(rows, responses), 1.0)
    return rows[["campaign_id", "customer_id", "kind", "arm", "impressions", "clicks", "responses"]]


def _inside(rows: pd.DataFrame, happened: pd.DataFrame) -> np.ndarray:
    """(R,) how many of the rows of campaign_id, customer_id, timestamp fall into each row's time."""
    keys = ["campaign_id", "customer_id"]
    both = rows[[*keys, "since", "end"]].reset_index().merge(happened[[*keys, "timestamp"]], on=keys)
    both = both[(both["timestamp"] >= both["since"]) & (both["timestamp"] <= both["end"])]
    return np.bincount(both["index"], minlength=len(rows)).astype(np.float64)


@dataclass(frozen=True)
class Decisions:
    """A campaign's exposures with propensities as a log, and the offers or items that its actions stand for."""

    log: Log
    actions: tuple[str, ...]


def decisions(exposures: pd.DataFrame, responses: pd.DataFrame, end: pd.Timestamp) -> Decisions:
    """The log of one campaign: an action is the offer shown, else the item; a reward is 1 where the customer responded
    to the campaign (to that offer, where responses name offers) before its end, the exposure being the last before it.

    Rows without propensity, time or action are left out. Raises InputError for fewer than two or more than 50 actions,
    and for values that a log does not take.
    """
    by = "offer_id" if exposures["offer_id"].notna().any() else "product_id"
    rows = exposures[exposures["propensity"].notna() & exposures["timestamp"].notna() & exposures[by].notna()]
    action, names = pd.factorize(rows[by], sort=True)
    if not 2 <= len(names) <= MAX_ACTIONS:
        raise InputError(f"{len(names)} distinct actions with a propensity; between 2 and {MAX_ACTIONS} can be judged")
    keys = ["customer_id"]
    if by == "offer_id" and responses["offer_id"].notna().any():
        keys.append("offer_id")
    numbered = rows.assign(decision=np.arange(len(rows)))
    both = numbered[[*keys, "timestamp", "decision"]].merge(
        responses.assign(response=np.arange(len(responses)))[[*keys, "timestamp", "response"]],
        on=keys,
        suffixes=("", "_r"),
    )
    both = both[(both["timestamp_r"] >= both["timestamp"]) & (both["timestamp_r"] <= end)]
    # one response is the reward of one decision: counted for all before it, early ones would seem to earn more
    both = both.sort_values(["timestamp", "decision"]).drop_duplicates("response", keep="last")
    reward = np.minimum(np.bincount(both["decision"], minlength=len(rows)), 1).astype(np.float64)
    log = Log(
        context=np.zeros((len(rows), 0)),
        action=action.astype(np.int64),
        reward=reward,
        propensity=rows["propensity"].to_numpy(np.float64),
        num_actions=len(names),
        unit=pd.factorize(rows["customer_id"])[0].astype(np.int64),
        time=(rows["timestamp"] - rows["timestamp"].min()).dt.total_seconds().to_numpy(np.float64),
    )
    return Decisions(log, tuple(str(name) for name in names))


def fixed_policies(actions: Sequence[str], num: int) -> dict[str, np.ndarray]:
    """Policies that were fixed before any log: each action always, and all of them equally; (N, A) probabilities."""
    identity = np.eye(len(actions))
    always = {
        f"always {name}": np.broadcast_to(identity[place], (num, len(actions))) for place, name in enumerate(actions)
    }
    return {"uniform": np.full((num, len(actions)), 1 / len(actions)), **always}
