"""What can be asked: version 1."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Query, Request
from fastapi.openapi.models import Example
from fastapi.security import HTTPBearer

from apps.api import figures
from apps.api.engine import Recommender, zone_of
from apps.api.offers import question
from apps.api.problems import ProblemError
from apps.api.questions import Site, VisitorQuestion
from apps.api.schemas import (
    EXAMPLES,
    AnsweredProduct,
    AssistAnswer,
    AssistRequest,
    EventBatch,
    EventOrBatch,
    EventsWritten,
    Id,
    MadeOffer,
    OfferAnswer,
    OfferRequest,
    Place,
    ProblemDocument,
    ProductList,
    ProductsTaken,
    RankRequest,
    RecommendationRequest,
    SearchRequest,
    SeenEvent,
    ShopProducts,
    SiteEvent,
    StockLevels,
    StockTaken,
    TasteKind,
    Visitor,
    Why,
    Wish,
)  # fmt: skip
from nightmarket.contracts import InputError
from nightmarket.serving.live import Answer
from nightmarket.serving.live.answering import LINES, ShownFacts, answer_text
from nightmarket.serving.live.messages import Understood
from tasks.live.keys import ApiKey
from tasks.live.products import ProductRow

BEARER = HTTPBearer(auto_error=False, description="a key of `python -m tasks.live.keys add`")
PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"model": ProblemDocument, "description": words, "content": {"application/problem+json": {}}}
    for status, words in (
        (401, "no key, or one that is not known"), (403, "the key may not do this"),
        (422, "the request does not say what it must"), (429, "more requests than the key's rate"),
        (503, "more than can be done just now; Retry-After says when to come again"),
    )
}  # fmt: skip


def needs(scope: str) -> Callable[..., Any]:
    """A dependency: the key has this scope."""

    async def check(request: Request, _: Annotated[Any, Depends(BEARER)]) -> None:
        needed(request.state.key, scope)

    return check


def needed(key: ApiKey, scope: str) -> None:
    """Raises ProblemError where the key lacks the scope."""
    if scope not in key.scopes:
        raise ProblemError("scope", f"it lacks the scope {scope}")


def having(scope: str) -> Any:
    """The same as a member of a route's `dependencies`."""
    return Depends(needs(scope))


def _example(*names: str) -> dict[str, Example]:
    return {name: Example(value=EXAMPLES[name]) for name in names}


async def _site(request: Request) -> Site:
    site: Site = request.app.state.site
    return site


OfSite = Annotated[Site, Depends(_site)]
Count = Annotated[int, Query(ge=1, le=200)]
events = APIRouter(prefix="/v1", dependencies=[having("events")], responses=PROBLEMS, tags=["events"])
reading = APIRouter(prefix="/v1", dependencies=[having("read")], responses=PROBLEMS, tags=["recommendations"])
customers = APIRouter(prefix="/v1", dependencies=[having("customers")], responses=PROBLEMS, tags=["customers"])
offers = APIRouter(prefix="/v1", dependencies=[having("offers")], responses=PROBLEMS, tags=["offers"])
products = APIRouter(prefix="/v1", dependencies=[having("products")], responses=PROBLEMS, tags=["products"])
stock = APIRouter(prefix="/v1", dependencies=[having("stock")], responses=PROBLEMS, tags=["stock"])


@events.post("/events", summary="Write what visitors did")
async def write_events(
    site: OfSite, given: Annotated[EventOrBatch, Body(openapi_examples=_example("SiteEvent", "EventBatch"))]
) -> EventsWritten:
    """One event or a batch. The answer comes when they are on disk; sent again, an event is a duplicate."""
    return await written(site, "", given)


async def written(site: Site, _: str, given: EventBatch | SiteEvent) -> EventsWritten:
    """What `POST /v1/events` answers."""
    batch = given.events if isinstance(given, EventBatch) else [given]
    rows = [row for event in batch if (row := site.event(event))]
    outcome = await site.writer.write(rows)
    new = sum(outcome.new)
    left_out, kept = len(batch) - len(rows), len(rows) if outcome.kept else 0
    counts = {"written": new, "duplicates": len(outcome.new) - new, "kept": kept, "left_out": left_out}
    for what, count in counts.items():
        figures.EVENTS.labels(what).inc(count)
    return EventsWritten(**counts)


