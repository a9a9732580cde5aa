"""What a visitor is shown while they are there: products ranked from what they just did, from the first product on.

`shop` is what the night knows, `co_visits` what goes with what, `visits` who asks, `candidates` and `features` what may
be shown and what is known of it, `learning` how their weights are learned, `answers` the one function that a live site
calls.
"""
