"""How much of what a customer buys is on offer: per customer and offer, and summed over a campaign."""

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from nightmarket.contracts.arrays import Float32s, Int32s
from nightmarket.histories import Histories
from nightmarket.ranking import Catalogue
from nightmarket.response.market import Campaign

HALF_LIFE = 60.0
"""Days after which a purchase counts half."""


@dataclass(frozen=True)
class Affinity:
    """N customers, O offers; every array (N, O).

    items  fresh lines of products on the offer
    lines  fresh lines of the offer's product lines (a maker's goods of one kind), each by the offer's share of it
    kinds  the same for kinds of product
    last   days since a product on the offer was bought, 400 where never
    """

    items: Float32s
    lines: Float32s
    kinds: Float32s
    last: Float32s


def affinity(lines: Histories, catalogue: Catalogue, campaign: Campaign, day: int) -> Affinity:
    """From the customers' lines before `day`."""
    member = membership(campaign, catalogue.num_items)
    age = (day - lines.day).astype(np.float32)
    fresh = np.exp2(-age / HALF_LIFE)
    num_offers = len(campaign.offers)

    def level(codes: Int32s, shares: sparse.csr_matrix) -> Float32s:
        shape = (lines.num_customers, shares.shape[0])
        bought = sparse.coo_matrix((fresh, (lines.customer, codes[lines.item])), shape=shape).tocsr()
        return np.asarray((bought @ shares).todense(), np.float32)

    last = np.full((lines.num_customers, num_offers), 400, np.float32)
    on = np.diff(member.indptr)[lines.item] > 0
    if on.any():
        hit = member[lines.item[on]].tocoo()
        np.minimum.at(last, (lines.customer[on][hit.row], hit.col), np.minimum(age[on][hit.row], 400))
    return Affinity(
        items=level(np.arange(catalogue.num_items, dtype=np.int32), member),
        lines=level(catalogue.line, shares_of(member, catalogue.line)),
        kinds=level(catalogue.kind, shares_of(member, catalogue.kind)),
        last=last,
    )


def membership(campaign: Campaign, num_items: int) -> sparse.csr_matrix:
    """(I, O) 1 where the offer applies to the item."""
    offer = np.repeat(np.arange(len(campaign.offers)), [o.items.size for o in campaign.offers])
    item = np.concatenate([o.items for o in campaign.offers]) if campaign.offers else np.zeros(0, np.int32)
    ones = np.ones(item.size, np.float32)
    return sparse.coo_matrix((ones, (item, offer)), shape=(num_items, len(campaign.offers))).tocsr()


def shares_of(member: sparse.csr_matrix, codes: Int32s) -> sparse.csr_matrix:
    """(G, O) share of each code's items that an offer applies to."""
    num_codes = int(codes.max(initial=0)) + 1
    size = np.bincount(codes, minlength=num_codes)
    ones = np.ones(codes.size, np.float32)
    groups = sparse.coo_matrix((ones, (codes, np.arange(codes.size))), shape=(num_codes, codes.size)).tocsr()
    return sparse.csr_matrix(sparse.diags(1 / np.maximum(size, 1)) @ groups @ member)
