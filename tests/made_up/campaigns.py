"""What the stages about campaigns and reviews leave of a made-up run, in their formats.

Figures are invented; only their shape is real. `tests/nightmarket/reporting` holds the formats against the library.
"""

import json
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

KINDS = ("coupon", "mailer")
SEGMENTS = ("high spend, broad choice", "rare visits, deep discounts", "evenings, small baskets")
TYPES = ("DAIRY > MILK > WHOLE MILK", "BAKERY > BREAD > RYE BREAD", "DRUGSTORE > SOAP", "日用 > 纸品 > 抽纸")
NAMES = (("milk", "bread", "butter"), ("soap", "paper", "sponge"), ("牛奶", "面包", "早餐"))
VERDICTS = ("rising", "no change", "falling")
WORDS = "Nobody was reached at random, so a difference need not be an effect of the campaign"


def write_campaigns(folder: Path, rng: np.random.Generator, as_of: str, title: str) -> None:
    """artifacts/plan, respond, segment, demand and readout; `title` stands where a retailer's own text would."""
    artifacts = folder / "artifacts"
    write_json(_plan(as_of, title), artifacts / "plan/summary.json")
    _respond(artifacts / "respond", rng, title)
    write_json(_segments(as_of, title), artifacts / "segment/segments.json")
    _demand(artifacts / "demand", rng, as_of)
    write_json(_care(as_of), artifacts / "care/metrics.json")
    write_json(_readout(title), artifacts / "readout/readout.json")


def write_json(content: Any, path: Path) -> None:
    """As the stages write it; the folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")


def write_table(columns: dict[str, Any], path: Path) -> None:
    """As the stages write it; the folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path, write_page_checksum=True)


def _figure(value: float, reach: float) -> dict[str, float]:
    return {"value": value, "low": value - reach, "high": value + reach}


def _plan(as_of: str, title: str) -> dict[str, Any]:
    def rows(names: list[str], weights: list[float]) -> list[dict[str, Any]]:
        whole = sum(weights)
        shares = [(name, weight / whole) for name, weight in zip(names, weights, strict=True)]
        return [
            {"name": name, "num": round(640 * part), "spend": 209.3 * part}
            | {"expected_responses": 77.4 * part, "expected_profit": 79.5 * part}
            for name, part in shares
        ]

    first = date.fromisoformat(as_of)
    offers = [f"offer {i}" for i in range(1, 12)]
    told = {
        "kind": "coupon",
        "discount": 0.2,
        "threshold": None,
        "cost": None,
        "num_products": 40,
        "called": {"en": title},
    }
    return {
        "campaign": {
            "name": title, "goal": "profit", "kind": "coupon", "start": as_of, "days": 7, "budget": 250.0,
            "currency": "USD", "holdout": 0.1, "slots": ["9-12", "12-15", "18-21"],
        },
        "num_customers": 2469, "num_eligible": 2467, "num_contacts": 640, "num_sent": 411,
        "num_holdout": 44, "num_kept_back": 251,
        "empty_because": None, "budget": 250.0, "spend": 209.3, "expected_responses": 77.4, "expected_profit": 79.5,
        "certificate": {"value": 79.5, "bound": 79.508, "gap": 0.0001, "unit": "currency"},
        "by_segment": rows(["1", "2", "other"], [5, 2, 1]),
        "by_offer": rows([title, *offers], [9.0, *np.linspace(6, 1, len(offers)).tolist()]),
        "by_channel": rows(["email", "sms"], [4, 1]),
        "by_slot": rows(["12-15", "18-21", "9-12"], [3, 4, 2]),
        "pacing": rows([(first + timedelta(i)).isoformat() for i in range(7)], [4, 4, 3, 3, 3, 2, 2]),
        "offers": [{"name": name, **told} for name in [title, *offers]],
        "words": "640 contacts to 411 customers.",
        "notes": ["Past offers have no cost on file: each is taken to waive 20% of the price.", title],
    }  # fmt: skip


