"""Which columns of a file may be which of the contract: asked of headers, and of what their values look like."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from importlib.resources import files
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import yaml

from nightmarket.contracts.tables import BY_NAME, Table, channel_column
from nightmarket.contracts.values import NUMBER, is_text
from nightmarket.intake import addresses, flags, headers, kinds, missing, ratings, times
from nightmarket.intake.notations import digits
from nightmarket.intake.numbers import NumberSurvey
from nightmarket.intake.vocabulary import CURRENCIES, STATUSES, UNIT_PRICES
from nightmarket.intake.widths import narrow

_CONTENT = yaml.safe_load(files("nightmarket.intake.recognition").joinpath("columns.yaml").read_text(encoding="utf-8"))
ALONE = frozenset(_CONTENT.pop("alone").split())
"""Names that count as one word among several of a header; of others two words must stand side by side."""
OTHERWISE = frozenset(_CONTENT.pop("otherwise").split())
"""Words by which a header means something else, as `shipping-price`."""
FILES: dict[str, frozenset[str]] = {name: frozenset(words.split()) for name, words in _CONTENT.pop("files").items()}
"""Table → words that its files are called."""
TYPED = re.compile(r":(token|float|token_seq|float_seq)$")
"""What RecBole writes behind a column's name."""


TWIN = re.compile(r" \(\d+\)$")
"""What stands behind names of columns that a file has twice."""


def _names(table: str, column: str) -> list[str]:
    if column in ("unit_price", "currency"):
        return UNIT_PRICES if column == "unit_price" else CURRENCIES
    listed = _CONTENT[table][column].split() or _CONTENT["events"].get(column, "").split()
    return listed or next(
        (columns[column].split() for columns in _CONTENT.values() if columns.get(column)), [headers.plain(column)]
    )


def _known(table: str, column: str) -> bool:
    contract = BY_NAME[table]
    usual = any(column == known.name for known in contract.columns) or column in ("unit_price", "currency")
    return usual or (contract.by_channel and channel_column(column) is not None)


NAMES: dict[str, dict[str, list[str]]] = {
    table: {
        column: [*dict.fromkeys(map(headers.folded, _names(table, column)))]
        for column in columns
        if _known(table, column)
    }
    | {column.name: [headers.plain(column.name)] for column in BY_NAME[table].columns if column.name not in columns}
    for table, columns in _CONTENT.items()
}
"""Table → column of ours → headers, the most certain first."""


@dataclass(frozen=True)
class ColumnFacts:
    """What a sample of a column's values looks like.

    filled    share of rows with a value
    distinct  different values
    times     the notations in which they are times, the surest first; () where they are none
    zoned     share of the times that say their zone, or are moments
    number    whether they are numbers, however written
    notation  how numbers are written; None where both readings are possible
    whole     whether all numbers are whole
    address   whether one leads to a person
    kinds     whether all are words for what was done, at least two of them
    """

    name: str
    rows: int
    filled: float
    distinct: int
    times: tuple[str, ...] = ()
    zoned: float = 0.0
    number: bool = False
    notation: str | None = ""
    whole: bool = False
    address: bool = False
    kinds: bool = False

    @property
    def plain(self) -> str:
        """Letters and digits of its name, without accents."""
        return headers.folded(TWIN.sub("", TYPED.sub("", self.name)))

    @property
    def last(self) -> str:
        """The same of a nested column's last part: `price` of `items.price`."""
        return headers.folded(self.name.rpartition(".")[2])


