"""Read campaigns, exposures and responses as arrays, and load a fitted response model.

The stages `respond` and `plan` and the flows read campaigns here, so that what trains and what delivers know the same.
"""

import logging
from datetime import date
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nightmarket.contracts.clock import local_day
from nightmarket.response.market import Answers, Campaign, Contacts, CouponLines, Market, Offer, Records
from nightmarket.response.responder import Responder
from tasks.files import catalogue, storage
from tasks.files.prepared import Prepared

CLEAN = catalogue.CLEAN.path
NEEDED = ("campaigns", "exposures", "responses")
EPOCH = date(1970, 1, 1)
log = logging.getLogger("nightmarket")


def record(data: Prepared, vectors: NDArray[np.float32] | None = None) -> Records:
    """Everything on file: purchases, campaigns, exposures, responses. Tables that a shop does not bring are empty.

    vectors  (I, D)  text vector of each item, for features of text
    """
    past = campaigns(data)
    code = {campaign.campaign_id: k for k, campaign in enumerate(past)}
    customers = data.customers.sort_values("customer")
    customer = dict(zip(customers["customer_id"], customers["customer"], strict=True))
    attributes = customers.filter(like="attr_")
    known = attributes.notna().mean(axis=1) if attributes.shape[1] else np.zeros(len(customers))
    shown, answered = (_table(name, code, customer, data) for name in ("exposures", "responses"))
    begin = np.array([campaign.start_day for campaign in past], np.int32)
    day = shown["day"].fillna(pd.Series(begin[shown["campaign"]], shown.index)).astype(np.int32)
    shown = shown.assign(day=day).sort_values("day", kind="stable").drop_duplicates(["customer", "campaign"])
    place = {(k, offer.offer_id): at for k, campaign in enumerate(past) for at, offer in enumerate(campaign.offers)}
    offer = [place.get(pair, -1) for pair in zip(answered["campaign"], answered["offer_id"], strict=True)]
    return Records(
        data.histories,
        data.catalogue,
        tuple(past),
        Contacts(*(shown[name].to_numpy(np.int32) for name in ("customer", "campaign", "day"))),
        Answers(
            answered["customer"].to_numpy(np.int32),
            answered["campaign"].to_numpy(np.int32),
            np.array(offer, np.int32),
            answered["day"].to_numpy(np.int32),
        ),
        _coupons(customer, data.windows.time_zone),
        np.asarray(known, np.float32),
        vectors,
    )


def market(data: Prepared, day: int) -> Market:
    """What was known at the start of that local day: purchases, campaigns begun, their exposures and responses."""
    return record(data).on(day)


def campaigns(data: Prepared) -> list[Campaign]:
    """All campaigns on file by start, with their offers; those that are still to come too."""
    path = CLEAN / "campaigns.parquet"
    if not path.exists():
        return []
    table = storage.read_table(path, columns=["campaign_id", "kind", "start", "end"]).to_pandas()
    zone = data.windows.time_zone
    table = table.assign(first=_days(table["start"], zone), last=_days(table["end"], zone))
    offers = _offers(data)
    return [
        Campaign(row.campaign_id, row.kind, int(row.first), int(row.last), offers.get(row.campaign_id, ()))
        for row in table.sort_values(["first", "campaign_id"]).itertuples()
    ]


def load(folder: Path) -> Responder | None:
    """The responder of a respond folder; None where there was too little to learn from."""
    content = storage.read_json(folder / "responder.json")
    return Responder.from_json(content) if content["fitted"] else None


def _offers(data: Prepared) -> dict[str, tuple[Offer, ...]]:
    path = catalogue.CLEAN_OFFERS.path
    if not path.exists():
        return {}
    table = storage.read_table(path, columns=["offer_id", "campaign_id", "product_id"]).to_pandas()
    products = data.products
    item = products.loc[products["recommendable"]].set_index("product_id")["item"]
    table["item"] = table["product_id"].map(item)
    offers_of: dict[str, list[Offer]] = {}
    for (campaign, offer), items in table.groupby(["campaign_id", "offer_id"], sort=True)["item"]:
        offers_of.setdefault(campaign, []).append(Offer(offer, np.unique(items.dropna().to_numpy(np.int32))))
    return {campaign: tuple(offers) for campaign, offers in offers_of.items()}


def _coupons(customer: dict[str, int], zone: str) -> CouponLines:
    """Purchase lines on which a coupon was used; few, so only they are read."""
    query = (
        "select customer_id, timestamp, basket_id, coupon from read_parquet(?) where coupon > 0 and kind = 'purchase'"
    )
    with duckdb.connect() as engine:
        table = engine.execute(query, [str(catalogue.CLEAN_EVENTS.path)]).df()
    code = table["customer_id"].map(customer)
    table = table[code.notna()].assign(customer=code.dropna().astype(np.int32))
    table = table.assign(day=_days(table["timestamp"], zone)).sort_values(["customer", "day"], kind="stable")
    basket = pd.factorize(table["basket_id"].fillna(table["day"].astype(str)))[0]
    whole = (table["customer"].to_numpy(np.int32), table["day"].to_numpy(np.int32), basket.astype(np.int32))
    return CouponLines(*whole, table["coupon"].to_numpy(np.float32))


def _table(name: str, code: dict[str, int], customer: dict[str, int], data: Prepared) -> pd.DataFrame:
    """customer, campaign, day (NaN where not known), offer_id; rows of people who never bought are left out."""
    path = CLEAN / f"{name}.parquet"
    if not path.exists():
        return pd.DataFrame({"customer": [], "campaign": [], "day": [], "offer_id": []})
    table = storage.read_table(path).to_pandas()
    table = table.assign(customer=table["customer_id"].map(customer), campaign=table["campaign_id"].map(code))
    known = table[["customer", "campaign"]].notna().all(axis=1)
    if not known.all():
        log.info("%s: %s rows left out: a customer without a purchase", name, f"{int((~known).sum()):,}")
    table = table[known]
    return pd.DataFrame(
        {
            "customer": table["customer"].astype(np.int32),
            "campaign": table["campaign"].astype(np.int32),
            "day": _days(table["timestamp"], data.windows.time_zone),
            "offer_id": table.get("offer_id"),
        }
    )


def _days(moments: pd.Series, zone: str) -> pd.Series:
    """Local days since 1970-01-01 of UTC moments, NaN where there is none; each distinct moment once."""
    known = {moment: (local_day(moment.to_pydatetime(), zone) - EPOCH).days for moment in moments.dropna().unique()}
    return moments.map(known).astype("float64")
