"""A tiny made-up record: eight campaigns; who buys what is on offer, and who answered before, responds more."""

import numpy as np
import pytest

from nightmarket.histories.calendar import NEVER
from nightmarket.histories.catalogue import Catalogue
from nightmarket.histories.histories import Histories
from nightmarket.response.market import Answers, Campaign, Contacts, CouponLines, Offer, Records

NUM_CUSTOMERS, NUM_ITEMS, NUM_CAMPAIGNS, LENGTH = 240, 40, 8, 20


def made_record(seed: int = 5) -> Records:
    """Customers 0.. buy items of their own two kinds each week; campaign k offers four items of kind k % 4 and more."""
    rng = np.random.default_rng(seed)
    kind = (np.arange(NUM_ITEMS) // 10).astype(np.int32)
    liked = rng.integers(0, 4, NUM_CUSTOMERS)
    days = 30 + (NUM_CAMPAIGNS + 1) * (LENGTH + 5)
    customer, day, item = [], [], []
    for c in range(NUM_CUSTOMERS):
        for d in range(int(rng.integers(0, 7)), days, 7):
            for _ in range(3):
                customer.append(c)
                day.append(d)
                own = rng.random() < 0.7
                item.append(liked[c] * 10 + rng.integers(10) if own else rng.integers(NUM_ITEMS))
    customer, day, item = (np.array(column, np.int32) for column in (customer, day, item))
    ones = np.ones(customer.size, np.float32)
    basket = np.cumsum(np.diff(customer.astype(np.int64) * days + day, prepend=-1) != 0).astype(np.int32)
    lines = Histories(
        customer, item, day // 7, day, ones, ones * 2, ones * 0.1, basket, ones.astype(np.int32),
        NUM_CUSTOMERS, NUM_ITEMS,
    )  # fmt: skip
    text, never = np.arange(NUM_ITEMS, dtype=np.int32), np.full(NUM_ITEMS, NEVER, np.int32)
    price = np.full(NUM_ITEMS, np.nan, np.float32)
    catalogue = Catalogue(kind, kind, kind, kind, kind, kind, text, text, kind, kind >= 0, never, never, price)
    keen = rng.random(NUM_CUSTOMERS) < 0.4
    campaigns, shown, said = [], [], []
    for k in range(NUM_CAMPAIGNS):
        start = 30 + k * (LENGTH + 5)
        offers = tuple(
            Offer(f"o{k}{j}", np.arange(j * 10 + k % 4, j * 10 + k % 4 + 4, dtype=np.int32)) for j in range(4)
        )
        campaigns.append(Campaign(f"c{k}", "AB"[k % 2], start, start + LENGTH - 1, offers))
        for c in np.flatnonzero(rng.random(NUM_CUSTOMERS) < 0.6):
            shown.append((c, k, start))
            if rng.random() < (0.5 if keen[c] else 0.05):
                offer = liked[c] if rng.random() < 0.8 else rng.integers(4)
                said.append((c, k, offer, start + rng.integers(LENGTH)))
    contacts = Contacts(*(np.array(column, np.int32) for column in zip(*shown, strict=True)))
    answers = Answers(*(np.array(column, np.int32) for column in zip(*said, strict=True)))
    used = rng.random(customer.size) < 0.05
    coupons = CouponLines(customer[used], day[used], basket[used], ones[used])
    return Records(lines, catalogue, tuple(campaigns), contacts, answers, coupons, np.zeros(NUM_CUSTOMERS, np.float32))


@pytest.fixture(scope="session")
def record() -> Records:
    return made_record()
