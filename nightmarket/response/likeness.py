"""Does a customer shop like those who answered? And, where texts have vectors, like what is on offer?"""

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from nightmarket.contracts.arrays import Int32s
from nightmarket.response.affinity import membership
from nightmarket.response.market import Campaign, Market

HALF_LIFE = 90.0
"""Days after which a purchase counts half."""
PRIOR = 20.0
"""Answers that the answerers' mean basket is shrunk by."""


def likeness(market: Market, campaign: Campaign, customers: Int32s) -> dict[str, NDArray]:
    """Columns (N,) of the customers (N, ascending), from all that was known on the market's day.

    `alike` is Rocchio's relevance feedback (1971): a customer's mix of kinds of product, times the difference between
    the mean mix of those who answered campaigns and of all who were shown them.
    """
    everyone = np.union1d(customers, np.union1d(market.contacts.customer, market.answers.customer)).astype(np.int32)
    lines = market.of(everyone)
    fresh = np.exp2(-(market.day - lines.day) / HALF_LIFE)
    kind = market.catalogue.kind
    mix = _mix(lines.customer, kind[lines.item], fresh, (everyone.size, int(kind.max(initial=0)) + 1))
    here = np.searchsorted(everyone, customers)
    shown = np.searchsorted(everyone, market.contacts.customer)
    said = np.searchsorted(everyone, market.answered.customer)
    columns = {"alike": mix[here] @ _direction(mix, shown, said)}
    if market.vectors is not None:
        spread = sparse.csr_matrix(_mix(lines.customer, lines.item, fresh, (everyone.size, lines.num_items)))
        profile = _unit(spread @ market.vectors)
        columns["text_alike"] = profile[here] @ _direction(profile, shown, said)
        columns |= _text(market, campaign, profile[here])
    return columns


def _mix(rows: Int32s, codes: Int32s, weight: NDArray, shape: tuple[int, int]) -> sparse.csr_matrix:
    """Unit rows of log counts."""
    counts = sparse.coo_matrix((weight, (rows, codes)), shape=shape).tocsr()
    counts.data = np.log1p(counts.data)
    length = np.sqrt(np.asarray(counts.multiply(counts).sum(axis=1)).ravel())
    return sparse.csr_matrix(sparse.diags(1 / np.maximum(length, 1e-9)) @ counts)


def _direction(mix: sparse.csr_matrix | NDArray, shown: NDArray, said: NDArray) -> NDArray:
    """(D,) from those who were shown campaigns to those who answered, shrunk where there are few."""
    if said.size == 0 or shown.size == 0:
        return np.zeros(mix.shape[1])
    among, all_of = (np.bincount(rows, minlength=mix.shape[0]) / rows.size for rows in (said, shown))
    return np.asarray(mix.T @ (among - all_of)).ravel() * said.size / (said.size + PRIOR)


def _text(market: Market, campaign: Campaign, profile: NDArray) -> dict[str, NDArray]:
    """Cosine of customers' texts and the offers' texts: of all offers together, and the best single one."""
    assert market.vectors is not None
    if not campaign.items.size:
        return {name: np.zeros(len(profile)) for name in ("text_match", "text_best")}
    member = membership(campaign, market.catalogue.num_items)
    offers = _unit(member.T @ market.vectors)
    return {
        "text_match": profile @ _unit(market.vectors[campaign.items].mean(axis=0, keepdims=True))[0],
        "text_best": (profile @ offers.T).max(axis=1),
    }


def _unit(vectors: NDArray) -> NDArray:
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9))
