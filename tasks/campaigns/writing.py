"""How texts are written and kept, for a plan as for a launch: writer, guard, the best distinct ones, the record."""

import logging
import os
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import urlsplit

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field, field_validator, model_validator

from nightmarket.copywriting.composing import Composed, GuardDecision, best_distinct, compose, whole
from nightmarket.copywriting.facts import Locale
from nightmarket.copywriting.guard.names import Lexicon
from nightmarket.copywriting.variety import distinct, self_bleu
from nightmarket.copywriting.writers.prompt import Brief, Writer, as_data
from nightmarket.copywriting.writers.template import TemplateWriter
from nightmarket.histories.histories import Histories
from tasks.campaigns import briefs, tonight
from tasks.files import catalogue
from tasks.files.prepared import Prepared
from tasks.models import recommender
from tasks.pipeline.settings import StageSettings

RECENT = 26
"""Weeks of purchases that count."""
TRIED = 50
"""Best-liked products of an offer among which one is looked for that all readers may be offered."""
KEY = "NIGHTMARKET_WRITER_KEY"
"""Environment variable with the key of the writer's server."""
log = logging.getLogger("nightmarket")
Wanted = tuple[Brief, str, str]
"""A brief, and the segment and offer that it is for."""


class Taste:
    """What groups of customers, and single ones, buy."""

    def __init__(self, data: Prepared) -> None:
        self.data = data
        self.recent = _lately(data, RECENT)
        self.goods = tonight.deliverable(data)
        self.customer = {customer_id: number for number, customer_id in enumerate(data.customers["customer_id"])}
        self.item = {product_id: number for number, product_id in enumerate(data.products["product_id"].tolist())}
        self.segment: dict[str, NDArray[np.int64]] = {}

    def group(self, rows: pd.DataFrame) -> None:
        """Who is in which segment, from rows of customer_id and segment."""
        for segment, group in rows.groupby("segment", sort=True):
            members = [self.customer[name] for name in group["customer_id"].unique()]
            self.segment[str(segment)] = np.array(members, dtype=np.int64)

    def favourites(self, planned: briefs.Planned) -> dict[tuple[str, str], str]:
        """(segment, offer) → product of the offer that most of the group's customers bought recently, of those that all
        who are written to may be offered; without one of these the offer is not written about."""
        favourites_of = {}
        overall = planned.products["num_buyers"].to_numpy()
        self.group(planned.rows)
        for segment, group in planned.rows.groupby("segment", sort=True):
            lines = self.recent.where(np.isin(self.recent.customer, self.segment[str(segment)]))
            bought = _num_buyers(lines)
            for offer in group["offer"].unique():
                items = self.items(planned, str(offer))
                order = items[np.lexsort((items, -overall[items], -bought[items]))[:TRIED]]
                readers = np.array([self.customer[name] for name in group["customer_id"].unique()], np.int32)
                sold_to = self.goods.sold_to
                sold = (item for item in order if sold_to(readers, np.full(readers.size, item, np.int32)).all())
                best = next(sold, None)
                if best is not None:
                    favourites_of[str(segment), str(offer)] = self.data.products["product_id"].iloc[best]
        return favourites_of

    def items(self, planned: briefs.Planned, offer: str) -> NDArray[np.int64]:
        """Products of an offer as numbers."""
        ids = planned.offered[offer]["product_id"].tolist() if offer in planned.offered else []
        return np.array([self.item[product_id] for product_id in ids], dtype=np.int64)

    def vectors(self) -> dict[str, NDArray[np.float32]]:
        """segment → mean text vector of what it bought recently, unit norm."""
        texts = recommender.text_vectors(catalogue.CHAMPION_FINETUNE.path, self.data)
        text_id = self.data.products["text_id"].to_numpy()
        means = {}
        for segment, members in self.segment.items():
            lines = self.recent.where(np.isin(self.recent.customer, members))
            share = np.bincount(text_id[lines.item], minlength=len(texts)).astype(np.float32)
            mean = share @ texts.astype(np.float32)
            means[segment] = mean / max(float(np.linalg.norm(mean)), 1e-9)
        return means


