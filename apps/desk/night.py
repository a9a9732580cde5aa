"""What the last night left, read once and again when a night was published since."""

import contextlib
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from nightmarket.contracts import InputError
from nightmarket.evaluation.figures import Metrics
from nightmarket.evaluation.protocol import Windows
from nightmarket.reporting import delivery, morning, trade
from nightmarket.reporting.night import Night
from tasks.files import catalogue
from tasks.pipeline import unavailable

DOCUMENTS = {
    "snapshot": catalogue.CLEAN_SNAPSHOT,
    "validation": catalogue.VALIDATION,
    "receipt": catalogue.CHAMPION_RECEIPT,
    "decision": catalogue.CHAMPION_DECISION,
    "summary": catalogue.SCORE_SUMMARY,
    "segments": catalogue.SEGMENT_PORTRAITS,
    "care": catalogue.CARE_METRICS,
    "readout": catalogue.READOUT,
    "drift": catalogue.DRIFT,
}
_kept: dict[Path, tuple[Any, "LastNight"]] = {}


class LastNight:
    """The documents of a night, and its week of trade; what is not there is left out."""

    def __init__(self, home: Path) -> None:
        content = {name: _optional(document.at(home)) for name, document in DOCUMENTS.items()}
        windows = _optional(catalogue.WINDOWS.at(home))
        self.windows = Windows.read(windows) if windows else None
        self.night = Night(
            as_of=self.windows.as_of if self.windows else "",
            metrics=Metrics.read(_optional(catalogue.METRICS.at(home)) or {}),
            target=self.windows.target if self.windows else "purchase",
            unavailable=unavailable.recorded(home),
            **content,
        )
        self.currency = str(
            ((_optional(catalogue.PLAN_SUMMARY.at(home)) or {}).get("campaign") or {}).get("currency", "")
        )
        self.trade = _trade(home, self.windows)

    def looks(self) -> list[morning.Item]:
        """What deserves a look, a line each; the plan of the night itself waits for nobody here."""
        try:
            return [item for item in morning.view(self.night) if item.kind == "look"]
        except Exception:  # as on the page: a line less
            return []

    @property
    def served(self) -> str:
        """How many of a hundred bought one of their ten; "" where it was not evaluated."""
        hit = self.night.metrics.ours("all").get("hit@10")
        return delivery.of_hundred(hit.value, "all") if hit is not None and hit.finite and hit.value is not None else ""


def last(home: Path) -> LastNight | None:
    """The last night; None where none was published yet."""
    state = tuple(_stamp(document.at(home).path) for document in (catalogue.WINDOWS, *DOCUMENTS.values()))
    if not any(state):
        return None
    if home not in _kept or _kept[home][0] != state:
        _kept[home] = state, LastNight(home)
    return _kept[home][1]


def _stamp(path: Path) -> tuple[int, int] | None:
    with contextlib.suppress(OSError):
        about = path.stat()
        return about.st_ino, about.st_mtime_ns
    return None


def _optional(document: catalogue.Json) -> Any:
    with contextlib.suppress(InputError):
        return document.read()
    return None


def _trade(home: Path, windows: Windows | None) -> trade.TradeView | None:
    """Of the last seven days on file; the lines of the last year alone are read. None where the lines are not of
    purchases: in a shop that records none, they are looks or carts."""
    path = catalogue.PURCHASES.at(home).path
    if windows is None or windows.target != "purchase" or not path.exists():
        return None
    last_day = windows.last_day
    recent = [("day", ">", last_day - trade.YEAR - trade.WEEK)]
    lines = pq.read_table(path, columns=["day", "customer", "basket", "value"], filters=recent)
    if not lines.num_rows:
        return None
    day, customer, basket = (lines[name].to_numpy().astype(np.int64) for name in ("day", "customer", "basket"))
    return trade.view(day, customer, basket, lines["value"].to_numpy().astype(np.float64), last_day)
