"""The page that people open in the morning: facts in, one self-contained HTML page out."""

from nightmarket.reporting.launches import shelf
from nightmarket.reporting.lineage import graph
from nightmarket.reporting.night import Night, Person, Pick, Purchase, choose
from nightmarket.reporting.page import render

__all__ = ["Night", "Person", "Pick", "Purchase", "choose", "graph", "render", "shelf"]
