"""Layouts that values tell: lists of products in a field, a column for each product, a time of day beside its date."""

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from nightmarket.contracts.values import is_text
from nightmarket.intake import headers
from nightmarket.intake.recognition import columns
from nightmarket.intake.recognition.columns import ColumnFacts
from nightmarket.intake.vocabulary import CLOCKS, LISTS
from tasks.inspection.guesses import TODAY
from tasks.intake import listing
from tasks.intake.day_times import MIDNIGHT, are_clocks
from tasks.intake.unfolding import ID, NUMBER, PIECES, PRODUCT, looks_listed

if TYPE_CHECKING:
    from tasks.inspection.proposal import Proposal

MOMENT = "moment"
LEAST_PRODUCTS = 3
"""Columns of numbers that may be products."""
MOSTLY_NOTHING = 0.4
"""Share of such a column that is 0 or empty."""
MOST_PIECES = 1_000


def settle_lists(proposal: "Proposal") -> None:
    """Make a row for each product of a list in a field. What was paid is of the whole order then."""
    made, mapping = proposal.read, proposal.read.mapping["events"]
    source, sample = made.tables["events"], proposal.samples["events"]
    if proposal.export or source.items or source.also:
        return
    product = mapping.get("product_id", "")
    wanted = [product] if product else [name for name in sample.column_names if name not in mapping.values()]
    known = {*columns.NAMES["events"]["product_id"], *LISTS}
    for name in sorted(wanted, key=lambda name: headers.folded(name) not in known):
        named = headers.folded(name) in known or headers.folded(name).removesuffix("s") in known
        if name not in sample.column_names or not (named and looks_listed(sample[name].combine_chunks())):
            continue
        made.tables["events"] = source.model_copy(update={"split": name})
        opened = listing.sample(proposal.folder, made.tables["events"], made.bundles["events"].encoding)
        facts = listing.facts(opened, TODAY)
        entry = columns.guess("events", [fact for fact in facts if fact.name.startswith(f"{name}.")], "").mapping
        inside = {ours: entry[ours] for ours in ("product_id", "quantity", "value", "unit_price") if ours in entry}
        if f"{name}.{ID}" in opened.column_names and "product_id" not in inside:
            inside["product_id"] = f"{name}.{ID}"
        if "product_id" not in inside:
            made.tables["events"] = source
            return
        inside |= {"quantity": f"{name}.{PIECES}"} if f"{name}.{PIECES}" in opened.column_names else {}
        paid = [mapping.pop(ours) for ours in ("value", "unit_price", "discount", "quantity") if ours in mapping]
        mapping |= inside
        proposal.samples["events"], proposal.facts["events"] = opened, facts
        lost = f"; '{paid[0]}' is of the whole order and is not used" if paid and "value" not in inside else ""
        proposal.check("tables", f"'{name}' lists several products: a row is made of each{lost}. Is that right?")
        if "products" in made.tables and made.bundles["products"] is made.bundles["events"]:
            del made.tables["products"], made.mapping["products"], made.bundles["products"]
        return


def settle_wide(proposal: "Proposal") -> bool:
    """Make a row for each number in columns that are a product each; whether there are such."""
    made, mapping = proposal.read, proposal.read.mapping["events"]
    source, sample = made.tables["events"], proposal.samples["events"]
    if proposal.export or source.items or source.also or source.constants:
        return False
    taken = {*mapping.values()}
    wide = [fact.name for fact in proposal.facts["events"] if fact.name not in taken and _may_be_pieces(fact, sample)]
    if len(wide) < LEAST_PRODUCTS:
        return False
    made.tables["events"] = source.model_copy(update={"wide": tuple(wide)})
    paid = [mapping.pop(ours) for ours in ("value", "unit_price", "discount", "quantity") if ours in mapping]
    mapping |= {"product_id": PRODUCT, "quantity": NUMBER}
    lost = f"; '{paid[0]}' is of all of them and is not used" if paid else ""
    some = ", ".join(wide[:3])
    proposal.check(
        "tables", f"{len(wide)} columns ({some} …) are taken for a product each, with how many{lost}: are they?"
    )
    proposal.samples["events"] = listing.sample(proposal.folder, made.tables["events"], made.bundles["events"].encoding)
    proposal.facts["events"] = listing.facts(proposal.samples["events"], TODAY)
    return True


def _may_be_pieces(fact: ColumnFacts, sample: pa.Table) -> bool:
    if fact.plain in listing.KNOWN or columns.OTHERWISE.intersection(headers.words(fact.name)):
        return False
    if fact.filled and not (fact.number and fact.whole):
        return False
    values = sample[fact.name].combine_chunks()
    texts = pc.utf8_trim_whitespace(values.cast(pa.string())) if is_text(values.type) else values.cast(pa.string())
    there = pc.fill_null(pc.match_substring_regex(texts, r"^[1-9]\d{0,2}(\.0*)?$"), False)
    other = pc.fill_null(pc.match_substring_regex(texts, r"^(0+(\.0*)?|-|)$"), True)
    return bool(pc.all(pc.or_(there, other)).as_py()) and pc.mean(there.cast(pa.int8())).as_py() < 1 - MOSTLY_NOTHING


def settle_clocks(proposal: "Proposal") -> None:
    """Put the time of day behind a date that has none, where a column of its own holds it."""
    made = proposal.read
    for table in ("events", "reviews", "responses", "exposures"):
        if table not in made.tables or proposal.export:
            continue
        mapping, sample, source = made.mapping[table], proposal.samples[table], made.tables[table]
        day = mapping.get("timestamp", "")
        if day not in sample.column_names or source.moments or not _are_dates(sample[day].combine_chunks()):
            continue
        clock = next(
            (name for name in sample.column_names if name not in mapping.values() and _is_clock(name, sample)), ""
        )
        if not clock:
            continue
        update: dict[str, object] = {"moments": {MOMENT: (day, clock)}}
        update["also"] = tuple(
            other.model_copy(update={"rename": _renamed(other.rename, day)}) for other in source.also
        )
        made.tables[table], mapping["timestamp"] = source.model_copy(update=update), MOMENT
        if "products" in made.tables and made.tables["products"].distinct and table == "events":
            made.tables["products"] = made.tables["products"].model_copy(update=update)
        proposal.samples[table] = listing.sample(proposal.folder, made.tables[table], made.bundles[table].encoding)
        proposal.facts[table] = listing.facts(proposal.samples[table], TODAY)
        proposal.check("tables", f"the time of day is taken from '{clock}', the date from '{day}': is that right?")


def _renamed(rename: dict[str, str], day: str) -> dict[str, str]:
    """What a further file's date is called then."""
    theirs = next((name for name, new in rename.items() if new == day), day)
    return {**rename, theirs: MOMENT}


def _are_dates(values: pa.Array) -> bool:
    texts = pc.replace_substring_regex(values.cast(pa.string()).drop_null(), MIDNIGHT, "")
    return bool(len(texts)) and not pc.any(pc.match_substring_regex(texts, r"\d[:時时点시]")).as_py()


def _is_clock(name: str, sample: pa.Table) -> bool:
    words = {*headers.words(name), headers.folded(name)}
    named = bool(words & CLOCKS) or any(word in headers.folded(name) for word in CLOCKS if not word.isascii())
    if columns.OTHERWISE.intersection(words):
        return False
    return are_clocks(sample[name].combine_chunks(), digits=named)
