"""Plan the launch of products that nobody has bought: who may want them, when, and what a test could detect.

A step: it runs by hand alone, from the champion and what the last night left; nothing is trained. It writes
artifacts/launch.
"""

import logging
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field

from nightmarket.contracts import InputError
from nightmarket.contracts.arrays import Float64s
from nightmarket.copywriting.facts import CopyFacts, Product, spoken
from nightmarket.copywriting.writers.prompt import Brief
from nightmarket.delivery import consent, launches, stock
from nightmarket.delivery.campaign import Channel, Goal, Options, Outlook, Rules
from nightmarket.delivery.eligibility import eligible
from nightmarket.delivery.holdout import Held, with_holdout
from nightmarket.delivery.offers import unit_margins
from nightmarket.delivery.summary import audience, summarise
from nightmarket.delivery.timing import Slot
from nightmarket.evaluation.protocol import Window
from nightmarket.histories.calendar import week_of
from nightmarket.histories.promotions import coming_weeks
from nightmarket.ranking.calibration import Calibration
from nightmarket.ranking.candidate_set import Batch, CandidateSet
from nightmarket.ranking.model import Model
from nightmarket.ranking.ranker import Ranker
from tasks.campaigns import contacts, control, exported, newcomers, offers, responder, tonight, writing
from tasks.campaigns.briefs import Readers, ShopFacts, kind_of, lexicon, locales_of, readers, table_of
from tasks.campaigns.newcomers import Newcomers, NewProduct
from tasks.campaigns.visits import slot_factors
from tasks.files import catalogue, manifest, storage
from tasks.files.prepared import Prepared
from tasks.models import recommender
from tasks.pipeline import settings
from tasks.pipeline.declaration import Step
from tasks.pipeline.settings import StageSettings

OUT = catalogue.LAUNCH.path
PAIRS = 300_000
"""Pairs of a customer and an earlier launch that chances are calibrated on, and all that were bought."""
CandidatesOf = Callable[[int, NDArray[np.int32]], CandidateSet]
"""(cut, launching products) → candidate set."""
log = logging.getLogger("nightmarket")
STEP = Step("plan and write the launch of products that nobody has bought")


class Settings(StageSettings):
    """A launch; what holds for every contact of the shop (margin, channels, slots, caps) stands in section `plan`."""

    name: str = Field("launch", min_length=1, max_length=80, description="name of the plan; decides who is kept back")
    products: tuple[NewProduct, ...] = Field((), max_length=50, description="product_id, or title, category and price")
    reach: float = Field(0.5, gt=0, le=1, description="share of the expected buyers that the audience shall hold")
    goal: Goal = Field("responses", description="responses: buyers within the budget; profit: contacts that pay alone")
    start: date | None = Field(None, description="first day; null: the day being prepared")
    days: int = Field(7, ge=1, le=92, description="days that contacts go out on")
    budget: float = Field(50.0, ge=0, description="what the contacts may cost, currency")
    holdout: float = Field(0.2, ge=0.01, le=0.9, description="share of the audience kept back at random")
    segments: tuple[str, ...] = Field((), description="names of segments; empty: everybody")


def run(given: Settings) -> None:
    """Write artifacts/launch."""
    if not given.products:
        raise InputError("launch.products: name the new products: a product_id, or title, category and price")
    manifest.verify(storage.CHAMPION)
    champion = recommender.load(catalogue.CHAMPION_RANK.path)
    new = newcomers.listed(Prepared(), given.products)
    log.info("launch: %d new products", new.items.size)
    planned = _knows_promotions(champion, new)
    forest = champion.forests.launching(planned)
    if forest is None:
        raise InputError("the champion has learned from no launch; it can say nothing about products without sales")
    candidates_of = partial(_candidate_set, champion, new.data, planned)
    past, calibration, standings = _earlier(champion, forest, new.data, candidates_of)
    chance = np.where(_offered(new), _chances(forest, calibration, new, candidates_of), 0.0)
    _write(_shop(given, new), chance, past | {"promotion_plan": planned}, standings)


