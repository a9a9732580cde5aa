"""From events to purchase lines and interactions with codes, as Ibis expressions: the same on any engine."""

from collections.abc import Mapping

import ibis
import ibis.expr.types as ir
import numpy as np

from nightmarket.contracts.arrays import Float32s, Int32s, Values
from nightmarket.histories.calendar import MONDAY, NEVER
from nightmarket.histories.interactions import GUEST, KINDS, TARGETS

_DAY = 86_400


def local_days(events: ir.Table, offsets: list[tuple[int, int]]) -> ir.Table:
    """Add `day` (days since 1970-01-01) and `week` (since Monday 1970-01-05), both shop-local.

    offsets  (valid from, offset) in seconds, ascending, as `calendar.offsets` gives them
    """
    seconds = events.timestamp.epoch_seconds()
    shift = ibis.cases(*[(seconds >= start, offset) for start, offset in reversed(offsets)], else_=offsets[0][1])
    day = ((seconds + shift) / _DAY).floor().cast("int32")
    dated = events.mutate(day=day)
    return dated.mutate(week=((dated.day - MONDAY) / 7).floor().cast("int32"))


def number_customers(events: ir.Table, row: str) -> ir.Table:
    """customer_id → customer, numbered from 0 by first event, so that no number depends on the value of an id.

    row  name of the column with the row's position in the source, which breaks ties
    """
    named = events.filter(events.customer_id.notnull())
    first = named.group_by("customer_id").agg(
        first_time=named.timestamp.min(), first_row=named[row].argmin(named.timestamp), first_week=named.week.min()
    )
    order = ibis.window(order_by=[first.first_time, first.first_row])
    return first.mutate(customer=ibis.row_number().over(order).cast("int32"))[["customer", "customer_id", "first_week"]]


def purchase_lines(
    events: ir.Table, customers: ir.Table, items: ir.Table, row: str, target: str = "purchase"
) -> ir.Table:
    """Purchase lines of recommendable products, with codes for customer, item, basket and channel.

    items   product_id, item; only products that may be recommended
    target  of TARGETS: events of its kinds count as lines, of one unit and without an amount where nothing was bought
    """
    if target == "purchase":
        bought = events.filter((events.kind == "purchase") & (events.quantity > 0))
    else:
        bought = events.filter(events.kind.isin(TARGETS[target]))
        sold = bought.kind == "purchase"
        bought = bought.mutate(
            quantity=(sold & (bought.quantity > 0)).ifelse(bought.quantity, 1),
            value=sold.ifelse(bought.value, None),
            discount=sold.ifelse(bought.discount, None),
        )
    bought = bought.join(items, "product_id").join(customers[["customer_id", "customer"]], "customer_id")
    basket = ibis.coalesce(bought.basket_id, bought.day.cast("string"))
    bought = bought.mutate(
        basket=ibis.dense_rank().over(ibis.window(order_by=[bought.customer, bought.day, basket])).cast("int32"),
        channel=ibis.dense_rank().over(ibis.window(order_by=ibis.coalesce(bought.channel, ""))).cast("int32"),
    )
    floats = {name: ibis.coalesce(bought[name], 0).cast("float32") for name in ("quantity", "value", "discount")}
    lines = bought.mutate(**floats).order_by(["customer", "day", row])
    return lines["customer", "item", "week", "day", "quantity", "value", "discount", "basket", "channel"]


def return_days(events: ir.Table, customers: ir.Table, items: ir.Table) -> ir.Table:
    """What came back, by customer, item and day: customer, item, day, quantity in units.

    A return without a customer is of the one whose basket it names; where no customer, or several, have that basket, it
    is a guest's and takes back nothing of anybody's.
    """
    back = events.filter(events.kind == "return").join(items, "product_id")
    nobodys = back.filter(back.customer_id.isnull() & back.basket_id.notnull())
    named = events.filter((events.kind == "purchase") & events.customer_id.notnull()).semi_join(nobodys, "basket_id")
    owners = named.group_by("basket_id").agg(owner=named.customer_id.min(), num_owners=named.customer_id.nunique())
    owners = owners.filter(owners.num_owners == 1)[["basket_id", "owner"]]
    back = back.left_join(owners, "basket_id")
    back = back.mutate(customer_id=ibis.coalesce(back.customer_id, back.owner))
    back = back.join(customers[["customer_id", "customer"]], "customer_id").order_by(["customer", "item", "day"])
    return back["customer", "item", "day", "quantity"]


