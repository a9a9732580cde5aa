"""Does tonight look like what the champion learned from? Inputs, texts and predictions, against its training window.

Everything works on counts per day, so that what is compared are days and weeks, not rows, and nobody's rows are kept.
"""
