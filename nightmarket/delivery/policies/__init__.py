"""Which offer next: policies that draw with known chances, learn from the day's feedback, and pass a gate."""

from nightmarket.delivery.policies.choosing import Choice, choose, mixed
from nightmarket.delivery.policies.linucb import LinUCB
from nightmarket.delivery.policies.rates import Posterior, Rates
from nightmarket.delivery.policies.softmax import Gated, Softmax, learn
from nightmarket.delivery.policies.thompson import Thompson

__all__ = ["Choice", "Gated", "LinUCB", "Posterior", "Rates", "Softmax", "Thompson", "choose", "learn", "mixed"]