def _knows_promotions(champion: Model, new: Newcomers) -> bool:
    """Whether the displays and mailers of the weeks ahead are in the tables, for each of the products, and were for
    the launches that chances are calibrated on.

    A product that the plan does not name would pass for one that nobody will see.
    """
    promotions, windows = new.data.promotions, new.data.windows
    known = all(champion.knows_plan(promotions, window.cut) for window in (windows.test, windows.deliver))
    if champion.forests.launch_plan is None or not known:
        return False
    first, last = coming_weeks(windows.deliver.cut, champion.target_days)
    ahead = (promotions.week >= first) & (promotions.week <= last)
    return bool(np.isin(new.items, promotions.item[ahead]).all())


def _candidate_set(champion: Model, data: Prepared, planned: bool, cut: int, items: NDArray[np.int32]) -> CandidateSet:
    text = recommender.text_scores(catalogue.CHAMPION_FINETUNE.path, data, cut) if champion.use_text else None
    statistics = recommender.statistics(data, Window.after(cut))
    return CandidateSet(statistics, champion.budget, text, np.sort(items), champion.target_days, planned)


def _chances(forest: Ranker, calibration: Calibration | None, new: Newcomers, candidates_of: CandidatesOf) -> Float64s:
    """(C, P) chance that a customer whom nobody contacts buys within the target days."""
    candidate_set = candidates_of(new.data.windows.deliver.cut, new.items)
    out = np.zeros((new.data.histories.num_customers, new.items.size))
    place = np.argsort(new.items)
    for batch in _logged(candidate_set.audience(np.sort(new.items)), "scored"):
        score = forest.score(batch.features, candidate_set.launch_features)
        at = np.searchsorted(new.items[place], batch.item)
        out[batch.customer, place[at]] = _probability(calibration, score)
    return out


def _offered(new: Newcomers) -> NDArray[np.bool_]:
    """(C, P) who may be offered which of the products."""
    goods = tonight.deliverable(new.data)
    return np.stack([goods.offered(np.array([item])) for item in new.items.tolist()], axis=1)


def _probability(calibration: Calibration | None, score: Float64s) -> Float64s:
    if calibration is None:
        return np.exp(-np.logaddexp(0.0, -score))
    return calibration.probability(score, np.zeros(score.size, bool))


def _logged(batches: Iterator[Batch], done: str) -> Iterator[Batch]:
    for number, batch in enumerate(batches, start=1):
        yield batch
        if number % 16 == 0:
            log.info("launch: %s %s customers", done, f"{batch.customer[-1] + 1:,}" if batch.customer.size else "more")


def _earlier(
    champion: Model, forest: Ranker, data: Prepared, candidates_of: CandidatesOf
) -> tuple[dict[str, Any], Calibration | None, Float64s]:
    """What the test window's launches say of the forest: facts for the words, calibration, the buyers' standings."""
    window = data.windows.test
    items = data.launching(window)
    bought = data.histories.between(window.first_target, window.last_target).matrix()
    if items.size == 0:
        return {}, None, np.zeros(0)
    candidate_set = candidates_of(window.cut, items)
    share = min(1.0, PAIRS / (items.size * data.histories.num_customers))
    rng = np.random.default_rng([17, week_of(window.cut)])
    parts = []
    for batch in _logged(candidate_set.sampled_launches(bought, share, rng), "looked at earlier launches of"):
        score = forest.score(batch.features, candidate_set.launch_features)
        parts.append((score, batch.label(bought), batch.item))
    score, label, item = (np.concatenate(part) for part in zip(*parts, strict=True))
    if not label.any() or label.all():
        return {}, None, np.zeros(0)
    weight = np.where(label, 1.0, 1.0 / share)
    calibration = Calibration.fit(score, label, weight, np.zeros(label.size, bool))
    buyers = np.bincount(np.searchsorted(items, item[label]), minlength=items.size)
    facts = {
        "launches": int(items.size),
        "buyers": int(label.sum()),
        "expected": float((weight * _probability(None, score)).sum()),
        "days": champion.target_days,
        "unseen": champion.trained_until <= window.cut,
        "low": float(np.quantile(buyers, 0.1)),
        "high": float(np.quantile(buyers, 0.9)),
    }
    return facts, calibration, launches.standing(score, label, weight, item)


