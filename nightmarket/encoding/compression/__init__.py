"""Smaller encoders from a large one: fewer layers, trained or not, one vector per token, weights on an int8 grid."""
