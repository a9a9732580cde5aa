"""Who gets what, when, within budget? Allocation, pacing, send times, delivery policies."""
