"""Which of the messages that may be sent are kept: near to what the readers buy, and unlike each other."""

from collections.abc import Callable, Sequence

import numpy as np

from nightmarket.contracts.arrays import Float32s
from nightmarket.copywriting.writers import Message

Encode = Callable[[Sequence[str]], Float32s]


def whole(message: Message) -> str:
    """The texts of a message, one after the other."""
    return "\n".join(message.values())


def best_distinct(messages: Sequence[Message], nearness: Float32s, num: int, weight: float = 0.6) -> list[int]:
    """Places of up to `num` messages, the best first.

    nearness  (M,) of each message to its readers, higher is better; only the order and the spread count

    Maximal marginal relevance (Carbonell and Goldstein, 1998): each next one has the most of
    weight x nearness - (1 - weight) x likeness to the nearest one chosen, both scaled to [0, 1].
    """
    if not len(messages):
        return []
    spread = float(np.ptp(nearness))
    gain = (nearness - nearness.min()) / spread if spread > 0 else np.zeros(len(messages), np.float32)
    grams = [_grams(whole(message)) for message in messages]
    kept = [int(np.argmax(gain))]
    likeness = np.array([_jaccard(one, grams[kept[0]]) for one in grams])
    while len(kept) < min(num, len(messages)):
        score = weight * gain - (1 - weight) * likeness
        score[kept] = -np.inf
        kept.append(int(np.argmax(score)))
        likeness = np.maximum(likeness, [_jaccard(one, grams[kept[-1]]) for one in grams])
    return kept


def _grams(text: str) -> set[str]:
    """Runs of four characters, which need no words and so serve every language."""
    flat = "".join(text.lower().split())
    return {flat[at : at + 4] for at in range(max(1, len(flat) - 3))}


def _jaccard(one: set[str], other: set[str]) -> float:
    return len(one & other) / max(1, len(one | other))
