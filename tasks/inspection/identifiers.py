"""Ids as the rows have them: the column that fits the events', receipts whose numbers begin again, no customers."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from nightmarket.contracts.values import is_text
from nightmarket.intake.recognition.columns import TableGuess
from nightmarket.intake.visitors import as_hashed
from tasks.intake.day_times import MIDNIGHT
from tasks.intake.listing import Bundle
from tasks.intake.sources import TableSource

if TYPE_CHECKING:
    from tasks.inspection.proposal import Proposal

FEW, MOST = 0.05, 0.5
"""Share of ids in common below which a column is not the one that is meant, and from which on another is."""
REUSED = 0.2
"""Share of receipts with several customers, or over several days, from which on their numbers begin again."""
LEAST_RECEIPTS = 10
GUEST, RECEIPT = "guest", "receipt"


def texts(sample: pa.Table, column: str, *, customers: bool) -> pa.Array:
    """Distinct ids of a column, as they are compared."""
    values = sample[column].combine_chunks().drop_null()
    if pa.types.is_floating(values.type) or pa.types.is_nested(values.type) or pa.types.is_temporal(values.type):
        return pa.array([], pa.string())
    ids = pc.utf8_trim_whitespace(values.cast(pa.string())).unique()
    return as_hashed(ids).unique() if customers else ids


def settle_fit(proposal: "Proposal") -> None:
    """Of a table's columns take the one whose ids are the events', where the one that is called so has others."""
    made = proposal.read
    for table in ("customers", "products", "reviews", "suppressions", "exposures", "responses"):
        for ours in ("customer_id", "product_id"):
            theirs = made.mapping.get(table, {}).get(ours, "")
            events = made.mapping["events"].get(ours, "")
            source = made.tables.get(table)
            if source is None or source.distinct or proposal.export or table not in proposal.samples:
                continue
            sample, known = proposal.samples[table], proposal.samples["events"]
            if theirs not in sample.column_names or events not in known.column_names:
                continue
            customers = ours == "customer_id"
            wanted = texts(known, events, customers=customers)
            if not len(wanted) or _share(sample, theirs, wanted, customers=customers) >= FEW:
                continue
            other = max(sample.column_names, key=lambda name: _share(sample, name, wanted, customers=customers))
            if _share(sample, other, wanted, customers=customers) >= MOST:
                made.mapping[table] = {name: column for name, column in made.mapping[table].items() if column != other}
                made.mapping[table][ours] = other
                told = f"'{other}' is taken for {ours} of {table}, for its ids are those of the events"
                proposal.check("mapping", f"{told}, and not '{theirs}': is that right?")
            elif table in ("customers", "products"):
                _fit_events(proposal, table, ours)


def _fit_events(proposal: "Proposal", table: str, ours: str) -> None:
    """Of the events' columns take the one whose ids a table knows, where the one that is called so has others."""
    mapping, known = proposal.read.mapping["events"], proposal.samples["events"]
    customers, was = ours == "customer_id", mapping[ours]
    wanted = texts(proposal.samples[table], proposal.read.mapping[table][ours], customers=customers)
    free = [name for name in known.column_names if name not in mapping.values()]
    other = max(free, key=lambda name: _share(known, name, wanted, customers=customers), default="")
    if other and _share(known, other, wanted, customers=customers) >= MOST:
        mapping[ours] = other
        told = f"'{other}' is taken for {ours} of events, for its ids are those of {table}"
        proposal.check("mapping", f"{told}, and not '{was}': is that right?")


def _share(sample: pa.Table, column: str, wanted: pa.Array, *, customers: bool) -> float:
    """Of the column's ids, or of those wanted, how many are in common."""
    ids = texts(sample, column, customers=customers)
    return (pc.sum(pc.is_in(ids, value_set=wanted)).as_py() or 0) / max(min(len(ids), len(wanted)), 1)


def settle_receipts(proposal: "Proposal") -> None:
    """Put the day before a receipt's number where the numbers begin again: on its own it names many."""
    made, mapping, sample = proposal.read, proposal.read.mapping["events"], proposal.samples["events"]
    basket, when = mapping.get("basket_id", ""), mapping.get("timestamp", "")
    source = made.tables["events"]
    if proposal.export or source.also or not {basket, when} <= {*sample.column_names}:
        return
    day = source.moments[when][0] if when in source.moments else when
    if (
        not is_text(sample[day].type)
        or pc.any(
            pc.match_substring_regex(
                pc.replace_substring_regex(sample[day].combine_chunks(), MIDNIGHT, ""), r"\d[:時时点시]"
            )
        ).as_py()
    ):
        return  # of moments the day alone cannot be joined
    if _begin_again(sample, basket, day, mapping.get("customer_id", "")):
        update = {"path_of": {**source.path_of, RECEIPT: (day, basket)}}
        made.tables["events"] = source.model_copy(update=update)
        mapping["basket_id"] = RECEIPT
        told = f"'{basket}' begins again, for one number has several customers or days"
        proposal.check("tables", f"{told}: a receipt is one of '{day}' and '{basket}' together. Is it?")


def _begin_again(sample: pa.Table, basket: str, day: str, customer: str) -> bool:
    for beside, most in ((customer, 1), (day, 2)):
        if beside not in sample.column_names:
            continue
        pairs = sample.select([basket, beside]).drop_null().group_by([basket, beside]).aggregate([])
        counts = pairs.group_by(basket).aggregate([(beside, "count")])[f"{beside}_count"]
        lines = sample.select([basket]).drop_null().group_by(basket).aggregate([(basket, "count")])[f"{basket}_count"]
        several = pc.sum(pc.greater(lines, 1)).as_py() or 0
        again = pc.sum(pc.greater(counts, most)).as_py() or 0
        if again and again >= REUSED * max(several, 1) and sample.num_rows >= LEAST_RECEIPTS:
            return True
    return False


def without_customers(proposal: "Proposal", guesses: Sequence[tuple[TableGuess, Bundle, TableSource]]) -> set[int]:
    """Take events whose sessions name no customer, where there are no others: all of them are guests'."""
    made = proposal.read
    fitting = [each for each in guesses if each[0].table == "events" and each[0].lacks == ("customer_id",)
               and {"product_id", "basket_id"} <= {*each[0].mapping}
               and id(each[1]) not in {id(bundle) for bundle in made.bundles.values()}]  # fmt: skip
    if not fitting:
        return set()
    guess, bundle, source = max(fitting, key=lambda each: each[0].score)
    made.tables["events"] = source.model_copy(update={"constants": {**source.constants, "customer": GUEST}})
    made.mapping["events"], made.bundles["events"] = dict(guess.mapping) | {"customer_id": "customer"}, bundle
    proposal.unsure["events"] = guess.unsure
    told = "no column names a customer: all rows are guests' sessions, which teach"
    proposal.check("tables", f"{told}; there is nobody to send a list to")
    return {id(bundle)}
