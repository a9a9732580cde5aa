"""Steps that learn: the encoder on pairs, top layers with towers, and a pre-training that is killed and resumed."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch

from bench.gpu.inference import PRECISIONS, utilisation
from bench.gpu.world import CHECKPOINT_EVERY, World
from nightmarket.encoding import packed
from nightmarket.encoding.device import choose_device
from nightmarket.encoding.encoder import Encoder

CLOSE = 0.02
"""How far a resumed training may end from one that ran through, as a share of its loss: sums on a GPU have no order."""


def pairs(world: World) -> None:
    """Forward, backward and update of the whole encoder, each text beside the next one."""
    texts = world.texts()
    for precision in PRECISIONS:
        encoder = Encoder.load(world.encoder(), "float32")
        encoder.model.requires_grad_(True)
        optimiser = torch.optim.AdamW(encoder.model.parameters(), lr=2e-5, fused=True)
        losses, seconds = [], []
        for step in range(world.sizes.steps):
            start = step * world.sizes.batch % max(1, len(texts) - world.sizes.batch)
            started = time.perf_counter()
            ids = encoder.tokenize(texts[start : start + world.sizes.batch])
            with torch.autocast(encoder.device.type, torch.bfloat16, precision == "bfloat16"):
                vectors = packed.embed(encoder, ids)
            scores = 20 * vectors[0::2] @ vectors[1::2].T
            loss = torch.nn.functional.cross_entropy(scores, torch.arange(len(scores), device=scores.device))
            loss.backward()
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
            losses.append(float(loss.detach()))
            seconds.append(time.perf_counter() - started)
        speed = world.sizes.batch / median(seconds[1:])
        figures = {"texts_per_second": round(speed), "loss": [round(losses[0], 3), round(losses[-1], 3)]}
        figures |= {"finite": bool(np.isfinite(losses).all())} | utilisation(encoder, texts, speed, passes=3)
        world.tell(**{precision: figures})


def towers(world: World) -> None:
    """The trainer of `finetune` on made-up purchases."""
    from nightmarket.encoding.layers import TopLayers
    from nightmarket.retrieval.tower import Tower, TowerConfig
    from nightmarket.retrieval.training import Trainer

    sizes, device = world.sizes, choose_device()
    texts = world.texts()[: sizes.items]
    for precision in PRECISIONS:
        encoder = Encoder.load(world.encoder(), precision)
        bank = encoder.encode(texts)
        top = TopLayers(encoder, 2 if sizes.layers > 2 else 1)
        hidden = top.hidden(texts)
        tower = Tower(TowerConfig(encoder.dim), seed=1)
        dtype = torch.bfloat16 if precision == "bfloat16" else torch.float32
        trainer = Trainer(_config(world), tower, _sampler(world), bank, device, dtype, top, hidden)
        seconds, losses = [], []
        for step in range(sizes.steps):
            started = time.perf_counter()
            losses.append(asdict(trainer.step(step))["loss"])
            seconds.append(time.perf_counter() - started)
        started = time.perf_counter()
        trainer.settle()
        figures: dict[str, Any] = {"loss": [round(losses[0], 3), round(losses[-1], 3)]}
        figures |= {"finite": bool(np.isfinite(losses).all()), "slowest_step_s": round(max(seconds), 2)}
        figures |= {
            "steps_per_second": round(1 / median(seconds), 2),
            "settle_s": round(time.perf_counter() - started, 2),
        }
        world.tell(**{precision: figures})


def _sampler(world: World) -> Any:
    """Purchases of a year: each customer again and again from a tenth of the items that is theirs."""
    from nightmarket.histories.histories import Histories
    from nightmarket.retrieval.samples import Sampler

    rng, sizes = np.random.default_rng(3), world.sizes
    lines = 40
    customer = np.repeat(np.arange(sizes.customers, dtype=np.int32), lines)
    own = rng.integers(10, size=sizes.customers)[customer]
    item = (10 * rng.integers(sizes.items // 10, size=len(customer)) + own).astype(np.int32)
    day = np.sort(rng.integers(364, size=(sizes.customers, lines)), axis=1).ravel().astype(np.int32)
    ones = np.ones(len(customer), np.float32)
    basket = (customer * 400 + day).astype(np.int32)
    arrays = (customer, item, day // 7, day, ones, ones, 0 * ones, basket, 0 * day)
    histories = Histories(*arrays, num_customers=sizes.customers, num_items=sizes.items)
    return Sampler(histories, np.arange(sizes.items, dtype=np.int32), 363, 28, 8)


def _config(world: World) -> Any:
    from nightmarket.retrieval.training import TrainingConfig

    batch = 64 if world.dry else 1024
    rates = {"learning_rate": 2e-3, "encoder_learning_rate": 1e-4, "weight_decay": 1e-2, "warmup_share": 0.1}
    counts = {"batch_size": batch, "live_texts": batch, "live_every": 2, "random_texts": 4 * batch}
    weights = {"clip_norm": 1.0, "repeat_weight": 0.1, "launch_weight": 1.0, "encoder_share": 0.8}
    return TrainingConfig(seed=1, max_steps=world.sizes.steps, **rates, **counts, **weights)


def resume(world: World) -> None:
    """A pre-training that is killed after its second checkpoint and goes on, beside one that runs through."""
    whole, killed = world.folder / "whole", world.folder / "killed"
    _read_on(world, killed, kill_after=2)
    world.tell(killed_after_step=2 * CHECKPOINT_EVERY)
    went_on = _read_on(world, killed)
    world.tell(resumed_from=went_on["resumed_from"])
    os.environ["NIGHTMARKET_HOME"] = str(whole)
    whole.mkdir()
    train(world, whole)
    through = json.loads((whole / "history.json").read_text(encoding="utf-8"))
    last, expected = (each["records"][-1]["loss"] for each in (went_on, through))
    with np.load(killed / "weights.npz") as ours, np.load(whole / "weights.npz") as theirs:
        apart = max(float(np.abs(ours[name] - theirs[name]).max()) for name in theirs.files)
        identical = all(np.array_equal(ours[name], theirs[name]) for name in theirs.files)
    same = abs(last - expected) <= CLOSE * abs(expected) and went_on["resumed_from"] > 0
    world.tell(
        loss=[round(last, 5), round(expected, 5)], largest_weight_difference=apart, identical=identical, equal=same
    )


def _read_on(world: World, home: Path, kill_after: int = 0) -> dict[str, Any]:
    """Train in a process of its own; with `kill_after` it is killed after so many checkpoints."""
    home.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "bench.gpu.learning", str(world.folder), str(world.files or ""), str(home)]
    env = {**os.environ, "NIGHTMARKET_HOME": str(home)}
    with subprocess.Popen(
        [*command, *(["--dry"] if world.dry else [])], env=env, stdout=subprocess.PIPE, text=True
    ) as child:
        saved = 0
        for line in child.stdout or ():
            saved += line.startswith("saved")
            if kill_after and saved == kill_after:
                child.send_signal(signal.SIGKILL)
                break
    if kill_after:
        return {}
    if child.returncode:
        raise RuntimeError(f"the training ended with exit code {child.returncode}")
    return dict(json.loads((home / "history.json").read_text(encoding="utf-8")))


def train(world: World, home: Path) -> None:
    """What a process of `resume` does: from the checkpoint to the end, then weights and history."""
    from nightmarket.encoding.masked import MaskingConfig, Pretrainer, pretrain
    from tasks.files.checkpoints import Checkpoint

    sizes = world.sizes
    rates = {
        "learning_rate": 1e-4,
        "head_learning_rate": 3e-3,
        "weight_decay": 1e-2,
        "warmup_share": 0.1,
        "clip_norm": 1.0,
    }
    steps = {"steps": sizes.pretrain_steps - sizes.pretrain_steps // 3, "head_steps": sizes.pretrain_steps // 3}
    config = MaskingConfig(seed=1, batch_size=min(512, sizes.batch), masked_share=0.15, **steps, **rates)
    trainer = Pretrainer(Encoder.load(world.encoder(), "float32"), world.texts()[: sizes.trained_texts], config)
    checkpoint = Checkpoint("pretrain", "resume")
    kept = checkpoint.load()
    resumed_from = len(kept[1]["records"]) if kept else 0

    def save(tensors: Any, history: Any) -> None:
        checkpoint.save(tensors, history)
        print("saved", flush=True)

    history = pretrain(trainer, checkpoint_every=CHECKPOINT_EVERY, save=save, resumed=kept)
    state = {name: value.detach().cpu().numpy() for name, value in trainer.body.state_dict().items()}
    np.savez(home / "weights.npz", **state)
    told = json.dumps(history | {"resumed_from": resumed_from})
    (home / "history.json").write_text(told, encoding="utf-8")


if __name__ == "__main__":
    place, files, own = sys.argv[1:4]
    train(World("resume", Path(place), Path(files) if files else None, "--dry" in sys.argv), Path(own))
