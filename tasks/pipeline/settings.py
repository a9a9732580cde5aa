"""params.yaml, read strictly: every stage declares its settings, and a typo fails by name."""

import importlib
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from nightmarket.contracts import InputError

STAGES = (
    "validate",
    "prepare",
    "pretrain",
    "embed",
    "finetune",
    "rank",
    "respond",
    "reviews",
    "segment",
    "demand",
    "evaluate",
    "score",
    "plan",
    "compose",
    "readout",
    "drift",
    "report",
)
STEPS = ("snapshot", "register", "launch", "find", "shrink")
"""Steps touch the world outside their files or run by hand alone, so DVC does not run them; a flow does."""


class StageSettings(BaseModel):
    """The section of params.yaml that carries the stage's name, or a part of one."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Machine(StageSettings):
    """What stages may use of the machine; results do not depend on it, so it is a parameter of none."""

    processes: int | Literal["auto"] = Field(
        1, description="that share the work of embed, finetune and score; auto: one per GPU, 1 without"
    )

    @field_validator("processes", mode="plain")
    @classmethod
    def _number(cls, value: Any) -> Any:
        if value == "auto" or (type(value) is int and 1 <= value <= 1024):
            return value
        raise ValueError("must be a whole number from 1 to 1024, or auto")


class Retention(StageSettings):
    """How long what no registered version needs is kept; results do not depend on it, so it is a parameter of none."""

    days: int | None = Field(
        30, ge=1, le=36_500, description="that runs and their data are kept which no version needs; null: for ever"
    )
    refused_days: int | None = Field(
        None, ge=1, le=36_500, description="that versions are kept which the gate refused; null: for ever"
    )
    shared: bool = Field(
        False, description="delete from DVC's remotes too, and from a cache outside the checkout, which others may use"
    )


MACHINE, RETENTION = "machine", "retention"
"""The sections that belong to no stage."""


def machine(path: Path = Path("params.yaml")) -> Machine:
    """The section `machine`; InputError as `load` raises it."""
    return Machine.model_validate(check(sections(path), MACHINE, path).model_dump())


def retention(path: Path = Path("params.yaml")) -> Retention:
    """The section `retention`; InputError as `load` raises it."""
    return Retention.model_validate(check(sections(path), RETENTION, path).model_dump())


def settings_model(name: str) -> type[StageSettings]:
    """The settings class of a stage or step, or of a section that belongs to none."""
    if name in (MACHINE, RETENTION):
        return Machine if name == MACHINE else Retention
    return importlib.import_module(f"tasks.{name}").Settings


def load(name: str, path: Path = Path("params.yaml")) -> StageSettings:
    """The settings of one stage.

    Raises InputError, in one line, for a file that is not YAML, an unknown section or key, or a value of the wrong
    type.
    """
    return check(sections(path), name, path)


def sections(path: Path) -> dict[str, Any]:
    """params.yaml as a dict of sections, with their names checked."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path} is missing; run from the folder that holds it, or restore it from git") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        raise InputError(f"{path}{where}: not valid YAML: {getattr(error, 'problem', 'cannot be read')}") from None
    except ValueError as error:  # a date that no calendar has, or bytes that are no UTF-8
        raise InputError(f"{path}: not valid YAML: {error}") from None
    if not isinstance(content, dict):
        raise InputError(f"{path}: expected one section per stage, found {type(content).__name__}")
    known = (*STAGES, *STEPS, MACHINE, RETENTION)
    for section in content:
        if section not in known:
            raise InputError(f"{path}: unknown section '{section}'; there are {', '.join(known)}")
    return content


def check(content: dict[str, Any], name: str, path: Path = Path("params.yaml")) -> StageSettings:
    """Check one section of a loaded params.yaml against the stage's settings model."""
    try:
        return settings_model(name).model_validate(content.get(name) or {})
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in (name, *first["loc"]))
        extra = len(error.errors()) - 1
        more = f" (and {extra} more)" if extra else ""
        if first["type"] == "extra_forbidden":
            fields = f"; {name} has {', '.join(settings_model(name).model_fields)}" if len(first["loc"]) == 1 else ""
            raise InputError(f"{path}: unknown key '{where}'{more}{fields}") from None
        raise InputError(f"{path}: {where}: {first['msg']}{more}") from None
    except UnicodeEncodeError:  # YAML and JSON can say half of a character, as "\ud800"
        raise InputError(f"{path}: {name}: a key or text holds half of a character (a lone surrogate)") from None
