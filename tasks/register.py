"""Register tonight's model; the gate decides whether it delivers.

reads   params.yaml, dvc.lock, data/raw/snapshot.json, data/champion, artifacts of prepare, finetune, rank, evaluate
writes  MLflow (one run, one model version), data/champion when the gate opens

A step, not a stage: it acts outside its files. It does nothing twice for the same training (the same lock hash).
"""

import contextlib
import fcntl
import logging
import os
import shutil
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from nightmarket.contracts import InputError
from nightmarket.serving import gate, set_environment
from tasks.files import manifest, storage
from tasks.pipeline.declaration import Step
from tasks.pipeline.settings import StageSettings
from tasks.registry import card, challenger, champion, promotion

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

    from nightmarket.serving.registry import Registry

log = logging.getLogger("nightmarket")
WAIT_S = 1800
BUSY_S = 20.0
"""How long another program may hold MLflow's database."""
STEP = Step("register the trained model; the gate decides whether it delivers")


class Settings(StageSettings):
    """How a training is put on record."""

    experiment: str = Field(default="nightmarket", min_length=1, description="MLflow experiment of the runs")
    min_difference: float = Field(
        default=0.0, ge=0.0, le=1.0, description="least mean NDCG@10 on `all` above the champion's"
    )
    seed: int = Field(default=17, ge=0, description="seed of the bootstrap behind the gate's intervals")


