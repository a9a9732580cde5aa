"""What a search may try: ranges and choices of values of params.yaml, and the windows on which they are judged."""

import dataclasses
import datetime
import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from flows.engine.run import dag, overrides
from nightmarket.contracts import InputError
from nightmarket.evaluation.protocol import Windows
from nightmarket.histories.calendar import date_of
from tasks.files import catalogue
from tasks.pipeline import settings

LAST_STAGE = "evaluate"
"""The stage whose figures a trial is judged by; it and everything above it runs in each trial."""

FIXED = ("snapshot", "validate", "prepare", LAST_STAGE, "register")
"""Sections that decide on what and how a trial is judged, so they are the same for all."""


@dataclasses.dataclass(frozen=True)
class Dimension:
    """One value that is searched: a range (whole numbers where `whole`), or choices."""

    key: str
    low: float = 0
    high: float = 0
    log: bool = False
    step: float | None = None
    whole: bool = False
    choices: tuple[Any, ...] = ()

    def suggest(self, trial: Any) -> Any:
        """A value from an Optuna trial; a fraction is rounded to four digits, so that people can copy it."""
        if self.choices:
            return trial.suggest_categorical(self.key, self.choices)
        if self.whole:
            return trial.suggest_int(self.key, int(self.low), int(self.high), log=self.log, step=int(self.step or 1))
        value = trial.suggest_float(self.key, self.low, self.high, log=self.log, step=self.step)
        return min(max(float(f"{value:.4g}"), self.low), self.high)

    def holds(self, value: Any) -> bool:
        """Whether a value could have been suggested."""
        if self.choices:
            return value in self.choices
        number = isinstance(value, int | float) and not isinstance(value, bool)
        return number and self.low <= value <= self.high

    def ends(self) -> tuple[Any, ...]:
        """The values whose validity stands for all: the two ends, or every choice."""
        return self.choices or tuple(int(end) if self.whole else end for end in (self.low, self.high))


def dimensions(space: Mapping[str, Any]) -> tuple[Dimension, ...]:
    """Read {"rank.num_leaves": [31, 255], "rank.learning_rate": {"low": .03, "high": .2, "log": true}, ...}.

    Two numbers are a range, of whole numbers when both are whole; {"choices": [...]} names the values. Raises
    InputError, in one line, for anything else.
    """
    if not space:
        raise InputError('space: nothing to search; name values of params.yaml, as {"rank.num_leaves": [31, 255]}')
    return tuple(_dimension(key, what) for key, what in sorted(space.items()))


def _dimension(key: str, what: Any) -> Dimension:
    if key.partition(".")[0] in FIXED:
        raise InputError(f"space: '{key}' decides how trials are judged, so it must be the same for all of them")
    if isinstance(what, Mapping) and set(what) == {"choices"}:
        return _choices(key, what["choices"])
    if isinstance(what, Sequence) and not isinstance(what, str) and len(what) == 2:
        what = {"low": what[0], "high": what[1]}
    if not isinstance(what, Mapping) or not {"low", "high"} <= set(what) <= {"low", "high", "log", "step"}:
        raise InputError(
            f"space: '{key}' must be two numbers, {{low, high, log, step}} or {{choices: […]}}, not {json.dumps(what)}"
        )
    low, high, log, step = what["low"], what["high"], bool(what.get("log", False)), what.get("step")
    numbers = [low, high] + ([] if step is None else [step])
    if not all(isinstance(n, int | float) and not isinstance(n, bool) and math.isfinite(n) for n in numbers):
        raise InputError(f"space: '{key}': low, high and step must be numbers")
    if low >= high or (log and low <= 0) or (step is not None and (step <= 0 or log)):
        raise InputError(f"space: '{key}': low must be below high; log needs low above 0 and no step; step is positive")
    whole = all(isinstance(n, int) for n in numbers)
    return Dimension(key, low, high, log, step, whole)


def _choices(key: str, choices: Any) -> Dimension:
    plain = isinstance(choices, list | tuple) and all(isinstance(c, str | int | float | bool | None) for c in choices)
    if not plain or len(choices) < 2:
        raise InputError(f"space: '{key}': choices must be two or more plain values")
    return Dimension(key, choices=tuple(choices))


@dataclasses.dataclass(frozen=True)
class SearchPlan:
    """What is searched and how it is judged; two searches with one digest can share their trials.

    windows    Mondays on which the windows end, not included; the first is judged first
    baseline   params.yaml's own values of what is searched
    digest     over space, metric, windows, seed, the other parameters and the snapshot
    """

    space: tuple[Dimension, ...]
    task: str
    metric: str
    windows: tuple[str, ...]
    seed: int
    baseline: dict[str, Any]
    digest: str


def plan(home: Path, space: Mapping[str, Any], metric: str, windows: Sequence[str], seed: int) -> SearchPlan:
    """Check everything that can be checked before the first trial; InputError in one line."""
    searched = dimensions(space)
    content = settings.sections(home / "params.yaml")
    upstream = next((dimension.upstream for dimension in dag.read(home) if dimension.name == LAST_STAGE), ())
    for dimension in searched:
        section = dimension.key.partition(".")[0]
        for end in dimension.ends():
            overrides.checked(content, {dimension.key: end})
        if section not in upstream:
            raise InputError(
                f"space: '{dimension.key}': {LAST_STAGE} does not depend on {section}; no figure would change"
            )
    task, _, name = metric.partition(" ")
    ends = _windows(home, windows)
    baseline = {dimension.key: _value(content, dimension.key) for dimension in searched}
    rest = {name: section for name, section in content.items() if name in (*upstream, LAST_STAGE)}
    for dimension in searched:
        section, key = dimension.key.split(".", 1)
        rest[section] = {name: value for name, value in (rest.get(section) or {}).items() if name != key}
    rest["prepare"] = {name: value for name, value in (rest.get("prepare") or {}).items() if name != "window_end"}
    data = (home / "data/raw.dvc").read_text(encoding="utf-8") if (home / "data/raw.dvc").exists() else ""
    parts = [[dataclasses.asdict(dimension) for dimension in searched], metric, ends, seed, rest, data]
    digest = hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()
    return SearchPlan(searched, task, name, ends, seed, baseline, digest)


def _value(content: Mapping[str, Any], key: str) -> Any:
    """What a stage would get for the key: params.yaml's value or the setting's default."""
    section, *path = key.split(".")
    value: Any = settings.check(dict(content), section).model_dump(mode="json")
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def _windows(home: Path, windows: Sequence[str]) -> tuple[str, ...]:
    stored = catalogue.WINDOWS.at(home)
    if not stored.exists():
        raise InputError(f"{stored} is missing, so it is not known where the test window begins; run nightly first")
    test = Windows.read(stored.read()).test
    begins, before = date_of(test.first_target), date_of(test.first_target - test.days)
    if not windows:
        return (begins.isoformat(), before.isoformat())
    for text in windows:
        try:
            end = datetime.date.fromisoformat(text)
        except ValueError:
            raise InputError(f"windows: {text} is not a date; write YYYY-MM-DD") from None
        if end.weekday() != 0:
            raise InputError(f"windows: {text} is not a Monday; a window ends on the Monday after its last week")
        if end > begins:
            raise InputError(
                f"windows: {text} reaches into the test window, which begins on {begins}; nothing is chosen there, so "
                f"name {begins} or an earlier Monday"
            )
    if len(set(windows)) < len(windows):
        raise InputError("windows: one is named twice")
    return tuple(windows)
