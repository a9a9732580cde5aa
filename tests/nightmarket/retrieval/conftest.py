from dataclasses import dataclass

import numpy as np
import pytest

from nightmarket.evaluation.protocol import Window
from nightmarket.histories.calendar import last_day
from nightmarket.histories.histories import Histories


@dataclass(frozen=True)
class Shop:
    histories: Histories
    text_id: np.ndarray
    vectors: np.ndarray
    recommendable: np.ndarray
    window: Window


def histories(customer, item, week, num_customers, num_items):
    order = np.lexsort((week, customer))
    customer, item, week = (np.asarray(a, np.int32)[order] for a in (customer, item, week))
    ones, zeros = np.ones(len(week), np.float32), np.zeros(len(week), np.int32)
    lines = {"customer": customer, "item": item, "week": week, "day": week * 7 + 4}
    money = {"quantity": ones, "value": ones, "discount": ones * 0, "basket": zeros, "channel": zeros}
    return Histories(**lines, **money, num_customers=num_customers, num_items=num_items)


@pytest.fixture(scope="session")
def planted():
    """80 customers of four tastes, 120 products of four kinds; the kind shows in the text's vector, among noise."""
    rng = np.random.default_rng(5)
    kinds = np.repeat(np.arange(4), 30)
    centre = rng.normal(size=(4, 24))
    vectors = centre[kinds] * 0.6 + rng.normal(size=(120, 24)) + 2.0
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    customer = np.repeat(np.arange(80), 120)
    week = np.tile(np.repeat(np.arange(30), 4), 80)
    favourite = rng.random(len(customer)) < 0.9
    kind = np.where(favourite, customer % 4, rng.integers(0, 4, len(customer)))
    item = kind * 30 + rng.integers(0, 30, len(customer))
    shop = histories(customer, item, week, 80, 120)
    window = Window.after(last_day(25), 28)
    return Shop(shop, np.arange(120, dtype=np.int32), vectors.astype(np.float32), np.ones(120, bool), window)
