"""Times in the digits, words, eras and calendars of other languages, with what `times` reads in their place."""

import re
import unicodedata
from datetime import date

import pyarrow as pa
import pyarrow.compute as pc

from nightmarket.intake.headers import folded

_ODD = (
    r"^(?:[A-Z]{1,2} ?\d|1[01]\d[./-]|\d{4}\. )|W\d|\b25[4-9]\d\b|(?i:[ap]\. m\.?|\bde\b|\b(?:janv|gen|enero|ene|fev|"
    r"mrt|maart|mars|abr|avr|mai|mei|maj|mag|juin|giu|juil|lug|ago|aout|set|okt|ott|out|dic|dez|sty|"
    r"lut|kwi|cze|lip|sie|wrz|lis|gru|oca|sub|nis|haz|tem|agu|eyl|eki|kas|ara)[a-z]*)"
)
"""What of ASCII alone has something to be made plain here."""
_ERAS = {"明治": 1867, "大正": 1911, "昭和": 1925, "平成": 1988, "令和": 2018, "S": 1925, "H": 1988, "R": 2018,
         "中華民國": 1911, "中华民国": 1911, "民國": 1911, "民国": 1911}  # fmt: skip
_ERA = re.compile(rf"^({'|'.join(sorted(_ERAS, key=len, reverse=True))})\s*(元|\d{{1,3}})(?=[年./-])")
_TAIWAN = re.compile(r"^(1[01]\d)(?=[年./-]\d)")
_BUDDHIST = re.compile(r"(?:พ\.ศ\.\s*)?\b(25(?:4[3-9]|[5-9]\d))\b")
_WEEK = re.compile(r"^(?:(\d{4})[- /]?(?:W|KW|CW)[- ]?(\d{1,2})(?:-([1-7]))?|(?:W|KW|CW)[- ]?(\d{1,2})[- /]+(\d{4}))$")
_DAY = re.compile(r"(\d{1,4})\s*[年년]\s*(\d{1,2})\s*[月월]\s*(\d{1,2})\s*[日号號일]?")
_DOTTED = re.compile(r"^(\d{4})\.\s?(\d{1,2})\.\s?(\d{1,2})\.?(?=\s|$)")
_HOUR = re.compile(r"(\d{1,2})\s*[時时点點시](?:\s*(\d{1,2})\s*[分분]?)?(?:\s*(\d{1,2})\s*[秒초])?")
_WEEKDAY = re.compile(
    r"[(（]?(?:星期|周|週)[一二三四五六日天][)）]?|[(（][月火水木金土日월화수목금토일][)）]|[월화수목금토일]요일"
)
_BEFORE = re.compile(r"上午|午前|오전|凌晨|清晨|早上|\bص|\b[aA]\. ?[mM]\.?")
_AFTER = re.compile(r"下午|午後|오후|中午|晚上|傍晚|\bم|\b[pP]\. ?[mM]\.?")
_CLOCK = re.compile(r"\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?")
_ENGLISH = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MONTHS = {
    word: _ENGLISH[at]
    for at, words in enumerate((
        "jan gen ene sty oca янв", "feb fev lut sub фев", "mar mrt maart maerz мар",
        "apr abr avr kwi nis апр",
        "may mai mei maj mag май мая", "jun juin giu cze haz июн", "jul juil lug lip tem июл",
        "aug ago aou sie agu авг",
        "sep set wrz eyl сен", "oct okt ott out paz eki окт", "nov lis kas ноя", "dec dic dez gru ara дек",
    ))
    for word in words.split()
}  # fmt: skip
"""The first letters of a month's name, without accents."""
_THAI_MONTHS = ("ม.ค.", "ก.พ.", "มี.ค.", "เม.ย.", "พ.ค.", "มิ.ย.", "ก.ค.", "ส.ค.", "ก.ย.", "ต.ค.", "พ.ย.", "ธ.ค.")
_THAI = dict(zip(_THAI_MONTHS, _ENGLISH, strict=True))


def western(values: pa.Array) -> pa.Array:
    """Text of times as it is, but for western digits in place of others, years of our era in place of an emperor's,
    Taiwan's or Buddha's, AM and PM behind the clock, English months, and the Monday of a week like 2024-W10."""
    odd = pc.or_(pc.invert(pc.string_is_ascii(values)), pc.match_substring_regex(values, _ODD))
    odd = pc.fill_null(odd, False)
    if not pc.any(odd).as_py():
        return values
    coded = values.filter(odd).dictionary_encode()
    plain = pa.array([_western(text) for text in coded.dictionary.to_pylist()], pa.string())
    return pc.replace_with_mask(values, odd, plain.take(coded.indices))


def _western(text: str) -> str:
    text = "".join(
        str(unicodedata.decimal(sign)) if sign.isdecimal() else sign
        for sign in unicodedata.normalize("NFKC", text)
        if unicodedata.category(sign) != "Cf"
    )
    text = _WEEKDAY.sub(" ", text.replace("،", ",")).strip()
    if week := _WEEK.match(text):
        return _monday(text, *week.groups())
    text = _ERA.sub(lambda era: str(_ERAS[era[1]] + (1 if era[2] == "元" else int(era[2]))), text)
    text = _TAIWAN.sub(lambda year: str(int(year[1]) + 1911), text)
    text = _BUDDHIST.sub(lambda year: str(int(year[1]) - 543), text, count=1)
    text = _DOTTED.sub(r"\1-\2-\3", _DAY.sub(r"\1-\2-\3 ", text))
    text = _HOUR.sub(lambda hour: f"{hour[1]}:{int(hour[2] or 0):02}:{int(hour[3] or 0):02}", text)
    text = re.sub(r"(\d)\s*(?:น\.?|Uhr)$", r"\1", text)
    text = _halved(text)
    text = re.sub(r"(?i)\b(?:de|del)\b", " ", text)
    for word, month in _THAI.items():
        text = text.replace(word, f" {month} ")
    text = re.sub(r"[^\W\d_]{3,}\.?", _english, text)
    return " ".join(text.split())


def _monday(text: str, year: str | None, week: str | None, day: str | None, other: str | None, last: str | None) -> str:
    try:
        return date.fromisocalendar(int(year or last or 0), int(week or other or 0), int(day or 1)).isoformat()
    except ValueError:
        return text


def _halved(text: str) -> str:
    """With AM or PM behind the clock in place of other words before or behind it."""
    half = "AM" if _BEFORE.search(text) else "PM" if _AFTER.search(text) else ""
    if not half:
        return text
    text = _AFTER.sub(" ", _BEFORE.sub(" ", text))
    clock = _CLOCK.search(text)
    if clock is None or int(clock[0].partition(":")[0]) > 12:
        return text
    return f"{text[: clock.end()]} {half}{text[clock.end() :]}"


def _english(word: re.Match[str]) -> str:
    letters = folded(word[0])
    for length in (*range(len(letters), 2, -1),):
        if month := _MONTHS.get(letters[:length]):
            return month
    return word[0]
