"""What will a customer respond to? P(response | customer, campaign, offer, time), calibrated."""

from nightmarket.response.market import Answers, Campaign, Contacts, CouponLines, Market, Offer, Records
from nightmarket.response.responder import CampaignRows, Responder, rows

__all__ = [
    "Answers",
    "Campaign",
    "CampaignRows",
    "Contacts",
    "CouponLines",
    "Market",
    "Offer",
    "Records",
    "Responder",
    "rows",
]
