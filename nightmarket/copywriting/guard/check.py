"""All rules over one text, and over the texts of one message."""

from collections.abc import Callable, Mapping

from nightmarket.copywriting.facts import LIMITS, CopyFacts, Form, Violation
from nightmarket.copywriting.guard import bounds, claims, figures, form, frames, names, wording
from nightmarket.copywriting.guard import praise as reviews
from nightmarket.copywriting.guard.names import Lexicon

__all__ = ["Violation", "check", "message_violations"]

Rule = Callable[[str, str, CopyFacts], list[Violation]]

RULES: tuple[Rule, ...] = (
    form.markup,
    form.placeholders,
    form.links,
    form.people,
    form.language,
    form.tone,
    figures.amounts,
    figures.prices,
    figures.percents,
    figures.dates,
    figures.numbers,
    bounds.bounds,
    frames.shares,
    frames.targets,
    frames.circumstances,
    frames.priced,
    claims.gifts,
    claims.benefits,
    claims.superlatives,
    claims.health,
    claims.scarcity,
    claims.novelty,
    claims.instructions,
    reviews.praise,
    wording.strangers,
    wording.unlisted,
    wording.free_standing,
)


def check(text: str, facts: CopyFacts, kind: Form, lexicon: Lexicon) -> list[Violation]:
    """What is wrong with one text; empty where nothing is.

    kind     the form that it is written for
    lexicon  names of the catalogue: one that is not among the facts is a wrong product or brand
    """
    broken = form.length(text, kind)
    if broken and len(text) > LIMITS[kind]:  # no rule reads more than a form holds, so that none takes long
        return broken
    clean = names.readable(text, facts)
    masked = names.mask(clean, facts)
    broken += form.characters(text)
    for rule in RULES:
        broken += rule(clean, masked, facts)
    if any(violation.rule == "personal data" for violation in broken):
        # A word that nobody knows may be somebody's name.
        quoting = ("unsupported wording", "unsupported statement")
        broken = [violation for violation in broken if violation.rule not in quoting]
    broken += names.others(masked, lexicon, facts)
    if kind != "subject":
        broken += figures.subject(clean, facts)
    return broken


def message_violations(texts: Mapping[Form, str], facts: CopyFacts, lexicon: Lexicon) -> dict[Form, list[Violation]]:
    """What is wrong with the texts of one message; the conditions may stand in any of them, or in each alone."""
    by_form = {kind: check(text, facts, kind, lexicon) for kind, text in texts.items()}
    last = list(texts)[-1]
    whole = "\n".join(names.readable(text[: LIMITS[kind]], facts) for kind, text in texts.items())
    by_form[last] = by_form[last] + figures.conditions(whole, names.mask(whole, facts), facts)
    if len(texts) > 1:
        for kind, text in list(texts.items())[:-1]:
            by_form[kind] = by_form[kind] + figures.threshold(
                names.mask(names.readable(text[: LIMITS[kind]], facts), facts), facts
            )
    return by_form
