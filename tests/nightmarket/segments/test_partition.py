"""Groups that are there are found; groups that are not are not called stable."""

import numpy as np
import pandas as pd
import pytest

from nightmarket.segments.grouping import OTHER, Assigner, agreement, classifier, group
from nightmarket.segments.partition import choose, density_methods, stability


def planted(centres, size=60, spread=0.15, seed=0):
    rng = np.random.default_rng(seed)
    return np.concatenate([rng.normal(c, spread, size=(size, len(c))) for c in centres])


def customers(seed=0, size=60):
    """Three kinds of customers who differ in spend, visits and price."""
    means = [(3.0, 1.0, 0.2), (1.0, 0.0, -0.2), (-1.0, -1.0, 0.3)]
    return pd.DataFrame(planted(means, size, 0.1, seed), columns=["spend", "visits", "price"])


def test_four_planted_groups_are_chosen_and_come_back():
    points = planted([(0, 0), (3, 0), (0, 3), (3, 3)])
    k, table = choose(points, 6, seed=1)
    assert k == 4
    assert next(row for row in table if row.k == 4).ari == pytest.approx(1.0)
    assert next(row for row in table if row.k == 4).silhouette > 0.7


def test_one_cloud_cut_in_five_is_not_stable():
    cloud = np.random.default_rng(0).normal(size=(400, 4))
    assert stability(cloud, 5, seed=1).ari < 0.7


def test_density_methods_find_islands_and_call_a_cloud_noise_or_one():
    islands = {row["method"]: row["groups"] for row in density_methods(planted([(0, 0), (9, 0), (0, 9)]), seed=1)}
    assert islands == {"HDBSCAN": 3, "DBSCAN": 3}
    cloud = np.random.default_rng(0).normal(size=(500, 8))
    assert all(row["groups"] <= 1 for row in density_methods(cloud, seed=1))


def test_groups_are_numbered_by_spend_and_small_ones_are_never_named():
    frame = pd.concat([customers(), customers(1, 4).iloc[:4] + 40], ignore_index=True)
    partition = group(frame, 5, seed=1, num=4)
    assert set(partition.segment[-4:]) == {OTHER}
    spend = pd.Series(frame.spend.to_numpy()).groupby(partition.segment).mean().drop(OTHER)
    assert spend.sort_index().is_monotonic_decreasing
    assert all((partition.segment == name).sum() >= 20 for name in partition.names)


def test_another_night_gives_the_same_numbers():
    a, b = group(customers(0), 5, seed=1), group(customers(7), 5, seed=99)
    assert agreement(pd.Series(a.segment), pd.Series(b.segment))["same"] == 1.0


def test_a_new_customer_is_assigned_after_a_round_trip_through_json():
    frame = customers()
    partition = group(frame, 5, seed=1)
    early = frame[::2].reindex(frame.index)
    fitted = classifier(partition.space, partition.segment, frame, early)
    again = Assigner.from_json(fitted.to_json())
    fresh = customers(seed=5)
    assert (again.assign(fresh)["segment"].to_numpy() == partition.segment).mean() > 0.98
    assert (again.assign(fresh, beginner=True)["segment"].to_numpy() == partition.segment).mean() > 0.95
    np.testing.assert_allclose(again.probabilities(fresh), fitted.probabilities(fresh), atol=1e-4)
    np.testing.assert_allclose(again.probabilities(fresh).sum(axis=1), 1)


def test_a_classifier_of_two_groups_is_a_logistic_regression():
    frame = customers().iloc[:120].reset_index(drop=True)
    partition = group(frame, 2, seed=1)
    chance = classifier(partition.space, partition.segment, frame, frame * np.nan).probabilities(frame)
    assert chance.shape == (120, 2)
    assert (np.array(["1", "2"])[chance.argmax(axis=1)] == partition.segment).all()
