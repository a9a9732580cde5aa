"""Steps that encode: the machine itself, our encoder on it, and sentence-transformers beside ours."""

import copy
import logging
import os
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np
import torch

from bench.encode import operations_per_token
from bench.gpu.world import World
from bench.machine import gpu_peak, machine
from nightmarket.encoding.device import choose_device
from nightmarket.encoding.encoder import Encoder
from nightmarket.encoding.forward import Quickest, plain

PRECISIONS = ("bfloat16", "float32")
LEAST_COSINE = {"bfloat16": 0.999, "float32": 0.99999}
"""Of each vector to that of the CPU in float32."""


class Plain(Quickest):
    """The forward pass of transformers, without compilation."""

    def of(self, model: Any) -> Callable[[torch.Tensor], torch.Tensor]:
        return plain(model)


class Heard(logging.Handler):
    """What was said, by the lines."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


def about_machine(world: World) -> None:
    """Device, versions, and the best product of two square bf16 matrices."""
    device = choose_device()
    world.tell(**machine(("numpy", "torch", "transformers")), device=device.type, gpus=torch.cuda.device_count())
    size = world.sizes.matrix
    left, right = torch.randn(2, size, size, device=device).to(torch.bfloat16)
    seconds = []
    for _ in range(10):
        started = time.perf_counter()
        float((left @ right)[0, 0])
        seconds.append(time.perf_counter() - started)
    measured = 2.0 * size**3 / min(seconds)
    world.tell(matmul_tflops=round(measured / 1e12, 3), stated_tflops=_tflops(gpu_peak()))


def encode(world: World) -> None:
    """Cold, then warm; compiled, then plain; each beside the CPU."""
    texts, folder = world.texts(), world.encoder()
    some = texts[: world.sizes.num_equal]
    reference = Encoder.load(folder, "float32")
    reference.model = reference.model.cpu()
    expected = reference.encode(some)
    for precision in PRECISIONS:
        heard = Heard()
        logging.getLogger("nightmarket").addHandler(heard)
        logging.getLogger("nightmarket").setLevel(logging.INFO)
        started = time.perf_counter()
        encoder = Encoder.load(folder, precision)
        vectors = encoder.encode(some)
        cold = time.perf_counter() - started
        cosine = float((vectors * expected).sum(axis=1).min())
        equal = {"min_cosine_to_cpu": round(cosine, 6), "equal": cosine > LEAST_COSINE[precision]}
        speed = _speed(encoder, texts, world.sizes.rounds)
        figures = {"texts_per_second": round(speed), "first_call_s": round(cold, 2), **equal}
        figures |= {"forward": heard.lines[-1] if heard.lines else "compiled" if _on_gpu() else "fused"}
        world.tell(**{precision: figures | utilisation(encoder, texts, speed)})
        encoder._quickest = Plain()
        world.tell(**{f"{precision}_plain": {"texts_per_second": round(_speed(encoder, texts, 1))}})


def peers(world: World) -> None:
    """sentence-transformers with its defaults and in bf16, in turn with ours."""
    from sentence_transformers import SentenceTransformer

    os.environ["HF_HUB_OFFLINE"] = "1"
    folder, device = world.encoder(), str(choose_device())
    texts = world.texts()[: max(64, world.sizes.num_texts // 4)]
    ours = Encoder.load(folder, "bfloat16")
    usual = SentenceTransformer(folder, device=device)
    half = copy.deepcopy(usual).to(torch.bfloat16)
    sides: dict[str, Callable[[list[str]], Any]] = {
        "ours": ours.encode,
        "theirs": lambda some: usual.encode(some, show_progress_bar=False),
        "theirs_bfloat16": lambda some: half.encode(some, show_progress_bar=False),
    }
    speeds: dict[str, list[float]] = {name: [] for name in sides}
    for side in sides.values():
        side(texts[:256])
    for _ in range(world.sizes.rounds):
        for name, side in sides.items():
            started = time.perf_counter()
            side(texts)
            speeds[name].append(len(texts) / (time.perf_counter() - started))
        middle = {name: median(values) for name, values in speeds.items()}
        world.tell(
            texts_per_second={name: round(value) for name, value in middle.items()},
            ratio=round(middle["ours"] / middle["theirs"], 2),
            ratio_bfloat16=round(middle["ours"] / middle["theirs_bfloat16"], 2),
        )


def utilisation(encoder: Encoder, texts: list[str], texts_per_second: float, passes: int = 1) -> dict[str, Any]:
    """Model FLOPs a second, and the share of what the maker states; a backward pass counts as two forward ones."""
    some = encoder.tokenize(texts[:2000])
    tokens = float(np.mean([len(row) for row in some]))
    flops = passes * texts_per_second * tokens * operations_per_token(encoder.model, tokens)
    peak = gpu_peak()
    share = None if peak is None else round(flops / peak, 4)
    return {"tokens_per_text": round(tokens, 1), "model_tflops": _tflops(flops), "model_flop_utilisation": share}


def _speed(encoder: Encoder, texts: list[str], rounds: int) -> float:
    speeds = []
    for _ in range(rounds):
        started = time.perf_counter()
        encoder.encode(texts)
        speeds.append(len(texts) / (time.perf_counter() - started))
    return median(speeds)


def _tflops(value: float | None) -> float | None:
    return None if value is None else round(value / 1e12, 4)


def _on_gpu() -> bool:
    return choose_device().type == "cuda"
