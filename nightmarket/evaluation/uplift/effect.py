"""The effect of an exposure, and the claim that it supports."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from nightmarket.contracts.arrays import Bools
from nightmarket.evaluation.uplift.checks import Overlap
from nightmarket.evaluation.uplift.doubly_robust import Estimate


@dataclass(frozen=True, kw_only=True)
class Effect:
    """What an exposure did, per customer and in the outcome's unit.

    assignment        "random" where exposure was assigned at random, "observed" where it was not
    naive             exposed less others, unadjusted: what a report without adjustment would say
    on_exposed        the effect on the exposed (ATT); where assignment was random, on all who were assigned
    on_all            the effect on all customers with counterparts (ATE); None where it cannot be estimated
    placebo           as `on_exposed`, in the weeks before the exposure; None if there are none
    negative_control  as `on_exposed`, on an outcome that cannot have moved; None if there is none
    beyond_placebo    `on_exposed` less `placebo`
    verdict           "positive" or "no claim"; "negative" only where assignment was random
    reasons           why there is no claim
    words             one sentence for people
    """

    assignment: Literal["random", "observed"]
    num_exposed: int
    num_others: int
    naive: Estimate | None
    on_exposed: Estimate | None = None
    on_all: Estimate | None = None
    overlap: Overlap | None = None
    placebo: Estimate | None = None
    negative_control: Estimate | None = None
    beyond_placebo: Estimate | None = None
    verdict: Literal["positive", "negative", "no claim"]
    reasons: tuple[str, ...] = ()
    words: str

    def to_json(self) -> dict[str, Any]:
        """Plain dicts, lists and numbers."""
        return asdict(self)


def refused(
    assignment: Literal["random", "observed"],
    exposed: Bools,
    reasons: Sequence[str],
    plain: Estimate | None = None,
    shared: Overlap | None = None,
) -> Effect:
    """No claim and no adjusted figure, for these reasons."""
    return Effect(
        assignment=assignment,
        num_exposed=int(exposed.sum()),
        num_others=int((~exposed).sum()),
        naive=plain,
        overlap=shared,
        verdict="no claim",
        reasons=tuple(reasons),
        words=f"No claim: {'; '.join(reasons)}.",
    )


def around_zero(what: str, effect: Estimate) -> str:
    """Why an estimate whose interval does not lie above zero carries no claim."""
    return f"{what} is not above zero: {figure(effect)}" if effect.high < 0 else f"{what} may be zero: {figure(effect)}"


def figure(effect: Estimate) -> str:
    """value [low, high] for people."""
    places = 0 if max(abs(effect.low), abs(effect.high)) >= 20 else 2
    return f"{effect.value:+,.{places}f} [{effect.low:+,.{places}f}, {effect.high:+,.{places}f}]"
