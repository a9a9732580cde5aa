"""By hand: rebuild a registered version from its raw snapshot, and say whether it comes out the same."""

import asyncio
import contextlib
import dataclasses
import datetime
import json
from typing import Any

from prefect.client.schemas import State
from prefect.states import Completed

from flows.engine.forms import terminal
from flows.engine.forms.form import VersionOrChampion, WaitMinutes
from flows.engine.reporting import outcome, prefect_run
from flows.engine.reporting.outcome import one_line_flow
from flows.engine.run import lock, rebuild
from nightmarket.contracts import InputError
from nightmarket.serving import comparison
from tasks.files import manifest, storage
from tasks.registry import card, lineage, promotion, store

ENVIRONMENT = ("python", "torch", "device", "threads", "cpu", "constraints_sha256")
SHOWN = 30


@dataclasses.dataclass(frozen=True)
class Reproduced:
    """How it ended."""

    version: int
    commit: str
    verdict: comparison.Reproduction
    seconds: dict[str, float]

    @property
    def exit_code(self) -> int:
        """Of the terminal: 0 only where everything is identical."""
        return 0 if self.verdict.identical else 1

    def lines(self) -> list[str]:
        """The end of a rebuild, for a terminal."""
        rows = self.verdict.rows()
        shown = [f"{row['what']:11} {row['name']}: {row['on record']} → {row['rebuilt']}" for row in rows[:SHOWN]]
        if len(rows) > SHOWN:
            shown.append(f"… and {len(rows) - SHOWN} more; all of them in the Prefect UI")
        shown.append("time        " + "  ".join(f"{name} {seconds:.1f} s" for name, seconds in self.seconds.items()))
        return [*shown, f"version {self.version} of commit {self.commit[:10]}: {self.verdict.sentence}"]


@one_line_flow("reproduce")
async def reproduce(version: VersionOrChampion = None, wait_minutes: WaitMinutes = 240) -> State[Reproduced]:
    """Worktree of the version's commit, raw snapshot, every stage anew, comparison; nothing of the checkout changes.

    Args:
        version: Number of the version. Empty: the champion.
        wait_minutes: How long to wait while another version is being rebuilt.
    """
    home, log, told = storage.home(), prefect_run.run_logger(), prefect_run.current()
    registry = store.for_reading()
    registered = store.chosen(registry, version)
    number, commit = int(registered.version), str(registered.tags.get("commit", "unknown"))
    if commit == "unknown":
        raise InputError(f"version {number} was registered outside git, so nobody knows its code; it cannot be rebuilt")
    name = f"version-{number}-{datetime.datetime.now(datetime.UTC):%Y%m%d-%H%M%S}"
    async with lock.run_lock(
        home / rebuild.LOCK, name, wait_s=wait_minutes * 60, say=log.info, note=told.note if told else None
    ) as held:
        if held.dead:
            outcome.bury(held.dead)
        rebuild.reap(home)
        recorded = _environment(registry.lineage(registered)["tags"])
        threads = str(recorded.get("threads", lineage.threads()))
        with rebuild.rebuild(home, name, commit, registered.tags["lock_hash"]) as place:
            log.info("version %d of commit %s: fetching the raw snapshot", number, commit[:10])
            await asyncio.to_thread(place.fetch)
            seconds = await place.rerun(held.descriptor, threads)
            weights = place.weights()
            verdict = comparison.compare(
                (place.recorded, place.rebuilt()),
                (_weights(registry, registered, weights), weights),
                (registry.kept(registered, rebuild.METRICS), place.metrics()),
                (recorded, place.environment(threads)),
            )
    done = Reproduced(number, commit, verdict, seconds)
    await asyncio.to_thread(_put_on_record, done)
    _show(done)
    return Completed(name="Identical" if verdict.identical else "Differs", message=verdict.sentence, data=done)


def _environment(tags: dict[str, str]) -> dict[str, Any]:
    """The environment on record; older code kept less of it."""
    environment: dict[str, Any] = {key: tags[key] for key in ENVIRONMENT if key in tags}
    return environment | ({"packages": json.loads(tags["packages"])} if "packages" in tags else {})


def _weights(registry: Any, version: Any, rebuilt: dict[str, str]) -> dict[str, str]:
    """The SHA-256 of each file of the registered package, where its manifest is the one on record."""
    digest = version.tags["package_sha256"]
    with contextlib.suppress(Exception):
        listed = registry.manifest(version)
        if manifest.listed_digest(listed) == digest:
            return listed
    # the files in mlruns/ are lost or changed; the digest on the tag still says what they were
    if manifest.listed_digest(rebuilt) == digest:
        return rebuilt
    return {"package": digest}


def _put_on_record(done: Reproduced) -> None:
    with store.alone():
        registry = store.for_reading()
        registry.tag(
            store.chosen(registry, done.version), "reproduced", f"{promotion.now()} {done.verdict.sentence}"[:900]
        )
        card.describe(registry, [done.version])


def _show(done: Reproduced) -> None:
    """Prefect artifacts: the verdict, and the table of what differs."""
    text = f"**Version {done.version}** of commit {done.commit}: {done.verdict.sentence}\n"
    prefect_run.markdown("reproduce", text, done.verdict.sentence)
    if rows := done.verdict.rows():
        prefect_run.table("reproduce-differences", rows, done.verdict.sentence)


if __name__ == "__main__":
    terminal.hand_over("reproduce")
