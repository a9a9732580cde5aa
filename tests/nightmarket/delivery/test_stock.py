"""No offer is promised beyond stock, whatever the offers share."""

import numpy as np

from nightmarket.delivery.campaign import Channel, Options, Outlook, Rules, plan
from nightmarket.delivery.stock import counted, promises


def test_what_is_not_counted_has_no_limit_and_words_count_nothing():
    units = counted(np.array([3.0, np.nan, 0.0, 12.0]))
    assert units.tolist() == [3.0, np.inf, np.inf, 12.0], "what has none and is on sale is announced for later"
    assert counted(np.array([1.0, 0.0, 1.0])).tolist() == [np.inf] * 3, "in stock, sold out"
    assert counted(np.full(2, np.nan)).tolist() == [np.inf] * 2


def test_offers_on_the_same_products_or_some_of_them_share_a_limit_and_so_do_those_that_overlap():
    units = np.array([2.0, 3.0, 5.0, np.inf])
    limits = promises([np.array([0]), np.array([0, 1]), np.array([1, 2]), np.array([3])], units)
    rows = {tuple(row): num for row, num in zip(limits.of.tolist(), limits.units.tolist(), strict=True)}
    assert rows == {
        (True, False, False, False): 2.0,
        (True, True, False, False): 5.0,
        (False, False, True, False): 8.0,
        (True, True, True, False): 10.0,
    }
    assert promises([np.array([3])], units).units.size == 0
    assert promises([], units).units.size == 0


def test_a_plan_promises_no_more_units_than_there_are_and_leaves_none_that_somebody_would_take():
    rng = np.random.default_rng(4)
    num, units = 400, np.array([40.0, 25.0, np.inf])
    items = [np.array([0]), np.array([0, 1]), np.array([2])]
    chance = rng.uniform(0.2, 0.5, (num, 3)).astype(np.float32)
    chance[:, 2] = 0.05  # everybody would rather have what is short
    outlook = Outlook(chance, np.full((num, 3), 9, np.float32), np.zeros((num, 3), np.float32), np.ones((num, 1), "f4"))
    limits = promises(items, units)
    rules = Rules(7, np.inf, 1, 7, {})
    everybody = np.ones((num, 1), bool)
    options = Options(outlook, [Channel("email", 0.0, None)], rules, "profit", everybody, None, limits)
    held = np.arange(num) % 10 == 0
    made = plan(options, np.arange(num), held)
    sent = made.contacts.where(made.contacts.sent)
    promised = np.bincount(sent.offer, minlength=3)
    assert promised[0] <= 40
    assert promised[0] + promised[1] == 65
    assert promised.sum() == (~held).sum(), "the others get what there is enough of"
    assert made.certificate.gap < 0.001
