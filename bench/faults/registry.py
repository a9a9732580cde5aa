"""Registrations, promotions and rollbacks with a real MLflow on SQLite, killed and racing."""

import contextlib
import itertools
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.faults.children import contents, forked
from bench.faults.scenarios import Scenario
from nightmarket.serving import set_environment
from tasks import register
from tasks.files import manifest, storage
from tasks.registry import champion, promotion, store
from tasks.registry.service import PROMOTE, RegistryService
from tests.made_up.run import write_run

set_environment()
import lightgbm  # noqa: E402
import matplotlib.pyplot  # noqa: E402
import mlflow  # noqa: E402
import mlflow.pyfunc  # noqa: E402
import mlflow.store.model_registry.sqlalchemy_store  # noqa: E402
import mlflow.store.tracking.sqlalchemy_store  # noqa: E402
from mlflow import MlflowClient  # noqa: E402

from nightmarket.serving import figures, package, registry  # noqa: E402

IMPORTED = (lightgbm, matplotlib.pyplot, package, figures, registry)

CALLS = (
    "create_model_version",
    "set_registered_model_alias",
    "set_model_version_tag",
    "log_text",
    "log_batch",
    "log_inputs",
    "finalize_logged_model",
    "delete_model_version_tag",
)
"""What of MLflow's client is killed before and after."""


def around_mlflow() -> None:
    """Make every call of `CALLS` a pair of hooks, mlflow.NAME.before and mlflow.NAME.after; in a child only."""
    for name in CALLS:
        setattr(MlflowClient, name, _between(getattr(MlflowClient, name), name))


def _between(call: Callable[..., Any], name: str) -> Callable[..., Any]:
    def called(*args: Any, **kwargs: Any) -> Any:
        storage.hook(f"mlflow.{name}.before")
        answer = call(*args, **kwargs)
        storage.hook(f"mlflow.{name}.after")
        return answer

    return called


class Registration(Scenario):
    """A better training is registered and promoted over a champion."""

    name = "registration"

    def make(self, place: Path) -> None:
        write_run(place, seed=self.seed, lift=0.05, num_customers=30)
        register.run(register.Settings())
        better = place / "better"
        better.mkdir()
        write_run(better, seed=self.seed, lift=0.1, num_customers=30)
        for name in ("artifacts", "data/champion"):
            if (better / name).exists():
                shutil.rmtree(place / name, ignore_errors=name == "data/champion")
                shutil.move(better / name, place / name)
        shutil.copy(better / "dvc.lock", place / "dvc.lock")
        shutil.rmtree(better)

    def work(self) -> None:
        around_mlflow()
        register.run(register.Settings())

    def state(self, place: Path) -> Any:
        """Bytes of the model that delivers; aliases, gates and open ends of the registry; the record of changes."""
        client = connect(place)
        versions = client.search_model_versions("name = 'nightmarket'")
        experiment = client.get_experiment_by_name("nightmarket").experiment_id
        running = client.search_runs([experiment], "attributes.status = 'RUNNING'")
        receipt = storage.read_json(place / "data/champion/receipt.json")
        return {
            "bytes": {part: contents(place / "data/champion" / part) for part in ("rank", "finetune")},
            "champion": receipt["version"],
            "aliases": {k: int(v) for k, v in client.get_registered_model("nightmarket").aliases.items()},
            "gates": {int(version.version): version.tags["gate"] for version in versions},
            "open": [tag for version in versions for tag in version.tags if tag == promotion.INTENT],
            "spans": {int(version.version): len(promotion.spans(version)) for version in versions},
            "changes": [(change["version"], change["from"], change["how"]) for change in promotion.changes()],
            "running": len(running),
            "drafts": sorted(path.name for path in (place / "data").glob(".champion*")),
        }

    def wrong(self, place: Path, old: Any, new: Any) -> str:
        manifest.verify(place / "data/champion")
        receipt = storage.read_json(place / "data/champion/receipt.json")
        number = receipt["version"]
        for state in (old, new):
            parts = {part: contents(place / "data/champion" / part) for part in ("rank", "finetune")}
            if state["champion"] == number and state["bytes"] == parts:
                return ""
        return f"data/champion says version {number} and holds another model"


