"""Plan a campaign: who gets which offer, when, on which channel, within the budget; and who is kept back."""

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import date
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field, field_validator, model_validator

from nightmarket.contracts import InputError
from nightmarket.delivery.campaign import Channel, Goal, Options, Outlook, Rules
from nightmarket.delivery.eligibility import eligible
from nightmarket.delivery.holdout import Held, with_holdout
from nightmarket.delivery.launches import Design
from nightmarket.delivery.offers import OfferTerms, redemption_margins, redemption_values
from nightmarket.delivery.summary import summarise, words
from nightmarket.delivery.timing import Slot, slots
from nightmarket.response.market import Campaign, Market, Offer
from nightmarket.response.responder import Responder
from tasks.campaigns import contacts, control, exported, offers, responder, tonight
from tasks.campaigns.contacts import Audience
from tasks.campaigns.control import ControlGroup
from tasks.campaigns.offers import OfferSettings
from tasks.campaigns.visits import slot_factors
from tasks.files import catalogue, storage
from tasks.files.prepared import Prepared
from tasks.pipeline.declaration import Stage
from tasks.pipeline.settings import StageSettings

log = logging.getLogger("nightmarket")


class ChannelSettings(StageSettings):
    """A way to a customer."""

    cost: float = Field(ge=0, description="cost of one contact, currency")
    capacity: int | None = Field(None, ge=0, description="contacts in one slot of one day; null: no limit")


class QuietHours(StageSettings):
    """Nobody is contacted from `begin` to `end`, hours of the local day; over midnight where begin > end."""

    begin: int = Field(21, ge=0, le=24, description="first quiet hour")
    end: int = Field(8, ge=0, le=24, description="first hour that is not quiet; equal to begin: none is")


CHANNELS = {"email": ChannelSettings(cost=0.01, capacity=30), "sms": ChannelSettings(cost=0.02, capacity=20)}
SLOTS = ("6-9", "9-12", "12-15", "15-18", "18-21", "21-24")
STAGE = Stage(
    "who gets which offer, when, on which channel, within the budget",
    reads=(
        catalogue.CLEAN,
        catalogue.PREPARE,
        catalogue.RESPONDER,
        catalogue.SEGMENT,
        catalogue.CARE_CUSTOMERS,
        catalogue.CARE_METRICS,
    ),
    writes=(catalogue.PLAN,),
    phase="deliver",
    side=True,
)


class Settings(StageSettings):
    """A campaign and its limits."""

    name: str = Field("campaign", min_length=1, max_length=80, description="name of the plan; decides who is kept back")
    goal: Goal = Field("profit", description="profit: expected, net of cost; responses: as many as the budget allows")
    kind: str | None = Field(None, description="kind of campaign, as in campaigns.kind; null: the most usual")
    start: date | None = Field(None, description="first day; null: the day being prepared")
    days: int = Field(7, ge=1, le=92, description="days that contacts go out on")
    budget: float = Field(150.0, ge=0, description="expected spend on contacts and on offers taken, currency")
    currency: str = Field("USD", max_length=8, description="what amounts are given in")
    margin: float = Field(
        0.3, gt=0, le=1, description="gross margin as a share of what is paid, of products without a cost"
    )
    offers: tuple[OfferSettings, ...] = Field(
        (),
        description="name, kind, category or products, discount or amount, threshold, gift, gift_cost, cost, code; "
        "empty: past offers",
    )
    max_offers: int = Field(20, ge=1, le=200, description="past offers to choose from: those with most responses")
    assumed_discount: float = Field(0.2, gt=0, lt=1, description="what a past offer without a cost on file waives")
    channels: dict[str, ChannelSettings] = Field(CHANNELS, min_length=1, description="name: cost, capacity of a slot")
    slots: tuple[str, ...] = Field(SLOTS, min_length=1, description="parts of the local day")
    quiet_hours: QuietHours = Field(QuietHours(), description="begin, end; slots that touch them are not used")
    slot_effect: float = Field(0.2, ge=0, lt=1, description="share of responses lost at a time never visited; assumed")
    max_per_customer: int = Field(2, ge=1, le=20, description="contacts of one customer during the campaign")
    max_per_week: int = Field(2, ge=1, le=7, description="contacts in any seven days, earlier campaigns included")
    holdout: float = Field(0.1, ge=0.01, le=0.9, description="share kept back at random of who would be contacted")
    protect_holdouts: int | None = Field(
        28,
        ge=0,
        le=366,
        description="days after the last one of an exported campaign that whoever it keeps back is left alone; "
        "null: they may be contacted, and the plan says how many are",
    )
    control: ControlGroup = Field(ControlGroup(), description="share, since; customers whom nothing ever contacts")
    consent: str | None = Field(
        None,
        max_length=500,
        description="where the tables know no consent: the ground on which these customers are contacted, in words; "
        "null: none, and nothing is exported; the demo has its own",
    )
    min_age: int = Field(
        18, ge=0, le=99, description="who is known to be, or may still be, younger is not contacted; 0: no limit"
    )
    audience: Audience = Field(Audience(), description="segments, min_baskets before the campaign, care")

    @field_validator("offers")
    @classmethod
    def _distinct(cls, named: tuple[OfferSettings, ...]) -> tuple[OfferSettings, ...]:
        names = Counter(offer.name for offer in named)
        if names and max(names.values()) > 1:
            raise ValueError(f"'{names.most_common(1)[0][0]}' is given twice; every offer needs a name of its own")
        return named

    @model_validator(mode="after")
    def _some_slot_is_open(self) -> Self:
        try:
            usable = self.open_slots()
        except InputError as error:
            raise ValueError(f"slots: {error}") from None
        if not usable:
            raise ValueError("quiet_hours: they touch every slot of the day; shorten them, or change slots")
        return self

    def open_slots(self) -> list[Slot]:
        """The slots outside the quiet hours."""
        begin, end = self.quiet_hours.begin, self.quiet_hours.end
        return [slot for slot in slots(self.slots) if not slot.quiet(begin, end)]