@dataclass(frozen=True)
class LaunchContext:
    """The shop that a launch is planned in.

    plan     section `plan` of params.yaml: margin, channels, caps
    segment  (C,)  name or None
    control  (C,)  who is in the permanent control group
    asked    (E,)  customers who are eligible but for consent
    may      (M,)  those of them who may be contacted
    """

    given: Settings
    new: Newcomers
    plan: Any
    start: date
    customers: pd.DataFrame
    segment: NDArray[Any]
    rules: Rules
    permitted: contacts.Permitted
    standing: exported.Earlier
    control: NDArray[np.bool_]
    asked: NDArray[np.int64]
    may: NDArray[np.int64]
    slots: list[Slot]


def _shop(given: Settings, new: Newcomers) -> LaunchContext:
    shop: Any = settings.load("plan")
    start = contacts.first_day(given.start, new.data.windows, "launch.start")
    market = responder.market(new.data, (start - responder.EPOCH).days)
    customers = new.data.customers
    segment = contacts.segments(customers, given.segments)
    standing = exported.earlier(customers, new.data.windows, start, given.days, shop.protect_holdouts, storage.home())
    rules = Rules(given.days, given.budget, 1, shop.max_per_week, standing.days)
    asked = eligible(market, segment, rules, given.segments)
    permitted = contacts.permitted(customers, new.data.windows, shop)
    may, slots = permitted.among(asked), shop.open_slots()
    never = control.members(customers, shop.control)
    may = may[~standing.protected[may] & ~never[may]]
    return LaunchContext(
        given, new, shop, start, customers, segment, rules, permitted, standing, never, asked, may, slots
    )


def _planned(
    shop: LaunchContext, chance: Float64s, some: NDArray[np.int64], ids: NDArray[Any]
) -> tuple[Held, str | None, list[str]]:
    """The plan, why it is empty, and what else there is to say."""
    reason = _reason(shop, some)
    if reason is not None:
        return Held.nobody(some.size, shop.given.holdout), reason, []
    zone = shop.new.data.windows.time_zone
    timing, notes = slot_factors(shop.customers, zone, shop.start, shop.slots, shop.plan.slot_effect)
    products = shop.new.data.products.iloc[shop.new.items]
    each = unit_margins(shop.new.price, offers.column(products, "cost"), shop.plan.margin)
    worth = np.broadcast_to(each, chance.shape).astype(np.float32)
    outlook = Outlook(chance.astype(np.float32), worth, np.zeros_like(worth), timing)
    channels = [Channel(name, channel.cost, channel.capacity) for name, channel in shop.plan.channels.items()]
    units = stock.counted(offers.column(shop.new.data.products, "stock"))
    limits = stock.promises(list(shop.new.items[:, None]), units)
    allowed, offered = shop.permitted.allowed, _offered(shop.new)
    options = Options(outlook, channels, shop.rules, shop.given.goal, allowed, offered, limits)
    made = with_holdout(options, some, ids.tolist(), shop.given.name, shop.given.holdout)
    return made, None if made.plan.contacts.sent.any() else "no contact is expected to earn more than it costs", notes


def _write(shop: LaunchContext, chance: Float64s, past: dict[str, Any], standings: Float64s) -> None:
    given, wanted = shop.given, chance.sum(axis=1)
    some = shop.may[launches.audience(wanted[shop.may], given.reach)]
    every = shop.customers["customer_id"].to_numpy()
    ids = every[some]
    made, reason, notes = _planned(shop, chance, some, ids)
    named = [(name, "launch") for name in shop.new.names]
    parts = [slot.name for slot in shop.slots]
    language = contacts.languages(shop.customers)
    names = contacts.Names(every, shop.segment, language, named, list(shop.plan.channels), parts, shop.start)
    rows = contacts.rows(made.plan.contacts, names, made.share)
    contacts.write(OUT, rows, ids, made)
    summary = {
        "campaign": given.model_dump(mode="json")
        | {"products": [product.model_dump(exclude_defaults=True) for product in given.products]}
        | {"start": shop.start.isoformat(), "max_per_week": shop.plan.max_per_week}
        | {"channels": {name: channel.model_dump() for name, channel in shop.plan.channels.items()}},
        "num_customers": len(shop.customers),
        "num_eligible": int(some.size),
        "consent": shop.permitted.said(shop.asked),
        "empty_because": reason,
        **summarise(rows, given.budget, made.plan.certificate, given.goal),
        "control": control.said(shop.plan.control, shop.control, shop.permitted.among(shop.asked)),
        "exported": shop.standing.said(shop.permitted.among(shop.asked), rows),
        "audiences": launches.sizes(wanted[shop.may], standings),
        "products": _intent(shop.new, chance),
        "earlier_launches": past,
    }
    design = launches.Design.of_plan(made.plan.contacts, int(made.chosen.sum()), made.share)
    summary["test"] = asdict(design)
    summary["texts"] = write_texts(shop.new, rows, shop.plan.currency, OUT)
    others = [*control.words(summary["control"]), *exported.words(summary["exported"])]
    said = launches.words(summary, design, past, [*others, *notes])
    asked = f"Asked for: {audience(summary['campaign'])}."
    summary["words"] = [
        said[0],
        *consent.words(summary["consent"]),
        asked,
        *said[1:],
        f"Texts: {summary['texts']['words']}.",
    ]
    storage.write_json(summary, OUT / "summary.json")
    for line in summary["words"]:
        log.info("launch: %s", line)


