"""What goes over the wire: requests, refused where they say more or less than this, and answers."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    StringConstraints,
    Tag,
    model_validator,
)  # fmt: skip

from nightmarket.contracts.tables import EVENT_KINDS, LOOKS

MOST_AT_ONCE = 1000
"""Events of a batch, products of a stock."""
MOST_AHEAD = timedelta(days=1)
OLDEST = datetime(2000, 1, 1, tzinfo=UTC)
EventKind = Literal["view", "click", "search", "wishlist", "cart", "purchase", "rating", "return"]
assert EventKind.__args__ == EVENT_KINDS  # type: ignore[attr-defined]


def _one_line(text: str) -> str:
    if not text.strip() or not text.isprintable():
        raise ValueError("blank, or holds signs that are not printed")
    return text


def _moment(when: datetime) -> datetime:
    if not OLDEST <= when <= datetime.now(UTC) + MOST_AHEAD:
        raise ValueError("lies before 2000 or more than a day ahead")
    return when


Id = Annotated[str, StringConstraints(min_length=1, max_length=128), AfterValidator(_one_line)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=256), AfterValidator(_one_line)]
Moment = Annotated[AwareDatetime, AfterValidator(_moment)]
Amount = Annotated[float, Field(ge=0, le=1e12, allow_inf_nan=False)]


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Reply(BaseModel):
    model_config = ConfigDict(frozen=True)


class SiteEvent(_Request):
    """Something that a visitor did. `id` is the site's own: an event that comes twice is written once."""

    id: Id = Field(description="of the event, by which it is written once however often it is sent")
    kind: EventKind
    product_id: Id | None = Field(None, description="needed but for view, click, search")
    customer_id: Id | None = Field(None, description="the shop's own id; hashed before anything is written")
    session_id: Id | None = Field(None, description="of the visit; a visit in which a customer logs in becomes theirs")
    at: Moment | None = Field(None, description="when, with its offset from UTC; left out: now")
    quantity: Amount | None = None
    value: Amount | None = Field(None, description="amount paid for the line")
    discount: Amount | None = None
    coupon: Amount | None = None
    basket_id: Id | None = None
    channel: Id | None = None

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.product_id is None and self.kind not in LOOKS:
            raise ValueError(f"product_id: an event of kind {self.kind} needs one")
        if self.customer_id is None and self.session_id is None:
            raise ValueError("customer_id or session_id: an event needs one of them")
        return self


class EventBatch(_Request):
    """Several events, all of which are written or none."""

    events: list[SiteEvent] = Field(min_length=1, max_length=MOST_AT_ONCE)


def _form(given: Any) -> str:
    """Several events or one; by what stands there, so that errors speak of what was meant."""
    return "several" if isinstance(given, EventBatch) or (isinstance(given, dict) and "events" in given) else "single"


EventOrBatch = Annotated[
    Annotated[EventBatch, Tag("several")] | Annotated[SiteEvent, Tag("single")], Discriminator(_form)
]


class EventsWritten(_Reply):
    """What became of them. They are on disk when this is sent."""

    written: int = Field(description="events that are new")
    duplicates: int = Field(description="events whose id was there already")
    kept: int = Field(description="events that are on disk and will be written once the log can be; duplicates too")
    left_out: int = Field(description="events of customers who asked to be forgotten")


class RecentEvent(_Request):
    """An event that the log does not hold yet, told with the question."""

    kind: EventKind
    product_id: Id
    at: Moment | None = None


class Visitor(_Request):
    """Who asks, and what they did."""

    customer_id: Id | None = Field(None, description="the shop's own id")
    session_id: Id | None = None
    events: list[RecentEvent] = Field([], max_length=100, description="besides those that were sent, oldest first")
    market: Id | None = Field(None, description="where they are; left out: the customer's own")
    channel: Id | None = None
    language: Literal["en", "zh"] = Field("en", description="of the reasons")
    budget_ms: float | None = Field(None, ge=0, le=10_000, description="time that the answer may take")
    log: bool = Field(True, description="false: the answer is not shown to anybody, so it is no impression")


