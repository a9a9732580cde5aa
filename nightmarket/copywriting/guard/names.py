"""Names in a text: those of the facts are masked, any other of the catalogue is a wrong product."""

import re
from collections.abc import Iterable

from nightmarket.copywriting.facts import CopyFacts, Violation, folded
from nightmarket.copywriting.reading import MASK

_TOKEN = re.compile(r"[a-z0-9]+(?:['&-][a-z0-9]+)*")
_MOST_TOKENS, _MOST_HAN = 6, 12
_QUOTED = re.compile(r"[“「『《\"]([^”」』》\"]+)[”」』》\"]")
_CAPITAL = re.compile(r"(?<![.!?:;\n] )(?<![.!?:;\n])(?<!^)\b[A-Z][a-z]+\b")
_CALENDAR = re.compile(
    r"^(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec|January|February|March|April|June|July|August|"
    r"September|October|November|"
    r"December|Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday|Mon|Tue|Wed|Thu|Fri|Sat|Sun)$"
)


class Lexicon:
    """Brands, products and kinds of the catalogue, for finding them in a text.

    A name that consists of ordinary words alone ("fresh") says nothing about a product and is left out.
    """

    def __init__(self, names: Iterable[str], ordinary: Iterable[str] = ()) -> None:
        plain = {token for word in ordinary for token in _TOKEN.findall(word.lower())}
        self.words: set[tuple[str, ...]] = set()
        self.han: set[str] = set()
        for name in names:
            clean = folded(name).lower()
            tokens = tuple(_TOKEN.findall(clean))
            if tokens and len(tokens) <= _MOST_TOKENS and not all(t in plain or len(t) < 3 for t in tokens):
                self.words.add(tokens)
            for part in re.findall("[\u4e00-\u9fff]+", clean):
                if 2 <= len(part) <= _MOST_HAN and not tokens:
                    self.han.add(part)

    def names_in(self, text: str) -> list[str]:
        """Names of the catalogue in a text, the longest at each place."""
        tokens = _TOKEN.findall(text.lower())
        names, at = [], 0
        while at < len(tokens):
            for length in range(min(_MOST_TOKENS, len(tokens) - at), 0, -1):
                if tuple(tokens[at : at + length]) in self.words:
                    names.append(" ".join(tokens[at : at + length]))
                    at += length
                    break
            else:
                at += 1
        for part in re.findall("[\u4e00-\u9fff]+", text) if self.han else ():
            at = 0
            while at < len(part):
                for length in range(min(_MOST_HAN, len(part) - at), 1, -1):
                    if part[at : at + length] in self.han:
                        names.append(part[at : at + length])
                        at += length
                        break
                else:
                    at += 1
        return names


def mask(text: str, facts: CopyFacts) -> str:
    """The text with the facts' names replaced by a sign, so that rules read only the words around them."""
    return without(text, facts.names)


def without(text: str, names: Iterable[str]) -> str:
    """The text with these names replaced by the sign, the longest first as they are given."""
    for name in names:
        edge = r"(?<![A-Za-z])", r"(?![A-Za-z])"
        pattern = (edge[0] if name[0].isascii() else "") + re.escape(name) + (edge[1] if name[-1].isascii() else "")
        text = re.sub(pattern, MASK, text, flags=re.IGNORECASE)
    return text


def others(masked: str, lexicon: Lexicon, facts: CopyFacts) -> list[Violation]:
    """Products, brands and kinds of the catalogue that are not among the facts."""
    return [Violation("wrong product", name) for name in lexicon.names_in(masked.replace(MASK, " / "))]


def strangers(text: str, masked: str, facts: CopyFacts) -> list[Violation]:
    """Names that no fact knows: words with a capital inside a sentence, and what stands in quotation marks."""
    capitals = [m[0] for m in _CAPITAL.finditer(masked) if not _CALENDAR.match(m[0])]
    quoted = [m[1] for m in _QUOTED.finditer(masked) if m[1].strip() != MASK]
    latin = re.findall("(?<![A-Za-z])[A-Z][a-z]{2,}", masked) if facts.locale == "zh" else []
    return [Violation("unknown name", name[:20]) for name in [*capitals, *quoted, *latin]]
