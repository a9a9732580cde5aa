"""The offers of a campaign: those that params.yaml names, or the past ones that most people responded to."""

from collections import Counter
from dataclasses import replace
from typing import Annotated, Any, Literal, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field, model_validator

from nightmarket.contracts import InputError
from nightmarket.contracts.arrays import Bools, Float64s
from nightmarket.copywriting import labels
from nightmarket.copywriting.facts import spoken
from nightmarket.copywriting.labels import customer_words
from nightmarket.delivery import stock
from nightmarket.delivery.deliverable import Deliverable
from nightmarket.delivery.offers import OfferTerms
from nightmarket.delivery.stock import Promises
from nightmarket.response.market import Market
from tasks.files import catalogue
from tasks.pipeline.settings import StageSettings

LEVELS = ("department", "category", "type")
Positive = Annotated[float, Field(gt=0)]


class OfferSettings(StageSettings):
    """One offer: what it is called, what it applies to, and what it costs."""

    name: str = Field(min_length=1, max_length=80, description="as people know it")
    kind: Literal["discount", "threshold", "gift", "coupon"] = Field(description="kind of offer")
    category: str | None = Field(None, description="beginning of a category path, levels joined by ' > '")
    products: tuple[str, ...] = Field((), description="product ids, instead of a category")
    discount: float | None = Field(None, gt=0, lt=1, description="share of the price that is waived")
    threshold: Positive | None = Field(None, description="spend from which it holds, currency")
    gift_cost: Positive | None = Field(None, description="cost of the gift, currency")
    amount: Positive | None = Field(None, description="what a customer saves, currency, where that is a fixed sum")
    cost: Positive | None = Field(None, description="fixed cost of one redemption, currency; null: the amount")
    gift: str | None = Field(None, min_length=1, max_length=60, description="the gift, as customers know it")
    code: str | None = Field(None, pattern="^[A-Za-z0-9-]{2,20}$", description="what has to be typed in or shown")

    @model_validator(mode="after")
    def _complete(self) -> Self:
        needs = {
            "discount": ("a discount", self.discount),
            "threshold": ("a threshold", self.threshold and (self.discount or self.fixed or self.gift_cost)),
            "gift": ("a gift_cost", self.gift_cost),
            "coupon": ("an amount, a cost or a discount", self.fixed or self.discount),
        }
        what, given = needs[self.kind]
        if not given:
            more = ", and with it a discount, amount, cost or gift_cost" if self.kind == "threshold" else ""
            raise ValueError(f"an offer of kind {self.kind} needs {what}{more}")
        if bool(self.category) == bool(self.products):
            raise ValueError("name either a category or products that the offer applies to")
        if self.discount and self.amount:
            raise ValueError("an offer waives either a discount or an amount")
        return self

    @property
    def fixed(self) -> float | None:
        """Cost of one redemption that is no gift, where it is fixed."""
        return self.cost or self.amount


def named(offers: tuple[OfferSettings, ...], products: pd.DataFrame) -> list[OfferTerms]:
    """The offers of params.yaml with their items; InputError, naming the key, for an unknown category or product."""
    terms: list[OfferTerms] = []
    for at, offer in enumerate(offers):
        key = f"params.yaml: plan.offers.{at}"
        items = _of_products(offer.products, products, key) if offer.products else _under(offer.category, products, key)
        cost = offer.gift_cost or offer.fixed
        terms.append(OfferTerms(offer.name, offer.kind, items, None if cost else offer.discount, offer.threshold, cost))
    return terms


def _of_products(names: tuple[str, ...], products: pd.DataFrame, key: str) -> NDArray[np.int32]:
    on_sale = products.loc[products["recommendable"]].set_index("product_id")["item"]
    unknown = [name for name in names if name not in on_sale.index]
    if unknown:
        raise InputError(
            f"{key}.products: {len(unknown)} of {len(names)} are no recommendable products, first '{unknown[0]}'; "
            "see artifacts/prepare/products.parquet"
        )
    return np.unique(on_sale[list(names)].to_numpy(np.int32))


def _under(path: str | None, products: pd.DataFrame, key: str) -> NDArray[np.int32]:
    parts = [part.strip() for part in (path or "").split(">")]
    inside = products["recommendable"].to_numpy(bool).copy()
    for level, part in zip(LEVELS, parts[:2], strict=False):
        inside &= (products[level] == part).to_numpy()
    if len(parts) > 2:  # the last level on file is the finest there is
        inside &= (products[LEVELS[2]] == parts[-1]).to_numpy()
    if not inside.any():
        raise InputError(
            f"{key}.category: no recommendable product under '{path}'; write the path as in products.category, "
            "levels joined by ' > '"
        )
    return products.loc[inside, "item"].to_numpy(np.int32)


def past(market: Market, kind: str, most: int, discount: float) -> list[OfferTerms]:
    """The offers of past campaigns with most responses; where none is on file by offer, those of the last campaign of
    the kind. An offer without a cost on file waives `discount`."""
    taken: Counter[str] = Counter()
    items: dict[str, NDArray[np.int32]] = {}
    for at, place in zip(market.answers.campaign.tolist(), market.answers.offer.tolist(), strict=True):
        if place >= 0:
            taken[market.campaigns[at].offers[place].offer_id] += 1
    for campaign in market.campaigns:
        items |= {offer.offer_id: offer.items for offer in campaign.offers if offer.items.size}
    names = [name for name, _ in sorted(taken.items(), key=lambda pair: (-pair[1], pair[0])) if name in items]
    if not names:
        last = next((past for past in reversed(market.campaigns) if past.kind == kind and past.offers), None)
        names = [offer.offer_id for offer in last.offers if offer.items.size] if last else []
    costs = _costs(names[:most])
    return [
        OfferTerms(name, "coupon", items[name], None if name in costs else discount, None, costs.get(name))
        for name in names[:most]
    ]


