"""Values for one run only: checked against the settings of their stage, then written into the run's params.yaml."""

import copy
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from nightmarket.contracts import InputError
from tasks.pipeline import settings


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
            raise InputError(f"override '{key}': unknown section '{section}'; there are {', '.join(known)}")
        if not dot or not rest:
            raise InputError(f"override '{key}': name the key too, as in '{section}.key'")
        changed[section] = _with(changed.get(section) or {}, rest.split("."), value, key)
    for section in {key.partition(".")[0] for key in overrides}:
        settings.check(changed, section, Path("override"))
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
