"""Choose the family that moved a recommendation most among those with something true to say, and say it."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from nightmarket.contracts.arrays import Float32s, Int32s, Values
from nightmarket.ranking.explanations.claims import CLAIMS, Rows
from nightmarket.ranking.explanations.facts import Facts
from nightmarket.ranking.explanations.families import FAMILIES, OF_THE_CUSTOMER, by_family
from nightmarket.ranking.explanations.wording import LANGUAGES

FALLBACK = "fallback"


@dataclass(frozen=True)
class Explanations:
    """Reasons of N recommendations.

    texts   the sentences
    family  (N,) names from FAMILIES; "fallback" where no family that spoke for the recommendation had anything to say
    moved   (N,) what the family's features added to the raw score, above 0; 0 for a fallback
    """

    texts: list[str]
    family: Values
    moved: Float32s


def explain(
    rows: Float32s,
    names: list[str],
    contributions: Float32s,
    customer: Int32s,
    item: Int32s,
    facts: Facts,
    language: Literal["en", "zh"] = "en",
    target: str = "purchase",
) -> Explanations:
    """One reason per recommendation.

    rows           (N, F) features that the ranker saw, with column names `names`
    contributions  (N, F) what each added to the raw score (`Paths.contributions`)
    customer, item (N,)   codes
    target         what the lists foretell, of histories.interactions.TARGETS

    Contributions are summed by family. Families are asked from the largest sum down to 0, and the first whose sentence
    is true and says something gives the reason.
    """
    words = LANGUAGES[language].of(target)
    facts.around(customer)  # one slice for all families, not one for each
    column = {name: rows[:, i] for i, name in enumerate(names)}
    whole = Rows(column, customer, item, facts, words)
    moved = by_family(contributions, names)
    order = np.argsort(-moved, axis=1, kind="stable")
    texts: list[str | None] = [None] * len(rows)
    family = np.full(len(rows), FALLBACK, object)
    by = np.zeros(len(rows), np.float32)
    open_rows = np.ones(len(rows), bool)
    for turn in order.T:
        for number, name in enumerate(FAMILIES):
            if name not in CLAIMS:
                continue
            asked = np.flatnonzero(open_rows & (turn == number) & (moved[:, number] > 0))
            if asked.size == 0:
                continue
            for row, text in zip(asked.tolist(), CLAIMS[name](whole.take(asked)), strict=True):
                if text is not None:
                    texts[row], family[row], by[row] = text, name, moved[row, number]
                    open_rows[row] = False
    fallback = (words.say("launch" if new else FALLBACK) for new in whole.launching)
    return Explanations([text or spare for text, spare in zip(texts, fallback, strict=True)], family, by)


def mix(family: Values) -> dict[str, float]:
    """Share of the reasons of each family that occurs, most first; and of those that say nothing of the customer.

    "generic" counts what speaks of the product alone, fallbacks included.
    """
    names, counts = np.unique(family.astype(str), return_counts=True)
    total = max(int(counts.sum()), 1)
    order = np.lexsort((names, -counts))
    shares = {str(names[i]): round(float(counts[i] / total), 4) for i in order}
    alone = sum(count for name, count in zip(names, counts, strict=True) if name not in OF_THE_CUSTOMER)
    return shares | {"generic": round(float(alone / total), 4)}
