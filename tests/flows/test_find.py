"""A question to a small catalogue: from a terminal without a server, and as a flow with its table in the UI."""

import asyncio

import pyarrow as pa
import pytest
from prefect.client.orchestration import get_client
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows.engine.forms import terminal
from tasks.files import storage

TITLES = ["儿童无乳糖牛奶", "全脂牛奶", "Oat drink", "Dog toy"]
PRODUCTS = {
    "item": pa.array(range(4), pa.int32()),
    "product_id": ["a", "b", "c", "d"],
    "title": TITLES,
    "brand": ["North", "North", "South", None],
    "department": ["食品", "食品", "食品", "Toys"],
    "category": ["牛奶", "牛奶", "牛奶", "Toys"],
    "type": ["牛奶", "牛奶", "Oat", "Toys"],
    "size": pa.nulls(4, pa.string()),
    "price": pa.array([3.5, 2.0, 2.5, None], pa.float32()),
    "text_id": pa.array(range(4), pa.int32()),
    "recommendable": [True] * 4,
}


@pytest.fixture
def shop(tmp_path, monkeypatch):
    """What a night left of the catalogue, without a champion."""
    prepared = tmp_path / "artifacts" / "prepare"
    storage.write_table(pa.table(PRODUCTS), prepared / "products.parquet")
    storage.write_table(pa.table({"text": TITLES}), prepared / "texts.parquet")
    weeks = pa.array([4, 5, 9, 9], pa.int32())
    sales = {"customer": [0] * 4, "item": [0, 1, 1, 2], "week": weeks, "day": [7 * week.as_py() + 4 for week in weeks]}
    sales |= {name: [1] * 4 for name in ("quantity", "value", "discount", "basket", "channel")}
    storage.write_table(pa.table(sales), prepared / "purchases.parquet")
    storage.write_table(pa.table({"customer": [0], "customer_id": ["x"]}), prepared / "customers.parquet")
    (tmp_path / "params.yaml").write_text("find: {method: words}\n")
    monkeypatch.setenv("NIGHTMARKET_HOME", str(tmp_path))
    return tmp_path


def test_a_terminal_shows_a_short_table_and_writes_files_where_a_name_is_given(shop, capsys):
    asked = ["--query", "给孩子的牛奶", "--brands", "north", "--max-price", "3.6", "--name", "milk", "--excel"]
    assert terminal.main("find", asked) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:4] for line in lines[:2]] == [
        ["1", "b", "2.00", "全脂牛奶"],
        ["2", "a", "3.50", "儿童无乳糖牛奶"],
    ]
    assert "words: 牛奶" in lines[0]
    assert (shop / "exports/find/milk/products.csv").read_bytes().startswith(b"\xef\xbb\xbf")
    assert terminal.main("find", ["--query", "qqq"]) == 3


@pytest.mark.parametrize(
    ("asked", "line"),
    [
        (["--query", " "], "query: it is empty"),
        (["--query", "milk", "--brands", "nort"], "brand: the catalogue has no 'nort'; near it: north"),
        (["--query", "milk", "--method", "meaning"], "there is no champion yet"),
        (["--query", "milk", "--num", "many"], "find.num"),
        (["--query", "milk", "--max-price", "-1"], "find.max_price"),
    ],
)
def test_a_wrong_question_costs_one_line(shop, asked, line, capsys):
    assert terminal.main("find", asked) == 2
    [told] = capsys.readouterr().err.splitlines()
    assert line in told


def test_the_flow_leaves_a_table_and_ends_in_one_line_where_it_cannot(shop, prefect_api):
    from flows.find import find

    with temporary_settings({PREFECT_API_URL: prefect_api}), get_client(sync_client=True) as client:
        good = asyncio.run(find(query="oat 牛奶", sold_weeks=1, return_state=True))
        assert good.is_completed()
        [table] = [artifact.data for artifact in client.read_artifacts() if artifact.key == "find"]
        assert '"product_id": "c"' in table
        assert '"why": "words: oat"' in table
        assert '"product_id": "a"' not in table  # not sold in the last week
        bad = asyncio.run(find(query="oat", category="bred", return_state=True))
        assert bad.is_failed()
        assert bad.message == "category: the catalogue has no 'bred'"
