"""What a shop gets from the tables that it has, and which column or table would bring the rest."""

from dataclasses import dataclass
from typing import Any

from tasks.inspection.trial import Trial

WEEKS = 8
"""Of purchases, from which on a forecast can be judged."""


@dataclass(frozen=True)
class Capability:
    """One thing: whether the shop gets it, on what that rests, or what would bring it."""

    name: str
    given: bool
    words: str


def capabilities(trial: Trial) -> list[Capability]:
    """All of them, in the order of the night."""
    events = trial.tables["events"].facts if "events" in trial.tables else {}
    kinds: dict[str, int] = events.get("kinds", {})
    return [
        *_lists(trial, events, kinds),
        *_trade(trial, events, kinds),
        *_marketing(trial),
    ]


def _has(trial: Trial, table: str, *columns: str) -> bool:
    """Whether the table brings any of the columns, or is there at all where none is named."""
    there = trial.tables.get(table)
    if there is None or there.refused:
        return False
    filled = there.facts.get("filled", set())
    parsed = there.parsed
    return not columns or (parsed is not None and any(
        name in parsed.column_names and name not in filled for name in columns))  # fmt: skip


def _lists(trial: Trial, events: dict[str, Any], kinds: dict[str, int]) -> list[Capability]:
    there = ", ".join(f"{kind} {num:,}" for kind, num in sorted(kinds.items(), key=lambda pair: -pair[1]))
    named = events.get("customers", 0)
    looked = {"view", "click", "cart", "wishlist", "search"} & {*kinds}
    unsold = events.get("unsold", 0)
    return [
        Capability("recommendations", bool(named and kinds),
              f"{named:,} customers; {there}" if named and kinds else "a customer's id in the events brings them"),
        Capability("learning from looks and carts", bool(looked),
              "yes" if looked else "events of kind view, cart, wishlist or search bring it"),
        Capability("explanations and search by text", _has(trial, "products", "title"),
              "titles" + (", descriptions" if _has(trial, "products", "description") else
                          "; products.description would tell them more") if _has(trial, "products", "title")
              else "products.title brings them"),
        Capability("launches", _has(trial, "products", "available_from") or unsold > 0,
              f"{unsold:,} products that nobody bought yet" if unsold else
              "products.available_from says when" if _has(trial, "products", "available_from") else
              "a catalogue with products before their first sale, and products.available_from, bring them"),
        Capability("kinds of products", _has(trial, "products", "category"),
              "categories" if _has(trial, "products", "category") else "products.category brings forecasts and reasons "
              "by kind"),
    ]  # fmt: skip


def _trade(trial: Trial, events: dict[str, Any], kinds: dict[str, int]) -> list[Capability]:
    first, last = events.get("first"), events.get("last")
    days = (last - first).days + 1 if first and last else 0
    bought = kinds.get("purchase", 0) > 0
    money = events.get("with_value", 0) > 0
    long = days >= 7 * WEEKS
    need = "purchases bring them" if not bought else f"{WEEKS} weeks of history bring them; there are {days} days"
    return [
        Capability("forecasts", bought and long, f"{days:,} days of purchases" if bought and long else need),
        Capability("segments", bought, ("by what they buy and spend" if money else
              "by units; events.value would tell what they spend") if bought else "purchases bring them"),
        Capability("baskets: bought together", bool(events.get("baskets")),
              f"{events['baskets']:,} baskets" if events.get("baskets") else "events.basket_id brings it"),
        Capability("reviews", _has(trial, "reviews"), "yes" if _has(trial, "reviews") else
              "a table reviews (product_id, timestamp, text, and rating) brings them"),
    ]  # fmt: skip


def _marketing(trial: Trial) -> list[Capability]:
    response = [name for name in ("campaigns", "exposures", "responses") if not _has(trial, name)]
    consent = _consent(trial)
    promotions, cost = _has(trial, "promotions"), _has(trial, "products", "cost")
    return [
        Capability("who responds to campaigns", not response, "yes" if not response else
              f"the tables {', '.join(response)} bring it: who was contacted, and who came"),
        Capability("consent to contacts", consent, "consent_… in customers" if consent else
              "customers.consent_email and the like bring it; until then a campaign needs plan.consent"),
        Capability("who may not be contacted", _has(trial, "suppressions"), "a table suppressions" if
              _has(trial, "suppressions") else "a table suppressions (customer_id, channel, reason) brings it"),
        Capability("profit by product", cost, "products.cost" if cost else
              "products.cost brings it; until then a plan takes one margin for the whole shop (plan.margin)"),
        Capability("effects of displays and mailers", promotions, "yes" if promotions else
              "a table promotions (product_id, channel, week, display, mailer) brings them"),
    ]  # fmt: skip


def _consent(trial: Trial) -> bool:
    customers = trial.tables.get("customers")
    parsed = customers.parsed if customers else None
    return parsed is not None and any(name.startswith("consent_") for name in parsed.column_names)
