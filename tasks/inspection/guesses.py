"""Which table each file of a folder may be, by its columns, where no known export says it."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from nightmarket.contracts import InputError
from nightmarket.intake import headers
from nightmarket.intake.recognition import columns
from nightmarket.intake.recognition.columns import ColumnFacts, TableGuess
from tasks.inspection import identifiers
from tasks.inspection.event_files import kinds_of_names
from tasks.intake import listing
from tasks.intake.listing import Bundle
from tasks.intake.profiles import Read
from tasks.intake.sources import TableSource

if TYPE_CHECKING:
    from tasks.inspection.proposal import Proposal

PRODUCT = "product"
TODAY = datetime.now(UTC).date()


def guess_others(proposal: "Proposal", listed: Sequence[Bundle]) -> None:
    """Tables of what no known export explains, by their columns."""
    made = proposal.read
    used = {id(bundle) for bundle in [*made.bundles.values(), *made.joined.values()]}
    guesses: list[tuple[TableGuess, Bundle, TableSource]] = []
    for bundle in listed:
        if id(bundle) in used:
            continue
        try:
            guesses += _guesses(proposal, bundle)
        except InputError as error:
            proposal.unused[bundle.title] = str(error)
        except Exception as error:  # a file that breaks in a way of its own
            proposal.unused[bundle.title] = f"cannot be read ({type(error).__name__})"
    guesses.sort(key=lambda each: (-each[0].score, -each[1].bytes))
    taken: set[int] = set(used)
    for guess, bundle, source in guesses:
        if guess.lacks or guess.table in made.tables or id(bundle) in taken:
            continue
        if guess.table == "events" and "product_id" not in guess.mapping:
            continue
        taken.add(id(bundle))
        made.tables[guess.table], made.mapping[guess.table] = source, dict(guess.mapping)
        made.bundles[guess.table] = bundle
        proposal.unsure[guess.table] = guess.unsure
    if "events" not in made.tables:
        taken |= _orders_and_lines(proposal, guesses)
    if "events" not in made.tables and not proposal.export:
        taken |= identifiers.without_customers(proposal, guesses)
    if "events" not in made.tables and "reviews" in made.tables:
        _of_reviews(made)
    if "events" in made.tables and proposal.export is None:
        taken |= kinds_of_names(proposal, [each for each in guesses if id(each[1]) not in taken])
    for bundle in listed:
        if id(bundle) not in taken and bundle.title not in proposal.unused:
            like = next((guess.table for guess, other, _ in guesses if other is bundle and not guess.lacks), "")
            holder = made.bundles[like].title if like in made.bundles else ""
            events = next((guess for guess, other, _ in guesses if other is bundle and guess.table == "events"), None)
            lacks = [*events.lacks, *(["product_id"] if "product_id" not in events.mapping else [])] if events else []
            unknown = "no table that is known" + (f"; for events it lacks {', '.join(lacks)}" if lacks else "")
            proposal.unused[bundle.title] = f"looks like {like}, which {holder} holds already" if holder else unknown


def _of_reviews(made: Read) -> None:
    """What was reviewed was had: events of the kind rating."""
    mapping = {ours: theirs for ours, theirs in made.mapping["reviews"].items() if ours not in ("text", "rating")}
    if "customer_id" in mapping:
        source = made.tables["reviews"]
        made.tables["events"] = source.model_copy(update={"constants": {**source.constants, "kind": "rating"}})
        made.mapping["events"], made.bundles["events"] = mapping, made.bundles["reviews"]


def _guesses(proposal: "Proposal", bundle: Bundle) -> list[tuple[TableGuess, Bundle, TableSource]]:
    """The tables that it may be."""
    source = bundle.source()
    best: list[tuple[TableGuess, Bundle, TableSource]] = []
    for items in ["", *listing.lists(bundle)]:
        opened = source.model_copy(update={"items": items})
        table = listing.sample(proposal.folder, opened, bundle.encoding)
        facts = listing.facts(table, TODAY)
        if bundle.names:
            source, facts = _named(bundle, source, table, facts)
            opened = source
        stem = " ".join([bundle.pattern, bundle.sheet])
        for name in columns.MUST:
            guess = columns.guess(name, facts, stem)
            guess = _of_items(_plausible(guess, facts, stem), facts, items)
            laid_out = _beside_items(guess, facts, opened)
            if items and not any(theirs.startswith(f"{items}.") for theirs in guess.mapping.values()):
                continue
            if laid_out.first_of:
                guess = replace(guess, mapping={**guess.mapping, "product_id": PRODUCT})
            best.append((guess, bundle, laid_out))
    return best


def _of_items(guess: TableGuess, facts: Sequence[ColumnFacts], items: str) -> TableGuess:
    """Products, pieces and amounts are those of the entries, where the record around them has some of its own."""
    if not items or guess.table != "events":
        return guess
    inside = columns.guess("events", [fact for fact in facts if fact.name.startswith(f"{items}.")], "").mapping
    of_lines = ("product_id", "quantity", "value", "unit_price", "discount")
    outside = {ours: theirs for ours, theirs in guess.mapping.items() if ours not in of_lines or not inside}
    return replace(guess, mapping=outside | {ours: theirs for ours, theirs in inside.items() if ours in of_lines})


def _beside_items(guess: TableGuess, facts: Sequence[ColumnFacts], source: TableSource) -> TableSource:
    """Records without entries may name one product themselves, as a view beside orders does."""
    inside = guess.mapping.get("product_id", "")
    if not source.items or guess.table != "events" or not inside.startswith(f"{source.items}."):
        return source
    around = [fact for fact in facts if not fact.name.startswith(f"{source.items}.")]
    outside = columns.guess("events", around, "").mapping.get("product_id", "")
    shares = {fact.name: fact.filled for fact in facts}
    if not outside or shares[inside] > 0.99:
        return source
    return source.model_copy(update={"first_of": {PRODUCT: (inside, outside)}})


def _named(
    bundle: Bundle, source: TableSource, table: pa.Table, facts: list[ColumnFacts]
) -> tuple[TableSource, list[ColumnFacts]]:
    """With names for columns without a header, by what they hold."""
    names = columns.roles(table, facts)
    renamed = source.model_copy(update={"names": names})
    return renamed, listing.facts(table.rename_columns(list(names)), TODAY)


def _plausible(guess: TableGuess, facts: Sequence[ColumnFacts], stem: str) -> TableGuess:
    """Less sure where what the values are speaks against it."""
    by_name = {fact.name: fact for fact in facts}
    lacks = guess.lacks
    words = columns.words(stem)
    reason = by_name[guess.mapping["reason"]].plain if "reason" in guess.mapping else ""
    if guess.table == "suppressions" and not (words & columns.FILES["suppressions"] or reason in ("reason", "grund")):
        lacks = (*lacks, "reason")
    if guess.table == "customers" and {"product_id"} <= {*columns.guess("events", facts, stem).mapping}:
        lacks = (*lacks, "nothing but customers")  # a subscription, a wish
    if guess.table == "customers" and "customer_id" in guess.mapping:
        customer = by_name[guess.mapping["customer_id"]]
        least = 0.5 if words & columns.FILES["customers"] else 0.9  # several addresses of one
        if customer.rows and customer.distinct < least * customer.rows * customer.filled:
            lacks = (*lacks, "a row per customer")
    if guess.table == "products" and "product_id" in guess.mapping:
        product = by_name[guess.mapping["product_id"]]
        if product.rows and product.distinct < 0.5 * product.rows * product.filled:
            lacks = (*lacks, "a row per product")
    return replace(guess, lacks=lacks)


def _orders_and_lines(proposal: "Proposal", guesses: Sequence[tuple[TableGuess, Bundle, TableSource]]) -> set[int]:
    """Events of orders joined to their lines, or of purchases that name no product."""
    made = proposal.read
    events = {id(bundle): (guess, bundle, source) for guess, bundle, source in guesses
              if guess.table == "events" and not source.items}  # fmt: skip
    orders = [each for each in events.values() if not each[0].lacks and "product_id" not in each[0].mapping]
    lines = [each for each in events.values() if "product_id" in each[0].mapping
             and each[0].lacks and id(each[1]) not in {id(bundle) for bundle in made.bundles.values()}]  # fmt: skip
    for guess, bundle, source in lines:
        for head_guess, head, head_source in orders:
            keys = _shared_key(proposal, bundle, source, head, head_source)
            if keys:
                on, to = keys
                given = source.model_dump(exclude_defaults=True)
                given["join"] = {"file": head.pattern, "by": on, "to": to} | (
                    {"sheet": head.sheet} if head.sheet else {}
                )
                made.tables["events"] = TableSource.model_validate(given)
                made.bundles["events"], made.joined["events"] = bundle, head
                own = _own(guess, head_guess, bundle, head)
                made.mapping["events"] = own | {"basket_id": on}
                return {id(bundle), id(head)}
    for guess, bundle, source in sorted(orders, key=lambda each: -each[0].score):
        if id(bundle) in {id(other) for other in made.bundles.values()}:
            continue
        facts = {fact.name: fact for fact in listing.facts(
            listing.sample(proposal.folder, source, bundle.encoding), TODAY)}  # fmt: skip
        customer = facts[guess.mapping["customer_id"]]
        if customer.distinct < 0.95 * customer.rows or "value" in guess.mapping:
            made.tables["events"], made.mapping["events"] = source, dict(guess.mapping)
            made.bundles["events"] = bundle
            return {id(bundle)}
    return set()


def _own(lines: TableGuess, orders: TableGuess, bundle: Bundle, head: Bundle) -> dict[str, str]:
    """The lines' own columns first; of the orders what the lines lack, but no amount of the whole order."""
    stem = head.paths[0].name.partition(".")[0]
    of_orders = {
        ours: theirs if theirs not in bundle.types else f"{stem}.{theirs}"
        for ours, theirs in orders.mapping.items()
        if ours in ("customer_id", "timestamp", "channel", "currency", "kind")
    }
    return dict(lines.mapping) | of_orders


