# ruff: noqa: E501  (a Chinese character counts twice)
"""How a text looks: length, language, tone, mark-up, left-over placeholders, links, personal data."""

import re
import unicodedata

from nightmarket.copywriting.facts import LIMITS, CopyFacts, Form, Violation, folded
from nightmarket.copywriting.reading import ISO_DAY, MASK

_MARKUP = re.compile(
    r"<[^>]*>?|~~|`|(?<!\w)_|_(?!\w)|\\|@@|^\s*>|&(?:[a-z]+|#\d+);|\*\*|__|```?|^#{1,6} |\[[^\]]*\]\(|^\s*[-*•] ",
    re.IGNORECASE | re.MULTILINE,
)
_PLACEHOLDER = re.compile(
    rf"[{{}}\[\]|]|【(?!{MASK}】)|(?<!【{MASK})】|[○×〇●□]{{2,}}|(?<![A-Za-z])xx+(?![A-Za-z])|%[sd]\b|%\([a-z]+(?:_[a-z]+)*\)|[XYN]折|\$[a-z_]+|_{{2,}}|\.{{4,}}|\b(?:lorem|ipsum|todo|tbd|fixme|xx+|foo|bar|undefined|null|none|"
    r"nan|n/a|"
    r"insert|placeholder|your name|first ?name|product name|shop name)\b|某某|此处|占位|待定|待补|待填|此处填|姓名|商品名称",
    re.IGNORECASE,
)
_LINK = re.compile(
    r"https?:|www\.|(?<![a-z0-9-])[a-z0-9-]+[.。](?:com|net|org|io|cn|co|uk|de|shop|store|info|biz|ly|me|app|xyz|top|site|"
    r"online)(?![a-z])|bit\.ly|点击链接|二维码|扫码",
    re.IGNORECASE,
)
_PEOPLE = re.compile(
    r"[\w.+-]+@[\w-]+|\b(?=[0-9a-f]*\d)(?=[0-9a-f]*[a-f])[0-9a-f]{10,}\b|\b\d{7,}\b|\+?\d[\d ()-]{8,}\d|"
    r"\b(?:customer|user|member|account|household|client)[ _-]?(?:id|no\.?|number|#)|"
    r"会员号|用户号|手机号|身份证|微信号?|编号|收货人|尾号|小姐|QQ|"
    r"\b(?i:mr|mrs|ms|dr)\b\.? ?[A-Z]|"
    r"\b(?i:dear|hi|hello|hey) [A-Z][a-z]+|尊敬的[^顾会客用]|亲爱的[^顾会客用朋]|先生|女士|"
    r"^(?!(?:Hello|Hi|Hey|Today|Now|Yes|Finally|Also|Meanwhile|Still|So|Psst|Thanks|Welcome|Remember|Simply|Again|Relax)"
    r"\b)[A-Z][a-z]+, (?!and\b|or\b)"
)
_SHOUT = re.compile(r"\b[A-Z]{3,}(?:\W+[A-Z]{2,})+\b")
_EMOJI = re.compile("(?<=[\u2190-\u2bff\U0001f000-\U0001faff])\ufe0f")
"""The sign after a picture that asks for its colours."""
_RUDE = re.compile(
    r"\b(?:damn|hell|crap|stupid|idiots?|suck(?:s|ers?)?|shit|fuck\w*|bastard|dumb)\b|傻|蠢|混蛋|妈的|滚|屌|操你",
    re.IGNORECASE,
)


_MOST_CALLS = 3
"""Exclamation marks of a text, of which no three stand together."""


def length(text: str, kind: Form) -> list[Violation]:
    """At most the form's characters, and not empty; a body alone may have lines."""
    if not text.strip():
        return [Violation("length", "empty")]
    broken = (
        [] if len(text) <= LIMITS[kind] else [Violation("length", f"{len(text)} characters of at most {LIMITS[kind]}")]
    )
    return broken + ([Violation("length", "several lines")] if kind != "body" and "\n" in text.strip() else [])


def characters(text: str) -> list[Violation]:
    """Control and invisible characters, and words that mix alphabets to look like others."""
    clean = _EMOJI.sub("", folded(text))
    broken = [
        Violation("hidden character", f"U+{ord(c):04X}")
        for c in clean
        if unicodedata.category(c) in ("Cc", "Cf", "Co", "Cn", "Cs") or 0xFE00 <= ord(c) <= 0xFE0F
    ]
    for word in re.findall(r"\w+", clean):
        if re.search("[a-zA-Z]", word) and re.search("[\u0370-\u03ff\u0400-\u04ff]", word):
            broken.append(Violation("hidden character", "a word of two alphabets"))
    return broken


def markup(text: str, masked: str, facts: CopyFacts) -> list[Violation]:
    """HTML and Markdown."""
    return [Violation("mark-up", match[0][:20]) for match in _MARKUP.finditer(masked)]


def placeholders(text: str, masked: str, facts: CopyFacts) -> list[Violation]:
    """What should have been filled in."""
    return [Violation("placeholder", match[0][:20]) for match in _PLACEHOLDER.finditer(masked)]


def links(text: str, masked: str, facts: CopyFacts) -> list[Violation]:
    """Addresses; the shop adds its own where a text is sent."""
    return [Violation("link", match[0][:20]) for match in _LINK.finditer(masked)]


def people(text: str, masked: str, facts: CopyFacts) -> list[Violation]:
    """Ids, addresses, telephone numbers, names of people; not quoted."""
    return [
        Violation("personal data", f"{len(match[0])} characters")
        for match in _PEOPLE.finditer(ISO_DAY.sub(" ", masked))
    ]


def language(text: str, masked: str, facts: CopyFacts) -> list[Violation]:
    """The words around the names are in the language of the facts."""
    plain = masked.replace(MASK, " ")
    han = sum("\u4e00" <= c <= "\u9fff" for c in plain)
    latin = len(re.findall(r"[A-Za-z]+", plain))
    strange = sum(
        c.isalpha() and not ("\u4e00" <= c <= "\u9fff") and not c.isascii() and c not in "éèêáíóúñüöäç" for c in plain
    )
    if strange or (facts.locale == "en" and han) or (facts.locale == "zh" and (latin > 2 or (latin and han < 1))):
        return [Violation("language", f"not {facts.locale}")]
    return []


def tone(text: str, masked: str, facts: CopyFacts) -> list[Violation]:
    """Shouting and rudeness."""
    broken = [Violation("tone", match[0][:20]) for match in _RUDE.finditer(masked)]
    if masked.count("!") > _MOST_CALLS or "!!!" in masked or masked.count("?") > 2:
        broken.append(Violation("tone", "several exclamation or question marks"))
    return broken + [Violation("tone", "capitals") for _ in _SHOUT.finditer(masked)]
