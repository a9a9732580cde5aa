"""What a live site answers from, in two halves: I products, C customers.

The *model* half belongs to a version and knows no customer: what goes with what, factors of products, the forests that
order answers. The *state* half is the night's: what customers did last, what is in demand and to be had, names, lists.
They are joined by the ids of the products, so that tonight's state serves a model half of another night too.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from nightmarket.contracts import InputError
from nightmarket.contracts.arrays import Bools, Float32s, Int32s, Int64s, Values
from nightmarket.delivery.deliverable import Deliverable, SizesKept
from nightmarket.histories.catalogue import Catalogue
from nightmarket.histories.interactions import BOUGHT, Interactions
from nightmarket.ranking.sessions.co_visits import CoVisits
from nightmarket.ranking.sessions.orders import GOALS, SessionOrder, SessionOrders
from nightmarket.ranking.sessions.shop import LastEvents, Ragged, SessionShop, remembered
from nightmarket.serving.live import parts
from nightmarket.serving.live.rules import LiveRules
from nightmarket.serving.live.stock import LastStock
from nightmarket.serving.live.strings import CodedNames, Strings
from nightmarket.serving.live.word_index import WordIndex

OF_MODEL = ("near", "leads", "follows", "factors")
"""What of a SessionShop belongs to the version."""
SIMILAR, GOES_WITH = BESIDE = ("similar", "goes_with")
"""Rows of the state half: what stands beside each product."""
WORDS = "words"
"""Arrays of a WordIndex in the state half."""
LEVELS = ("department", "category", "type")


@dataclass(frozen=True)
class LiveBundle:
    """All of it in memory, most of it mapped.

    products, customers  their ids
    titles, kinds        (I,) of each product, and of its kind
    page_names, pages    category paths of every length, and each one's products, those most in demand first
    pages_of             (3, I) numbers of the paths of each product, by their length; -1 for none
    brand_names, brands  the same by brand; the numbers are those of the catalogue
    demand               (D,) products on sale, those most in demand first
    listed               each customer's list of the night
    bought               each customer's last purchases
    cycle                (I,) days within which who bought a product does not need it again, 0 where that is not known
    objected             (C,) to profiling
    rules                the shop's own; None where it has none
    words                of the products' texts; None in a bundle of an older version
    maker_names          numbered as the catalogue's makers are; empty in a bundle of an older version, as the next two
    group_names          the shop's own names of groups of sizes and colours, by their number
    further_groups       numbers of groups that came since the night
    text_hash            (T,) of the products' texts
    beside               of each product what stands beside it, best first, by BESIDE; what the night has of it
    """

    shop: SessionShop
    orders: SessionOrders
    goods: Deliverable
    products: CodedNames
    customers: CodedNames
    titles: Strings
    kinds: Strings
    page_names: CodedNames
    pages: Ragged
    pages_of: Int32s
    brand_names: CodedNames
    brands: Ragged
    demand: Int32s
    listed: Ragged
    bought: LastEvents
    cycle: Float32s
    objected: Bools
    time_zone: ZoneInfo
    facts: Mapping[str, Any]
    identity: str
    rules: LiveRules | None = None
    words: WordIndex | None = None
    beside: Mapping[str, Ragged] = field(default_factory=dict)
    maker_names: CodedNames = field(default_factory=lambda: CodedNames.of(()))
    group_names: CodedNames = field(default_factory=lambda: CodedNames.of(()))
    further_groups: Mapping[str, int] = field(default_factory=dict)
    text_hash: NDArray[np.uint64] = field(default_factory=lambda: np.zeros(0, np.uint64))
    stock: LastStock = field(default_factory=LastStock)


def model_arrays(shop: SessionShop, products: CodedNames) -> dict[str, Values]:
    """The arrays of the model half."""
    chosen = {name: values for name, values in shop.tensors().items() if name.split(".")[0] in OF_MODEL}
    return chosen | _named("products", products.tensors())


def state_arrays(
    shop: SessionShop,
    goods: Deliverable,
    events: Interactions,
    names: Mapping[str, CodedNames | Strings],
    groups: Mapping[str, Ragged],
    objected: Bools,
) -> dict[str, Values]:
    """The arrays of the state half.

    events   of all kinds, up to the cut
    names    products, customers, titles, kinds, page_names, brand_names
    groups   pages, brands, listed and what there is of BESIDE: products of each
    """
    made = {name: values for name, values in shop.tensors().items() if name.split(".")[0] not in OF_MODEL}
    kept = ~objected[np.maximum(events.customer, 0)] | (events.customer < 0)
    known = events.where(kept)
    made |= _named("past", vars(remembered(known)))
    made |= _named("bought", vars(remembered(known.kinds(*BOUGHT))))
    made |= _named("catalogue", vars(shop.catalogue))
    made |= _goods(goods)
    for name, texts in names.items():
        made |= _named(name, vars(texts) if isinstance(texts, Strings) else texts.tensors())
    for name, rows in groups.items():
        made |= _named(name, vars(rows))
    return made | {"objected": objected}


def in_demand(shop: SessionShop) -> Int32s:
    """(D,) products that may be recommended, those first that most was done with lately."""
    kept = np.flatnonzero(shop.catalogue.recommendable & (shop.catalogue.until_day > shop.cut))
    return kept[np.argsort(-shop.popularity[kept], kind="stable")].astype(np.int32)


def grouped(codes: Int32s, num: int, order: Int32s) -> Ragged:
    """Items of each of `num` codes, -1 for none, in the order of `order` (D,)."""
    known = order[codes[order] >= 0]
    by_code = known[np.argsort(codes[known], kind="stable")]
    indptr = np.searchsorted(codes[by_code], np.arange(num + 1)).astype(np.int64)
    return Ragged(indptr, by_code.astype(np.int32))


def merged(several: Sequence[Ragged]) -> Ragged:
    """The same rows of several, of which one at most has a row that is not empty."""
    num = np.sum([np.diff(rows.indptr) for rows in several], axis=0)
    owner = np.concatenate([np.repeat(np.arange(num.size), np.diff(rows.indptr)) for rows in several])
    items = np.concatenate([rows.item for rows in several])
    order = np.argsort(owner, kind="stable")
    return Ragged(np.append(0, np.cumsum(num)).astype(np.int64), items[order])


def _named(part: str, arrays: Mapping[str, Values]) -> dict[str, Values]:
    return {f"{part}.{name}": values for name, values in arrays.items() if isinstance(values, np.ndarray)}


def _goods(goods: Deliverable) -> dict[str, Values]:
    made = _named("goods", vars(goods))
    if goods.sizes is not None:
        made |= _named("sizes", vars(goods.sizes))
        for name in ("in_kind", "overall"):
            matrix: sparse.csr_matrix = getattr(goods.sizes, name)
            made |= _named(f"sizes.{name}", {"indptr": matrix.indptr, "indices": matrix.indices, "data": matrix.data})
            made[f"sizes.{name}.shape"] = np.array(matrix.shape, np.int64)
    return made


def read(model: Path, state: Path, verify: bool = True) -> LiveBundle:
    """Both halves, mapped and joined. Raises InputError for what is missing or damaged, or of another layout."""
    version, night = parts.read(model, verify), parts.read(state, verify)
    try:
        return _joined(version, night)
    except (KeyError, TypeError) as error:
        said = str(error)[:80]
        raise InputError(
            f"{state}: it lacks what this version answers from ({said}); run the stage `bundle` again"
        ) from None


def _joined(version: parts.Half, night: parts.Half) -> LiveBundle:
    orders = SessionOrders(
        **{goal: SessionOrder.of(version.facts["orders"][goal], version.forests.get(goal)) for goal in GOALS}
    )
    products = CodedNames.from_tensors(night.of("products"))
    learned = {name: values for name, values in version.arrays.items() if name.split(".")[0] in OF_MODEL}
    if version.facts["products"] != night.facts["products"]:
        learned = carried(learned, CodedNames.from_tensors(version.of("products")).texts, products)
    shop = SessionShop.of(night.arrays | learned, Catalogue(**night.of("catalogue")))
    goods, demand, said = _goods_of(night), night.arrays["demand"], night.facts.get("rules")
    return LiveBundle(
        shop,
        orders,
        goods,
        products,
        CodedNames.from_tensors(night.of("customers")),
        Strings(**night.of("titles")),
        Strings(**night.of("kinds")),
        CodedNames.from_tensors(night.of("page_names")),
        Ragged(**night.of("pages")),
        night.arrays["pages_of"],
        CodedNames.from_tensors(night.of("brand_names")),
        Ragged(**night.of("brands")),
        demand,
        Ragged(**night.of("listed")),
        LastEvents(**night.of("bought")),
        night.arrays["cycle"],
        night.arrays["objected"],
        ZoneInfo(night.facts["time_zone"]),
        night.facts | {"version": str(version.facts["version"])},
        f"{version.identity[:8]}{night.identity[:8]}",
        LiveRules.read(night.arrays, said, goods.group, demand) if said else None,
        WordIndex.from_tensors(night.of(WORDS)) if f"{WORDS}.weight" in night.arrays else None,
        {name: Ragged(**night.of(name)) for name in BESIDE if f"{name}.item" in night.arrays},
        maker_names=_names(night, "maker_names"),
        group_names=_names(night, "group_names"),
        text_hash=night.arrays.get("text_hash", np.zeros(0, np.uint64)),
    )


def _names(night: parts.Half, name: str) -> CodedNames:
    return CodedNames.from_tensors(night.of(name)) if f"{name}.ends" in night.arrays else CodedNames.of(())


def _goods_of(night: parts.Half) -> Deliverable:
    sizes = None
    if "sizes.cell" in night.arrays:
        matrices = []
        for name in ("in_kind", "overall"):
            own = night.of(f"sizes.{name}")
            matrix = (own["data"], own["indices"], own["indptr"])
            matrices.append(sparse.csr_matrix(matrix, shape=tuple(own["shape"].tolist())))
        sizes = SizesKept(night.arrays["sizes.cell"], night.arrays["sizes.size"], *matrices)
    plain = {field.name for field in fields(Deliverable)} - {"sizes", "markets"}
    arrays = {name: values for name, values in night.of("goods").items() if name in plain}
    return Deliverable(**arrays, sizes=sizes, markets=tuple(night.facts["markets"]))


def carried(learned: Mapping[str, Values], before: Sequence[str], products: CodedNames) -> dict[str, Values]:
    """The arrays of a model half whose products are numbered otherwise, in tonight's numbers.

    before  ids of its products, in its numbers

    Products that are not there tonight go; those that the model does not know have no neighbours and no taste.
    """
    place = np.array([products.find(product) for product in before], np.int32)
    made = {name: values for name, values in learned.items() if name.startswith("factors.")}
    if made:
        items = np.zeros((len(products), made["factors.items"].shape[1]), made["factors.items"].dtype)
        items[place[place >= 0]] = made["factors.items"][place >= 0]
        made["factors.items"] = items
    for part in ("near", "leads", "follows"):
        rows = _moved(
            CoVisits(*(learned[f"{part}.{name}"] for name in ("indptr", "item", "value"))), place, len(products)
        )
        made |= _named(part, vars(rows))
    return made


def _moved(rows: CoVisits, place: Int32s, num: int) -> CoVisits:
    owner = place[np.repeat(np.arange(place.size), np.diff(rows.indptr))]
    item = place[rows.item]
    kept = np.flatnonzero((owner >= 0) & (item >= 0))
    kept = kept[np.argsort(owner[kept], kind="stable")]
    counts: Int64s = np.bincount(owner[kept], minlength=num)
    return CoVisits(np.append(0, np.cumsum(counts)).astype(np.int64), item[kept], rows.value[kept])
