"""params.yaml, read strictly: every stage declares its settings, and a typo fails by name."""

import contextlib
import itertools
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator, model_validator

from nightmarket.contracts import InputError
from tasks.pipeline import contradictions, remedies
from tasks.pipeline.excerpt import excerpt
from tasks.pipeline.params import ParamsFile

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
    "care",
    "evaluate",
    "score",
    "related",
    "bundle",
    "plan",
    "compose",
    "readout",
    "drift",
    "report",
)
STEPS = ("snapshot", "register", "launch", "find", "shrink", "sink")
"""Steps touch the world outside their files or run by hand alone, so DVC does not run them; a flow does."""


class StageSettings(BaseModel):
    """The section of params.yaml that carries the stage's name, or a part of one."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _no_switch(cls, value: Any, info: ValidationInfo) -> Any:
        """Pydantic takes true for 1."""
        annotation = cls.model_fields[str(info.field_name)].annotation
        if isinstance(value, bool) and {int, float} & {annotation, *get_args(annotation)}:
            raise ValueError(f"expected a number; found {str(value).lower()}")
        return value


class Machine(StageSettings):
    """What stages may use of the machine; results do not depend on it, so it is a parameter of none."""

    processes: int | Literal["auto"] = Field(
        1, description="that share the work of embed, finetune and score; auto: one per GPU, 1 without"
    )

    stages: int = Field(
        2, ge=1, le=64, description="that may run side by side, at most one per core; 1 where memory is short"
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


class SiteArm(StageSettings):
    """What visitors of one arm get."""

    share: float = Field(gt=0, lt=1, description="of the visitors; the shares of all arms sum to 1")
    best: Literal["reranked", "nightly", "popular"] = Field(
        "reranked", description="the step of an answer that is taken at best"
    )
    explore: float | None = Field(None, ge=0, le=0.5, description="in place of serve.explore; null: the same")


class SiteExperiment(StageSettings):
    """Visitors are dealt to arms by a keyed hash: a customer always to the same one, a guest for a visit."""

    name: str = Field(min_length=1, max_length=100, description="which salts the hash; another name deals anew")
    arms: dict[str, SiteArm] = Field(min_length=2, max_length=10, description="name: share, best, explore")

    @model_validator(mode="after")
    def _shares_are_whole(self) -> Self:
        total = sum(arm.share for arm in self.arms.values())
        if abs(total - 1) > 1e-9:
            raise ValueError(f"arms: their shares sum to {total:g}; make it 1")
        return self


class Heartbeat(StageSettings):
    """When `python -m flows heartbeat` tells that no night has started; no stage reads it."""

    hours: float | None = Field(
        26.0, gt=0, le=8_760, description="that may pass from one night's start to the next; null: nobody is told"
    )


class Serve(StageSettings):
    """The live site's servers, `make serve`; no stage reads it."""

    host: str = Field(
        "127.0.0.1", min_length=1, description="address that is listened on; the default is this machine alone"
    )
    port: int = Field(8080, ge=0, le=65_535, description="that is listened on; 0: a free one")
    workers: int = Field(2, ge=1, le=256, description="processes that answer")
    budget_ms: float = Field(
        100.0, ge=1, le=10_000, description="time that an answer may take before a simpler one is given"
    )
    waiting: int = Field(64, ge=1, le=100_000, description="questions that may wait in a worker; more are turned away")
    most_bytes: int = Field(1_048_576, ge=1024, le=1 << 30, description="of a request's body")
    origins: tuple[str, ...] = Field((), description="web pages that may ask from a browser, as https://shop.example")
    explore: float = Field(
        0.0, ge=0, le=0.5, description="share of places that try something, with a logged propensity"
    )
    experiment: SiteExperiment | None = Field(None, description="name and arms, that answers and lists carry")
    currency: str = Field("USD", pattern="^[A-Z]{3}$", description="of prices in answers to messages, as CNY")
    shop: str = Field(
        "", description="whose customers ask, where several shops keep theirs apart: name of snapshot.folders"
    )


class AddressTable(StageSettings):
    """The shop's own table of where its customers are reached: read when a file is downloaded, kept nowhere."""

    file: str = Field(min_length=1, description="the table, as seen from the checkout: CSV, Excel, JSON lines, parquet")
    customer: str = Field("customer_id", min_length=1, description="its column with the shop's own ids")
    shop: str | None = Field(
        None, description="its column with the name of a shop, where several keep their customers apart"
    )
    columns: dict[str, str] = Field(
        min_length=1, description="{channel: its column with the addresses}, as {email: E-Mail, sms: Mobile}"
    )


class DeskSettings(StageSettings):
    """The desk, `make ui`; no stage reads it."""

    second_person_above: float | None = Field(
        None,
        ge=0,
        description="budget above which somebody else than who planned it has to approve; null: nobody has to",
    )
    addresses: AddressTable | None = Field(
        None, description="table of addresses for the files of mail tools; null: the files hold customers' ids alone"
    )
    handover: str | None = Field(
        None,
        pattern="^[A-Z][A-Z0-9_]*$",
        description="name of the environment variable with the address that contacts are posted to; null: none is",
    )


MACHINE, RETENTION, HEARTBEAT, SERVE, DESK = "machine", "retention", "heartbeat", "serve", "desk"
"""The sections that belong to no stage."""
OF_NO_STAGE: dict[str, type[StageSettings]] = {
    MACHINE: Machine,
    RETENTION: Retention,
    HEARTBEAT: Heartbeat,
    SERVE: Serve,
    DESK: DeskSettings,
}
SECTIONS = (*STAGES, *STEPS, *OF_NO_STAGE)
PARAMS = Path("params.yaml")