def _respond(out: Path, rng: np.random.Generator, title: str) -> None:
    def figures(pairs: int, auc: float) -> dict[str, Any]:
        return {
            "num_pairs": pairs, "num_responses": pairs // 6, "predicted": 0.172, "observed": 0.151,
            "auc": _figure(auc, 0.05), "average_precision": _figure(0.54, 0.08), "ece": _figure(0.03, 0.01),
            "lift": _figure(4.1, 0.5), "log_loss": _figure(0.33, 0.03),
        }  # fmt: skip

    campaigns = {name: figures(120 + 90 * i, 0.7 + 0.04 * i) | {"kind": KINDS[i % 2]} for i, name in enumerate("ABC")}
    campaigns[title] = figures(700, 0.84) | {"kind": title}
    offers = {"nightmarket": 0.44, "own purchases": 0.39}
    metrics = {
        "candidate": "blend",
        "test": figures(1300, 0.82),
        "campaigns": campaigns,
        "offers": {name: {"ndcg@5": _figure(value, 0.03) | {"num_groups": 216}} for name, value in offers.items()},
    }
    write_json(metrics, out / "metrics.json")
    shares = {"answers": 0.5, "offered": 0.2, "visits": 0.18, "discounts": 0.12}
    write_json({"overall": {"shares": shares, "en": "…", "zh": "…"}, "campaigns": {}}, out / "drivers.json")
    chance = rng.beta(1, 6, 600)
    columns = {
        "customer": pa.array(np.arange(600) % 80, pa.int32()),
        "campaign_id": ["A"] * 600,
        "probability": chance,
        "responded": rng.random(600) < chance,
    }
    write_table(columns, out / "predictions.parquet")


def _care(as_of: str) -> dict[str, Any]:
    def figures(error: float) -> dict[str, Any]:
        tenths = [{"said": 40.0 * i, "num_customers": 30} | _figure(42.0 * i, 6.0) for i in range(1, 11)]
        return {"error": _figure(error, 2.0), "tenths": tenths}

    shares = {"leaving": _figure(0.41, 0.1), "active": _figure(0.93, 0.02)}
    tested = {"value": {"ours": figures(61.2), "bgnbd": figures(64.8), "recency_frequency": figures(70.1)}}
    tested |= {"window": ["2017-10-02", "2017-12-31"], "leaving": {name: {"bought": shares[name]} for name in shares}}
    row = {"num_customers": 40, "active": 0.9, "expected_value": 210.0, "leaving": 5, "worth_keeping": 2}
    return {
        "as_of": as_of, "reason": None, "weeks": 13, "priced": True, "num_customers": 300, "objected": 0,
        "standing": {"few": 30, "active": 240, "leaving": 20, "gone": 10, "worth_keeping": 8},
        "expected_value": 64_000.0, "expected_purchases": 2_100.0, "at_risk": 3_100.0, "tested": tested,
        "segments": [{"segment": str(i)} | row for i in (1, 2)],
    }  # fmt: skip


def _segments(as_of: str, title: str) -> dict[str, Any]:
    return {
        "as_of": as_of, "reason": None, "note": "", "num_customers": 78, "num_segments": len(SEGMENTS), "other": 2,
        "segments": [_portrait(i, name, title) for i, name in enumerate([*SEGMENTS[:-1], title])],
        "stability": [{"k": k, "ari": 0.99 - 0.02 * k, "silhouette": 0.3 - 0.03 * k} for k in (2, 3, 4)],
        "least_ari": 0.85, "week_before": {"ari": 0.84, "same": 0.92},
        "classifier": {"whole": 0.93, "first_weeks": 0.49, "largest_group": 0.4},
        "value": {"weeks": 13}, "responses": WORDS,
    }  # fmt: skip


