"""Is a review praise or complaint? Learnt from the retailer's own ratings."""

from nightmarket.reviews.sentiment.choosing import Sentiment, fit
from nightmarket.reviews.sentiment.ratings import Labels, labels

__all__ = ["Labels", "Sentiment", "fit", "labels"]
