"""A retailer's campaign as arrays for `observational`: what was known before, who was exposed, what they spent.

Three spans, cut in days: everything before the placebo's days makes the covariates; as many days as the
campaign lasted, just before it, make the placebo; the campaign's own days make the outcome.

Shapes: C customers, I products, F covariates.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nightmarket.contracts.arrays import Bools, Float64s, Int32s
from nightmarket.histories.histories import Histories

LEAST_DAYS = 28
"""Days of history before the placebo's days; with fewer there is no placebo."""
_SPANS = (28, 84)


@dataclass(frozen=True)
class PastCampaign:
    """Who was exposed to what, and when.

    first, last  shop-local days since 1970-01-01, both inside the campaign
    exposed      customers' codes, each once
    responded    (R,) codes of those who responded, a row per response
    on_day       (R,) shop-local days of the responses, since 1970-01-01
    offered      products' codes
    """

    name: str
    kind: str
    first: int
    last: int
    exposed: Int32s
    responded: Int32s
    on_day: Int32s
    offered: Int32s


@dataclass(frozen=True)
class UpliftData:
    """Arguments of `observational`, for the customers who bought before the placebo's days.

    customers  (C',)  their codes
    left_out   customers exposed who did not, of whom nothing is known to adjust for
    """

    customers: Int32s
    covariates: Float64s
    names: tuple[str, ...]
    exposed: Bools
    outcome: Float64s
    placebo: Float64s | None
    negative_control: Float64s | None
    left_out: int


def case(
    histories: Histories,
    category: Int32s,
    campaign: PastCampaign,
    others: Sequence[PastCampaign],
    attributes: pd.DataFrame | None = None,
) -> UpliftData:
    """The campaign's arrays; spend is in currency per customer over the campaign's days.

    category    (I,)    code of each product's category; spend in categories with no product on offer is the negative
                        control, None where every category has one or none was named
    others      campaigns; those that started before the covariates end tell of past exposures and responses
    attributes  one row per customer, categories or text; levels held by 5% or more become columns
    """
    length = campaign.last - campaign.first + 1
    cut = campaign.first - length
    start = int(histories.day.min(initial=campaign.first))
    tried = cut - start >= LEAST_DAYS
    cut = cut if tried else campaign.first
    covariates, known = _behaviour(histories, cut, campaign.offered)
    covariates |= _contacts(histories.num_customers, cut, [c for c in others if c.name != campaign.name])
    if attributes is not None:
        covariates |= _levels(attributes)
    exposed = np.zeros(histories.num_customers, bool)
    exposed[campaign.exposed] = True
    untouched = None
    if campaign.offered.size:
        touched = np.zeros(int(category.max(initial=0)) + 1, bool)
        touched[category[campaign.offered]] = True
        if not touched[category[histories.item]].all():
            untouched = _spend(histories, campaign.first, campaign.last, ~touched[category])[known]
    names = tuple(covariates)
    return UpliftData(
        customers=np.flatnonzero(known).astype(np.int32),
        covariates=np.column_stack([covariates[name] for name in names])[known],
        names=names,
        exposed=exposed[known],
        outcome=_spend(histories, campaign.first, campaign.last)[known],
        placebo=_spend(histories, cut, campaign.first - 1)[known] if tried else None,
        negative_control=untouched,
        left_out=int((exposed & ~known).sum()),
    )


def campaigns_of(
    campaigns: pd.DataFrame,
    exposures: pd.DataFrame,
    responses: pd.DataFrame | None,
    offers: pd.DataFrame | None,
    customer_ids: pd.Series,
    product_ids: pd.Series,
    time_zone: str,
) -> list[PastCampaign]:
    """The contract's tables as campaigns, by start; customers and products are coded by their place in the two series.

    Exposures and offers that name nobody and nothing among these are not counted.
    """
    customers = pd.Index(customer_ids)
    empty = pd.DataFrame({"campaign_id": [], "customer_id": [], "product_id": [], "timestamp": []})
    responses, offers = (empty if table is None else table for table in (responses, offers))
    seen = _codes(exposures, "customer_id", customers).drop_duplicates()
    answered = _codes(responses, "customer_id", customers)
    answered["day"] = _local_days(responses["timestamp"], time_zone).loc[answered.index]
    goods = _codes(offers, "product_id", pd.Index(product_ids)).drop_duplicates()
    exposed, offered = ({name: rows["code"] for name, rows in t.groupby("campaign_id")} for t in (seen, goods))
    answers = dict(list(answered.groupby("campaign_id")))
    first, last = (_local_days(campaigns[name], time_zone) for name in ("start", "end"))
    none = pd.Series([], dtype="int32")
    coded = [
        PastCampaign(
            name=str(name),
            kind=str(kind),
            first=int(begin),
            last=int(end),
            exposed=exposed.get(name, none).to_numpy(np.int32),
            responded=answers[name]["code"].to_numpy(np.int32) if name in answers else none.to_numpy(np.int32),
            on_day=answers[name]["day"].to_numpy(np.int32) if name in answers else none.to_numpy(np.int32),
            offered=offered.get(name, none).to_numpy(np.int32),
        )
        for name, kind, begin, end in zip(campaigns["campaign_id"], campaigns["kind"], first, last, strict=True)
    ]
    return sorted(coded, key=lambda campaign: (campaign.first, campaign.name))


