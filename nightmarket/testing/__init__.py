"""What tests and benches are made of: a made-up retailer in several dialects, and tiny models with random weights.

Nothing in the product imports it.
"""
