"""The next product of a visit: how well live answers find it, beside what is popular and what goes with what.

`visits` says who asks and what they meet next, `peers` are the recommenders beside ours, `results` is what comes out.
"""