def _codes(table: pd.DataFrame, column: str, ids: pd.Index) -> pd.DataFrame:
    """campaign_id and code of the rows whose id is known, under their index."""
    code = pd.Series(ids.get_indexer(table[column]), index=table.index)
    return pd.DataFrame({"campaign_id": table["campaign_id"], "code": code})[code >= 0]


def _local_days(moments: pd.Series, time_zone: str) -> pd.Series:
    """Shop-local days since 1970-01-01 of moments in UTC without zone."""
    local = pd.to_datetime(moments).dt.tz_localize("UTC").dt.tz_convert(time_zone).dt.tz_localize(None)
    return (local.dt.normalize() - pd.Timestamp("1970-01-01")).dt.days


def _spend(histories: Histories, first: int, last: int, items: Bools | None = None) -> Float64s:
    """(C,) spend on the days first..last, of the products where `items` (I,) is true."""
    inside = (histories.day >= first) & (histories.day <= last)
    if items is not None:
        inside &= items[histories.item]
    spent = np.bincount(histories.customer[inside], histories.value[inside], histories.num_customers)
    return spent.astype(np.float64)


def _behaviour(histories: Histories, cut: int, offered: Int32s) -> tuple[dict[str, Float64s], Bools]:
    """Columns of what the customers did before day `cut`, and who did anything."""
    past = histories.where(histories.day < cut)
    num = past.num_customers

    def total(values: NDArray | None, mask: Bools | slice = slice(None)) -> Float64s:
        return np.bincount(past.customer[mask], None if values is None else values[mask], num).astype(np.float64)

    visit = np.ones(len(past), bool)
    visit[1:] = (np.diff(past.customer) != 0) | (np.diff(past.day) != 0)
    lines = total(None)
    edges = np.searchsorted(past.customer, np.arange(num + 1))
    known = lines > 0
    seen = np.full((2, num), cut, np.int64)  # lines are sorted by customer, then day
    seen[0, known], seen[1, known] = past.day[edges[:-1][known]], past.day[edges[1:][known] - 1]
    on_offer = np.zeros(past.num_items, bool)
    on_offer[offered] = True
    on_offer = on_offer[past.item]
    columns = {
        "days since first purchase": (cut - seen[0]).astype(np.float64),
        "days since last purchase": (cut - seen[1]).astype(np.float64),
        "days with a purchase": total(None, visit),
        "lines": lines,
        "spend": total(past.value),
        "discount": total(past.discount),
        "spend on what is offered": total(past.value, on_offer),
        "lines of what is offered": total(None, on_offer),
    }
    for span in _SPANS:
        late = past.day >= cut - span
        columns[f"spend, last {span} days"] = total(past.value, late)
        columns[f"days with a purchase, last {span} days"] = total(None, late & visit)
        columns[f"spend on what is offered, last {span} days"] = total(past.value, late & on_offer)
    return columns, known


def _contacts(num_customers: int, cut: int, others: Sequence[PastCampaign]) -> dict[str, Float64s]:
    """Columns of exposures by kind of campaign, and of responses, before day `cut`."""
    earlier = [campaign for campaign in others if campaign.first < cut]
    columns = {f"campaigns of {kind}": np.zeros(num_customers) for kind in sorted({c.kind for c in earlier})}
    responses = np.zeros(num_customers)
    for campaign in earlier:
        columns[f"campaigns of {campaign.kind}"][campaign.exposed] += 1
        np.add.at(responses, campaign.responded[campaign.on_day < cut], 1)
    return columns | ({"responses": responses} if earlier else {})


def _levels(attributes: pd.DataFrame) -> dict[str, Float64s]:
    columns = {}
    for name in attributes:
        text = attributes[name].astype("str").fillna("unknown")
        share = text.value_counts(normalize=True)
        for level in sorted(share.index[(share >= 0.05) & (share <= 0.95)])[:12]:
            columns[f"{name} {level}"] = (text == level).to_numpy(np.float64)
    return columns
