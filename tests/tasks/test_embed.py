import json
import shutil
from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pytest

from nightmarket.encoding.device import choose_device, fast_bfloat16
from nightmarket.encoding.encoder import Encoder
from nightmarket.encoding.hashes import text_hashes
from nightmarket.encoding.loading import load_encoder
from nightmarket.encoding.models import PACKAGED, resolve_model
from nightmarket.encoding.static import StaticEncoder
from tasks import embed
from tasks.files import storage
from tasks.models.vectors import MOST_SHARDS

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
    store = vectors()
    assert store["vectors"].dtype == np.float16
    assert np.array_equal(store["hashes"], text_hashes(TEXTS))
    expected = Encoder.load(PACKAGED).encode(TEXTS)
    assert (store["vectors"].astype(np.float32) * expected).sum(axis=1).min() > 0.9999
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


OTHER = "float32" if fast_bfloat16(choose_device()) else "bfloat16"
"""The precision that `auto` does not choose here."""


@pytest.mark.parametrize("change", [{"precision": OTHER}, {"document_prompt": "passage: "}, {"dim": 64}])
def test_another_setting_has_a_store_of_its_own(checkout, encoded, change):
    embed.run(embed.Settings())
    before = vectors()["vectors"]
    embed.run(embed.Settings(**change))
    assert [len(texts) for texts in encoded] == [15, 15]
    assert not np.array_equal(vectors()["vectors"], before)


def test_prompt_and_dimension_shape_the_vectors_and_stand_in_the_manifest(checkout):
    settings = embed.Settings(document_prompt="passage: ", query_prompt="query: ", dim=64)
    embed.run(settings)
    expected = Encoder.load(PACKAGED).encode([f"passage: {text}" for text in TEXTS])[:, :64]
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    assert (vectors()["vectors"].astype(np.float32) * expected).sum(axis=1).min() > 0.999
    manifest = json.loads((embed.OUT / "manifest.json").read_text())
    assert manifest["dim"] == 64
    again = load_encoder(**manifest["encoder"])
    assert (again.prompt, again.query_prompt, again.dim) == ("passage: ", "query: ", 64)


def test_a_changed_model_folder_has_a_store_of_its_own(checkout, tmp_path, encoded):
    folder = tmp_path / "model"
    shutil.copytree(resolve_model(PACKAGED), folder)
    for _ in range(2):
        embed.run(embed.Settings(model=str(folder)))
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"layer_norm_eps": 1e-6}))
    embed.run(embed.Settings(model=str(folder)))
    assert [len(texts) for texts in encoded] == [15, 15]


@pytest.fixture
def quick_model(tmp_path):
    """The folder of a static embedding, so that a hundred nights take a second."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers

    words = Tokenizer(models.WordLevel({"[UNK]": 0, "MILK": 1, "BREAD": 2, "TEA": 3}, unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    StaticEncoder(words, torch.eye(4)).save(tmp_path / "static")
    return str(tmp_path / "static")


def on_day(day, monkeypatch):
    monkeypatch.setattr(embed, "today", lambda: date(2026, 1, 1) + timedelta(days=day))


def test_a_hundred_nights_of_one_new_text_each_leave_few_shards_and_encode_each_text_once(
    checkout, encoded, quick_model, monkeypatch
):
    for night in range(100):
        on_day(night, monkeypatch)
        write_texts([*TEXTS, *(f"{i} NEW TEA" for i in range(night))])
        embed.run(embed.Settings(model=quick_model))
        assert len(list((checkout / ".nightmarket" / "embeddings").rglob("*.safetensors"))) <= MOST_SHARDS
    assert [len(texts) for texts in encoded] == [15] + [1] * 99


def test_a_model_that_no_night_uses_for_long_is_dropped(checkout, encoded, quick_model, monkeypatch):
    whole, short = embed.Settings(model=quick_model), embed.Settings(model=quick_model, dim=2)
    nights = (
        (0, short, 15),
        (0, whole, 15),
        (30, whole, 0),
        (35, short, 0),
        (60, whole, 0),
        (71, whole, 0),
        (71, short, 15),
    )
    for day, settings, number in nights:
        on_day(day, monkeypatch)
        before = len(encoded)
        embed.run(settings)
        assert sum(len(texts) for texts in encoded[before:]) == number, (day, settings.dim)
