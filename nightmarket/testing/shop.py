"""A made-up retailer: seeded, as large as asked, with the habits that the models live on.

Customers come back weekly for a repertoire of their own, try products of categories that they like, react to
promotions and campaigns, and find new products on the shelf all year. Some titles are Chinese. The tables carry the
contract's column names, so the folder can be read with `source: folder` and no mapping.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from nightmarket.testing.dialects import ADJECTIVES, ADJECTIVES_ZH, DIALECTS, SIZES, TYPES, speak

START = datetime(2024, 1, 1)
"""A Monday. Times are local to the shop."""
CAMPAIGN_KINDS = ("Type A", "Type B", "Type C")
REPERTOIRE = 12
CHANNELS = 4


@dataclass(frozen=True)
class Shelf:
    """What the shop sells, as arrays over products, sorted by type; the last product is fuel."""

    type_of: np.ndarray
    """int (P,), index into TYPES; fuel has len(TYPES)"""
    launch: np.ndarray
    """int (P,), week of the first day on sale, from 0"""
    appeal: np.ndarray
    """float (P,), relative popularity"""
    price: np.ndarray
    """float (P,), list price"""


def make_shop(
    num_customers: int = 300, num_products: int = 400, num_weeks: int = 60, seed: int = 7
) -> dict[str, pa.Table]:
    """All tables of the shop: contract columns, times local to the shop; the same seed makes the same shop."""
    rng = np.random.default_rng(seed)
    shelf = make_shelf(rng, num_products, num_weeks)
    promoted = rng.random((num_weeks, num_products)) < 0.05
    taste = rng.dirichlet(np.full(len(TYPES), 0.35), size=num_customers)
    customer_ids = _ids(np.arange(num_customers) * 7 + 1, 6)
    product_ids = _ids(np.arange(num_products) * 3 + 11, 7)
    bought = _purchases(rng, shelf, taste, promoted, num_weeks)
    tables = {
        "customers": _customers(rng, customer_ids),
        "products": products(rng, shelf, product_ids),
        "events": _events(bought, customer_ids, product_ids),
        "promotions": _promotions(rng, promoted, product_ids),
        "reviews": _reviews(rng, bought, customer_ids, product_ids, num_weeks),
    }
    return tables | _campaigns(rng, shelf, taste, customer_ids, product_ids, num_weeks)


def write_shop(
    folder: Path | str,
    num_customers: int = 300,
    num_products: int = 400,
    num_weeks: int = 60,
    seed: int = 7,
    fmt: Literal["parquet", "csv"] = "parquet",
    dialect: Literal["english", "chinese"] | None = None,
) -> dict[str, pa.Table]:
    """Write one file per table, as a retailer would bring them, and give the tables back."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    tables = make_shop(num_customers, num_products, num_weeks, seed)
    tables = speak(tables, DIALECTS[dialect]) if dialect else tables
    for name, table in tables.items():
        if fmt == "csv":
            pa.csv.write_csv(table, folder / f"{name}.csv")
        else:
            pq.write_table(table, folder / f"{name}.parquet")
    return tables


def as_of(num_weeks: int = 60) -> str:
    """The business date of a shop: the day after its last one."""
    return (START + timedelta(weeks=num_weeks)).date().isoformat()


def _ids(numbers: np.ndarray, width: int) -> pa.Array:
    return pa.array(np.char.zfill(numbers.astype(str), width).tolist())


def _draw(rng: np.random.Generator, types: np.ndarray, shelf: Shelf, weights: np.ndarray) -> np.ndarray:
    """One product of each given type, drawn in proportion to `weights` (P,); -1 where the type has none on sale."""
    cumulative = np.concatenate([[0.0], np.cumsum(weights)])
    first = np.searchsorted(shelf.type_of, types, side="left")
    last = np.searchsorted(shelf.type_of, types, side="right")
    low, high = cumulative[first], cumulative[last]
    product = np.searchsorted(cumulative, low + rng.random(len(types)) * (high - low), side="right") - 1
    return np.where(high > low, np.clip(product, first, np.maximum(last - 1, first)), -1)


def _types(rng: np.random.Generator, taste: np.ndarray, customers: np.ndarray) -> np.ndarray:
    """A type for each entry of `customers`, drawn from the customer's taste."""
    cumulative = np.cumsum(taste, axis=1)[customers]
    return np.minimum((rng.random(len(customers))[:, None] > cumulative).sum(axis=1), len(TYPES) - 1)


