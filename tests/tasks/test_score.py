"""score: a list for every customer from the champion, and from nothing else."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from nightmarket.ranking.point_in_time import SPANS
from tasks.__main__ import main
from tasks.files import catalogue, manifest
from tasks.score import Tally


@pytest.fixture
def crowned(copied_night):
    """The night's model as champion, as `register` leaves it."""
    champion = copied_night / "data/champion"
    for part in ("rank", "finetune"):
        shutil.copytree(copied_night / "artifacts" / part, champion / part)
    (champion / "receipt.json").write_text(json.dumps({"version": "1"}))
    manifest.write(champion)
    return copied_night


def test_every_customer_gets_distinct_recommendable_products_with_reasons(crowned):
    shutil.rmtree(crowned / "artifacts/rank")  # the champion alone delivers
    assert main("score") == 0
    lists = pq.read_table(crowned / "artifacts/score/recommendations.parquet").to_pandas()
    customers = pq.read_table(crowned / "artifacts/prepare/customers.parquet").to_pandas()
    products = pq.read_table(crowned / "artifacts/prepare/products.parquet").to_pandas()
    assert set(lists.customer_id) == set(customers.customer_id)
    assert (lists.groupby("customer_id")["rank"].apply(list) == [list(range(1, 6))] * len(customers)).all()
    assert not lists.duplicated(["customer_id", "product_id"]).any()
    assert set(lists.product_id) <= set(products.product_id[products.recommendable])
    assert lists.reason.str.len().gt(5).all()
    assert (lists.groupby("customer_id").score.diff().dropna() <= 0).all()
    assert lists.probability.between(0, 1, inclusive="neither").all()
    summary = json.loads((crowned / "artifacts/score/summary.json").read_text())
    assert summary["num_recommendations"] == len(lists)
    assert summary["num_customers"] == len(customers)
    assert summary["num_not_on_sale"] == 0
    assert summary["reasons"]["fallback" if "fallback" in summary["reasons"] else "generic"] < 0.5


def test_lines_of_products_that_cannot_be_had_are_counted():
    tally = Tally(4, np.array([True, False, True, False]))
    columns = {"customer": [0, 0, 1], "item": [0, 1, 3], "reason_kind": ["a", "a", "b"]}
    tally.see({name: np.array(values) for name, values in columns.items()})
    assert (tally.total, tally.served, tally.not_on_sale) == (3, 2, 2)


def test_a_reason_counts_what_the_history_counts(crowned):
    assert main("score") == 0
    lists = pq.read_table(crowned / "artifacts/score/recommendations.parquet").to_pandas()
    lines = pq.read_table(crowned / "artifacts/prepare/purchases.parquet").to_pandas()
    customers = pq.read_table(crowned / "artifacts/prepare/customers.parquet").to_pandas()
    products = pq.read_table(crowned / "artifacts/prepare/products.parquet").to_pandas()
    code = dict(zip(customers.customer_id, customers.customer, strict=True))
    item = dict(zip(products.product_id, products.item, strict=True))
    repeats = lists[lists.reason_kind == "repeat"].head(80)
    assert len(repeats)
    counted = 0
    for row in repeats.itertuples():
        mine = lines[(lines.customer == code[row.customer_id]) & (lines.item == item[row.product_id])]
        assert len(mine), row.reason
        times = re.search(r"bought (\d+) times", row.reason)
        if times:
            counted += 1
            assert mine.basket.nunique() == int(times[1]), row.reason
    assert counted


def test_without_a_champion_it_says_how_to_get_one(copied_night, capsys):
    assert main("score") == 2
    err = capsys.readouterr().err.strip()
    assert "\n" not in err
    assert "there is no champion yet; run `make nightly`" in err


def test_a_damaged_champion_is_not_used_and_old_lists_stay(crowned, capsys):
    assert main("score") == 0
    path = crowned / "artifacts/score/recommendations.parquet"
    before = path.read_bytes()
    ranker = crowned / "data/champion/rank/ranker.txt"
    ranker.write_bytes(ranker.read_bytes()[:-9] + b"damaged!\n")
    assert main("score") == 2
    assert "rank/ranker.txt" in capsys.readouterr().err
    assert path.read_bytes() == before