def buyers(data: Prepared, weeks: int) -> NDArray[np.int64]:
    """(I,) customers who bought each product in the last weeks."""
    return _num_buyers(_lately(data, weeks))


def _lately(data: Prepared, weeks: int) -> Histories:
    """The lines of the last weeks."""
    last = data.windows.last_day
    return data.histories.between(last - 7 * weeks + 1, last)


def _num_buyers(lines: Histories) -> NDArray[np.int64]:
    """(I,) customers with a line of each item."""
    pairs = np.unique(lines.customer.astype(np.int64) * lines.num_items + lines.item)
    return np.bincount(pairs % lines.num_items, minlength=lines.num_items)


class WriterServer(StageSettings):
    """An OpenAI-compatible server; its key comes from the environment alone."""

    url: str = Field(description="address up to /v1")
    model: str = Field(min_length=1, description="name of the model there")
    timeout: float = Field(30.0, gt=0, le=600, description="seconds of one request")
    retries: int = Field(3, ge=0, le=10, description="further tries after 429, 5xx and time-outs")
    per_minute: int = Field(600, ge=1, description="requests a minute at most")

    @field_validator("url")
    @classmethod
    def _address_alone(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("it is no address; give one like http://localhost:8000/v1")
        if "@" in parts.netloc or parts.query or parts.fragment:
            raise ValueError(f"it holds more than an address; the key belongs in {KEY}")
        return url


class Manner(StageSettings):
    """Who writes, in which languages, and how much."""

    seed: int = Field(17, ge=0, lt=2**31, description="seed of the phrases' order and of a model's draws")
    shop: str = Field("Our shop", min_length=1, max_length=40, description="what the shop is called in a text")
    locales: tuple[Locale, ...] = Field(("en",), min_length=1, description="languages: en, zh")
    channels: tuple[Literal["push", "sms", "email", "banner"], ...] = Field(
        (), description="channels to write for; empty: those that the plan uses"
    )
    writer: Literal["template", "transformers", "openai"] = Field(
        "template", description="who writes; template: no model"
    )
    model: str | None = Field(None, description="folder or hub id of a causal language model, for writer: transformers")
    server: WriterServer | None = Field(None, description="url, model, timeout, retries, per_minute, for openai")
    num_written: int = Field(12, ge=1, le=100, description="messages that are written per brief")
    num_kept: int = Field(3, ge=1, le=20, description="best distinct messages that are kept of them")

    @model_validator(mode="after")
    def _has_a_writer(self) -> Self:
        if self.writer == "transformers" and self.model is None:
            raise ValueError("model: writer is transformers; name the folder or hub id of a causal language model")
        if self.writer == "openai" and self.server is None:
            raise ValueError("server: writer is openai; give the url and the model of an OpenAI-compatible server")
        if self.num_kept > self.num_written:
            raise ValueError(f"num_kept: {self.num_kept} cannot be kept of {self.num_written} (num_written); lower it")
        return self


@dataclass(frozen=True)
class Texts:
    """What was written.

    wanted    briefs, as they were asked for
    composed  the same in order, with what may be sent
    record    every decision of the guard
    rows      of copy.parquet
    """

    wanted: list[Wanted]
    composed: list[Composed]
    record: list[GuardDecision]
    rows: list[dict[str, Any]]

    def save(self, out: Path) -> None:
        """Write copy.parquet and decisions.parquet."""
        catalogue.COPY.at(out).write(self.rows)
        catalogue.COPY_DECISIONS.at(out).write(_recorded(self.record))

    def summary(self, manner: Manner, notes: Iterable[str] = ()) -> dict[str, Any]:
        """Counts, variety, the facts of each brief, and what could not be written."""
        fates = Counter((decision.writer, decision.fate) for decision in self.record)
        rules = Counter(rule for row in self.record for rule in {violation.rule for _, violation in row.rules})
        silent = [written.brief.key for written in self.composed if not written.messages]
        all_notes = list(notes)
        if silent:
            all_notes.append(f"for {len(silent)} briefs nothing fits the channel's length, first {silent[0]}")
        texts = [row["text"] for row in self.rows]
        num = len(self.composed)
        return {
            "writer": manner.writer,
            "shop": manner.shop,
            "num_briefs": num,
            "num_without_text": len(silent),
            "num_by_template_instead": sum(bool(w.messages) and w.writer != manner.writer for w in self.composed),
            "num_texts": len(texts),
            "fates": [{"writer": name, "fate": fate, "num": count} for (name, fate), count in sorted(fates.items())],
            "rules": dict(sorted(rules.items())),
            "variety": {"distinct_2": distinct(texts, 2), "self_bleu": self_bleu(texts[:500])},
            "facts": {brief.key: as_data(brief.facts) for brief, _, _ in self.wanted},
            "notes": all_notes,
            "words": f"{len(texts)} texts for {num - len(silent)} of {num} briefs",
        }


def write(wanted: Sequence[Wanted], taste: Taste, lexicon: Lexicon, manner: Manner, by: Writer) -> Texts:
    """Texts for every brief, checked; the best distinct ones by what the segment buys."""
    started = time.perf_counter()
    asked = [brief for brief, _, _ in wanted]
    composed, record = compose(asked, by, lexicon, manner.num_written, manner.seed)
    log.info("%d briefs, %s wrote and was checked in %.1f s", len(asked), manner.writer, time.perf_counter() - started)
    return Texts(list(wanted), composed, record, _ordered(wanted, composed, taste, manner.num_kept))


def writer(manner: Manner) -> Writer:
    """The writer that is asked for; InputError where its model or the server's address cannot be used."""
    if manner.writer == "transformers":
        from nightmarket.copywriting.writers.local import LocalWriter

        assert manner.model is not None  # by its own rule
        return LocalWriter(manner.model, manner.seed)
    if manner.writer == "openai":
        from nightmarket.copywriting.writers.server import ServerAddress, ServerWriter

        assert manner.server is not None  # by its own rule
        return ServerWriter(ServerAddress(**manner.server.model_dump(), key=os.environ.get(KEY, "")), manner.seed)
    return TemplateWriter(manner.seed)


def _ordered(wanted: Sequence[Wanted], composed: list[Composed], taste: Taste, num: int) -> list[dict[str, Any]]:
    """Rows of copy.parquet: the best distinct messages of each brief, nearest to what the group buys first."""
    from nightmarket.encoding.loading import load_encoder

    if not any(written.messages for written in composed):
        return []
    texts = list(dict.fromkeys(whole(message) for written in composed for message in written.messages))
    encoder = load_encoder(str(catalogue.CHAMPION_ENCODER.path), "auto")
    vector = dict(zip(texts, encoder.encode(texts), strict=True))
    tastes = taste.vectors()
    rows = []
    for (brief, segment, offer), written in zip(wanted, composed, strict=True):
        near = np.array([vector[whole(message)] @ tastes[segment] for message in written.messages], dtype=np.float32)
        brief_columns = {"brief": brief.key, "segment": segment, "offer": offer, "channel": brief.channel}
        for place, at in enumerate(best_distinct(written.messages, near, num), 1):
            rows += [
                brief_columns
                | {"locale": brief.facts.locale, "place": place, "form": form, "text": text}
                | {"writer": written.writer, "nearness": float(near[at])}
                for form, text in written.messages[at].items()
            ]
    return rows


def _recorded(record: list[GuardDecision]) -> list[dict[str, Any]]:
    """Rows of decisions.parquet; a message that passed as it was has one row without a rule."""
    rows = []
    for row in record:
        shared = {"brief": row.brief, "writer": row.writer, "number": row.number, "fate": row.fate}
        broken: list[tuple[Any, Any, Any]] = [(form, violation.rule, violation.what) for form, violation in row.rules]
        rows += [
            shared | {"form": form, "rule": rule, "what": what} for form, rule, what in broken or [(None, None, None)]
        ]
    return rows
