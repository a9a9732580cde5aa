"""Texts per second of our encoding in bf16 and int8 beside sentence-transformers' `encode()` with its defaults.

python -m bench.encode --texts artifacts/prepare/texts.parquet [--openvino PYTHON]

All read the same folder and texts, in turn, round after round, on every core; figures are medians over rounds. Each
round of sentence-transformers takes another share of the texts, so that in the end its vectors stand beside ours for
every text. Cold is the first call of a process: loading, kernels built, 20,000 texts at that speed. The matrix peak is
the best bf16 product of [N, in] x [in, out] at the model's shapes in the same process.
"""

import argparse
import json
import logging
import subprocess
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from bench.machine import gpu_peak, machine
from nightmarket.encoding.encoder import Encoder
from nightmarket.encoding.models import PACKAGED, resolve_model

OPENVINO_NEEDS = "sentence-transformers[openvino]==6.2.0, which wants an older transformers than ours"
OPENVINO = """
import json, sys, time
from sentence_transformers import SentenceTransformer
folder, texts = sys.argv[1], json.load(sys.stdin)
model = SentenceTransformer(folder, backend="openvino", device="cpu")
model.encode(texts[:64])
started = time.perf_counter()
model.encode(texts, batch_size=32)
print(len(texts) / (time.perf_counter() - started))
"""
"""What a user would pick on a CPU; in another environment, since the two cannot live in one."""
Vectors = NDArray[np.float32]
log = logging.getLogger("bench.encode")


