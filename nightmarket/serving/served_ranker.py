"""The served model: one score per row of ranker features.

MLflow keeps this file with the model and runs it on loading, so it stands alone: it imports nothing of nightmarket.
It takes LightGBM's text format and JSON only, and checks every file of its package against the SHA-256 manifest
before it reads one.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

import lightgbm
import mlflow
import numpy as np
import pandas as pd
from numpy.typing import NDArray


class ServedRanker(mlflow.pyfunc.PythonModel):  # type: ignore[misc, name-defined, unused-ignore]
    """LambdaRank scores; higher means nearer the top of that customer's list, only comparable within a customer."""

    def load_context(self, context: Any) -> None:
        """Check the package and read the ranker; ValueError names a file that is missing or changed."""
        package = Path(context.artifacts["package"])
        check(package)
        self.features: list[str] = json.loads((package / "rank/ranker.json").read_text(encoding="utf-8"))["features"]
        self.booster = lightgbm.Booster(model_file=str(package / "rank/ranker.txt"))

    def predict(
        self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None
    ) -> NDArray[np.float64]:
        """Scores float64 (N,) for a frame (N, features); further columns are ignored, a lacking one is named."""
        return score(self.booster, self.features, model_input)


def score(booster: lightgbm.Booster, features: list[str], rows: pd.DataFrame) -> NDArray[np.float64]:
    """Scores (N,) of feature rows; ValueError names the features that the frame lacks."""
    lacking = [name for name in features if name not in rows.columns]
    if lacking:
        raise ValueError(f"the rows lack {len(lacking)} of {len(features)} features, first '{lacking[0]}'")
    return np.asarray(booster.predict(rows[features].to_numpy(np.float64)), np.float64)


def check(package: Path) -> None:
    """Compare every file of the package with its manifest; ValueError names the first that does not match."""
    listed = json.loads((package / "manifest.json").read_text(encoding="utf-8"))["files"]
    present = {path.relative_to(package).as_posix(): path for path in package.rglob("*") if path.is_file()}
    present.pop("manifest.json")
    for name in sorted(listed.keys() ^ present.keys()):
        raise ValueError(
            f"{name} is {'missing from' if name in listed else 'not in the manifest of'} the model package"
        )
    for name, path in present.items():
        with path.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != listed[name]:
                raise ValueError(f"{name} of the model package differs from its checksum; the model is not loaded")


mlflow.models.set_model(ServedRanker())
