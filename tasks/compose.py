"""Write the texts of the plan, per group of customers, offer, channel and language, each checked against its facts.

The champion's encoder orders the texts; the aspects that reviews praise are among the facts.
"""

import dataclasses
import logging
from typing import Any

import numpy as np
from pydantic import Field

from nightmarket.copywriting.composing import GuardDecision, compose
from nightmarket.copywriting.facts import locale_of
from nightmarket.copywriting.guard.names import Lexicon
from nightmarket.copywriting.writers.prompt import Brief, Writer
from tasks.campaigns import briefs, writing
from tasks.campaigns.writing import Taste, buyers
from tasks.files import catalogue, manifest, storage
from tasks.files.prepared import Prepared
from tasks.pipeline.declaration import Stage

log = logging.getLogger("nightmarket")
STAGE = Stage(
    "write the plan's texts, each checked against the offer's terms",
    reads=(
        catalogue.CHAMPION_FINETUNE,
        catalogue.CHAMPION_MANIFEST,
        catalogue.PREPARE,
        catalogue.SEGMENT,
        catalogue.PLAN,
        catalogue.PRAISE,
    ),
    writes=(catalogue.COMPOSE,),
    phase="deliver",
    timeout_s=3_600,
    side=True,
)


class Settings(writing.Manner):
    """Who writes, in which languages, and how much."""

    per_customer: bool = Field(False, description="also one message per contact, about their own favourite product")


def run(settings: Settings) -> None:
    """Write artifacts/compose."""
    data = Prepared()
    manifest.verify(storage.CHAMPION)
    planned = briefs.read(data.products, buyers(data, 4))
    shop = briefs.ShopFacts(settings.shop, planned.summary["campaign"]["currency"], settings.locales, settings.channels)
    taste = Taste(data)
    wanted = list(briefs.of_segments(planned, shop, taste.favourites(planned)))
    lexicon = briefs.lexicon(planned.products)
    writer = writing.writer(settings)
    texts = writing.write(wanted, taste, lexicon, settings, writer)
    theirs: list[dict[str, Any]] = []
    if settings.per_customer:
        theirs, more = _of_customers(planned, shop, taste, lexicon, writer, settings.seed)
        texts = dataclasses.replace(texts, record=texts.record + more)
    texts.save(catalogue.COMPOSE.path)
    catalogue.MESSAGES.write(theirs)
    notes = [note for offer in planned.summary["offers"] if (note := briefs.unwritable(offer)) is not None]
    if lost := catalogue.PRAISE.unavailable():
        notes.append(f"no text says what reviews praise: {lost}")
    summary = texts.summary(settings, notes)
    if planned.summary["empty_because"] and not wanted:
        summary["words"] = f"nothing to write: {planned.summary['empty_because']}"
    catalogue.COMPOSE_SUMMARY.write(summary)
    log.info("compose: %s", summary["words"])


def _of_customers(
    planned: briefs.Planned, shop: briefs.ShopFacts, taste: Taste, lexicon: Lexicon, writer: Writer, seed: int
) -> tuple[list[dict[str, Any]], list[GuardDecision]]:
    """One message for each contact that is sent, about the product of its offer that the customer bought most often."""
    offers = {offer["name"]: offer for offer in planned.summary["offers"]}
    sent = planned.rows[planned.rows["arm"] == "send"]
    favourite: dict[tuple[str, str], str] = {}
    asked: dict[str, Brief] = {}
    rows = []
    for customer_id, group in sent.groupby("customer_id", sort=True):
        lines = taste.recent.where(taste.recent.customer == taste.customer[customer_id])
        bought = np.bincount(lines.item, minlength=len(planned.products))
        for offer in group["offer"].unique():
            items = taste.items(planned, offer)
            reader = np.full(items.size, taste.customer[customer_id], np.int32)
            items = items[taste.goods.may(reader, items.astype(np.int32))]
            if items.size and briefs.unwritable(offers[offer]) is None:
                favourite[customer_id, offer] = planned.products.index[items[np.argmax(bought[items])]]
    for contact in sent.itertuples():
        product = favourite.get((contact.customer_id, contact.offer))
        own = locale_of(contact.language)
        for locale in (shop.locales if own is None else (own,)) if product is not None else ():
            channels = shop.channels or (contact.channel,)
            for channel in channels:
                key = f"{product}|{contact.offer}|{channel}|{locale}"
                facts = briefs.facts_of(planned, offers[contact.offer], planned.products.loc[product], shop, locale)
                asked.setdefault(key, Brief(key, channel, facts))
                rows.append((contact, key, locale, channel))
    composed, record = compose(list(asked.values()), writer, lexicon, 1, seed)
    texts = {written.brief.key: written.messages[0] for written in composed if written.messages}
    return [
        {
            "customer_id": contact.customer_id,
            "day": contact.day,
            "slot": contact.slot,
            "channel": channel,
            "offer": contact.offer,
            "locale": locale,
            "form": form,
            "text": text,
        }
        for contact, key, locale, channel in rows
        for form, text in texts.get(key, {}).items()
    ], record
