"""Text as a customer should read it: entities and tags undone, signs that nobody sees taken out."""

import html
import re

import pyarrow as pa
import pyarrow.compute as pc

_TAG = re.compile(r"<!--.*?-->|<(script|style)\b.*?</\1\s*>|</?[A-Za-z][^<>]*>", re.DOTALL | re.IGNORECASE)
_BREAK = re.compile(r"<(br|/?p|/?div|/?li|/?tr|/?h\d)\b[^<>]*>", re.IGNORECASE)
_ENTITY = re.compile(r"&(#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
_UNSEEN = "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]"
_SUSPICIOUS = r"&[#A-Za-z][#A-Za-z0-9]{1,31};|</?[A-Za-z!]|" + _UNSEEN


def cleaned(values: pa.Array) -> tuple[pa.Array, int]:
    """Text without markup and without control, bidi and zero-width signs, and in how many rows that changed it."""
    suspicious = pc.fill_null(pc.match_substring_regex(values, _SUSPICIOUS), False)
    if not pc.any(suspicious).as_py():
        return values, 0
    coded = values.dictionary_encode()
    texts = [clean(text) or None for text in coded.dictionary.to_pylist()]
    out = pa.array(texts, pa.string()).take(coded.indices)
    changed = pc.fill_null(pc.not_equal(out, values), True)
    return out, pc.sum(pc.and_(changed, values.is_valid())).as_py() or 0


def clean(text: str) -> str:
    """One text; what is written twice as an entity (`&amp;eacute;`) is undone twice."""
    before = text
    for _ in range(3):
        text = _TAG.sub("", _BREAK.sub(" ", text))
        undone = _ENTITY.sub(lambda entity: html.unescape(entity[0]), text)
        if undone == text:
            break
        text = undone
    text = re.sub(_UNSEEN, "", text)
    return text if text == before else re.sub(r"\s+", " ", text).strip()
