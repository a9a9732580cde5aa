"""Patterns made of word lists, which stand in a YAML file beside the module that uses them."""

import re
from importlib.resources import files

import yaml


def patterns(package: str, name: str) -> dict[str, re.Pattern[str]]:
    """{list: pattern} of `name`.yaml, whatever the case: `words` between word boundaries, or what matches anywhere."""
    made = {}
    for key, lists in yaml.safe_load(files(package).joinpath(f"{name}.yaml").read_text(encoding="utf-8")).items():
        words = [rf"\b(?:{'|'.join(lists['words'])})\b"] if "words" in lists else []
        made[key] = re.compile("|".join([*words, *lists.get("anywhere", [])]), re.IGNORECASE)
    return made
