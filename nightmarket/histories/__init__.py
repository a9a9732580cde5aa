"""Purchase histories, texts, and the cut in time."""

from nightmarket.histories.calendar import NEVER, Window, last_complete_week, monday, offsets, week_of, windows
from nightmarket.histories.histories import Histories
from nightmarket.histories.purchases import local_days, number_customers, promotion_shares, purchase_lines
from nightmarket.histories.texts import levels, product_texts

__all__ = [
    "NEVER",
    "Histories",
    "Window",
    "last_complete_week",
    "levels",
    "local_days",
    "monday",
    "number_customers",
    "offsets",
    "product_texts",
    "promotion_shares",
    "purchase_lines",
    "week_of",
    "windows",
]
