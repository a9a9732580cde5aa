"""A launch on the made-up shop: from the champion's forest to a plan of contacts."""

import re
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
import yaml

from nightmarket.contracts import InputError
from nightmarket.histories.calendar import week_of
from tasks.__main__ import main
from tasks.campaigns import newcomers
from tasks.campaigns.newcomers import NewProduct, listed
from tasks.files import manifest, storage
from tasks.files.prepared import Prepared


@pytest.fixture
def night(copied_night):
    """The night with the model that it trained as its champion, and a new product to launch."""
    for part in ("rank", "finetune"):
        shutil.copytree(f"artifacts/{part}", f"data/champion/{part}")
    manifest.write(storage.CHAMPION)
    return copied_night


def planned(**given):
    """The summary and the plan of a launch with these settings."""
    params = yaml.safe_load(Path("params.yaml").read_text())
    plan = {"channels": {"email": {"cost": 0.01}}, "quiet_hours": {"begin": 0, "end": 0}, "slots": ["0-12", "12-24"]}
    Path("params.yaml").write_text(yaml.safe_dump(params | {"plan": plan, "launch": given}))
    assert main("launch") == 0
    return storage.read_json(Path("artifacts/launch/summary.json")), storage.read_table(
        Path("artifacts/launch/plan.parquet")
    ).to_pandas()


def like(data, item, **changes):
    """A new product that differs from one on sale in its title alone."""
    row = data.products.iloc[item]
    path = " > ".join(dict.fromkeys([row["department"], row["category"], row["type"]]))
    return {"title": f"{row['title']} new", "category": path, "price": 2.0, **changes}


def test_a_launch_is_planned_with_a_holdout_and_says_what_it_rests_on(night):
    data = Prepared()
    popular = int(np.bincount(data.histories.item).argmax())
    new = like(data, popular, title="燕麦奶 <b>")
    summary, rows = planned(name="oat", products=[new], budget=0.3, reach=0.9, holdout=0.3)
    sent, held = (rows[rows["arm"] == arm] for arm in ("send", "holdout"))
    assert len(sent)
    assert len(held)
    assert not set(sent["customer_id"]) & set(held["customer_id"])
    assert set(sent["propensity"]) == {1 - summary["test"]["holdout"]}
    assert set(held["propensity"]) == {summary["test"]["holdout"]}
    assert sent["cost"].sum() <= 0.3 + 1e-6
    assert sent["offer"].unique().tolist() == ["燕麦奶 <b>"]
    arms = storage.read_table(Path("artifacts/launch/eligible.parquet")).to_pandas()
    assert set(arms["customer_id"]) == {*sent["customer_id"], *held["customer_id"]}
    assert "Asked for: all segments, by email." in summary["words"]
    assert summary["products"][0]["products_of_its_type_sold"] > 0
    assert summary["test"]["holdout"] >= 0.3
    sentences = " ".join(summary["words"])
    for words in ("Not calibrated", "what a contact adds", "Test: "):
        assert words in sentences
    copy = storage.read_table(Path("artifacts/launch/copy.parquet")).to_pandas()
    assert len(copy) == summary["texts"]["num_texts"] > 0
    assert set(copy["offer"]) == {"燕麦奶 <b>"}
    assert set(storage.read_table(Path("artifacts/launch/decisions.parquet"))["fate"].to_pylist()) == {"passed"}
    kind = next(iter(summary["texts"]["facts"].values()))["product"]["name"]  # the title is no plain name
    for text in copy.loc[copy["form"] == "body", "text"]:
        assert kind.lower() in text.lower()
        assert "<b>" not in text
        assert not re.search(r"\b(bought|praise[ds]?|off|until \d)", text.lower())
    again, same = planned(name="oat", products=[new], budget=0.3, reach=0.9, holdout=0.3)
    assert same.equals(rows)
    assert again == summary
    empty, none = planned(name="oat", products=[new], budget=0)
    assert empty["empty_because"] == "the budget is 0"
    assert none.empty
    assert storage.read_table(Path("artifacts/launch/copy.parquet")).num_rows == 0


def test_a_new_product_looks_to_the_forest_like_the_one_that_it_copies(night):
    data = Prepared()
    item = int(np.bincount(data.histories.item).argmax())
    row = data.products.iloc[item]
    maker = {name: row[name] for name in ("brand", "maker") if isinstance(row[name], str)}
    new_products = listed(data, (NewProduct(**like(data, item, title=row["title"], **maker)),))
    wider, [new] = new_products.data, new_products.items.tolist()
    for level in ("kind", "category", "line", "maker"):
        codes = wider.catalogue.codes(level)
        assert codes[new] == codes[item], level
        assert (codes[:-1] == data.catalogue.codes(level)).all()
    assert wider.products["text_id"].max() < len(wider.texts)
    other = listed(data, (NewProduct(**like(data, item, title="nothing like it")),))
    assert other.data.texts[-1].startswith("nothing like it")


def test_the_plan_of_the_weeks_ahead_is_heard_where_it_names_every_product(night):
    data = Prepared()
    sold = np.isin(np.arange(len(data.products)), data.histories.item)
    first, second = (np.flatnonzero(~sold & data.products["recommendable"].to_numpy())[:2]).tolist()
    asked = [{"product_id": str(data.products["product_id"].iloc[item]), "price": 2.0} for item in (first, second)]
    unplanned, _ = planned(name="oat", products=asked[:1], budget=1)
    assert not unplanned["earlier_launches"]["promotion_plan"]
    path = Path("artifacts/prepare/promotions.parquet")
    origin = week_of(data.windows.deliver.cut)
    weeks = storage.read_json(Path("data/champion/rank/ranker.json"))["target_days"] // 7
    known = storage.read_table(path)
    ahead = {"item": [first] * weeks, "week": range(origin + 1, origin + weeks + 1)}
    ahead |= {name: np.ones(weeks, np.float32) for name in ("display", "mailer")}
    told = pa.table(ahead).select(known.column_names).cast(known.schema)
    storage.write_table(pa.concat_tables([known.filter(pc.less_equal(known["week"], origin)), told]), path)
    alone, _ = planned(name="oat", products=asked[:1], budget=1)
    assert alone["earlier_launches"]["promotion_plan"]
    assert any("planned for the weeks ahead" in line for line in alone["words"])
    assert alone["products"][0]["expected_buyers"] != unplanned["products"][0]["expected_buyers"]  # a forest of its own
    both, _ = planned(name="oat", products=asked, budget=1)
    assert not both["earlier_launches"]["promotion_plan"]
    assert not any("planned for the weeks ahead" in line for line in both["words"])


def test_wrong_products_are_named(night, capsys):
    data = Prepared()
    sold = str(data.products["product_id"].iloc[int(data.histories.item[0])])
    with pytest.raises(InputError, match=r"launch.products.1.product_id: product .* has been sold"):
        listed(data, (NewProduct(**like(data, 0)), NewProduct(product_id=sold)))
    with pytest.raises(InputError, match="no product 'nowhere' in the catalogue"):
        listed(data, (NewProduct(product_id="nowhere"),))
    twice = NewProduct(**like(data, 0))
    with pytest.raises(InputError, match="named twice"):
        newcomers.listed(data, (twice, twice))
    Path("params.yaml").write_text("launch: {}\nplan: {}\n")
    assert main("launch") == 2
    assert "name the new products" in capsys.readouterr().err