def _shared_key(
    proposal: "Proposal", lines: Bundle, source: TableSource, orders: Bundle, orders_source: TableSource
) -> tuple[str, str] | None:
    """The column of the lines and that of the orders that name the order: unique there, with the same values here."""
    left = listing.sample(proposal.folder, source, lines.encoding)
    right = listing.sample(proposal.folder, orders_source, orders.encoding)
    unique = [
        name for name in right.column_names
        if right.num_rows and len(right[name].unique()) == right.num_rows and right[name].null_count == 0
    ]  # fmt: skip
    wanted = [headers.plain(name) for name in columns.NAMES["events"]["basket_id"]]
    best: tuple[float, tuple[str, str]] | None = None
    for to in unique:
        known = right[to].combine_chunks().cast(pa.string())
        for on in left.column_names:
            there = left[on].drop_null().combine_chunks()
            if pa.types.is_temporal(there.type) or not len(there):
                continue
            share = (pc.sum(pc.is_in(there.cast(pa.string()), value_set=known)).as_py() or 0) / len(there)
            alike = (headers.plain(on) == headers.plain(to)) + (headers.plain(on) in wanted) * 2
            if share > 0.5 and alike and (best is None or share + alike > best[0]):
                best = (share + alike, (on, to))
    return best[1] if best else None
