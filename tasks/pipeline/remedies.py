"""What is wrong with a value of params.yaml and what to write instead, in words."""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, get_args, get_origin

import yaml
from pydantic import BaseModel
from pydantic_core import ErrorDetails

ALIKE = 0.7
SHOWN = 40
"""Letters of a value that a message repeats."""
EXPECTED = {
    "int": "a whole number",
    "float": "a number",
    "finite": "a number",
    "bool": "true or false",
    "string": "text; put it in quotes",
    "tuple": "a list, as [a, b]",
    "list": "a list, as [a, b]",
    "dict": "keys with values, as {key: value}",
    "model": "keys with values, as {key: value}",
    "date": "a date, as 2018-01-31",
}
"""By the first word of pydantic's name of an error."""
BOUNDS = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}


def remedy(error: ErrorDetails, keys: Sequence[str], owners: Mapping[str, Iterable[str]]) -> str:
    """One error of pydantic's, without the name of its key.

    keys    that there are where the error is
    owners  key → the sections that have it
    """
    kind, context, given = error["type"], error.get("ctx", {}), error["input"]
    if kind == "extra_forbidden":
        return unknown_key(str(error["loc"][-1]), keys, owners)
    if kind == "missing":
        return "it is missing; add it"
    if kind == "string_unicode":  # YAML and JSON can say one, as "\ud800"
        return "the text holds half of a character (a lone surrogate); write it anew"
    if kind == "value_error":
        return str(context["error"])
    if kind == "literal_error":
        choices = str(context["expected"]).replace("'", "").replace(" or ", ", ").split(", ")
        return f"expected one of {', '.join(choices)}; found {_shown(given)}{_did_you_mean(str(given), choices)}"
    for name, words in BOUNDS.items():
        if name in context and not kind.startswith("date"):
            limit = context[name]
            return f"must be {words} {limit if isinstance(limit, int) else f'{limit:g}'}; found {_shown(given)}"
    if kind in ("string_too_long", "string_too_short", "too_long", "too_short"):
        number = context.get("max_length", context.get("min_length"))
        many = "letters" if kind.startswith("string") else "entries"
        return f"at {'most' if 'long' in kind else 'least'} {number} {many}"
    if kind == "string_pattern_mismatch":
        return f"{_shown(given)} must be like {context['pattern']}"
    expected = EXPECTED.get(kind.partition("_")[0])
    return f"expected {expected}; found {_shown(given)}" if expected else str(error["msg"])


def unknown_key(key: str, keys: Sequence[str], owners: Mapping[str, Iterable[str]]) -> str:
    """An unknown key, and the nearest that there is."""
    if hint := _did_you_mean(key, keys):
        return f"unknown key{hint}"
    if elsewhere := owners.get(key):
        return f"unknown key; it is a key of {', '.join(elsewhere)}; move it there"
    return f"unknown key; there are {', '.join(keys)}" if keys else "unknown key; there is none here; take it away"


def unknown_section(name: str, known: Sequence[str], owners: Mapping[str, Iterable[str]]) -> str:
    """An unknown section, and the nearest that there is."""
    if hint := _did_you_mean(name, known):
        return f"unknown section '{name}'{hint}"
    if sections := owners.get(name):
        return f"unknown section '{name}'; it is a key of {', '.join(sections)}; indent it below its section"
    return f"unknown section '{name}'; there are {', '.join(known)}"


def _did_you_mean(given: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(given.casefold(), known, 1, ALIKE)
    return f"; did you mean {near[0]}?" if near else ""


def _shown(value: Any) -> str:
    """A value as YAML writes it, cut short; only the kind of what is nested."""
    if isinstance(value, Mapping | list | tuple):
        return "keys with values" if isinstance(value, Mapping) else "a list"
    text = yaml.safe_dump(value, allow_unicode=True, width=1000).removesuffix("\n").removesuffix("\n...")
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"


def keys_at(model: type[BaseModel], parts: Sequence[str | int]) -> list[str]:
    """The keys that there are at a place of a settings model; none below a plain value.

    parts  of the path below the model, without the key in question
    """
    here: Any = model
    for part in parts:
        if not (isinstance(here, type) and issubclass(here, BaseModel)):
            here = _item(here)
        elif part in here.model_fields:
            here = _nested(here.model_fields[str(part)].annotation)
    return list(here.model_fields) if isinstance(here, type) and issubclass(here, BaseModel) else []


def _nested(annotation: Any) -> Any:
    """The part of an annotation that has parts of its own: of `A | None` it is A."""
    if get_origin(annotation) is Annotated or type(None) in get_args(annotation):
        return next(_nested(inner) for inner in get_args(annotation) if inner is not type(None))
    return annotation


def _item(annotation: Any) -> Any:
    """What a list or a mapping holds."""
    inner = [_nested(argument) for argument in get_args(annotation) if argument is not Ellipsis]
    return inner[-1] if inner else None
