"""Comparison of a rebuilt version with its record: identical, or what differs and the likely cause.

Causes are read off the DAG: the first stage whose inputs are those on record and whose outputs are not is where the two
runs part; everything after it differs because it must. Why that stage parts is the environment, where that differs, and
otherwise the stage itself.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Entry = Mapping[str, Any]
"""One stage as dvc.lock has it: cmd, deps, params, outs."""

NAMES = {"constraints_sha256": "constraints.txt", "cpu": "CPU", "python": "Python"}


@dataclass(frozen=True)
class Difference:
    """One thing that differs: kind (environment, stage, weights, figure), name, value on record, value now."""

    kind: str
    name: str
    recorded: str
    rebuilt: str


@dataclass(frozen=True)
class Reproduction:
    """What came out: every difference, how much was compared, and the likely cause in a sentence."""

    differences: tuple[Difference, ...]
    compared: Mapping[str, int]
    cause: str

    @property
    def identical(self) -> bool:
        """Whether outputs, weights and figures all equal those on record; another environment alone is no fault."""
        return all(difference.kind == "environment" for difference in self.differences)

    @property
    def sentence(self) -> str:
        """The verdict in one line."""
        counted = ", ".join(f"{number} {kind}" for kind, number in self.compared.items())
        if self.identical:
            return f"identical: {counted}"
        kinds = {
            kind: sum(difference.kind == kind for difference in self.differences)
            for kind in ("output", "weights", "figure")
        }
        listed = ", ".join(
            f"{number} {kind}{'s' * (number > 1 and kind != 'weights')}" for kind, number in kinds.items()
        )
        return f"differs: {listed} of {counted}; {self.cause}"

    def rows(self) -> list[dict[str, str]]:
        """The differences as a table."""
        return [
            {
                "what": difference.kind,
                "name": difference.name,
                "on record": difference.recorded,
                "rebuilt": difference.rebuilt,
            }
            for difference in self.differences
        ]


def compare(
    stages: tuple[Mapping[str, Entry], Mapping[str, Entry]],
    weights: tuple[Mapping[str, str], Mapping[str, str]],
    metrics: tuple[Any, Any],
    environments: tuple[Mapping[str, Any], Mapping[str, Any]],
) -> Reproduction:
    """Hold the rebuilt version against the record; each pair is (on record, rebuilt).

    stages        {stage: entry of dvc.lock}, each stage after those it depends on
    weights       {file of the package: SHA-256}
    metrics       metrics.json
    environments  as `tasks.registry.lineage.environment`; a key that one side lacks is not compared
    """
    figures = tuple(dict(_figures(side)) for side in metrics)
    outs = tuple(
        {path: md5 for entry in side.values() for path, md5 in hashes(entry, "outs").items()} for side in stages
    )
    surroundings = list(_environment(*environments))
    differences = [
        *surroundings,
        *_unequal("output", *outs),
        *_unequal("weights", *weights),
        *_unequal("figure", *figures),
    ]
    compared = {"outputs": len(outs[0]), "files of the package": len(weights[0]), "figures": len(figures[0])}
    same = all(side.kind == "environment" for side in differences)
    return Reproduction(tuple(differences), compared, "" if same else _cause(*stages, surroundings))


def hashes(entry: Entry, kind: str) -> dict[str, str]:
    """{path: MD5} of a stage's deps or outs."""
    return {str(file["path"]): str(file.get("md5")) for file in entry.get(kind) or ()}


def _cause(recorded: Mapping[str, Entry], rebuilt: Mapping[str, Entry], surroundings: Sequence[Difference]) -> str:
    made = {path for entry in recorded.values() for path in hashes(entry, "outs")}
    for name, before in recorded.items():
        now = rebuilt.get(name, {})
        own = [
            path
            for path, md5 in hashes(before, "deps").items()
            if hashes(now, "deps").get(path) != md5 and not any(path == out or _inside(path, out) for out in made)
        ]
        if own:
            return f"{name} worked on other code or data than the record says: {', '.join(own[:3])}"
        if before.get("params") != now.get("params"):
            return f"{name} worked with other parameters than the record says"
        if hashes(before, "outs") != hashes(now, "outs"):
            if surroundings:
                names = ", ".join(difference.name for difference in surroundings)
                return f"{name} is the first to differ, on the same inputs, and the environment is another: {names}"
            return (
                f"{name} is the first to differ, on the same inputs, code, parameters and environment, so the stage is "
                "not deterministic"
            )
    return "the record is not that of these stages: outputs agree, what was registered does not"


def _inside(path: str, folder: str) -> bool:
    return path.startswith(f"{folder}/") or folder.startswith(f"{path}/")


def _environment(recorded: Mapping[str, Any], rebuilt: Mapping[str, Any]) -> Iterator[Difference]:
    for name in sorted(recorded.keys() & rebuilt.keys()):
        before, now = recorded[name], rebuilt[name]
        if isinstance(before, Mapping) and isinstance(now, Mapping):
            yield from _environment(before, now)
        elif str(before) != str(now):
            yield Difference("environment", NAMES.get(name, name), str(before), str(now))


def _unequal(kind: str, recorded: Mapping[str, Any], rebuilt: Mapping[str, Any]) -> Iterator[Difference]:
    for name in sorted(recorded.keys() | rebuilt.keys()):
        before, now = (_said(side.get(name, "missing")) for side in (recorded, rebuilt))
        if before != now:
            yield Difference(kind, name, before, now)


def _said(value: Any) -> str:
    return repr(value) if isinstance(value, float) else str(value)


def _figures(content: Any, path: str = "") -> Iterator[tuple[str, float | str]]:
    """Every number of metrics.json by its path; one that is missing counts as what it is."""
    if isinstance(content, Mapping):
        for key, value in content.items():
            yield from _figures(value, f"{path}.{key}" if path else str(key))
    elif isinstance(content, list | tuple):
        for place, value in enumerate(content):
            yield from _figures(value, f"{path}.{place}")
    elif isinstance(content, int | float) and not isinstance(content, bool):
        yield path, float(content) if math.isfinite(content) else str(content)
    else:
        yield path, str(content)
