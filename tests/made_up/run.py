"""A made-up run: small artifacts of every stage in the stages' own formats, for tests of what comes after."""

import hashlib
from datetime import date
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from safetensors.numpy import save_file

from nightmarket.evaluation.intervals import Interval, bootstrap, paired
from nightmarket.evaluation.protocol import Window, Windows
from nightmarket.histories.calendar import NEVER
from tests.made_up.campaigns import TYPES, write_campaigns, write_json, write_reviews, write_table

FEATURES = ("times_bought", "weeks_since", "text_similarity", "popularity", "display_this_week")
BASELINES = {
    "nightmarket_plan": 0.006,
    "popularity": 0.24,
    "recency_frequency": 0.025,
    "tifu_knn": 0.02,
    "ease": 0.14,
    "text_before": 0.38,
    "text_after": 0.3,
}
LEVEL = {"all": 0.43, "new": 0.055, "rare": 0.016, "launch": 0.04}
METRICS = ("ndcg@10", "ndcg@20", "recall@10", "recall@20", "hit@10", "hit@20", "mrr@10", "mrr@20")
CUT = 17496
"""Sunday 26 November 2017."""
HOSTILE = "<script>alert('title')</script> {{ 7 * 7 }} & \"jam\""
"""A title as an attacker would write it."""


def write_run(
    folder: Path,
    *,
    seed: int = 5,
    lift: float = 0.0,
    num_customers: int = 80,
    num_items: int = 90,
    as_of: str = "2018-01-01",
) -> None:
    """Write data/raw/snapshot.json, dvc.lock, params.yaml and artifacts/* of one run.

    seed   the shop and its customers
    lift   added to each customer's NDCG of our model on `all`; two runs with one seed differ by exactly that
    """
    rng = np.random.default_rng(seed)
    _lineage(folder, seed, lift)
    _snapshot(folder, num_customers, num_items, as_of)
    _prepare(folder, rng, num_customers, num_items, as_of)
    _finetune(folder, rng, lift)
    _rank(folder, rng)
    _evaluate(folder, rng, lift, num_customers)
    _score(folder, rng, num_customers, num_items)
    write_campaigns(folder, rng, as_of, HOSTILE)
    write_reviews(folder, np.random.default_rng(seed), as_of, HOSTILE)


