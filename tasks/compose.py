"""Write the texts of the plan, per group of customers, offer, channel and language, each checked against its facts.

reads   artifacts/plan, artifacts/segment, artifacts/prepare, data/champion (its encoder orders the texts)
writes  artifacts/compose   copy.parquet, customers.parquet, decisions.parquet, summary.json
"""

import logging
import os
import time
from collections import Counter
from typing import Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from nightmarket.contracts import InputError
from nightmarket.copywriting.choosing import best_distinct, whole
from nightmarket.copywriting.composing import Composed, Decision, compose
from nightmarket.copywriting.facts import Locale
from nightmarket.copywriting.guard import Lexicon
from nightmarket.copywriting.judging import distinct, self_bleu
from nightmarket.copywriting.phrases import vocabulary
from nightmarket.copywriting.writers import Brief, TemplateWriter, Writer
from nightmarket.copywriting.writers.prompt import as_data
from tasks import briefs, manifest, model, storage
from tasks.settings import StageSettings
from tasks.tastes import Taste, buyers

OUT = storage.ARTIFACTS / "compose"
KEY = "NIGHTMARKET_WRITER_KEY"
"""Environment variable with the key of the writer's server."""
COPY = pa.schema(
    [(name, pa.string()) for name in ("brief", "segment", "offer", "channel", "locale")]
    + [("place", pa.int32())]
    + [(name, pa.string()) for name in ("form", "text", "writer")]
    + [("nearness", pa.float32())]
)
CUSTOMERS = pa.schema(
    [("customer_id", pa.string()), ("day", pa.date32())]
    + [(name, pa.string()) for name in ("slot", "channel", "offer", "locale", "form", "text")]
)
DECISIONS = pa.schema(
    [("brief", pa.string()), ("writer", pa.string()), ("number", pa.int32()), ("fate", pa.string())]
    + [(name, pa.string()) for name in ("form", "rule", "what")]
)
log = logging.getLogger("nightmarket")


