"""Runs and logged models deleted from MLflow for good, as `mlflow gc` does it.

`mlflow gc` itself also deletes every experiment that a person threw away in the UI and may want back, so its steps are
taken here one by one, for the given ids alone.
"""

from typing import Any

from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException


def versions(client: MlflowClient) -> list[ModelVersion]:
    """Every version of every registered model."""
    collected: list[ModelVersion] = []
    token: str | None = None
    while token != "":
        page = client.search_model_versions(page_token=token)
        collected += page
        token = page.token or ""
    return collected


def hide_run(client: MlflowClient, run: str) -> str | None:
    """Delete a run as the UI does; returns where its files lie, as a URI, or None where there is no such run."""
    try:
        about = client.get_run(run).info
    except MlflowException as error:
        _gone(error)
        return None
    if about.lifecycle_stage != "deleted":
        client.delete_run(run)
    return str(about.artifact_uri)


def hide_model(client: MlflowClient, model: str) -> str | None:
    """The same for a logged model."""
    where = None
    try:
        where = str(_store(client).get_logged_model(model, allow_deleted=True).artifact_location)
        client.delete_logged_model(model)
    except MlflowException as error:
        _gone(error)  # or hidden before
    return where


def erase_run(client: MlflowClient, run: str) -> None:
    """Delete the rows of a hidden run."""
    _store(client)._hard_delete_run(run)


def erase_model(client: MlflowClient, model: str) -> None:
    """Delete the rows of a hidden model."""
    _store(client)._hard_delete_logged_model(model)


def _store(client: MlflowClient) -> Any:
    """The store behind the client, which alone deletes for good; `mlflow gc` asks it in the same way."""
    return client._tracking_client.store


def _gone(error: MlflowException) -> None:
    if error.error_code != "RESOURCE_DOES_NOT_EXIST":
        raise error