class WrongSetting(NamedTuple):
    """What is wrong.

    parts  of the key's path, its section first
    words  what is wrong with it, and what to do
    """

    parts: tuple[str | int, ...]
    words: str

    @property
    def key(self) -> str:
        """As people write it: `plan.channels.email`."""
        return ".".join(map(str, self.parts))


def machine(path: Path = PARAMS) -> Machine:
    """The section `machine`; InputError as `load` raises it."""
    return Machine.model_validate(load(MACHINE, path).model_dump())


def heartbeat(path: Path = PARAMS) -> Heartbeat:
    """The section `heartbeat`; InputError as `load` raises it."""
    return Heartbeat.model_validate(load(HEARTBEAT, path).model_dump())


def retention(path: Path = PARAMS) -> Retention:
    """The section `retention`; InputError as `load` raises it."""
    return Retention.model_validate(load(RETENTION, path).model_dump())


def serve(path: Path = PARAMS) -> Serve:
    """The section `serve`; InputError as `load` raises it."""
    return Serve.model_validate(load(SERVE, path).model_dump())


def desk(path: Path = PARAMS) -> DeskSettings:
    """The section `desk`; InputError as `load` raises it."""
    return DeskSettings.model_validate(load(DESK, path).model_dump())


def settings_model(name: str) -> type[StageSettings]:
    """The settings class of a stage or step, or of a section that belongs to none; the stage is not imported for it."""
    if name in OF_NO_STAGE:
        return OF_NO_STAGE[name]
    model: type[StageSettings] = excerpt(f"tasks.{name}", "Settings")
    return model


def load(name: str, path: Path = PARAMS) -> StageSettings:
    """The settings of one stage.

    Raises InputError, in one line, for a file that is not YAML, an unknown section or key, or a value of the wrong
    type.
    """
    file = _read(path)
    return _settings(file.content, name, file)


def sections(path: Path) -> dict[str, Any]:
    """params.yaml as a dict of sections, with their names checked."""
    return _read(path).content


def check(content: Mapping[str, Any], name: str) -> StageSettings:
    """Check one section of a params.yaml, as it would be with what was changed by hand."""
    return _settings(content, name, None)


def check_all(path: Path = PARAMS, names: Collection[str] = (), home: Path | None = None) -> dict[str, Any]:
    """Every section of params.yaml, each for itself and beside the others; InputError for the first that is wrong.

    names  sections whose files must be there, tables and models
    home   the main checkout, where relative folders of tables begin; None: that of the file
    """
    file = _read(path)
    _refuse(wrong_settings(file.content, names, path.absolute().parent, home), file)
    return file.content


def wrong_settings(
    content: Mapping[str, Any], names: Collection[str], root: Path, home: Path | None = None
) -> list[WrongSetting]:
    """What is wrong with the sections of a params.yaml, as `check_all` looks at them; root: the folder of the file."""
    loaded: dict[str, StageSettings | None] = {}
    wrong: list[WrongSetting] = []
    for name in content:
        loaded[name], more = _validated(content, name)
        wrong += more
    if not wrong:
        beside = (contradictions.between(loaded), contradictions.missing(loaded, names, root, home or root))
        wrong = list(itertools.starmap(WrongSetting, itertools.chain(*beside)))
    return wrong


def _refuse(wrong: Sequence[WrongSetting], file: ParamsFile | None) -> None:
    """InputError with the first of them, in the order of the file; nothing where there is none."""
    if not wrong:
        return
    first = min(wrong, key=lambda setting: file.line(*setting.parts) or 0) if file else wrong[0]
    where = f"{file.where(*first.parts)}: " if file else ""
    more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
    raise InputError(f"{where}{first.key}: {first.words}{more}")


def _read(path: Path) -> ParamsFile:
    file = ParamsFile.read(path)
    for name in file.content:
        if name not in SECTIONS:
            raise InputError(f"{file.where(name)}: {remedies.unknown_section(str(name), SECTIONS, _owners())}")
    return file


def _settings(content: Mapping[str, Any], name: str, file: ParamsFile | None) -> StageSettings:
    loaded, wrong = _validated(content, name)
    _refuse(wrong, file)
    assert loaded is not None  # where nothing is wrong
    return loaded


def _validated(content: Mapping[str, Any], name: str) -> tuple[StageSettings | None, list[WrongSetting]]:
    """A section's settings, or what is wrong with it."""
    section = content.get(name)
    try:
        return settings_model(name).model_validate({} if section is None else section), []
    except ValidationError as error:
        return None, list(_wrong(error, name))
    except UnicodeEncodeError:
        return None, [WrongSetting((name,), "a key holds half of a character (a lone surrogate); write it anew")]


def _wrong(error: ValidationError, name: str) -> Iterator[WrongSetting]:
    model, owners = settings_model(name), _owners()
    for detail in error.errors():
        words = remedies.remedy(detail, remedies.keys_at(model, detail["loc"][:-1]), owners)
        key, colon, rest = words.partition(": ")
        if colon and key in remedies.keys_at(model, detail["loc"]):  # a rule about several keys names the one to change
            yield WrongSetting((name, *detail["loc"], key), rest)
        else:
            yield WrongSetting((name, *detail["loc"]), words)


def _owners() -> dict[str, list[str]]:
    """Key → the sections that have it."""
    owners: dict[str, list[str]] = {}
    for name in SECTIONS:
        with contextlib.suppress(ModuleNotFoundError):
            for key in settings_model(name).model_fields:
                owners.setdefault(key, []).append(name)
    return owners
