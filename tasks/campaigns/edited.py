"""Texts that a person changed while a plan waits: checked against their facts, as a writer's are, and kept or not.

reads   a folder with copy.parquet and facts.json, as a plan that waits has them; artifacts/prepare for names
writes  copy.parquet there

Whoever answers the plan takes the same lock, so that no text changes after it was approved.
"""

import contextlib
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from nightmarket.contracts import InputError
from nightmarket.copywriting.composing import tidied
from nightmarket.copywriting.facts import LIMITS, CopyFacts, Form, Violation
from nightmarket.copywriting.guard.check import message_violations
from nightmarket.copywriting.guard.names import Lexicon
from nightmarket.copywriting.writers.prompt import facts_of_data
from tasks.campaigns import briefs
from tasks.campaigns.export import TEXTS
from tasks.files import catalogue, locks, storage

FACTS, ANSWERED, LOCK = "facts.json", "answered", "texts.lock"
WRITER = "edited"
"""What stands as the writer of a text that a person changed."""


def keep_facts(summary: Path, folder: Path) -> None:
    """Put what the texts were written from beside them, out of the summary of their stage, where it has that."""
    if summary.exists():
        content = storage.read_json(summary)
        storage.write_json(content.get("facts") or (content.get("texts") or {}).get("facts") or {}, folder / FACTS)


@contextlib.contextmanager
def held_still(folder: Path) -> Iterator[None]:
    """No text changes meanwhile. Raises InputError where the plan was answered already."""
    with (folder / LOCK).open("a") as lock:
        locks.take(lock)
        if (folder / ANSWERED).exists():
            raise InputError("the plan was answered already, so its texts stay as they are")
        yield


def messages(folder: Path) -> list[dict[str, Any]]:
    """The best message of each brief: brief, segment, offer, channel, locale, writer, texts {form: text}, and whether
    it can be changed."""
    if not (folder / TEXTS).exists():
        return []
    facts = storage.read_json(folder / FACTS) if (folder / FACTS).exists() else {}
    best: dict[str, dict[str, Any]] = {}
    for row in storage.read_table(folder / TEXTS).to_pylist():
        if row["place"] != 1:
            continue
        about = {name: row.get(name, "") for name in ("brief", "segment", "offer", "channel", "locale", "writer")}
        brief = about["brief"] or "|".join(str(row[name]) for name in ("segment", "offer", "channel", "locale"))
        message = best.setdefault(brief, {**about, "texts": {}, "editable": brief in facts})
        message["texts"][row["form"]] = row["text"]
    return list(best.values())


def edit(folder: Path, home: Path, brief: str, texts: Mapping[str, str]) -> Mapping[str, list[Violation]]:
    """Keep the brief's best message with these texts, by form, where the guard finds nothing; what it finds.

    Raises InputError for a brief, or a form, that is not there.
    """
    facts = _facts(folder, brief, texts)
    clean: dict[Form, str] = {form: tidied(text, form) for form, text in texts.items() if form in LIMITS}
    by_form = message_violations(clean, facts, _lexicon(home))
    broken: dict[str, list[Violation]] = {form: violations for form, violations in by_form.items() if violations}
    if not broken:
        with held_still(folder):
            _write(folder, brief, clean)
    return broken


def prepare(home: Path) -> None:
    """Read the catalogue's names, which takes seconds for a large one, so that the next check need not."""
    with contextlib.suppress(InputError, OSError):
        _lexicon(home)


def _facts(folder: Path, brief: str, texts: Mapping[str, str]) -> CopyFacts:
    message = next((message for message in messages(folder) if message["brief"] == brief), None)
    if message is None or not message["editable"]:
        raise InputError("there is no such text, or what it was written from is not on file")
    if set(message["texts"]) != set(texts):
        raise InputError("give every text of the message, and no other")
    return facts_of_data(storage.read_json(folder / FACTS)[brief], message["locale"])


def _write(folder: Path, brief: str, texts: Mapping[Form, str]) -> None:
    table = storage.read_table(folder / TEXTS)
    rows = table.to_pylist()
    for row in rows:
        if row["brief"] == brief and row["place"] == 1:
            row |= {"text": texts[row["form"]], "writer": WRITER}
    storage.write_table(pa.Table.from_pylist(rows, table.schema), folder / TEXTS)


def _lexicon(home: Path) -> Lexicon:
    path = catalogue.PRODUCTS.at(home).path
    return _lexicon_of(home, path.stat().st_mtime_ns)


@lru_cache(1)
def _lexicon_of(home: Path, stamp: int) -> Lexicon:
    """Of the catalogue as the last night left it; `stamp` is its file's."""
    products = catalogue.PRODUCTS.at(home).read().to_pandas()
    return briefs.lexicon(briefs.table_of(products, np.zeros(len(products), np.int64)))