def _lineage(folder: Path, seed: int, lift: float) -> None:
    root = Path(__file__).resolve().parents[2]
    for name in ("params.yaml", "dvc.yaml", "constraints.txt"):
        (folder / name).write_text((root / name).read_text(encoding="utf-8"), encoding="utf-8")
    stages = yaml.safe_load((folder / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    made = hashlib.md5(f"{seed} {lift}".encode(), usedforsecurity=False).hexdigest()
    locked = {name: {"cmd": f"python -m tasks {name}", "outs": [{"md5": made}]} for name in stages}
    (folder / "dvc.lock").write_text(yaml.safe_dump({"schema": "2.0", "stages": locked}), encoding="utf-8")


def _snapshot(folder: Path, num_customers: int, num_items: int, as_of: str) -> None:
    rows = {"customers": num_customers, "events": num_customers * 40 + 12, "products": num_items + 2}
    content: dict[str, Any] = {
        "source": "folder",
        "as_of": as_of,
        "time_zone": "America/New_York",
        "fingerprint": hashlib.sha256(as_of.encode()).hexdigest(),
        "key_id": "made up",
        "tables": {name: {"rows": n, "sha256": hashlib.sha256(name.encode()).hexdigest()} for name, n in rows.items()},
        "previous": {"customers": num_customers - 3, "events": num_customers * 39},
        "dropped_columns": {"products": ["internal_note"]},
        "after_business_date": {"events": 4},
    }
    write_json(content, folder / "data/raw/snapshot.json")
    write_json(content, folder / "artifacts/validate/clean/snapshot.json")
    report = {
        name: {"rows": n, "kept": n - 3 * (name == "events"), "set_aside": 3 * (name == "events"), "reasons": {}}
        | {"previous_rows": content["previous"].get(name)}
        for name, n in rows.items()
    }
    report["events"]["reasons"] = {"timestamp lies after the business date": 2, "product_id is not in products": 1}
    write_json(
        {"tables": report, "expectations": 61, "success": True, "dropped_columns": content["dropped_columns"]},
        folder / "artifacts/validate/report.json",
    )


def _prepare(folder: Path, rng: np.random.Generator, num_customers: int, num_items: int, as_of: str) -> None:
    out = folder / "artifacts/prepare"
    titles = [
        f"{word} no. {i}" for i, word in enumerate(rng.choice(["milk", "全脂牛奶", "rye bread", "soap"], num_items))
    ]
    titles[0] = HOSTILE
    products: dict[str, Any] = {
        "item": pa.array(range(num_items), pa.int32()),
        "product_id": [f"p{i}" for i in range(num_items)],
    }
    paths = [TYPES[i % len(TYPES)].split(" > ") for i in range(num_items)]
    products |= {"title": titles, "department": [path[0] for path in paths], "category": [path[1] for path in paths]}
    products["type"] = [path[-1] for path in paths]
    ids = [hashlib.sha256(f"customer {i}".encode()).hexdigest() for i in range(num_customers)]
    write_table({"customer": pa.array(range(num_customers), pa.int32()), "customer_id": ids}, out / "customers.parquet")
    counts = rng.integers(1, 60, num_customers)
    last_day = (date.fromisoformat(as_of) - date(1970, 1, 1)).days - 1
    customer = np.repeat(np.arange(num_customers), counts)
    day = last_day - rng.integers(0, 300, customer.size)
    order = np.lexsort((day, customer))
    purchases: dict[str, Any] = {
        "customer": customer[order].astype(np.int32),
        "item": (num_items * rng.random(customer.size) ** 2).astype(np.int32),
        "week": ((day[order] - 4) // 7).astype(np.int32),
        "day": day[order].astype(np.int32),
        "quantity": np.ones(customer.size, np.float32),
        "value": rng.gamma(2.0, 1.5, customer.size).astype(np.float32),
    }
    purchases |= {"discount": np.zeros(customer.size, np.float32), "channel": np.zeros(customer.size, np.int32)}
    purchases["basket"] = (purchases["day"] * 1000 + purchases["customer"]).astype(np.int32)
    write_table(purchases, out / "purchases.parquet")
    first_day = np.full(num_items, NEVER, np.int32)
    np.minimum.at(first_day, purchases["item"], purchases["day"])
    write_table(products | {"first_day": first_day}, out / "products.parquet")
    test = Window.after(CUT, 28)
    deliver, before = Window.after(last_day), Window.after(CUT - 56, 28)
    windows = Windows(test, (), (), before, deliver, last_day - 300, last_day, as_of, "America/New_York")
    write_json(windows.content(), out / "windows.json")


def _finetune(folder: Path, rng: np.random.Generator, lift: float) -> None:
    out = folder / "artifacts/finetune"
    (out / "encoder").mkdir(parents=True, exist_ok=True)
    write_json({"hidden_size": 8}, out / "encoder/config.json")
    save_file(
        {"weight": rng.normal(size=(8, 8)).astype(np.float32) + np.float32(lift)}, out / "encoder/model.safetensors"
    )
    save_file({"query": rng.normal(size=(8, 8)).astype(np.float32)}, out / "tower.safetensors")
    write_json({"dim": 8}, out / "tower.json")
    vectors = rng.normal(size=(20, 8)).astype(np.float16)
    save_file({"vectors": vectors, "hashes": np.zeros((20, 16), np.uint8)}, out / "text_vectors.safetensors")
    before = {task: {"ndcg@10": _interval(0.07 * level)} for task, level in LEVEL.items()}
    after = {task: {"ndcg@10": _interval(0.1 * level)} for task, level in LEVEL.items()}
    gain = {"all": (0.012, 0.009, 0.015), "new": (0.0004, -0.001, 0.002), "launch": (-0.002, -0.004, -0.0005)}
    history = {
        "device": "cpu",
        "precision": "float32",
        "num_steps": 40,
        "records": [{"step": 10 * i, "loss": 3.0 / (i + 1), "lr": 1e-4} for i in range(5)],
        "validation": [{"step": 20 * i, "ndcg@10": 0.03 + 0.004 * i} for i in range(3)],
        "encoder": "trained",
        "best_step": 30,
        "test": {
            "before": before,
            "after": after,
            "paired": {task: {"ndcg@10": Interval(*numbers)._asdict()} for task, numbers in gain.items()},
        },
        "trained_until": CUT - 84,
    }
    write_json(history, out / "history.json")


def _interval(value: float) -> dict[str, float]:
    return {"value": value, "low": 0.8 * value, "high": 1.2 * value}


def _rank(folder: Path, rng: np.random.Generator) -> None:
    out = folder / "artifacts/rank"
    out.mkdir(parents=True, exist_ok=True)
    rows = rng.random((400, len(FEATURES)))
    label = (rows[:, 0] + 0.5 * rows[:, 2] + 0.2 * rng.random(400) > 1.0).astype(int)
    data = lightgbm.Dataset(rows, label, group=[20] * 20, feature_name=list(FEATURES))
    settings = {"objective": "lambdarank", "num_leaves": 7, "verbosity": -1, "num_threads": 1, "deterministic": True}
    booster = lightgbm.train(settings, data, num_boost_round=20)
    booster.save_model(out / "ranker.txt")
    gain = {name: float(value) for name, value in zip(FEATURES, booster.feature_importance("gain"), strict=True)}
    write_json({"features": list(FEATURES), "settings": {"num_leaves": 7}, "trained_until": CUT}, out / "ranker.json")
    write_json({"rank": gain}, out / "importance.json")


def _evaluate(folder: Path, rng: np.random.Generator, lift: float, num_customers: int) -> None:
    out = folder / "artifacts/evaluate"
    metrics: dict[str, Any] = {"paired": {}, "num_customers": {}, "slices": {}}
    metrics["window"] = vars(Window.after(CUT, 28))
    rows: list[list[Any]] = [["task", "model", "value", "low", "high"]]
    frames = []
    for task, level in LEVEL.items():
        ours = np.clip(rng.normal(level, 0.3 * level, num_customers), 0.001, 0.9) + (lift if task == "all" else 0.0)
        values = {"nightmarket": ours}
        for model, gap in BASELINES.items():
            values[model] = np.clip(ours - lift - gap * level / 0.43 + rng.normal(0, 0.01, num_customers), 0, 1)
        metrics[task] = {model: _figures(figures) for model, figures in values.items()}
        metrics["paired"][task] = {
            model: {"ndcg@10": paired(ours, values[model], 1, 200)._asdict()} for model in BASELINES
        }
        metrics["num_customers"][task] = num_customers
        rows += [[task, model, *bootstrap(figures, 1, 200)] for model, figures in values.items()]
        frames.append((task, ours))
    groups = ("up to 10 lines", "up to 30", "over 30")
    metrics["slices"]["history ndcg@10"] = {
        name: bootstrap(frames[0][1][i::3], 1, 200)._asdict() | {"num_customers": num_customers // 3}
        for i, name in enumerate(groups)
    }
    write_json(metrics, out / "metrics.json")
    text = "".join(f"{','.join(map(str, row))}\n" for row in rows)
    (out / "ndcg.csv").write_text(text, encoding="utf-8")
    columns = {
        "customer": np.tile(np.arange(num_customers, dtype=np.int32), len(frames)),
        "task": np.repeat([task for task, _ in frames], num_customers),
        "ndcg@10": np.concatenate([figures for _, figures in frames]),
    }
    write_table(columns, out / "per_customer.parquet")


def _figures(values: np.ndarray) -> dict[str, dict[str, float]]:
    figures = {metric: bootstrap(values * (1 + 0.1 * i), 1, 200)._asdict() for i, metric in enumerate(METRICS)}
    return figures | {
        name: Interval(number, number, number)._asdict() for name, number in (("coverage@10", 0.1), ("novelty@10", 6.0))
    }


def _score(folder: Path, rng: np.random.Generator, num_customers: int, num_items: int) -> None:
    products = pq.read_table(folder / "artifacts/prepare/products.parquet").to_pandas()
    ids = pq.read_table(folder / "artifacts/prepare/customers.parquet")["customer_id"].to_pylist()
    items = np.concatenate([rng.permutation(num_items)[:20] for _ in range(num_customers)])
    reasons = ("you buy it about every 12 days", "goes with rye bread", "new on the shelf", HOSTILE)
    columns = {
        "customer_id": np.repeat(ids, 20),
        "rank": np.tile(np.arange(1, 21, dtype=np.int32), num_customers),
        "product_id": products["product_id"].to_numpy()[items],
        "title": products["title"].to_numpy()[items],
        "score": np.tile(np.linspace(3, -1, 20, dtype=np.float32), num_customers),
        "reason": [reasons[i % len(reasons)] for i in range(items.size)],
    }
    write_table(columns, folder / "artifacts/score/recommendations.parquet")
    summary = {"num_customers": num_customers, "num_products": int(np.unique(items).size), "champion": {"version": 1}}
    write_json(summary, folder / "artifacts/score/summary.json")
