"""Names in a text: those of the facts are masked, any other of the catalogue is a wrong product."""

import re
from collections.abc import Iterable

from nightmarket.copywriting.facts import CopyFacts, Violation, folded
from nightmarket.copywriting.guard.talk import claims
from nightmarket.copywriting.notation import plain
from nightmarket.copywriting.reading import HAN, MASK, WORD, number

_TOKEN = re.compile(r"[a-z0-9]+(?:['&-][a-z0-9]+)*")
_MOST_TOKENS, _MOST_HAN = 6, 12
_LASTING = re.compile(
    rf"\b(?:for )?(?P<n>\d{{1,3}}|{WORD}(?:-{WORD})?)(?: whole| full)? (?P<unit>days?|weeks?)(?: long)?"
    r"(?: of(?= [\d$€£]))?,?(?![\w-])|"
    rf"(?:为期|持续|活动共)(?P<z>\d{{1,3}}|[{HAN}]{{1,3}})天",
    re.IGNORECASE,
)
_DAY_FIRST = ("EUR", "GBP")
"""Currencies of shops that write the ninth of December 9/12."""


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


def readable(text: str, facts: CopyFacts) -> str:
    """A text folded, and in one notation of days and money but within the names of the facts."""
    day_first = facts.currency in _DAY_FIRST
    year = facts.offer.end.year if facts.offer is not None else 2000
    clean = folded(text)
    at, parts = 0, []
    for match in re.finditer("|".join(map(_whole, facts.names)), clean, re.IGNORECASE) if facts.names else ():
        parts += [plain(clean[at : match.start()], day_first=day_first, year=year), match[0]]
        at = match.end()
    whole = "".join([*parts, plain(clean[at:], day_first=day_first, year=year)])
    return _LASTING.sub(lambda match: "" if _lasts(match, facts) else match[0], whole)


def _lasts(match: re.Match[str], facts: CopyFacts) -> bool:
    """Whether a number of days or weeks is how long the offer lasts."""
    if facts.offer is None:
        return False
    days = (facts.offer.end - facts.offer.start).days + 1
    unit = 7 if (match["unit"] or "d")[0] in "wW" else 1
    return number(match["n"] or match["z"]) * unit == days


def mask(text: str, facts: CopyFacts) -> str:
    """The text with the facts' names replaced by a sign, so that rules read only the words around them."""
    return without(text, facts.names)


def without(text: str, names: Iterable[str], sign: str = MASK) -> str:
    """The text with these names replaced by the sign, the longest first as they are given."""
    for name in names:
        text = re.sub(_whole(name), sign, text, flags=re.IGNORECASE)
    return text


def named(text: str, facts: CopyFacts) -> bool:
    """Whether a text names its product, or what its offer applies to."""
    return any(re.search(_whole(name), text, re.IGNORECASE) for name in facts.subjects)


def _whole(name: str) -> str:
    """The pattern of a name that is no part of a longer word."""
    edges = (r"(?<![A-Za-z])", r"(?![A-Za-z])")
    return (edges[0] if name[0].isascii() else "") + re.escape(name) + (edges[1] if name[-1].isascii() else "")


def others(masked: str, lexicon: Lexicon, facts: CopyFacts) -> list[Violation]:
    """Products, brands and kinds of the catalogue that are not among the facts."""
    return [
        Violation("wrong product", name) for name in lexicon.names_in(claims(masked, facts.locale).replace(MASK, " / "))
    ]
