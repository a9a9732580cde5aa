"""How the guard does on texts that were written apart from it, by pattern: half of the patterns is held out.

Misses of the held-out half, which is chosen by the patterns' hash, are never printed.
"""

import hashlib
from collections import Counter, defaultdict
from dataclasses import dataclass, field

from bench.guarding.blind_false import invented, misstated
from bench.guarding.blind_inside import inside
from bench.guarding.blind_last import last
from bench.guarding.blind_true import SETS, draw_blind
from bench.guarding.faults import draw_true
from nightmarket.copywriting.facts import CopyFacts, Locale
from nightmarket.copywriting.guard.check import message_violations
from nightmarket.copywriting.guard.names import Lexicon

SEED = 61
LOCALES: tuple[Locale, ...] = ("en", "zh")


@dataclass
class Count:
    """Texts and patterns that came out right: true ones that passed, false ones that were stopped."""

    texts: int = 0
    right: int = 0
    patterns: dict[str, bool] = field(default_factory=dict)

    def add(self, pattern: str, right: bool) -> None:
        """One text more."""
        self.texts += 1
        self.right += right
        self.patterns[pattern] = self.patterns.get(pattern, True) and right


def held_out(pattern: str) -> bool:
    """Whether a pattern belongs to the half whose misses are never printed."""
    return hashlib.sha256(pattern.encode()).digest()[0] % 2 == 1


def measure(lexicon: Lexicon, times: int, show: int = 0, seed: int = SEED) -> dict[str, int]:
    """Print texts and patterns that came out right, by kind and half; return the counts.

    times  texts per pattern
    show   misses of the development half to print; -1: all
    """
    counts: dict[tuple[str, str, bool], Count] = defaultdict(Count)
    reasons: Counter[str] = Counter()
    missed: list[str] = []

    def evaluate(kind: str, pattern: str, facts: CopyFacts, texts: dict, *, is_true: bool) -> bool:  # type: ignore[type-arg]
        broken = [
            violation for violations in message_violations(texts, facts, lexicon).values() for violation in violations
        ]
        right = bool(broken) != is_true
        held = held_out(pattern)
        counts[kind, facts.locale, held].add(pattern, right)
        if not right and not held:
            reasons.update({f"{violation.rule} ({facts.locale})" for violation in broken})
            missed.append(f"[{kind}] {' / '.join(texts.values())} FOUND {[f'{o.rule}: {o.what}' for o in broken]}")
        return not broken

    for locale in LOCALES:
        passing = set()
        for need, drawn in draw_blind(locale, times, seed):
            pattern = SETS[locale][need][drawn.frame]
            if evaluate("true", pattern, drawn.facts, drawn.texts, is_true=True):
                passing.add(drawn.wording)
        carriers = [carrier for carrier in draw_true(locale, 400, seed) if carrier.facts.offer is not None]
        carriers = [
            carrier
            for carrier in carriers
            if not any(message_violations(carrier.texts, carrier.facts, lexicon).values())
        ]
        for kind, facts, texts, sentence in invented(locale, carriers, max(times // 2, 1), seed):
            evaluate(f"invented: {kind}", sentence, facts, texts, is_true=False)
        for pattern, facts, text in inside(locale, max(times // 2, 1), seed):
            evaluate(
                "inside: ordinary words", pattern, facts, {"sms" if len(text) <= 140 else "body": text}, is_true=False
            )
        for is_true, pattern, facts, text in last(locale, times, seed):
            kind = "true" if is_true else "false"
            evaluate(
                f"last round: {kind}", pattern, facts, {"sms" if len(text) <= 140 else "body": text}, is_true=is_true
            )
        for kind, facts, texts, number in misstated(locale, times, seed):
            need, at = number.rsplit(" ", 1)
            evaluate(f"misstated: {kind}", SETS[locale][need][int(at)], facts, texts, is_true=False)
    print(f"\n{'texts written apart':32s} {'locale':6s} {'development: texts, patterns':>30s} {'held out':>26s}")
    for kind in dict.fromkeys(key[0] for key in counts):
        for locale in LOCALES:
            cells = []
            for held in (False, True):
                count = counts[kind, locale, held]
                cells.append(f"{count.right} / {count.texts}, {sum(count.patterns.values())} / {len(count.patterns)}")
            print(f"{kind:32s} {locale:6s} {cells[0]:>30s} {cells[1]:>26s}")
    print("wrong rules, development:", dict(reasons.most_common()))
    for line in missed if show < 0 else missed[:show]:
        print(" ", line)
    figures: dict[str, int] = {}
    for name, held in (("blind", False), ("blind_held_out", True)):
        for word, is_true in (("true", True), ("false", False)):
            part = [
                count
                for key, count in counts.items()
                if (key[0] in ("true", "last round: true")) == is_true and key[2] == held
            ]
            figures[f"{name}_{word}"] = sum(count.texts for count in part)
            figures[f"{name}_{word}_right"] = sum(count.right for count in part)
            figures[f"{name}_{word}_patterns"] = sum(len(count.patterns) for count in part)
            figures[f"{name}_{word}_patterns_right"] = sum(sum(count.patterns.values()) for count in part)
    return figures
