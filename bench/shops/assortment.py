"""What a made-up shop sells. M models, P products: a model in a size is a product.

A model has a kind (what it is), a style (what words name, each by several synonyms), a look (what pictures show), a
quality (how often it is looked at) and a conversion (what a look is worth).
"""

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
import yaml

from bench.shops.profiles import LOOKS, SIZE_CLASSES, ShopProfile
from nightmarket.contracts.arrays import Bools, Float32s, Int32s, Values

STYLES = 12
FAMILIES_PER_KIND = 8
PRICE_SPREAD = 0.35


@cache
def words() -> dict[str, Any]:
    """words.yaml, with every list of synonyms split."""

    def split(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: split(of_key) for key, of_key in value.items()}
        if isinstance(value, list):
            return [split(part) for part in value]
        return value.split("; ") if isinstance(value, str) and "; " in value else value

    content: dict[str, Any] = split(yaml.safe_load(files(__package__).joinpath("words.yaml").read_text("utf-8")))
    return content


@dataclass(frozen=True)
class Assortment:
    """Arrays over models (M,) and products (P,).

    kind        main kinds come first; a kind from `num_main` on is an accessory
    first, end  weeks: on sale from `first` until before `end`
    family      the maker and kind that an accessory fits, or that a main product is of
    relative    logarithm of the price over the usual one of its kind
    model       (P,) model of each product
    size        (P,) place in its class of sizes, -1 without sizes
    """

    kind: Int32s
    style: Int32s
    look: Int32s
    first: Int32s
    end: Int32s
    quality: Float32s
    conversion: Float32s
    relative: Float32s
    maker: Int32s
    family: Int32s
    model: Int32s
    size: Int32s
    num_main: int
    num_kinds: int

    @property
    def num_models(self) -> int:
        """M"""
        return int(self.kind.size)

    def live(self, week: int) -> Bools:
        """(M,) on sale in a week."""
        return (self.first <= week) & (week < self.end)

    def main(self) -> Bools:
        """(M,) no accessory."""
        return self.kind < self.num_main


def kinds_of(profile: ShopProfile) -> list[dict[str, Any]]:
    """The kinds that a shop sells, its accessories last."""
    names = (*profile.kinds, *(("accessories",) if profile.accessories else ()))
    return [kind for name in names for kind in words()["kinds"][name]]


def num_main_kinds(profile: ShopProfile) -> int:
    """How many of them are no accessories."""
    return sum(len(words()["kinds"][name]) for name in profile.kinds)


def size_class(profile: ShopProfile) -> Int32s:
    """(kinds,) place in SIZE_CLASSES, -1 where a kind has no sizes."""
    classes = list(SIZE_CLASSES)
    named = [kind["sizes"] if profile.sizes else "" for kind in kinds_of(profile)]
    return np.array([classes.index(name) if name else -1 for name in named], np.int32)


def make_assortment(profile: ShopProfile, rng: np.random.Generator) -> Assortment:
    """Models with their products, in no order."""
    num, num_main, num_kinds = profile.num_products, num_main_kinds(profile), len(kinds_of(profile))
    share = rng.dirichlet(np.full(num_main, 6.0))
    kind = rng.choice(num_main, num, p=share).astype(np.int32)
    extra = rng.random(num) < profile.accessories
    kind[extra] = num_main + rng.integers(0, max(num_kinds - num_main, 1), extra.sum())
    classes = size_class(profile)[kind]
    num_sizes = np.where(classes >= 0, len(SIZE_CLASSES["clothing"]), 1)
    first_product = np.concatenate([[0], np.cumsum(num_sizes)])
    num_models = int(np.searchsorted(first_product[1:], num) + 1)
    kind, extra, num_sizes = kind[:num_models], extra[:num_models], num_sizes[:num_models]
    model = np.repeat(np.arange(num_models, dtype=np.int32), num_sizes)[:num]
    size = np.where(classes[model] >= 0, np.arange(num) - first_product[model], -1)
    maker = rng.integers(0, FAMILIES_PER_KIND, num_models)
    fits = np.where(extra, rng.choice(num_main, num_models, p=share), kind)
    first, end = _seasons(profile, rng, num_models)
    return Assortment(
        kind=kind,
        style=rng.integers(0, STYLES, num_models).astype(np.int32),
        look=rng.integers(0, LOOKS, num_models).astype(np.int32),
        first=first,
        end=end,
        quality=rng.lognormal(0, profile.quality_spread, num_models).astype(np.float32),
        conversion=rng.lognormal(0, profile.conversion_spread, num_models).astype(np.float32),
        relative=rng.normal(0, PRICE_SPREAD, num_models).astype(np.float32),
        maker=maker.astype(np.int32),
        family=(fits * FAMILIES_PER_KIND + maker).astype(np.int32),
        model=model,
        size=size.astype(np.int32),
        num_main=num_main,
        num_kinds=num_kinds,
    )


def _seasons(profile: ShopProfile, rng: np.random.Generator, num: int) -> tuple[Int32s, Int32s]:
    """First week on sale and the week after the last one (num,): most new products come as a season begins."""
    num_seasons = -(-profile.weeks // profile.season_weeks)
    share = np.array([1.0] + [profile.new_share] * (num_seasons - 1))
    born = rng.choice(num_seasons, num, p=share / share.sum()) if profile.new_share else np.zeros(num, np.int64)
    later = rng.random(num) < 0.4
    delay = np.where(later, rng.integers(1, max(profile.season_weeks - 3, 2), num), 0)
    first = np.where(born > 0, born * profile.season_weeks + delay, 0)
    lasting = rng.geometric(profile.new_share, num) if profile.new_share else np.full(num, num_seasons + 1)
    sold_off = rng.integers(0, 4, num)
    return first.astype(np.int32), ((born + lasting) * profile.season_weeks + sold_off).astype(np.int32)


def product_vectors(
    profile: ShopProfile, assortment: Assortment, rng: np.random.Generator, width: int = 24
) -> Float32s:
    """(M, width) as an image encoder would give: what it is, its style and its look, and noise; unit norm."""
    centres: list[tuple[Values, Int32s, float]] = [
        (rng.normal(size=(assortment.num_kinds, width)), assortment.kind, 1.0),
        (rng.normal(size=(STYLES, width)), assortment.style, 0.8),
        (rng.normal(size=(LOOKS, width)), assortment.look, 0.8),
    ]
    vectors = sum(weight * centre[code] for centre, code, weight in centres)
    vectors = vectors + 0.8 * rng.normal(size=(assortment.num_models, width))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
