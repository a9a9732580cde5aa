"""Interactions: sessions, cuts in time, strengths, guests."""

import numpy as np
import pytest

from nightmarket.histories.interactions import GUEST, KINDS, STRENGTH, Interactions, sessions

VIEW, CART, PURCHASE, RETURN = (KINDS.index(kind) for kind in ("view", "cart", "purchase", "return"))


def interactions(rows: list[tuple[int, int, int, int, int]], num_customers: int = 3, num_items: int = 4):
    """Of (customer, item, day, kind, session)."""
    customer, item, day, kind, session = np.array(rows, np.int32).T
    second = day.astype(np.int64) * 86_400
    return Interactions(customer, item, day, second, kind.astype(np.int8), session, num_customers, num_items)


def test_a_session_ends_after_half_an_hour_and_where_the_source_says_so():
    customer = np.array([0, 0, 0, 0, 0, 1, 1], np.int32)
    second = np.array([0, 1_800, 3_601, 3_700, 3_800, 3_800, 9_000])
    named = np.array([-1, -1, -1, 7, 8, 8, 8], np.int32)
    # 1,800 s is not yet a gap, 1,801 s is; a name after none goes on; another name and another customer begin anew,
    # and one name holds a visit together however long it pauses
    assert sessions(customer, second, named).tolist() == [0, 0, 1, 1, 2, 3, 3]
    assert sessions(customer[:0], second[:0], named[:0]).size == 0


def test_what_lies_after_a_cut_is_not_known_and_a_session_over_midnight_ends_there():
    events = interactions([(0, 1, 9, VIEW, 0), (0, 2, 10, VIEW, 0), (0, 2, 11, PURCHASE, 0), (1, 3, 9, CART, 1)])
    assert events.until(10).item.tolist() == [1, 2, 3]
    assert events.between(10, 11).item.tolist() == [2, 2]
    assert events.until(11) is events


def test_a_slice_counts_its_customers_from_zero_and_knows_no_guest():
    events = interactions([(GUEST, 0, 1, VIEW, 0), (0, 1, 1, VIEW, 1), (1, 2, 1, VIEW, 2), (2, 3, 1, VIEW, 3)])
    part = events.of(slice(1, 3))
    assert (part.customer.tolist(), part.item.tolist(), part.num_customers) == ([0, 1], [2, 3], 2)
    assert events.entries().toarray().sum() == 3


def test_a_purchase_weighs_more_than_a_cart_than_a_look_and_a_return_takes_it_back():
    events = interactions(
        [(0, kind, 10 - 30 * (kind == PURCHASE), kind, 0) for kind in (VIEW, CART, PURCHASE, RETURN)], 1, 9
    )
    weights = events.strengths(today=10, half_life=30.0)
    assert STRENGTH[PURCHASE] > STRENGTH[CART] > STRENGTH[VIEW] > 0 == STRENGTH[RETURN] + STRENGTH[PURCHASE]
    assert weights.tolist() == pytest.approx([STRENGTH[VIEW], STRENGTH[CART], STRENGTH[PURCHASE] / 2, -1.5])
