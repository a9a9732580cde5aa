"""What tests and benches are made of: a made-up retailer, what a night leaves, tiny models, a browser.

Nothing in the product imports it.
"""
