"""Worth and cost of an offer."""

import numpy as np
import pytest

from nightmarket.delivery.offers import OfferTerms, credible_means, redemption_margins, redemption_values, unit_margins
from nightmarket.histories.histories import Histories


def test_credibility_lies_between_own_and_common_mean_and_beats_both_on_a_known_truth():
    rng = np.random.default_rng(2)
    truth = rng.normal(10, 2, 2000)
    owner = np.repeat(np.arange(2000), rng.integers(1, 12, 2000)).astype(np.int32)
    spent = truth[owner] + rng.normal(0, 4, owner.size)
    means = credible_means(owner, spent, 2000)
    own = np.bincount(owner, spent) / np.bincount(owner)
    assert (np.abs(means - spent.mean()) <= np.abs(own - spent.mean()) + 1e-9).all()
    assert ((means - truth) ** 2).mean() < 0.7 * min(((own - truth) ** 2).mean(), ((spent.mean() - truth) ** 2).mean())


def test_people_without_baskets_get_the_mean_and_without_any_basket_it_is_0():
    spent = np.array([4.0, 6.0, 9.0, 11.0])
    means = credible_means(np.array([0, 0, 1, 1], np.int32), spent, 3)
    assert means[2] == pytest.approx(7.5)
    assert (credible_means(np.zeros(0, np.int32), np.zeros(0), 3) == 0).all()
    alike = credible_means(np.array([0, 0, 1, 1], np.int32), np.array([2.0, 2, 5, 5]), 3)
    assert alike.tolist() == pytest.approx([2, 5, 3.5]), "each always pays the same"


def test_spend_counts_baskets_with_the_products_and_a_threshold_lifts_it():
    def column(*values):
        return np.array(values, np.int32)

    lines = Histories(
        customer=column(0, 0, 0, 1), item=column(0, 1, 2, 2), week=column(0, 0, 1, 1), day=column(1, 1, 8, 8),
        quantity=np.ones(4, np.float32), value=np.array([2, 3, 50, 60], np.float32),
        discount=np.zeros(4, np.float32), basket=column(0, 0, 1, 2), channel=column(0, 0, 0, 0),
        num_customers=2, num_items=3,
    )  # fmt: skip
    two = OfferTerms("two", "discount", column(0, 1), discount=0.2)
    least = OfferTerms("least", "threshold", column(0, 1), threshold=40.0, cost=5.0)
    values = redemption_values(lines, [two, least])
    assert values[:, 0].tolist() == [5, 5], "one basket with both; who never bought them gets the mean"
    assert values[:, 1].tolist() == [40, 40]
    assert two.redemption_cost(values[:, 0]).tolist() == pytest.approx([1, 1])
    assert least.redemption_cost(values[:, 1]).tolist() == [5, 5]


def test_a_basket_earns_what_was_paid_less_the_cost_of_its_units_and_the_shops_margin_where_that_is_unknown():
    def column(*values):
        return np.array(values, np.int32)

    lines = Histories(
        customer=column(0, 0, 1), item=column(0, 1, 2), week=column(0, 0, 1), day=column(1, 1, 8),
        quantity=np.array([2, 1, 1], np.float32), value=np.array([10, 20, 0], np.float32),
        discount=np.zeros(3, np.float32), basket=column(0, 0, 1), channel=column(0, 0, 0),
        num_customers=2, num_items=4,
    )  # fmt: skip
    offers = [
        OfferTerms("both", "discount", column(0, 1), discount=0.2),
        OfferTerms("first", "discount", column(0), discount=0.2),
        OfferTerms("lifted", "threshold", column(0), threshold=30.0, cost=5.0),
        OfferTerms("free", "gift", column(2), cost=1.0),
        OfferTerms("never sold", "threshold", column(3), threshold=30.0, cost=1.0),
    ]
    cost = np.array([4.0, np.nan, 3.0, np.nan])
    values = redemption_values(lines, offers)
    margins = redemption_margins(lines, offers, values, cost, 0.25)
    assert margins[0].tolist() == pytest.approx([10 - 2 * 4 + 0.25 * 20, 2, 2 * 30 / 10, 0, 0.25 * 30])
    assert unit_margins(np.array([10.0, 10, 3]), np.array([4.0, np.nan, 5]), 0.25).tolist() == [6, 2.5, -2]
