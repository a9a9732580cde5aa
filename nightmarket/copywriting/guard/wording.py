# ruff: noqa: E501  (a Chinese character counts twice)
"""The words and the sentences that a text may use around its facts: closed lists per language.

Ordinary words make claims too ("it also holds for your friends"). A sentence with a name or a figure of the facts is read by the
other rules; one without can only be small talk, whose shapes are few.

False claims are endless, so a list of them is never complete. What a promotion has to say is not: where, what, how much, when,
an invitation. A word that is not listed states something that nobody measured or wrote down, and the text is stopped.
"""

import re
from importlib.resources import files

from nightmarket.copywriting.facts import CopyFacts, Violation, folded
from nightmarket.copywriting.guard import talk
from nightmarket.copywriting.guard.names import without
from nightmarket.copywriting.patterns import patterns
from nightmarket.copywriting.phrases import LANGUAGES, runs, vocabulary
from nightmarket.copywriting.reading import MASK, MONTH, MONTHS, SENTENCE, WEEKDAYS, read

_LISTS = patterns(__package__, "wording")
_TALK_EN = re.compile(
    r"(?:(?:so|and|well|psst|now|simply|just|please|oh)[,:]? )?(?:hello|hi|hey|dear|good (?:morning|evening|day|news|to know|afternoon)|thanks?|"
    r"see you|we (?:hope|look forward|would like to (?:see|welcome)|wish|thought|picked|are (?:glad|happy|pleased)|have something)|welcome|"
    r"news|enjoy|visit|come|drop|pop|stop by|swing|have a|treat yourself|let us|here(?:'s| is)|that'?s (?:it|all)|no (?:rush|hurry)|time (?:to|for)|"
    r"something|a (?:little|small|thought|note|gentle|reminder|good|nice)|plan|stock up|add|put|pick up|try|find|look|shop|ready|simple|small|"
    r"your (?:basket|shelf|table|kitchen|list)|for your|bring it|how about|happy|yours|until (?:then|soon)|we(?:'d| would) like to|"
    r"(?:enter|use|type|add|show) (?:it|(?:the|this|your) code) )",
    re.IGNORECASE,
)
_KNOWN = {
    locale: frozenset(
        folded(text).strip(" .!?。！？").lower()
        for texts in (*language.openers.values(), language.closers)
        for text in texts
    )
    for locale, language in LANGUAGES.items()
}


def free_standing(text: str, masked: str, facts: CopyFacts) -> list[Violation]:
    """Statements about nothing that the facts hold."""
    shop = folded(facts.shop)
    names = [name for name in facts.names if name != shop]
    small, more, known = (
        (_TALK_EN, _LISTS["more_en"], _KNOWN["en"])
        if facts.locale == "en"
        else (_LISTS["talk_zh"], _LISTS["more_zh"], _KNOWN["zh"])
    )
    broken = []
    for sentence in SENTENCE.split(without(text, names)):
        bare = re.sub(re.escape(shop), "", sentence, flags=re.IGNORECASE).strip(" .!。！【】-—,，:：")
        if not bare or MASK in bare or bare.lower().rstrip("?？") in known or bare.endswith(("?", "？")):
            continue
        if any(c.isdigit() for c in bare) or _has_figures(bare):
            continue
        if (not small.match(bare) or more.search(bare)) and not talk.is_talk(bare, facts.locale):
            broken.append(Violation("unsupported statement", bare[:20]))
    return broken


def _has_figures(text: str) -> bool:
    figures = read(text)
    return bool(figures.amounts or figures.percents or figures.days or figures.weekdays)


def _listed(name: str) -> frozenset[str]:
    """Ordinary words of a language, which claim nothing."""
    return frozenset(files(__package__).joinpath(f"{name}.txt").read_text(encoding="utf-8").split())


