"""Lists of tonight beside those of the evaluation: silent on noise of customers, loud when scores collapse."""

import numpy as np
import pytest

from nightmarket.drift.predictions import FIRST, MODERATE, NO_CHANCE, OTHERS, compare, profile

NUM = 400


def lists(seed, chance=None, shift=0.0):
    rng = np.random.default_rng(seed)
    customer = np.repeat(np.arange(NUM), FIRST)
    level = np.random.default_rng(1).beta(2, 8, NUM)  # of the customer: the same every night
    made = np.clip(level[customer] * np.exp(0.3 * rng.normal(size=customer.size)) + shift, 0.001, 0.999)
    own = rng.random(customer.size) < 0.7
    department = rng.choice(["GROCERY", "PRODUCE", "MEAT", "DELI"], customer.size, p=[0.6, 0.2, 0.15, 0.05])
    return customer, made if chance is None else np.full(customer.size, chance), own, department, NUM


def test_counts_add_up_and_no_group_is_small():
    made = profile(*lists(2))
    for column in made.values():
        counts = np.array(column["counts"])
        assert counts.shape == (16, len(column["labels"]))
        assert counts.sum() == NUM * FIRST
        assert (counts.sum(axis=1) == NUM // 16 * FIRST).all()
    assert made["department"]["labels"] == ["GROCERY", "PRODUCE", "MEAT", "DELI", OTHERS]


def test_a_shop_with_few_customers_is_not_compared():
    customer, chance, own, department, _ = lists(2)
    few = customer < 159
    assert profile(customer[few], chance[few], own[few], department[few], 159) is None
    assert len(profile(customer[few], chance[few], own[few], department[few], 160)["own"]["counts"]) == 8


@pytest.mark.parametrize("seed", range(3, 9))
def test_other_draws_of_the_same_lists_are_no_drift(seed):
    comparison = compare(profile(*lists(2)), profile(*lists(seed)), 0.02, 17)
    assert not any(column["drifted"] for column in comparison["columns"])
    assert comparison["words"].startswith("predictions are as they were")


def test_collapsed_missing_and_shifted_probabilities_are_found():
    reference = profile(*lists(2))
    for made in (lists(3, chance=0.2), lists(3, chance=np.nan), lists(3, shift=0.15)):
        comparison = compare(reference, profile(*made), 0.02, 17)
        assert [column["name"] for column in comparison["columns"] if column["drifted"]] == ["probability"]
        assert comparison["columns"][0]["distance"] > MODERATE
        assert comparison["words"].startswith("predictions drifted: probability of what is recommended: ")
    assert f"“{NO_CHANCE}” 0.0% before, 100.0% now" in compare(reference, profile(*lists(3, np.nan)), 0.02, 17)["words"]


def test_departments_that_the_reference_did_not_have_count_as_others():
    customer, chance, own, department, num = lists(3)
    department = np.where(department == "PRODUCE", "TOYS", department)
    comparison = compare(profile(*lists(2)), profile(customer, chance, own, department, num), 0.02, 17)
    [drifted] = [column for column in comparison["columns"] if column["drifted"]]
    assert drifted["name"] == "department"


def test_a_shop_that_grew_into_other_groups_is_not_compared():
    customer, chance, own, department, _ = lists(2)
    few = customer < 200
    small = profile(customer[few], chance[few], own[few], department[few], 200)
    assert compare(small, profile(*lists(2)), 0.02, 17)["columns"] == []
