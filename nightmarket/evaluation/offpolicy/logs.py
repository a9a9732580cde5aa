"""The log of a randomized policy: actions, propensities and rewards."""

from dataclasses import dataclass, field, replace

import numpy as np

from nightmarket.contracts import InputError
from nightmarket.contracts.arrays import Bools, Float64s, Int64s


@dataclass(frozen=True)
class Log:
    """N decisions among A actions.

    context      (N, F)  what the policy knew; F may be 0
    action       (N,)    what it chose, 0 to A - 1
    reward       (N,)    what came of it: 1 for a click, or currency
    propensity   (N,)    probability with which it chose that action then, in (0, 1], written down when it did
    num_actions  A
    unit         (N,)    whose decision it was, integers: a customer's rows hang together; each row its own if left out
    row          (N,)    the decision's number, each once; 0 to N - 1 if left out
    time         (N,)    when it was decided, in any unit; in the order of the rows if left out
    eligible     (N, A)  which actions the decision could have chosen; if left out nothing is known of it

    Raises InputError on arrays that do not fit and values outside their bounds.
    """

    context: Float64s
    action: Int64s
    reward: Float64s
    propensity: Float64s
    num_actions: int
    unit: Int64s = field(default_factory=lambda: np.zeros(0, np.int64))
    row: Int64s = field(default_factory=lambda: np.zeros(0, np.int64))
    time: Float64s = field(default_factory=lambda: np.zeros(0))
    eligible: Bools | None = None

    def __post_init__(self) -> None:
        """Check, and number rows and units where they are not."""
        num = self.action.size
        for name in ("unit", "row", "time"):
            if getattr(self, name).size == 0 and num:
                object.__setattr__(self, name, np.arange(num))
        if num == 0:
            raise InputError("the log is empty")
        if self.context.ndim != 2:
            raise InputError(f"log: context has {self.context.ndim} axes, it must have rows and columns")
        for name in ("context", "reward", "propensity", "unit", "row", "time"):
            values = getattr(self, name)
            if values.shape[0] != num:
                raise InputError(f"log: {name} has {values.shape[0]} rows, action has {num}; they must be the same")
            _refuse(~np.isfinite(values).reshape(num, -1).all(axis=1), name, "are not finite")
        _refuse((self.action < 0) | (self.action >= self.num_actions), "action", f"are not 0 to {self.num_actions - 1}")
        _refuse((self.propensity <= 0) | (self.propensity > 1), "propensity", "do not lie in (0, 1]")
        if np.unique(self.row).size < num:
            raise InputError(
                f"log: {num - np.unique(self.row).size} numbers of rows repeat; each decision needs its own"
            )
        if self.eligible is not None:
            if self.eligible.shape != (num, self.num_actions):
                shape = (num, self.num_actions)
                raise InputError(f"log: eligible is {self.eligible.shape}, the log is {shape}; they must be the same")
            _refuse(~self.eligible[np.arange(num), self.action], "action", "are not eligible")

    def __len__(self) -> int:
        return int(self.action.size)

    def where(self, mask: Bools) -> "Log":
        """The rows where the mask (N,) is true, with their units and numbers."""
        names = ("context", "action", "reward", "propensity", "unit", "row", "time")
        eligible = None if self.eligible is None else self.eligible[mask]
        return replace(self, eligible=eligible, **{name: getattr(self, name)[mask] for name in names})

    def halves(self, seed: int) -> tuple["Log", "Log"]:
        """Two disjoint logs of about half the units each; no unit is in both."""
        units, place = np.unique(self.unit, return_inverse=True)
        first = np.random.default_rng(seed).permutation(units.size)[place] < units.size // 2
        if first.all() or not first.any():
            raise InputError("log: one unit alone cannot be split into two halves")
        return self.where(first), self.where(~first)


def check_target(log: Log, target: Float64s) -> None:
    """Raises InputError unless `target` (N, A) holds a probability per action that sum to 1."""
    if target.shape != (len(log), log.num_actions):
        raise InputError(f"the policy's probabilities are {target.shape}, the log is {(len(log), log.num_actions)}")
    bad = ~np.isfinite(target).all(axis=1) | (target < 0).any(axis=1) | (np.abs(target.sum(axis=1) - 1) > 1e-6)
    _refuse(bad, "the policy's probabilities", "are no distribution")


def weights(log: Log, target: Float64s) -> Float64s:
    """(N,) probability of the logged action under the target over that under the log."""
    return target[np.arange(len(log)), log.action] / log.propensity


def _refuse(bad: Bools, name: str, what: str) -> None:
    if bad.any():
        raise InputError(f"log: {int(bad.sum())} values of {name} {what}, the first in row {int(bad.argmax())}")
