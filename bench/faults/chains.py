"""Registrations killed at every hook that they pass, several times one after the other."""

from collections.abc import Callable
from pathlib import Path

from bench.faults import kills, registry, scenarios

Say = Callable[[str], None]
KINDS = {kind.name: kind for kind in (*scenarios.CHEAP, registry.Registration)}
EARLY = ("register.locked", "register.opened", "register.reaped", "register.followed", "register.staged")
LATER = (
    "mlflow.log_batch.before",
    "mlflow.log_batch.after:3",
    "mlflow.log_inputs.after",
    "mlflow.finalize_logged_model.before",
    "mlflow.finalize_logged_model.after",
    "mlflow.create_model_version.before",
    "mlflow.create_model_version.after",
    "register.recorded",
    "mlflow.log_text.before",
    "mlflow.log_text.after:2",
    "register.kept",
    "mlflow.set_model_version_tag.after",
    "mlflow.set_registered_model_alias.before",
    "mlflow.set_registered_model_alias.after:1",
    "mlflow.set_registered_model_alias.after:2",
    "promotion.intended",
    "register.promoted",
    "champion.begin",
    "champion.filled",
    "champion.listed",
    "swap.flushed",
    "swap.swapped",
    "swap.done",
    "register.installed",
    "mlflow.set_model_version_tag.before:3",
    "register.told",
    "promotion.noted",
    "promotion.handed",
    "mlflow.delete_model_version_tag.before",
    "mlflow.delete_model_version_tag.after",
    "register.finished",
)


def registrations(folder: Path, seed: int, *, quick: bool, say: Say) -> kills.Tally:
    """Each hook once; in chains of kills whose hooks come later and later."""
    tally = kills.Tally()
    rig = kills.Rig(registry.Registration(seed), folder / "registration")
    if quick:
        tally.add(rig.kill(["mlflow.set_registered_model_alias.after:2", "swap.swapped"]))
        return tally
    step = 6
    chains = [EARLY, *(LATER[start::step] for start in range(step))]
    for chain in chains:
        tally.add(rig.kill(chain))
        say(f"{tally.kills} kills of registrations, {len(tally.violations)} violations")
    return tally


def again(folder: Path, seed: int, scenario: str | None, chain: str, say: Say) -> kills.Tally:
    """One chain of kills again; without a scene, of the whole stack."""
    if scenario is None:
        from bench.faults import stack

        return stack.kills(folder, [chain.split("+")], say)
    return kills.Rig(KINDS[scenario](seed), folder / "again").kill(chain.split("+"))
