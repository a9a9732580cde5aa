"""The rules on the tables of a night: who is in which audience, what each bought, what is popular."""

import logging
from dataclasses import dataclass, replace
from datetime import date

import numpy as np

from nightmarket.contracts.arrays import Bools, Float32s, Float64s, Int32s, Int64s, Values
from nightmarket.delivery.deliverable import Deliverable
from nightmarket.delivery.rules.choosing import Chosen, May, choose
from nightmarket.delivery.rules.declared import NotAgain, plain
from nightmarket.delivery.rules.tonight import NightProducts, NightRules, Recipients
from nightmarket.histories.calendar import date_of
from nightmarket.histories.histories import Histories
from nightmarket.ranking.sessions.cycles import cycles
from tasks.files.prepared import Prepared
from tasks.merchandising.rules_file import ShopRules

log = logging.getLogger("nightmarket")


@dataclass(frozen=True)
class NightLists:
    """The rules of tonight and what they ask of the customers; C customers.

    market           (C,) as `Recipients` has it
    age              (C,) years, NaN where it is not known
    bought           what is known of their purchases; None where no rule asks
    first            (C+1,) where each customer's purchases begin among them
    today            the day of the lists, from which days are counted
    objected         (C,) to profiling: nothing that they did or are decides their lists
    """

    rules: NightRules
    market: Values
    age: Float64s
    bought: Histories | None
    first: Int64s
    today: int
    objected: Bools
    notes: tuple[str, ...]

    def recipients(self, customers: Int32s, channel: str | None = None) -> Recipients:
        """Of some customers (B,), in their order."""
        return Recipients(self.market[customers], self.age[customers], channel, self._purchases(customers))

    def _purchases(self, customers: Int32s) -> tuple[Int32s, Int32s, Int32s] | None:
        if self.bought is None:
            return None
        start, num = self.first[customers], np.diff(self.first)[customers] * ~self.objected[customers]
        rows = np.arange(num.sum()) + np.repeat(start - (np.cumsum(num) - num), num)
        row = np.repeat(np.arange(customers.size, dtype=np.int32), num)
        return row, self.bought.item[rows], (self.today - self.bought.day[rows]).astype(np.int32)

    def allowed(self, customer: Int32s, item: Int32s) -> Bools:
        """(N,) which products the rules allow in whose lists."""
        customers = np.unique(customer)
        row = np.searchsorted(customers, customer).astype(np.int32)
        return self.rules.allowed(self.recipients(customers), row, item)

    def visitor(self, code: int, market: str | None, channel: str | None, item: Int32s, ago: Int32s) -> Recipients:
        """One visitor of a live site.

        code       of the customer, below 0 for somebody whom the night does not know
        market     as the site knows it; None: as the night does
        item, ago  (M,) what they bought since the night, and whole days since then
        """
        who = self.recipients(np.array([code], np.int32)) if code >= 0 else Recipients.unknown()
        rows, items, days = who.bought or (np.zeros(0, np.int32),) * 3
        bought = (np.append(rows, np.zeros(item.size, np.int32)), np.append(items, item), np.append(days, ago))
        named = np.array([plain(market)], object) if market else who.market
        return replace(who, market=named, channel=channel, bought=bought)

    def for_strangers(self, num: int, goods: Deliverable) -> Chosen:
        """The list (1, num) of somebody of whom nothing is known."""
        offered = goods.for_anybody()
        nothing = np.zeros(0, np.int32)
        may: May = lambda _, items: offered[items]  # noqa: E731
        return choose(self.rules, Recipients.unknown(), nothing, nothing, np.zeros(0), num, may)

    def choose(
        self,
        customers: Int32s,
        customer: Int32s,
        item: Int32s,
        score: Float64s,
        num: int,
        goods: Deliverable,
        *,
        own: bool = True,
    ) -> Chosen:
        """The lists of some customers (B,), ascending, from their candidates (N,), in their order.

        own  pins hold, and what the candidates leave short is filled up with what is popular: not so in a list of
             launches, which holds nothing else
        """
        row = np.searchsorted(customers, customer).astype(np.int32)
        may: May = lambda rows, items: goods.may(customers[rows], items)  # noqa: E731
        who = self.recipients(customers)
        return choose(self.rules, who, row, item, score, num, may, pins=own, fill_up=own)


def of_night(
    shop: ShopRules,
    data: Prepared,
    goods: Deliverable,
    popularity: Float32s,
    cut: int,
    valid_on: date | None = None,
) -> NightLists | None:
    """The rules that are valid on the day after a cut; None where none is.

    popularity  (I,) what orders the products that lists are filled up with
    valid_on    another day on which they must be valid
    """
    today = valid_on or date_of(cut + 1)
    valid = [rule for rule in shop.rules if rule.holds_on(today)]
    if not valid:
        return None
    lines = data.histories.until(cut)
    sold = np.flatnonzero(goods.on_sale & data.catalogue.on_sale(cut + 1))
    popular = sold[np.argsort(-popularity[sold], kind="stable")].astype(np.int32)
    market = names_compared(data, "market")
    products = NightProducts(
        data.products,
        goods.group,
        popular,
        lambda: cycles(lines.customer, lines.item, lines.day, data.catalogue),
        knows_markets=any(name is not None for name in market.tolist()),
    )
    rules = NightRules.of(shop.rules, products, today, shop.where)
    objected = (
        data.customers["objected"].to_numpy(bool) if "objected" in data.customers else np.zeros(len(market), bool)
    )
    again = any(isinstance(rule, NotAgain) for rule in valid)
    notes = (*rules.notes, *rules.clashing(shop.where))
    return NightLists(rules, market, goods.age, lines if again else None, lines.indptr, cut + 1, objected, notes)


def names_compared(data: Prepared, column: str) -> Values:
    """(C,) as rules compare them, None where it is not known."""
    customers = data.customers
    if column not in customers:
        return np.full(len(customers), None, object)
    names = [plain(name) if isinstance(name, str) and name.strip() else None for name in customers[column]]
    return np.array(names, object)


def say(lists: NightLists | None, shop: ShopRules) -> None:
    """What is odd about the rules, in the log."""
    if lists is None:
        if shop.rules:
            log.info("rules: none of %d is valid tonight", len(shop.rules))
        return
    log.info("rules: %d of %d are valid tonight", len(lists.rules.held), len(shop.rules))
    for note in lists.notes:
        log.warning("rules: %s", note)
