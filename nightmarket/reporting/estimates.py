"""Estimates before the test and what the test said: off-policy verdicts with their refusals, and the ledger."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nightmarket.reporting import words
from nightmarket.reporting.night import Content, Night

CHIPS = {"certified better": "good", "refused": "bad"}


@dataclass(frozen=True)
class PolicyRow:
    """What a log says of one policy; figures only where nothing was refused."""

    name: str
    verdict: str
    chip: str
    said: str


@dataclass(frozen=True)
class LogView:
    """One campaign whose exposures carry propensities."""

    name: str
    decisions: str
    reason: str
    policies: tuple[PolicyRow, ...]


@dataclass(frozen=True)
class LedgerView:
    """A row per version or policy: what was promised offline and off-policy, and what the test found."""

    rows: tuple[tuple[str, str, str, str, str], ...]
    sentences: tuple[str, ...]


def logs(night: Night) -> tuple[LogView, ...]:
    """From readout["off_policy"]; empty where no exposure carries a propensity."""
    return tuple(_log(one) for one in (night.readout or {}).get("off_policy") or ())


def _log(one: Content) -> LogView:
    policies = tuple(_policy(str(name), said) for name, said in one["policies"].items())
    return LogView(str(one["campaign_id"]), words.count(one["decisions"]), str(one.get("reason") or ""), policies)


def _policy(name: str, said: Content) -> PolicyRow:
    return PolicyRow(name, str(said["verdict"]), CHIPS.get(said["verdict"], ""), str(said["words"]))


def ledger(night: Night) -> LedgerView | None:
    """From readout["ledger"]; None where nothing was read."""
    content: Content = (night.readout or {}).get("ledger") or {}
    if not content:
        return None
    rows = tuple(_row(one) for one in content.get("rows") or ())
    sentences = tuple(
        words.sentence(str(content[kind]["sentence"])) for kind in ("offline", "ope") if content.get(kind)
    )
    return LedgerView(rows, sentences)


def _row(one: Content) -> tuple[str, str, str, str, str]:
    against = f"{one['experiment']}, against {one['control']}" if one.get("experiment") else "not tested"
    offline, ope, found = (_lift(one.get(kind)) for kind in ("offline", "ope", "ab"))
    return str(one["name"]), against, offline, ope, found


def _lift(lift: Mapping[str, Any] | None) -> str:
    if not lift:
        return "–"
    said = words.change(lift["value"])
    if lift.get("low") is None or lift.get("high") is None:
        return said
    return f"{said} [{words.change(lift['low'])}, {words.change(lift['high'])}]"
