"""Adapters for RecTools' transformers."""

import logging
import warnings
from typing import Any

import numpy as np
import pandas as pd
from pytorch_lightning import Trainer, seed_everything
from rectools import Columns
from rectools.dataset import Dataset
from rectools.models import BERT4RecModel, SASRecModel

from bench.peers.shop import Ints, Shop

warnings.filterwarnings("ignore")
logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
LEAST_LINES = 5


class _Transformer:
    """The library masks own purchases; it is given the products with at least LEAST_LINES purchase lines."""

    model_class: type

    def __init__(self, seed: int, epochs: int, **settings: Any) -> None:
        self.seed = seed

        def trainer() -> Trainer:
            return Trainer(
                max_epochs=epochs,
                accelerator="cpu",
                logger=False,
                enable_checkpointing=False,
                enable_progress_bar=False,
                enable_model_summary=False,
            )

        self.model = self.model_class(
            session_max_len=50, loss="sampled_softmax", batch_size=64, get_trainer_func=trainer, **settings
        )

    def fit(self, shop: Shop) -> None:
        """Baskets in time; within a basket the order of the till, because the library wants one."""
        seed_everything(self.seed, verbose=False)
        lines = np.flatnonzero(shop.frequent(LEAST_LINES))
        moment = pd.to_datetime(shop.day[lines], unit="D") + pd.to_timedelta(lines, unit="us")
        frame = pd.DataFrame({Columns.User: shop.customer[lines], Columns.Item: shop.item[lines]})
        self._data = Dataset.construct(frame.assign(**{Columns.Weight: 1.0, Columns.Datetime: moment}))
        self.model.fit(self._data)

    def recommend(self, customers: Ints, num: int, task: str) -> Ints:
        """(B, K); customers with fewer than two lines get an empty list."""
        found = np.full((customers.size, num), -1, np.int32)
        frame = self.model.recommend(
            customers, self._data, k=num, filter_viewed=task == "new", on_unsupported_targets="ignore"
        )
        place = np.searchsorted(customers, frame[Columns.User].to_numpy())  # batches come sorted
        found[place, frame[Columns.Rank].to_numpy() - 1] = frame[Columns.Item]
        return found


class SasRec(_Transformer):
    """SASRec (Kang & McAuley, 2018) with sampled softmax."""

    model_class = SASRecModel


class Bert4Rec(_Transformer):
    """BERT4Rec (Sun et al., 2019) with sampled softmax."""

    model_class = BERT4RecModel
