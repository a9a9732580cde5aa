"""Candidates, features and the second stage that orders them; and the baselines that it must beat."""

from nightmarket.histories import Catalogue, Promotions, catalogue
from nightmarket.ranking.candidate_set import Batch, Budget, CandidateSet, TextScores
from nightmarket.ranking.point_in_time import PointInTimeStatistics
from nightmarket.ranking.ranker import Ranker, TrainingRows, Trees, fit, thinned

__all__ = [
    "Batch",
    "Budget",
    "CandidateSet",
    "Catalogue",
    "PointInTimeStatistics",
    "Promotions",
    "Ranker",
    "TextScores",
    "TrainingRows",
    "Trees",
    "catalogue",
    "fit",
    "thinned",
]