def test_who_objected_to_profiling_gets_what_sells_and_everybody_else_their_own(crowned):
    assert main("score") == 0
    before = pq.read_table("artifacts/score/recommendations.parquet").to_pandas()
    path = crowned / "artifacts/prepare/customers.parquet"
    customers = pq.read_table(path).to_pandas()
    objected = customers.customer_id.isin(customers.customer_id[[0, 7, 8]])
    customers.assign(objected=objected).to_parquet(path)
    assert main("score") == 0
    lists = pq.read_table("artifacts/score/recommendations.parquet").to_pandas()
    theirs = lists.customer_id.isin(customers.customer_id[objected])
    pd.testing.assert_frame_equal(lists[~theirs].reset_index(drop=True),
                                  before[~before.customer_id.isin(customers.customer_id[objected])]
                                  .reset_index(drop=True))  # fmt: skip
    assert lists[theirs].groupby("customer_id").product_id.apply(tuple).nunique() == 1
    assert (lists[theirs].groupby("customer_id")["rank"].apply(list) == [list(range(1, 6))] * 3).all()
    assert set(lists[theirs].reason_kind) == {"popular"}
    assert lists[theirs].probability.isna().all()
    assert before.customer_id.drop_duplicates().tolist() == lists.customer_id.drop_duplicates().tolist()
    lines = pq.read_table("artifacts/prepare/purchases.parquet").to_pandas()
    item = dict(zip(*(pq.read_table("artifacts/prepare/products.parquet")[name].to_pylist() for name in
                      ("product_id", "item")), strict=True))  # fmt: skip
    span = SPANS[json.loads(Path("data/champion/rank/ranker.json").read_text())["popular_span"]]
    lately = lines[lines.day > lines.day.max() - 7 * span].groupby("item").customer.nunique()
    first = lists[theirs & (lists["rank"] == 1)].product_id.iloc[0]
    assert lately[item[first]] == lately.max()
    launches = pq.read_table("artifacts/score/launches.parquet").to_pandas()
    assert not set(launches.customer_id) & set(customers.customer_id[objected])
    strangers = pq.read_table("artifacts/score/popular.parquet").to_pandas()
    theirs = lists[theirs].head(len(strangers)).reset_index(drop=True)
    pd.testing.assert_frame_equal(strangers, theirs[list(strangers)])


@pytest.fixture
def odd_shop(crowned):
    """Of the products that sell best one is sold out, one sold in Austria alone, one from 18 on; two and two are one in
    two sizes; all customers are of Germany but those whose age is known, and the first gave everything back."""
    folder = crowned / "artifacts/prepare"
    products, customers, lines = (pq.read_table(folder / f"{name}.parquet").to_pandas()
                                  for name in ("products", "customers", "purchases"))  # fmt: skip
    best = lines["item"].value_counts().index[:9].to_numpy()
    products["stock"] = 5.0
    products.loc[best[0], "stock"] = 0.0
    products["markets"] = None
    products.loc[best[1], "markets"] = "AT"
    products["min_age"] = float("nan")
    products.loc[best[2], "min_age"] = 18
    products["group_id"] = None
    products.loc[best[[3, 4]], "group_id"] = "one"
    products.loc[best[[5, 6]], "group_id"] = "two"
    customers = customers.drop(columns="attr_age", errors="ignore")
    adults = customers["customer"] % 2 == 0
    customers["birth_year"] = adults.map({True: 1980.0, False: float("nan")})
    customers["market"] = adults.map({True: "AT", False: "DE"})
    customers["objected"] = customers["customer"] % 8 >= 6
    lines["returned"] = (lines["customer"] == 0).map({True: lines["day"].max(), False: 2147483647}).astype("int32")
    for name, table in (("products", products), ("customers", customers), ("purchases", lines)):
        table.to_parquet(folder / f"{name}.parquet", index=False)
    return crowned, products["product_id"].to_numpy()[best], customers, lines, products


def test_nothing_is_delivered_that_is_not_there_not_sold_there_or_came_back_and_one_of_a_group(odd_shop):
    folder, best, customers, lines, products = odd_shop
    assert main("score") == 0
    people = customers.set_index("customer_id")
    seen = set()
    for name in ("recommendations", "launches"):
        table = pq.read_table(folder / f"artifacts/score/{name}.parquet").to_pandas()
        table = table.join(people[["customer", "market"]], on="customer_id")
        seen |= set(table["product_id"])
        assert best[0] not in set(table["product_id"])
        assert set(table.loc[table["product_id"].isin(best[1:3]), "market"]) <= {"AT"}
        for pair in (best[3:5], best[5:7]):
            assert not table[table["product_id"].isin(pair)].duplicated("customer_id").any()
        back = set(products["product_id"].to_numpy()[lines.loc[lines["customer"] == 0, "item"]])
        assert not back & set(table.loc[table["customer"] == 0, "product_id"])
    assert {best[1], best[2]} <= seen
    lists = pq.read_table(folder / "artifacts/score/recommendations.parquet").to_pandas()
    assert (lists.groupby("customer_id").size() == 5).all()
    assert lists["customer_id"].nunique() == len(customers)
    assert (lists.groupby("customer_id").score.diff().dropna() <= 0).all()
    popular = pq.read_table(folder / "artifacts/score/popular.parquet").to_pandas()
    assert not {best[0], best[1], best[2]} & set(popular["product_id"])
    assert popular["rank"].tolist() == [1, 2, 3, 4, 5]


