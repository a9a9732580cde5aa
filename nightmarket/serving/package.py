"""How the ranker is packaged for serving: code, signature, example and requirements."""

from collections.abc import Sequence
from importlib import metadata, resources

import numpy as np
import pandas as pd
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, DataType, Schema, TensorSpec


def code() -> str:
    """Where the serving code lies; MLflow copies it into the model."""
    return str(resources.files("nightmarket.serving").joinpath("served_ranker.py"))


def signature(features: Sequence[str]) -> ModelSignature:
    """One double per feature in, one double per row out."""
    return ModelSignature(
        inputs=Schema([ColSpec(DataType.double, name) for name in features]),
        outputs=Schema([TensorSpec(np.dtype(np.float64), (-1,))]),
    )


def example(features: Sequence[str]) -> pd.DataFrame:
    """Two made-up rows: nothing known, and one of everything. No customer's data leaves with a model."""
    return pd.DataFrame({name: [0.0, 1.0] for name in features})


def requirements() -> list[str]:
    """What the serving code needs, at the versions it was made with."""
    return [f"{name}=={metadata.version(name)}" for name in ("mlflow", "lightgbm", "numpy", "pandas")]
