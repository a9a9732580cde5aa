"""What goes over the wire: requests, refused where they say more or less than this, and answers."""

import json
from datetime import UTC, date, datetime, timedelta
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

from nightmarket.contracts.tables import EVENT_KINDS, LOOKS, NO_PRODUCT

MOST_AT_ONCE = 1000
"""Events of a batch, products of a stock."""
MOST_AHEAD = timedelta(days=1)
OLDEST = datetime(2000, 1, 1, tzinfo=UTC)
EventKind = Literal["view", "click", "search", "wishlist", "cart", "purchase", "rating", "return"]
assert EventKind.__args__ == EVENT_KINDS  # type: ignore[attr-defined]
NotAProduct = Literal["gift card", "shipping", "fee", "tip", "discount", "no"]
assert NotAProduct.__args__ == (*NO_PRODUCT, "no")  # type: ignore[attr-defined]


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


def _path(category: str) -> str:
    return " > ".join(level.strip() for level in category.split(">") if level.strip())


def _text(text: str) -> str:
    if not all(sign.isprintable() or sign in "\n\r\t" for sign in text):
        raise ValueError("holds signs that are not printed")
    return text


Text = Annotated[str, StringConstraints(max_length=20_000), AfterValidator(_text)]
Units = Annotated[float, Field(ge=-1e9, le=1e9, allow_inf_nan=False)]
Number = Annotated[float, Field(ge=-1e30, le=1e30, allow_inf_nan=False)]


class ShopProduct(_Request):
    """A product as a whole; the columns of the table `products` that a night reads."""

    product_id: Id
    title: Name
    brand: Name | None = None
    maker: Name | None = None
    category: Annotated[Name, AfterValidator(_path)] | None = Field(None, description="from coarse to fine: `a > b`")
    size: Name | None = None
    description: Text | None = None
    price: Amount | None = None
    cost: Amount | None = None
    available_from: AwareDatetime | None = None
    available_until: AwareDatetime | None = None
    stock: Units | None = Field(None, description="as `PUT /v1/stock` says it; left out: as it was")
    markets: Name | None = Field(None, description="as `DE, AT`; left out: everywhere")
    min_age: int | None = Field(None, ge=0, le=150)
    group_id: Id | None = Field(None, description="the parent of sizes and colours")
    vector: list[Number] | None = Field(None, min_length=1, max_length=4096, description="of the shop's own model")
    not_a_product: NotAProduct | None = None

    @model_validator(mode="after")
    def _ends_after_it_began(self) -> Self:
        for name in ("available_from", "available_until"):
            when = getattr(self, name)
            if when is not None and not OLDEST.year <= when.year <= 2200:
                raise ValueError(f"{name}: lies before 2000 or after 2200")
        if self.available_from and self.available_until and self.available_from >= self.available_until:
            raise ValueError("available_until: lies before available_from")
        return self

    def content(self) -> str:
        """As the log holds it."""
        said = self.model_dump(exclude={"product_id"}, exclude_none=True)
        said |= {name: round(when.timestamp() * 1_000_000) for name, when in said.items() if isinstance(when, datetime)}
        if self.vector is not None:
            said["vector"] = " ".join(f"{number:.9g}" for number in self.vector)
        return json.dumps(said, ensure_ascii=False, sort_keys=True)


class AssistRequest(Visitor):
    """A customer's message. It is kept nowhere, and what was said before is not known."""

    message: Annotated[str, StringConstraints(min_length=1, max_length=500), AfterValidator(_text)] = Field(
        description="in the customer's words, English or Chinese"
    )
    count: int = Field(5, ge=1, le=50)


class Wish(_Reply):
    """What a message names, as the shop writes it."""

    price_from: float | None = None
    price_to: float | None = None
    brand: str | None = None
    category: str | None = None
    size: str | None = Field(None, description="no product is left out for it: ask for it at the product")


class AnsweredProduct(_Reply):
    """A product with facts of the tables."""

    product_id: str
    title: str
    brand: str
    category: str = Field(description="its kind")
    price: float | None


class AssistAnswer(_Reply):
    """An answer to a message, or that a person should give it."""

    request_id: str
    version: str
    intent: Literal["find", "greeting", "person"]
    language: Literal["en", "zh"]
    hand_over: bool = Field(description="a person should answer: the text says no more than that")
    wish: Wish
    products: list[AnsweredProduct]
    text: str = Field(description="in the customer's language, of facts alone, checked by the copy guard")


class OfferRequest(_Request):
    """A visitor who may be made an offer of a running campaign."""

    id: Id = Field(description="of the request, by which an offer is made once however often it is asked for")
    customer_id: Id | None = Field(None, description="the shop's own id")
    session_id: Id | None = Field(None, description="of a visit in which a customer logged in")
    channel: Id = Field("site", description="channel of the plan that the site delivers itself")

    @model_validator(mode="after")
    def _of_somebody(self) -> Self:
        if self.customer_id is None and self.session_id is None:
            raise ValueError("customer_id or session_id: a question needs one of them")
        return self


class MadeOffer(_Reply):
    """An offer of a campaign, as it was approved."""

    campaign: str
    offer: str
    kind: str
    called: dict[str, str] = Field(description="what it applies to, by language")
    terms: dict[str, str | float] = Field(description="what a text may say: percent, amount, threshold, gift, code")
    until: date | None = Field(None, description="the campaign's last day")
    propensity: float = Field(description="chance that the customer is in the arm that is contacted")


class OfferAnswer(_Reply):
    """The offer that the visitor is made now; null: none."""

    request_id: str
    offer: MadeOffer | None


class ShopProducts(_Request):
    """Products that are new or changed."""

    products: list[ShopProduct] = Field(min_length=1, max_length=MOST_AT_ONCE)

    @model_validator(mode="after")
    def _once(self) -> Self:
        if len({product.product_id for product in self.products}) < len(self.products):
            raise ValueError("products: one product_id stands there twice")
        return self


class ProductsTaken(_Reply):
    """How many products were put."""

    products: int


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
    "ShopProducts": {
        "products": [
            {"product_id": "n-1", "title": "Rain boots", "brand": "Nordwind", "category": "shoes > boots",
             "description": "Waterproof, of natural rubber", "price": 59.9, "stock": 40, "available_from":
             "2026-11-30T00:00:00+01:00"},
        ]
    },
    "AssistRequest": {"message": "Do you have boots in size 42 under $80?", "session_id": "s-77"},
    "OfferRequest": {"id": "o-1", "customer_id": "4711", "channel": "site"},
    "StockLevels": {"products": {"p001834": 0, "p000127": 12}},
}  # fmt: skip
"""Of requests, by schema."""
