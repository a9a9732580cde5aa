"""All rules over one text, and over the texts of one message."""

from collections.abc import Callable, Mapping

from nightmarket.copywriting.facts import LIMITS, Facts, Form, folded
from nightmarket.copywriting.guard import claims, figures, form, names, sentences, terms, wording
from nightmarket.copywriting.guard import praise as reviews
from nightmarket.copywriting.guard.names import Lexicon
from nightmarket.copywriting.guard.violation import Violation

__all__ = ["Violation", "check", "message_violations"]

Rule = Callable[[str, str, Facts], list[Violation]]

RULES: tuple[Rule, ...] = (
    form.characters,
    form.markup,
    form.placeholders,
    form.links,
    form.people,
    form.language,
    form.tone,
    figures.amounts,
    figures.percents,
    figures.dates,
    figures.numbers,
    claims.gifts,
    claims.benefits,
    claims.superlatives,
    claims.health,
    claims.scarcity,
    claims.novelty,
    claims.instructions,
    reviews.praise,
    names.strangers,
    wording.unlisted,
    sentences.free_standing,
)


def check(text: str, facts: Facts, kind: Form, lexicon: Lexicon) -> list[Violation]:
    """What is wrong with one text; empty where nothing is.

    kind     the form that it is written for
    lexicon  names of the catalogue: one that is not among the facts is a wrong product or brand
    """
    found = form.length(text, kind)
    if found and len(text) > LIMITS[kind]:  # no rule reads more than a form holds, so that none takes long
        return found
    clean = folded(text)
    masked = names.mask(clean, facts)
    for rule in RULES:
        found += rule(clean, masked, facts)
    if any(one.rule == "personal data" for one in found):  # a word that nobody knows may be somebody's name
        found = [one for one in found if one.rule not in ("unsupported wording", "unsupported statement")]
    found += names.others(masked, lexicon, facts)
    if kind != "subject":
        found += terms.subject(clean, facts)
    return found


def message_violations(texts: Mapping[Form, str], facts: Facts, lexicon: Lexicon) -> dict[Form, list[Violation]]:
    """What is wrong with the texts of one message; the conditions may stand in any of them, or in each alone."""
    found = {kind: check(text, facts, kind, lexicon) for kind, text in texts.items()}
    last = list(texts)[-1]
    whole = "\n".join(folded(text[: LIMITS[kind]]) for kind, text in texts.items())
    found[last] = found[last] + terms.conditions(whole, names.mask(whole, facts), facts)
    if len(texts) > 1:
        for kind, text in list(texts.items())[:-1]:
            found[kind] = found[kind] + terms.threshold(names.mask(folded(text[: LIMITS[kind]]), facts), facts)
    return found
