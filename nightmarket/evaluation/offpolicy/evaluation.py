"""Every estimate of a policy side by side, and the verdict: certified better, or not, and why."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from nightmarket.contracts import InputError
from nightmarket.contracts.arrays import Float64s, Int64s
from nightmarket.evaluation.offpolicy.diagnostics import Diagnostics, Refusal, diagnose
from nightmarket.evaluation.offpolicy.estimators import (
    FEW_CLICKS,
    ValueEstimate,
    cross_fitted,
    direct,
    doubly_robust,
    importance,
    normal,
    scores,
    self_normalised,
    standard_error,
    switch_doubly_robust,
)
from nightmarket.evaluation.offpolicy.logs import Log, check_target

MODEL_ERRS = 2.576
"""Standard errors between DM and DR beyond which the reward model is said to err: a true one does in 1% of logs."""


@dataclass(frozen=True)
class PolicyEvaluation:
    """What a log says about a policy.

    estimates    IPS, SNIPS, DM, DR and switch-DR, in the reward's unit per decision
    logging      what the logging policy earned, the same
    difference   DR less that, row by row
    model_errs   DM and DR differ by more than chance: the reward model is wrong for this policy, DM is not to be used
    refusals     why no verdict may be given; empty where one may
    verdict      "certified better", "not certified", or "refused"
    words        one sentence for people
    """

    estimates: tuple[ValueEstimate, ...]
    logging: ValueEstimate
    difference: ValueEstimate
    model_errs: bool
    diagnostics: Diagnostics
    refusals: tuple[Refusal, ...]
    verdict: Literal["certified better", "not certified", "refused"]
    words: str

    def of(self, name: str) -> ValueEstimate:
        """The estimate called `name`; KeyError if there is none."""
        for estimate in self.estimates:
            if estimate.name == name:
                return estimate
        raise KeyError(name)

    def to_json(self) -> dict[str, Any]:
        """Plain dicts, lists and numbers."""
        return asdict(self)


def evaluate(
    log: Log, target: Float64s, seed: int, chosen_on: Int64s | None = None, q: Float64s | None = None
) -> PolicyEvaluation:
    """Estimate the value of a policy and say whether it is certified better than the one that logged.

    target     (N, A)  the policy's probabilities in the log's contexts
    chosen_on  numbers (`Log.row`) of the rows that the policy was learned or picked on; None where it was fixed before
               any. A row that is in the log too gives a refusal: a policy is not judged on what chose it
    q          (N, A)  expected rewards by a model that did not see these rows; None fits one, cross-fitted

    Certified is what has no refusal and a difference to the logging policy whose interval lies above zero; with fewer
    than 100 effective clicks the gamma interval of IPS must lie above the logged mean as well. Raises InputError where
    `target` is no distribution.
    """
    check_target(log, target)
    q = cross_fitted(log, seed) if q is None else q
    if q.shape != target.shape or not np.isfinite(q).all():
        raise InputError(f"expected rewards are {q.shape}, or not finite; they must be finite and {target.shape}")
    estimates = (
        importance(log, target),
        self_normalised(log, target),
        direct(log, target, q),
        doubly_robust(log, target, q),
        switch_doubly_robust(log, target, q),
    )
    logging = normal("logging", float(log.reward.mean()), log.reward, log.unit)
    score = scores(log, target, q)
    gain = score - log.reward
    difference = normal("DR less logging", float(gain.mean()), gain, log.unit)
    apart = score - (target * q).sum(axis=1)
    errs = bool(abs(apart.mean()) > MODEL_ERRS * standard_error(apart, log.unit))
    diagnostics = diagnose(log, target, seed)
    refusals = (*diagnostics.refusals(), *_seen(log, chosen_on))
    better = difference.low is not None and difference.low > 0
    if better and diagnostics.effective_clicks < FEW_CLICKS:
        floor = estimates[0].low
        better = floor is not None and floor > logging.value
    verdict: Literal["certified better", "not certified", "refused"] = (
        "refused" if refusals else "certified better" if better else "not certified"
    )
    return PolicyEvaluation(
        estimates, logging, difference, errs, diagnostics, refusals, verdict,
        _words(verdict, difference, refusals, estimates, errs),
    )  # fmt: skip


def _seen(log: Log, chosen_on: Int64s | None) -> tuple[Refusal, ...]:
    if chosen_on is None:
        return ()
    num = int(np.isin(log.row, chosen_on).sum())
    words = f"{num:,} of {len(log):,} rows also chose the policy; it must be judged on others"
    return (Refusal("same data", float(num), 0.0, words),) if num else ()


def _words(
    verdict: str,
    difference: ValueEstimate,
    refusals: tuple[Refusal, ...],
    estimates: tuple[ValueEstimate, ...],
    errs: bool,
) -> str:
    gain = f"{difference.value:+.4g} [{difference.low:+.4g}, {difference.high:+.4g}] per decision"
    if refusals:
        said = f"No verdict, collect more exploration: {'; '.join(refusal.words for refusal in refusals)}."
    elif verdict == "certified better":
        said = f"Certified better than the policy that logged: {gain}."
    else:
        said = f"Not certified: the difference to the policy that logged may be zero or less, {gain}."
    if errs:
        said += f" The reward model errs: DM says {estimates[2].value:.4g}, DR {estimates[3].value:.4g}; do not use DM."
    return said
