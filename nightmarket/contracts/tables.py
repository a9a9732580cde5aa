"""The data contract: every table's columns and their Arrow types.

Everything that speaks about these tables (the snapshot's mapping, Great Expectations suites, documentation, the error
a user sees) is derived from here.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal, Self

import pyarrow as pa

Kind = Literal["id", "text", "number", "count", "time", "date", "category", "vector"]
"""How a column is stored. id, text, category: string; vector: string, numbers with blanks between; number: float64;
count: int64; time: timestamp[us] in UTC without zone; date: date32."""


@dataclass(frozen=True)
class Column:
    """One column of a contract table.

    required   the column must be there; an optional column that is missing is filled with nulls at the snapshot
    nullable   single values may be null
    low, high  closed bounds of the values, in the column's unit
    allowed    closed set of values
    refers_to  "table.column" that must hold the value; a row that does not is set aside
    without    kinds of events that may lack the value, for which alone it is nullable
    """

    name: str
    kind: Kind
    meaning: str
    unit: str = ""
    required: bool = True
    nullable: bool = False
    low: float | None = None
    high: float | None = None
    allowed: tuple[str, ...] = ()
    refers_to: str = ""
    without: tuple[str, ...] = ()


@dataclass(frozen=True)
class Table:
    """One table that crosses a stage.

    key         columns that together name a row once; empty where rows may repeat
    needed      a snapshot without this table is refused
    pseudonym   the column that is replaced by a keyed hash at the snapshot, or ""
    attributes  columns beyond the contract are kept as text (prefix "attr_"); elsewhere they are dropped
    by_channel  it may have columns of CHANNEL_COLUMNS, for any channel; those that a source lacks are not in a snapshot
    may_be_empty  a table without rows is a table, where it had none before: nobody is on the list yet
    """

    name: str
    meaning: str
    columns: tuple[Column, ...]
    key: tuple[str, ...] = ()
    needed: bool = False
    pseudonym: str = ""
    attributes: bool = False
    by_channel: bool = False
    may_be_empty: bool = False

    def with_channels(self, names: Iterable[str]) -> Self:
        """The table with those of the names that are columns of a channel, sorted; other names mean nothing here."""
        known = {column.name for column in self.columns}
        more = [column for name in sorted({*names} - known) if self.by_channel and (column := channel_column(name))]
        return replace(self, columns=(*self.columns, *more))

    def column(self, name: str) -> Column:
        """The column called `name`; KeyError if the contract has none."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(f"{self.name} has no column {name}")


YES_NO = ("yes", "no")
CHANNEL_COLUMNS = (
    Column(
        "consent_{}", "category", "may be contacted on it: yes or no; unknown is no", required=False, nullable=True,
        allowed=YES_NO,
    ),
    Column("consent_{}_at", "time", "when that was given; not yet given is no", "UTC", required=False, nullable=True),
    Column(
        "reachable_{}", "category", "an address, number or device that works is on file: yes or no; unknown is no",
        required=False, nullable=True, allowed=YES_NO,
    ),
)  # fmt: skip
"""What a table may say of a customer on any channel, the channel's name in place of {}: `consent_email`."""


WHENS = ("at", "date", "time", "timestamp", "datetime", "day", "since", "from", "until", "on")
NO_CHANNELS = re.compile(
    rf"(?:^|_)(?:{'|'.join(WHENS)}|source|text|version|ip|id|method|language|given|granted|status|state|flag|value|type|"
    r"level|opt_?in|opt_?out|double_?opt_?in|doi|yes|no|reason|form|marketing|newsletter|gdpr|dsgvo|privacy|terms|"
    r"profiling|tracking|cookies?)(?:_|$)"
)
"""What may stand behind `consent_` and is no channel, as the whole name or a word of it."""


def channel_column(name: str) -> Column | None:
    """`consent_email` and the like as a column; None for any other name."""
    for column in sorted(CHANNEL_COLUMNS, key=lambda column: -len(column.name)):
        match = re.fullmatch(column.name.replace("{}", r"(\w+)"), name)
        if match and not NO_CHANNELS.search(match[1]):
            return replace(column, name=name)
    return None


def without_channel(name: str) -> str:
    """For a name like `consent_given`, which speaks of consent or reach and of no channel, the column that it may be
    meant as, with the channel email as an example; "" for any other name."""
    match = re.fullmatch(r"(consent|reachable)_(\w+)", name)
    if not match or channel_column(name):
        return ""
    dated = match[1] == "consent" and any(re.search(rf"(^|_){word}$", match[2]) for word in WHENS)
    return f"{match[1]}_email" + ("_at" if dated else "")


PRODUCT = "product"
NO_PRODUCT = ("gift card", "shipping", "fee", "tip", "discount")
"""What lines of orders may be that are no product."""

EVENT_KINDS = ("view", "click", "search", "wishlist", "cart", "purchase", "rating", "return")
LOOKS = ("view", "click", "search")
"""Kinds of events that need no product: a page was looked at, or something searched."""

