import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pyarrow as pa
import pytest
import yaml

from nightmarket.encoding.encoder import Encoder
from nightmarket.encoding.models import PACKAGED
from nightmarket.evaluation.protocol import Window, Windows
from nightmarket.histories.calendar import last_day
from nightmarket.testing.models import write_bert
from tasks import embed, pretrain
from tasks.files import catalogue, storage

KINDS = ("whole milk", "rye bread", "green tea", "dark chocolate")
NAMES = ("dairy", "bakery", "drinks", "sweets")
SMALL = {"steps": 12, "head_steps": 4, "batch_size": 24, "checkpoint_every": 2, "precision": "float32"}


def write_shop():
    """40 customers of four tastes, 80 products of as many texts, the last 16 launched late, over 20 weeks."""
    rng = np.random.default_rng(4)
    kind = np.arange(80) % 4
    texts = [f"{KINDS[kind[i]]} {i} oz {NAMES[kind[i]]}" for i in range(80)]
    customer, week = np.repeat(np.arange(40), 60), np.tile(np.repeat(np.arange(20), 3), 40) + 2500
    item = rng.integers(0, 16, len(week)) * 4 + customer % 4
    item = np.where((week > 2507) & (rng.random(len(week)) < 0.2), 64 + rng.integers(0, 4, len(week)) * 4, item)
    first = np.full(80, 2147483647)
    np.minimum.at(first, item, week)
    ints = {"customer": customer, "item": item, "week": week, "day": week * 7 + 4}
    lines = {name: values.astype(np.int32) for name, values in ints.items()}
    lines |= {name: np.ones(len(week), np.float32) for name in ("quantity", "value", "discount")}
    lines |= {name: np.zeros(len(week), np.int32) for name in ("basket", "channel")}
    out, ids = catalogue.PREPARE.path, [f"p{i}" for i in range(80)]
    storage.write_table(pa.table(lines), out / "purchases.parquet")
    products = {"product_id": ids, "item": np.arange(80, dtype=np.int32), "text_id": np.arange(80, dtype=np.int32)}
    products |= {"first_day": first.astype(np.int32), "recommendable": kind >= 0, "type": [NAMES[k] for k in kind]}
    storage.write_table(pa.table(products), out / "products.parquet")
    storage.write_table(pa.table({"text_id": np.arange(80, dtype=np.int32), "text": texts}), out / "texts.parquet")
    storage.write_table(pa.table({"customer": np.arange(40, dtype=np.int32)}), out / "customers.parquet")
    clean = {"product_id": ids, "title": [f"{KINDS[k]} {i} oz" for i, k in enumerate(kind)]}
    clean |= {"brand": ["National"] * 80, "category": [f"FOOD > SHELF > {NAMES[k]}" for k in kind]}
    storage.write_table(pa.table(clean), catalogue.CLEAN_PRODUCTS.path)
    finetune, test = (Window.after(last_day(week), 28) for week in (2507, 2515))
    end = test.last_target
    windows = Windows(test, (), (), finetune, Window.after(end), end - 139, end, "2018-05-21", "UTC")
    catalogue.WINDOWS.write(windows.content())


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    """A random BERT of one layer that knows the words of the texts."""
    words = [*" ".join(KINDS).split(), *NAMES, "oz", *(str(number) for number in range(80))]
    path = tmp_path_factory.mktemp("reader")
    write_bert(path, words, layers=1, heads=2)
    return str(path)


