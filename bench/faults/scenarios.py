"""Small pieces of real work on files, to be killed in the middle: where they start, what they do, what must hold."""

import asyncio
import logging
import shutil
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from bench.faults.children import contents
from flows.engine.run import lock
from nightmarket.encoding.hashes import lookup, text_hashes
from tasks.campaigns import export
from tasks.files import manifest, storage
from tasks.files.checkpoints import Checkpoint
from tasks.models.vectors import Store
from tasks.registry import champion

NOT_COMPARED = (".nightmarket/run.lock",)


@dataclass
class Scenario:
    """One piece of work.

    units  folders that are the old one or the new one as a whole, never a mixture
    """

    seed: int
    units: tuple[str, ...] = ()
    without: tuple[str, ...] = NOT_COMPARED
    name: str = field(init=False, default="")

    def make(self, place: Path) -> None:
        """Write what the work starts from."""
        raise NotImplementedError

    def work(self) -> None:
        """Do it, in the current folder; done twice it leaves what it leaves when done once."""
        raise NotImplementedError

    def state(self, place: Path) -> Any:
        """What must be the same in the end, killed or not: every byte."""
        return contents(place, self.without)

    def wrong(self, place: Path, old: Any, new: Any) -> str:
        """What is wrong right after a kill, in words: a file or a unit that is neither old nor new."""
        now = contents(place, self.without)
        for name in now.keys() | old.keys():
            last = Path(name).name
            if last.startswith(".") or any(part.startswith(".") for part in Path(name).parts[:-1]):
                continue
            if now.get(name) not in (old.get(name), new.get(name)):
                return f"{name} is neither the old nor the new file"
        for unit in self.units:
            kept = [{name: sha for name, sha in of.items() if name.startswith(f"{unit}/")} for of in (now, old, new)]
            if kept[0] not in kept[1:]:
                return f"{unit} is a mixture"
        return ""


class Files(Scenario):
    """A table, a table in parts, JSON and tensors, each over an older one: what a stage writes."""

    name = "files"

    def make(self, place: Path) -> None:
        self._write(place / "artifacts/rank", self.seed + 1)

    def work(self) -> None:
        self._write(Path("artifacts/rank"), self.seed)

    def _write(self, out: Path, seed: int) -> None:
        rng = np.random.default_rng(seed)
        table = pa.table({"a": rng.normal(size=400), "b": rng.integers(0, 9, 400)})
        storage.write_table(table, out / "table.parquet")
        with storage.table_writer(out / "parts.parquet", table.schema) as write:
            for start in range(0, 400, 100):
                write(table.slice(start, 100))
        storage.write_json({"seed": seed, "numbers": rng.normal(size=50).tolist()}, out / "about.json")
        storage.write_tensors({"weight": rng.normal(size=(16, 16)).astype(np.float32)}, out / "model.safetensors")


class Export(Scenario):
    """A folder that appears whole or not at all."""

    name = "export"

    def make(self, place: Path) -> None:
        (place / "exports").mkdir(parents=True)

    def work(self) -> None:
        target = Path("exports/spring")
        if target.exists():
            return
        rng = np.random.default_rng(self.seed)
        table = pa.table({"customer_id": [f"c{i}" for i in range(50)], "expected_value": rng.normal(size=50)})
        with storage.whole_folder(target) as draft:
            storage.write_table(table, draft / "send.parquet")
            export.write_csv(table, draft / "send.csv", excel=True)
            storage.write_json(manifest.build(draft), draft / "receipt.json")


class Champion(Scenario):
    """A model takes another's place in data/champion; at every moment one of the two delivers."""

    name = "champion"
    first = False

    def make(self, place: Path) -> None:
        (place / "data").mkdir(parents=True)
        if not self.first:
            _package(place / "data/champion", self.seed + 1, version=1)
            manifest.write(place / "data/champion")

    def work(self) -> None:
        champion.install(lambda folder: _package(folder, self.seed, version=2))
        champion.note({"opened": True, "version": 2})

    def wrong(self, place: Path, old: Any, new: Any) -> str:
        without = [{name: sha for name, sha in of.items() if not name.endswith("decision.json")} for of in (old, new)]
        target = place / "data/champion"
        if not self.first or target.exists():
            manifest.verify(target)
        decided = [storage.read_json(path) for path in place.glob("data/champion/decision.json")]
        if decided not in ([], [{"opened": True, "version": 2}]):
            return "the decision is torn"
        kept = contents(place, (*self.without, "data/champion/decision.json"))
        whole = {name: sha for name, sha in kept.items() if name.startswith("data/champion/")}
        return "" if whole in [*without, {}] else "data/champion is a mixture"


class FirstChampion(Champion):
    """The first model of all."""

    name = "first champion"
    first = True


