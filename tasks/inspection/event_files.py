"""Files of events whose names tell what was done in them: orders.csv beside page_views.csv and carts.csv."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from nightmarket.intake import kinds, times
from nightmarket.intake.recognition import columns
from nightmarket.intake.recognition.columns import TableGuess
from tasks.intake import listing
from tasks.intake.listing import Bundle
from tasks.intake.sources import FileSource, TableSource

if TYPE_CHECKING:
    from tasks.inspection.proposal import Proposal

ALIKE = ("customer_id", "product_id", "timestamp", "channel", "quantity", "value", "unit_price")
"""Columns that mean the same in every file of events; a basket of one file is none of another's, but for returns, which
name the order that they are of."""
PURCHASE, RETURN = "purchase", "return"


def kinds_of_names(proposal: "Proposal", others: Sequence[tuple[TableGuess, Bundle, TableSource]]) -> set[int]:
    """Give events of a file the kind that its name tells, and add files of other kinds; the ids of those that joined.

    A file whose rows say what was done needs no name for it. Two files of one kind may hold the same events twice, so
    that the second stays out, unless it is of another time.
    """
    made = proposal.read
    mapping = made.mapping["events"]
    constants = made.tables["events"].constants
    if "kind" in mapping or "kind" in constants or made.tables["events"].items:
        return set()
    bundle = made.bundles["events"]
    own = kinds.of_file(bundle.title) or PURCHASE
    joining: dict[str, tuple[TableGuess, Bundle, TableSource]] = {}
    for guess, other, source in others:
        kind = kinds.of_file(other.title)
        whole = guess.table == "events" and _whole(guess, kind, mapping)
        if not (whole and kind and kind not in joining and "kind" not in guess.mapping and not source.items):
            continue
        if kind != own or _at_another_time(proposal, guess, other, source):
            joining[kind] = (guess, other, source)
    if not joining and own == PURCHASE:
        return set()
    update: dict[str, object] = {"constants": {**constants, "kind": own}}
    update["also"] = tuple(_added(source, kind, guess.mapping, mapping) for kind, (guess, _, source) in joining.items())
    made.tables["events"] = TableSource.model_validate(made.tables["events"].model_dump() | update)
    mapping["kind"] = "kind"
    named = {bundle.title: own} | {other.title: kind for kind, (_, other, _) in joining.items()}
    told = ", ".join(f"{title}: {kind}" for title, kind in named.items())
    proposal.check("tables", f"what was done is taken from the files' names ({told}): is that right?")
    return {id(other) for _, other, _ in joining.values()}


def _at_another_time(proposal: "Proposal", guess: TableGuess, other: Bundle, source: TableSource) -> bool:
    """Whether a file of the same kind ends before the first one begins, or begins after it ends."""
    own, mapping = proposal.read.tables["events"], proposal.read.mapping["events"]
    spans = []
    for laid_out, bundle, column in (
        (own, proposal.read.bundles["events"], mapping.get("timestamp", "")),
        (source, other, guess.mapping.get("timestamp", "")),
    ):  # fmt: skip
        sample = listing.sample(proposal.folder, laid_out, bundle.encoding)
        if column not in sample.column_names or sample.num_rows >= listing.SAMPLE_ROWS or not sample.num_rows:
            return False
        fact = columns.look(column, sample[column].combine_chunks(), datetime.now(UTC).date())
        if len(fact.times) != 1 or fact.times[0] in (times.EXCEL, *times.UNITS):
            return False
        written = times.iso(sample[column].combine_chunks().cast(pa.string()).drop_null(), fact.times[0])
        spans.append((pc.min(written).as_py(), pc.max(written).as_py()))
    return bool(spans[0][1] < spans[1][0] or spans[1][1] < spans[0][0])


def _whole(guess: TableGuess, kind: str | None, ours: Mapping[str, str]) -> bool:
    """Whether rows say who did it with what; of a return its order says who."""
    named = {*guess.lacks} <= {"customer_id"} and {"basket_id"} <= {*guess.mapping} & {*ours} and kind == RETURN
    return "product_id" in guess.mapping and (named or (not guess.lacks and "customer_id" in guess.mapping))


def _added(source: TableSource, kind: str, theirs: Mapping[str, str], ours: Mapping[str, str]) -> FileSource:
    """The file with its kind, and the first file's names for its columns."""
    alike = (*ALIKE, "basket_id") if kind == RETURN else ALIKE
    rename = {theirs[name]: ours[name] for name in alike if name in theirs and name in ours}
    changed = {column: name for column, name in rename.items() if column != name}
    given = source.model_dump(exclude={"also"}) | {"constants": {"kind": kind}, "rename": changed}
    return FileSource.model_validate(given)
