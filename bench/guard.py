"""Does the guard stop every false text and let the true ones go? Adversarial and true texts from a made-up catalogue.

python -m bench.guard [--seed 0] [--num 2000] [--texts 10000] [--times 12] [--show N]

True texts are written in a free manner from the facts (`bench.guarding.true_texts`); each adversarial one is a true
text with one planted fault (`bench.guarding.faults`). Half of each, chosen by the texts' hash, is held out: rules are
written for the misses of the development half alone. Then come praise (`bench.guarding.praise`) and texts that were
written apart from the guard (`bench.guarding.blind`).
"""

import argparse
import hashlib
import json
import logging
import time
from collections import Counter
from dataclasses import dataclass
from random import Random
from typing import Any

from bench.guarding import blind, praise
from bench.guarding.catalogue import draw_facts, names
from bench.guarding.faults import KINDS, draw_true, plant
from bench.guarding.true_texts import Message
from bench.machine import machine
from nightmarket.copywriting.composing import compose
from nightmarket.copywriting.facts import CHANNELS, CopyFacts, Locale
from nightmarket.copywriting.guard.check import message_violations
from nightmarket.copywriting.guard.names import Lexicon
from nightmarket.copywriting.phrases import vocabulary
from nightmarket.copywriting.writers.prompt import Brief
from nightmarket.copywriting.writers.template import TemplateWriter

LOCALES: tuple[Locale, ...] = ("en", "zh")
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Case:
    """A message and its facts; fault: what is wrong with it, "" for a true one."""

    kind: str
    fault: str
    facts: CopyFacts
    texts: Message

    @property
    def locale(self) -> str:
        return self.facts.locale

    @property
    def held_out(self) -> bool:
        return hashlib.sha256("|".join(self.texts.values()).encode()).digest()[0] % 2 == 1


