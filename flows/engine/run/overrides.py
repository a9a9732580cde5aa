"""Settings before a run: params.yaml and values for one run only, checked, then written into the run's params.yaml."""

import copy
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from nightmarket.contracts import InputError
from tasks.files import catalogue
from tasks.merchandising.rules_file import ShopRules
from tasks.pipeline import remedies, settings
from tasks.pipeline.params import ParamsFile

NEEDED: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("nightly", "forget", "rotate"), ("snapshot", "embed", "compose")),
    **dict.fromkeys(("retrain",), ("embed", "compose")),
    **dict.fromkeys(("deliver", "campaign", "launch"), ("compose",)),
}
"""Flow → sections whose tables and models must be there for it."""
DELIVERING = ("nightly", "deliver", "forget", "rotate")
"""Flows that make lists, which the shop's rules hold for."""
WITHOUT_SETTINGS = ("promote", "rollback", "backup", "restore")
"""Flows that read none: no wrong setting keeps another champion from serving, or a backup from being made."""


def check(folder: Path, flow: str, changes: Mapping[str, Any] | None = None, home: Path | None = None) -> None:
    """All that can be known to be wrong with the settings of a flow before anything runs; InputError in one line.

    folder   holds params.yaml, a checkout or a run's worktree
    flow     its name, or a run's that begins with it
    changes  for this run only
    home     the main checkout; None: the folder
    """
    if flow in WITHOUT_SETTINGS:
        return
    path, needed = folder / settings.PARAMS, NEEDED.get(flow.partition("-")[0], ())
    content = settings.check_all(path, () if changes else needed, home)
    if changes:
        content = checked(content, changes)
        if wrong := settings.wrong_settings(content, needed, folder, home):
            raise InputError(f"override: {wrong[0].key}: {wrong[0].words}")
    if flow.partition("-")[0] in DELIVERING:
        _check_rules(folder, content)


def _check_rules(folder: Path, content: Mapping[str, Any]) -> None:
    """InputError, in one line, for a rule of the shop that is wrong, or for its file where a stage asks for it."""
    path, stages = catalogue.RULES.at(folder).path, folder / "dvc.yaml"
    if path.exists():
        score: Any = settings.check(content, "score")
        where = ParamsFile.read(folder / settings.PARAMS).where("score", "num_recommendations")
        ShopRules.load(path, score.num_recommendations, where)
    elif stages.exists() and f"{path.name}," in stages.read_text(encoding="utf-8"):
        raise InputError(f"{path.name} is missing; restore it from git, or write one that holds `rules: []`")


def fault(home: Path, flow: str) -> str:
    """What is wrong with params.yaml, for a flow that goes on all the same; "" where nothing is, or the flow ends."""
    try:
        settings.check_all(home / settings.PARAMS) if flow in WITHOUT_SETTINGS else None
    except InputError as error:
        return str(error)
    return ""


def checked(content: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """params.yaml's sections with the overrides in place.

    Keys are "section.key" (deeper keys go on with dots). Raises InputError, in one line, for an unknown section or
    key or a value of the wrong type.
    """
    changed = copy.deepcopy(dict(content))
    for key, value in overrides.items():
        section, dot, rest = key.partition(".")
        known = (*settings.STAGES, *settings.STEPS)
        if section not in known:
            raise InputError(f"override '{key}': {remedies.unknown_section(section, known, {})}")
        if not dot or not rest:
            raise InputError(f"override '{key}': name the key too, as in '{section}.key'")
        changed[section] = _with(changed.get(section) or {}, rest.split("."), value, key)
    for section in {key.partition(".")[0] for key in overrides}:
        try:
            settings.check(changed, section)
        except InputError as error:
            raise InputError(f"override: {error}") from None
    return changed


def _with(section: Mapping[str, Any], path: list[str], value: Any, key: str) -> dict[str, Any]:
    first, *deeper = path
    if deeper:
        inner = section.get(first) or {}
        if not isinstance(inner, Mapping):
            raise InputError(f"override '{key}': '{first}' is a value, not a section of its own")
        value = _with(inner, deeper, value, key)
    return {**section, first: value}


def write(tree: Path, overrides: Mapping[str, Any]) -> None:
    """Write the run's params.yaml: the same sections with the overrides in place (comments are not kept)."""
    path = tree / "params.yaml"
    content = settings.sections(path)
    changed = checked(content, overrides)
    if changed != content:
        path.write_text(yaml.safe_dump(changed, sort_keys=False, allow_unicode=True), encoding="utf-8")


def parse(assignment: str) -> tuple[str, Any]:
    """`section.key=value` from a command line, the value read as YAML."""
    key, equals, text = assignment.partition("=")
    if not equals or not re.fullmatch(r"[\w.-]+", key.strip()):
        raise InputError(f"--set {assignment}: expected section.key=value")
    try:
        return key.strip(), yaml.safe_load(text)
    except (yaml.YAMLError, ValueError):  # the latter: a date that no calendar has
        raise InputError(f"--set {key}: the value is not valid YAML") from None