def look(name: str, values: pa.Array, today: date) -> ColumnFacts:
    """Facts of one column's sample."""
    if pa.types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    if is_text(values.type):
        values = missing.blanked(values.cast(pa.string()), missing.words())[0]
    there = values.drop_null()
    filled = len(there) / max(len(values), 1)
    if pa.types.is_nested(values.type):
        return ColumnFacts(name=name, rows=len(values), filled=filled, distinct=len(there))
    facts: dict[str, Any] = {"name": name, "rows": len(values), "filled": filled, "distinct": len(there.unique())}
    if pa.types.is_temporal(values.type):
        zoned = float(pa.types.is_timestamp(values.type) and values.type.tz is not None)
        return ColumnFacts(**facts, times=(times.YEAR,), zoned=zoned)
    if not len(there) or pa.types.is_boolean(values.type):
        return ColumnFacts(**facts)
    numeric = not is_text(values.type)
    texts = digits(there) if numeric else there
    known, zoned = _times(texts, today)
    number, notation, whole = _number(texts)
    number = number or (not numeric and _says_stock(texts))
    return ColumnFacts(
        **facts, times=known, zoned=zoned, number=numeric or number, notation=notation, whole=whole,
        address=not numeric and (addresses.named(name) or addresses.among(there)),
        kinds=not numeric and _are_kinds(there),
    )  # fmt: skip


def _times(texts: pa.Array, today: date) -> tuple[tuple[str, ...], float]:
    survey = times.TimeSurvey()
    survey(texts)
    total = sum(survey.forms.values())
    if total < 0.9 * len(texts):
        return (), 0.0
    readings = tuple(survey.readings(today))
    zoned = 1.0 if readings[0] in times.UNITS else survey.zoned[True] / max(len(texts), 1)
    return readings, zoned


def _says_stock(texts: pa.Array) -> bool:
    """Whether all are words like `in stock` and `sold out`, or numbers."""
    distinct = texts.unique()
    if len(distinct) > 20:
        return False
    return bool(pc.all(pc.match_substring_regex(flags.stock(distinct), NUMBER)).as_py())


def _number(texts: pa.Array) -> tuple[bool, str | None, bool]:
    trimmed = pc.utf8_trim_whitespace(narrow(ratings.stars(texts)))
    strict = pc.match_substring_regex(trimmed, NUMBER)
    if pc.all(strict).as_py():
        whole = pc.all(pc.match_substring_regex(trimmed, r"^[+-]?\d+(\.0*)?$")).as_py()
        survey = NumberSurvey()
        survey(texts)
        return True, survey.notation(), bool(whole)
    texts = trimmed
    digits_alone = pc.match_substring_regex(trimmed, r"^\D{0,4}\d[\d.,'’ ]*\D{0,5}$")
    if (pc.sum(digits_alone).as_py() or 0) < 0.95 * len(texts) or pc.all(
        pc.match_substring_regex(trimmed, r"^[A-Za-z]+\d+$")
    ).as_py():
        return False, "", False
    survey = NumberSurvey()
    survey(texts)
    return survey.point + survey.comma + sum(survey.either.values()) > 0, survey.notation(), False


MUST: dict[str, tuple[str, ...]] = {
    "promotions": ("product_id", "channel", "week"),
    "reviews": ("product_id", "timestamp", "text"),
    "exposures": ("customer_id", "campaign_id"),
    "responses": ("customer_id", "campaign_id", "timestamp"),
    "offers": ("offer_id", "campaign_id", "product_id"),
    "campaigns": ("campaign_id", "kind", "start", "end"),
    "events": ("customer_id", "timestamp"),
    "products": ("product_id",),
    "suppressions": ("customer_id",),
    "customers": ("customer_id",),
}
"""Columns without which a file is not this table; of events the product may be missing."""
OF_PRODUCTS = ("title", "category", "brand", "maker", "description", "price")
"""One of these at least tells something of a product."""
OF_TIME = ("time", "date")


@dataclass(frozen=True)
class TableGuess:
    """A table that a file may be.

    mapping  column of ours → column of theirs
    score    higher is surer
    """

    table: str
    mapping: Mapping[str, str]
    score: float = 0.0
    lacks: tuple[str, ...] = field(default=())
    unsure: tuple[str, ...] = field(default=())
    """columns of ours whose header only holds a known name, or none: a person must look"""


