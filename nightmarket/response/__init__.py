"""What will a customer respond to? P(response | customer, campaign, offer, time), calibrated."""

from nightmarket.response.market import Answers, Campaign, Contacts, CouponLines, Market, Offer, Record
from nightmarket.response.responder import Responder, Rows, rows

__all__ = [
    "Answers",
    "Campaign",
    "Contacts",
    "CouponLines",
    "Market",
    "Offer",
    "Record",
    "Responder",
    "Rows",
    "rows",
]
