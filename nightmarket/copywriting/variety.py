"""How varied texts are: distinct n-grams and self-BLEU."""

import math
import re
from collections import Counter
from collections.abc import Sequence

_TOKEN = re.compile(r"[\u4e00-\u9fff]|[A-Za-z]+(?:'[a-z]+)?|\d+(?:\.\d+)?|[^\s\w]")


def tokens(text: str) -> list[str]:
    """Words, numbers, signs, and single Chinese characters, in lower case."""
    return _TOKEN.findall(text.lower())


def distinct(texts: Sequence[str], n: int) -> float:
    """Share of n-grams that are distinct, in [0, 1]; more is more varied (Li et al., 2016). 0 without any."""
    grams = [gram for text in texts for gram in _grams(tokens(text), n)]
    return len(set(grams)) / len(grams) if grams else 0.0


def self_bleu(texts: Sequence[str], most: int = 4) -> float:
    """Mean BLEU of each text against all others, in [0, 1]; less is more varied (Zhu et al., 2018, "Texygen").

    Modified n-gram precision up to `most`, geometric mean, add-one smoothing above unigrams, brevity penalty against
    the nearest length. A text without a word in common counts 0, and so do fewer than two texts.
    """
    if len(texts) < 2:
        return 0.0
    counts = [[Counter(_grams(tokens(text), n)) for n in range(1, most + 1)] for text in texts]
    lengths = [len(tokens(text)) for text in texts]
    highest = [_two_highest(counts, n) for n in range(most)]
    total = 0.0
    for place, own in enumerate(counts):
        hits = [sum(min(num, _best(highest[n][gram], place)) for gram, num in own[n].items()) for n in range(most)]
        if not hits[0]:
            continue
        logs = math.log(hits[0] / own[0].total())
        logs += sum(math.log((hits[n] + 1) / (own[n].total() + 1)) for n in range(1, most))
        others = lengths[:place] + lengths[place + 1 :]
        nearest = min(others, key=lambda length: (abs(length - lengths[place]), length))
        brevity = min(0.0, 1 - nearest / max(lengths[place], 1))
        total += math.exp(logs / most + brevity)
    return total / len(texts)


def _grams(words: Sequence[str], n: int) -> list[tuple[str, ...]]:
    return [tuple(words[at : at + n]) for at in range(len(words) - n + 1)]


def _two_highest(counts: list[list[Counter[tuple[str, ...]]]], n: int) -> dict[tuple[str, ...], list[tuple[int, int]]]:
    """Per n-gram the two texts that hold most of it: all that is needed to leave one text out."""
    highest: dict[tuple[str, ...], list[tuple[int, int]]] = {}
    for place, own in enumerate(counts):
        for gram, num in own[n].items():
            best = [*highest.get(gram, []), (num, place)]
            highest[gram] = sorted(best, key=lambda pair: (-pair[0], pair[1]))[:2]
    return highest


def _best(highest: list[tuple[int, int]], place: int) -> int:
    return next((num for num, owner in highest if owner != place), 0)