def returned(customer: Int32s, item: Int32s, day: Int32s, quantity: Float32s, back: Mapping[str, Values]) -> Int32s:
    """(N,) the day on which each line came back, NEVER for what was kept: a return takes units off the latest lines of
    its customer and item, and a line of which none is left has come back.

    customer, item, day, quantity  (N,)  lines
    back                           the same of returns, by day for each customer and item; 0 units: the latest line
    """
    came_back = np.full(customer.size, NEVER, np.int32)
    left = quantity.astype(np.float64)
    asked = set(zip(back["customer"].tolist(), back["item"].tolist(), strict=True))
    lines: dict[tuple[int, int], list[int]] = {pair: [] for pair in asked}
    for line, pair in enumerate(zip(customer.tolist(), item.tolist(), strict=True)):
        if pair in lines:
            lines[pair].append(line)
    columns = (back[name].tolist() for name in ("customer", "item", "day", "quantity"))
    for who, what, on, units in zip(*columns, strict=True):
        kept = [line for line in lines[who, what] if day[line] <= on and came_back[line] == NEVER]
        for line in sorted(kept, key=lambda line: (day[line], line), reverse=True):
            taken = min(left[line], units) if units else left[line]
            left[line], units = left[line] - taken, units - taken
            if left[line] <= 1e-6:
                came_back[line] = on
            if units <= 1e-6:
                break
    return came_back


def interactions(events: ir.Table, customers: ir.Table, items: ir.Table, row: str) -> ir.Table:
    """Events of all kinds with recommendable products, by customer and time: what `Interactions` holds, but `named`,
    the source's own session (-1 for none), in place of `session`. Guests are GUEST; those whose session the source
    does not name are left out, for nothing joins their events.
    """
    happened = events.join(items, "product_id").left_join(customers[["customer_id", "customer"]], "customer_id")
    happened = happened.filter(happened.customer.notnull() | happened.basket_id.notnull())
    who = ibis.coalesce(happened.customer, GUEST).cast("int32")
    number = (ibis.dense_rank().over(ibis.window(order_by=happened.basket_id))).cast("int32")
    happened = happened.mutate(
        customer=who,
        named=happened.basket_id.isnull().ifelse(ibis.literal(-1, "int32"), number),
        kind=ibis.cases(*[(happened.kind == kind, code) for code, kind in enumerate(KINDS)], else_=-1).cast("int8"),
        second=happened.timestamp.epoch_seconds().cast("int64"),
        by_visit=(who == GUEST).ifelse(number, ibis.literal(0, "int32")),
    )
    happened = happened.order_by(["customer", "by_visit", "second", row])
    return happened["customer", "item", "day", "second", "kind", "named"]


def promotion_shares(promotions: ir.Table, items: ir.Table) -> ir.Table:
    """Per item and week, the share of channels that displayed it or had it in the mailer, in [0, 1]."""
    num_channels = promotions.channel.nunique().as_scalar()
    shown = promotions.join(items, "product_id")
    days = shown.week.epoch_days() if hasattr(shown.week, "epoch_days") else shown.week.delta("1970-01-01", unit="day")
    shown = shown.mutate(
        at=((days.cast("int64") - MONDAY) / 7).floor().cast("int32"),
        on_display=(ibis.coalesce(shown.display, "0") != "0").ifelse(1.0, 0.0),
        in_mailer=(ibis.coalesce(shown.mailer, "0") != "0").ifelse(1.0, 0.0),
    )
    shares = shown.group_by(["item", "at"]).agg(display=shown.on_display.sum(), mailer=shown.in_mailer.sum())
    shares = shares.mutate(
        week=shares["at"],
        display=(shares.display / num_channels).cast("float32"),
        mailer=(shares.mailer / num_channels).cast("float32"),
    )
    return shares["item", "week", "display", "mailer"].order_by(["week", "item"])
