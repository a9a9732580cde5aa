import json
import multiprocessing
import os
import shutil

import numpy as np
import pyarrow as pa
import pytest

from nightmarket.encoding import PACKAGED, Encoder, resolve_model, text_hashes
from tasks import embed, storage

TEXTS = [f"{size} OZ {name}" for size in range(1, 6) for name in ("WHOLE MILK", "RYE BREAD", "GREEN TEA")]


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NIGHTMARKET_HOME", str(tmp_path))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    write_texts(TEXTS)
    return tmp_path


@pytest.fixture
def encoded(monkeypatch):
    """The texts that were really encoded, run by run."""
    seen, real = [], embed.encode

    def spy(texts, settings):
        seen.append(texts)
        return real(texts, settings)

    monkeypatch.setattr(embed, "encode", spy)
    return seen


def write_texts(texts):
    table = pa.table({"text_id": np.arange(len(texts), dtype=np.int32), "text": texts})
    storage.write_table(table, embed.TEXTS)


def vectors():
    return storage.read_tensors(embed.OUT / "vectors.safetensors")


def test_vectors_are_those_of_the_encoder_in_the_order_of_the_texts(checkout):
    embed.run(embed.Settings())
    found = vectors()
    assert found["vectors"].dtype == np.float16
    assert np.array_equal(found["hashes"], text_hashes(TEXTS))
    expected = Encoder.load(PACKAGED).encode(TEXTS)
    assert (found["vectors"].astype(np.float32) * expected).sum(axis=1).min() > 0.9999
    manifest = json.loads((embed.OUT / "manifest.json").read_text())
    assert (manifest["dim"], manifest["num_texts"], manifest["model"]) == (384, 15, PACKAGED)


def test_a_second_night_encodes_nothing_and_writes_the_same_bytes(checkout, encoded, caplog):
    embed.run(embed.Settings())
    before = (embed.OUT / "vectors.safetensors").read_bytes()
    shutil.rmtree(embed.OUT)
    with caplog.at_level("INFO", "nightmarket"):
        embed.run(embed.Settings())
    assert [len(texts) for texts in encoded] == [15]
    assert "embed: 0 of 15 texts are new" in caplog.text
    assert (embed.OUT / "vectors.safetensors").read_bytes() == before


def test_one_changed_text_encodes_one_and_gives_what_a_cold_run_gives(checkout, encoded):
    embed.run(embed.Settings())
    write_texts([*TEXTS[:3], "7 OZ DARK CHOCOLATE", *TEXTS[4:]])
    embed.run(embed.Settings())
    assert encoded[1:] == [["7 OZ DARK CHOCOLATE"]]
    warm = (embed.OUT / "vectors.safetensors").read_bytes()
    shutil.rmtree(checkout / ".nightmarket")
    embed.run(embed.Settings())
    assert (embed.OUT / "vectors.safetensors").read_bytes() == warm


def test_a_damaged_shard_is_dropped_and_its_texts_are_encoded_again(checkout, encoded):
    embed.run(embed.Settings())
    good = vectors()["vectors"]
    shard = next((checkout / ".nightmarket" / "embeddings").rglob("*.safetensors"))
    content = bytearray(shard.read_bytes())
    content[-5] ^= 1
    shard.write_bytes(content)
    embed.run(embed.Settings())
    assert [len(texts) for texts in encoded] == [15, 15]
    assert np.array_equal(vectors()["vectors"], good)


def test_a_shard_that_a_kill_left_half_written_is_never_read(checkout, encoded):
    embed.run(embed.Settings())
    shard = next((checkout / ".nightmarket" / "embeddings").rglob("*.safetensors"))
    shard.with_name(f".{shard.name}.1.tmp").write_bytes(shard.read_bytes()[:100])
    embed.run(embed.Settings())
    assert len(encoded) == 1


def test_another_precision_has_a_store_of_its_own(checkout, encoded):
    embed.run(embed.Settings())
    embed.run(embed.Settings(precision="float32"))
    assert [len(texts) for texts in encoded] == [15, 15]


def test_a_changed_model_folder_has_a_store_of_its_own(checkout, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(resolve_model(PACKAGED), folder)
    before = embed.store_folder(str(folder), "auto")
    assert embed.store_folder(str(folder), "auto") == before
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"layer_norm_eps": 1e-6}))
    assert embed.store_folder(str(folder), "auto") != before


def _write_shards(folder, number):
    store = embed.Store(folder)
    for i in range(20):
        texts = [f"{number}-{i}-{j}" for j in range(5)] + [f"shared-{i}"]
        store.add(text_hashes(texts), np.full((6, 4), i, np.float16))
        store.read()


def test_two_writers_at_once_lose_nothing(tmp_path):
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=_write_shards, args=(tmp_path / "store", n)) for n in range(2)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
        assert writer.exitcode == 0
    hashes, found = embed.Store(tmp_path / "store").read()
    assert len(np.unique(hashes, axis=0)) == 2 * 20 * 5 + 20
    assert len(found) == 240
    assert os.listdir(tmp_path / "store") == [name for name in os.listdir(tmp_path / "store") if name[0] != "."]
