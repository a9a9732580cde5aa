"""Which features tell the same story: a reason is chosen among families, not among single features."""

import numpy as np

from nightmarket.contracts.arrays import Float32s

FAMILIES: dict[str, str] = {
    "repeat": "the customer's own habit with this product",
    "text": "products of the same description",
    "line": "products of the same kind and maker, or of the same maker",
    "kind": "products of the same kind or category",
    "goes_with": "products that are bought together with it, and customers who buy alike",
    "popular": "how many buy it now",
    "loyal": "how many of its buyers come back for it",
    "shop": "the customer's own shops",
    "price": "price and discount",
    "promotion": "displays and mailers",
    "new": "how long it has been on sale",
    "customer": "traits of the customer, which are the same for every product: never a reason",
    "other": "features of which nothing is known here: never a reason",
}
OF_THE_CUSTOMER = ("repeat", "text", "line", "kind", "goes_with", "shop")
"""Families whose reasons speak of the customer; the others speak of the product alone."""

_WHOLE = {
    "line_of_kind": "line",
    "buyers": "popular",
    "trend": "popular",
    "kind_share": "kind",
    "score_popular": "popular",
    "score_line": "line",
    "score_rare": "line",
    "score_maker": "line",
    "score_kind": "kind",
    "score_category": "kind",
    "score_text": "text",
    "score_tower": "text",
    "repeat": "loyal",
    "loyal": "loyal",
    "discount": "price",
    "display": "promotion",
    "mailer": "promotion",
    "sold_for": "new",
    **dict.fromkeys(("baskets", "baskets_4w", "basket_size", "idle", "explore", "spend", "range"), "customer"),
    **dict.fromkeys(("recent", "adopted"), "customer"),
}
_OF_A_LEVEL = ("debuts", "draw", "sold", "launching", "pop", "trend", "each")
"""Second words that tell what everybody buys at a level, not what the customer does."""
_FIRST_WORD = {
    "item": "repeat",
    "text": "text",
    "line": "line",
    "maker": "line",
    "kind": "kind",
    "category": "kind",
    "buyers": "popular",
    "popular": "popular",
    "shop": "shop",
    "price": "price",
    "discount": "price",
    "plan": "promotion",
    "promotion": "promotion",
    "display": "promotion",
    "mailer": "promotion",
    "score": "goes_with",
}
"""Families by the first word of a name: features that are added later find their place. A generator's score is taken
for a collaborative one unless it is named above."""


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
