"""What a row of the table `suppressions` closes: which channels, and whether it objects to profiling."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from nightmarket.contracts.arrays import Bools
from nightmarket.intake.headers import plain
from nightmarket.intake.vocabulary import CHANNELS, OBJECTED


def objections(reasons: pd.Series) -> Bools:
    """(N,) whether the reason is an objection to profiling."""
    return np.array([isinstance(reason, str) and plain(reason) in OBJECTED for reason in reasons], bool)


def closes(named: pd.Series, channels: Sequence[str]) -> Bools:
    """(N, H) which of the channels each row closes: the one that it names, or all of them where it names none, or
    something that is no channel that anybody knows.

    named  (N,)  text or null
    """
    ours = [plain(channel) for channel in channels]
    rows = {name: _closes(name, ours) for name in {*named[named.notna()].astype(str)}}
    everything = [True] * len(ours)
    return np.array([rows.get(name, everything) for name in named], bool).reshape(len(named), len(ours))


def _closes(named: str, ours: Sequence[str]) -> list[bool]:
    channel = plain(named)
    if channel not in ours and channel not in CHANNELS:
        return [True] * len(ours)
    return [channel == name for name in ours]
