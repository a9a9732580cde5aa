"""One campaign planned: who is kept back, who gets what, and on which day.

Shapes: C customers, E of them eligible, O offers, H channels, S slots, N rows of the plan. An option is offer x channel
x slot.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from nightmarket.contracts.arrays import Bools, Float32s, Int64s
from nightmarket.delivery.allocation import Certificate, allocate, as_sent
from nightmarket.delivery.problem import NOTHING, Block, Problem, Rows
from nightmarket.delivery.stock import Promises
from nightmarket.delivery.timing import room, schedule

SEND, HOLDOUT = "send", "holdout"


def kept_back(customer_ids: Sequence[str], plan: str, share: float, key: bytes = b"") -> Bools:
    """(C,) true for about `share` of the customers: the same ones on every run of the plan of that name, and for any
    other name an independent draw.

    A keyed BLAKE2b of plan and customer, read as a number in [0, 1), lies below the share; so a larger share keeps back
    everyone that a smaller one did. `key` is up to 64 bytes; without it whoever knows an id can work out its arm.
    """
    return np.asarray(draws(customer_ids, plan, key) < int(share * 2**64), bool)


def draws(customer_ids: Sequence[str], plan: str, key: bytes = b"") -> NDArray[np.uint64]:
    """(C,) the number in [0, 2^64) by which `kept_back` decides: whoever has the lowest is kept back first."""
    prefix = plan.encode() + b"\x00"
    hashes = (hashlib.blake2b(prefix + name.encode(), digest_size=8, key=key).digest() for name in customer_ids)
    return np.fromiter((int.from_bytes(digest, "big") for digest in hashes), np.uint64, count=len(customer_ids))


Goal = Literal["profit", "responses"]


@dataclass(frozen=True)
class Channel:
    """A way to a customer.

    cost      of one contact, currency
    capacity  contacts in one slot of one day; None: no limit
    """

    name: str
    cost: float
    capacity: int | None


@dataclass(frozen=True)
class Outlook:
    """What is expected.

    chance  (C, O)  P(takes the offer | is sent it), in [0, 1]
    value   (C, O)  margin on what is bought when the offer is taken, currency
    reward  (C, O)  cost of the offer when it is taken, currency
    timing  (C, S)  factor on the chance, in (0, 1]
    """

    chance: Float32s
    value: Float32s
    reward: Float32s
    timing: Float32s


@dataclass(frozen=True)
class Rules:
    """Limits of a campaign.

    budget        expected spend: contacts, and offers taken, currency
    per_customer  contacts during the campaign
    per_week      contacts in any seven days, those of other campaigns included
    before        customer → days of other contacts, counted from the first day, ascending: those before it are
                  negative, those that another campaign has still to make are not
    """

    days: int
    budget: float
    per_customer: int
    per_week: int
    before: dict[int, tuple[int, ...]]


@dataclass(frozen=True)
class ContactRows:
    """Rows of a plan.

    customer, offer, channel, slot (N,)  codes
    day          (N,)  from 0
    sent         (N,)  false: what a customer who is kept back would have got
    probability  (N,)  of a response
    value, cost  (N,)  expected, currency; cost holds the contact and the offer
    """

    customer: Int64s
    offer: Int64s
    channel: Int64s
    slot: Int64s
    day: Int64s
    sent: Bools
    probability: Float32s
    value: Float32s
    cost: Float32s

    @property
    def profit(self) -> Float32s:
        """(N,) value net of cost, currency."""
        return self.value - self.cost

    def where(self, mask: NDArray) -> "ContactRows":
        """The rows where the mask (N,) is true, or the rows of an index."""
        return ContactRows(*(getattr(self, field.name)[mask] for field in fields(self)))

    def __len__(self) -> int:
        return int(self.customer.size)


@dataclass(frozen=True)
class CampaignPlan:
    """contacts: sorted by customer, then day."""

    contacts: ContactRows
    certificate: Certificate

    @classmethod
    def empty(cls) -> "CampaignPlan":
        """Nobody is sent anything, and nothing could have been earned."""
        none, ints = np.zeros(0, np.float32), np.zeros(0, np.int64)
        return cls(
            ContactRows(ints, ints, ints, ints, ints, np.zeros(0, bool), none, none, none), Certificate(0.0, 0.0)
        )


@dataclass(frozen=True)
class Options:
    """Every offer on every channel in every slot, with what it brings and costs.

    allowed  (C, H)  who may be contacted on which channel
    offered  (C, O)  who may be offered what; None: everybody everything
    promises  how often offers may be promised; None: no limit
    """

    outlook: Outlook
    channels: Sequence[Channel]
    rules: Rules
    goal: Goal
    allowed: Bools
    offered: Bools | None = None
    promises: Promises | None = None

    @property
    def shape(self) -> tuple[int, int, int]:
        """(O, H, S)."""
        return self.outlook.chance.shape[1], len(self.channels), self.outlook.timing.shape[1]

    def split(self, option: Int64s) -> tuple[Int64s, Int64s, Int64s]:
        """Offer, channel and slot of options."""
        offer, channel, slot = np.unravel_index(option, self.shape)
        return offer, channel, slot

    def terms(self, customer: NDArray, option: Int64s) -> tuple[Float32s, Float32s, Float32s]:
        """Probability, expected value and cost of options for customers; shapes broadcast."""
        offer, channel, slot = self.split(option)
        contact = np.array([way.cost for way in self.channels], np.float32)[channel]
        chance = self.outlook.chance[customer, offer] * self.outlook.timing[customer, slot]
        return (
            chance,
            chance * self.outlook.value[customer, offer],
            contact + chance * self.outlook.reward[customer, offer],
        )

    def problem(self, customers: Int64s) -> Problem:
        """The allocation among some customers."""
        num_offers, num_channels, num_slots = self.shape
        every = np.arange(num_offers * num_channels * num_slots)
        offer, channel, slot = self.split(every)
        limited = [(h, s) for h, way in enumerate(self.channels) if way.capacity is not None for s in range(num_slots)]
        uses = np.array([(channel == h) & (slot == s) for h, s in limited], bool).reshape(len(limited), every.size)
        capacity = np.array([self.channels[h].capacity for h, _ in limited], np.float64) * self.rules.days
        if self.promises is not None:
            scarce = self.promises.within(len(self.outlook.chance))
            uses = np.concatenate([uses, scarce.of[:, offer]])
            capacity = np.concatenate([capacity, scarce.units])
        left = [
            room(self.rules.before.get(who, ()), self.rules.days, self.rules.per_week) for who in customers.tolist()
        ]
        return Problem(
            block=self._block(customers, every),
            allowance=np.minimum(left, self.rules.per_customer).astype(np.int8),
            offer=offer.astype(np.int32),
            uses=uses,
            capacity=capacity,
            budget=self.rules.budget,
        )

    def _block(self, customers: Int64s, every: Int64s) -> Block:
        offer, channel, _ = self.split(every)

        def block(rows: Rows) -> tuple[Float32s, Float32s]:
            some = customers[rows]
            chance, value, cost = self.terms(some[:, None], every[None])
            gain = value - cost if self.goal == "profit" else chance
            may = self.allowed[some][:, channel]
            may = may if self.offered is None else may & self.offered[some][:, offer]
            return np.where(may, gain, np.float32(-np.inf)), cost

        return block

    def contacts(self, customers: Int64s, picks: NDArray[np.int16], sent: bool) -> ContactRows:
        """The rows of picks (E, K), the most profitable first, all on day 0 so far."""
        row, k = np.nonzero(picks != NOTHING)
        option = picks[row, k].astype(np.int64)
        customer = customers[row]
        chance, value, cost = self.terms(customer, option)
        nothing = np.zeros(row.size, np.int64)
        rows = ContactRows(customer, *self.split(option), nothing, np.full(row.size, sent), chance, value, cost)
        return rows.where(np.argsort(-rows.profit, kind="stable"))

    def dated(self, contacts: ContactRows) -> ContactRows:
        """The rows with their days, without those for which no day is left. Customers kept back use no capacity."""
        num_slots = self.shape[2]
        held = not contacts.sent.any()
        daily = [np.inf if channel.capacity is None or held else channel.capacity for channel in self.channels]
        day = schedule(
            contacts.customer,
            contacts.channel * num_slots + contacts.slot,
            np.repeat(np.array(daily, np.float64), num_slots),
            self.rules.days,
            self.rules.per_week,
            self.rules.before,
        )
        arrays = {field.name: getattr(contacts, field.name) for field in fields(contacts)} | {"day": day}
        return ContactRows(**arrays).where(day >= 0)


def plan(options: Options, eligible: Int64s, held: Bools, seed: int = 0) -> CampaignPlan:
    """The plan of a campaign.

    eligible  (E,)  customers who may be contacted, on one channel at least
    held      (E,)  those of them who are kept back: they get rows with what they would have been sent at the prices
                    of budget and capacities that the others pay, close calls in the share that was sent
    The certificate's value is what the rows that are sent bring by the goal; its bound holds for the customers who are
    not kept back, whatever their days.
    """
    some = eligible[~held]
    problem = options.problem(some)
    allocation = allocate(problem, seed)
    sent = options.dated(options.contacts(some, allocation.picks, sent=True))
    rest = eligible[held]
    empty = options.rules.budget <= 0 or not len(sent)
    none = np.zeros((rest.size, 0), np.int16)
    picks = none if empty else as_sent(problem, allocation, options.problem(rest), seed)
    kept = options.dated(options.contacts(rest, picks, sent=False))
    value = float((sent.profit if options.goal == "profit" else sent.probability).sum(dtype=np.float64))
    both = ContactRows(
        *(np.concatenate([getattr(part, field.name) for part in (sent, kept)]) for field in fields(sent))
    )
    order = np.lexsort((both.day, both.customer))
    return CampaignPlan(both.where(order), Certificate(value, max(allocation.certificate.bound, value)))
