"""Nights of odd shops: random mixtures of what ordinary shops lack or have in excess, every stage, one after the other.

    python -m bench.faults.odd --shops 40              two thirds of an hour or so on two cores
    python -m bench.faults.odd --only "some texts"     one oddity, alone

A night must end in a page, or be refused in one line; no traceback, no NaN in a file, no word of code on the page. Each
night runs in a process of its own, without DVC and Prefect, which cost more than the stages of so small a shop. The
last line is one JSON object; exit code 1 where a night fell short.
"""

import argparse
import contextlib
import functools
import importlib
import io
import json
import os
import re
import shutil
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import yaml

from nightmarket.testing.shop import make_shop

ROOT = Path(__file__).resolve().parents[2]
CHAIN = ("snapshot", "validate", "prepare", "pretrain", "embed", "finetune", "rank")
BESIDE = ("respond", "reviews", "segment", "demand", "care")
REST = ("related", "bundle", "plan", "compose", "readout", "drift", "report")
ORDER = (*CHAIN, *BESIDE, "evaluate", "register", "score", *REST)
WITHOUT_WHICH_NOTHING = frozenset((*CHAIN, "evaluate", "register", "score"))
PARAMS: dict[str, Any] = {
    "snapshot": {"source": "folder", "folder": "tables", "time_zone": "Asia/Shanghai"},
    "finetune": {"max_steps": 4, "validate_every": 2, "validate_customers": 20, "random_texts": 64, "hidden": 16},
    "rank": {"num_trees": 8, "launch_trees": 4, "num_leaves": 7},
    "respond": {"num_resamples": 100},
    "evaluate": {"num_resamples": 100},
    "score": {"num_recommendations": 5},
    "plan": {
        "budget": 30.0,
        "margin": 0.5,
        "consent": "told at purchase",
        "channels": {"email": {"cost": 0.01, "capacity": 4}},
    },
}
CODE_WORDS = re.compile(r"\bnan\b|\binf\b|undefined|\bNone\b(?! of| has| is| was| in)")
Tables = dict[str, pa.Table]
Oddity = Callable[[np.random.Generator, Tables], None]


def _without(table: str, *columns: str) -> Oddity:
    """A table without some columns, or without itself where none is named."""

    def change(rng: np.random.Generator, tables: Tables) -> None:
        if columns:
            there = [name for name in columns if name in tables[table].column_names]
            tables[table] = tables[table].drop_columns(there)
        else:
            tables.pop(table, None)

    return change


def _header_alone(*names: str) -> Oddity:
    return lambda rng, tables: tables.update({name: tables[name].slice(0, 0) for name in names if name in tables})


def _events(change: Callable[[np.random.Generator, pd.DataFrame], pd.DataFrame]) -> Oddity:
    """Events changed as a frame."""

    def changed(rng: np.random.Generator, tables: Tables) -> None:
        frame = change(rng, tables["events"].to_pandas())
        tables["events"] = pa.Table.from_pandas(frame, preserve_index=False)

    return changed


def _some_empty(table: str, but: tuple[str, ...]) -> Oddity:
    """Half of a table's values are missing."""

    def change(rng: np.random.Generator, tables: Tables) -> None:
        frame = tables[table].to_pandas()
        for name in frame.columns.difference(but):
            frame[name] = frame[name].astype(object).where(rng.random(len(frame)) < 0.5, None)
        tables[table] = pa.Table.from_pandas(frame, preserve_index=False)

    return change


def _titled(title: str | None) -> Oddity:
    """Every product has that title."""

    def change(rng: np.random.Generator, tables: Tables) -> None:
        rest = tables["products"].drop_columns("title")
        tables["products"] = rest.append_column("title", pa.array([title] * rest.num_rows, pa.string()))

    return change


def _lately(frame: pd.DataFrame, days: int) -> pd.DataFrame:
    return frame[frame["timestamp"] >= frame["timestamp"].max() - pd.Timedelta(days=days)]


