"""The hold-out of a plan: drawn among those who would be contacted, so that a small campaign has one too."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nightmarket.contracts.arrays import Bools, Int64s
from nightmarket.delivery.campaign import CampaignPlan, Options, draws, kept_back, plan

ROUNDS = 4
"""Plans that are made at most until enough of those who would be contacted are kept back."""


@dataclass(frozen=True)
class Held:
    """A plan with its hold-out.

    chosen  (E,)  who is contacted, or would be were they not kept back: among these the arms are compared
    held    (E,)  those of them who are kept back
    share   the chance that each of them had to be kept back
    """

    plan: CampaignPlan
    chosen: Bools
    held: Bools
    share: float

    @classmethod
    def nobody(cls, num: int, share: float) -> "Held":
        """Nothing is sent to any of `num` customers."""
        none = np.zeros(num, bool)
        return cls(CampaignPlan.empty(), none, none, share)


def with_holdout(options: Options, eligible: Int64s, ids: Sequence[str], name: str, share: float) -> Held:
    """Plan with the customers of lowest draw kept back: `share` of everybody, which among those who would be contacted
    is the same share, give or take chance; and more where fewer than half of that, or nobody, came of it.

    eligible, ids  (E,)  customers, and what their draw is made of together with the plan's name
    """
    draw, held, used = draws(ids, name), kept_back(ids, name, share), share
    for _ in range(ROUNDS):
        made = plan(options, eligible, held)
        chosen = np.isin(eligible, made.contacts.customer)
        kept, sent = chosen & held, np.flatnonzero(chosen & ~held)
        num = int(chosen.sum())
        missing = max(1, int(share * num / 2)) - int(kept.sum())
        if missing <= 0 or sent.size < 2:
            break
        held = draw <= np.sort(draw[sent])[min(missing, sent.size - 1) - 1]
        used = max(share, (int(kept.sum()) + missing) / num)
    return Held(made, chosen, kept, used)
