"""Customers' names: keyed hashes, secrets, who is forgotten, what no log may say."""