LIKELY: dict[str, tuple[str, ...]] = {
    "events": ("customer_id", "product_id", "timestamp", "quantity", "value", "unit_price", "basket_id"),
    "products": ("title", "brand", "category", "price"),
}
"""Columns that are looked for in headers of several words too, as in `amazon-order-id`."""


def guess(table: str, facts: Sequence[ColumnFacts], stem: str) -> TableGuess:
    """The columns that fit, and how sure it is that the file is this table; what it must have and lacks.

    stem  the file's name without its ending
    """
    contract = BY_NAME[table]
    mapping: dict[str, str] = {}
    for column, names in NAMES[table].items():
        wanted = [*names, *(["id"] if [column] == [*contract.key] and table != "events" else [])]
        chosen = _choose(column, wanted, _kind(contract, column), [fact for fact in facts
                                                                  if fact.name not in mapping.values()])  # fmt: skip
        if chosen:
            mapping[column] = chosen
    unsure = _likely(table, mapping, facts)
    if "value" in mapping:
        mapping.pop("unit_price", None)
    if table == "products" and "title" not in mapping and {*OF_PRODUCTS} & {*mapping} and "product_id" in mapping:
        mapping["title"] = mapping["product_id"]
    lacks = tuple(name for name in MUST[table] if name not in mapping)
    lacks += ("title",) if table == "products" and "title" not in mapping else ()
    named = 3.0 * bool(words(stem) & FILES[table]) + 2.0 * (headers.plain(stem) == table)
    return TableGuess(table, mapping, named + len(mapping) - 4.0 * len(lacks), lacks, (*unsure,))


def _likely(table: str, mapping: dict[str, str], facts: Sequence[ColumnFacts]) -> list[str]:
    """Columns that no header names, of headers that hold a known name among other words; a time of what holds times."""
    guessed = []
    for column in LIKELY.get(table, ()):
        if column in mapping or (column in ("value", "unit_price") and {"value", "unit_price"} & {*mapping}):
            continue
        free = [fact for fact in facts if fact.name not in mapping.values() and fact.filled > 0.3]
        fitting = [fact for fact in free if _fits(fact, _kind(BY_NAME[table], column))
                   and within(fact.name, NAMES[table][column])]  # fmt: skip
        if not fitting and column == "timestamp" and {"customer_id", "product_id"} & {*mapping}:
            fitting = [fact for fact in free if fact.times and fact.filled > 0.9 and not _might_be_a_number(fact)]
        if fitting:
            mapping[column] = fitting[0].name
            guessed.append(column)
    words_done = [
        fact for fact in facts if fact.kinds and fact.name not in mapping.values() and not is_status(fact.name)
    ]
    if table == "events" and "kind" not in mapping and words_done:
        mapping["kind"] = words_done[0].name
        guessed.append("kind")
    return guessed


def is_status(header: str) -> bool:
    """Whether it says how an order stands, where `paid` and `cancelled` are no kinds of events."""
    plain, known = headers.folded(header), {*map(headers.folded, STATUSES)}
    return any(plain.endswith(word) for word in known) or bool(known.intersection(headers.words(header)))


def _might_be_a_number(fact: ColumnFacts) -> bool:
    """Whether what reads as times may as well count something, as 45291 or 20240101 do."""
    return fact.number and fact.times[0] != times.YEAR


def within(header: str, names: Sequence[str]) -> bool:
    """Whether a header of several words holds one of the names, and no word that makes another thing of it."""
    words = headers.words(header.rpartition(".")[2])
    if len(words) < 2 or OTHERWISE.intersection(words):
        return False
    known = {*names}
    pairs = {"".join(words[start : start + length]) for length in (2, 3) for start in range(len(words) - length + 1)}
    return bool(pairs & known or {*words} & known & ALONE)


def _kind(contract: Table, column: str) -> str:
    try:
        return contract.column(column).kind
    except KeyError:
        return "number" if column == "unit_price" else "category"


