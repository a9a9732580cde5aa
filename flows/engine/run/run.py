"""One run of a flow: its lock, its worktree, the stages and steps in it, its commit, its publication."""

import contextlib
import dataclasses
import datetime
import os
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from prefect.states import Completed

from flows.engine.reporting import heartbeat, outbox, outcome, prefect_run
from flows.engine.run import abreast, dag, lock, overrides, publish, rebuild, recovery, registered, stage, worktree
from flows.engine.server.patience import Patience
from nightmarket.contracts import InputError, Unavailable
from tasks.files import catalogue, storage
from tasks.pipeline import settings, unavailable

SNAPSHOT, REGISTER, LAUNCH, SINK = "snapshot", "register", "launch", "sink"
UNCHANGED = "inputs, code and parameters unchanged"


class Run:
    """What a flow asks for, in the order it asks. Made by `open_run`."""

    def __init__(
        self, name: str, home: Path, tree: Path, *, force: Sequence[str], trial: bool, strict: bool, hold: int
    ) -> None:
        self.name, self.home, self.tree = name, home, tree
        self.force, self.trial, self.strict, self.hold = tuple(force), trial, strict, hold
        self.log = prefect_run.run_logger()
        self.stages = dag.read(tree)
        self.env = stage.environment(home, {"NIGHTMARKET_RUN": name})
        self.seconds: dict[str, float] = {}
        self.ran: list[str] = []
        self.sha = ""
        self.about = ""
        self.decision = ""
        sides = {scheduled.name for scheduled in self.stages if scheduled.side}
        self.unavailable = {name: what for name, what in unavailable.recorded(tree).items() if name in sides}
        unavailable.write(self.unavailable, tree)
        self.started_from = publish.records_digest(home)
        self._status: dict[str, list[Any]] | None = None
        self._ran_since: set[str] = set()
        self._due_again: set[str] = set()
        self._working: set[str] = set()
        missing = set(self.force) - {scheduled.name for scheduled in self.stages}
        if missing:
            raise InputError(f"force: dvc.yaml has no stage {', '.join(sorted(missing))}")

    async def snapshot(self) -> None:
        """Fetch the source tables into data/raw."""

        async def work() -> Any:
            await self._command(SNAPSHOT, stage.python_task(SNAPSHOT))
            storage.hook("run.snapshot")
            if not self._track("data/raw"):
                return stage.skipped("the source has not changed")
            return None

        await self._timed(dag.step(SNAPSHOT), work)

    async def phase(self, phase: str) -> None:
        """Run the stages of one phase through DVC, skipping those that are up to date; some side by side.

        A side stage that fails is called unavailable, and the phase goes on, unless the run is strict.
        """
        chosen = [scheduled for scheduled in self.stages if scheduled.phase == phase]
        cores = os.cpu_count() or 1
        at_once = min(settings.machine(self.tree / settings.PARAMS).stages, cores)
        await abreast.run(chosen, self._beside_or_not, at_once=at_once, chain_alone=cores < 2 * at_once)

    async def upto(self, last: str) -> None:
        """Run one stage and all that it depends on."""
        wanted = self._needed(last)
        for scheduled in self.stages:
            if scheduled.name in wanted:
                await self._run_stage(scheduled)

    async def on_last_night(self, last: str, *wanted: catalogue.Artifact, anew: Sequence[str] = ()) -> None:
        """Run one stage of phase `deliver` and what it needs; nothing is trained for it.

        wanted  artifacts of side stages without which there is nothing to run it on
        anew    stages that run even if nothing that they depend on has changed

        Raises InputError when a stage that trains is not as the last night left it, or left nothing of what is wanted.
        """
        self._require(*wanted)
        self.force += tuple(anew)
        needed = self._needed(last)
        self._require_last_night(needed)
        for scheduled in self.stages:
            if scheduled.name in needed and scheduled.phase != "retrain":
                self._try_again(scheduled.name)
        await self.upto(last)

    def _require(self, *artifacts: catalogue.Artifact) -> None:
        for artifact in artifacts:
            if what := artifact.at(self.tree).unavailable():
                raise InputError(f"{what}; run nightly again, which makes what is missing, and then this")

    def _require_last_night(self, needed: set[str]) -> None:
        trained = [scheduled for scheduled in self.stages if scheduled.name in needed and scheduled.phase == "retrain"]
        stale = [scheduled.name for scheduled in trained if not self._is_clean(scheduled)]
        if stale:
            raise InputError(
                f"{', '.join(stale)}: code, parameters or data changed since the last night, or it never ran; "
                "run nightly first"
            )

    def _needed(self, last: str) -> set[str]:
        return {last, *(name for scheduled in self.stages if scheduled.name == last for name in scheduled.upstream)}

    async def _beside_or_not(self, scheduled: dag.ScheduledStage) -> None:
        self._working.add(scheduled.name)
        try:
            await (self._beside(scheduled) if scheduled.side else self._run_stage(scheduled))
        finally:
            self._working.remove(scheduled.name)

    async def _beside(self, scheduled: dag.ScheduledStage) -> None:
        """Run a side stage, whatever the last night made of it; where it fails, leave markers for its outputs."""
        name = scheduled.name
        self._try_again(name)
        try:
            await self._run_stage(scheduled)
        except (InputError, stage.StageError) as error:
            if self.strict:
                raise
            what = Unavailable(name, stage.reason(name, error), max(1, self.ran.count(name)))
            self.log.error("%s (attempts: %d); the night goes on without it", what, what.attempts)
            self.unavailable[name] = what
            unavailable.write(self.unavailable, self.tree)
            lock.heal_dvc(self.tree)  # the stage may have been killed with DVC around it
            storage.hook("run.unavailable")
            command = stage.dvc_repro(name, force=False)
            await stage.run_command(name, command, tree=self.tree, env=self.env, hold=[self.hold])
            self._ran_since.add(name)

    def _try_again(self, name: str) -> None:
        """Let a stage that was unavailable be due."""
        if self.unavailable.pop(name, None):
            unavailable.write(self.unavailable, self.tree)
            self._due_again.add(name)

    async def _run_stage(self, scheduled: dag.ScheduledStage) -> None:
        await self._timed(scheduled, self._stage_work(scheduled))

    def _stage_work(self, scheduled: dag.ScheduledStage) -> Any:
        forced = scheduled.name in self.force

        async def work() -> Any:
            if not forced and self._is_clean(scheduled):
                return stage.skipped(UNCHANGED)
            said = await self._command(scheduled.name, stage.dvc_repro(scheduled.name, force=forced))
            self._ran_since.add(scheduled.name)
            self._due_again.discard(scheduled.name)
            storage.hook("run.stage")
            if f"Stage '{scheduled.name}' didn't change" in said:
                self.ran.remove(scheduled.name)
                return stage.skipped(UNCHANGED)
            if f"Stage '{scheduled.name}' is cached" in said:
                return Completed(name="Cached", message="seen before; outputs taken from the cache")
            return None

        return work

    def _is_clean(self, scheduled: dag.ScheduledStage) -> bool:
        """DVC's own test, asked once for all stages, and again where what a clean stage depends on ran since. One that
        was due stays due: `dvc repro` looks again itself."""
        name = scheduled.name
        if name in self._due_again or (self._status is not None and name in self._status):
            return False
        again = self._ran_since.intersection(scheduled.upstream)
        if (again or self._status is None) and self._working - {name}:
            return False  # DVC looks at no output that is being written; of this stage's alone `dvc repro` looks itself
        return name not in self._asked(again)

    def _asked(self, again: object) -> dict[str, list[Any]]:
        """What `dvc status` says, or said the last time."""
        if self._status is None or again:
            self._status = dag.status(self.tree)
            self._ran_since.clear()
        return self._status

    async def register(self) -> None:
        """Commit what was trained, register it with MLflow, and let the gate decide about data/champion."""
        self._refuse_unfinished(self._of("retrain"))
        self.commit()

        async def work() -> Any:
            if self.trial:
                self.decision = "not asked: a run with overrides is not registered"
                return stage.skipped(self.decision)
            if self._is_registered():
                self.decision = outcome.decision(self.tree)
                return stage.skipped("this very model is registered")
            said = await self._command(REGISTER, stage.python_task(REGISTER))
            self.decision = outcome.decision(self.tree, said)
            if (self.tree / storage.CHAMPION).exists():
                self._track(str(storage.CHAMPION))
            storage.hook("run.registered")
            registered.note(self.home, self.tree)
            storage.hook("run.noted")
            return None

        await self._timed(dag.step(REGISTER), work)

    async def launch(self) -> None:
        """Plan a launch from the champion and what the last night left, and keep the run."""
        self._require(catalogue.SEGMENTS)
        self._require_last_night(self._needed("segment"))

        async def work() -> Any:
            await self._command(LAUNCH, stage.python_task(LAUNCH))

        await self._timed(dag.step(LAUNCH), work)
        self.commit()

    async def sink(self, done: outcome.RunOutcome) -> outcome.RunOutcome:
        """Publish tonight's tables in the shop's database, where one is named; the lists are out whatever it says."""
        if not done.published or settings.load(SINK, self.tree / settings.PARAMS).model_dump()["database"] is None:
            return done

        async def work() -> Any:
            await self._command(SINK, stage.python_task(SINK))

        try:
            await self._timed(dag.step(SINK), work)
        except (InputError, stage.StageError) as error:
            if self.strict:
                raise
            what = Unavailable(SINK, stage.reason(SINK, error), max(1, self.ran.count(SINK)))
            self.log.error("%s (attempts: %d); the night goes on without it", what, what.attempts)
            done = dataclasses.replace(done, unavailable=(*done.unavailable, what))
        return dataclasses.replace(done, seconds=dict(self.seconds), ran=tuple(self.ran))

    async def change_champion(self, how: str, *given: str) -> str:
        """Promote or roll back in this run's folder, and record data/champion anew; returns what was said."""
        said: list[str] = []

        async def work() -> Any:
            said.append(await self._command(how, [sys.executable, "-m", "tasks.registry.promote", how, *given]))
            self._track(str(storage.CHAMPION))

        await self._timed(dag.ScheduledStage(how, timeout_s=1800), work)
        return said[0].splitlines()[-1].removeprefix(f"{how}: ")

    def require_champion(self) -> None:
        """Delivery needs a champion; say so before a stage fails on a missing folder."""
        if not catalogue.CHAMPION_RECEIPT.at(self.tree).exists():
            decided = f" (the gate said: {self.decision})" if self.decision else ""
            raise InputError(
                f"there is no champion to deliver from{decided}; run retrain until a model passes the gate"
            )

    def require_data(self) -> None:
        """A flow without a snapshot works on the last one."""
        if not (self.tree / storage.RAW).exists():
            raise InputError("there is no snapshot in data/raw yet; run nightly first, or `dvc pull`")

    def commit(self) -> str:
        """Keep the run as it is now: a commit under refs/runs/NAME."""
        message = outcome.commit_message(self.name, self.tree)
        self.sha = worktree.commit(self.tree, self.name, message)
        self.env = {**self.env, "NIGHTMARKET_COMMIT": self.sha}
        return self.sha

    def keep(self, last: str) -> str:
        """Commit a run that ends with the stage `last`, and do no more; returns the commit."""
        self._refuse_unfinished(self._needed(last))
        return self.commit()

    def finish(self, *phases: str) -> outcome.RunOutcome:
        """Commit the run and publish it; a run with overrides, or with unfinished stages, is not published."""
        started = time.perf_counter()
        self._refuse_unfinished(self._of(*phases))
        self.commit()
        if self.trial:
            self.log.info("this run changed parameters, so it is kept as refs/runs/%s and not published", self.name)
        published = not self.trial and publish.publish(
            self.home, self.tree, self.name, started_from=self.started_from, say=self.log.info
        )
        if published and unavailable.read(self.home):  # somebody merged an incomplete run
            unavailable.write({}, self.home)
        self.seconds["publish"] = time.perf_counter() - started
        return outcome.RunOutcome.of(self, published=published)

    def _of(self, *phases: str) -> set[str]:
        return {scheduled.name for scheduled in self.stages if scheduled.phase in phases}

    def _refuse_unfinished(self, wanted: set[str]) -> None:
        status = self._asked(self._ran_since)
        left = sorted(set(status) & wanted) or sorted(key for key in status if key.endswith(".dvc"))
        if left:
            raise InputError(
                f"{', '.join(left)}: `dvc status` is not clean after the run, so it is not kept; did an input change "
                "while it ran? run it again"
            )

    def _track(self, path: str) -> bool:
        """`dvc add`, when the folder differs from what its .dvc file records."""
        record = f"{path}.dvc"
        status = self._asked(True)
        tracked = {"/".join(Path(key).parts[-2:]) for key in status}  # .runs/NAME/data/raw.dvc → data/raw.dvc
        if (self.tree / record).exists() and record not in tracked:
            return False
        with dag.repo(self.tree) as repo:
            repo.add([str(self.tree / path)], no_commit=False)
        storage.hook("run.tracked")
        self._status = None
        return True

    async def _command(self, name: str, command: list[str]) -> str:
        self.ran.append(name)
        return await stage.run_command(name, command, tree=self.tree, env=self.env, hold=[self.hold])

    async def _timed(self, scheduled: dag.ScheduledStage, work: Any) -> None:
        started = time.perf_counter()
        try:
            await stage.attempt(scheduled, work, self.about)
        except TimeoutError:
            raise stage.StageError(
                f"{scheduled.name} ran past its limit of {scheduled.timeout_s:g} s and was ended "
                "(dvc.yaml: meta.timeout_s)"
            ) from None
        finally:
            self.seconds[scheduled.name] = time.perf_counter() - started

    def _is_registered(self) -> bool:
        """Whether nothing was trained in this run that MLflow has not seen."""
        training = {scheduled.name for scheduled in self.stages if scheduled.phase == "retrain" and not scheduled.side}
        return not training & set(self.ran) and registered.known(self.home, self.tree)


