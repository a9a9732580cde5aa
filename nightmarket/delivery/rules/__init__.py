"""What a shop says of its lists that no model may break, and what it would rather have.

`declared` is what the file may say, `contradictions` what cannot hold together, `tonight` the rules as arrays over the
products of a night, `choosing` the lists that keep them, `change` what they cost.
"""
