"""bench.scale: what it sums up, what it measures of processes, and one tiny shop, stopped and gone on with."""

import json
import sys

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from bench.scale import __main__ as command
from bench.scale import measured
from bench.scale.shop import ScaledShop, over_truth
from bench.shops.truth import START_DAY, Truth


def night(events, seconds, peak, over_truth=None):
    stages = {name: {"code": 0, "wall_s": value, "cpu_s": value, "peak_gb": peak} for name, value in seconds.items()}
    return {"events": events, "stages": stages, "quality": {"over_truth": over_truth}}


def test_growth_is_that_of_the_worst_long_stage_per_decade_and_hours_are_those_of_the_largest_size():
    sizes = [
        night(10**6, {"prepare": 20.0, "rank": 40.0, "embed": 0.1}, 1.5, 0.5),
        night(10**8, {"prepare": 2000.0, "rank": 1000.0, "embed": 9.0}, 7.5, 0.49),
    ]
    summed = command.summary(sizes)
    assert (summed["growth"], summed["growth_stage"]) == (10.0, "prepare")
    assert summed["peak_gb"] == 7.5
    assert summed["hours_1e8"] == round(3009 / 3600, 2)
    assert summed["quality_ratio"] == 0.98
    alone = command.summary(sizes[:1])
    assert [alone[name] for name in ("growth", "hours_1e8", "quality_ratio")] == [None, None, None]
    assert alone["why"]


def test_seconds_and_memory_are_those_of_all_processes_together(tmp_path):
    code = "import subprocess, sys, time; held = bytearray(100 << 20); time.sleep(1 if len(sys.argv) > 1 else 0)"
    both = f"{code}\nsubprocess.run([sys.executable, '-c', {code!r}, 'child'])"
    cost = measured.run([sys.executable, "-c", both], tmp_path, {}, tmp_path / "log")
    assert cost["code"] == 0
    assert cost["wall_s"] >= 1
    assert 0.2 < cost["peak_gb"] < 0.5
    assert measured.run([sys.executable, "-c", "raise SystemExit(3)"], tmp_path, {}, tmp_path / "log")["code"] == 3


def test_crowds_are_other_customers_of_the_same_shop(tmp_path):
    shop = ScaledShop(events=20_000, crowd_events=10_000)
    for number in range(shop.num_crowds):
        shop.make_crowd(number, tmp_path / "tables")
    parts = [pq.read_table(path) for path in sorted((tmp_path / "tables/parts").glob("*.parquet"))]
    assert shop.join(tmp_path / "tables") == sum(map(len, parts))
    events = pq.read_table(tmp_path / "tables/events.parquet")
    assert 10_000 < len(events) < 40_000
    customers = [set(part["customer_id"].unique().to_pylist()) for part in parts]
    assert not customers[0] & customers[1]
    known = set(pq.read_table(tmp_path / "tables/customers.parquet")["customer_id"].to_pylist())
    assert customers[0] | customers[1] <= known
    products = set(pq.read_table(tmp_path / "tables/products.parquet")["product_id"].to_pylist())
    assert set(events["product_id"].unique().to_pylist()) <= products
    sold = [pc.value_counts(part["product_id"]).to_pylist() for part in parts]
    counts = [{row["values"]: row["counts"] for row in rows} for rows in sold]
    both = sorted(counts[0].keys() & counts[1].keys())
    apart = np.corrcoef([[count[name] for name in both] for count in counts])[0, 1]
    assert apart > 0.8  # the same products are popular


def test_the_truths_own_ranking_is_the_ceiling_that_a_figure_is_held_against(tmp_path, monkeypatch):
    shop = ScaledShop(events=30_000, products=300, crowd_events=30_000)
    shop.make_crowd(0, tmp_path / "tables")
    shop.join(tmp_path / "tables")
    cut = START_DAY + 51 * 7 - 1
    window = {"test": {"cut": cut, "first_target": cut + 1, "last_target": cut + 28}}
    (tmp_path / "artifacts/prepare").mkdir(parents=True)
    (tmp_path / "artifacts/prepare/windows.json").write_text(json.dumps(window))
    figures = over_truth(tmp_path, 0.03)
    assert figures["over_truth"] == pytest.approx(0.03 / figures["truth"], abs=1e-3)
    dice = np.random.default_rng(0)
    monkeypatch.setattr(
        Truth, "probabilities", lambda truth, _, __, who: dice.random((len(who), len(truth.product_ids)))
    )
    assert figures["truth"] > 5 * over_truth(tmp_path, 0.03)["truth"]


@pytest.mark.slow
def test_a_night_that_was_stopped_goes_on_after_its_last_stage(tmp_path, monkeypatch, capsys):
    params = {"finetune": {"max_steps": 0, "trained_layers": 0}, "rank": {"num_trees": 5, "launch_trees": 5}}
    words = ["--events", "5e3", "--crowd-events", "5000", "--folder", str(tmp_path)]
    ran = []
    run = measured.run

    def stopped(argv, *rest):
        ran.append(argv[-1])
        if argv[-1] == "validate" and ran.count("validate") == 1:
            raise KeyboardInterrupt
        return run(argv, *rest)

    monkeypatch.setattr(measured, "run", stopped)
    monkeypatch.setattr(command.settings, "STAGES", ("validate", "prepare"))
    monkeypatch.setattr(command.SizedNight, "_quality", lambda _: {"over_truth": None, "why": "not asked here"})
    assert command.main(words, params) == 130
    assert command.main(words, params) == 0
    assert ran == ["0", "snapshot", "validate", "validate", "prepare"]
    summed = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert summed["sizes"][0]["stages"].keys() == {"snapshot", "validate", "prepare"}
    assert summed["peak_gb"] > 0.05
    assert summed["quality_ratio"] is None
