"""Small talk: parts of a text that claim nothing, so that no list has to hold their words as words of an offer.

"Put the kettle on!", "Sweet tooth?", "天冷了": a greeting, a question, a call to do something, a season. It has no
figure and no word of an offer in it, states nothing of a product, and nothing of who, where or when the offer is for.
Everything else is read as a claim.
"""

import re
from importlib.resources import files

from nightmarket.copywriting.facts import Locale
from nightmarket.copywriting.patterns import patterns
from nightmarket.copywriting.reading import MASK, read

_LISTS = patterns(__package__, "talk")
_PICTURE = "\u2026\u2190-\u25a1\u2600-\u2bff\U0001f000-\U0001faff\ufe0f~"
_PICTURES = re.compile(f"[{_PICTURE}]")
_SENTENCE = re.compile(rf"(?<=[.!?])(?=\s|$)|(?<=[!?])(?=[\u4e00-\u9fff])|[\n\u3002;{_PICTURE}]+")
"""After a stop, a picture or a line; the geometric signs stand for names and figures."""
_PART_EN = re.compile(r"(?<=[,:])\s+|\s+(?:[-\u2010-\u2015]|\.\.\.?)\s+|\s*[\u2013\u2014]\s*|\.\.\.\s*")
_PART_ZH = re.compile(rf"[,:!?\u3001\u3002;\s{_PICTURE}]+|[\u2010-\u2015-]+")
_WORD = re.compile(rf"[a-z]+(?:'[a-z]+)*|{MASK}", re.IGNORECASE)
_MOST_WORDS, _MOST_HAN = 12, 16
_LISTED: dict[Locale, frozenset[str]] = {
    "en": frozenset(files(__package__).joinpath("everyday_english.txt").read_text(encoding="utf-8").split()),
    "zh": frozenset(files(__package__).joinpath("everyday_chinese.txt").read_text(encoding="utf-8").split()),
}
_FORMS = (("", ""), ("s", ""), ("es", ""), ("ies", "y"), ("ing", ""), ("ing", "e"), ("ed", ""), ("ed", "e"))
_LONGEST = max(map(len, _LISTED["zh"]))


def claims(masked: str, locale: Locale) -> str:
    """A masked text without its small talk; each part that is taken out leaves its sentence's stop."""
    return "".join(_left(sentence, locale) for sentence in _sentences(masked))


def is_talk(sentence: str, locale: Locale) -> bool:
    """Whether a whole masked sentence claims nothing."""
    return not _left(sentence, locale).strip(" .!?,:")


def _sentences(text: str) -> list[str]:
    at, sentences = 0, []
    for match in _SENTENCE.finditer(text):
        if match.end() > at:
            sentences.append(text[at : match.end()])
            at = match.end()
    return [*sentences, text[at:]]


def _left(sentence: str, locale: Locale) -> str:
    """A sentence without the parts that are small talk."""
    bare = _PICTURES.sub(" ", sentence).strip()
    asks = bare.endswith("?")
    if locale == "zh":
        parts = [part for part in _PART_ZH.split(bare) if part]
        return ",".join(part for part in parts if not _chinese(part)) + " "
    if _english(bare, asks=asks) or _LISTS["sign_off"].fullmatch(bare.strip(" .!,")):
        return ". "
    parts = _PART_EN.split(bare)
    while len(parts) > 1 and _english(parts[0], asks=False):
        parts = parts[1:]
    while len(parts) > 1 and _LISTS["sign_off"].fullmatch(parts[-1].strip(" .!,")):
        parts = parts[:-1]
    return ", ".join(parts) + " "


def _english(part: str, *, asks: bool) -> bool:
    words = [word.lower() for word in _WORD.findall(part.replace("\u2019", "'"))]
    bare = [re.sub("'s$", "", word) for word in words]
    if not words or len(words) > _MOST_WORDS or re.search(r"[^\w\s',.!?:()\u2019\u25a2&+-]", part):
        return False
    if any(c.isdigit() for c in part) or not all(word == MASK or _everyday(word) for word in bare):
        return False
    if _LISTS["promise_en"].search(part) or _has_figures(part):
        return False
    return asks or not _LISTS["states_en"].search(part.strip())


def _everyday(word: str) -> bool:
    """Whether a word, in any of its regular forms, is one of daily life."""
    return any(word.endswith(end) and word[: len(word) - len(end)] + more in _LISTED["en"] for end, more in _FORMS)


def _chinese(part: str) -> bool:
    if len(part) > _MOST_HAN or re.search(rf"[^\u4e00-\u9fff{MASK}]", part) or _has_figures(part):
        return False
    if _LISTS["promise_zh"].search(part) or part == MASK:
        return False
    reached = {0}
    for at in range(len(part)):
        if at in reached:
            if part[at] == MASK:
                reached.add(at + 1)
            reached |= {at + size for size in range(1, _LONGEST + 1) if part[at : at + size] in _LISTED["zh"]}
    return len(part) in reached


def _has_figures(text: str) -> bool:
    figures = read(text)
    return bool(figures.amounts or figures.percents or figures.days or figures.weekdays or figures.others)
