"""Who is alike? Partitions of customers with portraits, and how stable they are."""

from nightmarket.segments.answers import answers, rate, reached, strategy
from nightmarket.segments.behaviour import PARTS, Assortment, Visits, assortment, behaviour, visits
from nightmarket.segments.grouping import (
    OTHER,
    Assigner,
    Classifier,
    Grouping,
    agreement,
    beginners,
    classifier,
    group,
    held_out_accuracy,
)
from nightmarket.segments.naming import Trait, names, traits
from nightmarket.segments.partition import STABLE, FeatureSpace, Stability, choose, density_methods, stability
from nightmarket.segments.portraits import bought, more_often, rfm, when
from nightmarket.segments.worth import Worth, group_worth, worth

__all__ = [
    "OTHER",
    "PARTS",
    "STABLE",
    "Assigner",
    "Assortment",
    "Classifier",
    "FeatureSpace",
    "Grouping",
    "Stability",
    "Trait",
    "Visits",
    "Worth",
    "agreement",
    "answers",
    "assortment",
    "beginners",
    "behaviour",
    "bought",
    "choose",
    "classifier",
    "density_methods",
    "group",
    "group_worth",
    "held_out_accuracy",
    "more_often",
    "names",
    "rate",
    "reached",
    "rfm",
    "stability",
    "strategy",
    "traits",
    "visits",
    "when",
    "worth",
]
