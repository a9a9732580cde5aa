"""Decisions under abuse: simulations made to break them, each with the figure that must come out."""
