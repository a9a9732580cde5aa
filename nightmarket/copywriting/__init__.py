"""Promotion copy: texts that say what an offer is, and nothing that it is not."""
