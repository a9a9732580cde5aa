"""Logs that were spoiled so that a worse judge certifies a policy on them, and true logs that must be judged.

The world is that of `tests.made_up.clicks`: ten actions, five features, and a policy that earns far more than the one
that logged, so that nothing but the log's own faults speaks against a certificate. Rows are in the order of time.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from bench.abuse.figures import Figure
from nightmarket.contracts.arrays import Bools, Float64s
from nightmarket.delivery.policies import choose, mixed
from nightmarket.evaluation.offpolicy.evaluation import evaluate
from nightmarket.evaluation.offpolicy.logs import Log
from tests.made_up import clicks

Spoiled = tuple[Log, Float64s]
"""A log, and the target's probabilities (N, A) in its contexts."""


def _drawn(
    rng: np.random.Generator, context: Float64s, policy: Float64s, level: Float64s | float = 1.0, **more: Bools
) -> Log:
    drawn = choose(policy, rng)
    chance = clicks.click_rates(context)[np.arange(len(context)), drawn.action] * level
    reward = (rng.random(len(context)) < chance).astype(np.float64)
    return Log(context, drawn.action, reward, drawn.propensity, policy.shape[1], **more)


def _contexts(rng: np.random.Generator, num: int) -> Float64s:
    return rng.normal(size=(num, clicks.NUM_FEATURES))


def _learning(context: Float64s) -> Float64s:
    """(N, A) a policy that leans to clicks more and more over the log."""
    done = np.linspace(0, 1, len(context))[:, None]
    better = mixed(clicks.softmax(2 * (context @ clicks.SLOPES + clicks.LEVELS)), 0.2)
    return (1 - done) * clicks.logged(context) + done * better


def _true(rng: np.random.Generator, num: int) -> Spoiled:
    context = _contexts(rng, num)
    return _drawn(rng, context, clicks.logged(context)), clicks.target(context)


def _true_of_a_policy_that_learns(rng: np.random.Generator, num: int) -> Spoiled:
    context = _contexts(rng, num)
    return _drawn(rng, context, _learning(context)), clicks.target(context)


def _masked(policy: Float64s, eligible: Bools) -> Float64s:
    allowed = policy * eligible
    return np.asarray(allowed / allowed.sum(axis=1, keepdims=True))


def _true_with_sets(rng: np.random.Generator, num: int, *, told: bool = False) -> Spoiled:
    """A third of the actions is closed to each context, at random; the log need not say which."""
    context = _contexts(rng, num)
    eligible = rng.random((num, clicks.NUM_ACTIONS)) < 0.7
    eligible[:, 0] = True
    log = _drawn(rng, context, _masked(clicks.logged(context), eligible), **({"eligible": eligible} if told else {}))
    return log, _masked(clicks.target(context), eligible)


def _true_with_sets_by_context(rng: np.random.Generator, num: int) -> Spoiled:
    """Two actions are closed to three contexts in ten."""
    context = _contexts(rng, num)
    eligible = np.ones((num, clicks.NUM_ACTIONS), bool)
    eligible[np.ix_(context[:, 0] > 0.52, [0, 8])] = False
    log = _drawn(rng, context, _masked(clicks.logged(context), eligible))
    return log, _masked(clicks.target(context), eligible)


def _true_and_certain_in_a_tenth(rng: np.random.Generator, num: int) -> Spoiled:
    context = _contexts(rng, num)
    only = np.ones((num, clicks.NUM_ACTIONS), bool)
    only[context[:, 1] > 1.28] = np.eye(clicks.NUM_ACTIONS, dtype=bool)[2]
    log = _drawn(rng, context, _masked(clicks.logged(context), only))
    return log, _masked(clicks.target(context), only)


def _falling(rng: np.random.Generator, num: int) -> Spoiled:
    context = _contexts(rng, num)
    return _drawn(rng, context, clicks.logged(context), np.linspace(1, 0.5, num)), clicks.target(context)


