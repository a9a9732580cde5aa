"""The registry's one service: a version is recorded, decided upon, promoted, installed and put on record here.

Every change of the champion, by the gate or by a person, is one sequence (`change`): the intent, the aliases,
data/champion, the gate's word, the record. Everything needed to deliver is kept before it begins. A kill leaves a step
undone, never half done: who comes next first brings folder and record into step with the aliases.
"""

import logging
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nightmarket.contracts import InputError
from nightmarket.serving import gate
from tasks.files import manifest, storage
from tasks.registry import card, challenger, champion, promotion, soundness, store

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

    from nightmarket.serving.registry import Registry

PROMOTE, ROLLBACK = "promote", "rollback"
PARTS = ("rank", "finetune")
"""Folders of a version's package."""
log = logging.getLogger("nightmarket")


class RegistryService:
    """Registers and changes the champion; only under the promotion lock."""

    def __init__(self, registry: "Registry") -> None:
        self.registry = registry

    def register(self, *, seed: int, min_difference: float) -> None:
        """Put tonight's training on record, let the gate decide, and make it champion if the gate opens."""
        reaped = self.registry.reap()
        if reaped:
            log.info("register: closed %d runs that an earlier registration left open", reaped)
        storage.hook("register.reaped")
        self.resume()
        tonight = challenger.read()
        version = self.registry.find(tonight.lock_hash)
        if version is not None and self._decided(version):
            self._repeat(version)
            return
        rival = challenger.rival(tonight, seed)
        if version is None:
            version = self._record(tonight, rival)
            storage.hook("register.recorded")
        verdict = gate.decide(tonight.metrics, rival, min_difference=min_difference)
        self._settle(version, tonight, verdict)

    def promote(self, number: int, *, reason: str, who: str) -> str:
        """Make version `number` champion; returns what was done, in one line.

        Raises InputError for a version that is not there, not decided or cannot serve; the champion then stays.
        """
        resumed, reigning = self._resume_by_hand()
        if resumed and resumed["how"] == PROMOTE and resumed["version"] == reigning == number:
            return _finished(PROMOTE, reigning)
        if number == reigning:
            return f"version {number} delivers already; nothing changed"
        return self._change_by_hand(store.chosen(self.registry, number), PROMOTE, reason, who)

    def rollback(self, *, reason: str, who: str) -> str:
        """Make the champion before champion again; returns and raises as `promote`."""
        resumed, reigning = self._resume_by_hand()
        if resumed and resumed["how"] == ROLLBACK and resumed["version"] == reigning:
            return _finished(ROLLBACK, reigning)
        return self._change_by_hand(self._before(reigning), ROLLBACK, reason, who)

    def resume(self) -> dict[str, Any] | None:
        """Finish what a kill cut short: the folder follows the aliases, and the change begun is put on record.

        Returns that change, or None where none was open.
        """
        self._follow_aliases()
        storage.hook("register.followed")
        return promotion.finish(self.registry)

    def _follow_aliases(self) -> None:
        """Make data/champion the copy of the version with the alias champion, where it is not.

        It differs after a kill between the alias and the folder, after a night whose delivery failed, and after a
        promotion or rollback elsewhere. Without an alias the folder stays: it came with the checkout.
        """
        champion.sweep()
        reigning = self.registry.holder("champion")
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
            self.install(reigning)

    def _decided(self, version: "ModelVersion") -> bool:
        """Whether the gate has spoken; a champion whose promotion was cut short before its last step gets that step."""
        if version.tags["gate"] != "pending":
            return True
        reigning = self.registry.holder("champion")
        if reigning is None or reigning.version != version.version:
            return False
        self.registry.open_gate(version, self.registry.kept(version, champion.DECISION)["reasons"][0])
        return True

    def _repeat(self, version: "ModelVersion") -> None:
        """The same training again: the same word, and nothing changes."""
        decision = self.registry.kept(version, champion.DECISION)
        champion.note(decision)
        delivers = (champion.receipt() or {}).get("version")
        now = f"; version {delivers} delivers" if delivers else "; no version delivers"
        log.info("register: nothing new to register: %s%s", decision["sentence"], now)

    def _record(self, tonight: challenger.Challenger, rival: gate.Rival) -> "ModelVersion":
        """One MLflow run and one model version, its gate still pending."""
        staging = storage.private("register", str(os.getpid()), "package")
        shutil.rmtree(staging.parent.parent, ignore_errors=True)
        staging.mkdir(parents=True)
        try:
            for part in PARTS:
                shutil.copytree(storage.ARTIFACTS / part, staging / part, copy_function=champion.link)
            manifest.write(staging)
            storage.hook("register.staged")
            entry = challenger.record(tonight, manifest.tree_digest(staging), rival)
            return self.registry.record(entry, str(staging), tonight.ranker["features"])
        finally:
            shutil.rmtree(staging.parent, ignore_errors=True)

    def _settle(self, version: "ModelVersion", tonight: challenger.Challenger, verdict: gate.Decision) -> None:
        """Put the gate's word on record; open it only after everything needed to deliver is kept."""
        decision = challenger.decision(tonight, version, verdict)
        self.registry.keep(version, champion.DECISION, decision)
        self.registry.keep(version, champion.RECEIPT, challenger.receipt(tonight, version, decision))
        storage.hook("register.kept")
        described: list[int | None] = [int(version.version)]
        if verdict.opened:
            change = self.change(version, how=promotion.GATE, by="the gate", reason=decision["reasons"][0])
            storage.hook("register.finished")
            described.append(change["from"])
        else:
            champion.note(decision)
            storage.hook("register.noted")
            self.registry.close_gate(version, decision["reasons"][0])
        card.describe(self.registry, described)
        log.info("register: %s", decision["sentence"])

    def change(self, version: "ModelVersion", *, how: str, by: str, reason: str) -> dict[str, Any]:
        """Make the version champion: the intent, the aliases, the folder, the gate's word, the record.

        how  gate, promote or rollback. Returns the change as it went on record.
        """
        change = promotion.begin(self.registry, version, how=how, by=by, reason=reason)
        storage.hook("register.promoted")
        self.install(version)
        storage.hook("register.installed")
        if how == promotion.GATE:
            self.registry.open_gate(version, reason)
            storage.hook("register.told")
        promotion.finish(self.registry)
        return change

    def install(self, version: "ModelVersion") -> None:
        """Copy a version out of the registry into data/champion, after checking it against the digest on its tag."""

        def fill(folder: Path) -> None:
            package = self._fetch(version, folder / ".download")
            for part in PARTS:
                (package / part).rename(folder / part)
            shutil.rmtree(folder / ".download")
            documents = (champion.RECEIPT, champion.PER_CUSTOMER, champion.DECISION)
            self.registry.fetch(version, documents, str(folder))

        champion.install(fill)

    def _fetch(self, version: "ModelVersion", into: Path) -> Path:
        """A version's package out of the registry, checked against the digest on its tag."""
        try:
            package = Path(self.registry.package(version, str(into)))
        except Exception as error:
            raise InputError(
                f"the package of version {version.version} cannot be fetched from mlruns ({type(error).__name__}); "
                "restore mlruns/, or, where it is champion, `dvc checkout data/champion`"
            ) from error
        if manifest.tree_digest(package) != version.tags["package_sha256"]:
            raise InputError(f"the package of version {version.version} in mlruns/ was changed; it is not installed")
        return package

    def _resume_by_hand(self) -> tuple[dict[str, Any] | None, int | None]:
        """The change that was finished first, if one was open, and who is champion then."""
        resumed = self.resume()
        if resumed:
            self._say(resumed)
        return resumed, self.registry.aliases().get("champion")

    def _change_by_hand(self, version: "ModelVersion", how: str, reason: str, who: str) -> str:
        self._examine(version)
        change = self.change(version, how=how, by=who, reason=reason)
        self._say(change)
        return _sentence(change, version.tags)

    def _before(self, reigning: int | None) -> "ModelVersion":
        """Whom a rollback brings back."""
        if reigning is None:
            raise InputError("there is no champion, so there is nothing to roll back from")
        last = promotion.latest(reigning)
        if last and last["how"] == ROLLBACK:
            raise InputError(
                f"version {reigning} is there by a rollback already (from version {last['from']}, {last['at']}); to go "
                "elsewhere, promote the version that you want by its number"
            )
        before = self.registry.holder("previous_champion")
        if before is None or int(before.version) == reigning:
            raise InputError(f"nothing delivered before version {reigning}, so there is nothing to roll back to")
        return before

    def _examine(self, version: "ModelVersion") -> None:
        """Refuse a version that cannot serve; give one of older code the receipt that it lacks."""
        name = f"version {version.version}"
        if version.tags.get("gate", "pending") == "pending":
            raise InputError(
                f"{name} is not decided: its registration was cut short; run `python -m flows retrain` first"
            )
        staging = storage.private("promote", "package")
        shutil.rmtree(staging.parent, ignore_errors=True)
        staging.parent.mkdir()
        try:
            package = self._fetch(version, staging)
            soundness.check(package, name)
            try:
                self.registry.kept(version, champion.RECEIPT)
            except Exception:  # refused by older code, which kept a receipt of champions alone
                decision = self.registry.kept(version, champion.DECISION)
                self.registry.keep(version, champion.RECEIPT, challenger.late_receipt(decision, package))
        finally:
            shutil.rmtree(staging.parent, ignore_errors=True)

    def _say(self, change: dict[str, Any]) -> None:
        """Bring what people read up to date: the gate's latest word in data/champion, and the cards in MLflow."""
        if change["how"] != promotion.GATE:
            version = store.chosen(self.registry, change["version"])
            decision = self.registry.kept(version, champion.DECISION)
            champion.note({**decision, "sentence": _sentence(change, version.tags), "promoted": change})
        before = self.registry.aliases().get("previous_champion")
        card.describe(self.registry, {change["version"], change["from"], before})


def _finished(how: str, reigning: int | None) -> str:
    return f"the {how} to version {reigning} that was cut short is finished"


def _sentence(change: dict[str, Any], tags: Mapping[str, str]) -> str:
    was = f" in place of version {change['from']}" if change["from"] else ""
    against = ", against the gate's refusal," if tags.get("gate") == "refused" else ""
    back = " by a rollback" if change["how"] == ROLLBACK else ""
    said = f"version {change['version']} became champion{was}{back}{against}"
    return f"{said} on the word of {change['by']}: {change['reason']}"
