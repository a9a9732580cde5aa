"""Words of texts in English and Chinese; Chinese words are found in the texts themselves, without a dictionary."""

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache

HAN = "\u4e00-\u9fff"
RUNS = re.compile(rf"[{HAN}]+|[^\W\d_{HAN}]+(?:['’-][^\W\d_{HAN}]+)*")
LONGEST = 4
LEAST_COUNT = 8
LEAST_COHESION = 2.5
LEAST_ENTROPY = 1.2
MOST_LETTERS = 1_500_000
"""Letters that Chinese words are looked for in; more find no more of the frequent ones."""
EDGES = frozenset(
    "的了是在我你您他她它们这那有和就也都很还要说到着过吧啊呢吗啦呀哦嘛与及或但而被把让给从对以于等个之其某各每太最更挺蛮好"
)
"""Letters that words of a topic neither begin nor end with: particles, pronouns, copulas, degrees."""
_CHINESE = """
不是 没有 可以 一个 一下 一点 一些 一直 一样 一次 什么 怎么 怎样 如果 因为 所以 虽然 不过 而且 然后 这个 那个
这样 这种 自己 大家 我们 感觉 觉得 认为 知道 比较 非常 真的 确实 实在 不错 东西 时候 出来 起来 下来 上去 不要
不能 不会 不到 不知 应该 可能 已经 还是 只是 只有 就是 可是 而言 来说 所有 很多 许多 不少 多少 为了 关于 由于
以后 以前 之后 之前 目前 现在 今天 昨天 不用 需要 希望 喜欢 推荐 失望 总体 总之 方面 地方 问题 情况 有些 有点
还有 除了 其他 其它 别的 那么 这么 几乎 基本 当然 甚至 居然 竟然 完全 特别 十分 的话 不好 值得 无法 并不 第一
第二 第三 两个 几个 这里 那里 哪里 任何 一般 一定 必须 看到 看了 买了 用了 发现 建议 不如 不太 不得 不可 不行
不同 不知道 没什么 真是 简直 根本 本来 原来 其实 虽说 尤其 不仅 只能 只要 只好 至少 最后 终于 一切 一种 不管
无论 经常 有时 总是 一起 之一 左右 以上 以下
"""
_ENGLISH = """
good great nice bad love like really very just got get bought buy use used using product item would could one two
much well also even don't didn't doesn't i'm it's i've can't won't isn't wasn't that's thing things lot best better
ever still make made does did want need know think say says said
"""
EMPTY = frozenset(_CHINESE.split() + _ENGLISH.split())
"""Words that say nothing about what a text is about, besides scikit-learn's English ones."""


@dataclass(frozen=True)
class Words:
    """How texts are cut: log-probabilities of the Chinese words and letters that were found."""

    chance: Mapping[str, float]
    rare: float

    def split(self, text: str) -> list[str]:
        """Words of a text, lower case; Chinese by the likeliest path through found words (unigram model, Viterbi)."""
        words: list[str] = []
        for run in RUNS.findall(text.lower()):
            if "\u4e00" <= run[0] <= "\u9fff":
                words += self._path(run)
            else:
                words.append(run.replace("’", "'"))
        return words

    def telling(self, text: str) -> list[str]:
        """The words of a text without those that say nothing about what it is about."""
        empty = _empty()
        return [word for word in self.split(text) if len(word) > 1 and word not in empty]

    def _path(self, run: str) -> list[str]:
        best, back = [0.0] + [-math.inf] * len(run), [0] * (len(run) + 1)
        for end in range(1, len(run) + 1):
            for size in range(1, min(LONGEST, end) + 1):
                word = run[end - size : end]
                chance = self.chance.get(word, self.rare if size == 1 else None)
                if chance is not None and best[end - size] + chance > best[end]:
                    best[end], back[end] = best[end - size] + chance, end - size
        cut: list[str] = []
        end = len(run)
        while end:
            cut.append(run[back[end] : end])
            end = back[end]
        return cut[::-1]


@cache
def _empty() -> frozenset[str]:
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

    return EMPTY | ENGLISH_STOP_WORDS


def find(texts: Iterable[str]) -> Words:
    """The words of Chinese texts: runs of two to four letters that hang together and stand freely.

    Cohesion is the least pointwise mutual information over all ways to cut the run in two (Sproat & Shih, 1990);
    freedom the smaller entropy of the letters before and behind it (Jin & Tanaka-Ishii, 2006). A run counts from eight
    occurrences. Without Chinese letters the list is empty, and English needs none.
    """
    runs, letters = [], 0
    for text in texts:
        for run in RUNS.findall(text):
            if "\u4e00" <= run[0] <= "\u9fff":
                runs.append(run)
                letters += len(run)
        if letters > MOST_LETTERS:
            break
    counts = _counts(runs)
    total = max(letters, 1)
    left, right = _neighbours(counts)
    chance = {}
    for word, num in counts.items():
        if len(word) > LONGEST or (len(word) > 1 and num < LEAST_COUNT):
            continue
        if len(word) == 1 or _is_word(word, counts, total, left, right):
            chance[word] = math.log(num / total)
    return Words(chance, math.log(0.5 / total))


def _counts(runs: list[str]) -> Counter[str]:
    """Counts of runs up to five letters, of those with a frequent part."""
    counts: Counter[str] = Counter()
    for size in range(1, LONGEST + 2):
        in_run: Counter[str] = Counter()
        for run in runs:
            for first in range(len(run) - size + 1):
                word = run[first : first + size]
                if size < 3 or counts[word[:-1]] >= LEAST_COUNT or counts[word[1:]] >= LEAST_COUNT:
                    in_run[word] += 1
        counts.update(in_run)
    return counts


def _neighbours(counts: Counter[str]) -> tuple[dict[str, list[int]], dict[str, list[int]]]:
    """Per run the counts of the letters before it, and of those behind it."""
    left: dict[str, list[int]] = {}
    right: dict[str, list[int]] = {}
    for word, num in counts.items():
        if len(word) > 2:
            left.setdefault(word[1:], []).append(num)
            right.setdefault(word[:-1], []).append(num)
    return left, right


def _is_word(
    word: str, counts: Counter[str], total: int, left: Mapping[str, list[int]], right: Mapping[str, list[int]]
) -> bool:
    if word[0] in EDGES or word[-1] in EDGES:
        return False
    num = counts[word]
    cohesion = min(math.log(num * total / (counts[word[:cut]] * counts[word[cut:]])) for cut in range(1, len(word)))
    if cohesion < LEAST_COHESION:
        return False
    return min(_entropy(side.get(word, []), num) for side in (left, right)) >= LEAST_ENTROPY


def _entropy(neighbours: list[int], num: int) -> float:
    """Entropy, nats, of what stands beside a run; the end of a sentence is each time a neighbour of its own."""
    ends = max(num - sum(neighbours), 0)
    return (ends * math.log(num) - sum(n * math.log(n / num) for n in neighbours)) / num
