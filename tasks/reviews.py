"""What customers say: sentiment, aspects, topics and praise of reviews; and what is bought together.

reads   artifacts/validate/clean    reviews, where there are any
        artifacts/prepare           purchases, products, windows
        artifacts/finetune/encoder  a candidate for the sentiment; loaded only where there are reviews
writes  artifacts/reviews             reviews.parquet    per distinct review: P(positive), topic
                                    aspects.parquet    per review and aspect it speaks of: P(positive) of the clauses
                                    products.parquet   per product with reviews: share of praise with interval
                                    praise.parquet     what a text may praise a product for
                                    baskets.parquet    customers x basket topics, counted over the baskets drawn
                                    topics.json        topics of reviews and baskets; products that stand out
                                    metrics.json       how good the sentiment is, and the whole in figures
"""

import logging
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from nightmarket.histories import Histories, offsets
from nightmarket.reviews import aspects, documents, overview, praise, sentiment
from tasks.files import catalogue
from tasks.pipeline.declaration import Stage
from tasks.pipeline.settings import StageSettings

PREPARED = catalogue.PREPARE.path
REVIEWS = catalogue.CLEAN_REVIEWS.path
ENCODER = catalogue.ENCODER.path
OUT = catalogue.REVIEWS.path
LONG = 30
"""Characters from which on the same text under several names is a copy rather than the same opinion."""
MOST_RATED = 50_000
"""Rated reviews, drawn at random, that the sentiment learns from."""
FIRST_LOOK = 2_000
"""Rated reviews that the encoder has to win on before it reads all."""
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
)


class Settings(StageSettings):
    """How topics are found."""

    seed: int = Field(17, ge=0, description="seed of everything random")
    weeks: int = Field(26, ge=8, le=260, description="weeks of baskets, and of trends (months if reviews are few)")


def run(settings: Settings) -> None:
    """Write artifacts/reviews."""
    windows = catalogue.WINDOWS.read()
    baskets, tastes = _baskets(settings, windows["last_week"])
    catalogue.BASKET_TOPICS.write(tastes)
    found = read_reviews(windows["time_zone"])
    if found is None or found.empty:
        words = "there is no table reviews" if found is None else "the table reviews holds no text"
        log.info("reviews: %s", words)
        for table in (
            catalogue.REVIEW_SENTIMENT,
            catalogue.REVIEW_ASPECTS,
            catalogue.REVIEWED_PRODUCTS,
            catalogue.PRAISE,
        ):
            table.write_empty()
        nothing = {"method": None, "topics": [], "candidates": [], "span": None, "reason": words, "num_documents": 0}
        products: dict[str, list[str]] = {"above": [], "below": []}
        catalogue.TOPICS.write({"reviews": nothing, "baskets": baskets, "products": products, "words": words})
        empty = {"chosen": None, "candidates": {}, "num_rated": 0, "words": words}
        catalogue.REVIEW_METRICS.write({"sentiment": empty, "num_reviews": 0, "positive": None, "aspects": {}})
        return
    log.info("reviews: %s distinct reviews", f"{len(found):,}")
    reader = learn(found, settings.seed, _encoder())
    given = np.where(found["rated"], found["praise"].astype(np.float64), np.nan)
    unknown = np.flatnonzero(~found["rated"])
    given[unknown] = reader.probability(found["text"].iloc[unknown].tolist())
    found["probability"] = given
    texts = found["text"].tolist()
    told = documents.reviews(texts, found["who"].to_numpy(), found["day"].to_numpy())
    topics, found["topic"] = overview.overview(told, settings.seed, settings.weeks, given)
    log.info("reviews: %s topics of reviews, %s of baskets", len(topics["topics"]), len(baskets["topics"]))
    spoken = _aspects(found, texts, reader)
    catalogue.REVIEW_SENTIMENT.write(found)
    catalogue.REVIEW_ASPECTS.write(spoken)
    catalogue.REVIEWED_PRODUCTS.write(praise.by_product(found["product_id"].to_numpy(), found["who"].to_numpy(), given))
    opinions = spoken.rename(columns={"probability": "positive"})[["aspect", "product_id", "who", "positive"]]
    catalogue.PRAISE.write(praise.praised(opinions))
    above, below = praise.outstanding(found["product_id"].to_numpy(), found["who"].to_numpy(), given)
    products = {"above": above, "below": below}
    catalogue.TOPICS.write({"reviews": topics, "baskets": baskets, "products": products, "words": ""})
    per_aspect = praise.by_aspect(opinions).dropna(subset=["positive"]).set_index("aspect")
    metrics = {
        "sentiment": reader.figures,
        "num_reviews": len(found),
        "positive": overview.praise(found["who"].to_numpy(), given),
        "aspects": {str(key): row for key, row in per_aspect.to_dict("index").items()},
    }
    catalogue.REVIEW_METRICS.write(metrics)


