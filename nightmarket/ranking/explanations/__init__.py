"""One short reason per recommendation, true of the ranker's inputs, from the features that moved its score most."""

from nightmarket.ranking.explanations.explaining import explain, mix
from nightmarket.ranking.explanations.facts import Facts
from nightmarket.ranking.explanations.families import family_of
from nightmarket.ranking.explanations.paths import Paths

__all__ = ["Facts", "Paths", "Told", "explain", "family_of", "mix"]
