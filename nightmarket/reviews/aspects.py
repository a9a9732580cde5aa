"""What a review speaks about, clause by clause: price, taste, delivery, in English and Chinese."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from nightmarket.contracts.arrays import Int64s


@dataclass(frozen=True)
class Aspect:
    """Something that a review can praise or complain of.

    en, zh              what it is called
    english, chinese    regular expressions of what speaks of it; English ones stand between word boundaries
    """

    key: str
    en: str
    zh: str
    english: str
    chinese: str


ASPECTS = (
    Aspect("price", "price", "价格",
           r"price[sdy]?|pricing|cheap(er|est|ly)?|expensive|overpriced|bargain|value for (the )?money|good value|"
           r"costs?|costly|affordable",
           r"价格|价钱|价位|便宜|[太很好偏真不点最较]贵|贵[了些点]|昂贵|性价比|划算|实惠|降价|涨价"),
    Aspect("quality", "quality", "质量",
           r"quality|well[- ]made|durable|sturdy|flimsy|broken?|breaks?|defective|workmanship|fell apart",
           r"质量|做工|品质|结实|耐用|[弄就会]坏|坏了|瑕疵|劣质|假货|正品|次品"),
    Aspect("taste", "taste", "味道",
           r"tast(e|es|ed|y|ing)|flavou?rs?|flavou?rful|delicious|bland|yummy",
           r"味道|口感|口味|好吃|难吃|好喝|难喝|美味|可口"),
    Aspect("freshness", "freshness", "新鲜",
           r"fresh(ness|er|ly)?|stale|rotten|mou?ldy|spoil(ed|t)|expired?|wilted",
           r"新鲜|变质|过期|腐烂|烂了|烂的|发霉|生产日期|保质期"),
    Aspect("size", "size and fit", "尺码",
           r"sizes?|sizing|fits?|fitted|fitting|too (small|large|big|tight|loose|short|long)",
           r"尺码|尺寸|码数|合身|偏[大小]|太[大小长短]了?|大小"),
    Aspect("packaging", "packaging", "包装",
           r"packag(e|es|ing|ed)|box(es)?|wrapp(ed|ing|er)|sealed|leak(ed|ing|s)?",
           r"包装|包裹|盒子|纸箱|密封|漏了|破损"),
    Aspect("delivery", "delivery", "送货",
           r"deliver(y|ed|ies|s)?|shipping|shipped|shipment|courier|arriv(e|ed|al|es)",
           r"送货|发货|物流|快递|配送|到货|送到|收到货"),
    Aspect("service", "service", "服务",
           r"service|staff|support|helpful|unhelpful|rude|friendly|refund(ed|s)?|cashier",
           r"服务|态度|客服|售后|店员|前台|退货|退款"),
    Aspect("ease", "ease of use", "使用",
           r"ease of use|eas(y|ier|ily) to \w+|user[- ]friendly|intuitive|instructions?|set ?up|installed|installation|"
           r"complicated",
           r"好用|难用|易用|操作|安装|上手|说明书|使用(起来|方便|简单|麻烦)|方便使用"),
    Aspect("look", "look", "外观",
           r"look(s|ed|ing)? (good|great|nice|bad|cheap|beautiful|ugly)|design(ed)?|colou?rs?|appearance|stylish|ugly",
           r"外观|外形|颜色|好看|难看|漂亮|款式|造型|样子"),
    Aspect("comfort", "comfort", "舒适",
           r"comfort|comfortable|uncomfortable|comfy|soft(er|ness)?|cosy|cozy|itchy",
           r"舒服|舒适|柔软|手感"),
    Aspect("smell", "smell", "气味",
           r"smell(s|ed|y)?|scent(ed)?|odou?r|fragrance|stinks?",
           r"气味|异味|香味|刺鼻|难闻|好闻|臭味|很臭"),
    Aspect("cleanliness", "cleanliness", "卫生",
           r"clean(er|liness)?|dirty|filthy|hygien(e|ic)",
           r"干净|卫生(?!间|纸|巾)|肮脏|[很太好]脏|整洁"),
    Aspect("performance", "performance", "性能",
           r"performance|speed|batter(y|ies)|overheat(s|ed|ing)?|runs? (smooth|fast|slow|hot)(ly)?",
           r"速度|性能|散热|发热|续航|电池|运行"),
)  # fmt: skip
"""One table for both languages; what no row speaks of is not told."""
BREAKS = re.compile(
    r"[，。！？；,.!?;\n…~]+|\b(?:but|however|although|though|yet|except|and)\b|但是|不过|可是|然而|虽然|但(?!愿)",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Mentions:
    """M times that a review speaks of an aspect; a review speaks of each at most once.

    review  (M,)  place of the text
    aspect  (M,)  place in ASPECTS
    clauses       M, what it says about it
    """

    review: Int64s
    aspect: Int64s
    clauses: list[str]


def mentions(texts: Sequence[str]) -> Mentions:
    """The clauses in which texts speak of an aspect, joined per text and aspect."""
    review: list[int] = []
    aspect: list[int] = []
    clauses_told: list[str] = []
    for row, text in enumerate(texts):
        by_aspect: dict[int, list[str]] = {}
        for clause, spoken in _clauses(text):
            for number in spoken:
                by_aspect.setdefault(number, []).append(clause)
        for number, clauses in by_aspect.items():
            review.append(row)
            aspect.append(number)
            clauses_told.append(", ".join(clauses))
    return Mentions(np.array(review, np.int64), np.array(aspect, np.int64), clauses_told)


def _clauses(text: str) -> list[tuple[str, list[int]]]:
    """Clauses with the aspects they speak of; one that only names its aspect is read with the next."""
    clauses: list[tuple[str, list[int]]] = []
    waiting = ""
    for part in BREAKS.split(text):
        clause = f"{waiting} {part.strip()}".strip()
        waiting = ""
        if not clause:
            continue
        spoken = [number for number, pattern in enumerate(_patterns()) if pattern.search(clause)]
        if spoken and not _says_more(clause, spoken):
            waiting = clause
            continue
        clauses.append((clause, spoken))
    if waiting:
        clauses.append((waiting, [n for n, pattern in enumerate(_patterns()) if pattern.search(waiting)]))
    return clauses


def _says_more(clause: str, spoken: list[int]) -> bool:
    """Whether anything is said besides the names of the aspects, which are nouns."""
    left = clause.lower()
    for number in spoken:
        for word in (ASPECTS[number].zh, ASPECTS[number].en):
            left = left.replace(word, "")
    return len(re.sub(r"\b(the|a|an|and|its?|this|of|for|very)\b|[\s、和的是]", "", left)) > 0


@cache
def _patterns() -> tuple[re.Pattern[str], ...]:
    return tuple(re.compile(rf"\b(?:{aspect.english})\b|{aspect.chinese}", re.IGNORECASE) for aspect in ASPECTS)
