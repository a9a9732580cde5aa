"""Smaller encoders as folders: plain sentence-transformers gives our vectors, and a kill leaves nothing half."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import yaml

from nightmarket.encoding.encoder import Encoder
from nightmarket.encoding.loading import load_encoder
from nightmarket.encoding.static import StaticEncoder
from nightmarket.testing.models import bert
from tasks.__main__ import main
from tasks.files import manifest, storage

WORDS = ("whole", "milk", "rye", "bread", "green", "tea", "dark", "chocolate")
KINDS = ("int8", "pruned", "distilled", "static")
SETTINGS = {"layers": 2, "steps": 6, "batch_size": 64}


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """A folder with texts, a tiny encoder as tonight's, and what `shrink` made of it."""
    folder = tmp_path_factory.mktemp("shop")
    encoder = folder / "artifacts/finetune/encoder"
    encoder.mkdir(parents=True)
    Encoder(*bert([*WORDS, "of"], layers=3, seed=4), "mean", 32).save(encoder)
    rng = np.random.default_rng(2)
    texts = sorted({" ".join(rng.choice(WORDS, size)) for size in rng.integers(2, 7, 300)})
    storage.write_table(pa.table({"text": texts}), folder / "artifacts/prepare/texts.parquet")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.delenv("NIGHTMARKET_HOME", raising=False)
        assert shrink(source="finetune") == 0
    return folder


@pytest.fixture
def here(shop, monkeypatch):
    monkeypatch.chdir(shop)
    monkeypatch.delenv("NIGHTMARKET_HOME", raising=False)
    return shop


def shrink(**given):
    Path("params.yaml").write_text(yaml.safe_dump({"shrink": SETTINGS | given}))
    return main("shrink")


@pytest.mark.parametrize("kind", KINDS)
def test_plain_sentence_transformers_gives_our_vectors(here, kind):
    sentence_transformers = pytest.importorskip("sentence_transformers")
    folder = f"exports/encoder/small/{kind}"
    texts = ["green tea", "whole milk of rye bread", "dark", "chocolate tea tea milk"]
    theirs = sentence_transformers.SentenceTransformer(folder, device="cpu").encode(texts)
    assert theirs.dtype == np.float32
    encoder = StaticEncoder.load(folder) if kind == "static" else Encoder.load(folder, "float32")
    assert np.allclose(encoder.encode(texts), theirs, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_a_folder_says_what_it_came_from_what_it_costs_and_what_is_in_it(here, kind):
    folder = Path("exports/encoder/small", kind)
    about = storage.read_json(folder / "manifest.json")
    assert about["kind"] == kind
    assert about["from"]["source"] == "finetune"
    assert about["settings"]["steps"] == SETTINGS["steps"]
    assert about["measured"]["bytes"] == (folder / "model.safetensors").stat().st_size
    assert 0.2 < about["measured"]["mean_cosine"] <= 1.0001
    assert about["measured"]["texts_per_second"] > 0
    assert set(manifest.verify(folder)) >= {"model.safetensors", "tokenizer.json", "modules.json"}


def test_layers_and_precision_are_those_asked_for(here):
    assert len(load_encoder("exports/encoder/small/pruned").model.encoder.layer) == 2
    assert len(load_encoder("exports/encoder/small/int8").model.encoder.layer) == 3
    half, whole = (Path(name, "model.safetensors").stat().st_size for name in ("exports/encoder/small/int8", encoder()))
    assert half < 0.6 * whole


def encoder():
    return "artifacts/finetune/encoder"


def test_embed_takes_a_student_by_its_folder(here):
    Path("params.yaml").write_text(yaml.safe_dump({"embed": {"model": "exports/encoder/small/static"}}))
    assert main("embed") == 0
    vectors = storage.read_tensors(Path("artifacts/embed/vectors.safetensors"))["vectors"]
    texts = storage.read_table(Path("artifacts/prepare/texts.parquet"))["text"].to_pylist()
    assert np.allclose(vectors, StaticEncoder.load("exports/encoder/small/static").encode(texts), atol=1e-3)


def test_nothing_is_written_over(here, capsys):
    assert shrink(source="finetune") == 2
    assert "exports/encoder/small is there already" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"source": "champion"}, "data/champion/manifest.json is missing"),
        ({"source": "./nowhere"}, "is no folder"),
        ({"source": "finetune", "layers": 4}, "choose 1 to 3"),
        ({"source": "exports/encoder/small/static"}, "is a static encoder already"),
        ({"name": "../up"}, "shrink.name"),
    ],
)
def test_mistakes_are_named_and_leave_nothing_behind(here, capsys, given, message):
    assert shrink(**{"name": "other", **given}) == 2
    assert message in capsys.readouterr().err
    assert [path.name for path in Path("exports/encoder").iterdir()] == ["small"]


@pytest.mark.slow
def test_a_kill_leaves_no_half_folder_and_the_next_run_sweeps(here):
    Path("params.yaml").write_text(yaml.safe_dump({"shrink": SETTINGS | {"name": "killed", "source": "finetune"}}))
    process = subprocess.Popen(
        [sys.executable, "-m", "tasks", "shrink"],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        stdout=subprocess.DEVNULL,
    )
    drafts = Path("exports/encoder")
    ends = time.monotonic() + 120
    while not any(drafts.glob(".killed.*.tmp/*")) and process.poll() is None and time.monotonic() < ends:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert any(drafts.glob(".killed.*.tmp"))
    assert not (drafts / "killed").exists()
    assert shrink(name="killed", source="finetune", kinds=["static"]) == 0
    assert sorted(path.name for path in drafts.iterdir() if path.name != "small") == ["killed"]
    assert [path.name for path in (drafts / "killed").iterdir()] == ["static"]
