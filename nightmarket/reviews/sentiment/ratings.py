"""Which ratings are praise? Labels for the sentiment of texts, from the retailer's own stars."""

from dataclasses import dataclass

import numpy as np

from nightmarket.contracts.arrays import Bools, Float64s

SCALES = ((0.0, 1.0), (-1.0, 1.0), (1.0, 5.0), (0.0, 5.0), (1.0, 10.0), (0.0, 10.0), (0.0, 100.0))
"""Scales in use, the narrower first: thumbs, stars, points, per cent."""


@dataclass(frozen=True)
class Labels:
    """rated (N,): whether the rating says something; positive (N,): whether it is above the middle (False where not
    rated); lowest and highest: ends of the scale, NaN without ratings; num_middle: ratings exactly in the middle."""

    rated: Bools
    positive: Bools
    lowest: float
    highest: float
    num_middle: int


def labels(rating: Float64s) -> Labels:
    """Above or below the middle of the scale; a rating in the middle (3 of 1-5 stars) takes no side and is no label.

    rating  (N,)  NaN where the customer gave none

    The scale is the first of SCALES that holds all ratings, else their own least and largest: a shop whose ratings are
    all 4 and 5 has five stars, and no complaints, rather than a scale of two. A shop that writes 0 for "not rated"
    must leave these empty, or they are complaints.
    """
    known = rating[np.isfinite(rating)]
    if not known.size:
        nothing = np.zeros(rating.size, np.bool_)
        return Labels(nothing, nothing, np.nan, np.nan, 0)
    least, largest = float(known.min()), float(known.max())
    fitting = ((low, high) for low, high in SCALES if low <= least and largest <= high)
    lowest, highest = next(fitting, (least, largest))
    middle = (lowest + highest) / 2
    rated = np.isfinite(rating) & (rating != middle)
    return Labels(rated, rated & (rating > middle), lowest, highest, int((known == middle).sum()))
