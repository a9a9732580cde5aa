"""Scorers by name: each learns from purchase histories how much a customer wants each product."""