def _portrait(i: int, name: str, title: str) -> dict[str, Any]:
    size = (38, 22, 20)[i]
    answers = [
        {"kind": kind, "campaigns": 4, "customers": size, "pairs": 60, "answered": 9}
        | {"rate": rate, "low": rate / 2, "high": 1.6 * rate}
        for kind, rate in ((KINDS[0], 0.2 - 0.05 * i), (title, 0.07))
    ]
    parts = zip(("morning", "midday", "evening", "night"), (0.15, 0.4, 0.35, 0.1), strict=True)
    return {
        "segment": str(i + 1), "name": {"en": name, "zh": "高消费"}, "size": size,
        "share_customers": size / 80, "share_value": (0.6, 0.3, 0.1)[i],
        "traits": [{"feature": "spend", "difference": 0.9, "en": part, "zh": ""} for part in name.split(", ")],
        "rfm": {
            "recency_days": 2.0 + 20 * i, "baskets_per_week": 1.4 / (1 + 6 * i), "spend_per_week": 60.0,
            "basket_value": 45.98, "baskets": 60.0, "spend": 3000.0,
        },
        "value": {"weeks": 13, **_figure(900.0 / (1 + i), 200.0 / (1 + i))} if i < 2 else None,
        "categories": [
            {"category": category, "lift": lift, "share": 0.02, "share_all": 0.01, "buyers": 30}
            for category, lift in (("GROCERY > DOMESTIC WINE", 1.48), (title, 1.2))
        ],
        "when": {
            "parts": [{"part": part, "share": share, "lift": 1.1} for part, share in parts] if i < 2 else None,
            "weekdays": [{"share": share, "lift": 0.9} for share in (0.14, 0.13, 0.13, 0.13, 0.14, 0.16, 0.17)],
        },
        "responses": answers if i < 2 else [],
        "strategy": {"kind": None, "against": None, "en": f"They answered {title} most.", "zh": "…"},
    }  # fmt: skip


def _demand(out: Path, rng: np.random.Generator, as_of: str) -> None:
    def judged(wape: float) -> dict[str, Any]:
        return {"wape": wape, "mase": _figure(1.0, 0.1)}

    whole = {
        "kinds": 4, "units": 900.0, "ours": judged(0.33), "naive": judged(0.42), "seasonal naive": judged(0.35),
        "coverage80": _figure(0.805, 0.01), "coverage95": _figure(0.942, 0.005),
    }  # fmt: skip
    monday = date.fromisoformat(as_of)
    pooled = {"price": _figure(-1.4, 0.2), "discount": _figure(2.1, 0.2)}
    said = "In the past, weeks with a 10% higher shelf price went with −12.5% units. This is observational."
    metrics = {
        "last_complete_week": (monday - timedelta(7)).isoformat(),
        "forecast": {"reason": None, "weeks": 51, "horizon": 4, "classes": {"all": whole}},
        "response": {
            "reason": None, "products": 40, "pooled": pooled, "words": {"en": said, "zh": "…"},
            "placebo_next_week": {"price": _figure(0.1, 0.15), "discount": _figure(0.0, 0.1)},
        },
    }  # fmt: skip
    write_json(metrics, out / "metrics.json")
    units = np.repeat(rng.uniform(20, 400, len(TYPES)), 4)
    bounds = {"low80": 0.8, "high80": 1.25, "low95": 0.6, "high95": 1.6}
    forecast = {"kind": np.repeat(TYPES, 4), "week": [monday + timedelta(7 * h) for _ in TYPES for h in range(4)]}
    columns = forecast | {"units": units} | {name: units * factor for name, factor in bounds.items()}
    write_table(columns, out / "forecast.parquet")
    prices: dict[str, Any] = {"kind": list(TYPES), "products": [20] * 4, "weeks": [300] * 4}
    prices |= {"price_measured": [-1.5, -1.0, None, -0.4], "price": [-1.4, -1.1, -1.2, -0.6]}
    prices |= {"price_low": [-1.8, -1.6, -2.0, -1.4], "price_high": [-1.0, -0.6, -0.4, 0.2]}
    write_table(prices, out / "response.parquet")


