"""The outlook of every customer tonight, and the same made on an earlier cut, whose truth is known by now.

Windows of `horizon` days lie one behind the other: on the first corrections are learned, on the second one is chosen,
the third judges, and what follows the history is what is asked. Shapes: R customers.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from nightmarket.care import correction, reckoning
from nightmarket.care.correction import QUANTITIES, Correction, Quantity, Sample, Way
from nightmarket.care.features import Looks, features
from nightmarket.care.reckoning import LEVEL, Fitted, Reckoning
from nightmarket.care.records import PurchaseDays, PurchaseRecords, WindowOutcomes, outcomes, records
from nightmarket.contracts.arrays import Float64s

BEFORE = 3
"""Windows that are over by tonight."""


@dataclass(frozen=True)
class CustomerOutlook:
    """What is expected of the customers of a cut in the `horizon` days after it.

    expected  per quantity (R,): chance of a purchase, purchases, spend
    spans     per quantity but the chance (R, 2): between which LEVEL of the customers like this one end
    reckoned  what BG/NBD and gamma-gamma say
    """

    known: PurchaseRecords
    reckoned: Reckoning
    expected: Mapping[Quantity, Float64s]
    spans: Mapping[Quantity, Float64s]


@dataclass(frozen=True)
class OutlookTrial:
    """An outlook on the last window that is over, with what came, and what recency x frequency said of it."""

    outlook: CustomerOutlook
    came: WindowOutcomes
    cells: Mapping[Quantity, Float64s]

    @property
    def last_day(self) -> int:
        """Of the window."""
        return self.outlook.known.cut + int(self.outlook.reckoned.horizon)


@dataclass(frozen=True)
class Care:
    """Tonight's outlook, how it was made, and the trial; None where the window before could not be told."""

    outlook: CustomerOutlook
    fitted: Fitted
    ways: Mapping[Quantity, Way]
    trial: OutlookTrial | None


@dataclass(frozen=True)
class _Origin:
    """A cut with the models fitted at it; of the last one nothing came yet."""

    fitted: Fitted
    sample: Sample


def care(
    days: PurchaseDays, looks: Looks | None, end: int, now: int, horizon: int, seed: int, *, ahead: int | None = None
) -> Care | str:
    """Learn, choose, try and foretell; why nothing can be told where nothing can.

    end, now  last day of the windows that are over, and of the history: what comes after `now` is asked
    horizon   days of a window
    ahead     days that are foretold after `now`, by BG/NBD alone where a window has another length: what was learned of
              eight weeks does not hold for forty; None: as many as a window has
    """
    cuts = [end - horizon * number for number in range(BEFORE, 0, -1)]
    first, second, third = (_origin(days, looks, cut, horizon, seed) for cut in cuts)
    last = _origin(days, looks, now, ahead or horizon, seed)
    if isinstance(last, str):
        return last
    past = [origin.sample for origin in (first, second, third) if not isinstance(origin, str)]
    try_on = None if isinstance(second, str) else second.sample
    ways: dict[Quantity, Way] = {}
    for quantity in QUANTITIES:
        learned = None if isinstance(first, str) else correction.learn(quantity, [first.sample])
        ways[quantity] = correction.choose(quantity, learned, try_on)
    if isinstance(third, str):
        ways = _for_span(ways, horizon, ahead)
        return Care(_outlook(last, past, ways, seed), last.fitted, ways, None)
    of_trial = plain = _outlook(third, past[:-1], ways, seed)
    if not isinstance(second, str):
        earlier = [] if isinstance(first, str) else [first.sample]
        of_trial = _widened(plain, _widening(_outlook(second, earlier, ways, seed), second.sample.came))
    trial = OutlookTrial(of_trial, third.sample.came, _cells(third.sample, past[:-1]))
    ways = _for_span(ways, horizon, ahead)
    tonight = _widened(_outlook(last, past, ways, seed), _widening(plain, third.sample.came))
    return Care(tonight, last.fitted, ways, trial)


def _for_span(ways: dict[Quantity, Way], horizon: int, ahead: int | None) -> dict[Quantity, Way]:
    """The ways for as many days as are foretold."""
    return ways if ahead in (None, horizon) else dict.fromkeys(ways, "bgnbd")