def _purchases(
    rng: np.random.Generator, shelf: Shelf, taste: np.ndarray, promoted: np.ndarray, num_weeks: int
) -> dict[str, np.ndarray]:
    """Every line bought, as arrays: repertoire products by their own rhythm, trials by taste, promotion and novelty."""
    num_customers = len(taste)
    everyone = np.repeat(np.arange(num_customers), REPERTOIRE)
    repertoire = _draw(rng, _types(rng, taste, everyone), shelf, shelf.appeal).reshape(num_customers, REPERTOIRE)
    rhythm = rng.choice([0.7, 0.45, 0.3, 0.2, 0.12], size=repertoire.shape)
    visits = rng.beta(5, 2, num_customers)
    joined = np.where(rng.random(num_customers) < 0.8, 0, rng.integers(0, num_weeks, num_customers))
    home = rng.integers(0, CHANNELS, num_customers)
    parts = []
    for week in range(num_weeks):
        here = (rng.random(num_customers) < visits) & (joined <= week)
        due = here[:, None] & (rng.random(repertoire.shape) < rhythm) & (repertoire >= 0)
        due &= shelf.launch[repertoire] <= week
        who, slot = np.nonzero(due)
        novelty = np.where((shelf.launch > 0) & (week - shelf.launch < 8), 3.0, 1.0)
        weights = shelf.appeal * novelty * np.where(promoted[week], 4.0, 1.0) * (shelf.launch <= week)
        trying = np.repeat(np.arange(num_customers), rng.poisson(1.2, num_customers) * here)
        tried = _draw(rng, _types(rng, taste, trying), shelf, weights)
        fuel = np.nonzero(here & (rng.random(num_customers) < 0.1))[0]
        customer = np.concatenate([who, trying, fuel])
        product = np.concatenate([repertoire[who, slot], tried, np.full(len(fuel), len(shelf.type_of) - 1)])
        hour = week * 168 + rng.integers(0, 7, num_customers) * 24 + rng.integers(8, 21, num_customers)
        second = hour * 3600 + rng.integers(0, 3600, num_customers)
        keep = product >= 0
        customer, product = customer[keep], product[keep]
        quantity = 1 + rng.poisson(0.3, len(product))
        discount = np.where(promoted[week, product], 0.2, 0.0) * shelf.price[product] * quantity
        store = np.where(rng.random(num_customers) < 0.9, home, rng.integers(0, CHANNELS, num_customers))
        parts.append(
            {
                "customer": customer,
                "product": product,
                "second": second[customer],
                "quantity": quantity.astype(float),
                "value": np.round(shelf.price[product] * quantity - discount, 2),
                "discount": np.round(discount, 2),
                "basket": week * num_customers + customer,
                "channel": store[customer],
            }
        )
    columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    order = np.argsort(columns["second"], kind="stable")
    return {name: column[order] for name, column in columns.items()}


def _customers(rng: np.random.Generator, customer_ids: pa.Array) -> pa.Table:
    num = len(customer_ids)
    return pa.table(
        {
            "customer_id": customer_ids,
            "age": rng.choice(["19-24", "25-34", "35-44", "45-54", "55+"], num).tolist(),
            "country": rng.choice(["DE", "NA", "CN"], num).tolist(),
        }
    )


def _events(bought: dict[str, np.ndarray], customer_ids: pa.Array, product_ids: pa.Array) -> pa.Table:
    return pa.table(
        {
            "customer_id": customer_ids.take(pa.array(bought["customer"])),
            "product_id": product_ids.take(pa.array(bought["product"])),
            "timestamp": times(bought["second"]),
            "kind": pa.array(np.full(len(bought["second"]), "purchase").tolist()),
            "quantity": bought["quantity"],
            "value": bought["value"],
            "discount": bought["discount"],
            "basket_id": _ids(bought["basket"], 8),
            "channel": [f"S{number}" for number in bought["channel"]],
        }
    )


def _promotions(rng: np.random.Generator, promoted: np.ndarray, product_ids: pa.Array) -> pa.Table:
    week, product = np.nonzero(promoted)
    week, product = np.repeat(week, CHANNELS), np.repeat(product, CHANNELS)
    monday = np.datetime64(START, "D") + (week * 7).astype("timedelta64[D]")
    return pa.table(
        {
            "product_id": product_ids.take(pa.array(product)),
            "channel": [f"S{number % CHANNELS}" for number in range(len(week))],
            "week": pa.array(monday, type=pa.date32()),
            "display": rng.choice(["0", "1", "3", "A"], len(week)).tolist(),
            "mailer": rng.choice(["0", "A", "D"], len(week)).tolist(),
        }
    )


def _reviews(
    rng: np.random.Generator,
    bought: dict[str, np.ndarray],
    customer_ids: pa.Array,
    product_ids: pa.Array,
    num_weeks: int,
) -> pa.Table:
    later = bought["second"] + rng.integers(1, 10, len(bought["second"])) * 86400
    chosen = (rng.random(len(later)) < 0.01) & (later < num_weeks * 7 * 86400)
    rating = rng.integers(1, 6, int(chosen.sum()))
    words = ("do not buy", "很一般", "fine for the price", "喜欢", "would buy again")
    return pa.table(
        {
            "customer_id": customer_ids.take(pa.array(bought["customer"][chosen])),
            "product_id": product_ids.take(pa.array(bought["product"][chosen])),
            "timestamp": times(later[chosen]),
            "text": [words[stars - 1] for stars in rating],
            "rating": rating.astype(float),
        }
    )