CUSTOMERS = Table(
    "customers",
    "who buys; optional, customers are otherwise taken from the events",
    (
        Column("customer_id", "id", "the customer, as a keyed hash"),
        Column("text", "text", "free text about the customer", required=False, nullable=True),
        Column("birth_year", "count", "year of birth; too young is not contacted", required=False, nullable=True),
        Column(
            "market",
            "category",
            "site or country; what is not sold there is not recommended",
            required=False,
            nullable=True,
        ),
        Column(
            "language",
            "category",
            "the customer's language, as en, zh-CN, English; texts go out in it where there are any",
            required=False,
            nullable=True,
        ),
    ),
    key=("customer_id",),
    pseudonym="customer_id",
    attributes=True,
    by_channel=True,
)
PRODUCTS = Table(
    "products",
    "what can be recommended",
    (
        Column("product_id", "id", "the product"),
        Column("title", "text", "name shown to customers", nullable=True),
        Column("brand", "text", "brand", required=False, nullable=True),
        Column("maker", "text", "manufacturer", required=False, nullable=True),
        Column(
            "category",
            "text",
            "category path from coarse to fine, levels joined by ' > '",
            required=False,
            nullable=True,
        ),
        Column("size", "text", "package size as printed", required=False, nullable=True),
        Column("description", "text", "long text", required=False, nullable=True),
        Column("price", "number", "list price", "currency", required=False, nullable=True, low=0),
        Column("cost", "number", "what one costs the shop", "currency", required=False, nullable=True, low=0),
        Column("available_from", "time", "first day on sale", "UTC", required=False, nullable=True),
        Column("available_until", "time", "from when on it is not sold", "UTC", required=False, nullable=True),
        Column(
            "stock",
            "number",
            "units tonight; 0 or less is not recommended, unless it is announced for later",
            "units",
            required=False,
            nullable=True,
        ),
        Column(
            "markets",
            "text",
            "sites or countries where it is sold, as DE, AT; empty is everywhere",
            required=False,
            nullable=True,
        ),
        Column(
            "min_age",
            "count",
            "age from which it may be offered; from 18 on not to a customer of unknown age",
            "years",
            required=False,
            nullable=True,
            low=0,
        ),
        Column(
            "group_id",
            "id",
            "the parent of sizes and colours; a list holds one of them; without it, titles tell sizes",
            required=False,
            nullable=True,
        ),
        Column(
            "vector",
            "vector",
            "numbers of the shop's own image or text model, as many for each product",
            required=False,
            nullable=True,
        ),
        Column(
            "not_a_product",
            "category",
            "a service that stands in orders: it neither teaches nor is recommended; recognised where this is empty",
            required=False,
            nullable=True,
            allowed=(*NO_PRODUCT, "no"),
        ),
    ),
    key=("product_id",),
    needed=True,
)
EVENTS = Table(
    "events",
    "what customers did",
    (
        Column("customer_id", "id", "the customer, as a keyed hash; empty for a guest", nullable=True),
        Column("product_id", "id", "the product; one that is not in products has ended", nullable=True, without=LOOKS),
        Column("timestamp", "time", "when", "UTC"),
        Column("kind", "category", "what was done", required=False, allowed=EVENT_KINDS),
        Column("quantity", "number", "units; 0 where only a service was booked", "units", required=False, low=0),
        Column("value", "number", "amount paid for the line", "currency", required=False, nullable=True, low=0),
        Column("discount", "number", "reductions on the line, together", "currency", required=False, nullable=True),
        Column("coupon", "number", "part of the discount that coupons gave", "currency", required=False, nullable=True),
        Column("basket_id", "id", "the basket or session", required=False, nullable=True),
        Column("channel", "category", "shop or channel", required=False, nullable=True),
    ),
    needed=True,
    pseudonym="customer_id",
)
CAMPAIGNS = Table(
    "campaigns",
    "what was advertised",
    (
        Column("campaign_id", "id", "the campaign"),
        Column("kind", "category", "type of campaign"),
        Column("text", "text", "what it says", required=False, nullable=True),
        Column("start", "time", "first moment", "UTC"),
        Column("end", "time", "last moment", "UTC"),
    ),
    key=("campaign_id",),
    may_be_empty=True,
)
OFFERS = Table(
    "offers",
    "which product an offer of a campaign applies to",
    (
        Column("offer_id", "id", "the offer or coupon"),
        Column("campaign_id", "id", "its campaign", refers_to="campaigns.campaign_id"),
        Column("product_id", "id", "a product that it applies to", refers_to="products.product_id"),
        Column("terms", "text", "conditions", required=False, nullable=True),
        Column("cost", "number", "cost of one redemption", "currency", required=False, nullable=True, low=0),
    ),
    key=("offer_id", "campaign_id", "product_id"),
    may_be_empty=True,
)
EXPOSURES = Table(
    "exposures",
    "who was shown what",
    (
        Column("customer_id", "id", "the customer, as a keyed hash"),
        Column(
            "campaign_id",
            "id",
            "the campaign; empty: a list of the live site, which is no contact",
            nullable=True,
            refers_to="campaigns.campaign_id",
        ),
        Column("offer_id", "id", "the offer", required=False, nullable=True),
        Column("product_id", "id", "the item", required=False, nullable=True),
        Column("timestamp", "time", "when", "UTC", nullable=True, required=False),
        Column("position", "count", "place on the page, from 1", required=False, nullable=True, low=1),
        Column("propensity", "number", "probability that this was shown", required=False, nullable=True, low=0, high=1),
        Column("arm", "category", "arm of the experiment", required=False, nullable=True),
        Column("request_id", "id", "the answer of the live site that it was part of", required=False, nullable=True),
        Column("version", "category", "of the champion that answered", required=False, nullable=True),
    ),
    pseudonym="customer_id",
    may_be_empty=True,
)
RESPONSES = Table(
    "responses",
    "who responded",
    (
        Column("customer_id", "id", "the customer, as a keyed hash"),
        Column("campaign_id", "id", "the campaign", refers_to="campaigns.campaign_id"),
        Column("offer_id", "id", "the offer", required=False, nullable=True),
        Column("timestamp", "time", "when", "UTC"),
        Column("value", "number", "value of the response", "currency", required=False, nullable=True),
    ),
    pseudonym="customer_id",
    may_be_empty=True,
)
REVIEWS = Table(
    "reviews",
    "what customers say",
    (
        Column("customer_id", "id", "the customer, as a keyed hash", required=False, nullable=True),
        Column("product_id", "id", "the product", refers_to="products.product_id"),
        Column("timestamp", "time", "when", "UTC"),
        Column("text", "text", "the review"),
        Column("rating", "number", "stars", required=False, nullable=True),
    ),
    pseudonym="customer_id",
    may_be_empty=True,
)
PROMOTIONS = Table(
    "promotions",
    "which product was promoted where in which week",
    (
        Column("product_id", "id", "the product"),
        Column("channel", "category", "shop or channel"),
        Column("week", "date", "Monday of the week, local to the shop"),
        Column("display", "category", "placement in the shop; 0 is none", required=False, nullable=True),
        Column("mailer", "category", "placement in the mailer; 0 is none", required=False, nullable=True),
    ),
    may_be_empty=True,
)
SUPPRESSIONS = Table(
    "suppressions",
    "who may not be contacted; read again when a campaign is exported, and never cut at the business date",
    (
        Column("customer_id", "id", "the customer, as a keyed hash"),
        Column(
            "channel",
            "category",
            "on which channel; empty, or a word that is no channel: on all",
            required=False,
            nullable=True,
        ),
        Column(
            "from", "time", "since when; a row counts from the moment it is there", "UTC", required=False, nullable=True
        ),
        Column(
            "reason",
            "category",
            "unsubscribed, bounced, complained …; objected (to profiling): popular products, no campaign",
            required=False,
            nullable=True,
        ),
    ),
    pseudonym="customer_id",
    may_be_empty=True,
)