def connect(place: Path) -> MlflowClient:
    """A client of the registry in that folder."""
    uri = f"sqlite:///{place / 'mlruns/mlflow.db'}"
    mlflow.set_tracking_uri(uri)
    mlflow.set_registry_uri(uri)
    return MlflowClient(tracking_uri=uri, registry_uri=uri)


def races(folder: Path, seed: int, rounds: int, say: Callable[[str], None], num: int = 4) -> tuple[int, list[str]]:
    """Rounds of `num` processes that promote at once, each only over a champion whose value is below its own.

    Returns how many promotions there were and the rounds that ended wrong: another champion than the best, another
    model in data/champion than the alias names, a previous champion that was not, or a change not on record.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    code, said = forked(lambda: _versions(folder, seed, num + 1), folder, seconds=300)
    assert code == 0, said
    draw, wrong, total = random.Random(seed), [], 0
    values = [{number: draw.random() for number in range(2, num + 2)} | {1: -1.0} for _ in range(rounds)]
    pipes = [(os.pipe(), os.pipe()) for _ in range(num)]
    children = []
    for racer, (go, done) in enumerate(pipes):
        child = os.fork()
        if child == 0:
            os.chdir(folder)
            os.environ["NIGHTMARKET_HOME"] = str(folder)
            status = 1
            try:
                _race(racer + 2, values, go[0], done[1])
                status = 0
            finally:
                os._exit(status)
        children.append(child)
    evaluate = _Evaluator(folder)
    for number, value in enumerate(values):
        evaluate.reset()
        for go, _ in pipes:
            os.write(go[1], b"g")
        ended = [os.read(done[0], 1) for _, done in pipes]
        if set(ended) != {b"d"}:
            wrong.append(f"--seed {seed} round {number}: a racer failed")
            break
        made, said = evaluate.verdict(value)
        total += made
        wrong += [f"--seed {seed} round {number}: {said}"] if said else []
        if said:
            say(wrong[-1])
        if number % 25 == 24:
            say(f"{number + 1} rounds of racing promotions, {len(wrong)} wrong")
    for go, _ in pipes:
        os.close(go[1])
    for child in children:
        os.waitpid(child, 0)
    return total, wrong


def _versions(folder: Path, seed: int, num: int) -> None:
    for number in range(num):
        write_run(folder, seed=seed, lift=0.01 * number, num_customers=20)
        register.run(register.Settings(min_difference=0.0))


def _race(number: int, values: list[dict[int, float]], go: int, done: int) -> None:
    with contextlib.redirect_stdout(None), contextlib.redirect_stderr(None):
        service = None
        for turn, value in enumerate(values):
            if not os.read(go, 1):
                return
            with store.alone():
                service = service or RegistryService(store.for_writing("nightmarket"))
                registry = service.registry
                promotion.finish(registry)
                reigning = registry.aliases()["champion"]
                if value[number] > value[reigning]:
                    version = store.chosen(registry, number)
                    service.change(version, how=PROMOTE, by=f"racer {number}", reason=f"race {turn}")
            os.write(done, b"d")


class _Evaluator:
    """Looks at the registry and the folder between rounds."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        os.chdir(folder)
        os.environ["NIGHTMARKET_HOME"] = str(folder)
        self.service = RegistryService(store.for_writing("nightmarket"))
        self.registry = self.service.registry
        self.before = 0

    def reset(self) -> None:
        """Version 1 delivers, and everybody may beat it."""
        with store.alone():
            if self.registry.aliases()["champion"] != 1:
                first = store.chosen(self.registry, 1)
                self.service.change(first, how=PROMOTE, by="judge", reason="a new round")
        self.before = len(promotion.changes())

    def verdict(self, value: dict[int, float]) -> tuple[int, str]:
        """How many promotions there were, and what is wrong, in words."""
        manifest.verify(Path("data/champion"))
        held, delivers = self.registry.aliases(), champion.receipt()
        made = promotion.changes()[self.before :]
        course = [1, *(change["version"] for change in made)]
        best = max(value, key=lambda number: value[number])
        if held["champion"] != best:
            return len(made), f"version {held['champion']} is champion, version {best} is best"
        if delivers is None or delivers["version"] != best:
            return len(made), f"data/champion is not version {best}"
        if len(made) and held.get("previous_champion") != course[-2]:
            return len(made), "the previous champion is another one"
        if any(value[a] >= value[b] for a, b in itertools.pairwise(course)) or course[-1] != best:
            return len(made), "the record of changes is another course"
        return len(made), ""
