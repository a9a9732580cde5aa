"""How a product is chosen in a week: what visits draw from, and what the truth gives as probabilities.

A model of a kind is chosen in proportion to the customer's taste for its style and look, times a weight that the model
has for customers of a level of price in that week. Models that share kind, style and look form a cell: a choice draws
a cell by taste and the cell's weight, then a model within it.

Shapes: M models, L levels of price, K kinds, Y pairs of style and look, N draws, B customers.
"""

from dataclasses import dataclass

import numpy as np

from bench.shops.assortment import STYLES, Assortment
from bench.shops.profiles import LEVELS, LOOKS, ShopProfile
from nightmarket.contracts.arrays import Bools, Float32s, Float64s, Int32s, Int64s, Values

PAIRS = STYLES * LOOKS
PRICE_TOLERANCE = 0.8
POPULAR = 1.4
"""Exponent of quality in what is popular."""
STALE = 0.4
"""What is left of a product's freshness in the end."""
PROMOTED_VIEWS, PROMOTED_CARTS = 6.0, 1.5


@dataclass(frozen=True)
class Shelves:
    """The models in the order of their cells, and what does not change from week to week."""

    profile: ShopProfile
    assortment: Assortment
    order: Int64s
    """(M,) models sorted by cell"""
    bounds: Int64s
    """(K * Y + 1,) where each cell begins in that order"""
    price: Float32s
    """(L, M) how well a price suits a level"""

    @classmethod
    def build(cls, profile: ShopProfile, assortment: Assortment) -> "Shelves":
        """Sort the models."""
        cell = (assortment.kind.astype(np.int64) * STYLES + assortment.style) * LOOKS + assortment.look
        order = np.argsort(cell, kind="stable")
        bounds = np.searchsorted(cell[order], np.arange(assortment.num_kinds * PAIRS + 1))
        off = assortment.relative[None, :] - np.array(LEVELS, np.float32)[:, None]
        price = np.exp(-0.5 * profile.taste * (off / PRICE_TOLERANCE) ** 2)
        return cls(profile, assortment, order, bounds, price.astype(np.float32))

    @property
    def pair(self) -> Int32s:
        """(M,) style and look of each model."""
        return self.assortment.style * LOOKS + self.assortment.look

    def promoted(self, week: int, seed: int) -> Bools:
        """(M,) what is promoted in a week: planned in advance, the same whenever it is asked."""
        chance = np.random.default_rng([seed, 9, week]).random(self.assortment.num_models, np.float32)
        return (chance < self.profile.promoted) & self.assortment.live(week)

    def appeal(self, week: int) -> Float32s:
        """(M,) quality times freshness; 0 for what is not on sale."""
        age = np.maximum(week - self.assortment.first, 0).astype(np.float32)
        fresh = STALE + np.exp(-age / np.float32(self.profile.fresh_weeks))
        return np.where(self.assortment.live(week), self.assortment.quality * fresh, 0).astype(np.float32)

    def cart_weights(self, week: int, seed: int) -> Float32s:
        """(L, M) of a choice for the cart among main products."""
        lift = np.where(self.promoted(week, seed), np.float32(PROMOTED_CARTS), np.float32(1))
        main = self.appeal(week) * self.assortment.conversion * lift * self.assortment.main()
        return main[None, :] * self.price

    def view_weights(self, week: int) -> Float32s:
        """(L, M) of a look: conversion does not show, price matters less."""
        main = self.appeal(week) * self.assortment.main()
        return main[None, :] * np.sqrt(self.price)

    def popular_weights(self, week: int, seed: int) -> Float64s:
        """(M,) of what is shown to everybody, sums to 1; zeros where nothing is on sale."""
        lift = np.where(self.promoted(week, seed), PROMOTED_VIEWS, 1.0)
        shown = self.appeal(week).astype(np.float64) ** POPULAR * lift * self.assortment.main()
        return shown / max(shown.sum(), 1e-300)

    def accessory_weights(self, week: int) -> Float32s:
        """(L, M) of accessories, to be chosen among those that fit a family."""
        extra = self.appeal(week) * self.assortment.conversion * ~self.assortment.main()
        return extra[None, :] * self.price

    def cell_sums(self, weights: Float32s) -> Float64s:
        """(L, K, Y) sums of weights (L, M) over cells."""
        running = self._running(weights)
        sums = running[:, self.bounds[1:]] - running[:, self.bounds[:-1]]
        return sums.reshape(weights.shape[0], self.assortment.num_kinds, PAIRS)

    def _running(self, weights: Float32s) -> Float64s:
        """(L, M + 1) running sums in the order of the cells."""
        running = np.zeros((weights.shape[0], weights.shape[1] + 1))
        np.cumsum(weights[:, self.order], axis=1, dtype=np.float64, out=running[:, 1:])
        return running


