"""A question to the made-up shop: answered from the champion and the prepared tables, by words without a champion."""

import csv
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml

from nightmarket.contracts import InputError
from tasks.__main__ import main
from tasks.files import manifest, storage
from tasks.files.prepared import Prepared
from tasks.find import Settings, answer

HERE = Path()


@pytest.fixture
def champion(copied_night):
    """The night with what it trained as its champion, and nothing else of the training."""
    for part in ("rank", "finetune"):
        shutil.copytree(f"artifacts/{part}", f"data/champion/{part}")
    storage.write_json({"version": 1}, storage.CHAMPION / "receipt.json")
    manifest.write(storage.CHAMPION)
    for part in ("finetune", "embed", "rank"):
        shutil.rmtree(f"artifacts/{part}")
    return copied_night


@pytest.mark.parametrize("method", ["words", "meaning", "both"])
def test_a_products_own_text_finds_it_first(champion, method):
    data = Prepared()
    item = int(np.flatnonzero(data.products["recommendable"])[0])
    text = data.texts[data.products["text_id"].iloc[item]]
    result = answer(HERE, Settings(query=text, num=3, method=method))
    assert result.rows[0]["text"] == text
    assert result.rows[0]["why"].startswith("words: ")
    assert ("similarity 1.00" in result.rows[0]["why"]) == (method != "words")
    same = data.products["text_id"] == data.products["text_id"].iloc[item]
    first = result.table.to_pandas().query("place == 1")
    assert set(first["product_id"]) == set(data.products["product_id"][same & data.products["recommendable"]])
    assert (np.diff(first["purchases"]) <= 0).all()


def test_texts_that_the_champion_has_not_seen_are_encoded_now(champion):
    stored = storage.read_tensors(storage.CHAMPION / "finetune/text_vectors.safetensors")
    few = {name: np.ascontiguousarray(values[5:]) for name, values in stored.items()}
    storage.write_tensors(few, storage.CHAMPION / "finetune/text_vectors.safetensors")
    manifest.write(storage.CHAMPION)
    text = Prepared().texts[0]
    result = answer(HERE, Settings(query=text, num=1, method="meaning"))
    assert result.rows[0]["text"] == text


def test_filters_hold_for_every_product_and_the_files_are_escaped(champion):
    data = Prepared()
    row = data.products[data.products["recommendable"] & data.products["price"].gt(0)].iloc[0]
    path = storage.ARTIFACTS / "prepare" / "products.parquet"
    changed = data.products.assign(title="=1+1")
    storage.write_table(storage.pa.Table.from_pandas(changed, preserve_index=False), path)
    given = Settings(
        query=str(row["type"]), category=str(row["department"]), max_price=float(row["price"]), num=50, name="春天"
    )
    result = answer(HERE, given)
    table = result.table.to_pandas()
    assert len(table)
    assert set(table["department"]) == {row["department"]}
    assert (table["price"] <= row["price"]).all()
    with Path("exports/find/春天/products.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["product_id"] for row in rows] == table["product_id"].tolist()
    assert {row["title"] for row in rows} == {"'=1+1"}
    assert storage.read_table(Path("exports/find/春天/products.parquet")).equals(result.table)
    assert [folder.name for folder in Path("exports/find").iterdir()] == ["春天"]
    with pytest.raises(InputError, match="exports/find/春天 is there already"):
        answer(HERE, given)


def test_without_a_champion_words_answer_and_meaning_says_what_is_missing(copied_night, capsys):
    params = yaml.safe_load(Path("params.yaml").read_text())
    kind = str(Prepared().products["type"].iloc[0])
    for find, code in (({"query": kind, "method": "words"}, 0), ({"query": kind, "method": "meaning"}, 2), ({}, 2)):
        Path("params.yaml").write_text(yaml.safe_dump(params | {"find": find}))
        assert main("find") == code
    told = capsys.readouterr()
    assert f"words: {kind.split()[0].lower()}" in told.out
    missing, empty = told.err.splitlines()
    assert missing.startswith("nightmarket: find: there is no champion yet")
    assert empty.startswith("nightmarket: find: query: it is empty")


def test_wrong_names_cost_one_line(copied_night):
    brand = str(Prepared().products["brand"].dropna().iloc[0])
    with pytest.raises(InputError, match=f"brand: the catalogue has no '.*'; near it: .*{brand.casefold()}"):
        answer(HERE, Settings(query="milk", brands=(brand + "x",), method="words"))
    with pytest.raises(InputError, match="name: letters, digits"):
        answer(HERE, Settings(query="milk", name="../x", method="words"))
    nothing = answer(HERE, Settings(query="zzzzzz", method="words"))
    assert nothing.rows == []
    assert nothing.table.num_rows == 0
    assert nothing.lines() == ["nothing was found: no product passes the filters, or no word of the query is known"]