def _readout(title: str) -> dict[str, Any]:
    sequence = {"low": 0.001, "high": 0.012}
    shipped = {
        "metric": "responded", "arm": "v2", "better": "higher", "num_arm": 4000, "num_control": 4000, "control": 0.05,
        "treated": 0.0565, "effect": 0.0065, "relative": 0.13, "sequence": sequence, "p_holm": 0.01,
    }  # fmt: skip
    ratio = {"found": {"control": 4000, "v2": 4010}, "expected": {"control": 4005, "v2": 4005}, "p_value": 0.91}
    running = {
        "name": "autumn", "control": "control", "comparisons": [shipped], "not_judged": {"spend, v2": "too few"},
        "verdict": {"word": "ship", "reason": "responded of v2 +.0065; it holds at every look", "arm": "v2"},
        "sample_ratio": ratio | {"passed": True},
        "segments": [{"by": "attr_age", "level": title, "arm": "v2", "num_arm": 90, "num_control": 80, "effect": 0.01,
                      "low": -0.02, "high": 0.04, "p_adjusted": 0.8}],
    }  # fmt: skip
    broken = {
        "name": title, "control": "control", "comparisons": [], "not_judged": {}, "segments": [],
        "verdict": {"word": "blocked", "reason": "sample ratio: control 504,000, v2 496,000", "arm": ""},
        "sample_ratio": ratio | {"passed": False},
    }  # fmt: skip
    index = [
        {"name": name, "customers": 90, "impressions": 300, "clicks": 30, "responses": 9, "conversion": None}
        | {"click_through": _figure(0.1, 0.02), "response": _figure(0.03, 0.01), "index": _figure(value, 20.0)}
        for name, value in ((KINDS[0], 120.0), (title, 70.0))
    ]
    policy = {
        "verdict": "not certified",
        "words": "Not certified: it may be no better.",
        "logging": 0.05,
    }
    refused = {"verdict": "refused", "words": "No verdict, collect more exploration: ESS 120 (fewer than 500)."}
    lifts = {"offline": {"value": 0.05, "low": 0.02, "high": 0.08}, "ope": None}
    row = {"name": "v2", "experiment": "autumn", "control": "control", "verdict": "ship"}
    return {
        "sentence": "2 experiments, 2 finished campaigns without one, 1 logs with propensities.",
        "experiments": [running, broken],
        "observed": [_observed("17", 22.0, 60.0), _observed(title, 4.3, 60.0), _observed("26", None, 0.0)],
        "observed_means": "exposure was not drawn by lot",
        "off_policy": [
            {"campaign_id": "log", "decisions": 9000, "reason": "", "policies": {"best offer": policy, title: refused}}
        ],
        "effect_index": {"of": "clicks", "by_kind": index, "by_campaign": [], "by_arm": index},
        "ledger": {
            "rows": [row | lifts | {"ab": {"value": 0.13, "low": 0.02, "high": 0.24}}],
            "offline": {"sentence": "1 versions have both an offline estimate and an A/B result"},
            "ope": {"sentence": "0 versions have both"},
        },
    }


def _observed(name: str, value: float | None, reach: float) -> dict[str, Any]:
    known = value is not None
    return {
        "campaign_id": name, "kind": KINDS[0], "left_out": None, "assignment": "observed", "verdict": "no claim",
        "num_exposed": 300 if known else 0, "on_exposed": _figure(value, reach) if value is not None else None,
        "naive": _figure(200.0, 20.0) if known else None,
        "words": "No claim: attr_income 50-74K still differs by 0.44 standard deviations (more than 0.25).",
    }  # fmt: skip


def write_reviews(folder: Path, rng: np.random.Generator, as_of: str, title: str) -> None:
    """artifacts/reviews; `title` stands where a retailer's own text would."""
    out = folder / "artifacts/reviews"
    content: dict[str, Any] = {
        "reviews": _topics(rng, as_of, title, praise=True),
        "baskets": _topics(rng, as_of, title),
        "words": "",
    }
    content["products"] = {"above": ["p0"], "below": ["p2"]}
    write_json(content, out / "topics.json")
    write_json(_review_metrics(), out / "metrics.json")
    ids = [f"p{i}" for i in range(6)]
    shares = np.array([0.9, 0.5, 0.2, 0.52, 0.48, np.nan])
    figures = {"positive": shares, "low": shares - 0.1, "high": shares + 0.08}
    write_table({"product_id": ids, "num_reviews": [90, 60, 50, 40, 30, 3]} | figures, out / "products.parquet")
    told = {"product_id": ["p0"], "aspect": ["freshness"], "en": ["freshness"], "zh": ["新鲜"], "num_mentions": [40]}
    write_table(told | {"positive": [0.9], "low": [0.8], "high": [0.96]}, out / "praise.parquet")
    write_table({"customer": pa.array([0], pa.int32()), "topic": pa.array([0], pa.int32())}, out / "baskets.parquet")


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


def _review_metrics() -> dict[str, Any]:
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