def _falling_while_the_policy_learns(rng: np.random.Generator, num: int) -> Spoiled:
    context = _contexts(rng, num)
    return _drawn(rng, context, _learning(context), np.linspace(1, 0.5, num)), clicks.target(context)


def _stepping_down_with_the_policy(rng: np.random.Generator, num: int) -> Spoiled:
    context = _contexts(rng, num)
    late = np.arange(num) >= num // 2
    better = mixed(clicks.softmax(2 * (context @ clicks.SLOPES + clicks.LEVELS)), 0.2)
    policy = np.where(late[:, None], better, clicks.logged(context))
    return _drawn(rng, context, policy, np.where(late, 0.6, 1.0)), clicks.target(context)


def _last_fifth_not_in(rng: np.random.Generator, num: int) -> Spoiled:
    log, target = _true(rng, num)
    return replace(log, reward=np.where(np.arange(num) < 0.8 * num, log.reward, 0.0)), target


def _coming_in(rng: np.random.Generator, num: int, slow: tuple[int, ...] = tuple(range(10))) -> Spoiled:
    """Rewards take a time that is drawn; those of decisions near the end are on their way."""
    log, target = _true(rng, num)
    age = 1 - np.arange(num) / num
    mean = 0.15 if len(slow) == clicks.NUM_ACTIONS else 0.4
    arrived = (rng.exponential(mean, num) < age) | ~np.isin(log.action, slow)
    return replace(log, reward=log.reward * arrived), target


def _later_for_some(rng: np.random.Generator, num: int) -> Spoiled:
    return _coming_in(rng, num, (1, 3, 5, 7))


def _said_twice(rng: np.random.Generator, log: Log, target: Float64s) -> Spoiled:
    """Every row of a log two times, in any order."""
    order = rng.permutation(np.tile(np.arange(len(target)), 2))
    parts = (log.context[order], log.action[order], log.reward[order], log.propensity[order])
    return Log(*parts, num_actions=log.num_actions), target[order]


