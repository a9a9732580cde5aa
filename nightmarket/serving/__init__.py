"""What a registry keeps and serves: the gate, the record of a version, the packaged model."""

import os

ENVIRONMENT = {
    "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_UV_AUTO_DETECT": "false",
}
"""How MLflow runs here: no pickle, no telemetry, and a server that is gone fails within seconds."""


def set_environment() -> None:
    """Put ENVIRONMENT into force; before the first import of mlflow."""
    os.environ.update(ENVIRONMENT)
