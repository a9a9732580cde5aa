"""Which offer of the running campaigns a visitor is made: decided in one transaction of the log, so that workers that
decide at the same time never spend more than was approved, and what was acknowledged is there after a kill.

A contact that was planned for a customer and a channel is made when they come, from its day on. The pacer decides
arrival by arrival whether it is worth its cost now, out of what was planned up to the day and is not spent; every
worker tells its own of the arrivals at the others first.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta

import numpy as np

from nightmarket.delivery.pacing import HOURS, Pacer, Profile
from nightmarket.delivery.timing import WEEK
from nightmarket.histories.calendar import day_of
from tasks.live.campaigns import PlannedOffer, RunningCampaign
from tasks.live.log import LiveLog, OfferDecisions, OfferRow

LOOK_BACK = 28
"""Days of earlier arrivals that the pacer learns from."""


@dataclass(frozen=True)
class OfferQuestion:
    """Who asks, under our names, and when at the shop.

    id       of the request, by which an offer is made once
    names    every name of the customer, the present one last
    hour     of the local day, in [0, 24)
    """

    id: bytes
    names: tuple[str, ...]
    channel: str
    at: int
    day: date
    hour: float
    generation: int


@dataclass
class _Paced:
    """One campaign, channel and day: the pacer, and the last arrival that it was told of."""

    pacer: Pacer
    seen: int = 0


@dataclass
class OfferDesk:
    """Decides, by one connection of one thread."""

    log: LiveLog
    campaigns: Sequence[RunningCampaign] = ()
    _paced: dict[tuple[str, str, int], _Paced] = field(default_factory=dict)

    def decide(self, asked: OfferQuestion) -> OfferRow | None:
        """What the visitor is made, now or when this was asked before; None for nothing. On disk when this returns.

        Raises sqlite3.Error where nothing could be written, KeyError where the id belongs to another's question.
        """
        with self.log.deciding() as decisions:
            before = decisions.of(asked.id)
            if before is not None:
                if before.customer not in asked.names or before.channel != asked.channel:
                    raise KeyError("id")
                return before if before.served else None
            made = self._choose(decisions, asked)
            if made.campaign is not None:
                decisions.write(made)
            return made if made.served else None

    def _choose(self, decisions: OfferDecisions, asked: OfferQuestion) -> OfferRow:
        nothing = OfferRow(asked.id, asked.names[-1], None, None, asked.channel, None, asked.at, day_of(asked.day),
                           asked.hour, 0.0, 0.0, 1.0, 0, asked.generation)  # fmt: skip
        made = decisions.made_to(asked.names)
        for campaign in self.campaigns:
            planned = self._open(campaign, asked, made)
            if planned is None or any(
                row.campaign == campaign.name and not row.served and asked.at - row.at < 3600 * 1_000_000
                for row in made
            ):
                continue
            row = nothing._replace(campaign=campaign.name, offer=planned.offer, planned=day_of(planned.day),
                                   value=planned.value, cost=planned.cost, propensity=planned.propensity)  # fmt: skip
            left = campaign.budget - decisions.spent(campaign.name, campaign.channel)
            pacer = self._pacer(decisions, campaign, row.day)
            if row.cost > left:
                continue
            return row._replace(served=int(pacer.wants(asked.hour, row.value, row.cost)))
        return nothing

    def _open(self, campaign: RunningCampaign, asked: OfferQuestion, made: Sequence[OfferRow]) -> PlannedOffer | None:
        """The contact that this customer may get now; None where there is none, or a limit is reached."""
        if campaign.channel != asked.channel or not campaign.first <= asked.day <= campaign.last:
            return None
        contacts = [row for row in made if row.served]
        own = [row for row in contacts if row.campaign == campaign.name]
        week = [row for row in contacts if abs(row.day - day_of(asked.day)) < WEEK]
        if len(own) >= campaign.per_customer or len(week) >= campaign.per_week:
            return None
        if any(row.day == day_of(asked.day) for row in contacts):
            return None
        used = {row.planned for row in own}
        for name in reversed(asked.names):
            for planned in campaign.planned.get(name, ()):
                if planned.day <= asked.day and day_of(planned.day) not in used:
                    return planned
        return None

    def _pacer(self, decisions: OfferDecisions, campaign: RunningCampaign, day: int) -> Pacer:
        """That of the day, told of every arrival up to now."""
        key = campaign.name, campaign.channel, day
        if key not in self._paced:
            self._paced = {known: paced for known, paced in self._paced.items() if known[2] >= day - 1}
            spent = decisions.spent(campaign.name, campaign.channel, before=day)
            due = sum(row.cost for own in campaign.planned.values() for row in own if day_of(row.day) <= day)
            profile = _profile(decisions.arrivals(campaign.name, campaign.channel, day - LOOK_BACK, day), campaign, day)
            self._paced[key] = _Paced(Pacer(profile, max(min(due, campaign.budget) - spent, 0.0)))
        paced = self._paced[key]
        for seq, row in decisions.since(paced.seen, campaign.name, campaign.channel, day):
            paced.pacer.note(row.hour, row.value, row.cost, bool(row.served))
            paced.seen = seq
        return paced.pacer


def _profile(before: Sequence[OfferRow], campaign: RunningCampaign, day: int) -> Profile:
    """From earlier days' arrivals; before there are any, all that was planned, spread evenly over days and hours."""
    if before:
        days = sorted({row.day for row in before})
        counts = np.zeros((len(days), HOURS), np.int64)
        for row in before:
            counts[days.index(row.day), int(row.hour)] += 1
        hour, value, cost = (np.array([getattr(row, name) for row in before]) for name in ("hour", "value", "cost"))
        same = np.array([(known - day) % WEEK == 0 for known in days])
        return Profile.fit(counts, hour, value, cost, same)
    rows = [row for own in campaign.planned.values() for row in own]
    num_days = max((campaign.last - campaign.first) // timedelta(1) + 1, 1)
    order = np.random.default_rng(0).permutation(len(rows))
    value, cost = (np.array([getattr(rows[at], name) for at in order], np.float64) for name in ("value", "cost"))
    slot = np.arange(len(rows)) * num_days * HOURS // max(len(rows), 1)
    counts = np.bincount(slot, minlength=num_days * HOURS).reshape(num_days, HOURS)
    return Profile.fit(counts, (slot % HOURS).astype(np.float64), value, cost, np.zeros(num_days, bool))
