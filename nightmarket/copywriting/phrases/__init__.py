"""The phrases of the template writer, one YAML file per language; a further language is one more entry of LANGUAGES."""

import re
from collections.abc import Iterator

from nightmarket.copywriting.facts import Locale
from nightmarket.copywriting.phrases.language import Benefit, Phrasebook, chinese, english

__all__ = ["LANGUAGES", "Benefit", "Phrasebook", "runs", "vocabulary"]

LANGUAGES: dict[Locale, Phrasebook] = {"en": english(), "zh": chinese()}


def vocabulary() -> set[str]:
    """Words of the English phrases: ordinary words, which name no product by themselves."""
    return runs("en", "[a-z]+")


def runs(locale: Locale, pattern: str) -> set[str]:
    """What matches in the phrases of a language, but for those that only some facts allow (new, praise)."""
    return {
        match
        for text in _phrases(LANGUAGES[locale])
        for match in re.findall(pattern, re.sub("{[a-z]+}", " ", text).lower())
    }


def _phrases(language: Phrasebook) -> Iterator[str]:
    for benefit in language.benefits.values():
        yield from (*benefit.noun, *benefit.order, *benefit.clause)
    for texts in (*language.frames.values(), *language.plain.values(), *language.openers.values()):
        yield from texts
    for some in (language.conditions, language.codes, language.until, language.ends, language.closers):
        yield from some
    yield from (*language.such, *language.cost, *language.reason)
