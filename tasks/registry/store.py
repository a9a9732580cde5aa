"""MLflow under mlruns/ of the main checkout: who may write to it, how it is opened, which versions it holds."""

import contextlib
import logging
import sqlite3
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from nightmarket.contracts import InputError
from nightmarket.serving import set_environment
from tasks.files import locks, storage

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

    from nightmarket.serving.registry import Registry

log = logging.getLogger("nightmarket")
WAIT_S = 1800
SAY_EVERY_S = 5
LOOK_EVERY_S = 0.05
BUSY_S = 20.0
"""How long another program may hold MLflow's database."""


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Hold the promotion lock: one registration, promotion or rollback at a time. The kernel frees it on a kill."""

    def say(waited: float) -> None:
        log.info("register: waiting for another registration, %d s", waited)

    with storage.private("promotion.lock").open("a+") as file:
        waiting = locks.attempts(file, wait_s=WAIT_S, look_every_s=LOOK_EVERY_S, say_every_s=SAY_EVERY_S, say=say)
        try:
            for pause_s in waiting:
                time.sleep(pause_s)
        except TimeoutError:
            raise InputError(f"another registration has held {file.name} for {WAIT_S} s; end it") from None
        yield


def for_writing(experiment: str) -> "Registry":
    """The registry, created on first use; only while holding the lock."""
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)  # what it logs, it raises as well
    folder = storage.home() / "mlruns"
    folder.mkdir(parents=True, exist_ok=True)
    require_sound(folder / "mlflow.db")
    return _opened(folder, experiment)


def for_reading(experiment: str = "nightmarket") -> "Registry":
    """The registry as it is; InputError where nothing was registered yet."""
    folder = storage.home() / "mlruns"
    if not (folder / "mlflow.db").exists():
        raise InputError("nothing is registered yet: there is no mlruns/mlflow.db; run `make nightly` first")
    return _opened(folder, experiment)


def _opened(folder: Path, experiment: str) -> "Registry":
    set_environment()
    from nightmarket.serving.registry import Registry

    return Registry(f"sqlite:///{folder / 'mlflow.db'}", (folder / "artifacts").as_uri(), experiment)


def require_sound(database: Path) -> None:
    """InputError, within `BUSY_S`, for a database that another program holds or that is damaged; MLflow would hang."""
    if not database.exists():
        return
    try:
        with contextlib.closing(sqlite3.connect(database, timeout=BUSY_S)) as opened:
            opened.execute("BEGIN IMMEDIATE")
            state = opened.execute("PRAGMA quick_check(1)").fetchone()[0]
            opened.rollback()
    except sqlite3.DatabaseError as error:
        state = str(error)
    if state != "ok":
        raise InputError(
            f"mlruns/mlflow.db cannot be used ({state}); end the program that holds it, or restore the file; what was "
            "trained is kept, and the next run registers it"
        )


def chosen(registry: "Registry", number: int | None) -> "ModelVersion":
    """The version of that number, or the champion; InputError names the versions that there are."""
    versions = {int(version.version): version for version in registry.versions()}
    if number is None:
        number = registry.aliases().get("champion")
        if number is None:
            raise InputError(f"there is no champion; {_known(versions)}")
    if number not in versions:
        raise InputError(f"there is no version {number}; {_known(versions)}")
    return versions[number]


def _known(versions: Iterable[int]) -> str:
    listed = [str(number) for number in sorted(versions)]
    if not listed:
        return "nothing is registered yet; run `make nightly` first"
    shown = listed if len(listed) <= 20 else [*listed[:5], "…", *listed[-14:]]
    return f"there {'is' if len(listed) == 1 else 'are'} {', '.join(shown)}"
