"""Names of groups, from what sets them apart: rules, in English and Chinese."""

from dataclasses import asdict, dataclass
from importlib.resources import files
from typing import Any

import numpy as np
import pandas as pd
import yaml

from nightmarket.contracts.arrays import Bools
from nightmarket.segments.behaviour import BLOCKS, SHARE

MARKED = 0.4
"""Least difference from all customers, in standard deviations, that is worth a word."""
WORDS: dict[str, dict[str, dict[str, str]]] = yaml.safe_load(
    files(__package__).joinpath("naming.yaml").read_text(encoding="utf-8")
)
"""feature → "high" or "low" → language → words; no "low" where the low end says nothing."""


@dataclass(frozen=True)
class Trait:
    """What marks a group: its mean of a feature minus everybody's, in standard deviations."""

    feature: str
    difference: float
    en: str
    zh: str


def traits(features: pd.DataFrame, members: Bools, num: int = 6) -> list[Trait]:
    """The most marked traits of a group, strongest first, one per block of features (categories up to two).

    features  rows of `behaviour` for the customers grouped; members (N,) who is in the group
    """
    candidates = []
    for name in features:
        values = features[name].to_numpy(np.float64)
        spread = values.std()
        if spread < 1e-9:
            continue
        difference = float((values[members].mean() - values.mean()) / spread)
        words = _words(str(name), difference)
        if words and abs(difference) >= MARKED:
            candidates.append(Trait(str(name), difference, *words))
    block_of = {name: block for block, names in BLOCKS.items() for name in names}
    left = dict.fromkeys(BLOCKS, 1) | {"category": 2}
    kept = []
    for trait in sorted(candidates, key=lambda trait: -abs(trait.difference)):
        block = block_of.get(trait.feature, "category")
        if left[block]:
            left[block] -= 1
            kept.append(trait)
    return kept[:num]


def _words(feature: str, difference: float) -> tuple[str, str] | None:
    if feature.startswith(SHARE):
        name = feature.removeprefix(SHARE).rsplit(" > ", 1)[-1].strip()
        return (f"much {name.lower()}", f"偏好{name}") if difference > 0 and name else None
    words = WORDS[feature].get("high" if difference > 0 else "low")
    return (words["en"], words["zh"]) if words else None


def names(marks: list[list[Trait]]) -> list[dict[str, str]]:
    """One name per group: its two strongest traits, and more where two groups would be called the same."""
    used: set[str] = set()
    out = []
    for group in marks:
        for num in range(2, len(group) + 1):
            english = ", ".join(trait.en for trait in group[:num])
            if english not in used:
                break
        else:
            num = max(len(group), 1)
            english = ", ".join(trait.en for trait in group) or "like the average"
            turn = 2
            while english in used:
                english = f"{english.split(' (')[0]} ({turn})"
                turn += 1
        used.add(english)
        out.append({"en": english, "zh": "、".join(trait.zh for trait in group[:num]) or "与平均相近"})
    return out


def to_json(group: list[Trait]) -> list[dict[str, Any]]:
    """Traits for JSON."""
    return [asdict(trait) | {"difference": round(trait.difference, 3)} for trait in group]
