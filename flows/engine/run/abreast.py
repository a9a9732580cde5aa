"""Stages side by side: each begins when all that it needs is over, so many at once."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from flows.engine.run.dag import ScheduledStage


async def run(
    stages: Sequence[ScheduledStage],
    work: Callable[[ScheduledStage], Awaitable[None]],
    *,
    at_once: int,
    chain_alone: bool = False,
) -> None:
    """Do the work of every stage. Where several may begin, what customers are served with goes before what stands
    beside it, then the order of `stages`.

    chain_alone  nothing runs beside a stage that customers are served with: each of them keeps two cores busy

    When one raises, the others are cancelled, and its error comes out once they have ended. Stages of the pool gpu are
    never side by side: each may take the whole device's memory.
    """
    waiting = sorted(stages, key=lambda stage: stage.side)
    working: dict[asyncio.Task[None], ScheduledStage] = {}
    left = {stage.name for stage in stages}
    try:
        while left:
            for stage in _ready(waiting, left, list(working.values()), chain_alone)[: at_once - len(working)]:
                waiting.remove(stage)
                working[asyncio.ensure_future(work(stage))] = stage
            over, _ = await asyncio.wait(working, return_when=asyncio.FIRST_COMPLETED)
            for task in over:
                task.result()
                left.discard(working.pop(task).name)
    finally:
        for task in working:
            task.cancel()
        await asyncio.gather(*working, return_exceptions=True)


def _ready(
    waiting: Sequence[ScheduledStage], left: set[str], working: Sequence[ScheduledStage], chain_alone: bool
) -> list[ScheduledStage]:
    """Those that may begin now, the first of them first."""
    if chain_alone:
        chain = [stage for stage in waiting if not stage.side and left.isdisjoint(stage.upstream)]
        if chain or not all(stage.side for stage in working):
            return [] if working else chain[:1]
    gpu = any(stage.pool == "gpu" for stage in working)
    ready = []
    for stage in waiting:
        if left.isdisjoint(stage.upstream) and not (gpu and stage.pool == "gpu"):
            ready.append(stage)
            gpu = gpu or stage.pool == "gpu"
    return ready
