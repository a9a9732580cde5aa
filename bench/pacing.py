"""Pacing and send times on the demo, on days that nothing was learned from.

    python -m bench.pacing [--days 28] [--lookback 56] [--folder artifacts]

Pacing: the arrivals of a day are its baskets, at their time and with their value; each served one costs the same, and
the budget pays for a share of the baskets of an average day. Each of the last complete days that the
shop was open is paced with a profile of
the days before it. The value is compared with hindsight: the most that the budget could have earned with the day in
view.

Send times: customers' shares of day parts, fitted on everything before the last four weeks, beside the population's
shares: mean log-likelihood of a visit in those weeks.

Reads artifacts/validate/clean/events.parquet and snapshot.json. The last line is one JSON object.
"""

import argparse
import json
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd

from bench.machine import machine
from nightmarket.delivery.pacing import Pacer, Profile, hindsight
from nightmarket.delivery.timing import Preference, log_likelihood, slot_of_hour, slots
from nightmarket.histories.calendar import offsets
from tasks.campaigns import visits
from tasks.plan import SLOTS

EPOCH = date(1970, 1, 1)
SEED = 17
SHARES = (0.1, 0.2, 0.4)
"""Of an average day's baskets that the budget pays for."""
HELD_OUT_WEEKS = 4


def baskets(folder: Path) -> pd.DataFrame:
    """day (since 1970-01-01) and hour (with fraction) of every basket, local to the shop, and its value; in order."""
    path = str(folder / "validate/clean/events.parquet")
    zone = json.loads((folder / "validate/clean/snapshot.json").read_text(encoding="utf-8"))["time_zone"]
    with duckdb.connect(config={"memory_limit": "2GB"}) as database:
        rows = database.execute(
            "select min(timestamp) as moment, sum(value) as value from read_parquet(?) where kind = 'purchase' "
            "group by customer_id, coalesce(basket_id, cast(timestamp as varchar)) having sum(value) > 0 order by 1, 2",
            [path],
        ).df()
    utc = rows["moment"].to_numpy().astype("datetime64[s]").astype(np.int64)
    shifts = offsets(zone, rows["moment"].iloc[0].to_pydatetime(), rows["moment"].iloc[-1].to_pydatetime())
    starts, values = (np.array(part) for part in zip(*shifts, strict=True))
    local = utc + values[np.maximum(np.searchsorted(starts, utc, side="right") - 1, 0)]
    return pd.DataFrame({"day": local // 86_400, "hour": local % 86_400 / 3600, "value": rows["value"]})


def paced(all_days: pd.DataFrame, day: int, lookback: int, share: float) -> dict[str, float]:
    """One day: value and spend as shares of hindsight's value and of the budget."""
    before = all_days[(all_days["day"] >= day - lookback) & (all_days["day"] < day)]
    today = all_days[all_days["day"] == day]
    counts = np.zeros((lookback, 24), np.int64)
    np.add.at(counts, (before["day"].to_numpy() - day + lookback, before["hour"].to_numpy().astype(int)), 1)
    same = (np.arange(lookback) - lookback) % 7 == 0
    budget = share * float(counts.sum(axis=1).mean())
    hour = before["hour"].to_numpy()
    profile = Profile.fit(counts, hour, before["value"].to_numpy(), np.ones(len(before)), same)
    pacer, earned = Pacer(profile, budget), 0.0
    for hour, value in zip(today["hour"].tolist(), today["value"].tolist(), strict=True):
        if pacer.offer(hour, value, 1.0):
            earned += value
    best = hindsight(today["value"].to_numpy(), np.ones(len(today)), float(np.floor(budget)))
    usable = min(float(np.floor(budget)), len(today))
    return {"value": earned / best, "spend": (budget - pacer.left) / usable, "left": pacer.left, "budget": budget}


def send_times(folder: Path) -> dict[str, Any]:
    """Log-likelihood per visit in the held-out weeks: customers' shrunken shares, the population's, and unshrunken."""
    visits.EVENTS = folder / "validate/clean/events.parquet"
    snapshot = json.loads((folder / "validate/clean/snapshot.json").read_text(encoding="utf-8"))
    customers = pd.read_parquet(folder / "prepare/customers.parquet", columns=["customer", "customer_id"])
    zone, end = snapshot["time_zone"], date.fromisoformat(snapshot["as_of"])
    cut = end - timedelta(weeks=HELD_OUT_WEEKS)
    parts = slot_of_hour(slots(("0-6", *SLOTS)))
    merge = np.zeros((24, parts.max() + 1), np.int64)
    merge[np.arange(24), parts] = 1
    before, after = visits.visits(customers, zone, cut), visits.visits(customers, zone, end, since=cut)
    if before is None or after is None:
        return {}
    fit, held = before @ merge, after @ merge
    preference = Preference.fit(fit)
    own = (fit + 0.5) / (fit + 0.5).sum(axis=1, keepdims=True)
    gain = (held * (np.log(preference.of(fit)) - np.log(preference.share))).sum(axis=1)
    rng = np.random.default_rng(SEED)
    some = rng.integers(0, len(gain), (1000, len(gain)))
    draws = gain[some].sum(axis=1) / held.sum(axis=1)[some].sum(axis=1)
    return {
        "visits": int(held.sum()),
        "strength": preference.strength,
        "customers": log_likelihood(preference.of(fit), held),
        "population": log_likelihood(preference.share, held),
        "unshrunken": log_likelihood(own, held),
        "gain": {"value": float(gain.sum() / held.sum()), "interval": np.quantile(draws, (0.025, 0.975)).tolist()},
    }


def main() -> None:
    """Measure, and print as told above."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--days", type=int, default=28)
    parser.add_argument("--skip", type=int, default=0, help="days before the last that are left out, to choose by")
    parser.add_argument("--lookback", type=int, default=56)
    parser.add_argument("--folder", type=Path, default=Path("artifacts"))
    args = parser.parse_args()
    snapshot = json.loads((args.folder / "validate/clean/snapshot.json").read_text(encoding="utf-8"))
    last = (date.fromisoformat(snapshot["last_full_day"]) - EPOCH).days - args.skip
    arrivals = baskets(args.folder)
    by_share: dict[str, Any] = {}
    for share in SHARES:
        traded = [day for day in range(last - args.days + 1, last + 1) if (arrivals["day"] == day).any()]
        days = [paced(arrivals, day, args.lookback, share) for day in traded]
        table = pd.DataFrame(days)
        by_share[str(share)] = {
            "days": len(table),
            "value_mean": table["value"].mean(),
            "value_median": table["value"].median(),
            "value_min": table["value"].min(),
            "spend_mean": table["spend"].mean(),
            "spend_min": table["spend"].min(),
            "days_below": int(((table["value"] < 0.95) | (table["spend"] < 0.97)).sum()),
            "low_days": [str(EPOCH + timedelta(traded[at])) for at in np.flatnonzero(table["spend"] < 0.97)],
            "over": int((table["left"] < 0).sum()),
        }
        print(share, by_share[str(share)], flush=True)
    times = send_times(args.folder)
    print("send times", times)
    worst = {
        "value": min(row["value_mean"] for row in by_share.values()),
        "spend": min(row["spend_mean"] for row in by_share.values()),
        "over": sum(row["over"] for row in by_share.values()),
    }
    figures = worst | {"days": args.days, "lookback": args.lookback, "pacing": by_share, "send_times": times}
    print(json.dumps(figures | {"machine": machine(), "seed": SEED}))


if __name__ == "__main__":
    main()
