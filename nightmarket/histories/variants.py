"""Products that are one model in several sizes: by the parent that the shop names, or else by what their titles say.

A list that holds one shoe in three sizes has lost two places, and what is learned of one size holds for the others.
Shops without a parent write the size at the end of the title, or in a column beside equal titles.
"""

import re
from collections.abc import Sequence

import numpy as np
import pandas as pd

from nightmarket.contracts.arrays import Int32s

_LETTERS = r"(?:one size|(?:x{0,4}|[2-6]x)s|m|l|(?:x{1,4}|[2-7]x)l|(?:xs|s|m|l|xl)\s?[/-]\s?(?:s|m|l|xl|xxl))"
_NUMBER = r"(?:[2-6]\d(?:[.,]5|½)?(?:\s?[/-]\s?[2-6]\d)?|1[0-8]\d)"
_WORD = r"(?:size|gr\.?|gr(?:ö|oe)(?:ß|ss)e|taille|talla|taglia|maat|eu|us|uk|尺码|尺寸)[\s.:]*"
_NAMED = rf"(?:{_WORD}(?:{_LETTERS}|\d{{1,3}}(?:[.,]5|½)?)|{_NUMBER}\s?(?:码|号))"
_CLEAR = rf"(?:{_NAMED}|{_LETTERS})"
_APART = r"(?:\s*[-–—/|,;:·]\s*|\s+|(?<=[\u4e00-\u9fff]))[(\[（【]?\s*"
_SIGN = r"(?:\s*[-–—/|,;:·]\s+|\s+[/|]\s*|\s*[(\[（【]\s*)"
_AT_END = re.compile(rf"(?:{_APART}(?P<clear>{_CLEAR})|{_SIGN}(?P<number>{_NUMBER}))\s*[)\]）】]?\s*$")
"""A bare number is a size only behind a sign: "Sneaker - 42", but not "Star Wars 42"."""
_ALONE = re.compile(rf"\s*(?:{_CLEAR}|{_NUMBER})\s*")


def groups(products: pd.DataFrame) -> Int32s:
    """(I,) which products are one in several sizes: equal numbers from 0 on, -1 for a product of its own.

    products  row i is item i; of group_id, title, brand, maker, category, size, price what there is

    A product with a group_id is of that group. Others are one where brand, category and price are the same, their
    titles differ by a size of clothes or shoes alone.
    """
    nothing = pd.Series(None, products.index, dtype=object)
    named = products.get("group_id", nothing)
    code = pd.factorize(named)[0].astype(np.int64)
    rest = np.flatnonzero(code < 0)
    if not rest.size or "title" not in products:
        return code.astype(np.int32)
    model, size = _models(
        products["title"].to_numpy(object)[rest], products.get("size", nothing).to_numpy(object)[rest]
    )
    sized = np.flatnonzero([text is not None for text in size])
    if sized.size < 2:
        return code.astype(np.int32)
    same = pd.DataFrame({"model": np.array(model, object)[sized], "size": np.array(size, object)[sized]})
    for name in ("brand", "maker", "department", "category", "type", "price"):
        if name in products:
            same[name] = products[name].to_numpy(object)[rest[sized]]
    alike = same.groupby([name for name in same if name != "size"], dropna=False, sort=False)
    number, whole = alike.ngroup().to_numpy(), alike["size"].transform("nunique").to_numpy() > 1
    code[rest[sized[whole]]] = code.max(initial=-1) + 1 + pd.factorize(number[whole])[0]
    return code.astype(np.int32)


def alike(text: Int32s, group: Int32s) -> Int32s:
    """(I,) codes from 0 of what learns together: products of one group, and those of no group by their text.

    text   (I,) products with the same text
    group  (I,) see `groups`
    """
    return pd.factorize(np.where(group >= 0, group, -1 - text))[0].astype(np.int32)


def _models(titles: Sequence[object], sizes: Sequence[object]) -> tuple[list[str | None], list[str | None]]:
    """Title without its size, and the size; None where neither title nor column says one of clothes or shoes."""
    models: list[str | None] = []
    said: list[str | None] = []
    for title, size in zip(titles, sizes, strict=True):
        text = " ".join(title.casefold().split()) if isinstance(title, str) else ""
        at_end = _AT_END.search(text)
        column = " ".join(size.casefold().split()) if isinstance(size, str) else None
        if column is not None and _ALONE.fullmatch(column) and re.search(rf"\W{re.escape(column)}$", text):
            models.append(re.sub(rf"[\W_]+{re.escape(column)}$", "", text))
            said.append(column)
        elif at_end and text[: at_end.start()].strip():
            models.append(text[: at_end.start()].strip())
            said.append(column or at_end["clear"] or at_end["number"])
        elif text and column is not None and _ALONE.fullmatch(column):
            models.append(text)
            said.append(column)
        else:
            models.append(None)
            said.append(None)
    return models, said
