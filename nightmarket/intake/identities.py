"""Ids of one table held against those of another: how many fit, and what would make the others fit."""

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from nightmarket.intake.widths import narrow

REPAIRS = {
    "decimals": (r"\.0+$", "", "without the .0 that a spreadsheet or pandas added"),
    "zeros": (r"^0+(.)", r"\1", "without leading zeros"),
    "case": ("", "", "in small letters"),
    "width": ("", "", "in narrow letters"),
    "signs": (r"[^\p{L}\p{N}]+", "", "without blanks, dashes and other signs"),
    "prefix": (r"^[\p{L}_]+[-_:./ ]*", "", "without the letters before their number"),
    "url": (r"^.*/", "", "without the path before them"),
}
"""Repair → pattern, replacement, and how ids look after it. The last two are never made, only told."""
MADE = ("decimals", "zeros", "case", "width", "signs")
AS_WRITTEN = "as written"
"""Says that ids which differ in capitals or full width alone are different ones."""
"""Repairs that `snapshot.ids` may name; they are made in this order in every column of ids."""


def repaired(ids: pa.Array, repairs: Sequence[str]) -> pa.Array:
    """The ids after some of the repairs."""
    for name in REPAIRS:
        if name in repairs:
            pattern, new, _ = REPAIRS[name]
            if pattern:
                ids = pc.replace_substring_regex(ids, pattern, new)
            else:
                ids = narrow(ids) if name == "width" else pc.utf8_lower(ids)
    return ids


def undecimal(ids: pa.Array) -> pa.Array:
    """Ids that are whole numbers with `.0` behind them, as pandas writes a column with gaps: without it."""
    return repaired(ids, ["decimals"])


def twins(ids: pa.Array) -> tuple[int, str]:
    """How many distinct ids another one is like but for capitals, or for full width, and the repair that joins them."""
    counted = {name: len(ids) - len(repaired(ids, [name]).unique()) for name in ("case", "width")}
    repair = max(counted, key=lambda name: counted[name])
    return counted[repair], repair


DECIMAL = r"^\d+\.0+$"
FEW = 5
"""Ids from which on it is no chance that none fits."""


@dataclass(frozen=True)
class Fit:
    """How many of some distinct ids are known: as they are, and after the repair that helps most.

    others  how many ids they are held against
    """

    total: int
    known: int
    others: int
    repair: str = ""
    after: int = 0

    @property
    def cause(self) -> str:
        """The likely cause in words, "" where there is none."""
        return f"{self.after:,} of {self.total:,} fit {REPAIRS[self.repair][2]}" if self.repair else ""

    @property
    def advice(self) -> str:
        """What to do."""
        if self.repair in MADE:
            return f"export both alike, or set snapshot.ids to [{self.repair}]"
        return "export both with the same ids"


def fit(ids: pa.Array, known: pa.Array) -> Fit:
    """ids, known  distinct, without nulls"""
    direct = _in(ids, known)
    best = Fit(len(ids), direct, len(known))
    if direct == len(ids):
        return best
    for name in REPAIRS:
        after = _in(repaired(ids, [name]), repaired(known, [name]))
        if after > max(best.after, direct):
            best = Fit(len(ids), direct, len(known), name, after)
    return best


def _in(ids: pa.Array, known: pa.Array) -> int:
    return pc.sum(pc.is_in(ids, value_set=known)).as_py() or 0


def problem(fits: Fit, *, least: float) -> bool:
    """Whether two tables do not speak of the same ids: hardly any fits, or a repair makes many more fit."""
    if fits.total == 0:
        return False
    if fits.known < least * fits.total and min(fits.total, fits.others) >= FEW:
        return True
    return fits.repair in MADE and fits.after - fits.known > 0.1 * fits.total and fits.after > 0.5 * fits.total
