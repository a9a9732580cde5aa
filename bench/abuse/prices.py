"""Price response where prices were set by other hands than chance's: slowly, by brand, by demand, with displays.

True elasticity ELASTICITY, true response to the discount share DISCOUNT; each shop is read through its lines' panel.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from bench.abuse.figures import Figure
from nightmarket.contracts.arrays import Float64s
from nightmarket.demand.panels import HALF, LEAST_SHARE, LEAST_UNITS, Panel
from nightmarket.demand.response import response

ELASTICITY, DISCOUNT = -1.5, 2.0


@dataclass(frozen=True)
class Shop:
    """How a shop's prices and units come about; logs, standard deviations of logs.

    products, weeks  how many
    level    mean log units a week; spread: between products
    price    how prices move: at will each week, slowly, or in three steps
    brands   prices are set for so many brands, and what else moves units is the brand's by `common`; 0: each product's
    memory   of a week's noise, by how much it stays until the next
    overdispersed  units vary by a gamma distribution of this squared coefficient of variation beside chance
    timed    discounts come when demand is high
    displays six discounts of ten come with one, which is on record and brings .8
    """

    products: int = 60
    weeks: int = 52
    level: float = 3.0
    spread: float = 0.8
    price: str = "at will"
    brands: int = 0
    common: float = 0.4
    memory: float = 0.0
    overdispersed: float = 0.0
    timed: bool = False
    displays: bool = False


SHOPS = {
    "prices at will": Shop(level=7),
    "twelve products, 20 weeks": Shop(level=7, products=12, weeks=20),
    "counts of 4 to 100 a week": Shop(),
    "ten a week": Shop(level=2.5, spread=0.4),
    "two a week": Shop(level=0.7, spread=0.4),
    "counts more scattered than chance": Shop(level=3.5, overdispersed=0.3),
    "prices that move slowly": Shop(level=7, price="slowly", memory=0.8),
    "prices in three steps, twelve products": Shop(level=7, price="in steps", memory=0.8, products=12),
    "products of a few brands": Shop(level=7, brands=10, memory=0.5),
    "products of a few brands, slowly": Shop(level=7, brands=10, memory=0.8, price="slowly"),
    "displays on record": Shop(level=7, displays=True),
    "discounts timed to demand": Shop(level=7, timed=True),
}


def _series(rng: np.random.Generator, num: int, weeks: int, memory: float, size: float) -> Float64s:
    out = rng.normal(0, 1, (num, weeks))
    for week in range(1, weeks):
        out[:, week] = memory * out[:, week - 1] + np.sqrt(1 - memory**2) * out[:, week]
    return size * out


def _prices(rng: np.random.Generator, shop: Shop, num: int) -> Float64s:
    if shop.price == "slowly":
        return _series(rng, num, shop.weeks, 0.97, 0.2)
    if shop.price == "in steps":
        steps = np.zeros((num, shop.weeks))
        for product in range(num):
            steps[product, rng.choice(np.arange(2, shop.weeks), 3, replace=False)] = rng.normal(0, 0.12, 3)
        return steps.cumsum(axis=1)
    return rng.normal(0, 0.12, (num, shop.weeks))


def panel_of(shop: Shop, seed: int) -> Panel:
    """A year of it, as the stage would read it."""
    rng = np.random.default_rng([10, seed])
    num, size = shop.products, (shop.products, shop.weeks)
    brand = np.arange(num) % (shop.brands or num)
    price = _prices(rng, shop, shop.brands or num)[brand]
    noise = _series(rng, num, shop.weeks, shop.memory, 0.3)
    if shop.brands:
        noise += _series(rng, shop.brands, shop.weeks, shop.memory, shop.common)[brand]
    wish = rng.random(size)
    if shop.timed:
        demand = _series(rng, num, shop.weeks, 0.7, 0.4)
        noise, wish = noise + demand, -demand - rng.normal(0, 0.4, size)
    off = np.where(wish <= np.quantile(wish, 0.2), rng.uniform(0.1, 0.4, size), 0.0)
    display = (off > 0) & (rng.random(size) < 0.6) & shop.displays
    mean = rng.normal(shop.level, shop.spread, (num, 1)) + rng.normal(0, 0.4, shop.weeks) + noise
    mean += ELASTICITY * price + DISCOUNT * off + 0.8 * display
    cv = shop.overdispersed
    units = rng.poisson(np.exp(mean) * (rng.gamma(1 / cv, cv, size) if cv else 1.0)).astype(np.float64)
    sold = np.where(
        (units > 0).mean(axis=1) >= LEAST_SHARE, units.sum(axis=1) / np.maximum((units > 0).sum(axis=1), 1), 0
    )
    product, week = np.nonzero((units > 0) & (sold >= LEAST_UNITS)[:, None])
    at = product, week
    price = price + rng.normal(0, 0.5, (num, 1))
    shown = display[at][:, None].astype(np.float64) if shop.displays else None
    return Panel(product, week, np.log(units[at] + HALF), price[at], off[at], shown)


def measured(shop: Shop, seed: int) -> dict[str, dict[str, float]]:
    """What the stage would say of price and discount; empty where it says nothing."""
    estimate = response(panel_of(shop, seed), np.zeros(shop.products, int), ["all"])
    return {} if estimate is None else estimate.pooled


def covered(shop: Shop, seed: int) -> float:
    """Share of the figures given whose interval holds the truth; NaN where none is given."""
    truth = {"price": ELASTICITY, "discount": DISCOUNT}
    inside = [figure["low"] <= truth[name] <= figure["high"] for name, figure in measured(shop, seed).items()]
    return float(np.mean(inside)) if inside else np.nan


REFUSED = {"two a week": ("price", "discount"), "discounts timed to demand": ("discount",)}
"""Figures that must not be given."""


def figures(*, quick: bool) -> Iterator[Figure]:
    """How often intervals hold the truth, and how often a figure is refused."""
    num = 25 if quick else 300
    for name, shop in SHOPS.items():
        said = [measured(shop, seed) for seed in range(num)]
        if name in REFUSED:
            given = float(np.mean([any(part in of for part in REFUSED[name]) for of in said]))
            yield Figure("prices", f"{name}: {' and '.join(REFUSED[name])} given all the same, share", given, 0.05)
            continue
        for part, truth in (("price", ELASTICITY), ("discount", DISCOUNT)):
            there = [of[part] for of in said if part in of]
            held = float(np.mean([figure["low"] <= truth <= figure["high"] for figure in there])) if there else 0.0
            yield Figure("prices", f"{name}: {part}, 95% interval holds", held, 0.8 if quick else 0.92, most=False)
            given = len(there) / num
            yield Figure("prices", f"{name}: {part} given, share", given, 0.75 if quick else 0.85, most=False)
