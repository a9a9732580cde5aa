"""A campaign that learns while it runs: 14 days, offers that stop working or start to, and what its log says of it.

Three groups of customers, six offers, a period of feedback every two hours of twelve. Oracle: the best offer of each
group at that time. Loss: expected clicks short of the oracle's, with the chances that were used.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from bench.abuse.figures import Figure
from nightmarket.contracts.arrays import Float64s, Int64s
from nightmarket.delivery.feedback import Feedback
from nightmarket.evaluation.offpolicy.evaluation import evaluate
from nightmarket.evaluation.offpolicy.logs import Log

GROUPS, OFFERS, DAYS, PERIODS = 3, 6, 14, 6
LEARNED = 7
"""Days after which the loss counts."""
STOPS = 9
"""Day from which a world is another."""
World = Callable[[np.random.Generator], Callable[[int], Float64s]]
"""draws → day → true rates (G, A)."""


def _rates(rng: np.random.Generator) -> Float64s:
    return np.clip(0.04 * np.exp(rng.normal(0, 0.5, (1, OFFERS)) + rng.normal(0, 0.3, (GROUPS, OFFERS))), 0.002, 0.5)


def _steady(rng: np.random.Generator) -> Callable[[int], Float64s]:
    rates = _rates(rng)
    return lambda day: rates


def _stops(rng: np.random.Generator) -> Callable[[int], Float64s]:
    """The offer that most groups like best is out of stock from day STOPS on."""
    rates = _rates(rng)
    gone = rates.copy()
    gone[:, np.bincount(rates.argmax(axis=1), minlength=OFFERS).argmax()] = 0
    return lambda day: gone if day >= STOPS else rates


def _halves(rng: np.random.Generator) -> Callable[[int], Float64s]:
    """The offer that most groups like best wears out."""
    rates = _rates(rng)
    best = np.bincount(rates.argmax(axis=1), minlength=OFFERS).argmax()
    worn = np.where(np.arange(OFFERS) == best, rates * 0.4, rates)
    return lambda day: worn if day >= STOPS - 2 else rates


def _all_fall(rng: np.random.Generator) -> Callable[[int], Float64s]:
    """Everything earns half on the last days; the order stays."""
    rates = _rates(rng)
    return lambda day: rates / 2 if day >= STOPS else rates


WORLDS: dict[str, World] = {
    "nothing changes": _steady,
    "the best offer stops": _stops,
    "the best offer wears out": _halves,
    "all offers earn half": _all_fall,
}


@dataclass(frozen=True)
class Campaign:
    """How one went: loss (DAYS,) by day, stopped (DAYS,) share that offer got which earns nothing, and the log."""

    loss: Float64s
    stopped: Float64s
    log: Log
    group: Int64s


def campaign(world: World, seed: int, per_day: int = 1800) -> Campaign:
    """One campaign of 14 days."""
    rng = np.random.default_rng([3, seed])
    rates_on = world(rng)
    feedback = Feedback.empty(GROUPS, OFFERS)
    loss, stopped, rows = np.zeros(DAYS), np.zeros(DAYS), []
    for day in range(DAYS):
        rates = rates_on(day)
        for period in range(PERIODS):
            policy = feedback.thompson()
            group = rng.integers(0, GROUPS, per_day // PERIODS)
            drawn = policy.choose(group, rng)
            reward = (rng.random(group.size) < rates[group, drawn.action]).astype(np.float64)
            chances = policy.probabilities(group)
            best = rates.max(axis=1)[group]
            loss[day] += (best - (chances * rates[group]).sum(axis=1)).sum() / (best.mean() * per_day)
            stopped[day] += (chances * (rates[group] == 0)).sum() / per_day
            rows.append((group, drawn.action, reward, drawn.propensity, np.full(group.size, day * PERIODS + period)))
            feedback = feedback.after(group, drawn.action, reward)
    group, action, reward, propensity, time = (np.concatenate(part) for part in zip(*rows, strict=True))
    context = np.eye(GROUPS)[group]
    log = Log(context, action, reward, propensity, OFFERS, time=time.astype(np.float64))
    return Campaign(loss, stopped, log, group)


def covered(seed: int) -> tuple[bool, bool]:
    """Whether the log of a steady campaign is judged, and DR's interval holds the truth of the policy that gives each
    group the offer that is truly best for most of them."""
    rates = _steady(np.random.default_rng([3, seed]))(0)
    ran = campaign(_steady, seed)
    target = np.tile(np.eye(OFFERS)[rates.mean(axis=0).argmax()], (len(ran.log), 1)) * 0.9 + 0.1 / OFFERS
    truth = float((target * rates[ran.group]).sum(axis=1).mean())
    verdict = evaluate(ran.log, target, seed)
    estimate = verdict.of("DR")
    if estimate.low is None or estimate.high is None:
        return False, False
    return verdict.verdict != "refused", bool(estimate.low <= truth <= estimate.high)


def figures(*, quick: bool) -> Iterator[Figure]:
    """Losses, and what the read-out says."""
    num = 4 if quick else 40
    for name, world in WORLDS.items():
        ran = [campaign(world, seed) for seed in range(num)]
        # the days on which the world becomes another one are those that it needs to notice
        settled = [day for day in range(LEARNED, DAYS) if name == "nothing changes" or day not in (LEARNED, STOPS)]
        loss = float(np.mean([past.loss[settled] for past in ran]))
        # when all offers earn half, each looks new: what is learned again is counted against half of the clicks
        yield Figure(
            "bandit", f"{name}: loss against the oracle after day 7, share", loss, 0.2 if world is _all_fall else 0.1
        )
        if world is _stops:
            late = float(np.max([past.stopped[STOPS + 1 :] for past in ran]))
            yield Figure("bandit", f"{name}: share of contacts that it gets a day later, at most", late, 0.1)
    judged = np.array([covered(seed) for seed in range(6 if quick else 60)])
    yield Figure(
        "bandit",
        "steady: DR's 95% interval holds the truth",
        float(judged[:, 1].mean()),
        0.8 if quick else 0.9,
        most=False,
    )
    yield Figure("bandit", "steady: the log is judged", float(judged[:, 0].mean()), 0.6 if quick else 0.95, most=False)
