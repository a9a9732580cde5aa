"""The section `snapshot` that reads a folder as it is, and what a person must decide in it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc

from nightmarket.contracts import InputError
from nightmarket.contracts.tables import BY_NAME, EVENT_KINDS
from nightmarket.intake import headers, identities, kinds
from nightmarket.intake.recognition import columns
from nightmarket.intake.recognition.columns import ColumnFacts
from nightmarket.intake.recognition.exports import KnownExport
from nightmarket.intake.visitors import as_hashed
from tasks.inspection import by_content, identifiers, unfolding
from tasks.inspection.guesses import TODAY, guess_others
from tasks.intake import listing, profiles
from tasks.intake.agreement import FEW_TWINS, TWINS
from tasks.intake.listing import Bundle
from tasks.intake.profiles import Read
from tasks.intake.table_files import TableFiles

ProductsOf = Literal["one", "prices"]
NO_PRODUCT = "product"
PRICE = "price point"
LEAST = 0.5
"""Share of the events' products that a table of products must know, or products are made of the events."""
STRANGERS = 0.05
"""Share of customers whom two tables must have in common."""
MOST_KINDS = 100


class NothingToReadError(InputError):
    """No file says what customers did.

    unused  {file: what it is instead}
    """

    unused: dict[str, str]


@dataclass
class Proposal:
    """What `inspect` proposes.

    settings  of the section `snapshot`, without those that keep their default
    checks    key of a setting → what a person should look at there
    unused    files that are no table of the shop, and why
    asides    what was noticed
    unsure    table → columns of ours that no header names for certain
    """

    folder: Path
    read: Read
    export: KnownExport | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    checks: dict[str, list[str]] = field(default_factory=dict)
    unused: dict[str, str] = field(default_factory=dict)
    asides: list[str] = field(default_factory=list)
    facts: dict[str, list[ColumnFacts]] = field(default_factory=dict)
    samples: dict[str, pa.Table] = field(default_factory=dict)
    unsure: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def check(self, key: str, words: str) -> None:
        """Something to look at beside a setting."""
        self.checks.setdefault(key, []).append(words)


def propose(folder: Path, listed: Sequence[Bundle], products_of: ProductsOf = "one") -> Proposal:
    """What reads the folder. Raises InputError where nothing in it says what customers did.

    products_of  of events without a column of products: `one` product for all, or one for each of the `prices`
    """
    export = next(iter(profiles.recognised(listed)), None)
    made = profiles.read(export, listed) if export else Read()
    if "events" not in made.tables:
        export, made = None, Read()
    proposal = Proposal(folder, made, export)
    for bundle in listed:
        if bundle.problem:
            proposal.unused[bundle.title] = bundle.problem
    guess_others(proposal, [bundle for bundle in listed if not bundle.problem])
    if "events" not in made.tables:
        error = NothingToReadError(_nothing(folder, listed))
        error.unused = proposal.unused
        raise error
    _see(proposal)
    unfolding.settle_lists(proposal)
    unfolding.settle_clocks(proposal)
    identifiers.settle_fit(proposal)
    identifiers.settle_receipts(proposal)
    _strangers(proposal)
    by_content.settle_statuses(proposal)
    by_content.settle_orders(proposal)
    by_content.settle_amounts(proposal)
    by_content.settle_discounts(proposal)
    _products(proposal, products_of, export)
    by_content.settle_titles(proposal)
    by_content.settle_rows_of_one(proposal)
    by_content.settle_minor_units(proposal)
    _twins(proposal)
    _settle(proposal)
    return proposal


def _nothing(folder: Path, listed: Sequence[Bundle]) -> str:
    read = sum(not bundle.problem for bundle in listed)
    return (
        f"{folder}: no file says who bought what, and when ({len(listed)} files, {read} of them tables); it takes one "
        "with a column of customers, one of times, and best one of products, or orders and their lines"
    )


def _see(proposal: Proposal) -> None:
    """Samples and facts of the tables; one beside the events that cannot be read is left out."""
    made = proposal.read
    for table, source in [*made.tables.items()]:
        bundle = made.bundles[table]
        try:
            proposal.samples[table] = listing.sample(proposal.folder, source, bundle.encoding)
        except InputError as error:
            if table == "events":
                raise
            proposal.unused[bundle.title] = str(error)
            del made.tables[table], made.mapping[table], made.bundles[table]
            continue
        proposal.facts[table] = listing.facts(proposal.samples[table], TODAY)