class _Narrowed(Visitor):
    """Of some products alone."""

    count: int = Field(10, ge=1, le=200)
    category: Name | None = Field(None, description="the page that they are on: `shoes > boots`")
    brand: Name | None = None
    price_from: Amount | None = None
    price_to: Amount | None = None
    leave_out: list[Id] = Field([], max_length=1000)

    @model_validator(mode="after")
    def _prices(self) -> Self:
        if self.price_from is not None and self.price_to is not None and self.price_from > self.price_to:
            raise ValueError("price_from: lies above price_to")
        return self


class RecommendationRequest(_Narrowed):
    """Products for a visitor, now."""

    best: Literal["reranked", "nightly", "popular"] = Field(
        "reranked", description="step that is taken at best; nightly asks for the night's list as it is"
    )


class SearchRequest(_Narrowed):
    """Products that a visitor's words ask for. It is no impression: nothing of it is logged."""

    query: Annotated[str, StringConstraints(min_length=1, max_length=500), AfterValidator(_one_line)] = Field(
        description="in the visitor's words"
    )


class RankRequest(Visitor):
    """These products, in the order that suits this visitor."""

    products: list[Id] = Field(min_length=1, max_length=500)


class Place(_Reply):
    """One place of a list."""

    product_id: str
    score: float = Field(description="comparable within the list")
    reason: str
    propensity: float = Field(description="probability with which this product was shown here")


class ProductList(_Reply):
    """Best first."""

    request_id: str
    version: str = Field(description="of the champion that answered")
    step: Literal["reranked", "nightly", "popular"] = Field(
        description="reranked for this moment; the night's list; popular ones: what the time allowed"
    )
    arm: str | None = Field(None, description="of the experiment of serve.experiment, in which the visitor is")
    products: list[Place]


class TasteKind(_Reply):
    """A kind of product that a customer is drawn to."""

    name: str
    weight: float


class SeenEvent(_Reply):
    """An event that counts."""

    kind: str
    product_id: str
    at: datetime


class Why(_Reply):
    """What the lists of a customer rest on."""

    request_id: str
    version: str
    known: bool = Field(description="whether the night knew them")
    objected: bool = Field(description="to profiling; then no list is their own")
    events: list[SeenEvent]
    kinds: list[TasteKind]
    listed: list[Place] = Field(description="the night's list")


class StockLevels(_Request):
    """Units by product, from now on and until the night reads the shop's tables again."""

    products: dict[Id, Annotated[float, Field(ge=-1e9, le=1e9, allow_inf_nan=False)]] = Field(
        min_length=1, max_length=MOST_AT_ONCE
    )


class StockTaken(_Reply):
    """How many products were set."""

    products: int


class ProblemDocument(BaseModel):
    """RFC 9457."""

    type: str
    title: str
    status: int
    detail: str = ""
    errors: list[dict[str, str]] = []
    request_id: str


EXAMPLES: dict[str, dict[str, Any]] = {
    "SiteEvent": {"id": "e-1", "kind": "view", "product_id": "p001834", "session_id": "s-77"},
    "EventBatch": {
        "events": [
            {"id": "e-2", "kind": "cart", "product_id": "p001834", "session_id": "s-77", "customer_id": "4711"},
            {"id": "e-3", "kind": "purchase", "product_id": "p001834", "customer_id": "4711", "quantity": 1,
             "value": 19.9, "basket_id": "b-5", "at": "2026-11-30T09:30:00+01:00"},
        ]
    },
    "RecommendationRequest": {"session_id": "s-77", "count": 5, "category": "shoes > boots"},
    "SearchRequest": {"query": "waterproof boots", "price_to": 80, "count": 5},
    "RankRequest": {"customer_id": "4711", "products": ["p001834", "p000127", "p000031"]},
    "StockLevels": {"products": {"p001834": 0, "p000127": 12}},
}  # fmt: skip
"""Of requests, by schema."""
