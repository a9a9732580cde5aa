"""What a marketer knows on one day: purchases, campaigns begun, who was shown them, who has answered so far.

Codes: customers and items as in `Histories`; a campaign is its place in a list that is sorted by start.
"""

from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from nightmarket.contracts.arrays import Bools, Float32s, Int32s
from nightmarket.histories.catalogue import Catalogue
from nightmarket.histories.histories import Histories

KNOWN_DAYS = 28


@dataclass(frozen=True)
class Offer:
    """A coupon or reduction.

    items  codes of the products that it applies to; products outside the catalogue are left out, so it may be empty
    """

    offer_id: str
    items: Int32s


@dataclass(frozen=True)
class Campaign:
    """What is sent; days are shop-local and count as `Histories.day`, both included."""

    campaign_id: str
    kind: str
    start_day: int
    end_day: int
    offers: tuple[Offer, ...]

    @property
    def items(self) -> Int32s:
        """Distinct items on offer."""
        items = [offer.items for offer in self.offers]
        return np.unique(np.concatenate(items)).astype(np.int32) if items else np.zeros(0, np.int32)


@dataclass(frozen=True)
class Contacts:
    """Who was shown which campaign, each pair once; N pairs. day (N,): first exposure, or the campaign's start."""

    customer: Int32s
    campaign: Int32s
    day: Int32s

    def where(self, mask: Bools) -> "Contacts":
        """The pairs where the mask (N,) is true."""
        return Contacts(self.customer[mask], self.campaign[mask], self.day[mask])


@dataclass(frozen=True)
class Answers:
    """Responses; N of them. offer (N,): place in the campaign's offers, -1 where it is not known."""

    customer: Int32s
    campaign: Int32s
    offer: Int32s
    day: Int32s

    def where(self, mask: Bools) -> "Answers":
        """The responses where the mask (N,) is true."""
        return Answers(self.customer[mask], self.campaign[mask], self.offer[mask], self.day[mask])


@dataclass(frozen=True)
class CouponLines:
    """Purchase lines with a coupon of any kind, a campaign's or not; N lines.

    basket  (N,)  codes
    value   (N,)  what the coupon took off, currency
    """

    customer: Int32s
    day: Int32s
    basket: Int32s
    value: Float32s

    def where(self, mask: Bools) -> "CouponLines":
        """The lines where the mask (N,) is true."""
        return CouponLines(self.customer[mask], self.day[mask], self.basket[mask], self.value[mask])


@dataclass(frozen=True)
class Records:
    """Everything on file, of all days; `on` cuts it.

    known    (C,)    share of the shop's attributes of customers that are known of each; 0 where it has none
    vectors  (I, D)  text vector of each item, where text is asked for
    """

    histories: Histories
    catalogue: Catalogue
    campaigns: tuple[Campaign, ...]
    contacts: Contacts
    answers: Answers
    coupons: CouponLines
    known: Float32s
    vectors: Float32s | None = field(default=None, repr=False)

    def on(self, day: int) -> "Market":
        """What was known at the start of `day`: nothing here happened on it or later."""
        begun = sum(campaign.start_day < day for campaign in self.campaigns)
        contacts = self.contacts.where((self.contacts.campaign < begun) & (self.contacts.day < day))
        answers = self.answers.where((self.answers.campaign < begun) & (self.answers.day < day))
        lines = self.histories.where(self.histories.day < day)
        coupons = self.coupons.where(self.coupons.day < day)
        return Market(
            lines, self.catalogue, self.campaigns[:begun], contacts, answers, coupons, self.known, self.vectors, day
        )

    def finished(self, day: int) -> list[int]:
        """Campaigns that ended before `day`, were shown to somebody, and began when purchases were known for
        KNOWN_DAYS: of earlier ones it cannot be said who their customers were."""
        shown = set(np.unique(self.contacts.campaign).tolist())
        first = int(self.histories.day.min(initial=day)) + KNOWN_DAYS
        return [
            k
            for k, campaign in enumerate(self.campaigns)
            if campaign.end_day < day and campaign.start_day >= first and k in shown
        ]

    def outcome(self, campaign: int) -> tuple[Int32s, Bools]:
        """The customers who were shown a campaign, ascending, and who of them responded before its end; both (N,)."""
        customers = np.unique(self.contacts.customer[self.contacts.campaign == campaign])
        said = (self.answers.campaign == campaign) & (self.answers.day <= self.campaigns[campaign].end_day)
        return customers, np.isin(customers, self.answers.customer[said])

    def redeemed(self, campaign: int, customers: Int32s) -> Bools:
        """(N, O) which offers of a campaign each of the customers took before its end."""
        redeemed = self.answers.where((self.answers.campaign == campaign) & (self.answers.offer >= 0))
        redeemed = redeemed.where(redeemed.day <= self.campaigns[campaign].end_day)
        redeemed = redeemed.where(np.isin(redeemed.customer, customers))
        taken = np.zeros((customers.size, len(self.campaigns[campaign].offers)), bool)
        taken[np.searchsorted(customers, redeemed.customer), redeemed.offer] = True
        return taken


@dataclass(frozen=True)
class Market(Records):
    """A record cut at the start of `day`."""

    day: int = 0

    @cached_property
    def shown(self) -> Int32s:
        """(K,) customers who were shown each campaign."""
        return np.bincount(self.contacts.campaign, minlength=len(self.campaigns)).astype(np.int32)

    @cached_property
    def answered(self) -> Contacts:
        """Pairs of customer and campaign with a response so far, each once, with the day of the last."""
        key = self.answers.customer.astype(np.int64) * max(len(self.campaigns), 1) + self.answers.campaign
        order = np.lexsort((self.answers.day, key))
        last = order[np.append(np.diff(key[order]) != 0, True)] if order.size else order
        return Contacts(self.answers.customer[last], self.answers.campaign[last], self.answers.day[last])

    def of(self, customers: Int32s) -> Histories:
        """The purchase lines of the customers (N, ascending), who are counted from 0 there."""
        place = np.full(self.histories.num_customers, -1, np.int32)
        place[customers] = np.arange(customers.size, dtype=np.int32)
        lines = self.histories.where(place[self.histories.customer] >= 0)
        return replace(lines, customer=place[lines.customer], num_customers=int(customers.size))
