"""Figures as a registry takes them: flat names, finite numbers."""

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any


def flatten_params(content: Mapping[str, Any]) -> dict[str, str]:
    """params.yaml as {"rank.seed": "17"}; lists and empty sections as JSON, in which YAML's dates are text."""
    flat: dict[str, str] = {}
    for path, value in _leaves(content):
        if path[1:] or value not in ({}, None):
            flat[".".join(path)] = value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str)
    return flat


def flatten_metrics(content: Mapping[str, Any]) -> tuple[dict[str, float], list[str]]:
    """metrics.json's numbers as {"all.nightmarket.ndcg_at_10": …, "….low": …, "….high": …}, and what was left out.

    The second value names the figures that are missing or not finite. They are never logged: a registry would store
    NaN without a word and turn infinity into a very large figure.
    """
    flat: dict[str, float] = {}
    left_out: list[str] = []
    for path, value in _leaves(content):
        if isinstance(value, bool) or not isinstance(value, int | float | None):
            continue
        if value is None or not math.isfinite(value):
            left_out.append(".".join(path))
        else:
            flat[_allowed(".".join(path[:-1] if path[-1] == "value" else path))] = float(value)
    return flat, left_out


def _allowed(name: str) -> str:
    """A name of letters, digits, `_-. :/` only, as MLflow asks for."""
    name = name.replace("@", "_at_")
    return "".join(letter if letter.isascii() and (letter.isalnum() or letter in "_-. :/") else "_" for letter in name)


def _leaves(content: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    if isinstance(content, Mapping) and content:
        for key in sorted(content):
            yield from _leaves(content[key], (*path, str(key)))
    else:
        yield path, content
