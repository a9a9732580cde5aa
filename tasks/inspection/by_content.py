"""What values say of columns where headers do not say it, or say it wrongly: amounts, titles, orders that fell through.

Each change is one that a person is asked to look at.
"""

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nightmarket.contracts.arrays import Float64s
from nightmarket.contracts.values import is_text
from nightmarket.intake import amounts, headers, numbers, orders
from nightmarket.intake.recognition import columns
from nightmarket.intake.recognition.columns import ColumnFacts
from nightmarket.intake.vocabulary import FELL_THROUGH, MINOR

if TYPE_CHECKING:
    from tasks.inspection.proposal import Proposal

MOST_PIECES = 1_000
"""The largest number that is taken for a quantity."""
PAID = ("price", "sales", "revenue", "total", "paid")
"""Words of a header that speak for what was paid, where several columns grow with the pieces: a cost does too."""
PERCENT = frozenset(("%", "percent", "percentage", "pct", "prozent", "pourcentage", "porcentaje", "rate"))
PAID_FOR, REDUCED = "paid", "reduced"
CHEAP = 5.0
"""Median amount of a line from which on a discount of 1 at most is a share of it."""
MOST_FIT = 0.95
"""Share of lines whose discount is no more than their amount."""
MOST_SHARE = 0.6
"""Of the rows that may have fallen through; more of them say that the words mean something else."""
ONE_EACH = 1.1
"""Different texts that a product may have on average, as where it was called otherwise once."""


def settle_orders(proposal: "Proposal") -> None:
    """Take no amount of a whole order, which all of its lines repeat, for that of a line."""
    made, mapping = proposal.read, proposal.read.mapping["events"]
    items = made.tables["events"].items
    if proposal.export or not {"basket_id", "product_id"} <= _with_order(proposal):
        return
    for ours in ("value", "unit_price"):
        if ours not in mapping or not _repeated(proposal, mapping[ours]):
            continue
        whole = mapping.pop(ours)
        names = {*columns.NAMES["events"]["value"], *columns.NAMES["events"]["unit_price"]}
        free = [fact for fact in proposal.facts["events"] if fact.number and not fact.times
                and fact.name not in (whole, *mapping.values())]  # fmt: skip
        fitting = [
            fact for fact in free if {fact.plain, fact.last} & names or columns.within(fact.name, [*names, *PAID])
        ]
        fitting.sort(key=lambda fact: not (items and fact.name.startswith(f"{items}.")))
        other = next((fact for fact in fitting if not _repeated(proposal, fact.name)), None)
        said = "and is not used"
        if other is not None:
            unit = {other.plain, other.last} & {*columns.NAMES["events"]["unit_price"]}
            mapping["unit_price" if unit else "value"] = other.name
            said = f"'{other.name}' is taken in its place"
        proposal.check(
            "mapping", f"'{whole}' is the same in all lines of an order, as its total is: {said}. Is that right?"
        )
        return


def _with_order(proposal: "Proposal") -> set[str]:
    """Columns that are mapped; the number of a record whose list holds the lines is an order's."""
    mapping, items = proposal.read.mapping["events"], proposal.read.tables["events"].items
    named = [
        name for name in proposal.samples["events"].column_names if headers.plain(name) in ("id", "name", "number")
    ]
    if items and "basket_id" not in mapping and named and named[0] not in mapping.values():
        mapping["basket_id"] = named[0]
    return {*mapping}


def _repeated(proposal: "Proposal", column: str) -> bool:
    """Whether an amount is the same in all lines of an order, and not in all orders."""
    mapping, sample = proposal.read.mapping["events"], proposal.samples["events"]
    names = [mapping["basket_id"], mapping["product_id"], column]
    if not {*names} <= {*sample.column_names}:
        return False
    basket, product = (pc.fill_null(sample[name].combine_chunks().cast(pa.string()), "") for name in names[:2])
    order, item = (ids.dictionary_encode().indices.to_numpy().astype(np.int64) for ids in (basket, product))
    return orders.repeated(order, item, _numbers(proposal, column))


def settle_amounts(proposal: "Proposal") -> None:
    """Say whether amounts are of a piece or of a line as the rows have it, and which whole numbers are pieces."""
    mapping = proposal.read.mapping["events"]
    if proposal.export or not {"value", "unit_price"} & {*mapping} or "product_id" not in mapping:
        return
    ours = "value" if "value" in mapping else "unit_price"
    if "quantity" not in mapping and not _pieces(proposal, mapping[ours]):
        return
    how = _grows(proposal, mapping["quantity"], mapping[ours])
    right = {amounts.LINE: "value", amounts.UNIT: "unit_price", None: ours}[how]
    if right != ours:
        mapping[right] = mapping.pop(ours)
        said = "it grows with the quantity" if how == amounts.LINE else "it does not grow with the quantity"
        proposal.check("mapping", f"'{mapping[right]}' is taken for {right}, for {said}: is it?")


