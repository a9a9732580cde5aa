"""Adapters for RecBole: its data set, model and trainer, on the products with at least LEAST_LINES purchase lines."""

import contextlib
import logging
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from recbole.config import Config
from recbole.data import create_dataset
from recbole.data.dataloader import TrainDataLoader, UserDataLoader
from recbole.data.interaction import Interaction
from recbole.model.general_recommender import MultiVAE
from recbole.model.sequential_recommender import SASRec
from recbole.trainer import Trainer
from recbole.utils import init_seed

from bench.libraries.shop import Ints, Scores, Scoring, Shop

LEAST_LINES = 20
NO_SPLIT = {"split": {"RS": [1, 0, 0]}, "group_by": None, "mode": "full"}


class _RecBole(Scoring):
    """Writes RecBole's atomic file into a temporary folder, trains, and scores batches of customers."""

    name: str
    value: str

    def config(self) -> dict[str, Any]:
        """Settings of the model."""
        raise NotImplementedError

    def lines(self, shop: Shop) -> np.ndarray:
        """(M,) lines of the shop that are written."""
        raise NotImplementedError

    def values(self, shop: Shop, lines: np.ndarray) -> np.ndarray:
        """(M,) the column `value` of these lines."""
        raise NotImplementedError

    def train(self, config: Config, dataset: Any) -> Any:
        """The trained model."""
        raise NotImplementedError

    def learn(self, shop: Shop) -> None:
        """Train inside a temporary folder: RecBole writes logs and checkpoints where it runs."""
        lines = self.lines(shop)
        with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
            Path("shop").mkdir()
            rows = np.stack([shop.customer[lines], shop.item[lines], self.values(shop, lines)], axis=1)
            head = f"user_id:token\titem_id:token\t{self.value}:float"
            np.savetxt("shop/shop.inter", rows, fmt=["%d", "%d", "%.9g"], delimiter="\t", header=head, comments="")
            config = Config(self.name, "shop", config_dict=self._config(folder))
            init_seed(config["seed"], config["reproducibility"])
            logging.getLogger().setLevel(logging.ERROR)
            dataset = create_dataset(config)
            self._model = self.train(config, dataset)
        self._model.eval()
        tokens = dataset.field2id_token["item_id"][1:].astype(np.int64)
        self._items = tokens.astype(np.int32)
        users = dataset.field2token_id["user_id"]
        self._user = np.array([users.get(str(customer), 0) for customer in range(shop.num_customers)])
        self._place = np.zeros(shop.num_items, np.int64)
        self._place[tokens] = np.arange(1, tokens.size + 1)

    def _config(self, folder: str) -> dict[str, Any]:
        base = {
            "data_path": folder,
            "load_col": {"inter": ["user_id", "item_id", self.value]},
            "use_gpu": False,
            "show_progress": False,
        }
        base |= {"checkpoint_dir": f"{folder}/saved", "state": "ERROR", "seed": self.seed}
        base |= {"eval_args": NO_SPLIT | {"order": "TO" if self.value == "timestamp" else "RO"}}
        return base | {"train_neg_sample_args": None} | self.config()

    def _spread(self, scores: np.ndarray, customers: Ints) -> Scores:
        """(B, I) from RecBole's (B, 1 + known items); nothing for customers whom it never saw."""
        spread = np.full((customers.size, self.shop.num_items), -np.inf, np.float32)
        spread[:, self._items] = scores[:, 1:]
        spread[self._user[customers] == 0] = -np.inf
        return spread


