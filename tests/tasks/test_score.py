"""score: a list for every customer from the champion, and from nothing else."""

import json
import re
import shutil

import pandas as pd
import pyarrow.parquet as pq
import pytest

from tasks.__main__ import main
from tasks.files import manifest


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
    assert summary["reasons"]["fallback" if "fallback" in summary["reasons"] else "generic"] < 0.5


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
    lately = lines[lines.day > lines.day.max() - 14].groupby("item").customer.nunique()
    first = lists[theirs & (lists["rank"] == 1)].product_id.iloc[0]
    assert lately[item[first]] == lately.max()
    launches = pq.read_table("artifacts/score/launches.parquet").to_pandas()
    assert not set(launches.customer_id) & set(customers.customer_id[objected])
    strangers = pq.read_table("artifacts/score/popular.parquet").to_pandas()
    theirs = lists[theirs].head(len(strangers)).reset_index(drop=True)
    pd.testing.assert_frame_equal(strangers, theirs[list(strangers)])
