"""Fifty secrets and five hundred customers planted in a small shop; then all that it leaves is searched for them.

The shop is a project of its own with real git, DVC, MLflow, a real Prefect server and, in the full part, every stage.
Nights end well and badly: rows set aside, broken tables that hold customers' values where numbers belong, a table
without a header, a stage whose traceback quotes every secret, a webhook that nobody answers, parameters that are wrong.

    python -m bench.faults.planted train|crash      stand-ins for stages, run by DVC in the project
"""

import base64
import contextlib
import csv
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pyarrow as pa
import pyarrow.csv
import yaml

from bench.faults import credentials, stack, toy, traces
from flows.engine.server import server
from nightmarket.testing.shop import make_shop
from tasks.files import storage
from tasks.pipeline.settings import sections

ROOT = Path(__file__).resolve().parents[2]
CODE = (
    "tasks",
    "nightmarket",
    "flows",
    "constraints.txt",
    "pyproject.toml",
    "prefect.yaml",
    "dvc.yaml",
    "unavailable.yaml",
    "rules.yaml",
)
SMALL = f"""\
stages:
  validate:
    cmd: python -m tasks validate
    deps: [data/raw]
    outs: [artifacts/validate]
    meta: {{timeout_s: 300, retries: 0}}
  rank:
    cmd: python -m bench.faults.planted train
    deps: [artifacts/validate]
    outs: [artifacts/prepare, artifacts/finetune, artifacts/rank, artifacts/evaluate]
    meta: {{timeout_s: 300, retries: 0}}
{stack.REPORT}"""
"""The stages of the small part: the snapshot and `validate`, which see the shop's tables, are the real ones."""

PARAMS: dict[str, Any] = {
    "snapshot": {"source": "folder", "folder": "tables", "time_zone": "Asia/Shanghai"},
    "prepare": {"target_days": 21},
    "finetune": {"max_steps": 2, "validate_every": 2, "validate_customers": 20, "random_texts": 64, "hidden": 16},
    "rank": {"num_trees": 4, "launch_trees": 2, "num_leaves": 7},
    "respond": {"num_resamples": 100},
    "evaluate": {"num_resamples": 100},
    "score": {"num_recommendations": 5},
    "plan": {"budget": 30.0, "margin": 0.5, "channels": {"email": {"cost": 0.01, "capacity": 4}}},
}
NUM_CUSTOMERS = 500
MARKS = ("77310042", "pflanzkunde", "+8619977", "会员植入", "PLNTD-", "Quandrixson", "Plantstrasse", "@privat.example")
"""Each planted value of a customer holds one of them."""

Say = Callable[[str], None]


def customers() -> list[dict[str, str]]:
    """The planted customers: id, name, address, e-mail and telephone of each; ids of five kinds."""
    rows = []
    for number in range(NUM_CUSTOMERS):
        kinds = (
            f"77310042{number * 7919:08d}",
            f"pflanzkunde.{number:04d}@kunde.example",
            f"+8619977{number:06d}",
            f"会员植入{number:05d}",
            f"PLNTD-{number:05d}-Kd",
        )
        rows.append({
            "customer_id": kinds[number % len(kinds)],
            "full_name": f"Ada{number} Quandrixson-{number:05d}",
            "address": f"Plantstrasse {number:05d}, 70{number:03d} Köln",
            "contact": f"a{number:05d}@privat.example",
            "mobile": f"+8619977{900000 + number}",
        })  # fmt: skip
    return rows