_FULL_MONTHS = "january february march april june july august september october november december sept tues thurs"
EN = frozenset(
    (*vocabulary(), *_listed("english"), *_FULL_MONTHS.split(), *MONTHS, *WEEKDAYS, *(day[:3] for day in WEEKDAYS))
)
_EN_NEWS = "new newly newcomer arrival arrivals arrived arrives debut debuts launch launched first introducing met landed addition"
EN_NEWS = frozenset(_EN_NEWS.split())
EN_TURNS = _LISTS["en_turns"]
ZH_TURNS = _LISTS["zh_turns"]
"""Turns of speech with a word that alone could turn a statement into its opposite."""
EN_CLAIMS = re.compile(
    r"\bthe more\b|\bnext (?!order|visit|basket|shop|time|trip|purchase|meal)\w+|\b(?:we|you)(?:'ve| have)? (?:noticed|saw|know)\b|"
    r"\byou(?:'ve| have)? (?:bought|spent)\b|\bworth every\b|\b(?:we|i) hope this\b|\blike you\b|\bboth of\b|\bgo(?:es)? (?:up|down)\b|\bthe one\b|"
    rf"\blasts? (?:for|and|a)\b|\bsome (?:of )?(?:our |the )?{MASK}|\bpay (?:just |only )?(?:a |one )?(?:third|quarter|fifth|tenth)\b(?! less| off)|"
    rf"{MASK},? (?:and|or) (?:(?:your|the) (?!{MASK})|(?:all|what|our|any|everything|other|some|more (?!:))\b)",
    re.IGNORECASE,
)
"""Listed words that make a claim together, or stretch what the offer applies to."""

_OWN_EN = re.compile(rf"{MASK}'s?(?![a-z])", re.IGNORECASE)
_RANGE = "range|selection|line-?up|lines?|collection|aisle|shelf|shelves|section"
_ALL_EN = re.compile(
    rf"\b(?:(?:all|every|any|each)(?: of)?(?: the| our| your)?(?: single)? {MASK}(?: (?:we (?:sell|have|stock)|(?:in|at) (?:the|our) (?:shop|store)))?|"
    rf"(?:(?:all|every part) of )?(?:the|our) (?:whole|entire|full|complete) {MASK}(?: (?:{_RANGE}))?|{MASK} (?:{_RANGE})|"
    rf"everything (?:in|from|on)(?: the| our)? {MASK}(?: (?:{_RANGE}))?)(?!\w)",
    re.IGNORECASE,
)
_TIME_EN = re.compile(
    rf"\b(?:your )?(?:(?:this )?(?:winter|summer|autumn|spring|holiday|christmas|valentine'?s?|morning|evening|afternoon|favou?rite)(?:'s)? ){{1,2}}{MASK}|"
    rf"{MASK} (?:time|season|weather|night|break|run|lovers?|fans?|drinkers?|people|alert|event|days?)\b|"
    r"\b(?:winter|summer|autumn|spring|holiday) (?:warmer|treats?|sale|special|deal|offer)\b|"
    rf"\b{MONTH}'s(?= |$)|\b(?:this|all) {MONTH}\b",
    re.IGNORECASE,
)
"""What a time of the year, a habit or those who like a thing add to its name claims nothing."""
_ALL_ZH = re.compile(rf"(?:全部|所有|凡是?|任意|任何)(?:的|购|买|购买|选购)?{MASK}|{MASK}(?:全部|全都|均|都)")
"""An offer holds for all that it applies to."""

ZH = _listed("chinese") | runs("zh", "[\u4e00-\u9fff]+")
_ZH_NEWS = "新 新品 新款 新到 新到店 新来 新来的 新添 新添一员 一员 上新 上新啦 刚刚 刚刚上架 刚到 刚上架 首批 首发 第一批 尝鲜 全新 多了 新成员 上线 登场"
ZH_NEWS = frozenset(_ZH_NEWS.split())
ZH_CLAIMS = re.compile(
    rf"上个|大家(?!好)|买过|每[^日天周月]|几|您(?:们)?(?:还有|属于|住|今年|上次)|算我们的(?!心意)|(?<!正)在用|顾客们?(?:都|常|爱|说|喜欢)|"
    rf"一(?:年|个月|周|星期)|{MASK}(?:和|与|及|以及)(?!{MASK})|见券|折上|上折|折后|再[折打享]|(?<!的)[早晚午]上(?!好)|中午|周末(?!有)"
)
_HAN = re.compile("[\u4e00-\u9fff〇]+")
_LATIN = re.compile(r"[a-z]+(?:'[a-z]+)*")
_LONGEST = max(map(len, ZH | ZH_NEWS))
PRAISE_EN = frozenset(("praise", "praised", "praises", "review", "reviews", "reviewers", "buyers"))
PRAISE_ZH = frozenset(("好评", "评价", "评价里", "评价中", "称赞", "夸", "买家", "得到", "受到", "因", "因为", "而"))