def true_cases(num: int, seed: int) -> list[Case]:
    """`num` true messages, half per locale."""
    return [
        Case("true", "", drawn.facts, drawn.texts) for locale in LOCALES for drawn in draw_true(locale, num // 2, seed)
    ]


def false_cases(num: int, seed: int) -> list[Case]:
    """`num` messages with one fault each, half per locale, the kinds in turn."""
    cases: list[Case] = []
    for locale in LOCALES:
        draw, seen = Random(f"{seed}|{locale}|faults"), set()
        sources = [drawn for drawn in draw_true(locale, max(num, 60), seed) if drawn.facts.offer is not None]
        kinds = [list(KINDS)[at % len(KINDS)] for at in range(num // 2)]
        for kind in kinds:
            planted = None
            while planted is None or str(planted[0]) in seen:
                planted = plant(kind, draw.choice(sources), draw)
            seen.add(str(planted[0]))
            cases.append(Case(kind, planted[1], planted[2], planted[0]))
    return cases


def rules(case: Case, lexicon: Lexicon) -> list[str]:
    """The rules that a message breaks, with what they quote."""
    by_form = message_violations(case.texts, case.facts, lexicon)
    return [f"{violation.rule}: {violation.what}" for violations in by_form.values() for violation in violations]


def praised(lexicon: Lexicon, times: int, seed: int) -> dict[str, int]:
    """Measured praise that passes, and praise with a fault that is stopped; prints the patterns that come out wrong."""
    figures = Counter(dict.fromkeys(("praise_true", "praise_passed", "praise_false", "praise_stopped"), 0))
    for locale in LOCALES:
        for cases, is_true in zip(praise.cases(locale, times, seed), (True, False), strict=True):
            for pattern, facts, texts in cases:
                stopped = any(message_violations(texts, facts, lexicon).values())
                figures["praise_true" if is_true else "praise_false"] += 1
                figures["praise_passed" if is_true else "praise_stopped"] += stopped != is_true
                if stopped == is_true:
                    log.info("praise that comes out wrong: %s", pattern)
    print("praise:", dict(figures))
    return dict(figures)


def seconds(num: int, seed: int, lexicon: Lexicon) -> tuple[int, float, float]:
    """Texts written by the template and guarded (at least `num`), CPU seconds, wall seconds."""
    draw, briefs, count = Random(seed), [], 0
    channels = list(CHANNELS)
    for at in range(num // 5):
        facts = draw_facts("en" if at % 2 else "zh", draw)
        briefs.append(Brief(str(at), channels[at % len(channels)], facts))
    wall, cpu = time.perf_counter(), time.process_time()
    for start in range(0, len(briefs), 200):
        decisions = compose(briefs[start : start + 200], TemplateWriter(seed), lexicon, 5, seed)[1]
        by_key = {brief.key: len(CHANNELS[brief.channel]) for brief in briefs[start : start + 200]}
        count += sum(by_key[decision.brief] for decision in decisions)
        if count >= num:
            break
        log.info("%d texts", count)
    return count, time.process_time() - cpu, time.perf_counter() - wall


def measure(true: list[Case], false: list[Case], lexicon: Lexicon, show: int = 0) -> dict[str, int]:
    """Print the table by kind and locale, and false alarms by rule; return the counts, also of the held-out half."""
    evaluated = [(case, rules(case, lexicon)) for case in [*false, *true]]
    print(f"{'kind':18s} {'locale':6s} {'development':>13s} {'held out':>13s}")
    for kind in [*KINDS, "true"]:
        for locale in LOCALES:
            cells = []
            for held in (False, True):
                row = [
                    bool(broken) for c, broken in evaluated if (c.kind, c.locale, c.held_out) == (kind, locale, held)
                ]
                cells.append(f"{sum(row) if kind != 'true' else len(row) - sum(row)} / {len(row)}")
            print(f"{kind:18s} {locale:6s} {cells[0]:>13s} {cells[1]:>13s}")
    for held in (False, True):
        alarms = Counter(
            f"{rule.split(':')[0]} ({case.locale})"
            for case, broken in evaluated
            if case.kind == "true" and case.held_out == held
            for rule in set(broken)
        )
        print("false alarms,", "held out:" if held else "development:", dict(alarms.most_common()))
    missed = [(c, broken) for c, broken in evaluated if bool(broken) == (c.kind == "true") and not c.held_out]
    for case, broken in missed if show < 0 else missed[:show]:
        print(f"  [{case.kind} {case.locale}] {case.texts} FAULT {case.fault!r} FOUND {broken}")
    figures: dict[str, int] = {}
    for name, held in (("", None), ("_held_out", True)):
        part = [(c, broken) for c, broken in evaluated if held is None or c.held_out]
        figures[f"adversarial{name}"] = sum(c.kind != "true" for c, _ in part)
        figures[f"stopped{name}"] = sum(c.kind != "true" and bool(broken) for c, broken in part)
        figures[f"true_texts{name}"] = sum(c.kind == "true" for c, _ in part)
        figures[f"passed{name}"] = sum(c.kind == "true" and not broken for c, broken in part)
    return figures


def main() -> None:
    """Print the tables and, last, one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--num", type=int, default=2000, help="adversarial texts, and true ones")
    parser.add_argument("--texts", type=int, default=10_000, help="texts of the template for the timing; 0: none")
    parser.add_argument("--times", type=int, default=12, help="texts per pattern of those written apart")
    parser.add_argument("--show", type=int, default=0, help="misses of the development half to print; -1: all")
    given = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    lexicon = Lexicon(names(), vocabulary())
    figures: dict[str, Any] = dict(
        measure(true_cases(given.num, given.seed), false_cases(given.num, given.seed), lexicon, given.show)
    )
    figures |= praised(lexicon, 20, given.seed)
    figures |= blind.measure(lexicon, given.times, given.show)
    if given.texts:
        count, cpu, wall = seconds(given.texts, given.seed, lexicon)
        print(f"{count} texts of the template written and guarded: {cpu:.1f} s CPU, {wall:.1f} s wall")
        figures |= {"texts": count, "cpu_seconds_10000": round(cpu * 1e4 / count, 2)}
        figures["seconds_10000"] = round(wall * 1e4 / count, 2)
    print(json.dumps(figures | {"machine": machine(()), "seed": given.seed}))


if __name__ == "__main__":
    main()
