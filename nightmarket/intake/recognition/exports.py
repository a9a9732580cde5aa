"""Exports of known shop systems and trackers, told by their headers: `exports.yaml`."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import yaml

from nightmarket.intake.headers import plain

CONTENT: dict[str, dict[str, Any]] = yaml.safe_load(
    files("nightmarket.intake.recognition").joinpath("exports.yaml").read_text(encoding="utf-8")
)
MADE_BY = ("first_of", "computed", "path_of", "constants", "variants")


@dataclass(frozen=True)
class KnownExport:
    """One of them."""

    key: str

    @property
    def name(self) -> str:
        """For people."""
        return str(CONTENT[self.key]["name"])

    @property
    def about(self) -> str:
        """Which of its exports are meant."""
        return str(CONTENT[self.key]["about"])

    @property
    def tables(self) -> dict[str, dict[str, Any]]:
        """Table → what tells it, and how it is read."""
        return dict(CONTENT[self.key]["tables"])

    @property
    def once(self) -> dict[str, list[str]]:
        """Columns of products that are made of the events' rows."""
        return dict(CONTENT[self.key].get("once", {}))

    @property
    def kinds(self) -> dict[str, str]:
        """What its words for events mean."""
        return dict(CONTENT[self.key].get("kinds", {}))

    @property
    def missing(self) -> list[str]:
        """Its words for a missing value."""
        return list(CONTENT[self.key].get("missing", []))

    def is_table(self, table: str, there: Collection[str]) -> bool:
        """Whether a file with these headers, by their letters and digits, holds the table."""
        known = self.tables[table]
        return any({plain(name) for name in wanted} <= {*there} for wanted in (known["has"], known.get("or")) if wanted)


EXPORTS = tuple(KnownExport(key) for key in CONTENT)
NAMES = tuple(CONTENT)


def layout(known: Mapping[str, Any], there: Sequence[str]) -> dict[str, Any]:
    """How rows lie, as `snapshot.tables` has it, without columns that a file lacks.

    there  its headers, with those of the file that it is joined with
    """
    spelled = {plain(name): name for name in there}
    made: dict[str, Any] = {}
    if known.get("items"):
        made["items"] = known["items"]
    if known.get("keys"):
        made["keys"] = known["keys"]
    if known.get("constants"):
        made["constants"] = known["constants"]
    for order, names in known.get("first_line", {}).items():
        if plain(order) in spelled:
            made["first_line"] = {spelled[plain(order)]: _there(names, spelled)}
    for key in ("only", "without"):
        if _there(known.get(key, ()), spelled):
            made[key] = _there(known[key], spelled)
    left_out = {spelled[plain(name)]: values for name, values in known.get("leave_out", {}).items()
                if plain(name) in spelled}  # fmt: skip
    made |= {"leave_out": left_out} if left_out else {}
    variants = {name: pair for name, pair in known.get("variants", {}).items() if len(_there(pair, spelled)) == 2}
    made |= {"variants": variants} if variants else {}
    for key in ("first_of", "path_of"):
        lists = {name: _there(names, spelled) for name, names in known.get(key, {}).items()}
        made |= {key: {name: names for name, names in lists.items() if names}} if any(lists.values()) else {}
    formulas = {
        name: next((formula for formula in several if _complete(formula, spelled)), "")
        for name, several in known.get("computed", {}).items()
    }
    return made | ({"computed": formulas} if all(formulas.values()) and formulas else {})


def mapping(columns: Mapping[str, Sequence[str]], there: Sequence[str], source: Mapping[str, Any]) -> dict[str, str]:
    """{column of ours: theirs}, the first that there is; made columns are there."""
    spelled = {plain(name): name for name in there}
    for key in MADE_BY:
        spelled |= {plain(name): name for name in source.get(key, {})}
    for name, keys in source.get("keys", {}).items():
        spelled |= {plain(f"{name}.{key}"): f"{name}.{key}" for key in keys}
    chosen = {ours: _there(theirs, spelled) for ours, theirs in columns.items()}
    return {ours: names[0] for ours, names in chosen.items() if names}


def _there(names: Sequence[str], spelled: Mapping[str, str]) -> list[str]:
    return [spelled[plain(name)] for name in names if plain(name) in spelled]


def _complete(formula: str, spelled: Mapping[str, str]) -> bool:
    return all(plain(name) in spelled for name in re.findall(r"\[([^\]]+)\]", formula))
