"""Do the tables speak of the same customers, products and money? Asked before anything is built on them."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from nightmarket.contracts import InputError
from nightmarket.intake import amounts, identities, orders

LOG = logging.getLogger("nightmarket")


class UnitsError(InputError):
    """Amounts and list prices are in different units.

    units  what `snapshot.units` should be
    """

    units: dict[str, dict[str, float]]


CUSTOMERS, PRODUCTS = "customer_id", "product_id"
ASKED = {
    ("events", PRODUCTS): (("products", PRODUCTS),),
    ("offers", PRODUCTS): (("products", PRODUCTS), ("events", PRODUCTS)),
    ("promotions", PRODUCTS): (("products", PRODUCTS), ("events", PRODUCTS)),
    ("reviews", PRODUCTS): (("products", PRODUCTS), ("events", PRODUCTS)),
    ("exposures", PRODUCTS): (("products", PRODUCTS), ("events", PRODUCTS)),
    ("exposures", CUSTOMERS): (("events", CUSTOMERS), ("customers", CUSTOMERS)),
    ("responses", CUSTOMERS): (("events", CUSTOMERS), ("customers", CUSTOMERS)),
    ("deliveries", CUSTOMERS): (("events", CUSTOMERS), ("customers", CUSTOMERS)),
    ("suppressions", CUSTOMERS): (("events", CUSTOMERS), ("customers", CUSTOMERS)),
    ("reviews", CUSTOMERS): (("events", CUSTOMERS), ("customers", CUSTOMERS)),
    ("events", CUSTOMERS): (("customers", CUSTOMERS),),
}
"""Table and column → where its ids should be known."""
LEAST = {("events", PRODUCTS): 0.1}
"""Share of distinct ids that must be known; of the others one in a hundred: prospects may be written to, too."""
GROWTH_ROWS = 1_000_000
"""Rows that are asked how amounts grow with quantities."""
BESIDE, NEAR = 0.06, 0.98
"""Share of purchases on each of two scales; and of those of products with a wide span of amounts, how many lie near its
ends: amounts drawn at random lie in between too."""
TWINS, FEW_TWINS = 0.1, 5
"""Share of ids, and how many, that are like another but for capitals, from which on it is no chance."""
LEAST_BASKETS = 20
"""With several products."""
FAR = 30
"""Amounts so many times the list prices are no discount or surcharge: they are in another unit."""


@dataclass
class SeenIds:
    """The distinct ids of every table as they came, and the files that they came from."""

    ids: dict[tuple[str, str], list[pa.Array]] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    decimals: set[str] = field(default_factory=set)

    def add(self, table: str, file: str, ids: Mapping[str, pa.Array], decimals: frozenset[str] = frozenset()) -> None:
        """Ids of one feed, by column, and which of its numbers are written with decimals."""
        self.decimals |= {f"{table}.{column}" for column in decimals}
        self.files.setdefault(table, file or table)
        for column, values in ids.items():
            self.ids.setdefault((table, column), []).append(values)

    def of(self, places: Sequence[tuple[str, str]]) -> pa.Array:
        """The distinct ids of some tables."""
        arrays = [values.drop_null() for place in places for values in self.ids.get(place, ())]
        return pa.concat_arrays([pa.array([], pa.string()), *arrays]).unique()

    def check(self, given: Sequence[str] = ()) -> None:
        """Raises InputError for tables that do not speak of the same ids, or have several for one.

        given  what `snapshot.ids` names
        """
        for column in (CUSTOMERS, PRODUCTS):
            ids = self.of([("events", column)])
            num, repair = identities.twins(ids)
            if num >= max(FEW_TWINS, TWINS * len(ids)) and identities.AS_WRITTEN not in given:
                how = "capitals" if repair == "case" else "full-width letters"
                raise InputError(
                    f"{self.files['events']}: {column}: {num:,} of {len(ids):,} ids differ from another in {how} "
                    f"alone, from row 1 on, so that one counts as two; set snapshot.ids to [{repair}], or to "
                    "[as written] if they are different"
                )
        for (table, column), places in ASKED.items():
            there = [place for place in places if place in self.ids]
            if (table, column) not in self.ids or not there:
                continue
            fits = identities.fit(self.of([(table, column)]), self.of(there))
            if identities.problem(fits, least=LEAST.get((table, column), 0.01)):
                files = " or ".join(self.files[name] for name, _ in there)
                cause = f" ({fits.cause})" if fits.cause else ""
                begin = "" if fits.known else ", from row 1 on"
                raise InputError(
                    f"{self.files[table]}: {column}: {fits.known:,} of {fits.total:,} ids are in {files}{begin}{cause}"
                    f"; {fits.advice}"
                )


def check_amounts(folder: Path, seen: SeenIds, given: Sequence[str]) -> None:
    """Raises InputError where amounts and list prices are in different units, or amounts are prices of one.

    folder  of the written tables
    given   columns whose unit the shop has named, as `events.value`: they are as they are

    What is written with decimals is in no minor unit: there it is only said.
    """
    files = seen.files
    events, products = folder / "events.parquet", folder / "products.parquet"
    if "events.value" in given or not events.exists():
        return
    _check_growth(events, files.get("events", "events"))
    _check_orders(events, files.get("events", "events"))
    _check_scales(events, files.get("events", "events"))
    if "products.price" in given or not products.exists():
        return
    lines, ratio, several, same = _figures(
        "select count(*), median(value / quantity / price), count(*) filter (quantity >= 2), "
        "count(*) filter (quantity >= 2 and abs(value / price - 1) < 0.01) "
        "from read_parquet(?) as events join read_parquet(?) as products using (product_id) "
        "where kind = 'purchase' and quantity > 0 and value > 0 and isfinite(value) and price > 0",
        events,
        products,
    )
    file, list_file = files.get("events", "events"), files.get("products", "products")
    if lines >= 20 and not 1 / FAR < ratio < FAR:
        factor = 0.01 if 30 <= ratio <= 300 else 1
        which = "value" if ratio >= FAR else "price"
        if {"value": "events.value", "price": "products.price"}[which] in seen.decimals:
            LOG.warning("snapshot: %s: value of one unit is %s times price in %s (median of %s purchases)", file,
                        f"{ratio:,.4g}", list_file, f"{lines:,}")  # fmt: skip
            return
        error = UnitsError(
            f"{file}: value of one unit is {ratio:,.4g} times price in {list_file} (median of {lines:,} purchases): "
            f"one of the two is in other units, as cents; set snapshot.units, as events: {{value: {factor}}} or "
            f"products: {{price: 0.01}}, or to 1 where {which} is right as it is"
        )
        error.units = {"events": {"value": factor}} if ratio >= FAR else {"products": {"price": 0.01}}
        raise error
    if several >= 20 and same >= 0.9 * several:
        raise InputError(
            f"{file}: value is the price in {list_file} also where quantity is 2 or more ({same:,} of {several:,} such "
            "purchases): if it is the price of one, set snapshot.mapping.events.unit_price to its column; if it is the "
            "amount of the line, set snapshot.units to events: {value: 1}"
        )


def _figures(query: str, *tables: Path) -> tuple[Any, ...]:
    """The one row that DuckDB answers; each ? is a parquet file."""
    with duckdb.connect(config={"memory_limit": "2GB"}) as database:
        return database.execute(query, [str(table) for table in tables]).fetchall()[0]


def _check_orders(events: Path, file: str) -> None:
    """Raises InputError where amounts are an order's total, repeated in each of its lines."""
    several, same, different = _figures(
        "with lines as (select basket_id, product_id, value from read_parquet(?) where kind = 'purchase' "
        f"and value > 0 and isfinite(value) and basket_id is not null limit {GROWTH_ROWS}), "
        "baskets as (select min(value) as low, max(value) as high from lines group by basket_id "
        "having min(product_id) <> max(product_id)) "
        "select count(*), count(*) filter (high - low <= 1e-6 * high), count(distinct low) from baskets",
        events,
    )
    if several >= LEAST_BASKETS and same >= orders.MOST * several and different >= orders.LEAST_AMOUNTS:
        raise InputError(
            f"{file}: value is the same in all lines of {same:,} of {several:,} orders with several products, as an "
            "order's total is: set snapshot.mapping.events.value, or unit_price, to the amounts of the lines; set "
            "snapshot.units to events: {value: 1} if it is right as it is"
        )


