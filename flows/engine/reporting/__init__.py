"""What a run tells people, and what is remembered of it."""