def _package(folder: Path, seed: int, *, version: int) -> None:
    rng = np.random.default_rng(seed)
    (folder / "rank").mkdir(parents=True, exist_ok=True)
    (folder / "rank/ranker.txt").write_text("tree\n" * int(rng.integers(20, 60)), encoding="utf-8")
    tensors = {"weight": rng.normal(size=(8, 8)).astype(np.float32)}
    storage.write_tensors(tensors, folder / "finetune/tower.safetensors")
    storage.write_json({"version": version, "seed": seed}, folder / "receipt.json")


class Snapshot(Scenario):
    """The source's tables become data/raw, in place of the day before."""

    name = "snapshot"

    def make(self, place: Path) -> None:
        self._origin_of(place, 1)
        from bench.faults.children import forked

        code, said = forked(self.work, place)
        assert code == 0, said
        self._origin_of(place, 2)

    def _origin_of(self, place: Path, day: int) -> None:
        rng = np.random.default_rng(self.seed)
        lines = ["customer_id,product_id,timestamp,quantity,sales_value"]
        for _ in range(30 * day):
            who, what, when = rng.integers(0, 9), rng.integers(0, 9), rng.integers(1, 28)
            lines.append(f"c{who},p{what},2024-0{day}-{when:02d} 10:00:00,1,2.5")
        (place / "tables").mkdir(exist_ok=True)
        (place / "tables/events.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
        products = ["product_id,title,department,category,brand", *(f"p{i},milk {i},food,milk,b" for i in range(9))]
        (place / "tables/products.csv").write_text("\n".join(products) + "\n", encoding="utf-8")

    def work(self) -> None:
        from tasks import snapshot

        snapshot.run(snapshot.Settings(source="folder", folder="tables"))


class Resume(Scenario):
    """A checkpoint is saved again and again; what is loaded after a kill is one that was saved."""

    name = "checkpoint"

    def make(self, place: Path) -> None:
        place.mkdir(parents=True, exist_ok=True)

    def work(self) -> None:
        kept = Checkpoint("finetune", f"key{self.seed}")
        saved = kept.load()
        for step in range(int(saved[1]["step"]) + 1 if saved else 0, 4):
            rng = np.random.default_rng([self.seed, step])
            kept.save({"weight": rng.normal(size=(12, 12))}, {"step": step})

    def wrong(self, place: Path, old: Any, new: Any) -> str:
        logging.getLogger("nightmarket").setLevel(logging.CRITICAL)
        kept = Checkpoint("finetune", f"key{self.seed}")
        saved = kept.load()
        if saved is None:
            return "a checkpoint is there and cannot be loaded" if kept.path.exists() else ""
        rng = np.random.default_rng([self.seed, int(saved[1]["step"])])
        return "" if (saved[0]["weight"] == rng.normal(size=(12, 12))).all() else "the checkpoint holds other numbers"


class Vectors(Scenario):
    """Shards are added to the store of embeddings, and many become one."""

    name = "vectors"

    def make(self, place: Path) -> None:
        for part in range(9):
            self._store(place).add(*self._texts(f"old {part}"))

    def work(self) -> None:
        store = self._store(Path())
        store.read()
        hashes, vectors = self._texts("new")
        assert store.entries is not None
        missing = lookup(hashes, store.entries.hashes, store.entries.vectors)[1]
        if missing.size:
            store.add(hashes[missing], vectors[missing])
        store.tidy(np.concatenate([self._texts(f"old {part}")[0] for part in range(9)]))

    def state(self, place: Path) -> Any:
        entries = self._store(place).read()
        assert entries is not None
        rows = zip(entries.hashes.tolist(), entries.vectors.tolist(), strict=True)
        return sorted({str(row) for row in rows})

    def wrong(self, place: Path, old: Any, new: Any) -> str:
        now = set(self.state(place))
        return "" if set(old) <= now <= set(new) else "a vector is lost, or is another one"

    def _store(self, place: Path) -> Store:
        return Store(place / "vectors", date(2026, 3, 1), 30)

    def _texts(self, word: str) -> tuple[Any, Any]:
        texts = [f"{word} {i} {self.seed}" for i in range(20)]
        rng = np.random.default_rng([self.seed, len(word), ord(word[-1])])
        return text_hashes(texts), rng.normal(size=(20, 4)).astype(np.float16)


class Lock(Scenario):
    """A run holds the lock and writes; whoever comes after a kill gets the lock at once."""

    name = "lock"

    def make(self, place: Path) -> None:
        place.mkdir(parents=True, exist_ok=True)

    def work(self) -> None:
        async def run() -> None:
            async with lock.run_lock(Path(".nightmarket/run.lock"), "nightly-1", wait_s=2.0, say=print):
                storage.write_json({"seed": self.seed}, Path("done.json"))

        asyncio.run(run())


CHEAP: tuple[type[Scenario], ...] = (Files, Export, Champion, FirstChampion, Snapshot, Resume, Vectors, Lock)


def fresh(base: Path, place: Path) -> None:
    """Make `place` a copy of `base`."""
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(base, place, symlinks=True)