class SasRec(_RecBole):
    """SASRec with full softmax on `samples` of the lines that open a basket, among each customer's last 400.

    The lines of a basket stand in random order, so that the line which opens it is any of the basket.
    """

    name, value, reach, span = "SASRec", "timestamp", 400, 50

    def __init__(self, seed: int, layers: int, dropout: float, samples: int, batch: int, epochs: int, **settings: Any):
        self.seed, self.samples, self.batch, self.epochs = seed, samples, batch, epochs
        self.settings = settings | {"n_layers": layers, "inner_size": 4 * settings["hidden_size"]}
        self.settings |= {"hidden_dropout_prob": dropout, "attn_dropout_prob": dropout}

    def config(self) -> dict[str, Any]:
        """Full softmax as RecBole has it by default."""
        fixed = {"MAX_ITEM_LIST_LENGTH": self.span, "train_batch_size": self.batch, "loss_type": "CE"}
        return self.settings | fixed | {"epochs": self.epochs}

    def lines(self, shop: Shop) -> np.ndarray:
        """The last `reach` frequent lines of each customer."""
        lines = shop.sequence(np.flatnonzero(shop.frequent(LEAST_LINES)), self.seed)
        owner = shop.customer[lines]
        back = np.searchsorted(owner, owner, side="right") - 1 - np.arange(owner.size)
        return lines[back < self.reach]

    def values(self, shop: Shop, lines: np.ndarray) -> np.ndarray:
        """Places in time; those that open a basket are kept for the training."""
        self._opens = np.diff(shop.basket[lines], prepend=-1) != 0
        return np.arange(lines.size)

    def train(self, config: Config, dataset: Any) -> Any:
        """RecBole's trainer on a random part of its augmented samples; a sample's time is that of its target."""
        history = dataset.inter_feat
        sequences = {
            int(user): items["item_id"].to_numpy()[-self.span :]
            for user, items in history.groupby("user_id", sort=False)
        }
        self._sequences = sequences
        whole = dataset.build()[0]
        opening = np.flatnonzero(self._opens[whole.inter_feat["timestamp"].numpy().astype(np.int64)])
        drawn = np.random.default_rng(self.seed).permutation(opening)[: self.samples]
        part = whole.copy(whole.inter_feat[drawn])
        model = SASRec(config, part)
        Trainer(config, model).fit(TrainDataLoader(config, part, None, shuffle=True), saved=False, verbose=False)
        return model

    def scores(self, customers: Ints) -> Scores:
        """(B, I) the next product after each customer's last lines."""
        sequence = torch.zeros((customers.size, self.span), dtype=torch.int64)
        length = torch.ones(customers.size, dtype=torch.int64)
        for row, user in enumerate(self._user[customers]):
            items = self._sequences.get(int(user))
            if items is not None:
                sequence[row, : items.size], length[row] = torch.from_numpy(items.copy()), items.size
        asked = Interaction({"item_id_list": sequence, "item_length": length})
        with torch.inference_mode():
            return self._spread(self._model.full_sort_predict(asked).numpy(), customers)


class MultiVae(_RecBole):
    """Mult-VAE (Liang et al., 2018) on distinct pairs; the library's own matrix is `binary`, others are put in."""

    name, value = "MultiVAE", "weight"

    def __init__(self, seed: int, hidden: int, epochs: int, batch: int, weight: str, **settings: Any) -> None:
        self.seed, self.epochs, self.batch, self.weight = seed, epochs, batch, weight
        self.settings = settings | {"mlp_hidden_size": [hidden]}

    def config(self) -> dict[str, Any]:
        """Annealed over some half of the training."""
        fixed = {"epochs": self.epochs, "train_batch_size": self.batch}
        return self.settings | fixed | {"total_anneal_steps": self.epochs * (1200 // self.batch)}

    def lines(self, shop: Shop) -> np.ndarray:
        """The first frequent line of each pair."""
        lines = np.flatnonzero(shop.frequent(LEAST_LINES))
        pair = shop.customer[lines].astype(np.int64) * shop.num_items + shop.item[lines]
        return lines[np.sort(np.unique(pair, return_index=True)[1])]

    def values(self, shop: Shop, lines: np.ndarray) -> np.ndarray:
        """Strength of each pair."""
        return np.asarray(shop.weighted(self.weight)[shop.customer[lines], shop.item[lines]]).ravel()

    def train(self, config: Config, dataset: Any) -> Any:
        """RecBole's trainer, whole customers a batch."""
        whole = dataset.build()[0]
        model = MultiVAE(config, whole)
        model.history_item_id, model.history_item_value, _ = whole.history_item_matrix(value_field=self.value)
        Trainer(config, model).fit(UserDataLoader(config, whole, None, shuffle=True), saved=False, verbose=False)
        return model

    def scores(self, customers: Ints) -> Scores:
        """(B, I)"""
        asked = Interaction({"user_id": torch.from_numpy(self._user[customers])})
        with torch.inference_mode():
            scores = self._model.full_sort_predict(asked).reshape(customers.size, -1)
        return self._spread(scores.numpy(), customers)
