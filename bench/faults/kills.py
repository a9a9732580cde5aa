"""Kill a piece of work at a hook, look at what is left, do the work again, and compare every byte."""

import random
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.faults import scenarios
from bench.faults.children import HUNG, KILLED, forked, passings
from flows.engine.run import recovery

HALVES = ("file.written", "file.flushed", "table.part")
"""Hooks that stand where a file is being written: it is also cut in half before the kill."""


@dataclass
class Tally:
    """Kills that happened, by hook, and what was wrong after them, each with the command that does it again."""

    hooks: dict[str, int] = field(default_factory=dict)
    violations: list[str] = field(default_factory=list)

    @property
    def kills(self) -> int:
        """How many processes were killed."""
        return sum(self.hooks.values())

    def add(self, other: "Tally") -> None:
        """Count another's kills too."""
        for hook, number in other.hooks.items():
            self.hooks[hook] = self.hooks.get(hook, 0) + number
        self.violations += other.violations


class Rig:
    """A scene with what it starts from and what it comes to when nobody kills it."""

    def __init__(self, scenario: scenarios.Scenario, folder: Path) -> None:
        self.scenario, self.base, self.place = scenario, folder / "base", folder / "place"
        shutil.rmtree(folder, ignore_errors=True)
        self.place.mkdir(parents=True)
        code, said = forked(lambda: scenario.make(self.place), self.place, seconds=600)
        assert code == 0, said
        scenarios.fresh(self.place, self.base)  # absolute paths in databases stay those of the place
        self.old = self._state(self.place)
        self.hooks = passings(scenario.work, self.place)
        self.new = self._state(self.place)

    def _state(self, place: Path) -> Any:
        code, state = forked(lambda: self.scenario.state(place), place)
        assert code == 0, state
        return state

    def faults(self) -> Iterator[str]:
        """Every hook at every passing, and cut in half where a file is being written."""
        for hook, number in sorted(self.hooks.items()):
            for n in range(1, number + 1):
                yield f"{hook}:{n}:kill"
                if hook in HALVES:
                    yield f"{hook}:{n}:half"

    def kill(self, faults: Sequence[str]) -> Tally:
        """Kill the work at each fault in turn, then let it end."""
        tally, place, scenario = Tally(), self.place, self.scenario
        replay = f"--seed {scenario.seed} --scenario '{scenario.name}' --hook {'+'.join(faults)}"
        scenarios.fresh(self.base, place)
        for fault in faults:
            code, said = forked(scenario.work, place, fault)
            if code == 0:
                continue  # after an earlier kill there was less to do
            hook = fault.split(":")[0]
            tally.hooks[hook] = tally.hooks.get(hook, 0) + 1
            if code != KILLED:
                tally.violations.append(f"{replay}: {'hung' if code == HUNG else said}")
            code, said = forked(lambda: scenario.wrong(place, self.old, self.new), place)
            if code or said:
                tally.violations.append(f"{replay}: {said}")
        code, said = forked(scenario.work, place)
        if code:
            tally.violations.append(f"{replay}: the next run failed: {said}")
        else:
            recovery.remove_drafts(place)
            if self._state(place) != self.new:
                tally.violations.append(f"{replay}: the next run left something else")
        return tally


def spread(folder: Path, seed: int, wanted: int, say: Any) -> Tally:
    """Every hook of every small scene, then chains of kills drawn by the seed, until so many are done."""
    tally, draw, round_ = Tally(), random.Random(seed), 0
    said = time.monotonic()
    while tally.kills < wanted:
        for kind in scenarios.CHEAP:
            rig = Rig(kind(seed + round_), folder / kind.name.replace(" ", "-"))
            every = list(rig.faults())
            chains = [[fault] for fault in every] if round_ == 0 else []
            chains += [draw.choices(every, k=draw.randint(1, 3)) for _ in range(12 if round_ else 2)]
            for chain in chains:
                tally.add(rig.kill(chain))
                if time.monotonic() - said > 5:
                    said = time.monotonic()
                    say(f"{tally.kills} kills, {len(tally.violations)} violations")
        round_ += 1
    return tally
