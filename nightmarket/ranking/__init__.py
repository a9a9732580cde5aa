"""Candidates, features and the second stage that orders them; and the baselines that it must beat."""