@dataclass
class PlanContext:
    """What a campaign is planned from, and what its summary must mention."""

    settings: Settings
    data: Prepared
    market: Market
    start: date
    slots: list[Slot]
    customers: pd.DataFrame
    segment: NDArray[Any]
    kind: str
    permitted: contacts.Permitted
    standing: exported.Earlier
    control: NDArray[np.bool_]
    notes: list[str] = field(default_factory=list)


def run(settings: Settings) -> None:
    """Write artifacts/plan."""
    data = Prepared()
    start = contacts.first_day(settings.start, data.windows, "plan.start")
    named = offers.named(settings.offers, data.products)
    market = responder.market(data, (start - responder.EPOCH).days)
    customers = data.customers
    segment = contacts.segments(customers, settings.audience.segments)
    cared_for = contacts.cared_for(customers, settings.audience.care)
    permitted = contacts.permitted(customers, data.windows, settings)
    kind = _kind(settings, market)
    standing = exported.earlier(
        customers, data.windows, start, settings.days, settings.protect_holdouts, storage.home()
    )
    never = control.members(customers, settings.control)
    context = PlanContext(
        settings, data, market, start, settings.open_slots(), customers, segment, kind, permitted, standing, never
    )
    rules = Rules(settings.days, settings.budget, settings.max_per_customer, settings.max_per_week, standing.days)
    wanted = settings.audience
    asked = eligible(market, segment, rules, wanted.segments, wanted.min_baskets)
    asked = asked[cared_for[asked]]
    reachable = permitted.among(asked)
    reachable = reachable[~standing.protected[reachable] & ~never[reachable]]
    # Ids are keyed hashes already: nobody outside can work out an arm.
    ids = customers["customer_id"].to_numpy()[reachable]
    terms = named or offers.past(market, context.kind, settings.max_offers, settings.assumed_discount)
    terms, offered, notes = offers.there_tonight(terms, tonight.deliverable(data))
    context.notes.extend(notes)
    model = responder.load(catalogue.RESPONDER.path.parent)
    reason = _reason(context, terms, reachable, model is not None)
    made = Held.nobody(reachable.size, settings.holdout)
    if model is not None and reason is None:
        log.info("plan: %s eligible customers, %d offers", f"{reachable.size:,}", len(terms))
        options = _options(context, terms, rules, model, offered)
        made = with_holdout(options, reachable, ids.tolist(), settings.name, settings.holdout)
        reason = None if made.plan.contacts.sent.any() else "no contact is expected to earn more than it costs"
        if options.promises is not None:
            sent = made.plan.contacts.where(made.plan.contacts.sent)
            context.notes.extend(offers.used_up(terms, options.promises, sent.offer))
    _write(context, terms, made, ids, reason, asked)


def _kind(settings: Settings, market: Market) -> str:
    """The kind of campaign that is planned, "" where there never was one."""
    kinds = Counter(campaign.kind for campaign in market.campaigns)
    if settings.kind and kinds and settings.kind not in kinds:
        there = ", ".join(sorted(kinds))
        raise InputError(f"params.yaml: plan.kind: no campaign of kind '{settings.kind}' so far; there are {there}")
    return settings.kind or min(kinds, key=lambda kind: (-kinds[kind], kind), default="")


