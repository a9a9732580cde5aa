"""What the rows of events mean: kinds by their many names, guests, and negative lines as returns."""

from collections import Counter
from collections.abc import Mapping

import pyarrow as pa
import pyarrow.compute as pc

from nightmarket.contracts import InputError
from nightmarket.intake import kinds
from nightmarket.intake.headers import plain
from nightmarket.intake.visitors import guests
from nightmarket.intake.vocabulary import VOID
from tasks.intake.services import remedy

GUESTS = "rows without a customer, kept as sessions of guests"
EMPTY = "lines that are empty, or sum up others, left out"
CAME_BACK = "purchases that came back as their line says, in part or all, taken off"
RETURNS = "negative lines, taken as returns"
NO_PRODUCT = "looks and searches without a product, kept"
IGNORED = "events that say nothing about products, left out"


class EventMeanings:
    """Turns batches of events with contract columns into what they mean, and counts."""

    def __init__(self, own_kinds: Mapping[str, str], nobodies: pa.Array, notes: Counter[str]) -> None:
        self.own_kinds = own_kinds
        self.nobodies = nobodies
        self.notes = notes
        self.bought = self.turned = self.rows = 0
        self.first: int | None = None

    def __call__(
        self,
        columns: dict[str, pa.Array],
        services: pa.Array,
        status: pa.Array | None = None,
        nothing: pa.Array | None = None,
        back: pa.Array | None = None,
    ) -> dict[str, pa.Array]:
        """The columns, by name, with kinds of the contract and IGNORED for rows to leave out.

        services  what each line is that is no product, or null
        status    how each line's order stands, as the shop calls it; None: nothing says it
        nothing   where a line is empty, or sums up others; None: nowhere
        back      share of each line that came back, from 0 to 1; None: nothing says it
        """
        kind = kinds.read(columns["kind"], self.own_kinds)
        if nothing is not None:
            self._note(EMPTY, nothing)
            kind = pc.if_else(nothing, kinds.IGNORED, kind)
        void = self._void(kind, status)
        if back is not None:
            columns, all_back = self._net(columns, kind, back)
            void = pc.or_(void, all_back)
        kind = pc.if_else(void, kinds.IGNORED, kind)
        for service in services.drop_null().unique().to_pylist():
            self._note(f"lines of the kind {service}, left out; {remedy(service)}", pc.equal(services, service))
        kind = pc.if_else(services.is_valid(), kinds.IGNORED, kind)
        columns = columns | {"kind": kind, "customer_id": self._named(columns["customer_id"])}
        columns["quantity"] = _pieces(kind, columns["quantity"])
        kept = pc.fill_null(pc.not_equal(kind, kinds.IGNORED), True)
        looks = pc.is_in(kind, value_set=pa.array(["view", "click", "search"]))
        left_out = pc.and_not(pc.and_(pc.invert(kept), services.is_null()), void)
        self._note(IGNORED, left_out if nothing is None else pc.and_not(left_out, nothing))
        self._note(GUESTS, pc.and_(kept, columns["customer_id"].is_null()))
        self._note(NO_PRODUCT, pc.and_(looks, columns["product_id"].is_null()))
        return self._returns(columns)

    def _void(self, kind: pa.Array, status: pa.Array | None) -> pa.Array:
        """Where a purchase's order was cancelled, declined or never paid; bool, never null. The shop's own kinds come
        first: `kinds: {cancelled: purchase}` keeps such rows."""
        nothing = pa.repeat(pa.scalar(False), len(kind))
        if status is None:
            return nothing
        coded = status.cast(pa.string()).dictionary_encode()
        own = {plain(name) for name in self.own_kinds}
        words = [plain(word) for word in coded.dictionary.to_pylist()]
        for place, word in enumerate(words):
            if word in VOID and word not in own:
                here = pc.and_(pc.fill_null(pc.equal(coded.indices, place), False), pc.equal(kind, "purchase"))
                here = pc.fill_null(here, False)
                self._note(
                    f"orders that fell through ({word}), left out; otherwise set kinds: {{{word}: purchase}}", here
                )
                nothing = pc.or_(nothing, here)
        return nothing

    def _net(
        self, columns: dict[str, pa.Array], kind: pa.Array, back: pa.Array
    ) -> tuple[dict[str, pa.Array], pa.Array]:
        """The columns with what customers kept, and where they kept nothing of a purchase."""
        bought = pc.fill_null(pc.equal(kind, "purchase"), False)
        self._note(CAME_BACK, pc.and_(bought, pc.greater(back, 0.0)))
        kept = pc.if_else(bought, pc.subtract(1.0, back), 1.0)
        net = {name: pc.multiply(columns[name], kept) for name in ("quantity", "value", "discount", "coupon")}
        return columns | net, pc.and_(bought, pc.greater_equal(back, 1.0))

    def _named(self, ids: pa.Array) -> pa.Array:
        return pc.if_else(guests(ids, self.nobodies), pa.scalar(None, pa.string()), ids)

    def _returns(self, columns: dict[str, pa.Array]) -> dict[str, pa.Array]:
        kind, quantity, value = columns["kind"], columns["quantity"], columns["value"]
        bought = pc.fill_null(pc.equal(kind, "purchase"), False)
        back = pc.fill_null(pc.equal(kind, "return"), False)
        negative = pc.or_(below_zero(quantity), below_zero(value))
        turned = pc.and_(bought, negative)
        self.bought += pc.sum(bought).as_py() or 0
        self.turned += pc.sum(turned).as_py() or 0
        if self.first is None and pc.any(turned).as_py():
            self.first = self.rows + pc.index(turned, True).as_py()
        self.rows += len(kind)
        self._note(RETURNS, turned)
        either = pc.or_(turned, pc.and_(back, negative))
        if not pc.any(either).as_py():
            return columns
        return columns | {
            "kind": pc.if_else(turned, "return", kind),
            "quantity": pc.if_else(either, pc.abs(quantity), quantity),
            "value": pc.if_else(either, pc.abs(value), value),
        }

    def _note(self, what: str, where: pa.Array) -> None:
        count = pc.sum(where).as_py() or 0
        if count:
            self.notes[what] += count

    def check(self, file: str) -> None:
        """Raises InputError where most of what was bought came back: then the sign says something else."""
        if self.bought >= 5 and self.turned > 0.5 * self.bought:
            raise InputError(
                f"{file}: quantity or value is below 0 in {self.turned:,} of {self.bought:,} purchases, first in row "
                f"{(self.first or 0) + 1:,}, more than can be returns; export what was bought with a positive sign"
            )


def _pieces(kind: pa.Array, quantity: pa.Array) -> pa.Array:
    """What was only looked at or put into a cart is one of it where nothing else is said."""
    sold = pc.fill_null(pc.is_in(kind, value_set=pa.array(["purchase", "return"])), True)
    return pc.if_else(pc.and_(quantity.is_null(), pc.invert(sold)), 1.0, quantity)


def below_zero(numbers: pa.Array) -> pa.Array:
    """Where a number is below 0; bool, never null."""
    finite = pc.and_(pc.less(numbers, 0.0), pc.is_finite(numbers))
    return pc.fill_null(finite, False)
