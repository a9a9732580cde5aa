"""Reviews and baskets: sentiment, aspects, topics and praise of reviews; topics of what is bought together.

reviews.parquet    per distinct review: P(positive), topic
aspects.parquet    per review and aspect it speaks of: P(positive) of the clauses
products.parquet   per product with reviews: share of praise with interval
praise.parquet     what a text may praise a product for
baskets.parquet    customers x basket topics, counted over the baskets drawn
topics.json        topics of reviews and baskets; products that stand out
metrics.json       how good the sentiment is, and the whole in figures

The fine-tuned encoder is a candidate for the sentiment, loaded only where there are reviews.
"""

import logging
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from pydantic import Field

from nightmarket.histories.calendar import offsets, week_of
from nightmarket.reviews import aspects, documents, sentiment
from nightmarket.reviews.topics import overview, praise
from tasks.files import catalogue
from tasks.files.prepared import Prepared
from tasks.pipeline.declaration import Stage
from tasks.pipeline.settings import StageSettings

LONG = 30
"""Characters from which on the same text under several names is a copy rather than the same opinion."""
MOST_RATED = 50_000
"""Rated reviews, drawn at random, that the sentiment classifier learns from."""
FIRST_LOOK = 2_000
"""Rated reviews on which the encoder must win before it encodes all."""
log = logging.getLogger("nightmarket")
STAGE = Stage(
    "what customers say in reviews, and what they buy together",
    reads=(catalogue.CLEAN, catalogue.PREPARE, catalogue.ENCODER),
    writes=(
        catalogue.REVIEW_SENTIMENT,
        catalogue.REVIEW_ASPECTS,
        catalogue.REVIEWED_PRODUCTS,
        catalogue.PRAISE,
        catalogue.BASKET_TOPICS,
        catalogue.TOPICS,
    ),
    metrics=(catalogue.REVIEW_METRICS,),
    timeout_s=3_600,
    side=True,
)


class Settings(StageSettings):
    """How topics are found."""

    seed: int = Field(17, ge=0, lt=2**31, description="seed of everything random")
    weeks: int = Field(26, ge=8, le=260, description="weeks of baskets, and of trends (months if reviews are few)")


def run(settings: Settings) -> None:
    """Write artifacts/reviews."""
    data = Prepared()
    baskets, basket_topics = _baskets(settings, data)
    catalogue.BASKET_TOPICS.write(basket_topics)
    rows = read_reviews(data.windows.time_zone)
    if rows is None or rows.empty:
        _write_empty(baskets, "there is no table reviews" if rows is None else "the table reviews holds no text")
        return
    log.info("reviews: %s distinct reviews", f"{len(rows):,}")
    classifier = learn(rows, settings.seed, _encoder())
    positive = np.where(rows["rated"], rows["praise"].astype(np.float64), np.nan)
    unknown = np.flatnonzero(~rows["rated"])
    positive[unknown] = classifier.probability(rows["text"].iloc[unknown].tolist())
    rows["probability"] = positive
    texts, product, who = rows["text"].tolist(), rows["product_id"].to_numpy(), rows["who"].to_numpy()
    counted = documents.reviews(texts, who, rows["day"].to_numpy())
    topics, rows["topic"] = overview(counted, settings.seed, settings.weeks, positive)
    log.info("reviews: %s topics of reviews, %s of baskets", len(topics["topics"]), len(baskets["topics"]))
    by_aspect = _aspects(rows, texts, classifier)
    catalogue.REVIEW_SENTIMENT.write(rows)
    catalogue.REVIEW_ASPECTS.write(by_aspect)
    catalogue.REVIEWED_PRODUCTS.write(aspects.by_product(product, who, positive))
    opinions = by_aspect.rename(columns={"probability": "positive"})[["aspect", "product_id", "who", "positive"]]
    catalogue.PRAISE.write(aspects.praised(opinions))
    products = dict(zip(("above", "below"), aspects.outstanding(product, who, positive), strict=True))
    catalogue.TOPICS.write({"reviews": topics, "baskets": baskets, "products": products, "words": ""})
    per_aspect = aspects.by_aspect(opinions).dropna(subset=["positive"]).set_index("aspect")
    metrics = {
        "sentiment": classifier.figures,
        "num_reviews": len(rows),
        "positive": praise(who, positive),
        "aspects": {str(key): figures for key, figures in per_aspect.to_dict("index").items()},
    }
    catalogue.REVIEW_METRICS.write(metrics)


def _write_empty(baskets: dict[str, Any], reason: str) -> None:
    """The files of a shop without reviews, and why."""
    log.info("reviews: %s", reason)
    for table in (
        catalogue.REVIEW_SENTIMENT, catalogue.REVIEW_ASPECTS, catalogue.REVIEWED_PRODUCTS, catalogue.PRAISE
    ):  # fmt: skip
        table.write_empty()
    topics: dict[str, Any] = {"method": None, "topics": [], "candidates": [], "span": None, "reason": reason}
    products: dict[str, list[str]] = {"above": [], "below": []}
    catalogue.TOPICS.write(
        {"reviews": topics | {"num_documents": 0}, "baskets": baskets, "products": products, "words": reason}
    )
    figures: dict[str, Any] = {"chosen": None, "candidates": {}, "num_rated": 0, "words": reason}
    catalogue.REVIEW_METRICS.write({"sentiment": figures, "num_reviews": 0, "positive": None, "aspects": {}})