def unlisted(text: str, masked: str, facts: CopyFacts) -> list[Violation]:
    """Words that no list holds and that are not part of a name of the facts."""
    find = _english if facts.locale == "en" else _chinese
    return [Violation("unsupported wording", word) for word in dict.fromkeys(find(masked, facts))]


def _english(masked: str, facts: CopyFacts) -> list[str]:
    claims = [match[0].lower() for match in EN_CLAIMS.finditer(masked)]
    own = set(_LATIN.findall(" ".join(_named(facts)).lower()))
    news = EN_NEWS if facts.product.is_new else frozenset[str]()
    praise = PRAISE_EN if facts.praise else frozenset[str]()
    stated = _OWN_EN.sub(MASK, talk.claims(masked.replace("\u2019", "'"), "en"))
    whole = _TIME_EN.sub(f" {MASK}", _ALL_EN.sub(f" {MASK}", stated))
    words = _LATIN.findall(EN_TURNS.sub(" ", whole).lower())
    return claims + [word for word in words if not (word in EN or word in own or word in news or word in praise)]


def _named(facts: CopyFacts) -> list[str]:
    """Names whose words may stand alone too: the last word of a product's name is what it is."""
    product, offer = facts.product, facts.offer
    names = [facts.shop, product.name, product.brand, product.category]
    return names if offer is None else [*names, offer.scope, offer.gift or ""]


def _chinese(masked: str, facts: CopyFacts) -> list[str]:
    claims = [match[0] for match in ZH_CLAIMS.finditer(masked)]
    news = ZH_NEWS if facts.product.is_new else frozenset[str]()
    praise = PRAISE_ZH if facts.praise else frozenset[str]()
    listed = ZH | news | praise if news or praise else ZH
    for run in _HAN.findall(ZH_TURNS.sub(" ", _ALL_ZH.sub(" ", talk.claims(masked, "zh"))).replace(MASK, " ")):
        claims += _left_over(run, listed)
    return claims


def _left_over(run: str, listed: frozenset[str]) -> list[str]:
    """Characters that no division of a run into listed words covers, by the division that covers most."""
    most = [0] * (len(run) + 1)
    step = [1] * (len(run) + 1)
    for at in range(len(run) - 1, -1, -1):
        most[at] = most[at + 1]
        for length in range(1, min(_LONGEST, len(run) - at) + 1):
            if run[at : at + length] in listed and length + most[at + length] > most[at]:
                most[at], step[at] = length + most[at + length], length
    characters, at = [], 0
    while at < len(run):
        if step[at] == 1 and run[at] not in listed:
            characters.append(run[at])
        at += step[at]
    return characters


_QUOTED = re.compile(r"[“「『《\"]([^”」』》\"]+)[”」』》\"]")
_CAPITAL = re.compile(r"(?<![.!?:;\n] )(?<![.!?:;\n])(?<!^)\b[A-Z][a-z]+\b")
_AFTER_SIGN = re.compile(r"(?:[^\w\s,'\"(&]|\n) *$")
"""A sentence may begin after a picture or a dash too."""
_CALENDAR = re.compile(
    r"^(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec|January|February|March|April|June|July|August|"
    r"September|October|November|Sept|Tues|Thur|Thurs|"
    r"December|Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday|Mon|Tue|Wed|Thu|Fri|Sat|Sun)$"
)


def strangers(text: str, masked: str, facts: CopyFacts) -> list[Violation]:
    """Names that no fact knows: words with a capital inside a sentence, and what stands in quotation marks."""
    whole = _ALL_EN.sub(MASK, talk.claims(masked, facts.locale))
    capitals = [
        m[0]
        for m in _CAPITAL.finditer(whole)
        if not (_CALENDAR.match(m[0]) or (m[0].lower() in EN and _AFTER_SIGN.search(whole[: m.start()])))
    ]
    quoted = [m[1] for m in _QUOTED.finditer(masked) if m[1].strip() != MASK]
    latin = re.findall("(?<![A-Za-z])[A-Z][a-z]{2,}", masked) if facts.locale == "zh" else []
    return [Violation("unknown name", name[:20]) for name in [*capitals, *quoted, *latin]]
