"""What the language model reads about a product."""

import pandas as pd

_EMPTY = {"NAN", "NONE", "NULL", ""}


def product_texts(products: pd.DataFrame) -> pd.Series:
    """One text per product: title, then the category path from fine to coarse, brand and description.

    products  title, category, brand, size, description (contract columns; any may be null)

    Identifiers of makers are left out: a number means nothing to a language model.
    """
    paths = products["category"].fillna("").str.split(" > ")
    columns = [products[name].fillna("").str.strip() for name in ("title", "brand", "description") if name in products]
    texts = [_joined(title, path[::-1], rest) for path, title, *rest in zip(paths, *columns, strict=True)]
    return pd.Series(texts, index=products.index, dtype="str")


def _joined(title: str, path: list[str], rest: list[str]) -> str:
    """The parts in order, without those that an earlier part already says."""
    said = "" if title.upper() in _EMPTY else title
    for part in (*path, *rest):
        if part.upper() not in _EMPTY and part.upper() not in said.upper():
            said = f"{said}, {part}" if said else part
    return " ".join(said.split()) or "unnamed product"


def levels(category: pd.Series, names: tuple[str, ...] = ("department", "category", "type")) -> pd.DataFrame:
    """The first levels of the category path as columns; a missing level repeats the one above it, so that it is never
    empty. The last named level is the finest one there is."""
    split = category.fillna("").str.split(" > ")
    out = pd.DataFrame(index=category.index)
    for i, name in enumerate(names):
        last = i == len(names) - 1
        out[name] = split.map(lambda path, i=i, last=last: path[-1] if last or i >= len(path) else path[i])
    return out