def _closed(rng: np.random.Generator, frame: pd.DataFrame) -> pd.DataFrame:
    """Nothing for three weeks or more."""
    begin = frame["timestamp"].max() - pd.Timedelta(days=int(rng.integers(20, 90)))
    return frame[~frame["timestamp"].between(begin, begin + pd.Timedelta(days=int(rng.integers(21, 40))))]


def _with_returns(rng: np.random.Generator, frame: pd.DataFrame) -> pd.DataFrame:
    back = frame.sample(frac=0.3, random_state=int(rng.integers(1 << 20))).assign(kind="return")
    return pd.concat([frame.assign(kind="purchase"), back]).sort_values("timestamp")


def _all_new(rng: np.random.Generator, tables: Tables) -> None:
    """Customers who are others each week, of whom nothing else is known."""
    weekly = _events(
        lambda rng, frame: _lately(frame, 27).assign(
            customer_id=lambda late: late["customer_id"] + "-" + (late["timestamp"].dt.day_of_year // 7).astype(str)
        )
    )
    weekly(rng, tables)
    for name in ("customers", "campaigns", "exposures", "responses", "offers", "reviews"):
        tables.pop(name, None)


KINDS = ("view", "cart", "purchase")
MONEY = ("value", "discount", "coupon_discount")
ODDITIES: dict[str, Oddity] = {
    "no value": _without("events", *MONEY),
    "no basket": _without("events", "basket_id"),
    "no quantity": _without("events", "quantity"),
    "no categories": _without("products", "category", "brand"),
    "no customers": _without("customers"),
    "no promotions": _without("promotions"),
    "no reviews": _without("reviews"),
    "empty campaigns": _header_alone("campaigns", "offers", "exposures", "responses"),
    "empty exposures": _header_alone("exposures", "responses"),
    "empty reviews": _header_alone("reviews"),
    "empty promotions": _header_alone("promotions"),
    "some texts": _some_empty("products", ("product_id",)),
    "some events": _some_empty("events", ("customer_id", "product_id", "kind", "timestamp", "value")),
    "no texts": _titled(None),
    "one text": _titled("商品"),
    "views": _events(lambda rng, frame: frame.assign(kind=rng.choice(KINDS, len(frame), p=(0.7, 0.15, 0.15)))),
    "only views": _events(lambda rng, frame: frame.assign(kind="view")),
    "only carts": _events(lambda rng, frame: frame.assign(kind="cart")),
    "one product": _events(lambda rng, frame: frame[frame["product_id"] == frame["product_id"].iloc[0]]),
    "two products": _events(lambda rng, frame: frame[frame["product_id"].isin(frame["product_id"].unique()[:2])]),
    "few customers": _events(
        lambda rng, frame: frame[frame["customer_id"].isin(frame["customer_id"].unique()[: rng.integers(1, 12)])]
    ),
    "new customers": _all_new,
    "closed": _events(_closed),
    "guests": _events(
        lambda rng, frame: frame.assign(customer_id=frame["customer_id"].where(rng.random(len(frame)) < 0.4, None))
    ),
    "young": _events(lambda rng, frame: _lately(frame, int(rng.integers(2, 40)))),
    "free": _events(lambda rng, frame: frame.assign(value=0.0)),
    "each once": _events(lambda rng, frame: frame.drop_duplicates("customer_id")),
    "returns": _events(_with_returns),
}


def write(folder: Path, seed: int, only: str = "") -> list[str]:
    """A shop with one to three oddities; their names."""
    rng = np.random.default_rng(seed)
    sizes = (rng.choice([20, 60, 150]), rng.choice([15, 60, 150]), rng.choice([8, 20, 40]))
    tables = dict(make_shop(*map(int, sizes), seed))
    wanted = [only] if only else list(map(str, rng.permutation(list(ODDITIES))[: rng.integers(1, 4)]))
    for name in wanted:
        with contextlib.suppress(KeyError):  # another one took the column or table away
            ODDITIES[name](rng, tables)
    folder.mkdir(parents=True)
    for name, table in tables.items():
        pq.write_table(table, folder / f"{name}.parquet")
    return wanted


def night(home: Path) -> tuple[list[str], list[str]]:
    """Every stage in the current process; what fell short, and what was refused in a line."""
    from tasks.__main__ import main as run_stage

    wrong, refused = [], []
    for stage in ORDER:
        said = io.StringIO()
        try:
            with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(said):
                code = run_stage(stage)
        except Exception as error:
            where = traceback.extract_tb(error.__traceback__)[-1]
            wrong.append(f"{stage}: {type(error).__name__}: {error} ({Path(where.filename).name}, line {where.lineno})")
            code = 1
        if code == 2:
            refused.append((said.getvalue().strip().splitlines() or [stage])[-1])
        if code and stage in WITHOUT_WHICH_NOTHING:
            return wrong, refused
    return wrong + _looked_at(home), refused


def _looked_at(home: Path) -> list[str]:
    """What is wrong with what the night left."""
    from flows.engine.reporting import outcome

    outcome.commit_message("night", home), outcome.table(home)
    page = home / "artifacts/report/index.html"
    if not page.exists():
        return ["there is no page"]
    text = re.sub(r"<(style|script|svg).*?</\1>|<[^>]+>", " ", page.read_text(encoding="utf-8"), flags=re.S)
    word = CODE_WORDS.search(text)
    wrong = [f"the page says {word[0]}"] if word else []
    for path in sorted(home.glob("artifacts/**/*.parquet")):
        table = pq.read_table(path)
        numbers = [field.name for field in table.schema if pa.types.is_floating(field.type)]
        wrong += [f"NaN in {path.name}: {name}" for name in numbers if pc.any(pc.is_nan(table[name])).as_py()]
    return wrong


def _enter(home: Path) -> None:
    """The current process works in that checkout."""
    os.chdir(home)
    os.environ |= {"NIGHTMARKET_HOME": str(home), "HF_HUB_OFFLINE": "1"}
    (home / "params.yaml").write_text(yaml.safe_dump(PARAMS), encoding="utf-8")
    for name in ("dvc.yaml", "rules.yaml"):
        shutil.copyfile(ROOT / name, home / name)
    locked = {name: {"cmd": name, "outs": [{"path": f"artifacts/{name}", "md5": "0" * 32}]} for name in ORDER}
    (home / "dvc.lock").write_text(yaml.safe_dump({"schema": "2.0", "stages": locked}), encoding="utf-8")


def _apart(home: Path, seed: int, only: str) -> dict[str, Any]:
    """A night in a child of this process, which has the code in memory already."""
    reads, writes = os.pipe()
    if not (child := os.fork()):
        os.close(reads)
        try:
            oddities = write(home / "tables", seed, only)
            _enter(home)
            wrong, refused = night(home)
            came = {"seed": seed, "oddities": oddities, "wrong": wrong, "refused": refused}
        except BaseException as error:
            came = {"seed": seed, "oddities": [], "wrong": [f"{type(error).__name__}: {error}"], "refused": []}
        with os.fdopen(writes, "w") as file:
            file.write(json.dumps(came))
        os._exit(0)
    os.close(writes)
    with os.fdopen(reads) as file:
        said = file.read()
    os.waitpid(child, 0)
    return dict(json.loads(said)) if said else {"seed": seed, "oddities": [], "wrong": ["killed"], "refused": []}


def main() -> int:
    """Exit code 1 where a night fell short."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shops", type=int, default=40)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", choices=["", *ODDITIES])
    given = parser.parse_args()
    for stage in ORDER:
        importlib.import_module(f"tasks.{stage}")
    say = functools.partial(print, flush=True)
    nights = []
    with tempfile.TemporaryDirectory() as made:
        for seed in range(given.seed, given.seed + given.shops):
            came = _apart(Path(made) / str(seed), seed, given.only)
            say(f"{seed}: {', '.join(came['oddities'])}: {'; '.join(came['wrong'] + came['refused']) or 'a page'}")
            nights.append(came)
            shutil.rmtree(Path(made) / str(seed), ignore_errors=True)
    wrong = [night for night in nights if night["wrong"]]
    say(json.dumps({"nights": len(nights), "wrong": wrong, "refused": sum(bool(row["refused"]) for row in nights)}))
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
