"""`snapshot.profile`: the export of a known shop system, read as it is."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nightmarket.contracts import InputError
from nightmarket.contracts.tables import ATTRIBUTE_PREFIX, BY_NAME, channel_column
from nightmarket.intake import headers
from nightmarket.intake.recognition import exports
from nightmarket.intake.recognition.exports import KnownExport
from tasks.intake.listing import Bundle, bundles
from tasks.intake.nested import flat_names
from tasks.intake.reading import USED_UP, Reading
from tasks.intake.sources import TableSource


@dataclass
class Read:
    """How the files of a folder become tables.

    tables   as in `snapshot.tables`
    mapping  as in `snapshot.mapping`
    bundles  table → the files that it is read from
    """

    tables: dict[str, TableSource] = field(default_factory=dict)
    mapping: dict[str, dict[str, str]] = field(default_factory=dict)
    bundles: dict[str, Bundle] = field(default_factory=dict)
    joined: dict[str, Bundle] = field(default_factory=dict)


def recognised(listed: Sequence[Bundle]) -> list[KnownExport]:
    """Exports of which the folder holds what customers did."""
    return [export for export in exports.EXPORTS if _bundle(export, "events", listed)]


def read(export: KnownExport, listed: Sequence[Bundle]) -> Read:
    """The export's tables that are there; products are made of the rows of events where none are."""
    made = Read()
    for table in export.tables:
        bundle = _bundle(export, table, listed)
        if bundle:
            _add(made, export, table, bundle, listed)
    if "products" not in made.tables and "events" in made.tables:
        products_of_events(made, export.once)
    return made


def products_of_events(made: Read, columns: dict[str, list[str]]) -> None:
    """A table of products made of the rows of events: one per product, with what its last row says."""
    events = made.tables["events"]
    there = [*_names(made.bundles["events"], events.items), *events.first_of, *events.computed, *events.constants]
    if "events" in made.joined:
        there += _names(made.joined["events"], "")
    product = made.mapping["events"]["product_id"]
    levels = exports.mapping({name: [name] for name in columns.get("category", ())}, there, {})
    chosen = exports.mapping(columns, there, {})
    update: dict[str, Any] = {"distinct": product}
    if len(levels) > 1:
        update["path_of"] = {**events.path_of, "category": tuple(levels.values())}
        chosen["category"] = "category"
    made.tables["products"] = events.model_copy(update=update)
    made.mapping["products"] = {"title": product} | chosen | {"product_id": product}
    made.bundles["products"] = made.bundles["events"]


def _bundle(export: KnownExport, table: str, listed: Sequence[Bundle]) -> Bundle | None:
    fitting = [bundle for bundle in listed if not bundle.problem and export.is_table(table, bundle.plain)]
    return max(fitting, key=lambda bundle: bundle.bytes) if fitting else None


def _add(made: Read, export: KnownExport, table: str, bundle: Bundle, listed: Sequence[Bundle]) -> None:
    known = export.tables[table]
    names = _names(bundle, known.get("items", ""))
    names += [f"{name}.{key}" for name, keys in known.get("keys", {}).items() if name in bundle.types for key in keys]
    given = bundle.source().model_dump(exclude_defaults=True)
    join = known.get("join")
    if join:
        wanted = {headers.plain(name) for name in join["has"]}
        orders = next((other for other in listed if not other.problem and wanted <= other.plain), None)
        if orders is None:
            return
        given["join"] = {"file": orders.pattern, "by": join["by"], "to": join["to"]}
        given["join"] |= {"sheet": orders.sheet} if orders.sheet else {}
        names = [*dict.fromkeys([*names, *_names(orders, "")])]
        made.joined[table] = orders
    given |= exports.layout(known, names)
    mapped = exports.mapping(known["columns"], names, given)
    if not {column.name for column in BY_NAME[table].columns if column.required} <= {*mapped}:
        made.joined.pop(table, None)
        return
    made.tables[table] = TableSource.model_validate(given)
    made.mapping[table] = {name: theirs for name, theirs in mapped.items() if _is_ours(table, name)}
    made.bundles[table] = bundle


def _is_ours(table: str, name: str) -> bool:
    contract = BY_NAME[table]
    known = {column.name for column in contract.columns} | {*USED_UP.get(table, ())}
    free = (contract.attributes and name.startswith(ATTRIBUTE_PREFIX)) or (
        contract.by_channel and channel_column(name) is not None
    )
    return name in known or free


def _names(bundle: Bundle, items: str) -> list[str]:
    return flat_names(bundle.types, items)


def completed(reading: Reading, folder: Path, section: str) -> Reading:
    """The settings with what the profile says where they say nothing.

    Raises InputError where the folder does not hold such an export.
    """
    if not reading.profile:
        return reading
    export = next(known for known in exports.EXPORTS if known.key == reading.profile)
    listed = [*bundles(folder)]
    made = read(export, listed)
    if "events" not in {**made.tables, **reading.tables}:
        join = export.tables["events"].get("join", {})
        columns = ", ".join(export.tables["events"]["has"])
        beside = f", beside one with {', '.join(join['has'])}" if join else ""
        raise InputError(
            f"{section}profile: {folder} has no file of {export.name} with the columns {columns}{beside}; it takes "
            f"{export.about}. `make inspect FOLDER={folder}` says what is there"
        )
    whole = {*reading.tables} & {*reading.mapping}  # of these the shop says all itself
    mapping = {
        table: {**({} if table in whole else made.mapping.get(table, {})), **reading.mapping.get(table, {})}
        for table in {**made.mapping, **reading.mapping}
    }
    return reading.model_copy(
        update={
            "tables": {**made.tables, **reading.tables},
            "mapping": mapping,
            "kinds": {**(export.kinds if "kind" in made.mapping.get("events", {}) else {}), **reading.kinds},
            "missing": tuple(dict.fromkeys([*export.missing, *reading.missing])),
        }
    )