def _reason(context: PlanContext, terms: list[OfferTerms], reachable: NDArray[np.int64], fitted: bool) -> str | None:
    """Why nothing can be sent at all; None where something may be."""
    if not fitted:
        return str(catalogue.RESPONDER.read()["reason"])
    if not terms:
        if context.notes:
            return "no offer has a product in stock or on sale tonight"
        return "there are no past offers; name some in params.yaml: plan.offers"
    if not reachable.size:
        return "nobody is eligible (params.yaml: plan.audience, plan.max_per_week; consent)"
    return "the budget is 0" if context.settings.budget == 0 else None


def _options(
    context: PlanContext, terms: list[OfferTerms], rules: Rules, model: Responder, offered: NDArray[np.bool_]
) -> Options:
    """What every offer on every channel in every slot promises."""
    settings, market = context.settings, context.market
    first = market.day
    goods = tuple(Offer(offer.name, offer.items) for offer in terms)
    campaign = Campaign(settings.name, context.kind, first, first + settings.days - 1, goods)
    chance = model.offer_chances(market, campaign)
    spend = redemption_values(market.histories, terms)
    reward = np.stack([offer.redemption_cost(spend[:, at]) for at, offer in enumerate(terms)], axis=1)
    channels = [Channel(name, channel.cost, channel.capacity) for name, channel in settings.channels.items()]
    products = context.data.products
    value = redemption_margins(market.histories, terms, spend, offers.column(products, "cost"), settings.margin)
    context.notes.extend(offers.costs_known(terms, products, settings.margin))
    zone = context.data.windows.time_zone
    timing, notes = slot_factors(context.customers, zone, context.start, context.slots, settings.slot_effect)
    context.notes.extend(notes)
    outlook = Outlook(chance, value, reward, timing)
    return Options(
        outlook, channels, rules, settings.goal, context.permitted.allowed, offered, offers.promises(terms, products)
    )


def _write(
    context: PlanContext,
    terms: list[OfferTerms],
    made: Held,
    ids: NDArray,
    reason: str | None,
    asked: NDArray[np.int64],
) -> None:
    """The four files."""
    settings = context.settings
    names = contacts.Names(
        context.customers["customer_id"].to_numpy(),
        context.segment,
        contacts.languages(context.customers),
        [(offer.name, offer.kind) for offer in terms],
        list(settings.channels),
        [slot.name for slot in context.slots],
        context.start,
    )
    rows = contacts.rows(made.plan.contacts, names, made.share)
    contacts.write(catalogue.PLAN.path, rows, ids, made)
    campaign = {
        "name": settings.name, "goal": settings.goal, "kind": context.kind or None, "start": context.start.isoformat(),
        "days": settings.days, "budget": settings.budget, "currency": settings.currency, "margin": settings.margin,
        "holdout": settings.holdout, "slots": [slot.name for slot in context.slots],
        "channels": {name: channel.model_dump() for name, channel in settings.channels.items()},
        "segments": list(settings.audience.segments), "min_baskets": settings.audience.min_baskets,
        "care": settings.audience.care,
        "max_per_customer": settings.max_per_customer, "max_per_week": settings.max_per_week,
    }  # fmt: skip
    named = {offer.name: offer for offer in settings.offers}
    summary = {
        "campaign": campaign,
        "num_customers": len(context.customers),
        "num_eligible": len(ids),
        "consent": context.permitted.said(asked),
        "num_kept_back": int(made.held.sum()),
        "empty_because": reason,
        **summarise(rows, settings.budget, made.plan.certificate, settings.goal),
        "control": control.said(settings.control, context.control, context.permitted.among(asked)),
        "exported": context.standing.said(context.permitted.among(asked), rows),
        "test": asdict(design := Design.of_plan(made.plan.contacts, int(made.chosen.sum()), made.share)),
        "offers": [offers.described(offer, context.data.products, named.get(offer.name)) for offer in terms],
    }
    said = [*control.words(summary["control"]), *exported.words(summary["exported"])]
    summary["notes"] = [*said, *_notes(terms, settings), *context.notes]
    summary["words"] = words(summary, campaign, design, summary["notes"])
    catalogue.PLAN_SUMMARY.write(summary)
    catalogue.PLAN_OFFERS.write(offers.products_of(terms, context.data.products))
    log.info("plan: %s", summary["words"])


def _notes(terms: list[OfferTerms], settings: Settings) -> Sequence[str]:
    """What the figures rest on."""
    notes = ["No response is on file by channel or hour, so channels differ in cost and capacity alone."]
    if any(offer.kind == "coupon" and offer.cost is None for offer in terms) and not settings.offers:
        notes.append(
            f"Past offers have no cost on file: each is taken to waive {settings.assumed_discount:.0%} of the price."
        )
    return notes