def _choose(column: str, names: Sequence[str], kind: str, facts: Sequence[ColumnFacts]) -> str:
    """The header that is this column, "" for none: the surest name whose values can be read, if it is filled at all."""
    order = {name: at for at, name in reversed([*enumerate([headers.plain(column), *names])])}
    fitting = [fact for fact in facts if _fits(fact, kind) and {fact.plain, fact.last} & order.keys()]
    if not fitting:
        return ""
    filled = [fact for fact in fitting if fact.filled > 0.3] or fitting
    late = len(order)
    return min(filled, key=lambda fact: min(order.get(fact.plain, late), late + order.get(fact.last, late))).name


def _fits(fact: ColumnFacts, kind: str) -> bool:
    if fact.filled == 0:
        return False
    if kind in OF_TIME:
        return bool(fact.times)
    if kind in ("number", "count"):
        return fact.number
    return kind == "id" or not fact.times or fact.number


def words(stem: str) -> set[str]:
    """The words of a file's name."""
    return {*re.split(r"[\W_\d]+", stem.casefold())}


def roles(table: pa.Table, facts: Sequence[ColumnFacts]) -> tuple[str, ...]:
    """Names for columns without a header: a time, a kind of event, an amount with decimals, a small whole number, and
    ids in between.

    An id that says the same as the customer's, another numbering of the same people, is left without a role.
    """
    names = {fact.name: f"column_{at}" for at, fact in enumerate(facts, 1)}
    kind = next((fact for fact in facts if fact.kinds and not fact.number), None)
    moment = next((fact for fact in facts if _is_moment(table, fact)), None)
    amount = next((fact for fact in facts if fact.number and not fact.whole and fact is not moment), None)
    left = [fact for fact in facts if fact not in (moment, amount, kind) and fact.filled]
    most = 1_000.0 if amount else 100.0
    small = [
        fact for fact in left if fact.number and fact.whole and _largest(table, fact) <= most and fact.distinct <= 100
    ]
    number = small[-1] if small and len(left) > 1 and not (kind and not amount) else None
    ids = [fact for fact in left if fact is not number]
    given = {"timestamp": moment, "kind": kind, "value": amount, "quantity" if amount else "rating": number}
    names |= {fact.name: role for role, fact in given.items() if fact}
    if ids:
        names[ids[0].name] = "customer_id"
    others = [fact for fact in ids[1:] if not _same_people(table, ids[0].name, fact.name)]
    if others:
        names[others[0].name] = "product_id"
    return tuple(names[fact.name] for fact in facts)


def _are_kinds(values: pa.Array) -> bool:
    """Whether they are words for what was done, at least two of them."""
    distinct = values.unique()
    words = [headers.plain(str(word)) for word in distinct.to_pylist()] if 2 <= len(distinct) <= 30 else []
    return bool(words) and all(word in kinds.SYNONYMS for word in words)


def _is_moment(table: pa.Table, fact: ColumnFacts) -> bool:
    """Whether a column without a name is one of times: a number of seconds counts from 1990 on alone."""
    if not fact.times or fact.times[0] == times.EXCEL:
        return False
    unit = times.UNITS.get(fact.times[0])
    return unit is None or _largest(table, fact) >= 631_152_000 * unit


def _largest(table: pa.Table, fact: ColumnFacts) -> float:
    values = table[fact.name].combine_chunks()
    if is_text(values.type):
        values = pc.utf8_trim_whitespace(missing.blanked(values.cast(pa.string()), missing.words())[0])
    try:
        return float(pc.max(pc.abs(values.cast(pa.float64()))).as_py() or 0.0)
    except pa.ArrowInvalid:
        return float("inf")


def _same_people(table: pa.Table, customer: str, other: str) -> bool:
    pairs = table.select([customer, other]).group_by([customer, other]).aggregate([]).num_rows
    return pairs == len(table[customer].unique()) == len(table[other].unique())