def _strangers(proposal: Proposal) -> None:
    """Tables that nobody asked for and that speak of other customers are left out."""
    made = proposal.read
    for table in ("customers", "reviews", "exposures", "responses", "suppressions"):
        if table not in made.tables or _own_name(proposal.folder, table):
            continue  # a file that is named after the table is read in any case, and refused if need be
        theirs, ours = _ids(proposal, table, "customer_id"), _ids(proposal, "events", "customer_id")
        whole = all(proposal.samples[name].num_rows < listing.SAMPLE_ROWS for name in (table, "events"))
        asked, known = (theirs, ours) if whole else (ours, theirs)
        complete = whole or (table == "customers" and proposal.samples[table].num_rows < listing.SAMPLE_ROWS)
        share = (pc.sum(pc.is_in(asked, value_set=known)).as_py() or 0) / max(len(asked), 1)
        if complete and len(asked) and share < STRANGERS:
            proposal.unused[made.bundles[table].title] = (
                f"looks like {table}, of whose customers the events know {share:.0%}: export both with the same ids"
            )
            del made.tables[table], made.mapping[table], made.bundles[table]


def _products(proposal: Proposal, products_of: ProductsOf, export: KnownExport | None) -> None:
    """Events must name products, and a table must know them: what is not there is made."""
    made = proposal.read
    events, mapping = made.tables["events"], made.mapping["events"]
    if "product_id" not in mapping and unfolding.settle_wide(proposal):
        events, mapping = made.tables["events"], made.mapping["events"]
    constant = mapping.get("product_id") in events.constants
    if "product_id" not in mapping or (constant and products_of == "prices"):
        _made_up(proposal, products_of)
    elif "products" in made.tables and _known(proposal) < LEAST:
        bundle = made.bundles["products"]
        if bundle is not made.bundles["events"] and not _repair(proposal):
            share = _known(proposal)
            once = export.once if export else {}
            proposal.unused[bundle.title] = (
                f"products, of which the events name other ids ({share:.0%} of theirs are there): made of the events"
            )
            profiles.products_of_events(made, once or _once(proposal))
    elif "products" not in made.tables:
        profiles.products_of_events(made, (export.once if export else {}) or _once(proposal))
    _see(proposal)


def _made_up(proposal: Proposal, products_of: ProductsOf) -> None:
    made = proposal.read
    events, mapping = made.tables["events"], made.mapping["events"]
    value, quantity = mapping.get("value"), mapping.get("quantity")
    formula = f"[{value}] / [{quantity}]" if quantity else f"[{value}] * 1"
    if products_of == "prices" and value:
        update: dict[str, Any] = {
            "computed": {**events.computed, "price": formula},
            "first_of": {**events.first_of, PRICE: ("price",)},
            "constants": {},
        }
        mapping["product_id"] = PRICE
        proposal.check("tables", "no column names a product: each price is taken for one")
    else:
        update = {"constants": {**events.constants, NO_PRODUCT: "everything"}} if not events.constants else {}
        mapping["product_id"] = next(iter(update.get("constants", events.constants)))
        if value:
            other = "make inspect FOLDER=… PRODUCTS=prices"
            proposal.check(
                "tables", f"no column names a product: all rows are of one. For a product per price: {other}"
            )
    made.tables["events"] = events.model_copy(update=update)
    profiles.products_of_events(made, {"price": ["price"]} if products_of == "prices" else {})


def _once(proposal: Proposal) -> dict[str, list[str]]:
    """What the rows of events say of products: their names, brands, kinds and prices; of reviews, nothing."""
    if proposal.read.bundles["events"] is proposal.read.bundles.get("reviews"):
        return {}
    guess = columns.guess("products", proposal.facts["events"], "")
    events = proposal.read.mapping["events"]
    of_lines = {events.get("value")} if "quantity" in events else set()  # what several cost is the price of none
    return {ours: [theirs] for ours, theirs in guess.mapping.items() if ours != "product_id" and theirs not in of_lines}


def _ids(proposal: Proposal, table: str, column: str) -> pa.Array:
    theirs = proposal.read.mapping[table].get(column, "")
    sample = proposal.samples[table]
    if theirs not in sample.column_names:
        return pa.array([], pa.string())
    values = sample[theirs].combine_chunks()
    if pa.types.is_temporal(values.type) or pa.types.is_floating(values.type):
        values = values.cast(pa.string()) if not pa.types.is_floating(values.type) else pc.cast(values, pa.string())
    ids = pc.utf8_trim_whitespace(values.cast(pa.string()).drop_null()).unique()
    return as_hashed(ids).unique() if column == "customer_id" else ids


