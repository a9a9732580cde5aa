"""Promotion texts as persons write them, English and Chinese: does the guard stop each false one, and let true ones go?

`bench.guarding.persons` says how the texts came about. `--quick` tries as much, for all of it takes a second.
"""

from collections.abc import Iterator

from bench.abuse.figures import Figure
from bench.guarding import persons

LEAST_PASSED = 0.8
"""Share of true texts in a free manner that pass."""


def figures(*, quick: bool) -> Iterator[Figure]:
    """False texts that pass, and the share of true ones that does, by language and part."""
    languages = {"en": "English", "zh": "Chinese"}
    for (is_true, locale, part), (passed, num) in persons.measure().items():
        told = f"{languages[locale]} {'true' if is_true else 'false'} texts that pass, {part}"
        if is_true:
            yield Figure("copy", f"share of {num} {told}", passed / num, LEAST_PASSED, most=False)
        else:
            yield Figure("copy", f"{num} {told}: how many", passed, 0)
    catalogue = persons.lexicon()
    built = [not persons.broken(facts, text, catalogue) for facts, text in persons.built_texts()]
    yield Figure("copy", f"{len(built)} false texts by one who knew the guard: how many pass", sum(built), 0)
