"""The rules as a live site takes them: of every day to come, for customers and products in the night's numbers."""

from datetime import date

import numpy as np
import pandas as pd

from nightmarket.contracts.arrays import Int32s
from nightmarket.delivery.deliverable import Deliverable
from nightmarket.delivery.rules.declared import NotAgain, ShopRule
from nightmarket.delivery.rules.tonight import NightProducts, NightRules
from nightmarket.histories.calendar import date_of
from nightmarket.ranking.sessions.cycles import cycles
from nightmarket.serving.live.rules import LastBought, LiveRules
from tasks.files.prepared import Prepared
from tasks.merchandising.night import names_compared
from tasks.merchandising.rules_file import ShopRules


def of_site(shop: ShopRules, data: Prepared, goods: Deliverable, popular: Int32s, cut: int) -> LiveRules | None:
    """The rules for a live site: those that are valid on any day after a cut; None where there is none.

    popular  what lists are filled up with, best first
    """
    kept = [(number, rule) for number, rule in enumerate(shop.rules) if not _over(rule, date_of(cut + 1))]
    if not kept:
        return None
    numbers, valid = zip(*kept, strict=True)
    lines = data.histories.until(cut)
    names = names_compared(data, "market")
    known = sorted({name for name in names.tolist() if name is not None})
    place = {name: code for code, name in enumerate(known)}
    products = NightProducts(
        data.products,
        goods.group,
        popular,
        lambda: cycles(lines.customer, lines.item, lines.day, data.catalogue),
        knows_markets=bool(known),
    )
    rules = NightRules.of(valid, products, None, lambda number, key: shop.where(numbers[number], key))
    days = max((held.value.max(initial=0) for held in rules.held if isinstance(held.rule, NotAgain)), default=0)  # type: ignore[union-attr]
    objected = data.customers.get("objected", pd.Series(False, data.customers.index)).to_numpy(bool)
    rows = (cut + 1 - lines.day < days) & ~objected[lines.customer]
    bought = LastBought.of(lines.customer[rows], lines.item[rows], lines.day[rows], len(data.customers))
    market = np.array([place.get(name, -1) for name in names.tolist()], np.int32)
    return LiveRules(rules, tuple(known), market, bought)


def _over(rule: ShopRule, today: date) -> bool:
    return rule.valid_until is not None and rule.valid_until < today
