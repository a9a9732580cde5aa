"""UP-CF: recency-aware user-based collaborative filtering (Faggioli, Polato & Aiolli, UMAP 2020), from the paper."""

import numpy as np
from scipy import sparse

from bench.libraries.shop import Ints, Scores, Scoring, Shop


def recent_shares(shop: Shop, window: int) -> sparse.csr_matrix:
    """(C, I) UWPop@r: share of the customer's last `window` baskets that hold the item; window 0 takes all baskets.

    π(u, i) = |{b among u's last r baskets: i in b}| / min(r, number of u's baskets)
    """
    key = np.unique(shop.basket.astype(np.int64) * shop.num_items + shop.item)  # an item counts once a basket
    basket, item = key // shop.num_items, key % shop.num_items
    order, first = np.unique(shop.basket, return_index=True)
    owner = shop.customer[first]
    num_baskets = np.bincount(owner, minlength=shop.num_customers)
    by_owner = np.lexsort((order, owner))
    back = np.empty(order.size, np.int64)  # 0 = the customer's newest basket
    back[by_owner] = num_baskets[owner[by_owner]] - 1 - _position(owner[by_owner])
    place = np.searchsorted(order, basket)
    kept = back[place] < window if window else np.ones(place.size, bool)
    customer = owner[place[kept]]
    reach = np.minimum(num_baskets, window) if window else num_baskets
    data = (1.0 / reach[customer]).astype(np.float32)
    shape = (shop.num_customers, shop.num_items)
    return sparse.coo_matrix((data, (customer, item[kept])), shape=shape).tocsr()


def _position(sorted_owner: np.ndarray) -> np.ndarray:
    """(M,) 0, 1, 2 … within each run of equal owners."""
    return np.arange(sorted_owner.size) - np.searchsorted(sorted_owner, sorted_owner)


def asymmetric_cosine(bought: sparse.csr_matrix, alpha: float) -> np.ndarray:
    """(C, C) |Iu ∩ Iv| / (|Iu|^α |Iv|^(1-α)) of the customers' item sets (Aiolli, 2013)."""
    sets = bought.copy()
    sets.data = np.ones_like(sets.data)
    size = np.maximum(np.diff(sets.indptr), 1).astype(np.float32)
    common: np.ndarray = (sets @ sets.T).toarray()
    return common / (size[:, None] ** alpha * size[None, :] ** (1 - alpha))


class UpCf(Scoring):
    """Score of item i for customer u: Σ_v sim(u, v)^q π_r(v, i), u among the v."""

    def __init__(self, seed: int, recency: int = 100, alpha: float = 0.25, locality: int = 5) -> None:
        self.recency, self.alpha, self.locality = recency, alpha, locality

    def learn(self, shop: Shop) -> None:
        """Similarities (C, C) and shares (C, I)."""
        self._shares = recent_shares(shop, self.recency)
        self._near = asymmetric_cosine(shop.matrix(), self.alpha) ** self.locality

    def scores(self, customers: Ints) -> Scores:
        """(B, I); each row is scaled by its largest similarity, so that a high locality does not vanish."""
        near = self._near[customers]
        near = near / np.maximum(near.max(axis=1, keepdims=True), 1e-30)
        return np.ascontiguousarray((self._shares.T @ near.T).T, dtype=np.float32)
