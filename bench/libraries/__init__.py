"""Other people's recommenders on our split, judged by our metric code.

docs/explanation/libraries.md tells what came out.
"""
