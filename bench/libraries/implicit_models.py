"""Adapters for implicit: matrix factorisation and item neighbours."""

from typing import Any

import numpy as np
from implicit.als import AlternatingLeastSquares
from implicit.bpr import BayesianPersonalizedRanking
from implicit.nearest_neighbours import BM25Recommender, CosineRecommender
from scipy import sparse

from bench.libraries.shop import Ints, Shop


class _Implicit:
    """A model of implicit on the products that were sold; the library masks own purchases itself."""

    def __init__(self, seed: int, weight: str = "log", **settings: Any) -> None:
        self.weight = weight
        self.model = self.make(seed, **settings)

    def make(self, seed: int, **settings: Any) -> Any:
        """The library's model."""
        raise NotImplementedError

    def fit(self, shop: Shop) -> None:
        """Fit on the (C, sold items) matrix of `weight`."""
        self._items = np.flatnonzero(shop.sold).astype(np.int32)
        self._rows = self.matrix(shop)
        self.model.fit(self._rows, show_progress=False)

    def matrix(self, shop: Shop) -> sparse.csr_matrix:
        """(C, sold items); `lines` has an entry per purchase line, the other weights one per pair."""
        if self.weight != "lines":
            return shop.weighted(self.weight)[:, self._items].tocsr()
        order = np.lexsort((shop.item, shop.customer))
        place = np.searchsorted(self._items, shop.item[order]).astype(np.int32)
        indptr = np.searchsorted(shop.customer[order], np.arange(shop.num_customers + 1)).astype(np.int32)
        shape = (shop.num_customers, self._items.size)
        return sparse.csr_matrix((np.ones(place.size, np.float32), place, indptr), shape=shape)

    def recommend(self, customers: Ints, num: int, task: str) -> Ints:
        """(B, K); implicit fills short lists with scores of 0 or of -max, which are cut here."""
        asked = min(num, self._items.size)
        place, score = self.model.recommend(
            customers, self._rows[customers], N=asked, filter_already_liked_items=task == "new"
        )
        known = (place >= 0) & (score > np.finfo(np.float32).min) & np.isfinite(score)
        best = np.full((customers.size, num), -1, np.int32)
        best[:, :asked] = np.where(known, self._items[np.maximum(place, 0)], -1)
        return best


class Als(_Implicit):
    """Weighted matrix factorisation by alternating least squares (Hu, Koren & Volinsky, 2008)."""

    def make(self, seed: int, **settings: Any) -> AlternatingLeastSquares:
        """implicit.als"""
        return AlternatingLeastSquares(random_state=seed, use_gpu=False, num_threads=1, **settings)


class Bpr(_Implicit):
    """Bayesian personalised ranking (Rendle et al., 2009).

    The library draws negatives by how often a product is in the matrix, so popularity cancels out of the scores;
    prior 1 adds its logarithm to the products' biases again, 0 leaves the library as it is.
    """

    def __init__(self, seed: int, prior: float = 0.0, **settings: Any) -> None:
        super().__init__(seed, **settings)
        self.prior = prior

    def fit(self, shop: Shop) -> None:
        """With the weight `lines` a pair stands in the matrix once for every purchase line and is drawn as often."""
        super().fit(shop)
        entries = np.maximum(np.bincount(self._rows.indices, minlength=self._items.size), 1)
        self.model.item_factors[:, -1] += self.prior * np.log(entries)

    def make(self, seed: int, **settings: Any) -> BayesianPersonalizedRanking:
        """implicit.bpr"""
        return BayesianPersonalizedRanking(random_state=seed, use_gpu=False, num_threads=1, **settings)


class CosineItems(_Implicit):
    """Item neighbours by cosine."""

    def make(self, seed: int, **settings: Any) -> CosineRecommender:
        """implicit.nearest_neighbours"""
        return CosineRecommender(num_threads=1, **settings)


class Bm25Items(_Implicit):
    """Item neighbours after BM25 weighting."""

    def make(self, seed: int, **settings: Any) -> BM25Recommender:
        """implicit.nearest_neighbours"""
        return BM25Recommender(num_threads=1, **settings)
