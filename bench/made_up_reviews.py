"""What the stage `reviews` leaves of a made-up run, in its formats. Figures are invented; only their shape is real."""

import json
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

NAMES = (("milk", "bread", "butter"), ("soap", "paper", "sponge"), ("牛奶", "面包", "早餐"))
VERDICTS = ("rising", "no change", "falling")


def write_reviews(folder: Path, rng: np.random.Generator, as_of: str, title: str) -> None:
    """artifacts/reviews; `title` stands where a retailer's own text would."""
    out = folder / "artifacts/reviews"
    out.mkdir(parents=True, exist_ok=True)
    content: dict[str, Any] = {
        "reviews": _topics(rng, as_of, title, praise=True),
        "baskets": _topics(rng, as_of, title),
        "words": "",
    }
    content["products"] = {"above": ["p0"], "below": ["p2"]}
    _json(content, out / "topics.json")
    _json(_metrics(), out / "metrics.json")
    ids = [f"p{i}" for i in range(6)]
    shares = np.array([0.9, 0.5, 0.2, 0.52, 0.48, np.nan])
    figures = {"positive": shares, "low": shares - 0.1, "high": shares + 0.08}
    _table({"product_id": ids, "num_reviews": [90, 60, 50, 40, 30, 3]} | figures, out / "products.parquet")
    told = {"product_id": ["p0"], "aspect": ["freshness"], "en": ["freshness"], "zh": ["新鲜"], "num_mentions": [40]}
    _table(told | {"positive": [0.9], "low": [0.8], "high": [0.96]}, out / "praise.parquet")
    _table({"customer": pa.array([0], pa.int32()), "topic": pa.array([0], pa.int32())}, out / "baskets.parquet")


def _json(content: Any, path: Path) -> None:
    path.write_text(json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")


def _table(columns: dict[str, Any], path: Path) -> None:
    pq.write_table(pa.Table.from_pydict(columns), path, write_page_checksum=True)


def _topics(rng: np.random.Generator, as_of: str, title: str, *, praise: bool = False) -> dict[str, Any]:
    start = date.fromisoformat(as_of) - timedelta(weeks=12)
    rows = []
    for number, (names, verdict) in enumerate(zip(NAMES, VERDICTS, strict=True)):
        words = [*names, title] if number == 1 else list(names)
        share = 0.4 - 0.1 * number
        level = share + rng.normal(0, 0.02, 12)
        points = [
            {"start": (start + timedelta(weeks=i)).isoformat(), "value": x, "low": x - 0.03, "high": x + 0.03}
            for i, x in enumerate(level.tolist())
        ]
        change = {"value": 0.05 - 0.05 * number, "low": 0.02 - 0.05 * number, "high": 0.08 - 0.05 * number}
        trend = {"by": "week", "verdict": verdict, "change": change, "p": 0.01, "adjusted_p": 0.02, "points": points}
        row: dict[str, Any] = {"topic": number, "name": ", ".join(words[:3]), "words": words, "num": 300, "people": 90}
        row |= {"share": share, "low": share - 0.02, "high": share + 0.02, "trend": trend}
        if praise:
            row["positive"] = {"value": 0.6, "low": 0.5, "high": 0.7, "people": 80}
        rows.append(row)
    candidate = {"method": "nmf", "num": 4, "coherence": 0.2, "diversity": 0.9, "stability": 0.95}
    return {
        "method": "nmf", "num": 3, "topics": rows, "candidates": [candidate], "reason": None, "num_documents": 900,
        "span": [start.isoformat(), (start + timedelta(weeks=12, days=-1)).isoformat()],
    }  # fmt: skip


def _metrics() -> dict[str, Any]:
    def judged(accuracy: float) -> dict[str, float]:
        return {"accuracy": accuracy, "low": accuracy - 0.01, "high": accuracy + 0.01, "log_loss": 0.4}

    candidates = {"characters 1-3": judged(0.85), "log-count ratios 1-4": judged(0.88)}
    spoken = {"num_mentions": 200, "people": 80, "positive": 0.7, "low": 0.6, "high": 0.78}
    return {
        "sentiment": {"chosen": "log-count ratios 1-4", "candidates": candidates, "num_rated": 800, "words": ""},
        "num_reviews": 900,
        "positive": {"value": 0.52, "low": 0.49, "high": 0.55, "people": 80},
        "aspects": {"price": spoken, "size": spoken | {"people": 40, "positive": 0.3, "low": 0.2, "high": 0.42}},
    }
