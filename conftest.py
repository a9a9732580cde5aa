"""What all tests share: processes side by side, and the marks that follow from what a test is given."""

import fcntl
import gc
import logging
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

# Processes of tests share the cores; a second thread for tensors of a few rows costs more than it brings.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Hundreds of processes are started, and compiling what they import costs each of them as much again as importing it.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

import pytest

sys.dont_write_bytecode = False
gc.set_threshold(10_000, 10, 10)  # as in processes of our own: see tasks/pipeline/lifetime.py

GIVEN = {
    "whole_night": "slow",
    "prefect_api": "prefect",
    "servers": "prefect",
    "running_ui": "prefect",
    "browser": "browser",
    "together": "distributed",
    "two": "distributed",
}
"""Fixture → mark of every test that is given it, if only by way of another fixture."""

LONGEST = ("test_tutorials", "test_nightly", "test_rotate", "test_retention", "test_reproduce", "test_tune")
LONGEST += ("test_promote", "test_campaign", "test_forget", "test_planted", "test_deployment", "test_alerts")
"""Files of tests that take longest, in that order."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark, and put what takes longest first, so that neither process waits for the other at the end."""
    for item in items:
        for fixture in GIVEN.keys() & set(item.fixturenames):
            item.add_marker(GIVEN[fixture])
    slow = {item.path for item in items if any(map(item.get_closest_marker, ("slow", "prefect", "distributed")))}
    place = {name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: (place.get(item.path.stem, len(place)), item.path not in slow))


def pytest_collection_finish() -> None:
    """What was imported stays, so that no test's garbage is looked for in it."""
    gc.freeze()


def pytest_unconfigure() -> None:
    """DuckDB complains at the end of what is left over."""
    gc.unfreeze()


@pytest.fixture(autouse=True)
def levels_of_logs() -> Iterator[None]:
    """What a command said of the logs of its own process does not outlive the test that called it."""
    loggers = [logging.getLogger(), logging.getLogger("nightmarket"), logging.getLogger("mlflow")]
    levels, disabled = [logger.level for logger in loggers], logging.root.manager.disable
    yield
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)
    logging.disable(disabled)


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Callable[[Path], Any]], Path]:
    """Has a folder of that name filled once for all processes of tests; whoever comes meanwhile waits. Read it only."""
    base = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent

    def make(name: str, fill: Callable[[Path], Any]) -> Path:
        folder, whole = base / name, base / f"{name}.whole"
        with (base / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not whole.exists():
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir()
                fill(folder)
                whole.touch()
        return folder

    return make
