"""Recommenders by what products say: words, and the vectors of a frozen encoder."""

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer

from bench.domains.collaborative import BEHAVIOUR, Scorer
from bench.domains.question import Question, Shop
from nightmarket.contracts.arrays import Float32s, Int64s
from nightmarket.encoding.models import PACKAGED, resolve_model

COLUMNS = ("title", "category", "brand", "description")
CHINESE = re.compile("[\u4e00-\u9fff]")
VECTORS = Path(".nightmarket/bench-domains/vectors")


def texts(shop: Shop) -> list[str]:
    """(P,) what the catalogue says of each product."""
    products = shop.tables["products"]
    columns = [products[name].to_pylist() for name in COLUMNS if name in products.column_names]
    return [". ".join(part for part in row if part) for row in zip(*columns, strict=True)]


def tfidf(
    question: Question,
    weights: Mapping[str, float] = BEHAVIOUR,
    half_life: float | None = 90.0,
    sublinear: bool = False,
) -> Scorer:
    """Cosine between the words of a product and the mean of what the customer met, weighted by what they did."""
    documents = texts(question.shop)
    if not any(documents):
        return _nothing(question)
    chinese = any(CHINESE.search(text) for text in documents)
    how = {"analyzer": "char", "ngram_range": (1, 3)} if chinese else {"analyzer": "word", "ngram_range": (1, 2)}
    terms = TfidfVectorizer(min_df=2, sublinear_tf=sublinear, dtype=np.float32, **how).fit_transform(documents)
    profiles, by_term = question.matrix(weights, half_life)[question.asked] @ terms, terms.T.tocsr()
    return lambda rows: (profiles[rows] @ by_term).toarray().astype(np.float32)


def encoder(
    question: Question,
    weights: Mapping[str, float] = BEHAVIOUR,
    half_life: float | None = 90.0,
    centred: bool = True,
    model: str = PACKAGED,
) -> Scorer:
    """The same with the vectors of a frozen encoder; `centred`: less what all products have in common."""
    documents = texts(question.shop)
    if not any(documents):
        return _nothing(question)
    vectors = _vectors(documents, model)
    if centred:
        vectors = vectors - vectors.mean(axis=0)
        vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-6)
    profiles = question.matrix(weights, half_life)[question.asked] @ vectors
    return lambda rows: np.asarray(profiles[rows] @ vectors.T, np.float32)


def _nothing(question: Question) -> Scorer:
    def score(rows: Int64s) -> Float32s:
        return np.zeros((rows.size, question.shop.product_ids.size), np.float32)

    return score


def _vectors(documents: list[str], model: str) -> Float32s:
    """(P, D) unit vectors; those of the same texts are kept."""
    key = hashlib.sha256("\0".join([model, *documents]).encode()).hexdigest()[:16]
    path = VECTORS / f"{key}.npy"
    if path.exists():
        return np.load(path).astype(np.float32)
    from nightmarket.encoding.encoder import Encoder  # torch: only where an encoder is asked for

    distinct = sorted(set(documents))
    code = {text: place for place, text in enumerate(distinct)}
    encoded = Encoder.load(resolve_model(model)).encode(distinct)
    vectors = encoded[[code[text] for text in documents]].astype(np.float32)
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, vectors.astype(np.float16))
    return vectors