def write_tables(folder: Path, seed: int) -> None:
    """The shop's tables as CSV, its customers the planted ones, with rows that `validate` sets aside."""
    who = customers()
    folder.mkdir(parents=True, exist_ok=True)
    for name, table in make_shop(NUM_CUSTOMERS, 120, 24, seed).items():
        if name == "customers":
            own = dict(zip(table["customer_id"].to_pylist(), who, strict=True))
            for column in who[0]:
                values = pa.array([customer[column] for customer in who])
                place = table.column_names.index(column) if column in table.column_names else None
                table = (
                    table.append_column(column, values) if place is None else table.set_column(place, column, values)
                )
        elif "customer_id" in table.column_names:
            values = pa.array([own[old]["customer_id"] for old in table["customer_id"].to_pylist()])
            table = table.set_column(table.column_names.index("customer_id"), "customer_id", values)
        pa.csv.write_csv(table, folder / f"{name}.csv")
    rows = _rows(folder / "events.csv")
    place = {name: number for number, name in enumerate(rows[0])}
    for number, (column, value) in enumerate((("quantity", "-3"), ("product_id", "0000000"), ("product_id", "")) * 5):
        bad = list(rows[1 + number])
        bad[place[column]] = value
        rows.append(bad)
    _write_rows(folder / "events.csv", [*rows, rows[1], rows[2]])


def write_checkout(home: Path, *, small: bool) -> None:
    """The code and the settings of a small shop, whose tables are to lie in `tables`.

    small   three stages of which one is a stand-in; otherwise all of them
    """
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    for name in CODE:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, home / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copyfile(ROOT / name, home / name)
    params = {key: {} for key in sections(ROOT / "params.yaml")} | PARAMS
    stages = SMALL if small else (ROOT / "dvc.yaml").read_text(encoding="utf-8")
    for name, text in (stack.FILES | {"params.yaml": yaml.safe_dump(params), "dvc.yaml": stages}).items():
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(text, encoding="utf-8")


def commit(home: Path) -> None:
    """Have git know what lies there."""
    git = ["git", "-C", str(home), "-c", "user.name=b", "-c", "user.email=b@localhost"]
    for arguments in (["init", "-q"], ["add", "--all"], ["commit", "-q", "-m", "the shop"]):
        subprocess.run([*git, *arguments], check=True, capture_output=True)


class Shop:
    """The project, on a Prefect server."""

    def __init__(self, folder: Path, api: str, planted: credentials.Planted, *, small: bool, seed: int) -> None:
        self.home, self.api, self.planted = folder / "shop", api, planted
        write_checkout(self.home, small=small)
        planted.write_files(self.home, folder)
        commit(self.home)
        write_tables(self.home / "tables", seed)
        self.said: list[bytes] = []

    def flow(self, *arguments: str, given: str = "", **more: str) -> int:
        """A command of flows; what it says is kept for the search."""
        environment = {
            **os.environ,
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
            "PYTHONPATH": os.pathsep.join([str(self.home), str(ROOT)]),
            "PREFECT_API_URL": self.api,
            "NIGHTMARKET_HOME": str(self.home),
            "OMP_NUM_THREADS": "1",
            **more,
        }
        command = [sys.executable, "-m", "flows", *arguments]
        done = subprocess.run(command, cwd=self.home, env=environment, input=given.encode(), capture_output=True)
        self.said += [done.stdout, done.stderr]
        return done.returncode


def search_all(folder: Path, seed: int, *, small: bool, say: Say) -> dict[str, Any]:
    """Plant, run, search; what was planted, what was run and read, and every place where something was found."""
    planted = credentials.Planted()
    os.environ.update(planted.environment(folder))
    prefect = server.PrefectServer(folder / "server")
    who = customers()
    runs: dict[str, int] = {}
    with contextlib.ExitStack() as stopping:
        stopping.callback(prefect.stop)
        shop = Shop(folder, prefect.url, planted, small=small, seed=seed)
        prefect.wait()
        for name, arguments, expected, prepare in trouble(shop.home)[: 3 if small else None]:
            undo = prepare()
            runs[name] = shop.flow(*arguments)
            undo()
            if (runs[name] == 0) != expected:
                said = b"\n".join(shop.said[-2:]).decode(errors="replace").strip().splitlines()
                raise SystemExit(f"planted: {name} ended with exit code {runs[name]}: {said[-3:]}")
            say(f"{name}: exit code {runs[name]}")
        values = {
            f"customer {number}: {key}": value for number, customer in enumerate(who) for key, value in customer.items()
        }
        values |= {f"secret {name}": value for name, value in planted.values(shop.home).items()}
        wanted = traces.Wanted(values, (*MARKS, *planted.marks(shop.home)))
        by_place, files = traces.folder(folder, wanted, planted.spared(shop.home, folder))
        answered, rows = traces.prefect(prefect.url, planted.login, wanted)
    by_place |= {f"Prefect's API, {route}": names for route, names in answered.items()}
    by_place |= {"git": names} if (names := traces.git(shop.home, wanted)) else {}
    by_place |= {"what the commands said": names} if (names := wanted.inside(b"\n".join(shop.said))) else {}
    say(f"{files:,} files, {rows:,} rows of Prefect's API, git and {len(shop.said)} outputs searched")
    wrong = [f"{place}: {', '.join(sorted(names)[:3])} ({len(names)})" for place, names in sorted(by_place.items())]
    return {"secrets": len(values) - len(who) * len(who[0]), "customers": len(who), "files": files, "rows": rows,
            "runs": runs, "wrong": wrong}  # fmt: skip


