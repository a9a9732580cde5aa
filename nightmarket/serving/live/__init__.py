"""Answers at the moment of the question, from what the night wrote: `LiveRecommender.open("artifacts/bundle")`.

`questions` says what is asked and answered, `parts` how the two halves of a bundle lie on disk, `strings` how their
names are found, `bundle` what is in them, `allowed` what a visitor may be shown, `recommender` who answers.
"""

from typing import TYPE_CHECKING, Any

from nightmarket.serving.live.questions import Answer, Ask, Explanation, LiveEvent, Recommended

if TYPE_CHECKING:
    from nightmarket.serving.live.recommender import LiveRecommender

__all__ = ["Answer", "Ask", "Explanation", "LiveEvent", "LiveRecommender", "Recommended"]


def __getattr__(name: str) -> Any:
    """What answers, imported when it is asked for: that takes seconds, and who only asks needs none of it."""
    if name == "LiveRecommender":
        from nightmarket.serving.live.recommender import LiveRecommender

        return LiveRecommender
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
