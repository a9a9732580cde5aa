"""Adapter for RecTools' SASRec."""

import logging
import warnings
from typing import Any

import numpy as np
import pandas as pd
import torch
from pytorch_lightning import Trainer, seed_everything
from rectools import Columns
from rectools.dataset import Dataset
from rectools.models import SASRecModel
from rectools.models.nn.transformers.sasrec import SASRecDataPreparator

from bench.libraries.shop import Ints, Shop

warnings.filterwarnings("ignore")
logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
BASKET = "basket"


class BasketTargets(SASRecDataPreparator):
    """The target of a place is a random line of the next basket: within a basket the next line says nothing."""

    def _collate_fn_train(self, batch: list[Any]) -> dict[str, torch.Tensor]:
        content = super()._collate_fn_train(batch)
        content["y"].zero_()  # 0 is left out of the loss
        for row, (session, _, extras) in enumerate(batch):
            basket = np.asarray(extras[BASKET])
            first = np.searchsorted(basket, basket[:-1], side="right")
            open_ = np.flatnonzero(first < basket.size)
            first = first[open_]
            width = np.searchsorted(basket, basket[first], side="right") - first
            drawn = first + (torch.rand(first.size).numpy() * width).astype(np.int64)
            content["y"][row, self.session_max_len - basket.size + 1 + open_] = torch.tensor(session)[drawn]
        content["yw"].fill_(1.0)
        return content


class SasRec:
    """SASRec (Kang & McAuley, 2018) with full softmax, on the products with at least `least` purchase lines.

    The library trains on the last session of each user alone, so each customer's last `reach` lines are cut into
    sessions of `length` + 1 lines. target `line` is the library's own, the next line; `basket` see BasketTargets.
    """

    def __init__(
        self, seed: int, epochs: int, least: int, reach: int, length: int, target: str, **settings: Any
    ) -> None:
        self.seed, self.least, self.reach, self.length = seed, least, reach, length

        def trainer() -> Trainer:
            return Trainer(
                max_epochs=epochs,
                accelerator="cpu",
                logger=False,
                enable_checkpointing=False,
                enable_progress_bar=False,
                enable_model_summary=False,
            )

        self.model = SASRecModel(
            session_max_len=length,
            loss="softmax",  # uniform negatives out of so many products teach little but popularity
            get_trainer_func=trainer,
            data_preparator_type=BasketTargets if target == "basket" else SASRecDataPreparator,
            pos_encoding_kwargs={"use_scale_factor": True},
            data_preparator_kwargs={"extra_cols": [BASKET]},
            **settings,
        )

    def fit(self, shop: Shop) -> None:
        """Baskets in time, the lines of a basket in random order."""
        seed_everything(self.seed, verbose=False)
        lines = shop.sequence(np.flatnonzero(shop.frequent(self.least)), self.seed)
        owner = shop.customer[lines]
        back = np.searchsorted(owner, owner, side="right") - 1 - np.arange(owner.size)
        self._data = _dataset(shop, lines, owner)
        kept = back < self.reach
        session = owner.astype(np.int64) * (self.reach + 1) + back // (self.length + 1)
        self.model.fit(_dataset(shop, lines[kept], session[kept]))

    def recommend(self, customers: Ints, num: int, task: str) -> Ints:
        """(B, K); customers without a known product get an empty list. The library masks own purchases."""
        recommended = np.full((customers.size, num), -1, np.int32)
        frame = self.model.recommend(
            customers, self._data, k=num, filter_viewed=task == "new", on_unsupported_targets="ignore"
        )
        place = np.searchsorted(customers, frame[Columns.User].to_numpy())  # batches come sorted
        recommended[place, frame[Columns.Rank].to_numpy() - 1] = frame[Columns.Item]
        return recommended


def _dataset(shop: Shop, lines: np.ndarray, user: np.ndarray) -> Dataset:
    """The lines in the order given."""
    frame = pd.DataFrame({Columns.User: user, Columns.Item: shop.item[lines], BASKET: shop.basket[lines]})
    moment = pd.to_datetime(np.arange(lines.size), unit="s")
    return Dataset.construct(frame.assign(**{Columns.Weight: 1.0, Columns.Datetime: moment}), keep_extra_cols=True)
