"""What segments, and single customers, bought recently."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nightmarket.histories.histories import Histories
from tasks.campaigns import briefs
from tasks.files import catalogue
from tasks.files.prepared import Prepared
from tasks.models import recommender

RECENT = 26
"""Weeks of purchases that count."""


class Taste:
    """What groups of customers, and single ones, buy."""

    def __init__(self, data: Prepared) -> None:
        self.data = data
        self.recent = _lately(data, RECENT)
        self.customer = {customer_id: number for number, customer_id in enumerate(data.customers["customer_id"])}
        self.item = {product_id: number for number, product_id in enumerate(data.products["product_id"].tolist())}
        self.segment: dict[str, NDArray[np.int64]] = {}

    def group(self, rows: pd.DataFrame) -> None:
        """Who is in which segment, from rows of customer_id and segment."""
        for segment, group in rows.groupby("segment", sort=True):
            members = [self.customer[name] for name in group["customer_id"].unique()]
            self.segment[str(segment)] = np.array(members, dtype=np.int64)

    def favourites(self, planned: briefs.Planned) -> dict[tuple[str, str], str]:
        """(segment, offer) → product of the offer that most of the group's customers bought recently."""
        favourites_of = {}
        overall = planned.products["num_buyers"].to_numpy()
        self.group(planned.rows)
        for segment, group in planned.rows.groupby("segment", sort=True):
            lines = self.recent.where(np.isin(self.recent.customer, self.segment[str(segment)]))
            bought = _num_buyers(lines)
            for offer in group["offer"].unique():
                items = self.items(planned, str(offer))
                if items.size:
                    best = items[np.lexsort((items, -overall[items], -bought[items]))[0]]
                    favourites_of[str(segment), str(offer)] = self.data.products["product_id"].iloc[best]
        return favourites_of

    def items(self, planned: briefs.Planned, offer: str) -> NDArray[np.int64]:
        """Products of an offer as numbers."""
        ids = planned.offered[offer]["product_id"].tolist() if offer in planned.offered else []
        return np.array([self.item[product_id] for product_id in ids], dtype=np.int64)

    def vectors(self) -> dict[str, NDArray[np.float32]]:
        """segment → mean text vector of what it bought recently, unit norm."""
        texts = recommender.text_vectors(catalogue.CHAMPION_FINETUNE.path, self.data)
        text_id = self.data.products["text_id"].to_numpy()
        means = {}
        for segment, members in self.segment.items():
            lines = self.recent.where(np.isin(self.recent.customer, members))
            share = np.bincount(text_id[lines.item], minlength=len(texts)).astype(np.float32)
            mean = share @ texts.astype(np.float32)
            means[segment] = mean / max(float(np.linalg.norm(mean)), 1e-9)
        return means


def buyers(data: Prepared, weeks: int) -> NDArray[np.int64]:
    """(I,) customers who bought each product in the last weeks."""
    return _num_buyers(_lately(data, weeks))


def _lately(data: Prepared, weeks: int) -> Histories:
    """The lines of the last weeks."""
    last = data.windows.last_day
    return data.histories.between(last - 7 * weeks + 1, last)


def _num_buyers(lines: Histories) -> NDArray[np.int64]:
    """(I,) customers with a line of each item."""
    pairs = np.unique(lines.customer.astype(np.int64) * lines.num_items + lines.item)
    return np.bincount(pairs % lines.num_items, minlength=lines.num_items)
