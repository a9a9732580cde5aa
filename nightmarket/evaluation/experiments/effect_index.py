"""The campaign effect index: clicks over impressions, and what came of the clicks, per strategy."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from nightmarket.contracts.arrays import Float64s
from nightmarket.contracts.privacy import MIN_GROUP
from nightmarket.evaluation.experiments.effects import Bounds, linearised


@dataclass(frozen=True)
class Rate:
    """A ratio of two sums over customers with its 95% interval; None where it cannot be computed."""

    value: float
    interval: Bounds | None

    def content(self) -> dict[str, Any]:
        """As JSON keeps it."""
        low, high = self.interval or (None, None)
        return {"value": self.value, "low": low, "high": high}


@dataclass(frozen=True)
class Strategy:
    """One strategy or arm.

    click_through    clicks / impressions
    conversion       responses / clicks
    response         responses / impressions
    index            100 x click_through / click_through of all strategies together; without clicks, of `response`.
                     Its interval takes the level of all strategies as known
    Each rate is None where its denominator is 0.
    """

    name: str
    customers: int
    impressions: int
    clicks: int
    responses: int
    click_through: Rate | None
    conversion: Rate | None
    response: Rate | None
    index: Rate | None

    def content(self) -> dict[str, Any]:
        """As JSON keeps it."""
        rates = ("click_through", "conversion", "response", "index")
        rates_content = {name: figure.content() if (figure := getattr(self, name)) else None for name in rates}
        return asdict(self) | rates_content


def effect_index(
    strategy: NDArray[np.object_], impressions: Float64s, clicks: Float64s, responses: Float64s
) -> list[Strategy]:
    """Rates per strategy, with intervals that count a customer's impressions as one cluster (delta method).

    All arrays (R,): one row per customer and strategy. A comparison of strategies here is descriptive: only an
    experiment says which one is better. Strategies that reached fewer than 20 customers are left out.
    """
    by_click = bool(clicks.sum() > 0)
    overall = rate(clicks if by_click else responses, impressions)
    strategies = []
    for name in sorted({str(name_of) for name_of in strategy}):
        rows = strategy == name
        if rows.sum() < MIN_GROUP:
            continue
        shown, clicked, responded = impressions[rows], clicks[rows], responses[rows]
        click_through, response = rate(clicked, shown), rate(responded, shown)
        strategies.append(
            Strategy(
                name=name,
                customers=int(rows.sum()),
                impressions=int(shown.sum()),
                clicks=int(clicked.sum()),
                responses=int(responded.sum()),
                click_through=click_through if by_click else None,
                conversion=rate(responded, clicked) if by_click else None,
                response=response,
                index=_index(click_through if by_click else response, overall),
            )
        )
    return strategies


def rate(numerator: Float64s, denominator: Float64s) -> Rate | None:
    """Σ numerator / Σ denominator over customers (C,), with its 95% interval on the logarithm's scale.

    Without a numerator the interval runs from 0 to what the rule of three gives over customers.
    """
    if denominator.sum() <= 0:
        return None
    values = linearised(numerator, denominator)
    ratio = float(numerator.sum() / denominator.sum())
    if ratio == 0:
        return Rate(0.0, Bounds(0.0, 3.0 / int((denominator > 0).sum())))
    if values.size < 2:
        return Rate(ratio, None)
    spread = float(norm.isf(0.025)) * float(np.sqrt(values.var(ddof=1) / values.size)) / ratio
    return Rate(ratio, Bounds(ratio * float(np.exp(-spread)), ratio * float(np.exp(spread))))


def _index(own: Rate | None, overall: Rate | None) -> Rate | None:
    if own is None or overall is None or overall.value == 0:
        return None
    scale = 100 / overall.value
    interval = own.interval and Bounds(own.interval.low * scale, own.interval.high * scale)
    return Rate(own.value * scale, interval)
