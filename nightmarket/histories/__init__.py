"""Purchase histories, products and promotions as arrays, texts, and the calendar."""

from nightmarket.histories.calendar import (
    EPOCH,
    NEVER,
    date_of,
    day_of,
    first_day,
    last_complete_week,
    last_day,
    last_whole_week,
    monday,
    offsets,
    week_of,
    weeks_before,
    weeks_ending,
)
from nightmarket.histories.catalogue import Catalogue, catalogue
from nightmarket.histories.histories import Histories
from nightmarket.histories.promotions import Promotions, coming_weeks
from nightmarket.histories.purchases import local_days, number_customers, promotion_shares, purchase_lines
from nightmarket.histories.texts import levels, product_texts

__all__ = [
    "EPOCH",
    "NEVER",
    "Catalogue",
    "Histories",
    "Promotions",
    "catalogue",
    "coming_weeks",
    "date_of",
    "day_of",
    "first_day",
    "last_complete_week",
    "last_day",
    "last_whole_week",
    "levels",
    "local_days",
    "monday",
    "number_customers",
    "offsets",
    "product_texts",
    "promotion_shares",
    "purchase_lines",
    "week_of",
    "weeks_before",
    "weeks_ending",
]
