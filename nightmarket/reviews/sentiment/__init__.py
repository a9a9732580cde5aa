"""Is a review praise or complaint? Learnt from the retailer's own ratings."""

from nightmarket.reviews.sentiment.choosing import Labels, Sentiment, fit, labels

__all__ = ["Labels", "Sentiment", "fit", "labels"]