@reading.post("/recommendations", summary="Products for a visitor")
async def recommend(
    request: Request, site: OfSite,
    given: Annotated[RecommendationRequest, Body(openapi_examples=_example("RecommendationRequest"))],
) -> ProductList:  # fmt: skip
    """What suits this visitor at this moment; what they did up to now counts."""
    return await recommended(site, request.state.request_id, given)


async def recommended(site: Site, request_id: str, given: RecommendationRequest) -> ProductList:
    """What `POST /v1/recommendations` answers."""

    def answer(recommender: Recommender, question: VisitorQuestion) -> Answer:
        return recommender.recommend(question.ask(given))

    return await _listed(site, request_id, given, answer)


@reading.post("/rank", summary="Products in the order that suits a visitor")
async def rank(
    request: Request, site: OfSite, given: Annotated[RankRequest, Body(openapi_examples=_example("RankRequest"))]
) -> ProductList:
    """Products that the night does not know are left aside."""
    return await ranked(site, request.state.request_id, given)


async def ranked(site: Site, request_id: str, given: RankRequest) -> ProductList:
    """What `POST /v1/rank` answers."""

    def answer(recommender: Recommender, question: VisitorQuestion) -> Answer:
        return recommender.rank(question.ask(given, len(given.products)), tuple(dict.fromkeys(given.products)))

    return await _listed(site, request_id, given, answer)


@reading.post("/search", summary="Products that a visitor's words ask for")
async def search(
    request: Request, site: OfSite, given: Annotated[SearchRequest, Body(openapi_examples=_example("SearchRequest"))]
) -> ProductList:
    """By the words of the products' texts, and those that are spelt nearly so; of what can be had and may be shown."""
    return await searched(site, request.state.request_id, given)


async def searched(site: Site, request_id: str, given: SearchRequest) -> ProductList:
    """What `POST /v1/search` answers."""

    def answer(recommender: Recommender, question: VisitorQuestion) -> Answer:
        return recommender.search(question.ask(given), given.query)

    return await _listed(site, request_id, given.model_copy(update={"log": False}), answer)


@reading.post("/assist", summary="An answer to a customer's message")
async def assist(
    request: Request, site: OfSite, given: Annotated[AssistRequest, Body(openapi_examples=_example("AssistRequest"))]
) -> AssistAnswer:
    """Products for what a message asks for, and a text of facts alone; or that a person should answer."""
    recommender = site.engine.ready()

    def compute(waited: float) -> tuple[Understood, Answer, tuple[ShownFacts, ...]]:
        question = site.question(given, recommender, waited)
        return recommender.assist(question.ask(given, given.count), given.message)

    said, answered, facts = await site.turnstile.ask(compute)
    language = said.language or given.language
    text = LINES[language]["greeting"] if said.intent == "greeting" else answer_text(facts, language, site.currency)
    products = [AnsweredProduct(product_id=of.product, title=of.title, brand=of.brand, category=of.kind,
                            price=of.price if of.price >= 0 else None) for of in facts]  # fmt: skip
    wish = Wish(price_from=said.price_from, price_to=said.price_to, brand=said.brand, category=said.category,
                size=said.size)  # fmt: skip
    return AssistAnswer(
        request_id=request.state.request_id, version=answered.version, intent=said.intent, language=language,
        hand_over=not text, wish=wish, products=products, text=text or LINES[language]["person"],
    )  # fmt: skip


@reading.get("/products/{product_id:path}/similar", summary="Products in place of one")
async def similar(request: Request, site: OfSite, product_id: Id, count: Count = 10) -> ProductList:
    """Without those that are out of stock now."""
    return await _beside(request, site, "similar", product_id, count)


@reading.get("/products/{product_id:path}/goes-with", summary="Products beside one")
async def goes_with(request: Request, site: OfSite, product_id: Id, count: Count = 10) -> ProductList:
    """Without those that are out of stock now."""
    return await _beside(request, site, "goes_with", product_id, count)


@customers.get("/customers/{customer_id:path}/why", summary="What a customer's lists rest on")
async def why(request: Request, site: OfSite, customer_id: Id) -> Why:
    """The shop's own id, which is hashed before it is looked up."""
    recommender = site.engine.ready()
    names = site.visitors.customer(customer_id)
    explanation = await site.turnstile.ask(lambda _: recommender.why(names.present))
    now = time.time()
    met = [] if names.forgotten else site.met(names.every, None, recommender)
    events = [*explanation.events, *(event for event in met if event.kind != "impression" and event.at <= now)]
    return Why(
        request_id=request.state.request_id, version=explanation.version, known=explanation.known,
        objected=explanation.objected,
        events=[SeenEvent(kind=event.kind, product_id=event.product, at=datetime.fromtimestamp(event.at, UTC))
                for event in events],
        kinds=[TasteKind(name=name, weight=weight) for name, weight in explanation.kinds],
        listed=[Place(product_id=place.product, score=place.score, reason=place.reason, propensity=place.propensity)
                for place in explanation.listed],
    )  # fmt: skip


