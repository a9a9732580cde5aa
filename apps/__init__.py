"""Servers of our own, beside the flows: what a shop asks while its visitors wait."""