RULES = """
rules:
  - hide: {category: "%(hidden)s"}
  - pin: {id: "%(pinned)s"}
    place: 2
  - bury: {brand: National}
    audience: {channel: shop window}
  - cap: 3
    per: department
  - not_again: 7
"""


def test_the_shops_rules_hold_for_every_list_of_the_night_and_are_said_in_the_summary(crowned):
    assert main("score") == 0
    before = pq.read_table("artifacts/score/recommendations.parquet").to_pandas()
    products = pq.read_table("artifacts/prepare/products.parquet").to_pandas().set_index("product_id")
    customers = pq.read_table("artifacts/prepare/customers.parquet").to_pandas()
    objected = customers.customer_id.isin(customers.customer_id[[0, 7]])
    customers.assign(objected=objected).to_parquet("artifacts/prepare/customers.parquet")
    hidden = products.loc[before.product_id.iloc[0], ["department", "category", "type"]].tolist()
    sold = products[products.recommendable & (products.department != hidden[0])]
    pinned = str(sold.index[-1])
    shown = dict.fromkeys(hidden)
    Path("rules.yaml").write_text(RULES % {"hidden": " > ".join(shown), "pinned": pinned}, encoding="utf-8")
    assert main("score") == 0
    lines = pq.read_table("artifacts/prepare/purchases.parquet").to_pandas()
    recent = lines[lines.day > lines.day.max() + 1 - 7]
    code = customers.set_index("customer_id")["customer"]
    bought = set(zip(recent.customer, recent.item, strict=True))
    lists = pq.read_table("artifacts/score/recommendations.parquet").to_pandas()
    popular = pq.read_table("artifacts/score/popular.parquet").to_pandas()
    launches = pq.read_table("artifacts/score/launches.parquet").to_pandas()
    for table in (lists, launches, popular.assign(customer_id="nobody")):
        table = table.join(products, on="product_id", rsuffix="_of_product")
        assert not (table[["department", "category", "type"]] == hidden).all(axis=1).any()
        assert table.groupby(["customer_id", "department"]).size().max() <= 3
    personal = lists[~lists.customer_id.isin(customers.customer_id[objected])]
    pairs = set(zip(code[personal.customer_id], products.item[personal.product_id], strict=True))
    assert not pairs & bought
    assert set(lists.customer_id) == set(customers.customer_id)
    assert (lists.groupby("customer_id").size() == 5).all()
    assert lists.groupby("customer_id")["rank"].apply(list).map(lambda ranks: ranks == [1, 2, 3, 4, 5]).all()
    second = lists[lists["rank"] == 2].set_index("customer_id")
    could = [customer for customer in second.index if (code[customer], products.item[pinned]) not in bought]
    assert len(could) > 70
    assert (second.loc[could, "product_id"] == pinned).all()
    assert set(second.loc[could, "reason_kind"]) == {"pinned"}
    assert (lists.reason.str.len() > 5).all()
    theirs = lists[lists.customer_id.isin(customers.customer_id[objected])]
    assert theirs.groupby("customer_id").product_id.apply(tuple).nunique() == 1
    assert set(theirs.reason_kind) == {"popular", "pinned"}
    assert popular.product_id.tolist() == theirs.product_id.tolist()[:5]
    summary = json.loads(Path("artifacts/score/summary.json").read_text())
    assert summary["rules"] == 5
    assert summary["notes"] == []


def test_rules_that_say_nothing_tonight_leave_every_list_as_it_is_and_a_wrong_one_is_one_line(crowned, capsys):
    assert main("score") == 0
    path = Path("artifacts/score/recommendations.parquet")
    before, lists = path.read_bytes(), pq.read_table(path)
    ended = "rules:\n  - hide: {category: snacks}\n    valid_until: 2000-01-01\n"
    Path("rules.yaml").write_text(ended, encoding="utf-8")
    assert main("score") == 0
    assert path.read_bytes() == before
    Path("rules.yaml").write_text('rules:\n  - hide: {id: "no such product"}\n', encoding="utf-8")
    assert main("score") == 0
    assert pq.read_table(path).equals(lists)
    Path("rules.yaml").write_text("rules:\n  - hide: {brnd: x}\n", encoding="utf-8")
    assert main("score") == 2
    assert "rules.yaml, line 2: rule 1, hide.brnd: unknown key; did you mean brand?" in capsys.readouterr().err


def test_products_without_a_title_are_recommended_without_one(crowned):
    products = pq.read_table("artifacts/prepare/products.parquet").to_pandas()
    half = products["item"] % 2 == 0
    catalogue.PRODUCTS.write(products.assign(title=products["title"].where(half, None)))
    assert main("score") == 0
    for table in (catalogue.RECOMMENDATIONS, catalogue.POPULAR):
        titles = table.read(["title"])["title"]
        assert 0 < titles.null_count < len(titles)
