"""How one file becomes one table: which column is which, what its values mean, and what was seen on the way."""

import re
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nightmarket.contracts import InputError
from nightmarket.contracts.tables import ATTRIBUTE_PREFIX, YES_NO, Column, Table, arrow_schema, without_channel
from nightmarket.contracts.values import EXPECTED, BadValues, WrongType, convert, is_text
from nightmarket.intake import addresses, flags, headers, identities, missing, numbers, times
from nightmarket.intake.markup import cleaned
from nightmarket.intake.notations import digits, usual
from nightmarket.intake.vocabulary import SUMS
from nightmarket.intake.widths import narrow
from tasks.intake import Feed
from tasks.intake.meanings import EventMeanings, below_zero
from tasks.intake.reading import USED_UP, Reading
from tasks.intake.services import CatalogueServices, line_types, sorts
from tasks.intake.survey import OrderLines, Placeholders, Survey, currencies, same_order
from tasks.intake.table_files import File
from tasks.intake.text_files import looks_like_a_value

MAX_ATTRIBUTES = 20
MIN_LEVELS, MAX_LEVELS = 50, 10_000
"""A column of the customers with more than MIN_LEVELS values, most of them different, or more than MAX_LEVELS, says
who a customer is rather than what they are like."""

DEFAULTS = {("events", "kind"): pa.scalar("purchase"), ("events", "quantity"): pa.scalar(1.0)}
"""What an optional column holds when the source lacks it; others hold nulls."""

TWIN = re.compile(r" \(\d+\)$")
"""What stands behind names of columns that a file has twice."""
OF_THE_ORDER = ("customer_id", "timestamp", "kind", "channel", "currency")
"""What an order's first line may say for all of them."""

WORDS_NOTE = "words that mean missing"
MADE_OF_PRICES = "rows whose value is quantity × price"
FROM_ORDER = "lines that take customer and time from the first line of their order"


