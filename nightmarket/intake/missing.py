"""Words that stand where a value is missing."""

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from nightmarket.intake.vocabulary import MISSING

_WIDE = {code: code + 0xFEE0 for code in range(0x21, 0x7F)}


def words(own: Sequence[str] = ()) -> pa.Array:
    """All words that mean missing, with the shop's own; as `Ｎ／Ａ` in full width, too."""
    narrow = [*MISSING, *(word.encode("utf-8", "ignore").decode().strip() for word in own)]
    return pa.array(dict.fromkeys([*narrow, *(word.translate(_WIDE) for word in narrow)]), pa.string())


def blanked(values: pa.Array, missing: pa.Array) -> tuple[pa.Array, int]:
    """Text without words that mean missing, and how many there were; an empty text is missing and not counted."""
    trimmed = pc.utf8_trim_whitespace(values)
    word = pc.fill_null(pc.is_in(trimmed, value_set=missing), False)
    count = pc.sum(word).as_py() or 0
    if not count and not pc.any(pc.equal(trimmed, "")).as_py():
        return values, 0
    gone = pc.or_(word, pc.fill_null(pc.equal(trimmed, ""), False))
    return pc.if_else(gone, pa.scalar(None, pa.string()), values), count
