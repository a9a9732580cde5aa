"""Who is kept back: at random, for good, and independently for every plan."""

import numpy as np

from nightmarket.delivery.campaign import kept_back

IDS = [f"{number:032x}" for number in range(20_000)]


def test_the_share_is_kept_and_stands_whoever_else_is_asked_for():
    held = kept_back(IDS, "spring", 0.1)
    assert abs(held.mean() - 0.1) < 4 * np.sqrt(0.09 / len(IDS))
    assert (kept_back(IDS[::-1], "spring", 0.1)[::-1] == held).all()
    assert kept_back(IDS[7:8], "spring", 0.1)[0] == held[7]


def test_plans_and_keys_are_independent_and_a_larger_share_holds_the_smaller():
    held = kept_back(IDS, "spring", 0.2)
    for other in (kept_back(IDS, "summer", 0.2), kept_back(IDS, "spring", 0.2, key=b"k")):
        assert abs((held & other).mean() - 0.04) < 0.006
    assert kept_back(IDS, "spring", 0.4)[held].all()
