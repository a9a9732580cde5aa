"""The page that people open in the morning: facts in, one self-contained HTML page out."""

from nightmarket.reporting.launches import shelf
from nightmarket.reporting.lineage import graph
from nightmarket.reporting.night import Night
from nightmarket.reporting.page import render
from nightmarket.reporting.people import Person, Pick, Purchase, choose

__all__ = ["Night", "Person", "Pick", "Purchase", "choose", "graph", "render", "shelf"]