def main() -> None:
    """Measure, and print one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--texts", type=Path, default=Path("artifacts/prepare/texts.parquet"))
    parser.add_argument("--num-texts", type=int, default=None, help="a random sample of so many; default: all")
    parser.add_argument("--model", default=PACKAGED)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--seed", type=int, default=20260101)
    parser.add_argument("--openvino", metavar="PYTHON", help=f"an interpreter that has {OPENVINO_NEEDS}")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    warnings.filterwarnings("ignore")
    texts = read_texts(arguments.texts, arguments.num_texts, arguments.seed)
    folder = resolve_model(arguments.model)
    figures = measure(folder, texts, arguments.rounds) | {"seed": arguments.seed}
    if arguments.openvino:
        speeds = [openvino(arguments.openvino, folder, texts) for _ in range(arguments.rounds)]
        figures["texts_per_second"]["openvino"] = round(median(speeds))
    print(json.dumps(figures))


def read_texts(path: Path, number: int | None, seed: int) -> list[str]:
    """Distinct texts in a random order, so that any part of them is like the whole."""
    import pyarrow.parquet as pq

    texts = sorted(set(pq.read_table(path)["text"].to_pylist()))
    order = np.random.default_rng(seed).permutation(len(texts))[:number]
    return [texts[row] for row in order]


def measure(folder: str, texts: list[str], rounds: int) -> dict[str, Any]:
    """All figures."""
    cold, vectors_cold = {}, {}
    encoders: dict[str, Encoder] = {}
    for precision in ("bfloat16", "int8"):
        started = time.perf_counter()
        encoders[precision] = Encoder.load(folder, precision)
        loaded = time.perf_counter() - started
        first, vectors_cold[precision] = speed(encoders[precision].encode, texts)
        cold[precision] = loaded + 20000 / first
        log.info("%s, cold: load %.1f s, then %.0f texts a second", precision, loaded, first)
    theirs = sentence_transformers(folder)
    theirs(texts[:64])
    speeds: dict[str, list[float]] = {"bfloat16": [], "int8": [], "sentence_transformers": []}
    peaks = []
    expected = np.zeros_like(vectors_cold["int8"])
    for turn in range(rounds):
        for precision, encoder in encoders.items():
            speeds[precision].append(speed(encoder.encode, texts)[0])
        peaks.append(matrix_peak(encoders["bfloat16"]))
        part = texts[turn::rounds]
        texts_per_second, expected[turn::rounds] = speed(theirs, part)
        speeds["sentence_transformers"].append(texts_per_second)
        log.info("round %d of %d: %s texts a second", turn + 1, rounds, {k: round(v[-1]) for k, v in speeds.items()})
    tokens = sum(len(row) for row in encoders["bfloat16"].tokenize(texts)) / len(texts)
    middle = {name: median(values) for name, values in speeds.items()}
    operations = tokens * operations_per_token(encoders["bfloat16"].model, tokens)
    cosine = {name: (vectors * expected).sum(axis=1) for name, vectors in vectors_cold.items()}
    usual = middle["sentence_transformers"]
    return {
        "texts": len(texts),
        "tokens_per_text": round(tokens, 1),
        "ratio": round(middle["bfloat16"] / usual, 2),
        "ratio_by_round": ratios(speeds, "bfloat16"),
        "min_cosine": round(float(cosine["bfloat16"].min()), 5),
        "peak_share": round(middle["bfloat16"] * operations / median(peaks), 3),
        "int8_ratio": round(middle["int8"] / usual, 2),
        "int8_ratio_by_round": ratios(speeds, "int8"),
        "int8_mean_cosine": round(float(cosine["int8"].mean()), 5),
        "int8_min_cosine": round(float(cosine["int8"].min()), 5),
        "texts_per_second": {name: round(value) for name, value in middle.items()},
        "seconds_20000_cold": {name: round(seconds, 1) for name, seconds in cold.items()},
        "peak_gflops": round(median(peaks) / 1e9),
        "model_flop_utilisation": utilisation(middle["bfloat16"] * operations),
        "machine": machine(("numpy", "torch", "transformers", "sentence-transformers")),
    }


def ratios(speeds: dict[str, list[float]], name: str) -> list[float]:
    """Our speed over theirs, round by round."""
    return [round(a / b, 2) for a, b in zip(speeds[name], speeds["sentence_transformers"], strict=True)]


def speed(encode: Callable[[list[str]], Vectors], texts: list[str]) -> tuple[float, Vectors]:
    """Texts per second, tokenisation included, and the vectors."""
    started = time.perf_counter()
    vectors = encode(texts)
    return len(texts) / (time.perf_counter() - started), vectors


def sentence_transformers(folder: str) -> Callable[[list[str]], Vectors]:
    """Its `encode` as it comes: batches of 32 in float32; unit vectors."""
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(folder, device="cuda" if torch.cuda.is_available() else "cpu")

    def encode(texts: list[str]) -> Vectors:
        vectors = np.asarray(model.encode(texts, show_progress_bar=False), dtype=np.float32)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    return encode


def openvino(python: str, folder: str, texts: list[str]) -> float:
    """Texts per second of sentence-transformers' OpenVINO backend, in an environment of its own, loading left out."""
    command = [python, "-c", OPENVINO, folder]
    done = subprocess.run(command, input=json.dumps(texts), capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise SystemExit(f"bench.encode: {python} needs {OPENVINO_NEEDS}: {last}")
    return float(done.stdout.splitlines()[-1])


def operations_per_token(model: Any, tokens: float) -> float:
    """Floating-point operations of the layers' matrix products and of attention, for one token of a mean text."""
    layers = sum(module.weight.numel() for module in model.encoder.modules() if isinstance(module, torch.nn.Linear))
    config = model.config
    return 2 * layers + 4 * config.num_hidden_layers * config.hidden_size * tokens


@torch.inference_mode()
def matrix_peak(encoder: Encoder) -> float:
    """Operations per second of the best bf16 product at the model's shapes, 512 to 4096 tokens, every core."""
    config, device, best = encoder.model.config, encoder.device, 0.0
    width, inner = config.hidden_size, config.intermediate_size
    for tokens in (512, 1024, 2048, 4096):
        for out, into in ((3 * width, width), (width, width), (inner, width), (width, inner)):
            x = torch.randn(tokens, into, device=device).bfloat16()
            weight = torch.randn(out, into, device=device).bfloat16()
            best = max(best, 2 * tokens * out * into / _quickest(product(x, weight)))
    return best


def product(x: torch.Tensor, weight: torch.Tensor) -> Callable[[], torch.Tensor]:
    """x W' alone; on a CPU with the weight as oneDNN wants it, which is its quickest way."""
    if x.device.type != "cpu":
        return lambda: torch.nn.functional.linear(x, weight)
    packed = torch.ops.mkldnn._reorder_linear_weight(weight, len(x))
    return lambda: torch.ops.mkldnn._linear_pointwise(x, packed, None, "none", [], "")


def _quickest(run: Callable[[], torch.Tensor]) -> float:
    run()
    seconds = []
    until = time.perf_counter() + 0.1
    while time.perf_counter() < until or len(seconds) < 5:
        started = time.perf_counter()
        run()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - started)
    return median(seconds)


def utilisation(operations_per_second: float) -> float | None:
    """Share of the GPU's stated bf16 peak; None where no GPU is at hand, or an unknown one."""
    if not torch.cuda.is_available():
        log.info("no GPU at hand: model FLOP utilisation was not measured")
        return None
    peak = gpu_peak()
    return None if peak is None else round(operations_per_second / peak, 3)


if __name__ == "__main__":
    main()
