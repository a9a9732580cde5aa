"""What do customers say? Sentiment and topics of reviews."""
