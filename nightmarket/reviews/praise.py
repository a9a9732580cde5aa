"""Which products are praised, and for what: only what is measured may be said."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from nightmarket.contracts.arrays import Float64s, Int64s
from nightmarket.contracts.privacy import MIN_GROUP
from nightmarket.evaluation.experiments.readout import benjamini_hochberg
from nightmarket.evaluation.intervals import wilson
from nightmarket.reviews.aspects import ASPECTS

FALSE_SHARE = 0.05
PRAISE = ("product_id", "aspect", "en", "zh", "num_mentions", "positive", "low", "high")


def by_product(product: NDArray, who: Int64s, positive: Float64s) -> pd.DataFrame:
    """product_id, num_reviews, positive, low, high: the share of people who praise, with Wilson's 95% interval.

    product, who, positive  (N,) of the reviews; positive is P(positive), NaN unknown

    The figures are missing where fewer than 20 people gave a known opinion. A person counts once for a product.
    """
    rows = pd.DataFrame({"product_id": product, "who": who, "positive": positive})
    counted = rows.groupby("product_id", sort=True).size().rename("num_reviews").astype("int64").reset_index()
    figures = _figures(rows.dropna(subset=["positive"]), ["product_id"])
    return counted.merge(figures.drop(columns="people"), on="product_id", how="left", validate="one_to_one")


def outstanding(product: NDArray, who: Int64s, positive: Float64s, num: int = 5) -> tuple[list[str], list[str]]:
    """Products with more praise than the shop, and with less: up to five of each, the clearest first.

    Two-sided binomial tests of each product's people against the whole shop's share, after Benjamini and Hochberg's
    procedure over all products of 20 people or more (5%).
    """
    known = pd.DataFrame({"product_id": product, "who": who, "positive": positive}).dropna(subset=["positive"])
    rows = _figures(known, ["product_id"]).dropna(subset=["positive"]).reset_index(drop=True)
    if rows.empty:
        return [], []
    usual = float(_once(known, ["product_id"])["praise"].mean())
    hits = np.round(rows["positive"] * rows["people"]).astype(int)
    tails = (stats.binom.sf(hits - 1, rows["people"], usual), stats.binom.cdf(hits, rows["people"], usual))
    sure = benjamini_hochberg(np.minimum(2 * np.minimum(*tails), 1)) <= FALSE_SHARE
    above = rows[sure & (rows["positive"] > usual)].sort_values("low", ascending=False, kind="stable")
    below = rows[sure & (rows["positive"] < usual)].sort_values("high", kind="stable")
    return above["product_id"].tolist()[:num], below["product_id"].tolist()[:num]


def by_aspect(mentions: pd.DataFrame) -> pd.DataFrame:
    """aspect, num_mentions, people, positive, low, high over the whole shop; aspects of 20 people or more, the most
    spoken of first.

    mentions  columns aspect, product_id, who, positive; one row per review and aspect
    """
    known = mentions.dropna(subset=["positive"])
    figures = _figures(known.drop(columns="product_id"), ["aspect"])
    counted = known.groupby("aspect").size().rename("num_mentions").reset_index()
    table = counted.merge(figures, on="aspect", validate="one_to_one")
    return table.sort_values(["num_mentions", "aspect"], ascending=[False, True], ignore_index=True)


def praised(mentions: pd.DataFrame) -> pd.DataFrame:
    """What a text may praise a product for, columns PRAISE; num_mentions counts people.

    A row asks for 20 people who speak of the aspect of the product, a Wilson low bound above the shop's share of praise
    for that aspect and above one half, and a one-sided binomial test against the higher of the two that holds after
    Benjamini and Hochberg's procedure over all products and aspects that 20 people speak of (5%).
    """
    known = mentions.dropna(subset=["positive"])
    rows = _figures(known, ["product_id", "aspect"]).dropna(subset=["positive"])
    if rows.empty:
        return pd.DataFrame({name: [] for name in PRAISE})
    once = _once(known, ["product_id", "aspect"])
    usual = np.maximum(rows["aspect"].map(once.groupby("aspect")["praise"].mean()).to_numpy(np.float64), 0.5)
    hits = np.round(rows["positive"] * rows["people"])
    p = benjamini_hochberg(stats.binom.sf(hits - 1, rows["people"], usual))
    rows = rows[(rows["low"].to_numpy() > usual) & (p <= FALSE_SHARE)]
    by_key = {aspect.key: aspect for aspect in ASPECTS}
    rows = rows.assign(en=[by_key[key].en for key in rows["aspect"]], zh=[by_key[key].zh for key in rows["aspect"]])
    return rows.rename(columns={"people": "num_mentions"})[list(PRAISE)].reset_index(drop=True)


def _once(rows: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """One row per group and person: whether most of what the person says is praise."""
    mean = rows.groupby([*by, "who"], sort=True)["positive"].mean()
    return (mean > 0.5).rename("praise").reset_index()


def _figures(rows: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """Per group: people, and the share of them who praise with its interval; missing below 20 people."""
    table = _once(rows, by).groupby(by, sort=True)["praise"].agg(people="size", positive="mean").reset_index()
    table["people"] = table["people"].astype("int64")
    enough = table["people"] >= MIN_GROUP
    bounds = [wilson(share, num) for share, num in zip(table["positive"], table["people"], strict=True)]
    table["low"] = [bound.low for bound in bounds]
    table["high"] = [bound.high for bound in bounds]
    table[["positive", "low", "high"]] = table[["positive", "low", "high"]].where(enough)
    return table
