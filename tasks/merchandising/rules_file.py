"""rules.yaml read strictly: each rule as people wrote it, with the line that it stands in.

A mistake is one InputError with the line and what to write, in the manner of params.yaml.
"""

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from nightmarket.contracts import InputError
from nightmarket.delivery.rules.contradictions import clashes
from nightmarket.delivery.rules.declared import MOST_PLACES, VERBS, ShopRule, verbs_of
from tasks.files import catalogue
from tasks.pipeline import remedies
from tasks.pipeline.params import ParamsFile

SECTION = "rules"
EXPECTED = f"{SECTION}: and a list below it, each rule with a dash"


class WrongRule(NamedTuple):
    """What is wrong with a rule.

    parts  of the path below `rules`: its number from 0, then keys
    words  what is wrong, and what to do
    """

    parts: tuple[str | int, ...]
    words: str


@dataclass(frozen=True)
class ShopRules:
    """The rules of a file, in its order; none where there is no file.

    path  what to call it
    """

    rules: tuple[ShopRule, ...] = ()
    path: Path = catalogue.RULES.path
    _file: ParamsFile | None = None

    @classmethod
    def load(
        cls, path: Path = catalogue.RULES.path, num_places: int = MOST_PLACES, places_from: str = "params.yaml"
    ) -> "ShopRules":
        """The rules of a file, each checked for itself and beside the others.

        num_places   products in a list; no pin may ask for a place behind the last
        places_from  where that number stands, for messages

        Raises InputError, in one line, for the first that is wrong.
        """
        if not path.exists() or _says_nothing(path):
            return cls((), path)
        file = ParamsFile.read(path, EXPECTED)
        wrong = list(_wrong_keys(file.content))
        content = file.content.get(SECTION) or []
        if not wrong and not isinstance(content, list):
            wrong = [WrongRule((), "expected a list; begin each rule with a dash, as - hide: {brand: Acme}")]
        _refuse(wrong, file)
        rules = []
        for number, entry in enumerate(content):
            rule, more = _rule(number, entry)
            wrong += more
            rules += [rule] if rule else []
        _refuse(wrong, file)
        made = cls(tuple(rules), path, file)
        _refuse(list(made._contradictions(num_places, places_from)), file)
        return made

    def where(self, number: int, key: str = "") -> str:
        """`rules.yaml, line 12`: where a rule, or a key of it, stands."""
        assert self._file is not None  # where there is a rule there is a file
        keys: list[str | int] = [SECTION, number]
        verb = _verb(self.rules[number])
        if key:
            inside = self._file.line(SECTION, number, verb, key)
            keys += [verb, key] if inside != self._file.line(SECTION, number, verb) else [key]
        return self._file.where(*keys)

    def _contradictions(self, num_places: int, places_from: str) -> Iterator[WrongRule]:
        for clash in clashes(self.rules, num_places):
            other = places_from if clash.other == clash.rule else self.where(clash.other)
            yield WrongRule((clash.rule,), clash.words.format(other))


def _verb(rule: ShopRule) -> str:
    return next(verb for verb, kind in VERBS.items() if type(rule) is kind)


def _says_nothing(path: Path) -> bool:
    """Whether a file holds no more than comments."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError):
        return False
    return not any(line.split("#")[0].strip() for line in lines)


def _wrong_keys(content: Mapping[Any, Any]) -> Iterator[WrongRule]:
    for key in content:
        if key != SECTION:
            verb = difflib.get_close_matches(str(key), VERBS, 1, remedies.ALIKE)
            hint = f"begin it with a dash below {SECTION}:" if verb else f"there is {SECTION} alone"
            yield WrongRule((str(key),), f"unknown key; {hint}")


def _rule(number: int, entry: Any) -> tuple[ShopRule | None, list[WrongRule]]:
    """A rule, or what is wrong with it."""
    if not isinstance(entry, dict):
        return None, [WrongRule((number,), "expected a rule, as hide: {brand: Acme}; write key: value")]
    verbs = verbs_of(entry)
    if len(verbs) != 1:
        return None, [WrongRule((number, *verbs[1:2]), _which_verb(entry, verbs))]
    model = VERBS[verbs[0]]
    try:
        return model.model_validate(entry), []
    except ValidationError as error:
        return None, list(_wrong(error, model, number))


def _which_verb(entry: Mapping[Any, Any], verbs: list[str]) -> str:
    if verbs:
        return f"{verbs[0]} and {verbs[1]} in one rule; make two of it, each with a dash"
    near = [
        (key, match) for key in map(str, entry) for match in difflib.get_close_matches(key, VERBS, 1, remedies.ALIKE)
    ]
    if near:
        return f"unknown key {near[0][0]}; did you mean {near[0][1]}?"
    return f"it does not say what to do; begin it with one of {', '.join(VERBS)}"


def _wrong(error: ValidationError, model: type[ShopRule], number: int) -> Iterator[WrongRule]:
    for detail in error.errors():
        place = detail["loc"]
        words = remedies.remedy(detail, remedies.keys_at(model, place[:-1]), {})
        key, colon, rest = words.partition(": ")
        if colon and key in remedies.keys_at(model, place):  # a rule about several keys names the one to change
            yield WrongRule((number, *place, key), rest)
        else:
            yield WrongRule((number, *place), words)


def _refuse(wrong: list[WrongRule], file: ParamsFile) -> None:
    """InputError with the first of them, in the order of the file; nothing where there is none."""
    if not wrong:
        return

    def path(what: WrongRule) -> tuple[str | int, ...]:
        in_section = not what.parts or isinstance(what.parts[0], int)
        return (SECTION, *what.parts) if in_section else what.parts

    first = min(wrong, key=lambda what: file.line(*path(what)) or 0)
    keys = ".".join(str(part) for part in first.parts[1:] if not isinstance(part, int))
    number = f"rule {int(first.parts[0]) + 1}" if first.parts and isinstance(first.parts[0], int) else ""
    called = ", ".join(filter(None, (number, keys))) or (str(first.parts[0]) if first.parts else SECTION)
    more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
    raise InputError(f"{file.where(*path(first))}: {called}: {first.words}{more}")