@contextlib.asynccontextmanager
async def open_run(
    flow: str,
    *,
    business_date: str | None = None,
    force: Sequence[str] = (),
    changes: Mapping[str, Any] | None = None,
    wait_minutes: float = 240.0,
    strict: bool = False,
) -> AsyncIterator[Run]:
    """Wait for the lock, make the worktree, write the run's parameters; at the end take the worktree away.

    A failed run's worktree stays for whoever looks into it, until the next run begins.
    """
    home, log, told = storage.home(), prefect_run.run_logger(), prefect_run.current()
    name = f"{flow}-{datetime.datetime.now(datetime.UTC):%Y%m%d-%H%M%S}"
    values = {**(changes or {}), **({"snapshot.business_date": business_date} if business_date else {})}
    worktree.require_own(home)
    overrides.check(home, flow, values)
    async with lock.run_lock(
        home / ".nightmarket" / "run.lock",
        name,
        wait_s=wait_minutes * 60,
        say=log.info,
        note=told.note if told else None,
    ) as held:
        if held.dead:
            outcome.bury(held.dead)
        rebuild.reap_dead(home)
        recovery.recover(home, name, log.warning)
        if unseen := worktree.unknown_to_git(home):
            log.warning(
                "%d files are unknown to git and so to this run; first: %s (git add them)", len(unseen), unseen[0]
            )
        if wrong := overrides.fault(home, flow):
            log.warning("%s (to be put right; %s needs no settings and goes on)", wrong, flow)
        tree = worktree.create(home, name, without_settings=bool(wrong))
        try:
            overrides.write(tree, values)
            overrides.check(tree, flow, home=home)
            storage.hook("run.ready")
            if flow == "nightly" and not changes:
                heartbeat.started(home, name)
            with outbox.catching_up(home, told.api if told else "", Patience.of_environment()):
                yield Run(name, home, tree, force=force, trial=bool(changes), strict=strict, hold=held.descriptor)
        except Exception:
            log.info("this run's folder stays for a look, until the next run begins: %s", tree.relative_to(home))
            raise
        storage.hook("run.ended")
        worktree.remove(home, tree)
