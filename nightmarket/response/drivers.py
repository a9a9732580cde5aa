"""What drives a response, in words: exact contributions to the log-odds, summed over features that mean one thing.

Contributions are a model's terms (exact TreeSHAP for trees, weight x value for a logistic model), so they describe the
model and what goes with a response; they do not say what would cause one.
"""

from dataclasses import dataclass
from importlib.resources import files
from typing import Literal

import numpy as np
import yaml

from nightmarket.contracts.arrays import Bools, Float32s, Float64s
from nightmarket.response.models import ResponseModel

Language = Literal["en", "zh"]
_CONTENT = yaml.safe_load(files(__package__).joinpath("drivers.yaml").read_text(encoding="utf-8"))
FAMILIES: dict[str, tuple[str, ...]] = {family: tuple(content["features"]) for family, content in _CONTENT.items()}
WORDS: dict[str, dict[Language, list[str]]] = {family: content["words"] for family, content in _CONTENT.items()}
"""family → language → words when it speaks for a response, and against one."""
TITLES: dict[str, dict[Language, str]] = {family: content["title"] for family, content in _CONTENT.items()}
OTHER = "other"
SAID = 0.1
"""Log-odds below which a family is not worth a word."""


@dataclass(frozen=True)
class Contributions:
    """N rows; effects (N, families) in log-odds, constant (N,): both sum to the model's log-odds."""

    families: tuple[str, ...]
    effects: Float64s
    constant: Float64s


def contributions(model: ResponseModel, names: list[str], values: Float32s) -> Contributions:
    """A model's terms on rows (N, F) with features `names`, summed by family."""
    terms = model.terms(values)
    of = {name: family for family, members in FAMILIES.items() for name in members}
    families = (*FAMILIES, OTHER)
    place = np.array([families.index(of.get(name, OTHER)) for name in names])
    effects = np.zeros((len(values), len(families)))
    for at in range(len(families)):
        effects[:, at] = terms[:, :-1][:, place == at].sum(axis=1)
    return Contributions(families, effects, terms[:, -1])


def shares(terms: Contributions, rows: Bools | None = None) -> dict[str, float]:
    """family → share of what sets rows apart: mean |effect - mean effect|, over all families 1; largest first."""
    effects = terms.effects if rows is None else terms.effects[rows]
    spread = np.abs(effects - effects.mean(axis=0)).mean(axis=0)
    part = spread / max(float(spread.sum()), 1e-12)
    order = np.argsort(-part)
    return {terms.families[at]: float(part[at]) for at in order if part[at] > 0}


def words(effect: dict[str, float], language: Language = "en", num: int = 2) -> list[str]:
    """The strongest families of one customer in words. effect: family → log-odds against the average customer."""
    strong = sorted(((abs(value), family) for family, value in effect.items() if family in WORDS), reverse=True)
    return [WORDS[family][language][0 if effect[family] > 0 else 1] for size, family in strong[:num] if size >= SAID]


def summary(part: dict[str, float], language: Language = "en", num: int = 3) -> str:
    """One sentence on what sets responders apart, from `shares`."""
    named = [(family, share) for family, share in part.items() if family in WORDS][:num]
    if not named:
        return {"en": "Nothing sets customers apart here.", "zh": "没有明显的区分因素。"}[language]
    drivers = [f"{TITLES[family][language]} ({share:.0%})" for family, share in named]
    if language == "zh":
        return "客户响应与否的主要区别:" + "、".join(drivers) + "。"
    return "What sets likely responders apart: " + ", ".join(drivers) + "."