def _origin(days: PurchaseDays, looks: Looks | None, cut: int, horizon: int, seed: int) -> _Origin | str:
    known = records(days, cut)
    fitted = reckoning.fit(known, seed)
    if isinstance(fitted, str):
        return fitted
    reckoned = fitted.reckon(known, horizon)
    came = outcomes(days, known, horizon)
    return _Origin(fitted, Sample(known, reckoned, features(days, looks, known, reckoned), came))


def _outlook(origin: _Origin, past: list[Sample], ways: Mapping[Quantity, Way], seed: int) -> CustomerOutlook:
    """By the chosen ways, learned on the windows before; spans as they are drawn."""
    known, reckoned = origin.sample.known, origin.sample.reckoned
    expected: dict[Quantity, Float64s] = {}
    for quantity in QUANTITIES:
        learned = correction.learn(quantity, past) if past and ways[quantity] != "bgnbd" else None
        expected[quantity] = _by(learned, ways[quantity], quantity, origin.sample)
    lacking = np.maximum(expected["chance"] - expected["purchases"], 0.0)  # each quantity was corrected by itself
    expected["purchases"] = expected["purchases"] + lacking
    expected["value"] = expected["value"] + lacking * reckoned.spend
    purchases, value = origin.fitted.spans(known, reckoned.horizon, seed)
    drawn: dict[Quantity, Float64s] = {"purchases": purchases, "value": value}
    moved = {
        quantity: ends * (expected[quantity] / np.maximum(correction.offset(reckoned, quantity), 1e-12))[:, None]
        for quantity, ends in drawn.items()
    }
    return _widened(CustomerOutlook(known, reckoned, expected, moved), dict.fromkeys(QUANTITIES, 0.0))


def _widened(outlook: CustomerOutlook, widening: Mapping[Quantity, float]) -> CustomerOutlook:
    """With spans that reach farther, hold what is expected, and end at whole purchases."""
    spans: dict[Quantity, Float64s] = {}
    for quantity, ends in outlook.spans.items():
        expected = outlook.expected[quantity]
        reach = widening[quantity] * _unit(expected)
        low = np.minimum(np.maximum(ends[:, 0] - reach, 0), expected)
        spans[quantity] = np.stack([low, np.maximum(ends[:, 1] + reach, expected)], axis=1)
    spans["purchases"] = np.stack([np.floor(spans["purchases"][:, 0]), np.ceil(spans["purchases"][:, 1])], axis=1)
    return replace(outlook, spans=spans)


def _by(learned: Correction | None, way: Way, quantity: Quantity, sample: Sample) -> Float64s:
    return correction.said(sample.reckoned, quantity) if learned is None else learned.predictions(sample)[way]


def _cells(sample: Sample, past: list[Sample]) -> dict[Quantity, Float64s]:
    """What recency x frequency says, which needs a window before."""
    cells = {quantity: correction.recency_frequency(quantity, past, sample) for quantity in QUANTITIES}
    return {quantity: values for quantity, values in cells.items() if values is not None}


def _unit(expected: Float64s) -> Float64s:
    """(R,) by which misses are measured: the root of what is expected, beside everybody's mean."""
    return np.sqrt(expected * max(float(expected.mean()), 1e-12))


def _widening(outlook: CustomerOutlook, came: WindowOutcomes) -> dict[Quantity, float]:
    """How far the spans must reach beyond their ends for LEVEL of what came to lie inside; never inwards.

    Conformalized quantile regression (Romano, Patterson & Candès, 2019) on a window after the one that was learned on.
    """
    out: dict[Quantity, float] = dict.fromkeys(QUANTITIES, 0.0)
    for quantity, ends in outlook.spans.items():
        real = correction.outcome(came, quantity)
        if real.size:
            beyond = np.maximum(ends[:, 0] - real, real - ends[:, 1])
            missed = beyond / np.maximum(_unit(outlook.expected[quantity]), 1e-12)
            level = min(LEVEL * (1 + 1 / real.size), 1.0)
            out[quantity] = max(float(np.quantile(missed, level, method="higher")), 0.0)
    return out
