"""Answers at the moment of the question, from what the night wrote: `LiveRecommender.open("artifacts/bundle")`.

`questions` says what is asked and answered, `parts` how the two halves of a bundle lie on disk, `strings` how their
names are found, `bundle` what is in them, `allowed` what a visitor may be shown, `recommender` who answers.
"""

from nightmarket.serving.live.questions import Answer, Ask, Explanation, LiveEvent, Recommended
from nightmarket.serving.live.recommender import LiveRecommender

__all__ = ["Answer", "Ask", "Explanation", "LiveEvent", "LiveRecommender", "Recommended"]