@pytest.fixture
def checkout(reader, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NIGHTMARKET_HOME", str(tmp_path))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    write_shop()
    write_params(reader)
    return tmp_path


def write_params(model):
    content = {"pretrain": SMALL, "embed": {"model": model, "precision": "float32"}}
    storage.home().joinpath("params.yaml").write_text(yaml.safe_dump(content))


def manifest():
    return storage.read_json(pretrain.OUT / "manifest.json")


def report():
    return storage.read_json(pretrain.OUT / "report.json")


def test_off_it_loads_no_network_and_says_that_the_model_stays(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text("pretrain: {}\nembed: {}\n")
    line = (
        "import sys; from tasks.__main__ import main; code = main('pretrain'); sys.exit(code or 'torch' in sys.modules)"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", line], env=environment, check=True, stdout=subprocess.DEVNULL)
    assert manifest() == {"kept": False, "model": PACKAGED, "why": "pretrain.steps is 0"}
    assert [path.name for path in pretrain.OUT.iterdir()] == ["manifest.json"]


def test_on_it_reports_every_figure_with_intervals_and_keeps_what_the_gate_says(checkout, reader):
    pretrain.run(pretrain.Settings(**SMALL))
    by_window = report()
    for window in ("finetune", "test"):
        assert set(by_window[window]) == {"all", "new", "debut", "search"}
        asked = [figures for figures in by_window[window].values() if figures["num"]]
        assert len(asked) >= 3
        for figures in by_window[window].values():
            assert (figures["paired"]["value"] is None) == (figures["num"] == 0)
        for figures in asked:
            for part in ("before", "after", "paired"):
                assert figures[part]["low"] <= figures[part]["value"] <= figures[part]["high"]
            assert figures["paired"]["value"] == pytest.approx(
                figures["after"]["value"] - figures["before"]["value"], abs=2e-6
            )
    assert by_window["finetune"]["search"]["num"] + by_window["test"]["search"]["num"] == 4
    assert by_window["training"]["num_steps"] == 16
    assert set(by_window["training"]["held_out"]) == {"head", "after"}
    kept, why = pretrain.gate(by_window["finetune"])
    assert (manifest()["kept"], manifest()["why"]) == (kept, why)
    assert (pretrain.OUT / "encoder").exists() == kept
    assert manifest()["model"] == ("artifacts/pretrain/encoder" if kept else reader)
    assert not list((checkout / ".nightmarket" / "checkpoints").glob("*"))


@pytest.mark.slow
def test_a_killed_run_goes_on_and_ends_with_the_same_report(checkout, reader):
    content = {"pretrain": SMALL | {"steps": 60}, "embed": {"model": reader, "precision": "float32"}}
    (checkout / "params.yaml").write_text(yaml.safe_dump(content))
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-m", "tasks", "pretrain"]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 400
        while not list((checkout / ".nightmarket" / "checkpoints").glob("*/newest.safetensors")):
            assert process.poll() is None, "the run ended before it could be killed"
            assert time.monotonic() < deadline
            time.sleep(0.005)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert not pretrain.OUT.exists()
    resumed = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert "pretrain: going on after step" in resumed.stdout
    after_kill = report()
    pretrain.run(pretrain.Settings(**(SMALL | {"steps": 60})))
    assert report() == after_kill


def test_embed_takes_the_encoder_that_was_kept_and_its_own_model_otherwise(checkout, reader):
    pretrain.OUT.mkdir(parents=True)
    encoder = Encoder.load(reader, "float32")
    encoder.model.embeddings.word_embeddings.weight.data *= -1
    encoder.save(pretrain.OUT / "encoder")
    kept = {"kept": True, "model": "artifacts/pretrain/encoder"}
    for about, model in ((kept, kept["model"]), ({"kept": False, "model": "no such"}, reader)):
        storage.write_json(about, pretrain.OUT / "manifest.json")
        embed.run(embed.Settings(model=reader, precision="float32"))
        assert storage.read_json(embed.OUT / "manifest.json")["model"] == model
        vectors = storage.read_tensors(embed.OUT / "vectors.safetensors")["vectors"].astype(np.float32)
        texts = storage.read_table(catalogue.PREPARE.path / "texts.parquet")["text"].to_pylist()
        expected = Encoder.load(model, "float32").encode(texts)
        assert (vectors * expected).sum(axis=1).min() > 0.999


def figures(**paired):
    """What the gate looks at; a figure that is not named has an interval around zero."""
    intervals = dict.fromkeys(pretrain.FIGURES, (-0.1, 0.1)) | paired
    return {
        name: {"paired": {"low": low, "value": (low + high) / 2, "high": high}}
        for name, (low, high) in intervals.items()
    }


@pytest.mark.parametrize(
    ("paired", "kept"),
    [
        ({"new": (0.01, 0.02)}, True),
        ({"new": (0.0, 0.02)}, False),
        ({"all": (0.01, 0.02), "debut": (0.01, 0.02), "search": (0.01, 0.02)}, False),
        ({"new": (0.01, 0.02), "search": (-0.02, -0.01)}, False),
        ({"new": (0.01, 0.02), "search": (0.0, 0.0), "debut": (0.0, 0.0)}, True),
    ],
)
def test_the_gate_wants_a_certain_gain_on_new_and_no_certain_loss(paired, kept):
    assert pretrain.gate(figures(**paired))[0] is kept


def test_a_shop_without_product_types_has_no_search_queries_and_is_measured_all_the_same(checkout):
    clean = storage.read_table(catalogue.CLEAN_PRODUCTS.path).to_pandas().assign(category=None)
    storage.write_table(pa.Table.from_pandas(clean), catalogue.CLEAN_PRODUCTS.path)
    pretrain.run(pretrain.Settings(**SMALL))
    assert report()["finetune"]["search"]["num"] == 0
    assert json.dumps(report())
