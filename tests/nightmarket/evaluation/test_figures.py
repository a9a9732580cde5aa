"""Figures of some customers alone."""

import numpy as np

from nightmarket.contracts.privacy import MIN_GROUP
from nightmarket.evaluation.figures import METRIC, Figures


def test_figures_of_some_customers_leave_the_others_out_and_say_nothing_of_too_few():
    chosen = np.arange(4 * MIN_GROUP) % 2 == 0
    values = np.where(chosen, 0.25, 1.0)
    values[0] = np.nan
    figures = Figures(17, 100)
    of_some = figures.of_some({"nightmarket": {METRIC: values}}, chosen)
    assert of_some == {"nightmarket": {"value": 0.25, "low": 0.25, "high": 0.25, "num_customers": 2 * MIN_GROUP - 1}}
    assert figures.of_some({"nightmarket": {METRIC: values}}, np.arange(chosen.size) < MIN_GROUP) == {}
