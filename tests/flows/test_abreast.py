"""Claims about stages side by side."""

import asyncio
import dataclasses

import pytest

from flows.engine.run import abreast
from flows.engine.run.dag import ScheduledStage

CHAIN = ScheduledStage("first")
SECOND = ScheduledStage("second", upstream=("first",))
SIDES = [ScheduledStage(f"side-{n}", upstream=("first",), side=True) for n in range(3)]


class Work:
    """Stages that end when they are told to, and what began and ended in which order."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.ends: dict[str, asyncio.Future[None]] = {}

    async def __call__(self, stage: ScheduledStage) -> None:
        self.said.append(f"begin {stage.name}")
        self.ends[stage.name] = asyncio.get_running_loop().create_future()
        try:
            await self.ends[stage.name]
        except asyncio.CancelledError:
            self.said.append(f"cancelled {stage.name}")
            raise

    @property
    def working(self) -> set[str]:
        return {name for name, end in self.ends.items() if not end.done()}

    async def end(self, name: str, error: Exception | None = None) -> None:
        await asyncio.sleep(0)
        self.ends[name].set_exception(error) if error else self.ends[name].set_result(None)
        for _ in range(4):
            await asyncio.sleep(0)


async def begun(
    stages: list[ScheduledStage], at_once: int, chain_alone: bool = False
) -> tuple[Work, asyncio.Task[None]]:
    work = Work()
    task = asyncio.create_task(abreast.run(stages, work, at_once=at_once, chain_alone=chain_alone))
    for _ in range(4):
        await asyncio.sleep(0)
    return work, task


def test_a_stage_begins_when_all_that_it_needs_is_over_and_the_chain_goes_first() -> None:
    async def scenario() -> None:
        work, task = await begun([CHAIN, *SIDES, SECOND], 2)
        assert work.working == {"first"}
        await work.end("first")
        assert work.working == {"second", "side-0"}
        await work.end("side-0")
        assert work.working == {"second", "side-1"}
        await work.end("second")
        assert work.working == {"side-1", "side-2"}
        await work.end("side-2")
        await work.end("side-1")
        await task

    asyncio.run(scenario())


def test_one_at_once_is_one_after_the_other() -> None:
    async def scenario() -> None:
        work, task = await begun([CHAIN, SECOND, *SIDES], 1)
        for name in ("first", "second", "side-0", "side-1", "side-2"):
            assert work.working == {name}
            await work.end(name)
        await task

    asyncio.run(scenario())


def test_where_cores_are_few_nothing_runs_beside_the_chain_and_the_rest_is_side_by_side() -> None:
    async def scenario() -> None:
        work, task = await begun([CHAIN, SIDES[0], SECOND, *SIDES[1:]], 2, chain_alone=True)
        for name in ("first", "second"):
            assert work.working == {name}
            await work.end(name)
        assert work.working == {"side-0", "side-1"}
        await work.end("side-1")
        assert work.working == {"side-0", "side-2"}
        await work.end("side-0")
        await work.end("side-2")
        await task

    asyncio.run(scenario())


def test_a_stage_of_the_chain_waits_for_those_beside_it_to_end_and_none_begins_before_it() -> None:
    late = ScheduledStage("late", upstream=("side",))
    stages = [ScheduledStage("side", side=True), ScheduledStage("other", side=True), ScheduledStage("third", side=True)]

    async def scenario() -> None:
        work, task = await begun([*stages, late], 2, chain_alone=True)
        assert work.working == {"side", "other"}
        await work.end("side")
        assert work.working == {"other"}
        await work.end("other")
        assert work.working == {"late"}
        await work.end("late")
        assert work.working == {"third"}
        await work.end("third")
        await task

    asyncio.run(scenario())


def test_what_another_phase_made_is_not_waited_for() -> None:
    async def scenario() -> None:
        work, task = await begun([dataclasses.replace(SECOND, upstream=("of another phase",))], 2)
        await work.end("second")
        await task

    asyncio.run(scenario())


def test_two_stages_of_the_pool_gpu_are_never_side_by_side() -> None:
    stages = [ScheduledStage("a", pool="gpu"), ScheduledStage("b", pool="gpu"), ScheduledStage("c")]

    async def scenario() -> None:
        work, task = await begun(stages, 3)
        assert work.working == {"a", "c"}
        await work.end("a")
        assert work.working == {"b", "c"}
        await work.end("b")
        await work.end("c")
        await task

    asyncio.run(scenario())


def test_an_error_comes_out_when_the_others_have_ended() -> None:
    async def scenario() -> None:
        work, task = await begun([CHAIN, SECOND, *SIDES], 2)
        await work.end("first")
        await work.end("second", ValueError("no"))
        with pytest.raises(ValueError, match="no"):
            await task
        assert work.said[-1] == "cancelled side-0"
        assert "begin side-1" not in work.said

    asyncio.run(scenario())


def test_a_run_that_is_cancelled_cancels_all() -> None:
    async def scenario() -> None:
        work, task = await begun([CHAIN, SECOND, *SIDES], 2)
        await work.end("first")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert {"cancelled second", "cancelled side-0"} <= set(work.said)

    asyncio.run(scenario())