def read_reviews(time_zone: str) -> pd.DataFrame | None:
    """One row per distinct review: review, product_id, customer_id, who, day, text, rated, praise; None without table.

    A copy is the same text by the same customer on the same product, and any further one of a text of 30 characters
    or more. `who` is a code per customer; a review without a customer is one of its own.
    """
    if not REVIEWS.exists():
        return None
    table = catalogue.CLEAN_REVIEWS.read()
    rows = table.select(["product_id", "customer_id", "text", "rating"]).to_pandas()
    labels = sentiment.labels(rows["rating"].to_numpy(np.float64, na_value=np.nan))
    seconds = table["timestamp"].cast(pa.int64()).to_numpy() // 1_000_000
    rows = rows.assign(review=np.arange(len(rows)), rated=labels.rated, praise=labels.positive, day=0)
    rows["text"] = documents.normalised(rows["text"].fillna("").tolist())
    if len(rows):
        steps = np.array(offsets(time_zone, *(pd.Timestamp(int(s), unit="s") for s in (min(seconds), max(seconds)))))
        shift = steps[np.maximum(np.searchsorted(steps[:, 0], seconds, side="right") - 1, 0), 1]
        rows["day"] = ((seconds + shift) // 86_400).astype(np.int32)
    long = rows["text"].str.len() >= LONG
    key = rows[["customer_id", "product_id"]].astype(object).where(~long, "").assign(text=rows["text"])
    rows = rows[(rows["text"] != "") & ~key.duplicated()].reset_index(drop=True)
    code = pd.factorize(rows["customer_id"])[0].astype(np.int64)
    rows["who"] = np.where(code < 0, len(rows) + np.arange(len(rows)), code)
    rows["day"] = rows["day"].astype(np.int32)
    return rows


def learn(found: pd.DataFrame, seed: int, encode: Callable[[Sequence[str]], np.ndarray] | None) -> sentiment.Sentiment:
    """The sentiment, learnt from the rated reviews.

    With more than 2,000 of them the encoder is a candidate for all only if it wins on 2,000: vectors that were learnt
    elsewhere are ahead, if ever, where texts are few, and encoding is what takes long.
    """
    rated = found[found["rated"]]
    if len(rated) > MOST_RATED:
        rated = rated.sample(MOST_RATED, random_state=seed)
    lost: dict[str, Any] = {}
    if encode and len(rated) > FIRST_LOOK:
        first = _fit(rated.sample(FIRST_LOOK, random_state=seed), seed, encode).figures
        if "encoder" not in (first["chosen"], *first["candidates"].get(first["chosen"], {}).get("of", ())):
            encode = None
            lost = {f"encoder, on {first['num_rated']} texts": first["candidates"].get("encoder")}
    reader = _fit(rated, seed, encode)
    reader.figures["candidates"].update({name: figures for name, figures in lost.items() if figures})
    log.info("reviews: %s", reader.figures["words"] or f"sentiment by {reader.figures['chosen']}")
    return reader


def _fit(rated: pd.DataFrame, seed: int, encode: Callable[[Sequence[str]], np.ndarray] | None) -> sentiment.Sentiment:
    return sentiment.fit(rated["text"].tolist(), rated["praise"].to_numpy(bool), seed=seed, encode=encode)


def _encoder() -> Callable[[Sequence[str]], np.ndarray] | None:
    """Vectors of texts by the fine-tuned encoder; None where there is none."""
    if not ENCODER.exists():
        return None
    from nightmarket.encoding.encoder import log_progress
    from nightmarket.encoding.loading import load_encoder

    encoder = load_encoder(str(ENCODER))
    return lambda texts: encoder.encode(list(texts), log_progress(log, "reviews"))


def _aspects(found: pd.DataFrame, texts: list[str], reader: sentiment.Sentiment) -> pd.DataFrame:
    """One row per review and aspect: review, product_id, who, aspect, probability of the clauses."""
    spoken = aspects.mentions(texts)
    rows = found.iloc[spoken.review][["review", "product_id", "who"]].reset_index(drop=True)
    rows["aspect"] = [aspects.ASPECTS[number].key for number in spoken.aspect]
    rows["probability"] = reader.probability(spoken.clauses) if spoken.clauses else np.zeros(0)
    return rows


def _baskets(settings: Settings, last_week: int) -> tuple[dict[str, Any], pd.DataFrame]:
    """Topics of the baskets of the last weeks, and customer, topic, num_baskets."""
    products = catalogue.PRODUCTS.read().to_pandas()
    table = catalogue.PURCHASES.read()
    table = table.filter(pc.greater(table["week"], last_week - settings.weeks - 1))  # the last may be half a week
    arrays = {name: table[name].to_numpy() for name in table.column_names}
    num_customers = int(arrays["customer"].max(initial=-1)) + 1
    lines = Histories(**arrays, num_customers=num_customers, num_items=len(products))
    kind, names = documents.kinds(products)
    found = documents.baskets(lines, kind, names, settings.seed)
    log.info("reviews: %s baskets, %s product types", f"{found.day.size:,}", f"{len(found.words):,}")
    content, topic = overview.overview(found, settings.seed, settings.weeks)
    if content["reason"]:
        content["reason"] = (
            "fewer than 200 baskets hold two product types or more, or there are fewer than 10 such types"
        )
    rows = pd.DataFrame({"customer": found.who, "topic": topic}).value_counts(sort=False)
    return content, rows.rename("num_baskets").reset_index().sort_values(["customer", "topic"])