def trouble(home: Path) -> Sequence[tuple[str, tuple[str, ...], bool, Callable[[], Callable[[], None]]]]:
    """(name, command, whether it ends well, what is done before it, which gives what is done after it).

    The first three are the small part.
    """
    tables, who = home / "tables", customers()

    def nothing() -> Callable[[], None]:
        return lambda: None

    def changed(path: Path, change: Callable[[Path], None]) -> Callable[[], Callable[[], None]]:
        def prepare() -> Callable[[], None]:
            before = path.read_bytes()
            change(path)
            return lambda: path.write_bytes(before) and None

        return prepare

    def cell(table: str, column: str, key: str) -> Callable[[], Callable[[], None]]:
        def change(path: Path) -> None:
            rows = _rows(path)
            for number in range(1, 8):
                rows[number][rows[0].index(column)] = who[number][key]
            _write_rows(path, rows)

        return changed(tables / f"{table}.csv", change)

    def no_header(path: Path) -> None:
        _write_rows(path, _rows(path)[1:])

    def long_row(path: Path) -> None:
        path.write_text(path.read_text(encoding="utf-8") + ",".join([*who[3].values()] * 5) + "\n", encoding="utf-8")

    def crashing(path: Path) -> None:
        stages = yaml.safe_load(path.read_text(encoding="utf-8"))
        stages["stages"]["report"]["cmd"] = "python -m bench.faults.planted crash"
        path.write_text(yaml.safe_dump(stages), encoding="utf-8")

    return (
        ("a night", ("nightly",), True, nothing),
        ("a stage that quotes secrets", ("deliver",), False, changed(home / "dvc.yaml", crashing)),
        ("telephone numbers as times", ("nightly",), False, cell("events", "timestamp", "mobile")),
        ("addresses as quantities", ("nightly",), False, cell("events", "quantity", "address")),
        ("customers without a header", ("nightly",), False, changed(tables / "customers.csv", no_header)),
        ("events without a header", ("nightly",), False, changed(tables / "events.csv", no_header)),
        ("a row too long", ("nightly",), False, changed(tables / "customers.csv", long_row)),
        ("a wrong value", ("nightly", "--set", "register.no=1"), False, nothing),
        ("a wrong version", ("promote", "--version", "99", "--reason", "to see"), False, nothing),
    )


def _rows(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def _write_rows(path: Path, rows: Sequence[Sequence[str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)


def crash(values: Mapping[str, str]) -> None:
    """End as a careless library would: every secret in the log and in the traceback, in several forms."""
    for name, value in values.items():
        print(f"connecting with {name}={value}", flush=True)
        print(f"GET https://host/x?{name}={quote(value, safe='')} Authorization: Basic {_basic(value)}", flush=True)
    raise RuntimeError(f"cannot connect: {dict(values)}")


def _basic(value: str) -> str:
    return base64.b64encode(f"user:{value}".encode()).decode()


if __name__ == "__main__":
    if sys.argv[1] == "train":
        toy.TRAINED = toy.TRAINED[1:]
        toy.rank()
    else:
        crash(credentials.Planted().values(storage.home()))