def read_reviews(time_zone: str) -> pd.DataFrame | None:
    """One row per distinct review: review, product_id, customer_id, who, day, text, rated, praise; None without table.

    A copy is the same text by the same customer on the same product, and any further one of a text of 30 characters
    or more. `who` is a code per customer; a review without a customer is one of its own.
    """
    if not catalogue.CLEAN_REVIEWS.exists():
        return None
    table = catalogue.CLEAN_REVIEWS.read()
    rows = table.select(["product_id", "customer_id", "text", "rating"]).to_pandas()
    labels = sentiment.labels(rows["rating"].to_numpy(np.float64, na_value=np.nan))
    seconds = table["timestamp"].cast(pa.int64()).to_numpy() // 1_000_000
    rows = rows.assign(review=np.arange(len(rows)), rated=labels.rated, praise=labels.positive, day=0)
    texts = documents.normalised(rows["text"].fillna("").tolist())
    rows["text"] = pd.Series(texts, rows.index, object)
    if len(rows):
        steps = np.array(offsets(time_zone, *(pd.Timestamp(int(s), unit="s") for s in (min(seconds), max(seconds)))))
        shift = steps[np.maximum(np.searchsorted(steps[:, 0], seconds, side="right") - 1, 0), 1]
        rows["day"] = ((seconds + shift) // 86_400).astype(np.int32)
    long = pd.Series([len(text) >= LONG for text in texts], rows.index, bool)
    key = rows[["customer_id", "product_id"]].astype(object).where(~long, "").assign(text=rows["text"])
    rows = rows[(rows["text"] != "") & ~key.duplicated()].reset_index(drop=True)
    code = pd.factorize(rows["customer_id"])[0].astype(np.int64)
    rows["who"] = np.where(code < 0, len(rows) + np.arange(len(rows)), code)
    rows["day"] = rows["day"].astype(np.int32)
    return rows


def learn(rows: pd.DataFrame, seed: int, encode: Callable[[Sequence[str]], np.ndarray] | None) -> sentiment.Sentiment:
    """The sentiment classifier, trained on the rated reviews.

    With more than 2,000 of them the encoder is a candidate for all only if it wins on 2,000: vectors that were learned
    elsewhere are ahead, if ever, where texts are few, and encoding takes most of the time.
    """
    rated = rows[rows["rated"]]
    if len(rated) > MOST_RATED:
        rated = rated.sample(MOST_RATED, random_state=seed)
    lost: dict[str, Any] = {}
    if encode and len(rated) > FIRST_LOOK:
        first = _fit(rated.sample(FIRST_LOOK, random_state=seed), seed, encode).figures
        if "encoder" not in (first["chosen"], *first["candidates"].get(first["chosen"], {}).get("of", ())):
            encode = None
            lost = {f"encoder, on {first['num_rated']} texts": first["candidates"].get("encoder")}
    classifier = _fit(rated, seed, encode)
    classifier.figures["candidates"].update({name: figures for name, figures in lost.items() if figures})
    log.info("reviews: %s", classifier.figures["words"] or f"sentiment by {classifier.figures['chosen']}")
    return classifier


def _fit(rated: pd.DataFrame, seed: int, encode: Callable[[Sequence[str]], np.ndarray] | None) -> sentiment.Sentiment:
    return sentiment.fit(rated["text"].tolist(), rated["praise"].to_numpy(bool), seed=seed, encode=encode)


def _encoder() -> Callable[[Sequence[str]], np.ndarray] | None:
    """Vectors of texts by the fine-tuned encoder; None where there is none."""
    if not catalogue.ENCODER.exists():
        return None
    from nightmarket.encoding.encoder import log_progress
    from nightmarket.encoding.loading import load_encoder

    encoder = load_encoder(str(catalogue.ENCODER))
    return lambda texts: encoder.encode(list(texts), log_progress(log, "reviews"))


def _aspects(rows: pd.DataFrame, texts: list[str], classifier: sentiment.Sentiment) -> pd.DataFrame:
    """One row per review and aspect: review, product_id, who, aspect, probability of the clauses."""
    mentions = aspects.mentions(texts)
    out = rows.iloc[mentions.review][["review", "product_id", "who"]].reset_index(drop=True)
    out["aspect"] = [aspects.ASPECTS[number].key for number in mentions.aspect]
    out["probability"] = classifier.probability(mentions.clauses) if mentions.clauses else np.zeros(0)
    return out


def _baskets(settings: Settings, data: Prepared) -> tuple[dict[str, Any], pd.DataFrame]:
    """Topics of the baskets of the last weeks, and customer, topic, num_baskets."""
    last = week_of(data.windows.last_day)
    lines = data.histories.where(data.histories.week >= last - settings.weeks)  # the last may be half a week
    kind, names = documents.kinds(data.products)
    counted = documents.baskets(lines, kind, names, settings.seed)
    log.info("reviews: %s baskets, %s product types", f"{counted.day.size:,}", f"{len(counted.words):,}")
    content, topic = overview(counted, settings.seed, settings.weeks)
    if content["reason"]:
        content["reason"] = (
            "fewer than 200 baskets hold two product types or more, or there are fewer than 10 such types"
        )
    rows = pd.DataFrame({"customer": counted.who, "topic": topic}).value_counts(sort=False)
    return content, rows.rename("num_baskets").reset_index().sort_values(["customer", "topic"])