def _campaigns(
    rng: np.random.Generator,
    shelf: Shelf,
    taste: np.ndarray,
    customer_ids: pa.Array,
    product_ids: pa.Array,
    num_weeks: int,
) -> dict[str, pa.Table]:
    """Campaigns of four weeks each, one every six; who likes the advertised type responds more."""
    campaigns, offers, exposures, responses = [], [], [], []
    customers, products = customer_ids.to_pylist(), product_ids.to_pylist()
    for number, week in enumerate(range(4, max(num_weeks - 1, 5), 6)):
        name, kind = f"K{number + 1:02d}", int(rng.integers(len(TYPES)))
        start = START + timedelta(weeks=week)
        text = f"-20% on {TYPES[kind][1][0]}" if number % 3 else f"{TYPES[kind][2][0]}八折"
        campaigns.append((name, CAMPAIGN_KINDS[number % 3], text, start, start + timedelta(weeks=4, seconds=-1)))
        chosen = np.nonzero(shelf.type_of == kind)[0][:20]
        offers += [(f"{name}-{index % 5}", name, products[product], "one per visit", 0.5)
                   for index, product in enumerate(chosen)]  # fmt: skip
        for customer in np.nonzero(rng.random(len(customers)) < 0.3)[0]:
            exposures.append((customers[customer], name, start))
            day = int(rng.integers(0, 28))
            if week * 7 + day < num_weeks * 7 and rng.random() < 0.05 + 0.6 * taste[customer, kind]:
                when = start + timedelta(days=day, hours=int(rng.integers(8, 20)))
                responses.append((customers[customer], name, f"{name}-{int(rng.integers(5))}", when, 3.5))
    responses.sort(key=lambda row: row[3])
    time = pa.timestamp("us")
    text, real = pa.string(), pa.float64()
    return {
        "campaigns": _rows(campaigns, campaign_id=text, kind=text, text=text, start=time, end=time),
        "offers": _rows(offers, offer_id=text, campaign_id=text, product_id=text, terms=text, cost=real),
        "exposures": _rows(exposures, customer_id=text, campaign_id=text, timestamp=time),
        "responses": _rows(responses, customer_id=text, campaign_id=text, offer_id=text, timestamp=time, value=real),
    }


def _rows(rows: list[tuple], **types: pa.DataType) -> pa.Table:
    columns: list[Any] = list(zip(*rows, strict=True)) or [[] for _ in types]
    return pa.table(
        {name: pa.array(column, type=kind) for (name, kind), column in zip(types.items(), columns, strict=True)}
    )


def make_shelf(rng: np.random.Generator, num_products: int, num_weeks: int) -> Shelf:
    """A shelf of products, a quarter of them launched in the course of the weeks."""
    type_of = np.sort(rng.integers(0, len(TYPES), num_products))
    type_of[-1] = len(TYPES)
    launch = np.where(rng.random(num_products) < 0.25, rng.integers(1, max(num_weeks, 2), num_products), 0)
    launch[-1] = 0
    appeal = rng.lognormal(0, 1, num_products)
    usual = np.array([kind[3] for kind in TYPES] + [1.4])[type_of]
    return Shelf(type_of, launch, appeal, np.round(usual * rng.lognormal(0, 0.25, num_products), 2))


def times(seconds: np.ndarray) -> pa.Array:
    """Seconds since START as timestamps without zone."""
    return pa.array(np.datetime64(START, "us") + seconds.astype("timedelta64[s]"), type=pa.timestamp("us"))


def products(rng: np.random.Generator, shelf: Shelf, product_ids: pa.Array) -> pa.Table:
    """The products table; about every seventh title is Chinese."""
    titles, categories, sizes = [], [], []
    for kind in shelf.type_of:
        size = SIZES[rng.integers(len(SIZES))]
        adjective, noun, chinese = rng.integers(len(ADJECTIVES)), rng.integers(6), rng.random() < 0.15
        if kind == len(TYPES):
            titles.append("Gasoline")
            categories.append("FUEL > GASOLINE")
        else:
            path, english, mandarin, _ = TYPES[kind]
            titles.append(
                f"{ADJECTIVES_ZH[adjective]}{mandarin[noun % len(mandarin)]} {size}"
                if chinese
                else f"{ADJECTIVES[adjective].capitalize()} {english[noun % len(english)]} {size}"
            )
            categories.append(path)
        sizes.append(size)
    num = len(shelf.type_of)
    return pa.table(
        {
            "product_id": product_ids,
            "title": titles,
            "brand": rng.choice(["National", "Private"], num, p=[0.7, 0.3]).tolist(),
            "maker": [f"M{number:02d}" for number in rng.integers(0, 25, num)],
            "category": categories,
            "size": sizes,
            "price": shelf.price,
            "available_from": times(shelf.launch * 7 * 86400),
        }
    )
