"""Adapter for LightFM (Kula, 2015): factors summed over the features of products, trained with WARP."""

from typing import Any

import numpy as np
from lightfm import LightFM
from scipy import sparse

from bench.libraries.shop import Ints, Scores, Scoring, Shop


def item_features(shop: Shop, names: list[str]) -> sparse.csr_matrix:
    """(I, F) one entry of 1/number of names per product and name; `id` is the product itself, the others its levels."""
    blocks = []
    for name in names:
        codes = np.arange(shop.num_items) if name == "id" else getattr(shop, name)
        shape = (shop.num_items, int(codes.max(initial=0)) + 1)
        ones = np.full(shop.num_items, 1.0 / len(names), np.float32)
        blocks.append(sparse.coo_matrix((ones, (np.arange(shop.num_items), codes)), shape=shape))
    return sparse.hstack(blocks, format="csr", dtype=np.float32)


class HybridWarp(Scoring):
    """LightFM with WARP. Products never sold are ranked through their levels: their own `id` row is left out."""

    def __init__(self, seed: int, epochs: int, features: str, **settings: Any) -> None:
        self.epochs, self.names = epochs, features.split("+")
        self.model = LightFM(loss="warp", random_state=seed, **settings)

    def learn(self, shop: Shop) -> None:
        """Train on distinct pairs, on one thread, so that a seed fixes the result."""
        features = item_features(shop, self.names)
        pairs = shop.weighted("binary").tocoo()
        self.model.fit(pairs, item_features=features, epochs=self.epochs, num_threads=1)
        levels = features.copy()
        if "id" in self.names:
            unsold = np.repeat(~shop.sold, np.diff(levels.indptr))
            levels.data[unsold & (levels.indices < shop.num_items)] = 0
        bias, vectors = self.model.get_item_representations(levels)
        self._bias, self._vectors = bias.astype(np.float32), vectors.astype(np.float32)
        self._users = self.model.get_user_representations()[1].astype(np.float32)

    def scores(self, customers: Ints) -> Scores:
        """(B, I)"""
        return self._users[customers] @ self._vectors.T + self._bias
