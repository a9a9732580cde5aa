"""One short reason per recommendation, true of the ranker's inputs, from the features that moved its score most."""

from nightmarket.ranking.reasons.facts import Facts
from nightmarket.ranking.reasons.families import family_of
from nightmarket.ranking.reasons.paths import Paths
from nightmarket.ranking.reasons.told import Told, explain, mix

__all__ = ["Facts", "Paths", "Told", "explain", "family_of", "mix"]
