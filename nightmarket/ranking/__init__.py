"""Candidates, features and the second stage that orders them; and the baselines that it must beat."""

from nightmarket.ranking.catalogue import Catalogue, catalogue
from nightmarket.ranking.evidence import Evidence, Promotions
from nightmarket.ranking.ranker import Ranker, TrainingRows, Trees, fit, thinned
from nightmarket.ranking.scene import Batch, Budget, Scene, TextScores

__all__ = [
    "Batch",
    "Budget",
    "Catalogue",
    "Evidence",
    "Promotions",
    "Ranker",
    "Scene",
    "TextScores",
    "TrainingRows",
    "Trees",
    "catalogue",
    "fit",
    "thinned",
]
