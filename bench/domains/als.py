"""Implicit matrix factorisation (Hu, Koren & Volinsky, 2008) as the library `implicit` fits it.

The library lives in the environment of bench.libraries (`python -m bench.libraries setup`); this module runs there as a
child, on a matrix in a file.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
ROOT = Path(__file__).resolve().parents[2]
PYTHON = ROOT / "bench" / "libraries" / ".venv" / "bin" / "python"


def factors(folder: Path) -> None:
    """In the child: read matrix.npz and settings.json, write customers.npy (C, F) and products.npy (P, F)."""
    from implicit.als import AlternatingLeastSquares
    from scipy import sparse

    settings = json.loads((folder / "settings.json").read_text(encoding="utf-8"))
    counts = sparse.load_npz(folder / "matrix.npz").tocsr()
    model = AlternatingLeastSquares(random_state=17, use_gpu=False, num_threads=2, **settings)
    model.fit(counts, show_progress=False)
    np.save(folder / "customers.npy", model.user_factors)
    np.save(folder / "products.npy", model.item_factors)


def fit(counts, settings: dict) -> tuple[np.ndarray, np.ndarray]:  # type: ignore[no-untyped-def,type-arg]
    """Factors (C, F) and (P, F) of a sparse matrix (C, P)."""
    from scipy import sparse

    if not PYTHON.exists():
        raise FileNotFoundError(f"{PYTHON} is not there; run `python -m bench.libraries setup`")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sparse.save_npz(folder / "matrix.npz", counts)
        (folder / "settings.json").write_text(json.dumps(settings), encoding="utf-8")
        environment = os.environ | dict.fromkeys(THREADS, "1")
        subprocess.run([str(PYTHON), str(Path(__file__)), str(folder)], check=True, env=environment)
        return np.load(folder / "customers.npy"), np.load(folder / "products.npy")


if __name__ == "__main__":
    factors(Path(sys.argv[1]))
