"""What a customer is expected to do next: whether they buy again, how often, for how much, and who is about to leave.

Time is cut as everywhere: `records` counts what was known at a cut, `bgnbd` and `spend` say what follows from it,
`correction` and `outlook` improve that where an earlier window shows that it pays, `accuracy` says how good it was on
the test window, `standing` says how each customer stands.
"""