def settle_discounts(proposal: "Proposal") -> None:
    """Take the discount of a line off pieces times price, where no column says what was paid."""
    made, mapping = proposal.read, proposal.read.mapping["events"]
    source, sample = made.tables["events"], proposal.samples["events"]
    price, number = mapping.get("unit_price", ""), mapping.get("quantity", "")
    known = {*columns.NAMES["events"]["discount"]}
    named = [fact.name for fact in proposal.facts["events"] if {fact.plain, fact.last} & known and fact.number]
    off = mapping.get("discount", named[0] if named else "")
    if proposal.export or source.also or "value" in mapping or not {price, off} <= {*sample.column_names}:
        return
    discount, whole = _numbers(proposal, off), _numbers(proposal, price)
    whole = whole * _numbers(proposal, number) if number else whole
    most = np.nanmax(np.abs(discount), initial=0)
    if most == 0 or not np.nanmean(np.abs(discount) <= np.abs(whole) + 0.01) > MOST_FIT:
        return
    gross = f"[{number}] * [{price}]" if number else f"[{price}] * 1"
    below = np.nanmin(discount) < 0
    parts, said = "", "is an amount of the line"
    if most <= 1 and np.nanmedian(whole) > CHEAP:
        parts, said = f"{gross} * [{off}]", "is a share"
    elif most <= 100 and PERCENT.intersection([*headers.words(off), *off.casefold()]):
        parts, said = f"{gross} * [{off}] / 100", "is in percent"
    taken = parts or f"[{off}]"
    positive = f"0 - {taken}" if below else f"0 + {taken}"
    made.tables["events"] = source.model_copy(
        update={
            "computed": {**source.computed, PAID_FOR: f"{gross} {'+' if below else '-'} {taken}", REDUCED: positive}
        }
    )
    del mapping["unit_price"]
    mapping |= {"value": PAID_FOR, "discount": REDUCED}
    proposal.check("tables", f"'{off}' {said} and is taken off '{price}' times the pieces: is that right?")


def _pieces(proposal: "Proposal", amount: str) -> bool:
    """Take the amount for pieces where another column is what so many pieces cost; whether that is so."""
    mapping, facts = proposal.read.mapping["events"], {fact.name: fact for fact in proposal.facts["events"]}
    pieces = _numbers(proposal, amount)
    if not facts[amount].whole or np.nanmax(pieces, initial=0) > MOST_PIECES or facts[amount].distinct < 2:
        return False
    paid = {*columns.NAMES["events"]["value"], *columns.NAMES["events"]["unit_price"]}
    for fact in sorted(facts.values(), key=lambda fact: not columns.within(fact.name, [*paid, *PAID])):
        taken = fact.name in mapping.values() or fact.times or not fact.number
        if taken or _grows(proposal, amount, fact.name) != amounts.LINE:
            continue
        if np.nanmedian(_numbers(proposal, fact.name) / np.maximum(pieces, 1)) > 1:
            ours = "value" if "value" in mapping else "unit_price"
            del mapping[ours]
            mapping |= {"quantity": amount, "value": fact.name}
            proposal.check("mapping", f"'{amount}' is taken for quantity and '{fact.name}' for value, which grows with "
                                      "it: is that so?")  # fmt: skip
            return True
    return False


def _grows(proposal: "Proposal", quantity: str, amount: str) -> str | None:
    sample, product = proposal.samples["events"], proposal.read.mapping["events"]["product_id"]
    if not {quantity, amount, product} <= {*sample.column_names}:
        return None
    codes = pc.fill_null(sample[product].combine_chunks().cast(pa.string()), "").dictionary_encode().indices
    return amounts.grows(codes.to_numpy().astype(np.int64), _numbers(proposal, quantity), _numbers(proposal, amount))


def _numbers(proposal: "Proposal", column: str) -> Float64s:
    """(N,) what the sample's column says, NaN where it is no number."""
    values = proposal.samples["events"][column].combine_chunks()
    if not is_text(values.type):
        return np.asarray(pc.fill_null(values.cast(pa.float64()), np.nan).to_numpy(zero_copy_only=False), np.float64)
    notation = next(fact.notation for fact in proposal.facts["events"] if fact.name == column)
    written = numbers.plain(values.cast(pa.string()), notation or numbers.POINT)
    right = pc.fill_null(pc.match_substring_regex(written, numbers.STRICT), False)
    read = pc.if_else(right, written, None).cast(pa.float64())
    return np.asarray(pc.fill_null(read, np.nan).to_numpy(zero_copy_only=False), np.float64)


def settle_titles(proposal: "Proposal") -> None:
    """Call products by the column of words that tells them apart best, where no header says which one it is."""
    mapping = proposal.read.mapping["products"]
    if mapping.get("title") not in (None, mapping["product_id"]):
        return
    sample, taken = proposal.samples["products"], {*mapping.values()}
    if proposal.read.bundles["products"] is proposal.read.bundles["events"]:
        taken |= {*proposal.read.mapping["events"].values()}
    texts = [
        fact
        for fact in proposal.facts["products"]
        if fact.name not in taken and _may_be_title(fact, sample) and _of_product(proposal, fact.name)
    ]
    best = max(texts, key=lambda fact: fact.distinct, default=None)
    if best is not None and best.distinct > 0.2 * max(sample.num_rows, 1):
        mapping["title"] = best.name
        proposal.check("mapping", f"'{best.name}' is taken for the products' titles: is it?")