def run(settings: Settings) -> None:
    """Register, decide, and make the challenger champion if the gate opens."""
    with alone():
        storage.hook("register.locked")
        registry = open_registry(settings.experiment)
        storage.hook("register.opened")
        reaped = registry.reap()
        if reaped:
            log.info("register: closed %d runs that an earlier registration left open", reaped)
        storage.hook("register.reaped")
        follow_registry(registry)
        storage.hook("register.followed")
        promotion.finish(registry)
        tonight = challenger.read()
        version = registry.find(tonight.lock_hash)
        if version is not None and decided(registry, version):
            repeat(registry, version)
            return
        rival = challenger.rival(tonight, settings.seed)
        if version is None:
            version = record(registry, tonight, rival)
            storage.hook("register.recorded")
        settle(registry, version, tonight, rival, settings)


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Hold the promotion lock: one registration, promotion or rollback at a time. The kernel frees it on a kill."""
    with storage.private("promotion.lock").open("a+") as file:
        began, said = time.monotonic(), -5.0
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                waited = time.monotonic() - began
                if waited >= WAIT_S:
                    raise InputError(f"another registration has held {file.name} for {WAIT_S} s; end it") from None
                if waited - said >= 5:
                    said = waited
                    log.info("register: waiting for another registration, %d s", waited)
                time.sleep(0.05)
        yield


def open_registry(experiment: str) -> "Registry":
    """MLflow under mlruns/ of the main checkout, created on first use; only while holding the lock."""
    set_environment()
    from nightmarket.serving.registry import Registry

    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)  # what it logs, it raises as well
    folder = storage.home() / "mlruns"
    folder.mkdir(parents=True, exist_ok=True)
    _require_sound(folder / "mlflow.db")
    return Registry(f"sqlite:///{folder / 'mlflow.db'}", (folder / "artifacts").as_uri(), experiment)


def _require_sound(database: Path) -> None:
    """InputError, within `BUSY_S`, for a database that another program holds or that is damaged; MLflow would hang."""
    if not database.exists():
        return
    try:
        with contextlib.closing(sqlite3.connect(database, timeout=BUSY_S)) as opened:
            opened.execute("BEGIN IMMEDIATE")
            found = opened.execute("PRAGMA quick_check(1)").fetchone()[0]
            opened.rollback()
    except sqlite3.DatabaseError as error:
        found = str(error)
    if found != "ok":
        raise InputError(
            f"mlruns/mlflow.db cannot be used ({found}); end the program that holds it, or restore the file; what was "
            "trained is kept, and the next run registers it"
        )


def follow_registry(registry: "Registry") -> None:
    """Make data/champion the copy of the version with the alias champion, where it is not.

    It differs after a kill between the alias and the folder, after a night whose delivery failed, and after a
    promotion or rollback elsewhere. Without an alias the folder stays: it came with the checkout.
    """
    champion.sweep()
    reigning = registry.holder("champion")
    receipt = champion.receipt()
    if reigning is None:
        if storage.CHAMPION.exists() and any(storage.CHAMPION.iterdir()):
            manifest.verify(storage.CHAMPION)
        return
    known = receipt is not None and receipt["run_id"] == reigning.run_id
    if not known or not champion.intact():
        log.info(
            "register: data/champion is brought to version %s, which the registry names champion", reigning.version
        )
        install(registry, reigning)


def decided(registry: "Registry", version: "ModelVersion") -> bool:
    """Whether the gate has spoken; a champion whose promotion was cut short before its last step gets that step."""
    if version.tags["gate"] != "pending":
        return True
    reigning = registry.holder("champion")
    if reigning is None or reigning.version != version.version:
        return False
    registry.open_gate(version, registry.kept(version, champion.DECISION)["reasons"][0])
    return True


def record(registry: "Registry", tonight: "challenger.Challenger", rival: gate.Rival) -> "ModelVersion":
    """One MLflow run and one model version, its gate still pending."""
    staging = storage.private("register", str(os.getpid()), "package")
    shutil.rmtree(staging.parent.parent, ignore_errors=True)
    staging.mkdir(parents=True)
    try:
        for part in ("rank", "finetune"):
            shutil.copytree(storage.ARTIFACTS / part, staging / part, copy_function=champion.link)
        manifest.write(staging)
        storage.hook("register.staged")
        entry = challenger.record(tonight, manifest.tree_digest(staging), rival)
        return registry.record(entry, str(staging), tonight.ranker["features"])
    finally:
        shutil.rmtree(staging.parent, ignore_errors=True)


def settle(
    registry: "Registry",
    version: "ModelVersion",
    tonight: "challenger.Challenger",
    rival: gate.Rival,
    settings: Settings,
) -> None:
    """Let the gate decide and put its word on record; open it only after everything needed to deliver is kept."""
    verdict = gate.decide(tonight.metrics, tonight.num_customers, rival, min_difference=settings.min_difference)
    decision = challenger.decision(tonight, version, verdict)
    registry.keep(version, champion.DECISION, decision)
    registry.keep(version, champion.RECEIPT, challenger.receipt(tonight, version, decision))
    storage.hook("register.kept")
    if not verdict.opened:
        champion.note(decision)
        storage.hook("register.noted")
        registry.close_gate(version, decision["reasons"][0])
        card.describe(registry, [int(version.version)])
        log.info("register: %s", decision["sentence"])
        return
    change = promotion.begin(registry, version, how=promotion.GATE, by="the gate", reason=decision["reasons"][0])
    storage.hook("register.promoted")
    install(registry, version)
    storage.hook("register.installed")
    registry.open_gate(version, decision["reasons"][0])
    storage.hook("register.told")
    promotion.finish(registry)
    storage.hook("register.finished")
    card.describe(registry, [int(version.version), change["from"]])
    log.info("register: %s", decision["sentence"])


def repeat(registry: "Registry", version: "ModelVersion") -> None:
    """The same training again: the same word, and nothing changes."""
    decision = registry.kept(version, champion.DECISION)
    champion.note(decision)
    delivers = (champion.receipt() or {}).get("version")
    now = f"; version {delivers} delivers" if delivers else "; no version delivers"
    log.info("register: nothing new to register: %s%s", decision["sentence"], now)


def fetch(registry: "Registry", version: "ModelVersion", into: Path) -> Path:
    """A version's package out of the registry, checked against the digest on its tag."""
    try:
        package = Path(registry.package(version, str(into)))
    except Exception as error:
        raise InputError(
            f"the package of version {version.version} cannot be fetched from mlruns ({type(error).__name__}); restore "
            "mlruns/, or, where it is champion, `dvc checkout data/champion`"
        ) from error
    if manifest.tree_digest(package) != version.tags["package_sha256"]:
        raise InputError(f"the package of version {version.version} in mlruns/ was changed; it is not installed")
    return package


def install(registry: "Registry", version: "ModelVersion") -> None:
    """Copy a version out of the registry into data/champion, after checking it against the digest on its tag."""

    def fill(folder: Path) -> None:
        package = fetch(registry, version, folder / ".download")
        for part in ("rank", "finetune"):
            (package / part).rename(folder / part)
        shutil.rmtree(folder / ".download")
        registry.fetch(version, (champion.RECEIPT, champion.PER_CUSTOMER, champion.DECISION), str(folder))

    champion.install(fill)