class Choice:
    """Draws of models of a kind by taste, with weights (L, M)."""

    def __init__(self, shelves: Shelves, weights: Float32s) -> None:
        self._shelves, self._running = shelves, shelves._running(weights)
        bounds = shelves.bounds
        sums = self._running[:, bounds[1:]] - self._running[:, bounds[:-1]]
        self._cells = sums.reshape(weights.shape[0], shelves.assortment.num_kinds, PAIRS).astype(np.float32)

    def draw(self, rng: np.random.Generator, taste: Float32s, customer: Int64s, level: Int32s, kind: Values) -> Int64s:
        """(N,) a model each, -1 where nothing of the kind is on sale.

        taste     (C, Y)
        customer  (N,) rows of `taste`
        level     (N,)
        kind      (N,) -1 draws nothing
        """
        model = np.full(customer.size, -1, np.int64)
        wanted = np.flatnonzero(kind >= 0)
        for start in range(0, wanted.size, 1 << 16):
            rows = wanted[start : start + (1 << 16)]
            model[rows] = self._draw(rng, taste[customer[rows]], level[rows], kind[rows])
        return model

    def _draw(self, rng: np.random.Generator, taste: Float32s, level: Int32s, kind: Values) -> Int64s:
        weights = taste * self._cells[level, kind]
        total = np.cumsum(weights, axis=1, dtype=np.float32)
        dice = rng.random((2, level.size))
        aim = dice[0] * total[:, -1]
        pair = np.minimum((total <= aim[:, None].astype(np.float32)).sum(axis=1), PAIRS - 1)
        pair = np.where(np.take_along_axis(weights, pair[:, None], 1)[:, 0] > 0, pair, weights.argmax(axis=1))
        cell = kind.astype(np.int64) * PAIRS + pair
        place = self._within(self._shelves.bounds[cell], self._shelves.bounds[cell + 1], level, dice[1])
        return np.where(total[:, -1] > 0, self._shelves.order[place], -1)

    def _within(self, first: Int64s, last: Int64s, level: Int32s, dice: Float64s) -> Int64s:
        """(N,) places in the order of the cells, from `first` until before `last`, by weight."""
        place = np.zeros(level.size, np.int64)
        for step in range(self._running.shape[0]):
            rows = np.flatnonzero(level == step)
            running = self._running[step]
            low, high = running[first[rows]], running[last[rows]]
            reached = np.searchsorted(running, low + dice[rows] * (high - low), side="right") - 1
            place[rows] = np.clip(reached, first[rows], np.maximum(last[rows] - 1, first[rows]))
        return np.minimum(place, self._shelves.order.size - 1)


class Grouped:
    """Draws of models of a group (a family's accessories, or all models as one group) with weights (L, M)."""

    def __init__(self, group: Int32s, num_groups: int, weights: Values) -> None:
        self._order = np.argsort(group, kind="stable")
        self._bounds = np.searchsorted(group[self._order], np.arange(num_groups + 1))
        self._running = np.zeros((weights.shape[0], group.size + 1))
        np.cumsum(weights[:, self._order], axis=1, dtype=np.float64, out=self._running[:, 1:])

    def draw(self, rng: np.random.Generator, group: Values, level: Int32s) -> Int64s:
        """(N,) a model each, -1 where the group has nothing on sale."""
        model = np.full(group.size, -1, np.int64)
        dice = rng.random(group.size)
        for step in range(self._running.shape[0]):
            rows = np.flatnonzero(level == step)
            running, first, last = self._running[step], self._bounds[group[rows]], self._bounds[group[rows] + 1]
            low, high = running[first], running[last]
            reached = np.searchsorted(running, low + dice[rows] * (high - low), side="right") - 1
            place = np.clip(reached, first, np.maximum(last - 1, first))
            model[rows] = np.where(high > low, self._order[np.minimum(place, self._order.size - 1)], -1)
        return model