DELIVERIES = Table(
    "deliveries",
    "what became of contacts, as mail tools give it back; read again when a campaign is exported, and never cut at the "
    "business date",
    (
        Column("customer_id", "id", "the customer, as a keyed hash"),
        Column("channel", "category", "on which channel; empty: email", required=False, nullable=True),
        Column("sent", "time", "when; of a channel's contacts the latest counts", "UTC", required=False, nullable=True),
        Column(
            "bounced",
            "category",
            "came back: yes or no, or when; the customer is out of reach there until a later one arrives",
            required=False,
            nullable=True,
            allowed=YES_NO,
        ),
        Column(
            "unsubscribed",
            "category",
            "yes or no, or when: as a row of suppressions for the channel",
            required=False,
            nullable=True,
            allowed=YES_NO,
        ),
        Column(
            "complained",
            "category",
            "called it spam, yes or no, or when: as a row of suppressions for the channel",
            required=False,
            nullable=True,
            allowed=YES_NO,
        ),
    ),
    pseudonym="customer_id",
    may_be_empty=True,
)

TABLES = (
    CUSTOMERS,
    PRODUCTS,
    EVENTS,
    CAMPAIGNS,
    OFFERS,
    EXPOSURES,
    RESPONSES,
    REVIEWS,
    PROMOTIONS,
    SUPPRESSIONS,
    DELIVERIES,
)
BY_NAME = {table.name: table for table in TABLES}


TYPES: dict[str, pa.DataType] = {
    "id": pa.string(),
    "text": pa.string(),
    "category": pa.string(),
    "vector": pa.string(),
    "number": pa.float64(),
    "count": pa.int64(),
    "time": pa.timestamp("us"),
    "date": pa.date32(),
}

ATTRIBUTE_PREFIX = "attr_"


def arrow_type(column: Column) -> pa.DataType:
    """How the column is stored."""
    return TYPES[column.kind]


def arrow_schema(table: Table, attributes: tuple[str, ...] = ()) -> pa.Schema:
    """The table as it lies in a snapshot: every contract column in its order, then attributes as text."""
    fields = [pa.field(column.name, arrow_type(column)) for column in table.columns]
    return pa.schema(fields + [pa.field(name, pa.string()) for name in attributes])
