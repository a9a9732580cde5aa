"""Who may be contacted, as params.yaml says, and each customer's segment."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field

from nightmarket.contracts import InputError
from tasks.files import catalogue
from tasks.pipeline.settings import StageSettings


class Audience(StageSettings):
    """Who may be contacted."""

    segments: tuple[str, ...] = Field((), description="names of segments; empty: everybody")
    min_baskets: int = Field(1, ge=0, description="baskets before the campaign, at least")


def segments(customers: pd.DataFrame, wanted: tuple[str, ...]) -> NDArray[np.object_]:
    """(C,) the segment of each customer, None where there is none; InputError for a wanted segment that is not there.

    customers  customer, customer_id; row i is customer i
    """
    out = np.full(len(customers), None, object)
    if catalogue.SEGMENTS.exists():
        table = catalogue.SEGMENTS.read(["customer_id", "segment"]).to_pandas()
        segment = customers["customer_id"].map(table.set_index("customer_id")["segment"]).astype(object)
        out = segment.where(segment.notna(), None).to_numpy(object)
    known = {name for name in out.tolist() if name is not None}
    for at, name in enumerate(wanted):
        if name not in known:
            there = f"there are {', '.join(sorted(known))}" if known else "there are no segments"
            raise InputError(f"params.yaml: plan.audience.segments.{at}: no segment '{name}'; {there}")
    return out