def there_tonight(terms: list[OfferTerms], goods: Deliverable) -> tuple[list[OfferTerms], Bools, list[str]]:
    """The offers with those of their products that are on sale tonight, who may be made each (C, O), and what there is
    to say of the others."""
    left = [replace(offer, items=offer.items[goods.on_sale[offer.items]]) for offer in terms]
    without = [offer.name for offer in left if not offer.items.size]
    stay = [offer for offer in left if offer.items.size]
    offered = [goods.offered(offer.items) for offer in stay]
    notes = [f"Left out, as no product of theirs is in stock or on sale: {', '.join(without)}."] if without else []
    return stay, np.stack(offered, axis=1) if stay else np.zeros((goods.age.size, 0), bool), notes


def column(products: pd.DataFrame, name: str) -> Float64s:
    """(I,) a column of numbers that a catalogue may have, NaN where it has none."""
    return products.get(name, pd.Series(np.nan, products.index)).to_numpy(np.float64, na_value=np.nan)


def promises(terms: list[OfferTerms], products: pd.DataFrame) -> Promises:
    """How often the offers may be promised, by the units that there are tonight."""
    return stock.promises([offer.items for offer in terms], stock.counted(column(products, "stock")))


def used_up(terms: list[OfferTerms], limits: Promises, sent: NDArray[np.int64]) -> list[str]:
    """Which offers went to as many customers as there are units: a sentence.

    sent  (N,)  the offer of each contact that is sent
    """
    num = np.bincount(sent, minlength=len(terms))
    full = limits.of[(limits.of @ num >= limits.units) & (limits.units > 0)].any(axis=0) & (num > 0)
    names = [f"{terms[at].name} ({num[at]:,})" for at in np.flatnonzero(full)]
    return [f"Promised as often as there are units in stock, and no more: {', '.join(names)}."] if names else []


def costs_known(terms: list[OfferTerms], products: pd.DataFrame, margin: float) -> list[str]:
    """What the profit rests on, where some products have a cost."""
    cost, price = column(products, "cost"), column(products, "price")
    if not np.isfinite(cost).any():
        return []
    items = np.unique(np.concatenate([offer.items for offer in terms]))
    known = items[np.isfinite(cost[items])]
    rest = f"; the others are taken to earn {margin:.0%} of what is paid" if known.size < items.size else ""
    notes = [f"Profit takes the cost of {known.size:,} of {items.size:,} products on offer from the tables{rest}."]
    if dear := int((cost[known] > price[known]).sum()):
        notes.append(f"{dear:,} of them cost more than their price: they lose money even at full price, or their cost "
                     "is in other units (snapshot.units).")  # fmt: skip
    return notes


def _costs(names: list[str]) -> dict[str, float]:
    """offer_id → mean cost of one redemption, where there is one on file."""
    if not names or not catalogue.CLEAN_OFFERS.exists():
        return {}
    table = catalogue.CLEAN_OFFERS.read(["offer_id", "cost"]).to_pandas()
    known = table[table["cost"].notna() & table["offer_id"].isin(names)]
    return {str(name): float(cost) for name, cost in known.groupby("offer_id")["cost"].mean().items()}


def described(terms: OfferTerms, products: pd.DataFrame, named: OfferSettings | None = None) -> dict[str, Any]:
    """An offer for the summary; `called` is what it applies to, in the plan as in the texts, `customer_terms` what a
    text may say of it. Assumed terms, those of past offers without any on file, are not among them."""
    return {
        "name": terms.name,
        "kind": terms.kind,
        "discount": terms.discount,
        "threshold": terms.threshold,
        "cost": terms.cost,
        "num_products": int(terms.items.size),
        "called": _called(terms, products, named.category if named else None),
        "customer_terms": _customer_terms(named),
    }


def _called(terms: OfferTerms, products: pd.DataFrame, category: str | None) -> dict[str, str]:
    """What its products are called together: the category that it was made for, the product, or their kinds."""
    if category:
        return labels.scope(category.split(">")[-1].strip())
    if terms.items.size == 1:
        row = products.iloc[int(terms.items[0])]
        name = spoken(row["title"], customer_words(row["type"]))
        return {"en": name, "zh": name} if name else dict(labels.ANYTHING)
    on_sale = products["recommendable"].to_numpy(bool)
    levels = []
    for level in reversed(LEVELS):
        theirs = products[level].iloc[terms.items].value_counts(dropna=False)
        every = products.loc[on_sale, level].value_counts()
        levels.append([(_plain(name), bool(num >= every.get(name, 0))) for name, num in theirs.items()])
    return labels.covered(levels)


def _plain(label: Any) -> str:
    """A label that may stand in a text, "" for any other: it is data that came from outside."""
    return str(label) if isinstance(label, str) and spoken(label, "") else ""


def _customer_terms(offer: OfferSettings | None) -> dict[str, Any]:
    if offer is None:
        return {}
    terms = {
        "percent": offer.discount and round(100 * offer.discount, 6),
        **offer.model_dump(include={"amount", "threshold", "gift", "code"}),
    }
    return {name: value for name, value in terms.items() if value is not None}


def products_of(offers: list[OfferTerms], products: pd.DataFrame) -> dict[str, Any]:
    """Which products each offer applies to: offer, product_id."""
    ids = products["product_id"].to_numpy()
    owner = np.repeat(np.arange(len(offers)), [offer.items.size for offer in offers])
    items = np.concatenate([offer.items for offer in offers]) if offers else np.zeros(0, np.int32)
    names = np.array([offer.name for offer in offers], object)
    return {"offer": names[owner].tolist(), "product_id": ids[items].tolist()}
