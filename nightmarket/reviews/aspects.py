"""Aspects of reviews, clause by clause (price, taste, delivery), and which products are praised for them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np
import pandas as pd
import yaml
from numpy.typing import NDArray
from scipy import stats

from nightmarket.contracts.arrays import Float64s, Int64s
from nightmarket.contracts.privacy import MIN_GROUP
from nightmarket.evaluation.experiments.readout import benjamini_hochberg
from nightmarket.evaluation.intervals import wilson


@dataclass(frozen=True)
class Aspect:
    """Something that a review can praise or complain of.

    en, zh              what it is called
    english, chinese    regular expressions of what speaks of it; English ones stand between word boundaries
    """

    key: str
    en: str
    zh: str
    english: str
    chinese: str


_ROWS = yaml.safe_load(files(__package__).joinpath("aspects.yaml").read_text(encoding="utf-8"))
ASPECTS = tuple(Aspect(**row) for row in _ROWS)
"""One table for both languages; what no row names is left out."""
BREAKS = re.compile(
    r"[，。！？；,.!?;\n…~]+|\b(?:but|however|although|though|yet|except|and)\b|但是|不过|可是|然而|虽然|但(?!愿)",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Mentions:
    """M times that a review speaks of an aspect; a review speaks of each at most once.

    review  (M,)  place of the text
    aspect  (M,)  place in ASPECTS
    clauses       M, what it says about it
    """

    review: Int64s
    aspect: Int64s
    clauses: list[str]


def mentions(texts: Sequence[str]) -> Mentions:
    """The clauses in which texts speak of an aspect, joined per text and aspect."""
    review: list[int] = []
    aspect: list[int] = []
    joined: list[str] = []
    for row, text in enumerate(texts):
        by_aspect: dict[int, list[str]] = {}
        for clause, spoken in _clauses(text):
            for number in spoken:
                by_aspect.setdefault(number, []).append(clause)
        for number, clauses in by_aspect.items():
            review.append(row)
            aspect.append(number)
            joined.append(", ".join(clauses))
    return Mentions(np.array(review, np.int64), np.array(aspect, np.int64), joined)


def _clauses(text: str) -> list[tuple[str, list[int]]]:
    """Clauses with the aspects they speak of; one that only names its aspect is read with the next."""
    clauses: list[tuple[str, list[int]]] = []
    waiting = ""
    for part in BREAKS.split(text):
        clause = f"{waiting} {part.strip()}".strip()
        waiting = ""
        if not clause:
            continue
        spoken = [number for number, pattern in enumerate(_patterns()) if pattern.search(clause)]
        if spoken and not _says_more(clause, spoken):
            waiting = clause
            continue
        clauses.append((clause, spoken))
    if waiting:
        clauses.append((waiting, [n for n, pattern in enumerate(_patterns()) if pattern.search(waiting)]))
    return clauses


def _says_more(clause: str, spoken: list[int]) -> bool:
    """Whether anything is said besides the names of the aspects, which are nouns."""
    left = clause.lower()
    for number in spoken:
        for word in (ASPECTS[number].zh, ASPECTS[number].en):
            left = left.replace(word, "")
    return len(re.sub(r"\b(the|a|an|and|its?|this|of|for|very)\b|[\s、和的是]", "", left)) > 0


@cache
def _patterns() -> tuple[re.Pattern[str], ...]:
    return tuple(re.compile(rf"\b(?:{aspect.english})\b|{aspect.chinese}", re.IGNORECASE) for aspect in ASPECTS)


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
