"""Titles, descriptions and queries of made-up shops: a style is named by one of its synonyms, or not at all."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.shops.assortment import STYLES, Assortment, kinds_of, words
from bench.shops.profiles import ShopProfile
from nightmarket.contracts.arrays import Int64s

NAMED_IN_TITLE, NAMED_IN_DESCRIPTION = 0.65, 0.7
MISNAMED = 0.06
"""Of the styles that are named, in either, those that are another one."""


@dataclass(frozen=True)
class Texts:
    """(M,) each; `title` is without a size."""

    title: list[str]
    description: list[str]
    category: list[str]
    brand: list[str]


def makers_of(assortment: Assortment) -> list[str]:
    """(M,) the maker's name; the makers of neighbouring kinds have other names."""
    names = words()["makers"]
    fits = assortment.family // 8
    return [names[(maker + 8 * kind) % len(names)] for maker, kind in zip(assortment.maker, fits, strict=True)]


def write_texts(profile: ShopProfile, assortment: Assortment, rng: np.random.Generator) -> Texts:
    """Texts of every model, each in one of the shop's languages."""
    num = assortment.num_models
    kinds, styles = kinds_of(profile), words()["styles"][profile.styles]
    language = [profile.languages[place] for place in rng.integers(0, len(profile.languages), num)]
    dice = rng.integers(0, 1 << 30, (num, 8))
    chance = rng.random((num, 3))
    other = (assortment.style + rng.integers(1, STYLES, num)) % STYLES
    style = np.where(chance[:, 2] < MISNAMED, other, assortment.style)
    brand = makers_of(assortment)
    title, description = [], []
    for row in range(num):
        tongue, names = language[row], styles[style[row]][language[row]]
        first, second = dice[row, 0] % len(names), dice[row, 1] % (len(names) - 1)
        second += second >= first  # another synonym than the title's
        named = names[first] if chance[row, 0] < NAMED_IN_TITLE else ""
        kind = kinds[assortment.kind[row]]
        if assortment.kind[row] >= assortment.num_main:
            fits = kinds[assortment.family[row] // 8]
            title.append(_accessory(kind, fits, brand[row], tongue, dice[row]))
        else:
            title.append(_title(kind[tongue], named, tongue, dice[row]))
        told = words()["descriptions"][tongue], words()["plain"][tongue]
        plain = told[1][dice[row, 2] % len(told[1])]
        template = told[0][dice[row, 3] % len(told[0])] if chance[row, 1] < NAMED_IN_DESCRIPTION else "{plain}"
        description.append(template.format(style=names[second], plain=plain))
    return Texts(title, description, _categories(profile, kinds, assortment), brand)


def _title(names: list[str], style: str, tongue: str, dice: Int64s) -> str:
    adjectives, colours = words()["adjectives"][tongue], words()["colours"][tongue]
    parts = [adjectives[dice[4] % len(adjectives)], style, names[dice[5] % len(names)]]
    colour = colours[dice[6] % len(colours)]
    if tongue == "zh":
        return "".join(parts) + f" {colour}"
    said = " ".join(part for part in parts if part)
    return f"{said[0].upper()}{said[1:]}, {colour}"


def _accessory(kind: dict[str, Any], fits: dict[str, Any], brand: str, tongue: str, dice: Int64s) -> str:
    name, of_main = kind[tongue][dice[5] % len(kind[tongue])], fits[tongue][dice[7] % len(fits[tongue])]
    if tongue == "zh":
        return f"{brand} {of_main}适用{name}"
    return f"{name[0].upper()}{name[1:]} for {brand} {of_main}"


def _categories(profile: ShopProfile, kinds: list[dict[str, Any]], assortment: Assortment) -> list[str]:
    paths = [f"全部商品 > {kind['zh'][0]}" if profile.languages[0] == "zh" else kind["path"] for kind in kinds]
    return [paths[kind] for kind in assortment.kind]


def queries(profile: ShopProfile, asked: Int64s, rng: np.random.Generator) -> list[str]:
    """(N,) what is typed for a kind and style, `kind * STYLES + style` each: the kind, or the kind in a style."""
    kinds, styles = kinds_of(profile), words()["styles"][profile.styles]
    dice = rng.integers(0, 1 << 30, (asked.size, 4))
    typed = []
    for code, row in zip(asked.tolist(), dice.tolist(), strict=True):
        tongue = profile.languages[row[0] % len(profile.languages)]
        names, styled = kinds[code // STYLES][tongue], styles[code % STYLES][tongue]
        name = names[row[1] % len(names)]
        gap = "" if tongue == "zh" else " "
        typed.append(f"{styled[row[2] % len(styled)]}{gap}{name}" if row[3] % 2 else name)
    return typed