class TableReader:
    """One file, read as one table of the contract."""

    def __init__(self, table: Table, file: File, reading: Reading, time_zone: str, section: str) -> None:
        """Raises InputError for a column that is missing or of a type that cannot be meant."""
        self.table = table
        self.file = file
        self.reading = reading
        self.mapping = reading.mapping.get(table.name, {})
        self.time_zone = time_zone
        self.section = section
        self.missing = missing.words(reading.missing)
        self.notes: Counter[str] = Counter()
        self.zones: dict[str, int] = {}
        self.decimals: set[str] = set()
        self.theirs: dict[str, str] = {}
        self._match(list(file.types()))
        self.attributes = self._attributes() if table.attributes else {}
        self.survey = self._survey()
        self.services = CatalogueServices(reading.services, self._catalogue())

    def feed(self) -> Feed:
        """The table's stream."""
        used = {*self.attributes.values(), *self.theirs.values(), *self.no_channel}
        return Feed(
            self.table,
            self.batches,
            tuple(self.attributes),
            dropped=tuple(name for name in self.extra if name not in used),
            filled=tuple(
                column.name
                for column in self.table.columns
                if column.name not in self.theirs and not (column.name == "value" and "unit_price" in self.theirs)
            ),
            file=self.file.path.name,
            notes=self.notes,
            decimals=frozenset(self.decimals),
        )

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Contract columns, then attributes. Raises InputError for the first column with values of another kind."""
        self.notes.clear()
        self.notes.update(self.zones)
        self.notes.update(self.services.notes if self.table.name == "products" else {})
        schema = arrow_schema(self.table, tuple(self.attributes))
        meanings = EventMeanings(self.reading.kinds, self.survey.nobodies, self.notes)
        row = 0
        for batch in self._filled(self._cleaned(self._wanted())):
            columns = {column.name: self._column(column, batch, row) for column in self.table.columns}
            columns |= {name: self._attribute(name, batch, row) for name in self.attributes}
            if "unit_price" in self.theirs:
                columns["value"] = self._amount(columns["quantity"], batch, row)
            columns = self._in_one_currency(columns, batch)
            if self.table.name == "products":
                columns["not_a_product"] = pc.coalesce(
                    columns["not_a_product"], self.services.of(columns["product_id"])
                )
            if self.table.name == "events":
                status = batch[self.theirs["status"]] if "status" in self.theirs else None
                back = self._share_that_came_back(columns, batch, row)
                columns = meanings(columns, self._services(columns, batch), status, self._nothing(batch), back)
            for theirs, meant in self.no_channel.items():
                remedy = f"{self.section}mapping.{self.table.name} to {{{meant}: {theirs}}}"
                what = f"rows with `{theirs}`, which names no channel and is not used; if it is of e-mail, set {remedy}"
                self._note(what, batch.num_rows)
            yield pa.record_batch([columns[name] for name in schema.names], schema=schema)
            row += batch.num_rows
        meanings.check(self.file.path.name)
        self.notes.update(getattr(self.file, "notes", {}))

    def _match(self, there: list[str]) -> None:
        """Find which of their columns is which of ours."""
        if not any(self._named(column.name, there) for column in self.table.columns) and any(
            re.fullmatch(r"[\d.,:/ -]+", name) for name in there
        ):
            raise InputError(
                f"{self.file.path.name}, line 1: a row where the names of the columns must be; put them there"
            )
        self.table = self.table.with_channels([*map(headers.snake, there), *self.mapping])
        used_up = {self.mapping.get(name) for name in USED_UP.get(self.table.name, ())}
        for column in self.table.columns:
            theirs = self._named(column.name, there)
            if column.name not in self.mapping and theirs in used_up:
                theirs = ""  # the shop says that it is something else
            if theirs:
                self.theirs[column.name] = theirs
            elif column.name in self.mapping:
                raise InputError(f"{self.file.path.name} has no column '{self.mapping[column.name]}' ({self.section}"
                                 f"mapping.{self.table.name}.{column.name}); it has {_list(there)}")  # fmt: skip
            elif column.required:
                raise InputError(
                    f"{self.file.path.name} has no column '{column.name}' (it has {_list(there)}); "
                    f"add it, or name yours under {self.section}mapping.{self.table.name}.{column.name}"
                )
        for name, known in USED_UP.get(self.table.name, {}).items():
            if name != "unit_price" or "value" not in self.theirs:
                self._match_used_up(name, known, there)
        self.extra = [name for name in there if name not in self.theirs.values()]
        self.named = {theirs: ours for ours, theirs in self.mapping.items() if ours.startswith(ATTRIBUTE_PREFIX)}
        self.extra.sort(key=lambda name: name not in self.named)
        self.no_channel = {name: meant for name in self.extra if self.table.by_channel and name not in self.named
                           and (meant := without_channel(headers.snake(name)))}  # fmt: skip
        for theirs in self.named.keys() - set(self.extra):
            raise InputError(f"{self.file.path.name} has no column '{theirs}' ({self.section}mapping.{self.table.name}."
                             f"{self.named[theirs]}) to spare; it has {_list(there)}")  # fmt: skip

    def _match_used_up(self, name: str, known: list[str], there: list[str]) -> None:
        asked = [self.mapping[name]] if name in self.mapping else known
        free = [other for other in there if other not in self.theirs.values()]
        alike = [other for wanted in asked for other in headers.alike(wanted, free)]
        if alike:
            self.theirs[name] = alike[0]
        elif name in self.mapping:
            raise InputError(f"{self.file.path.name} has no column '{self.mapping[name]}' ({self.section}"
                             f"mapping.{self.table.name}.{name}); it has {_list(there)}")  # fmt: skip

    def _named(self, ours: str, there: list[str]) -> str:
        """Their name of one of our columns, "" where there is none. Raises InputError where several may be meant."""
        alike = headers.alike(self.mapping.get(ours, ours), there)
        alike = alike or [
            name for name in there if headers.plain(TWIN.sub("", name)) == headers.plain(ours) != headers.plain(name)
        ]
        if len(alike) > 1:
            raise InputError(
                f"{self.file.path.name}: {' and '.join(alike)} may both be {self.table.name}.{ours}; name one "
                f"under {self.section}mapping.{self.table.name}.{ours}"
            )
        return alike[0] if alike else ""

    def _wanted(self) -> Iterator[pa.RecordBatch]:
        yield from self.file.batches([*dict.fromkeys([*self.theirs.values(), *self.attributes.values()])])

    def _cleaned(self, batches: Iterator[pa.RecordBatch], *, count: bool = True) -> Iterator[pa.RecordBatch]:
        """The batches with nulls for words that mean missing; ids without blanks around them, and as repaired."""
        ids = {self.theirs[column.name] for column in self.table.columns if column.kind == "id"
               and column.name in self.theirs}  # fmt: skip
        for batch in batches:
            arrays = []
            for name, values in zip(batch.schema.names, batch.columns, strict=True):
                if pa.types.is_dictionary(values.type):
                    values = values.cast(values.type.value_type)
                if is_text(values.type):
                    values, num = missing.blanked(values.cast(pa.string()), self.missing)
                    self._note(f"{name}: {WORDS_NOTE}", num if count else 0)
                    if name in ids:
                        values = identities.repaired(pc.utf8_trim_whitespace(values), self.reading.ids)
                        values = identities.undecimal(values) if name in self.survey.decimal_ids else values
                arrays.append(values)
            yield self._without_sums(pa.record_batch(arrays, batch.schema.names))

    def _without_sums(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Empty what stands in lines of events that sum up others, as `Total` in place of an order's number."""
        people = [self.theirs.get(name, "") for name in ("customer_id", "product_id")]
        if self.table.name != "events" or not {*people} <= {*batch.schema.names}:
            return batch
        lacking = pc.or_(batch[people[0]].is_null(), batch[people[1]].is_null())
        if not pc.any(lacking).as_py():
            return batch
        said = pa.repeat(pa.scalar(False), batch.num_rows)
        for ours in ("customer_id", "product_id", "timestamp", "basket_id", "channel", "product_title"):
            if (theirs := self.theirs.get(ours, "")) in batch.schema.names and is_text(batch[theirs].type):
                coded = batch[theirs].filter(lacking).dictionary_encode()
                words = pa.array(
                    [headers.plain(word or "") in SUMS for word in coded.dictionary.to_pylist()], pa.bool_()
                )
                here = pc.fill_null(words.take(coded.indices), False)
                said = pc.replace_with_mask(said, lacking, pc.or_(said.filter(lacking), here))
        if not pc.any(said).as_py():
            return batch
        emptied = [pc.if_else(said, pa.scalar(None, values.type), values) for values in batch.columns]
        return pa.record_batch(emptied, batch.schema.names)

    def _nothing(self, batch: pa.RecordBatch) -> pa.Array:
        """Where a row of events has no value at all; bool, never null."""
        customer = batch[self.theirs["customer_id"]]
        if not customer.null_count:
            return pa.repeat(pa.scalar(False), batch.num_rows)
        nothing = customer.is_null()
        for ours in ("product_id", "timestamp", "basket_id", "quantity", "value"):
            if ours in self.theirs:
                nothing = pc.and_(nothing, batch[self.theirs[ours]].is_null())
        return nothing

    def _filled(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Orders of which only the first line names time and customer: the others take them from it."""
        if not (self.survey.time_from_order or self.survey.customer_from_order):
            yield from batches
            return
        names = [self.theirs[ours] for ours in OF_THE_ORDER if ours in self.theirs]
        basket, leading = self.theirs["basket_id"], names[not self.survey.customer_from_order]
        before: pa.RecordBatch | None = None
        for batch in batches:
            whole = batch if before is None else pa.concat_batches([before, batch])
            same = same_order(whole[basket], None)
            lacking = np.asarray(pc.and_(same, whole[leading].is_null()))
            source = pa.array(np.maximum.accumulate(np.where(lacking, 0, np.arange(len(lacking)))))
            for name in names:
                at = whole.schema.get_field_index(name)
                taken = pc.if_else(pa.array(lacking), whole[name].take(source), whole[name])
                whole = whole.set_column(at, name, pc.coalesce(whole[name], taken))
            begun = whole.num_rows - batch.num_rows
            self._note(FROM_ORDER, int(lacking[begun:].sum()))
            before = whole.slice(whole.num_rows - 1)
            yield whole.slice(begun)

    def _column(self, column: Column, batch: pa.RecordBatch, row: int) -> pa.Array:
        if column.name not in self.theirs:
            kind = arrow_schema(self.table).field(column.name).type
            return pa.repeat(DEFAULTS.get((self.table.name, column.name), pa.scalar(None, kind)), batch.num_rows)
        theirs = self.theirs[column.name]
        if column.kind == "text" and is_text(batch[theirs].type):
            values, num = cleaned(batch[theirs])
            self._note(f"{theirs}: texts freed of markup and hidden signs", num)
            return values
        values = self._converted(column, theirs, batch, row)
        factor = self.reading.units.get(self.table.name, {}).get(column.name)
        return pc.multiply(values, factor) if factor else values

    def _catalogue(self) -> Iterator[dict[str, pa.Array]]:
        """What tells a service from a product, of each product."""
        names = {"product_id": "product_id", "title": "title", "category": "category", "sort": "product_type",
                 "said": "not_a_product"}  # fmt: skip
        theirs = {name: self.theirs[ours] for name, ours in names.items() if ours in self.theirs}
        if self.table.name != "products":
            return
        for batch in self._cleaned(self.file.batches([*dict.fromkeys(theirs.values())]), count=False):
            texts = {name: batch[column].cast(pa.string()) for name, column in theirs.items()}
            texts |= {"sort": sorts(batch[theirs["sort"]], theirs["sort"])} if "sort" in theirs else {}
            nothing = pa.nulls(batch.num_rows, pa.string())
            yield {name: texts.get(name, nothing) for name in names}

    def _services(self, columns: dict[str, pa.Array], batch: pa.RecordBatch) -> pa.Array:
        """What each line of an order is that is no product; null for a product."""
        title = batch[self.theirs["product_title"]].cast(pa.string()) if "product_title" in self.theirs else None
        negative = pc.or_(below_zero(columns["quantity"]), below_zero(columns["value"]))
        kinds = self.services.of_lines(columns["product_id"], title, negative)
        if "line_type" not in self.theirs:
            return kinds
        return pc.coalesce(kinds, line_types(batch[self.theirs["line_type"]].cast(pa.string())))

    def _share_that_came_back(self, columns: dict[str, pa.Array], batch: pa.RecordBatch, row: int) -> pa.Array | None:
        """Of each line from 0 to 1, as a column of it says; None where none does."""
        if "returned_quantity" in self.theirs:
            asked = Column("returned_quantity", "number", "")
            pieces = pc.fill_null(self._converted(asked, self.theirs["returned_quantity"], batch, row), 0.0)
            bought = pc.if_else(
                pc.greater(columns["quantity"], 0.0), columns["quantity"], pa.scalar(None, pa.float64())
            )
            return pc.min_element_wise(pc.fill_null(pc.divide(pc.abs(pieces), bought), 0.0), 1.0)
        if "returned" in self.theirs:
            said = flags.read(batch[self.theirs["returned"]])
            if pc.all(pc.is_in(said.drop_null(), value_set=pa.array(YES_NO))).as_py() is not False:
                return pc.fill_null(pc.equal(said, "yes"), False).cast(pa.float64())
        return None

    def _amount(self, quantity: pa.Array, batch: pa.RecordBatch, row: int) -> pa.Array:
        price = self._converted(Column("unit_price", "number", ""), self.theirs["unit_price"], batch, row)
        factor = self.reading.units.get(self.table.name, {}).get("value", 1.0)
        amount = pc.round(pc.multiply(pc.multiply(quantity, price), factor), 6)
        self._note(MADE_OF_PRICES, len(amount) - amount.null_count)
        return amount

    def _in_one_currency(self, columns: dict[str, pa.Array], batch: pa.RecordBatch) -> dict[str, pa.Array]:
        """Money in another currency, as the column says row by row, at the table of rates."""
        if "currency" not in self.theirs or not self.reading.rates:
            return columns
        codes = _codes(batch[self.theirs["currency"]])
        known = pa.array(self.reading.rates)
        rate = pa.array(self.reading.rates.values(), pa.float64()).take(pc.index_in(codes, value_set=known))
        rate = pc.if_else(pc.is_in(codes, value_set=pa.array([self.base])), 1.0, rate)
        self._note(f"amounts converted to {self.base}", pc.sum(pc.not_equal(rate, 1.0)).as_py() or 0)
        self._note("amounts without a currency, left out of the money", rate.null_count)
        money = {column.name for column in self.table.columns if column.unit == "currency"}
        return columns | {name: pc.multiply(columns[name], rate) for name in money & set(columns)}

    base = ""
    """The currency of the snapshot, where there are several."""

    def _note(self, what: str, num: int) -> None:
        if num:
            self.notes[what] += num

    def _attribute(self, name: str, batch: pa.RecordBatch, row: int) -> pa.Array:
        theirs = self.attributes[name]
        values = batch[theirs]
        if pa.types.is_floating(values.type) or pa.types.is_temporal(values.type) or pa.types.is_decimal(values.type):
            return values.cast(pa.string())
        return self._converted(Column(name, "text", ""), theirs, batch, row)

    def _converted(self, column: Column, theirs: str, batch: pa.RecordBatch, row: int) -> pa.Array:
        try:
            clocks = Counter[str]()
            values = self._read(batch[theirs], column, theirs, clocks)
            self.notes.update({f"{theirs}: {what}": num for what, num in clocks.items()})
            return values
        except WrongType:
            raise InputError(
                f"{self.file.path.name}: column '{theirs}' ({self.table.name}.{column.name}) holds "
                f"{batch[theirs].type} in all rows, from row 1 on; it must hold {EXPECTED[column.kind]}"
            ) from None
        except BadValues as bad:
            raise self._bad(column, theirs, row + int(np.flatnonzero(bad.where)[0])) from None

    def _read(self, values: pa.Array, column: Column, theirs: str, clocks: Counter[str] | None = None) -> pa.Array:
        if column.allowed == YES_NO:
            return flags.happened(values) if self.table.name == "deliveries" else flags.read(values)
        return convert(usual(values, column, self.survey.notations.get(theirs, "")), column, self.time_zone, clocks)

    def _bad(self, column: Column, theirs: str, first: int) -> InputError:
        """Count the column's unreadable values in the whole file."""
        count = 0
        for batch in self._cleaned(self.file.batches([theirs]), count=False):
            try:
                self._read(batch[theirs], column, theirs)
            except BadValues as bad:
                count += int(bad.where.sum())
        where = self.file.where(first)
        return InputError(
            f"{self.file.path.name}: column '{theirs}' ({self.table.name}.{column.name}) holds {count:,} values that "
            f"are not {EXPECTED[column.kind]}, first in {where}; fix them, or leave them empty"
        )

    def _notations(self) -> dict[str, str]:
        """{their column: how its numbers or times are written}, where it is not ISO 8601 or like 1234.5.

        Raises InputError where a column can be read in two ways, or its amounts are in several currencies.
        """
        types = self.file.types()
        columns = [*self.table.columns, Column("unit_price", "number", "", unit="currency")]
        asked: dict[str, tuple[Column, numbers.NumberSurvey | times.TimeSurvey]] = {}
        for column in columns:
            theirs = self.theirs.get(column.name, "")
            if column.kind == "number" and theirs and is_text(types[theirs]):
                asked[theirs] = (column, numbers.NumberSurvey())
            if column.kind in ("time", "date") and theirs and not pa.types.is_temporal(types[theirs]):
                asked[theirs] = (column, times.TimeSurvey())
        for batch in self._cleaned(self.file.batches([*asked]), count=False) if asked else ():
            for theirs, (_, survey) in asked.items():
                values = batch[theirs]
                if is_text(values.type) or pa.types.is_integer(values.type) or pa.types.is_floating(values.type):
                    survey(values if is_text(values.type) else digits(values))
        return {theirs: self._notation(theirs, *pair) for theirs, pair in asked.items()}

    def _notation(self, theirs: str, column: Column, survey: numbers.NumberSurvey | times.TimeSurvey) -> str:
        chosen = self.reading.formats.get(self.table.name, {}).get(column.name)
        name = f"{self.file.path.name}: column '{theirs}' ({self.table.name}.{column.name})"
        if isinstance(survey, numbers.NumberSurvey):
            if len(survey.signs) > 1 and column.unit == "currency":
                raise InputError(
                    f"{name} holds amounts in {len(survey.signs)} currencies ({currencies(survey.signs)} rows), which "
                    "cannot be added up; bring a column currency and set snapshot.rates"
                )
            self.decimals |= {column.name} if survey.parts else set()
            notation = chosen or survey.notation()
            readings = [notation] if notation else list(numbers.NOTATIONS)
            seen = sum(survey.either.values())
        else:
            readings = [chosen] if chosen else survey.readings(datetime.now(UTC).date())
            seen = sum(survey.forms.values())
            if survey.zoned[True] and survey.zoned[False]:
                self.zones = {f"{theirs}: times with a zone": survey.zoned[True],
                              f"{theirs}: times without a zone, taken as the shop's": survey.zoned[False]}  # fmt: skip
        if len(readings) > 1:
            raise InputError(
                f"{name} can be read as {' or as '.join(readings)}, in {seen:,} values, from row 1 on; say which: "
                f"{self.section}formats: {{{self.table.name}: {{{column.name}: {readings[0]}}}}}"
            )
        return readings[0]

    def _survey(self) -> Survey:
        """Look once at the columns of which the whole must be known."""
        self.survey = survey = Survey()
        survey.notations = self._notations()
        events = self.table.name == "events"
        ids = [self.theirs[column.name] for column in self.table.columns if column.kind == "id"
               and column.name in self.theirs and is_text(self.file.types()[self.theirs[column.name]])]  # fmt: skip
        order = [self.theirs[name] for name in ("basket_id", "timestamp", "customer_id") if name in self.theirs]
        wanted = [*ids, *(order if events else ()), *([self.theirs["currency"]] if "currency" in self.theirs else [])]
        if not wanted:
            return survey
        decimal, lines, placeholders = dict.fromkeys(ids, 0), OrderLines(), Placeholders()
        for batch in self._cleaned(self.file.batches([*dict.fromkeys(wanted)]), count=False):
            for name in [*decimal]:
                if _all_decimal(batch[name]):
                    decimal[name] += len(batch[name]) - batch[name].null_count
                else:
                    del decimal[name]
            if events and is_text(batch[self.theirs["customer_id"]].type):
                placeholders(batch[self.theirs["customer_id"]])
            if events and len(order) == 3:
                lines(*(batch[name] for name in order))
            if "currency" in self.theirs:
                codes = _codes(batch[self.theirs["currency"]]).drop_null().value_counts()
                survey.currencies.update(dict(zip(*(codes.field(i).to_pylist() for i in (0, 1)), strict=True)))
        survey.nobodies = placeholders.nobodies()
        survey.decimal_ids = frozenset(name for name, num in decimal.items() if num)
        survey.time_from_order = lines.without_time > 0
        survey.customer_from_order = lines.without_customer > 0 and not lines.with_customer
        return survey

    def _attributes(self) -> dict[str, str]:
        """attr_* names for the first columns beyond the contract that identify no customer."""
        names: dict[str, str] = {}
        extra = [name for name in self.extra if name not in self.no_channel][:MAX_ATTRIBUTES]
        identifying = self._identifying(extra)
        for theirs in extra:
            if theirs in identifying:
                continue
            name = self.named.get(theirs) or ATTRIBUTE_PREFIX + re.sub(r"\W+", "_", theirs.strip().lower())
            names[name if name not in names else f"{name}_{len(names)}"] = theirs
        return names

    def _identifying(self, names: list[str]) -> set[str]:
        """Columns of addresses, by name or value, and those whose values are mostly different: they are left out."""
        seen: dict[str, set[Any]] = {name: set() for name in names}
        rows = dict.fromkeys(names, 0)
        lead_to = {name for name in names if addresses.named(name)}
        for batch in self.file.batches(names) if names else ():
            for name in names:
                values = batch[name].drop_null()
                rows[name] += len(values)
                if is_text(values.type) and addresses.among(values):
                    lead_to.add(name)
                if len(seen[name]) <= MAX_LEVELS:
                    distinct = values.unique()
                    if pa.types.is_timestamp(distinct.type):  # Python knows no year above 9999
                        distinct = distinct.cast(pa.int64())
                    seen[name].update(distinct.to_pylist())
        return lead_to | {
            name for name in names if len(seen[name]) > max(MIN_LEVELS, rows[name] / 2) or len(seen[name]) > MAX_LEVELS
        }


def _all_decimal(ids: pa.Array) -> bool:
    return bool(pc.all(pc.fill_null(pc.match_substring_regex(ids, identities.DECIMAL), True)).as_py() is not False)


def _codes(values: pa.Array) -> pa.Array:
    """Codes of currencies in capitals, null where there is none."""
    return pc.utf8_upper(pc.utf8_trim_whitespace(narrow(values.cast(pa.string()))))


def _list(names: list[str]) -> str:
    """Names of columns; none of them where one looks like a customer's value, as in a file without a header."""
    if any(looks_like_a_value(name) for name in names):
        return f"{len(names)} columns, whose names look like values: is the first line the header?"
    return ", ".join(names[:15]) + (" …" if len(names) > 15 else "")