def _of_product(proposal: "Proposal", column: str) -> bool:
    """Whether rows of one product say the same there: what is a buyer's says something else in each."""
    sample, product = proposal.samples["events"], proposal.read.mapping["events"]["product_id"]
    if proposal.read.bundles["products"] is not proposal.read.bundles["events"]:
        return True
    pairs = sample.select([product, column]).group_by([product, column]).aggregate([]).num_rows
    products = len(sample[product].unique())
    return pairs <= ONE_EACH * products and sample.num_rows >= 2 * products


def _may_be_title(fact: ColumnFacts, sample: pa.Table) -> bool:
    if fact.times or fact.number or fact.address or fact.filled < 0.8:
        return False
    values = sample[fact.name].combine_chunks()
    if not is_text(values.type) or not len(values.drop_null()):
        return False
    words = pc.match_substring_regex(values.cast(pa.string()).drop_null(), r"\p{L}{2,}.*[\s\p{Lo}]")
    return float(pc.mean(words.cast(pa.float64())).as_py()) > 0.3


def settle_rows_of_one(proposal: "Proposal") -> None:
    """Make one row of several of a product, as where each warehouse or each price has its own, stock added up; and of
    several of a customer, as where each address has its own, unless they contradict each other about consent."""
    made = proposal.read
    for table, key in (("products", "product_id"), ("customers", "customer_id")):
        if table not in made.tables or table not in proposal.samples or proposal.export:
            continue
        source, mapping, sample = made.tables[table], made.mapping[table], proposal.samples[table]
        named, stock = mapping.get(key, ""), mapping.get("stock", "")
        if source.distinct or named not in sample.column_names:
            continue
        ids = sample[named].drop_null()
        num = len(ids.unique())
        if num == len(ids) or sample.group_by(sample.column_names).aggregate([]).num_rows == num:
            continue  # copies are set aside, and do not count
        asked = [theirs for ours, theirs in mapping.items() if ours.startswith(("consent_", "reachable_"))]
        if any(_differs(sample, named, theirs, num) for theirs in asked):
            continue
        update: dict[str, object] = {"distinct": named}
        several = _differs(sample, named, stock, num)
        update |= {"sums": (stock,)} if several else {}
        made.tables[table] = source.model_copy(update=update)
        added = f"; '{stock}' is added up" if several else ""
        told = f"{len(ids) - num:,} of {len(ids):,} rows of {table} are of one that is there before"
        proposal.check("tables", f"{told}: one row is made of them, the last that says something counts{added}")


def _differs(sample: pa.Table, named: str, column: str, num: int) -> bool:
    """Whether rows of one thing say different things in a column."""
    return column in sample.column_names and sample.group_by([named, column]).aggregate([]).num_rows > num


def settle_minor_units(proposal: "Proposal") -> None:
    """Divide by a hundred what a header says to be cents."""
    for table, names in (("events", ("value", "unit_price")), ("products", ("price",))):
        mapping = proposal.read.mapping.get(table, {})
        facts = {fact.name: fact for fact in proposal.facts.get(table, [])}
        for ours in names:
            theirs = mapping.get(ours, "")
            if theirs in facts and facts[theirs].whole and MINOR.intersection(headers.words(theirs)):
                column = "price" if ours == "price" else "value"
                proposal.settings.setdefault("units", {}).setdefault(table, {})[column] = 0.01
                proposal.check("units", f"'{theirs}' is taken to be in hundredths of the currency: is it?")


def settle_statuses(proposal: "Proposal") -> None:
    """Leave out rows whose order fell through, as a column of states says: cancelled, never paid."""
    made = proposal.read
    source, bundle = made.tables["events"], made.bundles["events"]
    own = {*bundle.types, *(made.joined["events"].types if "events" in made.joined else ())}
    if proposal.export or source.leave_out:
        return
    sample = proposal.samples["events"]
    for name in sample.column_names:
        values = sample[name].combine_chunks()
        if name not in own or not is_text(values.type) or not columns.is_status(name):
            continue
        counted = {str(pair["values"]): pair["counts"] for pair in values.drop_null().value_counts().to_pylist()}
        fell = {word: num for word, num in counted.items() if headers.plain(word) in FELL_THROUGH}
        if fell and sum(fell.values()) <= MOST_SHARE * max(sample.num_rows, 1):
            made.tables["events"] = source.model_copy(update={"leave_out": {name: tuple(sorted(fell))}})
            told = ", ".join(f"{word}: {num:,}" for word, num in sorted(fell.items()))
            proposal.check("tables", f"rows whose '{name}' says that nothing was bought are left out ({told}): is "
                                     "that right?")  # fmt: skip
            return
