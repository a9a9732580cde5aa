"""The types of a campaign's parameters: what its form offers and what the API refuses.

Apart from `form`, because the terms of an offer bring the models along, which a night need not import.
"""

from typing import Annotated, Literal

from pydantic import Field

from flows.engine.forms.form import DAY
from tasks.campaigns.export import NAME
from tasks.campaigns.newcomers import NewProduct
from tasks.campaigns.offers import OfferSettings

CampaignName = Annotated[str, Field(pattern=NAME)]
"""A folder's name; NAME keeps out everything that a path could be made of."""

Budget = Annotated[float, Field(ge=0, le=1e12)]
"""Currency."""

Day = Annotated[str, Field(pattern=f"^$|{DAY}")]
"""YYYY-MM-DD, or nothing: a plain box in the form, where a value or null would be two."""

Kind = Annotated[str, Field(max_length=200)]
"""A word of the shop's own, or nothing."""

Goal = Literal["profit", "responses"]
"""What a plan is to make most of."""

Care = Literal["", "leaving", "worth_keeping"]
"""A group of customer care, or nothing."""

Names = list[Annotated[str, Field(min_length=1, max_length=200)]]
"""Names that a stage or params.yaml knows; the stage says which there are."""

Offers = list[OfferSettings]
"""As in params.yaml, section plan."""

NewProducts = Annotated[list[NewProduct], Field(min_length=1, max_length=50)]
"""As in params.yaml, section launch."""

Reach = Annotated[float, Field(gt=0, le=1)]
"""A share."""

Count = Annotated[int | None, Field(ge=1, le=20)]
"""How many, or as params.yaml says."""

HoldoutShare = Annotated[float | None, Field(ge=0.01, le=0.9)]
"""A share, or as params.yaml says. A plan without a holdout teaches nothing, so there is none."""

ApprovalMinutes = Annotated[float, Field(gt=0, le=60 * 24 * 14)]
"""A time in minutes, two weeks at most."""