def _known(proposal: Proposal) -> float:
    """Share of the events' products that the table of products knows, in the samples."""
    ours, theirs = _ids(proposal, "events", "product_id"), _ids(proposal, "products", "product_id")
    if proposal.samples["products"].num_rows >= listing.SAMPLE_ROWS or not len(ours):
        return 1.0
    return (pc.sum(pc.is_in(ours, value_set=theirs)).as_py() or 0) / len(ours)


def _repair(proposal: Proposal) -> bool:
    """Whether ids fit after what `snapshot.ids` can do; it is proposed then."""
    fits = identities.fit(_ids(proposal, "events", "product_id"), _ids(proposal, "products", "product_id"))
    if fits.repair not in identities.MADE or fits.after < LEAST * fits.total:
        return False
    proposal.settings["ids"] = [fits.repair]
    proposal.check("ids", f"products of events and of the catalogue are written differently: {fits.cause}")
    return True


def _twins(proposal: Proposal) -> None:
    """Ids that differ in capitals or full width alone are taken for one, and a person is asked."""
    for column in ("customer_id", "product_id"):
        ids = _ids(proposal, "events", column)
        num, repair = identities.twins(ids)
        if num >= max(FEW_TWINS, TWINS * len(ids)) and repair not in proposal.settings.get("ids", []):
            proposal.settings.setdefault("ids", []).append(repair)
            how = "capitals" if repair == "case" else "full width"
            told = f"{num:,} of {len(ids):,} ids of {column} differ from another in {how} alone"
            proposal.check("ids", f"{told}: are they the same?")


def _settle(proposal: Proposal) -> None:
    """The settings, and what is to be looked at in them."""
    made, export = proposal.read, proposal.export
    settings = proposal.settings
    for table in sorted(made.tables, key=[*BY_NAME].index):
        _table(proposal, table)
        _formats(proposal, table)
        bundle = made.bundles[table]
        if bundle.encodings:
            settings.setdefault("encodings", {})[table] = bundle.encodings[0]
            proposal.check("encodings", f"{bundle.title} may be in {' or '.join(bundle.encodings)}: look at its titles")
    if export and export.missing:
        settings["missing"] = export.missing
    _kinds(proposal)
    _currency(proposal)
    _zone(proposal)


def _table(proposal: Proposal, table: str) -> None:
    """The file and the columns of one table, where they are not what is taken anyway."""
    made, settings = proposal.read, proposal.settings
    source = made.tables[table]
    plain = source.model_dump(exclude_defaults=True)
    own = [] if len(plain) > 1 else _own_name(proposal.folder, table)
    if {*own} != {*made.bundles[table].paths} or len(plain) > 1:
        settings.setdefault("tables", {})[table] = plain
    if table == "events" and not plain.get("constants", {}).get("kind"):
        _rated(proposal)
    there = [*proposal.samples[table].column_names]
    needed = {ours: theirs for ours, theirs in made.mapping[table].items() if headers.alike(ours, there) != [theirs]}
    if needed:
        settings.setdefault("mapping", {})[table] = needed
    if source.names and table == "events":
        proposal.check("tables", "the first line is a row: columns are named by what they hold. Are the names right?")
    if table == "products" and made.mapping[table].get("title") == made.mapping[table]["product_id"]:
        proposal.check("mapping" if needed else "tables", "no column of titles: products are called by their ids")
    for ours in proposal.unsure.get(table, ()):
        if ours in needed:
            proposal.check("mapping", f"'{needed[ours]}' is taken for {ours} of {table}: is it?")
    for ours, theirs in made.mapping[table].items():
        if ours.startswith("consent_") and ours in needed:
            proposal.check("mapping", f"'{theirs}' is taken for {ours}: does it say that they may be contacted?")


def _own_name(folder: Path, table: str) -> list[Path]:
    try:
        return TableFiles(folder, table).paths
    except InputError:
        return []


def _rated(proposal: Proposal) -> None:
    """Rows with stars and no kind are ratings."""
    made, settings = proposal.read, proposal.settings
    mapping = made.mapping["events"]
    stars = {*columns.NAMES["reviews"]["rating"]}
    rated = [fact for fact in proposal.facts["events"] if fact.plain in stars and fact.number and fact.distinct <= 101]
    if rated and not {"kind", "quantity", "value", "unit_price"} & {*mapping}:
        source = made.tables["events"]
        made.tables["events"] = source.model_copy(update={"constants": {**source.constants, "kind": "rating"}})
        settings.setdefault("tables", {})["events"] = made.tables["events"].model_dump(exclude_defaults=True)


