"""Full-width digits and letters, as Chinese and Japanese keyboards write them, and the digits of other scripts, made
their plain forms."""

import unicodedata

import pyarrow as pa
import pyarrow.compute as pc

_WIDE = r"[\x{3000}\x{ff01}-\x{ff5e}\x{ff61}-\x{ff9f}\x{ffe0}-\x{ffe6}\x{066b}\x{066c}]|[^\P{Nd}0-9]"
_SEPARATORS = {0x066B: ".", 0x066C: ","}


def narrow(values: pa.Array) -> pa.Array:
    """Text as NFKC has it where it holds a sign in full width (or a half-width kana) or another script's digit, as
    123 for `１２３` and `١٢٣`; else as it is.

    Arrow's own `utf8_normalize` does not put a letter and its mark together (25.0.1: NFC gives é as two signs).
    """
    wide = pc.fill_null(pc.match_substring_regex(values, _WIDE), False)
    if not pc.any(wide).as_py():
        return values
    coded = values.filter(wide).dictionary_encode()
    plain = pa.array([_plain(text) for text in coded.dictionary.to_pylist()], pa.string())
    return pc.replace_with_mask(values, wide, plain.take(coded.indices))


def _plain(text: str) -> str:
    normal = unicodedata.normalize("NFKC", text).translate(_SEPARATORS)
    return "".join(str(unicodedata.decimal(sign)) if sign.isdecimal() else sign for sign in normal)