def _reason(shop: LaunchContext, some: NDArray[np.int64]) -> str | None:
    """Why nothing can be sent; None where something may be."""
    if not some.size:
        return "nobody is eligible (launch.segments, plan.max_per_week, consent)"
    return "the budget is 0" if shop.given.budget == 0 else None


def _intent(new: Newcomers, chance: Float64s) -> list[dict[str, Any]]:
    """Per product: who wants it, and how well its surroundings are known."""
    products, lines = new.data.products, new.data.histories
    rows = []
    for at, item in enumerate(new.items.tolist()):
        same = (products["type"] == products["type"].iloc[item]).to_numpy() & (products["recommendable"]).to_numpy()
        buyers = np.unique(lines.customer[same[lines.item]]).size
        rows.append(
            {
                "name": new.names[at],
                "type": str(products["type"].iloc[item]),
                "price": float(new.price[at]),
                "products_of_its_type_sold": int(np.unique(lines.item[same[lines.item]]).size),
                "customers_of_its_type": int(buyers),
                "expected_buyers": float(chance[:, at].sum()),
            }
        )
    return rows


def write_texts(launched: Newcomers, rows: pd.DataFrame, currency: str, out: Path) -> dict[str, Any]:
    """Write copy.parquet and decisions.parquet for a launch's contacts; returns their summary.

    rows  of the launch's plan.parquet
    """
    manner = cast(writing.Manner, settings.load("compose"))
    data = Prepared()
    taste = writing.Taste(data)
    shop = ShopFacts(manner.shop, currency, manner.locales, manner.channels)
    placed = rows.fillna({"segment": "other"})
    taste.group(placed)
    known = lexicon(table_of(data.products, writing.buyers(data, 4)), launched.names)
    texts = writing.write(list(launch_briefs(placed, launched, shop)), taste, known, manner, writing.writer(manner))
    texts.save(out)
    return texts.summary(manner)


def launch_briefs(rows: pd.DataFrame, launched: Newcomers, shop: ShopFacts) -> Iterator[tuple[Brief, str, str]]:
    """(brief, segment, product) for every segment that hears of a new product, and its channels and languages.

    There is no offer, no reason by buyers and no praise, for nobody has bought it; that it is new is a fact.

    rows  contacts of the launch, a segment for everybody; `offer` the product's name in `launched`
    """
    traits = readers()
    place = {name: number for number, name in enumerate(launched.names)}
    for (segment, name), group in rows.groupby(["segment", "offer"], sort=True):
        row = launched.data.products.iloc[launched.items[place[name]]]
        kind = kind_of(row["type"])
        title = spoken(row["title"], kind)
        if not title:
            continue
        whose = traits.get(str(segment), Readers())
        new = Product(title, category=kind, price=float(launched.price[place[name]]), is_new=True)
        for channel in shop.channels or tuple(sorted(group["channel"].unique())):
            for locale in locales_of(group, shop):
                facts = CopyFacts(
                    locale, shop.name, shop.currency, new, angle=whose.angle, readers=whose.marks.get(locale, ())
                )
                yield Brief(f"{segment}|{name}|{channel}|{locale}", channel, facts), str(segment), str(name)
