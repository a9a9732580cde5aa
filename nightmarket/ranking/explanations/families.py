"""Which features tell the same story: a reason is chosen among families, not among single features."""

from importlib.resources import files

import numpy as np
import yaml

from nightmarket.contracts.arrays import Float32s

_CONTENT = yaml.safe_load(files(__package__).joinpath("families.yaml").read_text(encoding="utf-8"))
FAMILIES: dict[str, str] = _CONTENT["families"]
"""family → what it tells"""
OF_THE_CUSTOMER = ("repeat", "cart", "looked", "looked_like", "text", "line", "kind", "goes_with", "shop")
"""Families whose reasons speak of the customer; the others speak of the product alone."""

_WHOLE: dict[str, str] = {name: family for family, names in _CONTENT["features"].items() for name in names}
_OF_A_LEVEL = ("debuts", "draw", "sold", "launching", "pop", "trend", "each")
"""Second words that tell what everybody buys at a level, not what the customer does."""
_FIRST_WORD: dict[str, str] = {word: family for family, words in _CONTENT["first_words"].items() for word in words}


def family_of(feature: str) -> str:
    """The family of a feature, by its name; "other" for a name that tells nothing."""
    if feature in _WHOLE:
        return _WHOLE[feature]
    first, _, rest = feature.partition("_")
    return "popular" if rest in _OF_A_LEVEL else _FIRST_WORD.get(first, "other")


def by_family(contributions: Float32s, names: list[str]) -> Float32s:
    """(N, G) contributions summed over the features of each family, in the order of FAMILIES."""
    order = list(FAMILIES)
    member = np.zeros((len(names), len(order)), np.float32)
    member[np.arange(len(names)), [order.index(family_of(name)) for name in names]] = 1.0
    summed: Float32s = contributions @ member
    return summed
