"""What all tests share: two processes side by side, and the marks that follow from what a test is given."""

import os

# Two processes of tests share the cores; a second thread for tensors of a few rows costs more than it brings.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest

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


def group(item: pytest.Item) -> str:
    """What runs in one process: tests of one Prefect server, those of one whole night, and those of one file."""
    given = set(item.fixturenames)
    return "prefect" if "prefect_api" in given else "night" if "whole_night" in given else item.nodeid.partition("::")[0]


@pytest.hookimpl(tryfirst=True)  # before the plugin reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark and group; what takes longest comes first, so that neither process waits for the other at the end."""
    first = {"prefect": 0, "night": 1}
    for item in items:
        for fixture in GIVEN.keys() & set(item.fixturenames):
            item.add_marker(GIVEN[fixture])
        item.add_marker(pytest.mark.xdist_group(group(item)))
    slow = {group(item) for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: (first.get(group(item), 2), group(item) not in slow))