def _twice(rng: np.random.Generator, num: int) -> Spoiled:
    return _said_twice(rng, *_true(rng, num // 2))


def _groups(rng: np.random.Generator, num: int) -> Spoiled:
    """Six groups for contexts, five actions; every kind of row comes often by itself."""
    made = np.random.default_rng(1)
    group, chances = rng.integers(0, 6, num), 0.8 * made.dirichlet(np.full(5, 2.0), 6) + 0.04
    rates = made.uniform(0.05, 0.3, (6, 5))
    drawn = choose(chances[group], rng)
    reward = (rng.random(num) < rates[group, drawn.action]).astype(np.float64)
    log = Log(np.eye(6)[group], drawn.action, reward, drawn.propensity, 5)
    return log, mixed(np.eye(5)[rates.argmax(axis=1)], 0.1)[group]


def _groups_twice(rng: np.random.Generator, num: int) -> Spoiled:
    return _said_twice(rng, *_groups(rng, num // 2))


def _unsupported(rng: np.random.Generator, num: int) -> Spoiled:
    """In 15% of the contexts the log never takes three actions of which the policy takes two often."""
    context = _contexts(rng, num)
    eligible = np.ones((num, clicks.NUM_ACTIONS), bool)
    eligible[np.ix_(context[:, 0] > 1.036, [5, 7, 8])] = False
    return _drawn(rng, context, _masked(clicks.logged(context), eligible)), clicks.target(context)


def _unsupported_in_a_group(rng: np.random.Generator, num: int) -> Spoiled:
    """A seventh of the contexts, a group of their own, never gets the action that the policy likes best there."""
    context = _contexts(rng, num)
    context[:, 4] = rng.random(num) < 0.15
    target = clicks.target(context)
    eligible = np.ones((num, clicks.NUM_ACTIONS), bool)
    inside = np.flatnonzero(context[:, 4] == 1)
    eligible[inside, target[inside].argmax(axis=1)] = False
    return _drawn(rng, context, _masked(clicks.logged(context), eligible)), target


def _fifty_rounded(rng: np.random.Generator, num: int) -> Spoiled:
    """Fifty actions, at least .01 each, written down with two digits."""
    made = np.random.default_rng(3)
    slopes, lean, levels = made.normal(size=(5, 50)) * 0.5, made.normal(size=(5, 50)) * 0.4, made.normal(size=50) * 0.3
    context = _contexts(rng, num)
    drawn = choose(0.01 + 0.5 * clicks.softmax(context @ lean), rng)
    score = context @ slopes + levels - 1
    rate = 1 / (1 + np.exp(-score[np.arange(num), drawn.action]))
    reward = (rng.random(num) < rate).astype(np.float64)
    return Log(context, drawn.action, reward, drawn.propensity.round(2), 50), mixed(clicks.softmax(score), 0.1)


World = Callable[[np.random.Generator, int], Spoiled]
SABOTAGE: dict[str, World] = {
    "rewards fall": _falling,
    "rewards fall while the policy learns": _falling_while_the_policy_learns,
    "rewards step down when the policy changes": _stepping_down_with_the_policy,
    "the last 20% of rewards not in": _last_fifth_not_in,
    "rewards take a while": _coming_in,
    "rewards of some actions come later": _later_for_some,
    "every row twice": _twice,
    "every row twice, few kinds of rows": _groups_twice,
    "actions without support in 15% of contexts": _unsupported,
    "a group without the policy's action": _unsupported_in_a_group,
    "50 actions, propensities rounded to .01": _fifty_rounded,
}
TRUE: dict[str, World] = {
    "true": _true,
    "true, the policy learns": _true_of_a_policy_that_learns,
    "true, closed actions, not told": _true_with_sets,
    "true, closed actions, told": lambda rng, num: _true_with_sets(rng, num, told=True),
    "true, actions closed to some contexts": _true_with_sets_by_context,
    "true, certain in 10% of contexts": _true_and_certain_in_a_tenth,
    "true, few kinds of rows": _groups,
}


def figures(*, quick: bool) -> Iterator[Figure]:
    """Certificates of spoiled logs, verdicts on true ones, and coverage."""
    repeats, num = (3, 8000) if quick else (40, 10_000)
    for number, (name, world) in enumerate(SABOTAGE.items()):
        certified = 0
        for repeat in range(repeats):
            log, target = world(np.random.default_rng([21, number, repeat]), num)
            certified += evaluate(log, target, repeat).verdict == "certified better"
        yield Figure("offpolicy", f"{name}: certified of {repeats}", certified, 0)
    for number, (name, world) in enumerate(TRUE.items()):
        judged = 0
        for repeat in range(repeats):
            log, target = world(np.random.default_rng([22, number, repeat]), num)
            judged += evaluate(log, target, repeat).verdict != "refused"
        yield Figure("offpolicy", f"{name}: judged of {repeats}", judged, 0.95 * repeats, most=False)
    yield from _coverage(30 if quick else 1000, num)


def _coverage(repeats: int, num: int) -> Iterator[Figure]:
    """How often the interval of DR holds the truth, of the true logs that are judged."""
    value, held = clicks.truth(), []
    for repeat in range(repeats):
        log, target = _true(np.random.default_rng([23, repeat]), num)
        verdict = evaluate(log, target, repeat)
        estimate = verdict.of("DR")
        if verdict.verdict != "refused" and estimate.low is not None and estimate.high is not None:
            held.append(estimate.low <= value <= estimate.high)
    share = float(np.mean(held))
    lowest, highest = (0.92, 0.975) if repeats >= 1000 else (0.8, 1.0)
    yield Figure("offpolicy", f"true: DR's 95% interval covers, of {repeats} logs", share, lowest, most=False)
    yield Figure("offpolicy", f"true: DR's 95% interval covers no more than it says, of {repeats}", share, highest)
