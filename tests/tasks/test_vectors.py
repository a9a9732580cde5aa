import os
import shutil
import subprocess
import sys
import time
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest

from nightmarket.encoding.hashes import lookup, text_hashes
from tasks.files import storage
from tasks.models import vectors
from tasks.models.vectors import LAG, MOST_SHARDS, Store, prune

DAY = date(2026, 3, 1)
KEEP = 30


def store(folder, days=0):
    return Store(folder, DAY + timedelta(days=days), KEEP)


def add(kept, texts, value=1.0):
    kept.read()
    kept.add(text_hashes(texts), np.full((len(texts), 4), value, np.float16))
    return kept


def texts_in(folder, of):
    """Which of these texts the store holds, and how many entries it has."""
    entries = store(folder).read()
    return (
        []
        if entries is None
        else [t for t in of if not len(lookup(text_hashes([t]), entries.hashes, entries.vectors)[1])]
    )


def shards(folder):
    return sorted(path.name for path in folder.glob("*.safetensors"))


def test_many_shards_become_one_with_the_same_vectors(tmp_path):
    for i in range(MOST_SHARDS + 1):
        kept = add(store(tmp_path), [f"text {i}", "shared"], i)
    assert len(shards(tmp_path)) == MOST_SHARDS + 1
    assert kept.tidy(text_hashes(["text 0", "shared"]))
    assert len(shards(tmp_path)) == 1
    entries = store(tmp_path).read()
    wanted = text_hashes([f"text {i}" for i in range(MOST_SHARDS + 1)])
    assert lookup(wanted, entries.hashes, entries.vectors)[0][:, 0].tolist() == list(range(MOST_SHARDS + 1))
    assert len(entries.hashes) == MOST_SHARDS + 2


def test_a_text_used_tonight_is_young_and_one_long_unused_is_dropped(tmp_path):
    add(store(tmp_path), ["milk", "tea"])
    for days in (KEEP // 2, KEEP, KEEP + LAG.days + 1):
        kept = store(tmp_path, days)
        kept.read()
        assert kept.tidy(text_hashes(["milk"]))
    assert texts_in(tmp_path, ["milk", "tea"]) == ["milk"]


def test_an_unused_text_is_kept_until_its_days_are_over(tmp_path):
    add(store(tmp_path), ["milk", "tea"])
    kept = store(tmp_path, KEEP)
    kept.read()
    kept.tidy(text_hashes(["milk"]))
    assert texts_in(tmp_path, ["milk", "tea"]) == ["milk", "tea"]


def test_a_night_soon_after_writes_nothing(tmp_path):
    add(store(tmp_path), ["milk"])
    before = shards(tmp_path)
    kept = store(tmp_path, LAG.days)
    kept.read()
    assert not kept.tidy(text_hashes(["milk"]))
    assert shards(tmp_path) == before


def test_a_copy_of_the_store_has_the_same_age(tmp_path):
    add(store(tmp_path / "a"), ["milk"])
    shutil.copytree(tmp_path / "a", tmp_path / "b", copy_function=shutil.copyfile)
    assert prune(tmp_path, DAY + timedelta(days=KEEP + LAG.days), KEEP) == 0
    assert prune(tmp_path, DAY + timedelta(days=KEEP + LAG.days + 1), KEEP) == 2
    assert not texts_in(tmp_path / "b", ["milk"])


def test_pruning_deletes_damaged_headers_and_old_leftovers_of_kills_alone(tmp_path):
    add(store(tmp_path / "a"), ["milk"])
    (tmp_path / "a" / "zero.safetensors").write_bytes(b"\xff" * 40)
    old, young = tmp_path / "a" / ".old.1.tmp", tmp_path / "a" / ".young.1.tmp"
    old.write_bytes(b"half")
    young.write_bytes(b"half")
    os.utime(old, (time.time() - 90_000,) * 2)
    assert prune(tmp_path, DAY, KEEP) == 1
    assert (old.exists(), young.exists()) == (False, True)
    assert texts_in(tmp_path / "a", ["milk"]) == ["milk"]


@pytest.mark.parametrize("killed_at", ["before the merged shard", "before any deletion", "after one deletion"])
def test_a_kill_while_merging_loses_nothing(tmp_path, monkeypatch, killed_at):
    all_texts = [f"text {i}" for i in range(MOST_SHARDS + 1)]
    for text in all_texts:
        kept = add(store(tmp_path), [text])

    class Killed(BaseException):
        pass

    left = {"before any deletion": 0, "after one deletion": 1}.get(killed_at)
    real = vectors.Path.unlink

    def unlink(path, missing_ok=False):
        nonlocal left
        if left is not None and path.suffix == ".safetensors":
            if left == 0:
                raise Killed
            left -= 1
        real(path, missing_ok=missing_ok)

    def replacing(path):
        raise Killed

    monkeypatch.setattr(vectors.Path, "unlink", unlink)
    if left is None:
        monkeypatch.setattr(storage, "replacing", replacing)
    with pytest.raises(Killed):
        kept.tidy(text_hashes(all_texts))
    monkeypatch.undo()
    assert texts_in(tmp_path, all_texts) == all_texts
    again = store(tmp_path)
    again.read()
    again.tidy(text_hashes(all_texts))
    assert texts_in(tmp_path, all_texts) == all_texts
    assert len(shards(tmp_path)) <= MOST_SHARDS


def test_vectors_that_are_not_finite_are_never_kept(tmp_path):
    with pytest.raises(RuntimeError, match="not finite"):
        store(tmp_path).add(text_hashes(["milk"]), np.full((1, 4), np.nan, np.float16))
    assert not shards(tmp_path)


def _nights(folder, number):
    vectors.MOST_SHARDS = 2
    for i in range(40):
        kept = add(store(folder, i % 20), [*(f"{number}-{i}-{j}" for j in range(3)), f"shared-{i}"], i)
        kept.tidy(text_hashes([f"{number}-{i}-0"]))
        prune(folder.parent, DAY, KEEP)


def test_two_writers_that_add_and_merge_at_once_lose_nothing(tmp_path):
    # Processes of their own, not forks of this one, which carry whatever other tests have started.
    command = [sys.executable, __file__, str(tmp_path / "store")]
    root = str(Path(__file__).parents[2])
    writers = [
        subprocess.Popen([*command, str(n)], cwd=root, env=os.environ | {"PYTHONPATH": root}, stderr=subprocess.PIPE)
        for n in range(2)
    ]
    while len(list(tmp_path.glob("ready-*"))) < 2 and all(writer.poll() is None for writer in writers):
        time.sleep(0.01)
    (tmp_path / "go").touch()
    for writer in writers:
        assert writer.communicate(timeout=100)[1].decode() == ""
        assert writer.returncode == 0
    entries = store(tmp_path / "store").read()
    wanted = [f"{n}-{i}-{j}" for n in range(2) for i in range(40) for j in range(3)] + [
        f"shared-{i}" for i in range(40)
    ]
    values, lost = lookup(text_hashes(wanted), entries.hashes, entries.vectors)
    assert not len(lost)
    assert values[:, 0].tolist() == [i for _ in range(2) for i in range(40) for _ in range(3)] + list(range(40))
    assert not list((tmp_path / "store").glob(".*"))


if __name__ == "__main__":
    here = Path(sys.argv[1])
    (here.parent / f"ready-{sys.argv[2]}").touch()
    while not (here.parent / "go").exists():
        time.sleep(0.001)
    _nights(here, int(sys.argv[2]))
