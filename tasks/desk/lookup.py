"""What the last night and the exports know of one customer, and of one product."""

import contextlib
import datetime
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq

from nightmarket.contracts import UnavailableError
from nightmarket.histories.calendar import date_of
from tasks.campaigns import exported
from tasks.campaigns.export import HOLDOUT, SEND
from tasks.files import catalogue
from tasks.files.catalogue import TableFile

NUM_VISITS, NUM_TITLES, NUM_PICKS, NUM_PRODUCTS, NUM_CAMPAIGNS = 12, 12, 20, 50, 200


@dataclass(frozen=True)
class CustomerView:
    """One customer.

    about      column of the shop's table → value, as the night's clean table has it; consent too, where it is there
    visits     (day, titles bought), the latest first
    picks      rows of the night's list: rank, product_id, title, reason
    care       the row of the stage care, None without one
    contacts   (campaign, what: days of its contacts, or "kept back")
    stops      rows of the shop's list of who may not be contacted
    """

    pseudonym: str
    about: dict[str, Any]
    num_visits: int
    num_products: int
    visits: list[tuple[datetime.date, list[str]]]
    picks: list[dict[str, Any]]
    segment: str
    care: dict[str, Any] | None
    contacts: list[tuple[str, str]]
    stops: list[dict[str, Any]]


@dataclass(frozen=True)
class ProductView:
    """One product: its row, how many bought it since when, how many lists of the night it is on, reviews where read."""

    about: dict[str, Any]
    num_buyers: int
    num_baskets: int
    last_sold: datetime.date | None
    num_lists: int
    reviews: dict[str, Any] | None


def customer(home: Path, pseudonym: str) -> CustomerView | None:
    """None for one whom the last night does not know."""
    known = _rows(catalogue.CUSTOMERS.at(home), ("customer_id", pseudonym), ["customer", "customer_id"])
    if not known:
        return None
    path = catalogue.PURCHASES.at(home).path
    mine = pq.read_table(path, columns=["item", "day"], filters=[("customer", "==", known[0]["customer"])])
    items, days = mine["item"].to_numpy(), mine["day"].to_numpy()
    titles = catalogue.PRODUCTS.at(home).read(["title"])["title"]
    visits = []
    for day in np.unique(days)[::-1][:NUM_VISITS]:
        there = np.unique(items[days == day])[:NUM_TITLES]
        visits.append((date_of(int(day)), [titles[int(item)].as_py() or "–" for item in there]))
    about = next(iter(_rows(_clean(home, "customers"), ("customer_id", pseudonym))), {})
    segment = _rows(catalogue.SEGMENTS.at(home), ("customer_id", pseudonym))
    picks = _rows(catalogue.RECOMMENDATIONS.at(home), ("customer_id", pseudonym))
    return CustomerView(
        pseudonym,
        {name: value for name, value in about.items() if value is not None and name != "customer_id"},
        np.unique(days).size,
        np.unique(items).size,
        visits,
        sorted(picks, key=lambda row: row["rank"])[:NUM_PICKS],
        str(segment[0]["segment"]) if segment else "",
        next(iter(_rows(catalogue.CARE_CUSTOMERS.at(home), ("customer_id", pseudonym))), None),
        list(_contacts(home, pseudonym)),
        _rows(catalogue.CLEAN_SUPPRESSIONS.at(home), ("customer_id", pseudonym)),
    )


def product(home: Path, product_id: str) -> ProductView | None:
    """None for one that the last night does not know."""
    rows = _rows(catalogue.PRODUCTS.at(home), ("product_id", product_id))
    if not rows:
        return None
    path = catalogue.PURCHASES.at(home).path
    sold = pq.read_table(path, columns=["customer", "basket", "day"], filters=[("item", "==", rows[0]["item"])])
    return ProductView(
        {name: value for name, value in rows[0].items() if value is not None and name in SHOWN},
        pc.count_distinct(sold["customer"]).as_py(),
        pc.count_distinct(sold["basket"]).as_py(),
        date_of(pc.max(sold["day"]).as_py()) if sold.num_rows else None,
        len(_rows(catalogue.RECOMMENDATIONS.at(home), ("product_id", product_id), ["rank", "product_id"])),
        next(iter(_rows(catalogue.REVIEWED_PRODUCTS.at(home), ("product_id", product_id))), None),
    )


SHOWN = ("title", "brand", "maker", "category", "type", "size", "price", "list_price", "recommendable")


def products(home: Path, text: str) -> list[dict[str, Any]]:
    """product_id, title, category of products with this in their title or as their id, the first of them."""
    table = catalogue.PRODUCTS.at(home)
    if not text.strip() or not table.path.exists():
        return []
    rows = table.read(["product_id", "title", "category"])
    words = text.strip()
    alike = pc.fill_null(pc.match_substring(rows["title"], words, ignore_case=True), False)
    return rows.filter(pc.or_(alike, pc.equal(rows["product_id"], words))).slice(0, NUM_PRODUCTS).to_pylist()


def _contacts(home: Path, pseudonym: str) -> Iterator[tuple[str, str]]:
    receipts = sorted((home / exported.EXPORTS).glob("[!.]*/receipt.json"), key=lambda path: -path.stat().st_mtime)
    for receipt in receipts[:NUM_CAMPAIGNS]:
        name = receipt.parent.name
        for arm in (SEND, HOLDOUT):
            rows = _rows(
                TableFile(receipt.parent / f"{arm}.parquet"), ("customer_id", pseudonym), ["customer_id", "day"]
            )
            if rows:
                yield name, "kept back" if arm == HOLDOUT else ", ".join(sorted({str(row["day"]) for row in rows}))


def _clean(home: Path, name: str) -> TableFile:
    return TableFile(catalogue.CLEAN.path / f"{name}.parquet").at(home)


def _rows(table: TableFile, where: tuple[str, str], columns: list[str] | None = None) -> list[dict[str, Any]]:
    """The rows with that value; none where there is no such table, or tonight's is unavailable."""
    with contextlib.suppress(UnavailableError, FileNotFoundError):
        if table.exists():
            return pq.read_table(table.path, columns=columns, filters=[(where[0], "==", where[1])]).to_pylist()
    return []