def _check_scales(events: Path, file: str) -> None:
    """Raises InputError where amounts of one product lie on two scales: two currencies, or cents from a day on."""
    rows, wide, low, high = _figures(
        "with lines as (select product_id, log10(value / quantity) as cost from read_parquet(?) where kind = "
        "'purchase' and value > 0 and quantity > 0 and isfinite(value) and isfinite(quantity) "
        f"limit {GROWTH_ROWS}), spans as (select product_id, min(cost) as least, max(cost) as most from lines "
        f"group by product_id having max(cost) - min(cost) > log10({FAR})) select (select count(*) from lines), "
        "count(*), count(*) filter (cost - least < least(most - cost, log10(3))), "
        "count(*) filter (most - cost < least(cost - least, log10(3))) from lines join spans using (product_id)",
        events,
    )
    if rows >= 20 and low + high >= NEAR * wide and min(low, high) >= BESIDE * rows:
        raise InputError(
            f"{file}: amounts of the same products are {FAR} times as large in {high:,} of {rows:,} purchases as in "
            f"{low:,} others: several currencies or units? Bring a column currency and set snapshot.rates, or export "
            "all in one unit; set snapshot.units to events: {value: 1} if it is right as it is"
        )


def _check_growth(events: Path, file: str) -> None:
    """Raises InputError where amounts do not grow as quantities do: within a product twice as many cost twice as much.

    The slope of log(value) on log(quantity) within products is near 1, 0 where amounts are prices of one, 2 where
    what was multiplied with the quantity was the amount of the line.
    """
    varied, pieces, both, paid = _figures(
        "with lines as (select product_id, ln(value) as paid, ln(quantity) as pieces from read_parquet(?) "
        "where kind = 'purchase' and quantity > 0 and value > 0 and isfinite(value) and isfinite(quantity) "
        f"limit {GROWTH_ROWS}), within as (select paid - avg(paid) over product as paid, "
        "pieces - avg(pieces) over product as pieces from lines window product as (partition by product_id)) "
        "select count(*) filter (abs(pieces) > 1e-9), sum(pieces * pieces), sum(pieces * paid), sum(paid * paid) "
        "from within",
        events,
    )
    growth = amounts.Growth(varied, pieces or 0.0, both or 0.0, paid or 0.0)
    slope = growth.slope
    if not growth.certain or amounts.FLAT < slope < 2 - amounts.FLAT:
        return
    known = f"(slope {slope:.2f} within products, of {varied:,} purchases; 1 is usual)"
    right = "set snapshot.units to events: {value: 1} if it is right as it is"
    if slope < 1:
        raise InputError(
            f"{file}: value does not grow with quantity {known}: if it is the price of one, set "
            f"snapshot.mapping.events.unit_price to its column; {right}"
        )
    raise InputError(
        f"{file}: unit_price grows with quantity {known}: if it is the amount of the line, set snapshot.mapping.events."
        f"value to its column; {right}"
    )
