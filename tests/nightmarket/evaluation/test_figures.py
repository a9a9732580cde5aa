"""Figures of some customers alone."""

import numpy as np

from nightmarket.contracts.privacy import MIN_GROUP
from nightmarket.evaluation.figures import METRIC, Figures


def test_figures_of_some_customers_leave_the_others_out_and_say_nothing_of_too_few():
    chosen = np.arange(4 * MIN_GROUP) % 2 == 0
    values = np.where(chosen, 0.25, 1.0)
    values[0] = np.nan
    figures = Figures(17, 100)
    of_some = figures.of_some({"nightmarket": {METRIC: values}}, chosen)["nightmarket"]
    assert (of_some["value"], of_some["num_customers"]) == (0.25, 2 * MIN_GROUP - 1)
    assert 0.2 < of_some["low"] <= 0.25 <= of_some["high"] < 0.3
    assert figures.of_some({"nightmarket": {METRIC: values}}, np.arange(chosen.size) < MIN_GROUP) == {}
