"""Full-width digits and letters, as Chinese and Japanese keyboards write them, made their plain forms."""

import unicodedata

import pyarrow as pa
import pyarrow.compute as pc

_WIDE = "[\u3000\uff01-\uff5e\uff61-\uff9f\uffe0-\uffe6]"


def narrow(values: pa.Array) -> pa.Array:
    """Text as NFKC has it where it holds a sign in full width (or a half-width kana), `１２３` as 123; else as it is.

    Arrow's own `utf8_normalize` does not put a letter and its mark together (25.0.1: NFC gives é as two signs).
    """
    wide = pc.fill_null(pc.match_substring_regex(values, _WIDE), False)
    if not pc.any(wide).as_py():
        return values
    coded = values.filter(wide).dictionary_encode()
    plain = pa.array([unicodedata.normalize("NFKC", text) for text in coded.dictionary.to_pylist()], pa.string())
    return pc.replace_with_mask(values, wide, plain.take(coded.indices))
