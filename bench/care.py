"""Customer care beside BG/NBD of `lifetimes` on CDNOW, and its calibration on shops beside recency x frequency.

    python -m bench.care [--demo FOLDER] [--shops fashion] [--seeds 11 12] [--without-cdnow]

CDNOW: all 23,570 customers of the master file, which lies in the wheel of `lifetimes` (downloaded once, with what it
needs, into .nightmarket/bench-care); fitted on the first 39 weeks, judged on the 39 after them: purchases, and value.
`lifetimes` fits BG/NBD and gamma-gamma on the same 39 weeks. Shops: the last window that is over, as a night judges it.
`--demo`: a folder in which `prepare` has run. Differences are paired over customers, with 95% intervals; below zero
ours is better. The last line is one JSON object.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bench.machine import machine
from bench.related import shops
from nightmarket.care import accuracy
from nightmarket.care.correction import QUANTITIES, Quantity, losses
from nightmarket.care.features import Looks
from nightmarket.care.outlook import Care, care
from nightmarket.care.records import PurchaseDays, PurchaseRecords, outcomes, records
from nightmarket.contracts.arrays import Float64s
from nightmarket.evaluation.intervals import paired
from nightmarket.histories.calendar import day_of, last_day, last_whole_week, week_of
from nightmarket.histories.histories import Histories
from nightmarket.segments.worth import horizon
from tasks.files.prepared import Prepared

PLACE = Path(".nightmarket/bench-care")
FIRST = day_of(date(1997, 1, 1))
SPAN = 39 * 7
"""Days that are learned from, and as many that are judged."""
WINDOW = 8 * 7
"""Days of the windows on which ours learns and chooses within the first 39 weeks."""
SEED = 17
Row = dict[str, Any]


def cdnow() -> PurchaseDays:
    """All purchases of the 18 months."""
    if not PLACE.exists():
        what = ["--target", str(PLACE), "--no-deps", "lifetimes==0.11.3", "autograd", "dill"]
        subprocess.run([sys.executable, "-m", "pip", "install", "-q", *what], check=True)
    names = ["customer", "date", "quantity", "value"]
    table = pd.read_csv(PLACE / "lifetimes/datasets/CDNOW_master.txt", sep=r"\s+", names=names, header=0)
    day = (pd.to_datetime(table["date"].astype(str), format="%Y%m%d") - pd.Timestamp("1970-01-01")).dt.days
    table = table.assign(day=day.to_numpy(np.int32)).sort_values(["customer", "day"], kind="stable")
    customer = pd.factorize(table["customer"])[0].astype(np.int32)
    days, zeros = table["day"].to_numpy(np.int32), np.zeros(len(table), np.int32)
    paid, nothing = table["value"].to_numpy(np.float32), np.zeros(len(table), np.float32)
    basket, num = np.arange(len(table), dtype=np.int32), int(customer[-1]) + 1
    lines = Histories(customer, zeros, days // 7, days, nothing + 1, paid, nothing, basket, zeros, num, 1)
    return PurchaseDays.of(lines)


def theirs(known: PurchaseRecords) -> dict[Quantity, Float64s]:
    """What `lifetimes` expects of the customers in the coming SPAN days."""
    sys.path.insert(0, str(PLACE))
    from lifetimes import BetaGeoFitter, GammaGammaFitter

    weeks = [values / 7.0 for values in (known.last, known.age)]
    buying, spending = BetaGeoFitter(penalizer_coef=0.0), GammaGammaFitter(penalizer_coef=0.0)
    buying.fit(known.repeats, *weeks)
    expects = buying.conditional_expected_number_of_purchases_up_to_time
    purchases = np.asarray(expects(SPAN / 7.0, known.repeats, *weeks))
    again = (known.repeats > 0) & (known.again_spend > 0)
    spending.fit(known.repeats[again], known.again_spend[again])
    mean = np.asarray(
        spending.conditional_expected_average_profit(known.repeats * again, np.where(again, known.again_spend, 0.0))
    )
    return {"purchases": purchases, "value": purchases * mean}


def on_cdnow() -> dict[str, Row]:
    """Per quantity, ours beside `lifetimes`."""
    days, cut = cdnow(), FIRST + SPAN - 1
    past = PurchaseDays.of(days.lines.where(days.lines.day <= cut))
    made = care(past, None, cut, cut, WINDOW, SEED, ahead=SPAN)
    if isinstance(made, str):
        raise SystemExit(f"CDNOW: {made}")
    known = records(days, cut)
    came, other, told = outcomes(days, known, SPAN), theirs(known), {}
    for quantity in QUANTITIES[1:]:
        real = getattr(came, quantity)
        ours = made.outlook.expected[quantity]
        told[f"{quantity} / lifetimes"] = _row(quantity, ours, other[quantity], real)
    bought = came.bought.astype(np.float64)
    told["chance / BG/NBD"] = _row("chance", made.outlook.expected["chance"], made.outlook.reckoned.chance, bought)
    return told


def _row(quantity: Quantity, ours: Float64s, other: Float64s, came: Float64s) -> Row:
    sides = [losses(quantity, said, came) for said in (ours, other)]
    gaps = [paired(mine, their, SEED) for mine, their in zip(*sides, strict=True)]
    calibration = [accuracy.figures(quantity, said, came, SEED)["calibration_error"] for said in (ours, other)]
    errors = [float(side[0].mean()) for side in sides]
    row = {"errors": errors, "error": gaps[0].content(), "deviance": gaps[1].content(), "calibration": calibration}
    return row | {"customers": int(came.size)}


def on_shop(data: Prepared) -> dict[str, Row]:
    """Per quantity, ours beside BG/NBD with gamma-gamma and recency x frequency, on the last window that is over."""
    days, last = PurchaseDays.of(data.histories), last_whole_week(data.windows.test.last_target)
    weeks, looks = horizon(week_of(data.windows.first_day) + 1, last), Looks.of(data.interactions)
    made: Care | str = care(
        days, looks if looks.day.size else None, last_day(last), data.windows.deliver.cut, 7 * weeks, SEED
    )
    if isinstance(made, str) or made.trial is None:
        raise SystemExit(made if isinstance(made, str) else "the history is too short")
    told, trial = accuracy.judged(made.trial, days.priced, SEED), made.trial
    rows = {}
    for quantity in QUANTITIES if days.priced else QUANTITIES[:2]:
        figures = told[quantity]
        for name in ("bgnbd", "recency_frequency"):
            if name in figures:
                gap = figures[f"ours_minus_{name}"]
                row = {"errors": [figures[side]["error"]["value"] for side in ("ours", name)]} | gap
                row["calibration"] = [figures[side]["calibration_error"] for side in ("ours", name)]
                rows[f"{quantity} / {name}"] = row | {"customers": len(trial.outlook.known)}
        rows[f"{quantity} / bgnbd"]["tenths"] = figures["ours"]["tenths"]
    return rows


def said(name: str, rows: dict[str, Row]) -> Iterator[str]:
    """Rows of the table."""
    for pair, row in rows.items():
        gaps = [
            f"{row[of]['value']:+.4f} [{row[of]['low']:+.4f}, {row[of]['high']:+.4f}]" for of in ("error", "deviance")
        ]
        mine, other = row["errors"]
        calibration = " | ".join(f"{value:.3f}" for value in row["calibration"])
        yield f"| {name} | {pair} | {mine:.4f} | {other:.4f} | {gaps[0]} | {gaps[1]} | {calibration} |"


def main(words: list[str] | None = None) -> int:
    """Judge what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--demo", type=Path)
    parser.add_argument("--shops", nargs="*", default=["fashion"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[11, 12])
    parser.add_argument("--without-cdnow", action="store_true")
    asked = parser.parse_args(words)
    figures: dict[str, dict[str, Row]] = {}
    print("| shop | quantity / beside | error | its | error: ours less its | deviance: ours less its | off | its |")
    print("|---|---|---|---|---|---|---|---|")

    def say(name: str, rows: dict[str, Row]) -> None:
        figures[name] = rows
        print("\n".join(said(name, rows)), flush=True)

    if not asked.without_cdnow:
        say("CDNOW", on_cdnow())
    if asked.demo:
        say("demo", on_shop(Prepared(asked.demo)))
    for name, data, _ in shops(asked.shops, asked.seeds):
        say(name, on_shop(data))
    print(json.dumps({"care": figures, "machine": machine()}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