def _formats(proposal: Proposal, table: str) -> None:
    facts = {fact.name: fact for fact in proposal.facts[table]}
    for column in BY_NAME[table].columns:
        fact = facts.get(proposal.read.mapping[table].get(column.name, ""))
        if fact is None:
            continue
        if column.kind in columns.OF_TIME and len(fact.times) > 1:
            _format(proposal, table, column.name, fact.times)
        if column.kind == "number" and fact.notation is None:
            beside = {other.notation for other in facts.values() if other.number and not other.whole and other.notation}
            readings = ("decimal point", "decimal comma")
            _format(proposal, table, column.name, readings[::-1] if beside == {"decimal comma"} else readings)


def _format(proposal: Proposal, table: str, column: str, readings: Sequence[str]) -> None:
    proposal.settings.setdefault("formats", {}).setdefault(table, {})[column] = readings[0]
    proposal.check("formats", f"{table}.{column} can be read as {' or as '.join(readings)}: which is right?")


def _kinds(proposal: Proposal) -> None:
    """Words for what was done that nobody knows; a column of nothing but such words is none of kinds."""
    made = proposal.read
    theirs = made.mapping["events"].get("kind", "")
    if theirs not in proposal.samples["events"].column_names:
        return
    own = proposal.export.kinds if proposal.export else {}
    there = [str(word) for word in proposal.samples["events"][theirs].drop_null().unique().to_pylist()]
    understood = kinds.read(pa.array(there, pa.string()), own).to_pylist()
    unknown = [word for word, kind in zip(there, understood, strict=True) if kind not in (*EVENT_KINDS, kinds.IGNORED)]
    if len(unknown) == len(there) or len(unknown) > MOST_KINDS:
        del made.mapping["events"]["kind"]
        mapping = proposal.settings.get("mapping", {}).get("events", {})
        mapping.pop("kind", None)
        return
    used = {word: kind for word, kind in own.items() if headers.plain(word) in {headers.plain(name) for name in there}}
    if own or unknown:
        proposal.settings["kinds"] = {**(own or used), **dict.fromkeys(unknown, kinds.IGNORED)}
    if unknown:
        proposal.check(
            "kinds", f"nobody knows {', '.join(unknown[:10])}: say view, cart, purchase …, or leave them out"
        )


def _currency(proposal: Proposal) -> None:
    theirs = proposal.read.mapping["events"].get("currency", "")
    sample = proposal.samples["events"]
    if theirs not in sample.column_names:
        spelled = [name for name in sample.column_names if headers.plain(name) in columns.NAMES["events"]["currency"]]
        theirs = spelled[0] if spelled else ""
    if not theirs:
        return
    counted = sample[theirs].drop_null().combine_chunks().cast(pa.string()).value_counts().to_pylist()
    codes = sorted(counted, key=lambda pair: -pair["counts"])
    names = [str(pair["values"]).strip().upper() for pair in codes]
    names = [name for name in dict.fromkeys(names) if re.fullmatch("[A-Z]{3}", name)]
    if not names:
        return
    proposal.settings["currency"] = names[0]
    if len(names) > 1:
        others = ", ".join(f"{name}: 1.0" for name in names[1:6])
        proposal.check("currency", f"amounts are in {', '.join(names[:6])}: say what 1 of each is worth in {names[0]}, "
                                   f"as rates: {{{others}}}")  # fmt: skip


def _zone(proposal: Proposal) -> None:
    """The shop's time zone is nobody's guess."""
    theirs = proposal.read.mapping["events"]["timestamp"]
    fact = next((fact for fact in proposal.facts["events"] if fact.name == theirs), None)
    proposal.settings["time_zone"] = "UTC"
    moments = fact is not None and fact.zoned > 0.5
    words = "times say their zone; this says where your days begin" if moments else "times are read in it"
    proposal.check("time_zone", f"your shop's own, as Europe/Berlin: {words}")


def section(proposal: Proposal, folder: str) -> dict[str, Any]:
    """The whole section, in the order in which people read it."""
    settings = proposal.settings
    profile = {"profile": proposal.export.key} if proposal.export else {}
    head = {"source": "folder", "folder": folder, **profile}
    names = ("tables", "mapping", "formats", "kinds", "missing", "encodings", "ids", "units")
    body = {name: settings[name] for name in names if settings.get(name)}
    tail = {"time_zone": settings["time_zone"], "currency": settings.get("currency"), "business_date": None}
    return head | body | tail