@stock.put("/stock", summary="What is in stock")
async def set_stock(
    site: OfSite, given: Annotated[StockLevels, Body(openapi_examples=_example("StockLevels"))]
) -> StockTaken:
    """What has none left is in no answer from now on, what has some again may be."""
    now = time.time_ns() // 1000
    await site.writer.write([], [(product, units, now) for product, units in given.products.items()])
    return StockTaken(products=len(given.products))


@offers.post("/offers", summary="The offer that a customer is made now")
async def make_offer(
    request: Request, site: OfSite, given: Annotated[OfferRequest, Body(openapi_examples=_example("OfferRequest"))]
) -> OfferAnswer:
    """Of the campaigns that were approved and run, within consent, hold-outs, caps and budget, paced through the day.
    It is on disk when this is answered; asked again under the same id it is the same."""
    names, zone = site.customer(given), zone_of(site.engine.ready())
    row = None
    if names and site.offers.wanted(names, given.channel):
        id = site.visitors.event(f"offer\0{given.id}")
        row = await site.offers.decide(question(id, names, given.channel, zone, site.visitors.generation))
    made = None
    if row is not None:
        facts, until = site.offers.about(row)
        made = MadeOffer(
            campaign=str(row.campaign), offer=str(row.offer), kind=facts.get("kind", ""), until=until,
            called=facts.get("called", {}), terms=facts.get("terms", {}), propensity=row.propensity,
        )  # fmt: skip
    return OfferAnswer(request_id=request.state.request_id, offer=made)


@products.put("/products", summary="Products that are new or changed")
async def put_products(
    site: OfSite, given: Annotated[ShopProducts, Body(openapi_examples=_example("ShopProducts"))]
) -> ProductsTaken:
    """Each as a whole: what is left out it does not have. They are on disk when this is answered, in answers within
    seconds, and what the next night learns of where its source is live."""
    now = time.time_ns() // 1000
    rows = [ProductRow(product.product_id, product.content(), now) for product in given.products]
    levels = [(product.product_id, product.stock, now) for product in given.products if product.stock is not None]
    await site.writer.write([], levels, rows)
    return ProductsTaken(products=len(rows))


async def _listed(
    site: Site, request_id: str, given: Visitor, answer: Callable[[Recommender, VisitorQuestion], Answer]
) -> ProductList:
    recommender = site.engine.ready()

    def compute(waited: float) -> tuple[VisitorQuestion, Answer]:
        question = site.question(given, recommender, waited)
        try:
            return question, answer(recommender, question)
        except InputError as error:
            raise ProblemError("unknown-filter", str(error)) from None

    began = time.perf_counter()
    question, answered = await site.turnstile.ask(compute)
    figures.ANSWERS.labels(answered.step).inc()
    figures.ANSWER_TOOK.labels(answered.step).observe(time.perf_counter() - began)
    if given.log:
        site.log_list(request_id, question, answered)
    return _reply(request_id, answered, question.arm)


async def _beside(request: Request, site: Site, method: str, product: str, count: int) -> ProductList:
    recommender = site.engine.ready()
    listing: Callable[[str, int], Answer] | None = getattr(recommender, method, None)
    if listing is None:
        raise ProblemError("not-ready", "no night has written this table", retry_after=3600)

    def compute(_: float) -> Answer:
        gone = site.stock(recommender).gone
        try:
            answered = listing(product, min(count + len(gone), 2 * count + 20))
        except InputError as error:
            raise ProblemError("unknown-product", str(error)) from None
        left = [place for place in answered.products if place.product not in gone]
        return Answer(tuple(left[:count]), answered.version, answered.step)

    return _reply(request.state.request_id, await site.turnstile.ask(compute))


def _reply(request_id: str, answered: Answer, arm: str | None = None) -> ProductList:
    places = [Place(product_id=place.product, score=place.score, reason=place.reason, propensity=place.propensity)
              for place in answered.products]  # fmt: skip
    return ProductList(request_id=request_id, version=answered.version, step=answered.step, arm=arm, products=places)
