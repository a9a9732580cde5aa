"""A launch on the small project: planned from the champion, approved on a terminal, exported."""

import csv
import json

import pytest
import yaml

from flows.engine.approval import questions
from flows.launch import launch
from nightmarket.contracts import InputError

STEP = """
from typing import Any

import pyarrow as pa

from tasks.files import storage
from tasks.pipeline.declaration import Step
from tasks.pipeline.settings import StageSettings

STEP = Step("nothing but what a test needs")


class Settings(StageSettings):
    name: str = "launch"
    products: tuple[dict[str, Any], ...] = ()
    reach: float = 0.5
    goal: str = "responses"
    start: str | None = None
    days: int = 7
    budget: float = 0.0
    holdout: float = 0.2


def run(given):
    text = {name: [given.products[0]["title"]] * 2 for name in ("segment", "offer", "offer_kind", "channel", "slot")}
    numbers = {name: [0.5] * 2 for name in ("probability", "expected_value", "cost", "expected_profit", "propensity")}
    arms = {"customer_id": ["a", "b"], "arm": ["send", "holdout"]}
    folder = storage.ARTIFACTS / "launch"
    storage.write_table(pa.table({**arms, **text, "day": [given.start] * 2, **numbers}), folder / "plan.parquet")
    storage.write_table(pa.table(arms), folder / "eligible.parquet")
    summary = {
        "campaign": given.model_dump(), "num_sent": 1, "num_contacts": 1, "words": ["Not calibrated: a sentence."],
        "consent": {"known": False, "listed": False, "ground": "told at purchase", "min_age": 18,
                    "channels": text["channel"][:1], "closed": [], "num_out": 0},
        "audiences": [{"customers": 49, "expected_buyers": 0.4}],
    }
    storage.write_json(summary, folder / "summary.json")
    copy = {"segment": "1", "offer": given.products[0]["title"], "channel": "sms", "locale": "en", "place": 1}
    rows = [copy | {"form": "sms", "text": f"New: {given.products[0]['title']}"}]
    storage.write_table(pa.Table.from_pylist(rows), folder / "copy.parquet")
"""
NEW = "{title: 燕麦奶, category: GROCERY > MILK, price: 3.5}"


@pytest.fixture
def shop(project):
    """The project with a launch of two customers, one of them kept back."""
    (project.home / "tasks/launch.py").write_text(STEP)
    dag = yaml.safe_load((project.home / "dvc.yaml").read_text())
    dag["stages"]["segment"] = {"cmd": "true", "deps": ["artifacts/validate"]}
    (project.home / "dvc.yaml").write_text(yaml.safe_dump(dag, sort_keys=False))
    with (project.home / ".gitignore").open("a") as file:
        file.write("/exports/\n")
    project.git("add", "--all")
    project.git("commit", "--quiet", "--message", "a launch")
    return project


def start(shop, *more):
    return shop.flow(
        "launch", "--name", "oat", "--budget", "20", "--start", "2020-03-02", "--approve", "Li", "--products", *more
    )


def test_a_launch_needs_the_last_night_and_is_exported_after_approval(shop):
    early = start(shop, NEW)
    assert early.returncode == 1
    assert "segment: code, parameters or data changed since the last night" in early.stderr.splitlines()[-1]
    assert shop.command("-m", "dvc", "repro", "segment").returncode == 0

    assert not (shop.home / "exports").exists()
    before = (shop.home / "dvc.lock").read_bytes()
    done = start(shop, NEW)
    assert done.returncode == 0, done.stderr
    with (shop.home / "exports/oat/send.csv").open(encoding="utf-8", newline="") as file:
        assert [(row["customer_id"], row["offer"]) for row in csv.DictReader(file)] == [("a", "燕麦奶")]
    with (shop.home / "exports/oat/copy.csv").open(encoding="utf-8", newline="") as file:
        assert [row["text"] for row in csv.DictReader(file)] == ["New: 燕麦奶"]
    receipt = json.loads((shop.home / "exports/oat/receipt.json").read_text())
    assert receipt["flow"] == "launch"
    kept = yaml.safe_load(shop.git("show", f"refs/runs/{receipt['run']}:params.yaml"))
    assert kept["launch"]["products"] == [{"title": "燕麦奶", "category": "GROCERY > MILK", "price": 3.5}]
    assert (shop.home / "dvc.lock").read_bytes() == before


@pytest.mark.parametrize(
    ("products", "line"),
    [
        (["{title: A}"], "give the product_id of a product in the catalogue, or title, category and price"),
        (["{product_id: x, title: A}"], "not both"),
        (["{title: A, category: B, price: -1}"], "products.0.price: Input should be greater than or equal to 0"),
        ([], "products: List should have at least 1 item"),
    ],
)
def test_a_wrong_product_is_named_in_one_line(products, line):
    with pytest.raises(InputError, match="products") as error:
        questions.parameters(launch, ["--name", "a", "--budget", "5", "--approve", "Li", "--products", *products])
    assert line in str(error.value)
    assert "\n" not in str(error.value)
