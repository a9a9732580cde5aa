"""In which encoding a text is written: asked of which characters it would hold, and refused where two answers fit.

A text in another encoding than it is read in does not fail, it becomes rare characters. So each encoding in which the
bytes can be read is judged by how usual what comes out is: frequent characters stand in blocks of their own in the
Chinese, Japanese and Korean sets; in the single-byte sets letters stand among letters.
"""

import re
import unicodedata
from collections.abc import Sequence

NAMES = ("gb18030", "big5", "shift_jis", "euc_jp", "euc_kr", "cp1252", "cp1251")
USUAL, LEAST = 0.9, 0.6
"""Share of usual characters from which on an encoding fits, and the least where it is far from all others."""
CLEAR = 0.2
"""By how much the best must lead the next."""
LONG = 20
"""Signs beyond ASCII from which on what could be by chance is none."""


def fitting(lines: Sequence[bytes]) -> list[tuple[str, float]]:
    """Encodings in which lines beyond ASCII can be read, the best first, with their share of usual characters."""
    content = b"\n".join(lines)
    fits = []
    for name in NAMES:
        try:
            text = content.decode({"big5": "cp950", "shift_jis": "cp932", "euc_kr": "cp949"}.get(name, name))
        except UnicodeDecodeError:
            continue
        share = _USUAL[name](text, name)
        if share > 0:
            fits.append((name, share))
    return sorted(fits, key=lambda pair: -pair[1])


def certain(lines: Sequence[bytes]) -> tuple[str, list[str]]:
    """The encoding, "" where none or several fit, and all that do."""
    fits = fitting(lines)
    usual = [name for name, share in fits if share >= USUAL]
    if fits and fits[0][1] >= LEAST and (len(fits) == 1 or fits[0][1] - fits[1][1] >= CLEAR):
        return fits[0][0], [fits[0][0]]
    if "euc_kr" in usual and sum(byte > 127 for line in lines for byte in line) >= 2 * LONG:
        return "euc_kr", ["euc_kr"]  # of so many hanzi some would lie beyond the rows that hold its syllables
    return "", usual


def _high(text: str) -> list[str]:
    return [sign for sign in text if ord(sign) > 127]


def _chinese(text: str, name: str) -> float:
    """Hanzi of the first level of GB 2312, or of Big5's frequent ones; wide signs of punctuation count with them."""
    high = _high(text)
    if name == "gb18030":
        usual = sum(_level(sign, "gb2312", 0xB0A1, 0xD7FA) for sign in high)
    else:
        usual = sum(_level(sign, "big5", 0xA440, 0xC67E) for sign in high)
    wide = sum(_punctuation(sign) for sign in high)
    return (usual + wide) / len(high) if usual else 0.0


def _japanese(text: str, name: str) -> float:
    """Kana, at least one sign in eight, and kanji of the first level."""
    high = _high(text)
    kana = sum("\u3041" <= sign <= "\u30fe" for sign in high)
    kanji = sum(_level(sign, "euc_jp", 0xB0A1, 0xCFD3) for sign in high)
    wide = sum(_punctuation(sign) for sign in high)
    return (kana + kanji + wide) / len(high) if kana * 8 >= len(high) else 0.0


def _korean(text: str, name: str) -> float:
    """Syllables of KS X 1001; hanja beside them are rare."""
    high = _high(text)
    usual = sum("\uac00" <= sign <= "\ud7a3" and _level(sign, "euc_kr", 0xB0A1, 0xC8FE) for sign in high)
    wide = sum(_punctuation(sign) for sign in high)
    return (usual + wide) / len(high) if usual else 0.0


def _letters(text: str, name: str) -> float:
    """Letters beside letters or at a word's edge, and signs of money and quotation; not two words in one alphabet."""
    high = _high(text)
    good = 0.0
    for match in re.finditer("[^\x00-\x7f]+", text):
        run = match[0]
        around = text[max(match.start() - 1, 0) : match.start()] + text[match.end() : match.end() + 1]
        inside = len(around) == 2 and around.isalpha()
        for sign in run:
            if unicodedata.category(sign) in ("Ll", "Lu"):
                good += 1 if name == "cp1251" or len(run) <= 2 else 0
            else:
                good += not inside and sign in "€£¥©®°²³½¼¾«»„“”‘’‚–—…•·×™§ºª¿¡´\u00a0№"
    if name == "cp1251":
        cyrillic = sum("\u0400" <= sign <= "\u04ff" for sign in high)
        common = sum(sign in "оеаинтсрвлкмдпуОЕАИНТСРВЛКМДПУ" for sign in high)
        return good / len(high) if cyrillic >= 0.9 * len(high) and common >= 0.5 * len(high) and _runs(text) else 0.0
    return good / len(high)


def _runs(text: str) -> bool:
    """Whether letters beyond ASCII come in words, as those of another alphabet do."""
    words = re.findall("[^\x00-\x7f]+", text)
    return sum(len(word) for word in words) >= 2.5 * len(words)


def _level(sign: str, codec: str, low: int, high: int) -> bool:
    try:
        code = sign.encode(codec)
    except UnicodeEncodeError:
        return False
    return len(code) == 2 and low <= int.from_bytes(code, "big") <= high


def _punctuation(sign: str) -> bool:
    return "\u3000" <= sign <= "\u303f" or "\uff01" <= sign <= "\uff5e" or sign in "·×°℃—…“”‘’、。￥○●★☆※→"


_USUAL = {"gb18030": _chinese, "big5": _chinese, "shift_jis": _japanese, "euc_jp": _japanese, "euc_kr": _korean,
          "cp1252": _letters, "cp1251": _letters}  # fmt: skip
