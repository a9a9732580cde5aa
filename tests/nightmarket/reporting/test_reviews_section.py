"""What customers say, on the page: with reviews, without, and with what is hostile in them."""

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from nightmarket.reporting import reviews
from nightmarket.reporting.night import Night
from nightmarket.reporting.page import render
from tests.made_up.campaigns import write_reviews

BAD = "<img src=x onerror=alert(1)> {{ 7*7 }}"


@pytest.fixture(scope="module")
def content(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reviews")
    write_reviews(folder, np.random.default_rng(0), "2018-01-01", BAD)
    out = Path(folder, "artifacts/reviews")
    rows = pq.read_table(out / "products.parquet").to_pandas().to_dict("records")
    read = {name: json.loads((out / f"{name}.json").read_text(encoding="utf-8")) for name in ("topics", "metrics")}
    return read | {"products": {"above": [rows[0] | {"title": BAD}], "below": [rows[2] | {"title": "soap"}]}}


def test_a_shop_with_reviews_sees_who_reads_them_what_they_are_about_and_where_it_goes(content):
    told = reviews.view(Night(as_of="2018-01-01", reviews=content))
    assert "900 distinct reviews. 52.0% [49.0%, 55.0%] of them praise" in told.verdict
    assert "“log-count ratios 1-4”" in told.sentiment
    assert [row.ours for row in told.candidates] == [True, False]
    assert [tile.verdict for tile in told.reviews.tiles] == ["rising", "no change", "falling"]
    assert told.reviews.tiles[0].change == "+5.0 points [2.0, 8.0]"
    assert told.reviews.tiles[2].change == "−5.0 points [−8.0, −2.0]"
    assert told.reviews.tiles[0].praise == "60.0% [50.0%, 70.0%] praise"
    assert [row.name for row in told.aspects] == ["Price", "Size and fit"]
    assert [row.name for row in told.praised + told.blamed] == [BAD, "soap"]


def test_other_peoples_words_are_text(content):
    html = render(Night(as_of="2018-01-01", reviews=content))
    assert "<img" not in html
    assert "&lt;img src=x onerror=alert(1)&gt; {{ 7*7 }}" in html


def test_without_reviews_one_sentence_and_the_baskets(content):
    topics = content["topics"] | {"words": "there is no table reviews"}
    metrics = {"num_reviews": 0, "positive": None, "aspects": {}, "sentiment": {"chosen": None, "candidates": {}}}
    told = reviews.view(Night(as_of="2018-01-01", reviews={"topics": topics, "metrics": metrics, "products": {}}))
    assert told.missing == "There are no reviews to read: there is no table reviews."
    assert len(told.baskets.tiles) == 3
    html = render(Night(as_of="2018-01-01", reviews={"topics": topics, "metrics": metrics, "products": {}}))
    assert "Praise by aspect" not in html
    assert "What is bought together" in html


def test_reviews_without_ratings_say_why_nothing_was_learnt(content):
    sentiment = {
        "chosen": None,
        "candidates": {},
        "num_rated": 0,
        "words": "Sentiment is not learnt: 0 distinct texts.",
    }
    metrics = content["metrics"] | {"sentiment": sentiment, "positive": None, "aspects": {}}
    told = reviews.view(Night(as_of="2018-01-01", reviews=content | {"metrics": metrics, "products": {}}))
    assert told.sentiment == "Sentiment is not learnt: 0 distinct texts."
    assert told.verdict == "900 distinct reviews."
    assert render(Night(as_of="2018-01-01", reviews=content | {"metrics": metrics, "products": {}}))


def test_topics_without_a_trend_have_no_picture(content):
    topics = json.loads(json.dumps(content["topics"]))
    topics["reviews"]["span"] = None
    for row in topics["reviews"]["topics"]:
        row["trend"] = None
    told = reviews.view(Night(as_of="2018-01-01", reviews=content | {"topics": topics}))
    assert told.reviews.span == "There are too few reviews to say where a topic goes."
    assert all(not tile.chart for tile in told.reviews.tiles)
