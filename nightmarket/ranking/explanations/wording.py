"""The sentences of explanations, one table per language in wording.yaml; a further language is one more entry there.

Fields: {times} {baskets} {customers} {weeks} are counts with their noun, {age} {gap} spans of days, {share} is a
percentage, {more} a plain number, {it} {kind} are names from the catalogue.
"""

from dataclasses import dataclass, replace
from importlib.resources import files

import yaml


@dataclass(frozen=True)
class Language:
    """Sentences by key, nouns as (singular, plural) and the least days that are given in weeks.

    instead  where lists foretell no purchases but another target: words for words
    """

    sentences: dict[str, str]
    nouns: dict[str, tuple[str, str]]
    instead: dict[str, list[tuple[str, str]]]
    weeks_from: int = 14

    def of(self, target: str) -> "Language":
        """The same sentences of what counts as a purchase where lists foretell `target`."""
        if target not in self.instead:
            return self

        def put(text: str) -> str:
            for word, other in self.instead[target]:
                text = text.replace(word, other)
            return text

        nouns = {noun: (put(singular), put(plural)) for noun, (singular, plural) in self.nouns.items()}
        return replace(self, sentences={key: put(text) for key, text in self.sentences.items()}, nouns=nouns)

    def say(self, key: str, **fields: object) -> str:
        """The sentence with its fields; a name from the catalogue is put in as it is."""
        return self.sentences[key].format(**fields)

    def count(self, noun: str, number: float) -> str:
        """A number with its noun."""
        whole = round(number)
        singular, plural = self.nouns[noun]
        return singular if whole == 1 else plural.format(n=f"{whole:,}")

    def span(self, days: float) -> str:
        """Days as people say them, rounded to whole days or weeks."""
        return self.count("weeks", days / 7) if days >= self.weeks_from else self.count("days", max(days, 1.0))


_CONTENT = yaml.safe_load(files(__package__).joinpath("wording.yaml").read_text(encoding="utf-8"))
LANGUAGES = {name: Language(**content) for name, content in _CONTENT.items()}
