"""Gift cards, shipping, fees, tips and discounts among the products and the lines of orders of a shop."""

from collections import Counter
from collections.abc import Iterable, Mapping

import pyarrow as pa
import pyarrow.compute as pc

from nightmarket.contracts.tables import NO_PRODUCT
from nightmarket.intake.flags import read as read_flags
from nightmarket.intake.services import MAX_SHARE, MIN_OF_SHARE, Services, kind_of, suspicious

NAMED = 3
"""Names of products in a note."""
NOT_THERE = pa.scalar(None, pa.string())


def remedy(kind: str) -> str:
    """What a shop sets where that is wrong."""
    return f"otherwise set services: {{{kind}: product}}"


class CatalogueServices:
    """What the catalogue says is no product.

    services  as the events' lines are compared with
    notes     what was recognised, in how many products, with the names of some
    """

    def __init__(self, own: Mapping[str, str], batches: Iterable[Mapping[str, pa.Array]]) -> None:
        """batches: text or null by name, of product_id, title, category, sort (what a shop calls its type, or a flag
        that it is a gift card) and said, the shop's own `not_a_product`."""
        self.services = Services(own)
        self.notes = Counter[str]()
        self.ids: list[pa.Array] = []
        titles: dict[str, list[str]] = {kind: [] for kind in NO_PRODUCT}
        for batch in batches:
            self.ids.append(batch["product_id"])
            asked = pc.or_(suspicious(*batch.values()), batch["said"].is_valid())
            asked = pa.repeat(pa.scalar(True), len(asked)) if own else asked
            rows = pa.table(dict(batch)).filter(pc.and_(asked, batch["product_id"].is_valid()))
            for row in rows.to_pylist():
                kind = row["said"] if row["said"] in NO_PRODUCT else ""
                if not row["said"]:
                    texts = (row[name] or "" for name in ("product_id", "title", "category", "sort"))
                    kind = self.services.of_product(*texts)
                if kind:
                    self.services.kinds[row["product_id"]] = kind
                    titles[kind].append(row["title"] or row["product_id"])
        self._note_kinds(titles, sum(map(len, self.ids)), set(own.values()))

    def _note_kinds(self, titles: Mapping[str, list[str]], num_products: int, said: set[str]) -> None:
        """Note what was recognised; a kind that is a large part of the catalogue is what the shop sells."""
        kinds = self.services.kinds
        for kind, names in titles.items():
            if not names:
                continue
            some = ", ".join(names[:NAMED]) + (" …" if len(names) > NAMED else "")
            if len(names) >= MIN_OF_SHARE and len(names) > MAX_SHARE * num_products and kind not in said:
                for product_id in [name for name, of in kinds.items() if of == kind]:
                    del kinds[product_id]
                self.notes[
                    f"products that are called like {kind} ({some}), kept as products because they are so many of all"
                ] = len(names)
            else:
                self.notes[f"products taken as {kind} ({some}): not learned from, not recommended; {remedy(kind)}"] = (
                    len(names)
                )

    def of(self, product_id: pa.Array) -> pa.Array:
        """One of NO_PRODUCT, or null, for products of the catalogue."""
        return _looked_up(self.services.kinds, product_id)

    def of_lines(self, product_id: pa.Array, title: pa.Array | None, negative: pa.Array) -> pa.Array:
        """The same for lines of orders, whose product the catalogue may lack.

        title     what the line itself calls it, where it says so
        negative  bool, whether its amount is below 0
        """
        kinds = self.of(product_id)
        texts = [product_id] if title is None else [product_id, title]
        strange = pc.and_(kinds.is_null(), suspicious(*texts))
        if self.services.own:
            strange = kinds.is_null()
        if not pc.any(strange).as_py():
            return kinds
        for ids in self.ids:
            strange = pc.and_(strange, pc.invert(pc.is_in(product_id, value_set=ids, skip_nulls=True)))
        lines = pa.table(
            [product_id, title if title is not None else product_id, negative], ["id", "title", "negative"]
        )
        lines = lines.filter(strange)
        said: dict[tuple[str, str, bool], str | None] = {}
        read = []
        for line in zip(*(lines[name].to_pylist() for name in lines.column_names), strict=True):
            if line not in said:
                name, called, below = line
                said[line] = self.services.of_line(name or "", called or "", negative=below) or None
            read.append(said[line])
        return pc.replace_with_mask(kinds, strange, pa.array(read, pa.string()))


def sorts(values: pa.Array, header: str) -> pa.Array:
    """A column of types as text; one of flags, as `Gift Card`, as the header where the flag says yes."""
    text = values.cast(pa.string())
    flags = read_flags(text)
    yes = pc.fill_null(pc.equal(flags, "yes"), False)
    return pc.if_else(yes, pa.scalar(header), text)


def line_types(values: pa.Array) -> pa.Array:
    """What lines of orders are that are no products, as a column calls them; null for others."""
    coded = values.dictionary_encode()
    kinds = [kind_of(word or "") or None for word in coded.dictionary.to_pylist()]
    return pa.array(kinds, pa.string()).take(coded.indices)


def _looked_up(kinds: Mapping[str, str], ids: pa.Array) -> pa.Array:
    if not kinds:
        return pa.nulls(len(ids), pa.string())
    place = pc.index_in(ids, value_set=pa.array(kinds.keys(), pa.string()), skip_nulls=True)
    return pa.array(kinds.values(), pa.string()).take(place)
