"""Promotion texts as persons write them, English and Chinese: does the guard stop each false one, and let true ones go?

`bench.guarding.persons` says how the texts came about; what is wrong with those held out is never printed. `--quick`
tries as much, for all of it takes a second.
"""

from collections import Counter
from collections.abc import Iterator

from bench.abuse.figures import Figure
from bench.guarding import persons

LEAST_PASSED = 0.8
"""Share of true texts in a free manner that pass."""
LANGUAGES = {"en": "English", "zh": "Chinese"}


def figures(*, quick: bool) -> Iterator[Figure]:
    """False texts that pass, and the share of true ones that does, by language and half."""
    catalogue = persons.lexicon()
    num: Counter[tuple[bool, str, bool]] = Counter()
    passed: Counter[tuple[bool, str, bool]] = Counter()
    for is_true, facts, text in persons.texts():
        part = (is_true, facts.locale, persons.held_out(text))
        num[part] += 1
        passed[part] += not persons.broken(facts, text, catalogue)
    for part in sorted(num):
        is_true, locale, held = part
        half = "held out" if held else "developed on"
        told = f"{num[part]} {'true' if is_true else 'false'} {LANGUAGES[locale]} texts, {half}"
        if is_true:
            yield Figure("copy", f"{told}: share that passes", passed[part] / num[part], LEAST_PASSED, most=False)
        else:
            yield Figure("copy", f"{told}: how many pass", float(passed[part]), 0)
