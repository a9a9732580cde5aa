"""Launch audiences: the share of buyers that an audience holds, and the design of a test of the contacts.

Shapes: C customers, P products, L earlier launches, N pairs of a customer and an earlier launch.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nightmarket.contracts import InputError
from nightmarket.contracts.arrays import Bools, Float64s, Int32s, Int64s
from nightmarket.delivery.campaign import ContactRows
from nightmarket.evaluation.experiments.design import ControlOutcome, Rule, minimum_detectable_effect, sample_size

STEPS = (0.02, 0.05, 0.1, 0.2, 0.3, 0.5)
"""Shares of the customers that the table of audiences shows."""


def audience(chance: Float64s, reach: float) -> Int64s:
    """(E,) the fewest customers who hold the share `reach` of all expected buyers, ascending.

    chance  (C,)  expected purchases of a customer, summed over the products
    """
    total = float(chance.sum())
    if total <= 0:
        return np.zeros(0, np.int64)
    order = np.argsort(-chance, kind="stable")
    num = int(np.searchsorted(np.cumsum(chance[order]), reach * total * (1 - 1e-12))) + 1
    return np.sort(order[:num]).astype(np.int64)


def standing(score: Float64s, bought: Bools, weight: Float64s, launch: Int32s) -> Float64s:
    """(B,) for each bought pair, the share of the launch's customers who stand above the buyer; ties count half.

    score   (N,)  of the pair; comparable across the customers of a launch
    weight  (N,)  how many pairs a row stands for, where those not bought are a sample
    launch  (N,)  which launch

    Buyers do not stand in each other's way: only pairs not bought are counted. A launch without any is left out.
    """
    order = np.lexsort((score, launch))
    shares = []
    for rows in np.split(order, np.flatnonzero(np.diff(launch[order])) + 1):
        others = rows[~bought[rows]]
        below = np.concatenate([[0.0], np.cumsum(weight[others])])
        if below[-1] > 0:
            mine = score[rows[bought[rows]]]
            low, high = (np.searchsorted(score[others], mine, side=side) for side in ("left", "right"))
            shares.append(1 - (below[low] + below[high]) / (2 * below[-1]))
    return np.concatenate(shares) if shares else np.zeros(0)


def sizes(chance: Float64s, standings: Float64s) -> list[dict[str, float | int | None]]:
    """What audiences of several sizes hold: customers, expected buyers, their share, and the share that customers who
    stood so high held of the buyers of earlier launches (None where there were none)."""
    ranked = np.sort(chance)[::-1]
    rows: list[dict[str, float | int | None]] = []
    for share in STEPS:
        num = max(round(share * ranked.size), 1)
        expected = float(ranked[:num].sum())
        held = float((standings < share).mean()) if standings.size else None
        total = float(ranked.sum())
        rows.append(
            {
                "customers": num,
                "expected_buyers": expected,
                "share_expected": expected / total if total else 0.0,
                "share_held_by_earlier_launches": held,
            }
        )
    return rows


@dataclass(frozen=True)
class Design:
    """What comparing the contacted with those kept back can find.

    rate      expected share of buyers among those kept back
    smallest  rise of that share that is found with a chance of 80%, looked at every night; None: none would be
    doubling  customers, both arms together, that would find a doubling; None where the share is too high to double
    """

    num: int
    holdout: float
    rate: float
    smallest: float | None
    doubling: int | None

    @classmethod
    def of_plan(cls, contacts: ContactRows, num: int, holdout: float) -> "Design":
        """The design of a plan with `num` customers in both arms; they are expected to buy as those contacted are."""
        sent = contacts.where(contacts.sent)
        return cls.of(num, holdout, float(sent.probability.mean()) if len(sent) else 0.0)

    @property
    def measurable(self) -> bool:
        """Whether at least a doubling would be found, or any effect where the share is too high to double."""
        return self.smallest is not None and (self.smallest <= self.rate or self.doubling is None)

    @classmethod
    def of(cls, num: int, holdout: float, rate: float) -> "Design":
        """The design of a test with `num` customers of whom the share `holdout` is kept back."""
        if not 0 < rate < 1:
            return cls(num, holdout, rate, None, None)
        outcome, rule = ControlOutcome(mean=rate, proportion=True), Rule(share=1 - holdout)
        try:
            smallest = minimum_detectable_effect(outcome, num, rule=rule)
        except InputError:
            smallest = None
        doubling = sample_size(outcome, rate, rule=rule) if rate < 0.5 else None
        return cls(num, holdout, rate, smallest, doubling)

    def words(self) -> str:
        """For the person who approves."""
        if not 0 < self.rate < 1:
            return "Nobody is expected to buy without the contact, so no test can be designed."
        base = f"Test: {self.num:,} customers, {self.holdout:.0%} of them kept back, {self.rate:.2%} expected to buy."
        more = f" A doubling needs {self.doubling:,} customers." if self.doubling else ""
        if self.smallest is None:
            return f"{base} So few can show no effect at all (power 80%).{more}"
        times = (self.rate + self.smallest) / self.rate
        smallest = f"a rise to {self.rate + self.smallest:.2%} ({times:.1f} times)"
        return f"{base} The smallest effect that this finds with power 80% is {smallest}.{more}"


def words(summary: dict[str, Any], design: Design, facts: dict[str, Any], notes: Sequence[str]) -> list[str]:
    """Sentences for the person who approves the plan of a launch.

    facts  launches, buyers, expected, weeks, unseen, low, high: the earlier launches that chances were calibrated on,
           their buyers, the buyers expected before calibration, whether the model had not learned from these weeks,
           and buyers of a launch, the 10th and 90th of 100; promotion_plan: whether chances know the displays and
           mailers of the weeks ahead
    """
    if summary["empty_because"]:
        return [f"Nothing is sent: {summary['empty_because']}.", *notes]
    sentences = (
        []
        if design.measurable
        else ["The effect of this launch cannot be measured: not even a doubling of buyers would be found."]
    )
    sentences.append(
        f"{summary['num_contacts']:,} contacts to {summary['num_sent']:,} of an audience of "
        f"{summary['num_eligible']:,}; {summary['num_holdout']:,} are kept back at random."
    )
    if summary["expected_profit"] < 0:
        sentences.append(
            "The contacts cost more than the margin on what this audience is expected to buy; whether they make up for "
            "it only the test can show."
        )
    if facts.get("launches"):
        seen = "" if facts["unseen"] else ", which the model had learned from"
        sentences.append(
            f"Calibrated: the chance to buy within {_span(facts['days'])} of coming on sale, on the "
            f"{facts['launches']:,} launches of the last {_span(facts['days'])}{seen} "
            f"(expected {facts['expected']:,.0f} buyers before calibration, {facts['buyers']:,} bought)."
        )
        sentences.append(
            f"Not calibrated: how many buyers one product finds. Of 100 earlier launches, 80 found {facts['low']:.0f} "
            f"to {facts['high']:.0f}; a product that nobody bought at all is not among them."
        )
    else:
        sentences.append(
            "Nothing is calibrated: there is no earlier launch to hold the chances against. Trust the order alone."
        )
    if facts.get("promotion_plan"):
        sentences.append("The chances rest on the displays and mailers planned for the weeks ahead as well.")
    sentences.append("Not known: what a contact adds. The chances are those of customers whom nobody contacts.")
    return [*sentences, design.words(), *notes]


def _span(days: int) -> str:
    """28 → "4 weeks", 10 → "10 days"."""
    return f"{days} days" if days % 7 else f"{days // 7} weeks"
