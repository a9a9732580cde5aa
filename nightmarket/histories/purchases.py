"""From events to purchase lines with codes, as Ibis expressions: the same on DuckDB, Spark or a warehouse."""

import ibis
import ibis.expr.types as ir

from nightmarket.histories.calendar import MONDAY

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
    first = events.group_by("customer_id").agg(
        first_time=events.timestamp.min(), first_row=events[row].argmin(events.timestamp), first_week=events.week.min()
    )
    order = ibis.window(order_by=[first.first_time, first.first_row])
    return first.mutate(customer=ibis.row_number().over(order).cast("int32"))[["customer", "customer_id", "first_week"]]


def purchase_lines(events: ir.Table, customers: ir.Table, items: ir.Table, row: str) -> ir.Table:
    """Purchase lines of recommendable products, with codes for customer, item, basket and channel.

    items  product_id, item; only products that may be recommended
    """
    bought = events.filter((events.kind == "purchase") & (events.quantity > 0))
    bought = bought.join(items, "product_id").join(customers[["customer_id", "customer"]], "customer_id")
    basket = ibis.coalesce(bought.basket_id, bought.day.cast("string"))
    bought = bought.mutate(
        basket=ibis.dense_rank().over(ibis.window(order_by=[bought.customer, bought.day, basket])).cast("int32"),
        channel=ibis.dense_rank().over(ibis.window(order_by=ibis.coalesce(bought.channel, ""))).cast("int32"),
    )
    floats = {name: ibis.coalesce(bought[name], 0).cast("float32") for name in ("quantity", "value", "discount")}
    lines = bought.mutate(**floats).order_by(["customer", "day", row])
    return lines["customer", "item", "week", "day", "quantity", "value", "discount", "basket", "channel"]


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
