"""A made-up shop as a folder: tables with the contract's columns, and the truth beside them.

Columns beyond the contract are `products.group_id` (sizes of one model share it), `products.available_until`,
`products.vector` and `events.query`. Kinds of events are view, cart, purchase, return and search; a search has no
product, a guest no customer.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bench.shops.assortment import Assortment, kinds_of, make_assortment, product_vectors, size_class
from bench.shops.clientele import make_clientele
from bench.shops.profiles import SIZE_CLASSES, ShopProfile
from bench.shops.texts import queries, write_texts
from bench.shops.truth import START_DAY, Truth, save
from bench.shops.visits import CART, DAY, KINDS, PURCHASE, RETURN, SEARCH, VIEW, WEEK, Events, Simulation
from nightmarket.contracts.arrays import Float64s, Int64s, Values

DISCOUNT = 0.2
"""Off the price of what is promoted in the week."""
START = np.datetime64(START_DAY, "D").astype("datetime64[us]")


def make_shop(
    profile: ShopProfile, seed: int, fork: tuple[int, int] | None = None, crowd: int = 0
) -> tuple[dict[str, pa.Table], Truth]:
    """The tables and their truth; the same profile and seed make the same shop.

    fork   (week, other seed): from that week on chance falls otherwise
    crowd  another one is other customers of the same shop
    """
    assortment = make_assortment(profile, np.random.default_rng([seed, 1]))
    clientele = make_clientele(profile, assortment, np.random.default_rng([seed, 2, *([crowd] if crowd else [])]))
    fork = (0, seed + 7919 * crowd) if crowd else fork
    simulation = Simulation(profile, assortment, clientele, seed)
    diary = simulation.run(fork)
    rng = np.random.default_rng([seed, 5])
    customer_ids = _ids(rng, "c", profile.num_customers + profile.bots)
    product_ids = _ids(rng, "p", profile.num_products)
    bought = diary.events.where(diary.events.kind == PURCHASE)
    truth = Truth(
        profile,
        seed,
        assortment,
        clientele,
        diary.spells,
        diary.decided,
        (bought.customer, bought.product, bought.second),
        customer_ids[: profile.num_customers],
        product_ids,
    )
    events = _with_bots(profile, assortment, clientele.rate.size, diary.events, rng)
    prices = _prices(profile, assortment)
    promoted = np.stack([simulation.shelves.promoted(week, seed) for week in range(profile.weeks)])
    tables = {
        "customers": pa.table({"customer_id": pa.array(np.sort(customer_ids), pa.string())}),
        "products": _products(profile, assortment, product_ids, prices, rng),
        "events": _events(profile, assortment, events, (customer_ids, product_ids, prices, promoted), rng),
        "promotions": _promotions(assortment, promoted, product_ids),
    }
    return tables, truth


def write_shop(folder: Path, profile: ShopProfile, seed: int) -> dict[str, pa.Table]:
    """Write one parquet file per table and truth/ into a folder; the tables come back."""
    tables, truth = make_shop(profile, seed)
    folder.mkdir(parents=True, exist_ok=True)
    for name, table in tables.items():
        pq.write_table(table, folder / f"{name}.parquet")
    save(truth, folder / "truth")
    return tables


def _ids(rng: np.random.Generator, letter: str, num: int) -> Values:
    """(num,) ids whose order tells nothing."""
    return np.char.add(letter, np.char.zfill(rng.permutation(num).astype(str), max(6, len(str(num)))))


def _prices(profile: ShopProfile, assortment: Assortment) -> Float64s:
    """(M,) list prices."""
    usual = np.array([kind["price"] for kind in kinds_of(profile)], float)
    return np.asarray(np.round(usual[assortment.kind] * np.exp(assortment.relative), 2))


def _strings(dictionary: Values | list[str], codes: Values, absent: Values | None = None) -> pa.Array:
    """Texts by their codes (N,); null where `absent`."""
    indices = pa.array(codes.astype(np.int32), mask=absent)
    return pa.DictionaryArray.from_arrays(indices, pa.array(dictionary, pa.string())).cast(pa.string())


def _times(seconds: Values) -> pa.Array:
    return pa.array(START + seconds.astype("timedelta64[s]"), pa.timestamp("us"))


def _with_bots(
    profile: ShopProfile, assortment: Assortment, first: int, events: Events, rng: np.random.Generator
) -> Events:
    """Events, and those of bots, which are numbered from `first`: on some days they look at thousands of products."""
    parts = [events]
    start = np.searchsorted(assortment.model, np.arange(assortment.num_models))
    for bot in range(profile.bots):
        for day in np.flatnonzero(rng.random(profile.weeks * 7) < 0.1):
            live = np.flatnonzero(assortment.live(day // 7))
            product = start[rng.choice(live, profile.bot_views)]
            second = day * DAY + np.sort(rng.integers(0, DAY, profile.bot_views))
            who = np.full(product.size, first + bot)
            session = np.full(product.size, -1 - int(day) - bot * 1000)
            parts.append(Events(who, product, second, np.full(product.size, VIEW, np.int8), session))
    if len(parts) == 1:
        return events
    joined = Events.join(parts)
    return joined.where(np.argsort(joined.second, kind="stable"))


def _products(
    profile: ShopProfile, assortment: Assortment, product_ids: Values, prices: Float64s, rng: np.random.Generator
) -> pa.Table:
    texts, model = write_texts(profile, assortment, rng), assortment.model
    labels = [label for sizes in SIZE_CLASSES.values() for label in sizes]
    cls = size_class(profile)[assortment.kind[model]]
    code = np.where(cls >= 0, 4 * cls + assortment.size, 0)
    sizes = _strings(labels, code, cls < 0)
    groups = _ids(rng, "g", assortment.num_models)
    nothing = pa.nulls(model.size, pa.string())
    columns: dict[str, Any] = {"product_id": pa.array(product_ids, pa.string())}
    columns["group_id"] = _strings(groups, model, cls < 0)
    if profile.texts:
        titles = [
            texts.title[m] if c < 0 else f"{texts.title[m]}, {labels[k]}"
            for m, c, k in zip(model.tolist(), cls.tolist(), code.tolist(), strict=True)
        ]
        columns |= {"title": titles, "brand": _strings(texts.brand, model)}
        columns |= {"category": _strings(texts.category, model), "description": _strings(texts.description, model)}
    else:
        columns |= dict.fromkeys(("title", "brand", "category", "description"), nothing)
    columns |= {"size": sizes, "price": prices[model]}
    columns["available_from"] = _times(assortment.first[model] * WEEK)
    columns["available_until"] = _times(assortment.end[model] * WEEK)
    if profile.vectors:
        vectors = product_vectors(profile, assortment, rng)
        absent = rng.random(assortment.num_models) < 0.05
        flat = pa.array(vectors[model].ravel(), pa.float32())
        columns["vector"] = pa.FixedSizeListArray.from_arrays(
            flat, vectors.shape[1], mask=pa.array(absent[model])
        ).cast(pa.list_(pa.float32()))
    table = pa.table(columns)
    return table.take(pa.array(np.argsort(product_ids)))


def _events(
    profile: ShopProfile,
    assortment: Assortment,
    events: Events,
    names: tuple[Values, Values, Float64s, Values],
    rng: np.random.Generator,
) -> pa.Table:
    customer_ids, product_ids, prices, promoted = names
    num = profile.num_customers
    guests = int(events.customer.max(initial=0)) + 1 - num - profile.bots
    searched = events.kind == SEARCH
    model = assortment.model[np.maximum(events.product, 0)]
    paid = (events.kind == PURCHASE) | (events.kind == RETURN)
    off = promoted[np.minimum(events.second // WEEK, profile.weeks - 1), model] & (events.kind == PURCHASE)
    discount = np.where(off, np.round(DISCOUNT * prices[model], 2), 0.0)
    kept = np.isin(events.kind, [KINDS.index(kind) for kind in profile.recorded or KINDS])
    typed = np.full(events.kind.size, "", object)
    typed[searched] = queries(profile, -2 - events.product[searched], rng)
    session, basket = np.unique(events.session, return_inverse=True)
    customer = events.customer
    is_guest = (customer >= num) & (customer < num + max(guests, 0))
    bot_or_customer = np.where(customer >= num, customer - max(guests, 0), customer)
    table = pa.table(
        {
            "customer_id": _strings(customer_ids, np.where(is_guest, 0, bot_or_customer), is_guest),
            "product_id": _strings(product_ids, np.maximum(events.product, 0), searched),
            "timestamp": _times(events.second),
            "kind": _strings(list(KINDS), events.kind),
            "quantity": np.isin(events.kind, (CART, PURCHASE, RETURN)).astype(float),
            "value": pa.array(np.round(prices[model] - discount, 2), mask=~paid),
            "discount": pa.array(discount, mask=~paid),
            "basket_id": _strings(np.char.add("s", np.char.zfill(np.arange(session.size).astype(str), 8)), basket),
            "channel": _strings(["web"], np.zeros(events.kind.size, np.int32)),
            "query": pa.array(typed, pa.string(), mask=~searched),
        }
    )
    return table.filter(pa.array(kept))


def _promotions(assortment: Assortment, promoted: Values, product_ids: Values) -> pa.Table:
    week, product = np.nonzero(promoted[:, assortment.model])
    monday = (START_DAY + 7 * week).astype("datetime64[D]")
    return pa.table(
        {
            "product_id": _strings(product_ids, product),
            "channel": _strings(["web"], np.zeros(product.size, np.int32)),
            "week": pa.array(monday, pa.date32()),
            "display": _strings(["A"], np.zeros(product.size, np.int32)),
        }
    )


def places(ids: Values, wanted: Values) -> Int64s:
    """(N,) where each id stands in `ids`, which need not be sorted; -1 for one that is not there."""
    order = np.argsort(ids)
    place = np.minimum(np.searchsorted(ids[order], wanted), ids.size - 1)
    return np.where(ids[order][place] == wanted, order[place], -1)
