"""What the steps work on: texts, an encoder of MiniLM's shape, and purchases, all made up or packed beforehand."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np

WEIGHTS, NIGHT = "weights", "night"
"""Folders of the files that travel: an encoder in bf16, and a shop's night up to `prepare`."""


@dataclasses.dataclass(frozen=True)
class Sizes:
    """How large everything is; `rounds` and steps are repeated measurements, medians are reported."""

    layers: int = 6
    width: int = 384
    heads: int = 12
    num_words: int = 29_000
    num_texts: int = 200_000
    num_equal: int = 512
    matrix: int = 8192
    rounds: int = 3
    batch: int = 4096
    steps: int = 24
    customers: int = 20_000
    items: int = 20_000
    trained_texts: int = 20_000
    pretrain_steps: int = 30


DRY = Sizes(2, 32, 4, 90, 60, 16, 64, 1, 16, 4, 60, 40, 60, 12)
LONGEST = 40
CHECKPOINT_EVERY = 5


@dataclasses.dataclass(frozen=True)
class World:
    """A step's inputs and its voice."""

    name: str
    folder: Path
    files: Path | None
    dry: bool

    @property
    def sizes(self) -> Sizes:
        """Full, or those of a try on a CPU."""
        return DRY if self.dry else Sizes()

    def tell(self, **figures: Any) -> None:
        """Keep figures at once: a step that is ended later has them."""
        with (self.folder / f"{self.name}.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(figures) + "\n")

    def texts(self, number: int | None = None) -> list[str]:
        """Distinct made-up texts of 4 to 40 words, short ones most often, of words that follow Zipf's law."""
        rng, words = np.random.default_rng(1), self.words()
        share = 1.0 / np.arange(10, 10 + len(words))
        number = number or self.sizes.num_texts
        lengths = np.minimum(4 + rng.geometric(0.08, number), LONGEST)
        drawn = rng.choice(len(words), int(lengths.sum()), p=share / share.sum())
        ends = np.cumsum(lengths)
        return [
            f"{' '.join(words[place] for place in drawn[end - length : end])} {number}"
            for number, (end, length) in enumerate(zip(ends, lengths, strict=True))
        ]

    def words(self) -> list[str]:
        """Made-up words of two or three syllables."""
        syllables = [first + second for first in "bdfgklmnprstvz" for second in "aeiou"]
        count = len(syllables)
        pairs = [
            syllables[number % count] + syllables[number // count % count] + ("" if number < count**2 else "na")
            for number in range(self.sizes.num_words)
        ]
        return sorted(set(pairs))

    def encoder(self) -> str:
        """The folder of the encoder: one that was packed, else one that is made here, of MiniLM's shape."""
        if self.files is not None and (self.files / WEIGHTS).is_dir():
            return str(self.files / WEIGHTS)
        made = self.folder / WEIGHTS
        if not made.exists():
            from nightmarket.testing.models import write_bert

            sizes = self.sizes
            write_bert(
                made, self.words(), layers=sizes.layers, width=sizes.width, heads=sizes.heads, inner=4 * sizes.width
            )
        return str(made)