class ServerSettings(BaseModel):
    """An OpenAI-compatible server; its key comes from the environment alone."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str = Field(description="address up to /v1")
    model: str = Field(min_length=1, description="name of the model there")
    timeout: float = Field(30.0, gt=0, le=600, description="seconds of one request")
    retries: int = Field(3, ge=0, le=10, description="further tries after 429, 5xx and time-outs")
    per_minute: int = Field(600, ge=1, description="requests a minute at most")


class Settings(StageSettings):
    """Who writes, in which languages, and how much."""

    seed: int = Field(17, ge=0, description="seed of the phrases' order and of a model's draws")
    shop: str = Field("Our shop", min_length=1, max_length=40, description="what the shop is called in a text")
    locales: tuple[Locale, ...] = Field(("en",), min_length=1, description="languages: en, zh")
    channels: tuple[Literal["push", "sms", "email", "banner"], ...] = Field(
        (), description="channels to write for; empty: those that the plan uses"
    )
    writer: Literal["template", "transformers", "openai"] = Field(
        "template", description="who writes; template: no model"
    )
    model: str | None = Field(None, description="folder or hub id of a causal language model, for writer: transformers")
    server: ServerSettings | None = Field(None, description="url, model, timeout, retries, per_minute, for openai")
    num_written: int = Field(12, ge=1, le=100, description="messages that are written per brief")
    num_kept: int = Field(3, ge=1, le=20, description="best distinct messages that are kept of them")
    per_customer: bool = Field(False, description="also one message for each contact, about her own favourite product")


def run(settings: Settings) -> None:
    """Write artifacts/compose."""
    data = model.prepared()
    manifest.verify(storage.CHAMPION)
    planned = briefs.read(data.products, buyers(data, 4))
    shop = briefs.Shop(settings.shop, planned.summary["campaign"]["currency"], settings.locales, settings.channels)
    taste = Taste(data)
    wanted = list(briefs.of_segments(planned, shop, taste.favourites(planned)))
    log.info("compose: %d briefs, %s writes", len(wanted), settings.writer)
    names = pd.concat(
        [planned.products["name"], data.products["brand"], data.products["type"], data.products["category"]]
    )
    lexicon = Lexicon(names.dropna().unique().tolist(), vocabulary())
    started = time.perf_counter()
    writer = _writer(settings)
    asked = [brief for brief, _, _ in wanted]
    composed, record = compose(asked, writer, lexicon, settings.num_written, settings.seed)
    seconds = time.perf_counter() - started
    rows = _ordered(wanted, composed, taste, settings)
    theirs: list[dict[str, Any]] = []
    if settings.per_customer:
        theirs, more = _of_customers(planned, shop, taste, lexicon, writer, settings.seed)
        record += more
    storage.write_table(pa.Table.from_pylist(rows, COPY), OUT / "copy.parquet")
    storage.write_table(pa.Table.from_pylist(theirs, CUSTOMERS), OUT / "customers.parquet")
    storage.write_table(pa.Table.from_pylist(_recorded(record), DECISIONS), OUT / "decisions.parquet")
    summary = _summary(settings, planned, wanted, composed, record, rows)
    storage.write_json(summary, OUT / "summary.json")
    log.info("compose: %s (%.1f s to write and check)", summary["words"], seconds)


def _writer(settings: Settings) -> Writer:
    if settings.writer == "transformers":
        from nightmarket.copywriting.writers.local import LocalWriter

        if settings.model is None:
            raise InputError("params.yaml: compose.model: name the folder or hub id of a causal language model")
        return LocalWriter(settings.model, settings.seed)
    if settings.writer == "openai":
        from nightmarket.copywriting.writers.server import Server, ServerWriter

        if settings.server is None:
            raise InputError("params.yaml: compose.server: give the url and the model of an OpenAI-compatible server")
        return ServerWriter(Server(**settings.server.model_dump(), key=os.environ.get(KEY, "")), settings.seed)
    return TemplateWriter(settings.seed)


def _ordered(
    wanted: list[tuple[Brief, str, str]], composed: list[Composed], taste: Taste, settings: Settings
) -> list[dict[str, Any]]:
    """Rows of copy.parquet: the best distinct messages of each brief, nearest to what the group buys first."""
    from nightmarket.encoding import load_encoder

    if not any(one.messages for one in composed):
        return []
    texts = list(dict.fromkeys(whole(message) for one in composed for message in one.messages))
    encoder = load_encoder(str(storage.CHAMPION / "finetune" / "encoder"), "auto")
    vector = dict(zip(texts, encoder.encode(texts), strict=True))
    tastes = taste.vectors()
    rows = []
    for (brief, segment, offer), one in zip(wanted, composed, strict=True):
        near = np.array([vector[whole(message)] @ tastes[segment] for message in one.messages], dtype=np.float32)
        for place, at in enumerate(best_distinct(one.messages, near, settings.num_kept), 1):
            rows += [
                {
                    "brief": brief.key,
                    "segment": segment,
                    "offer": offer,
                    "channel": brief.channel,
                    "locale": brief.facts.locale,
                    "place": place,
                    "form": form,
                    "text": text,
                    "writer": one.writer,
                    "nearness": float(near[at]),
                }
                for form, text in one.messages[at].items()
            ]
    return rows


def _of_customers(
    planned: briefs.Planned, shop: briefs.Shop, taste: Taste, lexicon: Lexicon, writer: Writer, seed: int
) -> tuple[list[dict[str, Any]], list[Decision]]:
    """One message for each contact that is sent, about the product of its offer that the customer bought most often."""
    offers = {offer["name"]: offer for offer in planned.summary["offers"]}
    sent = planned.rows[planned.rows["arm"] == "send"]
    favourite, asked, rows = {}, {}, []
    for customer_id, group in sent.groupby("customer_id", sort=True):
        own = taste.recent.where(taste.recent.customer == taste.customer[customer_id])
        bought = np.bincount(own.item, minlength=len(planned.products))
        for offer in group["offer"].unique():
            items = taste.items(planned, offer)
            if items.size and briefs.tellable(offers[offer]) is None:
                favourite[customer_id, offer] = planned.products.index[items[np.argmax(bought[items])]]
    for contact in sent.itertuples():
        product = favourite.get((contact.customer_id, contact.offer))
        for locale in shop.locales if product is not None else ():
            channels = shop.channels or (contact.channel,)
            for channel in channels:
                key = f"{product}|{contact.offer}|{channel}|{locale}"
                facts = briefs.facts_of(
                    planned, offers[contact.offer], planned.products.loc[product], shop, locale, "plain"
                )
                asked.setdefault(key, Brief(key, channel, facts))
                rows.append((contact, key, locale, channel))
    composed, record = compose(list(asked.values()), writer, lexicon, 1, seed)
    texts = {one.brief.key: one.messages[0] for one in composed if one.messages}
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


def _recorded(record: list[Decision]) -> list[dict[str, Any]]:
    """Rows of decisions.parquet; a message that passed as it was has one row without a rule."""
    rows = []
    for one in record:
        head = {"brief": one.brief, "writer": one.writer, "number": one.number, "fate": one.fate}
        found: list[tuple[Any, Any, Any]] = [(form, finding.rule, finding.what) for form, finding in one.rules]
        rows += [
            head | {"form": form, "rule": rule, "what": what} for form, rule, what in found or [(None, None, None)]
        ]
    return rows


def _summary(
    settings: Settings,
    planned: briefs.Planned,
    wanted: list[tuple[Brief, str, str]],
    composed: list[Composed],
    record: list[Decision],
    rows: list[dict[str, Any]],
) -> dict[str, Any]:
    fates = Counter((one.writer, one.fate) for one in record)
    rules = Counter(rule for one in record for rule in {finding.rule for _, finding in one.rules})
    notes = [note for offer in planned.summary["offers"] if (note := briefs.tellable(offer)) is not None]
    silent = [one.brief.key for one in composed if not one.messages]
    if silent:
        notes.append(f"for {len(silent)} briefs nothing fits the channel's length, first {silent[0]}")
    replaced = sum(one.writer != settings.writer and bool(one.messages) for one in composed)
    texts = [row["text"] for row in rows]
    said = f"{len(texts)} texts for {len(composed) - len(silent)} of {len(composed)} briefs"
    if planned.summary["empty_because"] and not wanted:
        said = f"nothing to write: {planned.summary['empty_because']}"
    return {
        "writer": settings.writer,
        "shop": settings.shop,
        "num_briefs": len(composed),
        "num_without_text": len(silent),
        "num_by_template_instead": replaced,
        "num_texts": len(texts),
        "fates": [{"writer": name, "fate": fate, "num": num} for (name, fate), num in sorted(fates.items())],
        "rules": dict(sorted(rules.items())),
        "variety": {"distinct_2": distinct(texts, 2), "self_bleu": self_bleu(texts[:500])},
        "facts": {brief.key: as_data(brief.facts) for brief, _, _ in wanted},
        "notes": notes,
        "words": said,
    }
