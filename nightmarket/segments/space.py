"""Feature scaling: robust scales, every block with the same weight."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from nightmarket.contracts.arrays import Float64s
from nightmarket.segments.behaviour import BLOCKS, SHARE

LIMIT = 3.0


@dataclass(frozen=True)
class FeatureSpace:
    """A fitted transform of F columns.

    centre, scale  medians, and tenth-to-ninetieth percentile ranges in standard deviations of a normal
    shift, weight  mean after clipping at 3, and what gives every block variance 1
    """

    columns: tuple[str, ...]
    centre: tuple[float, ...]
    scale: tuple[float, ...]
    shift: tuple[float, ...]
    weight: tuple[float, ...]

    @classmethod
    def fit(cls, features: pd.DataFrame) -> "FeatureSpace":
        """Learn the scales from rows without NaN; a column that does not vary is left out."""
        blocks = [*BLOCKS.values(), tuple(name for name in features if name.startswith(SHARE))]
        kept: list[list[Any]] = []
        for names in blocks:
            block = []
            for name in names:
                if name not in features:
                    continue
                values = features[name].to_numpy(np.float64)
                low, middle, high = np.quantile(values, [0.1, 0.5, 0.9])
                spread = (high - low) / 2.563 if high - low > 1e-9 else values.std()
                if spread > 1e-9:
                    clipped = np.clip((values - middle) / spread, -LIMIT, LIMIT)
                    block.append([name, middle, spread, clipped.mean(), clipped.var()])
            total = sum(row[4] for row in block)
            kept += [[*row[:4], 1 / np.sqrt(total)] for row in block]
        columns = [tuple(column) for column in zip(*kept, strict=True)] if kept else [()] * 5
        return cls(columns[0], *(tuple(float(v) for v in column) for column in columns[1:]))

    def standard(self, features: pd.DataFrame) -> Float64s:
        """(N, F) robust z values, clipped; a column that the rows lack counts as the mean."""
        values = features.reindex(columns=list(self.columns)).to_numpy(np.float64)
        z = np.clip((values - np.array(self.centre)) / np.array(self.scale), -LIMIT, LIMIT) - np.array(self.shift)
        return np.nan_to_num(z)

    def transform(self, features: pd.DataFrame) -> Float64s:
        """(N, F) points in which distance means unlike behaviour."""
        return self.standard(features) * np.array(self.weight)

    @property
    def categories(self) -> tuple[str, ...]:
        """The categories whose shares are among the columns."""
        return tuple(name.removeprefix(SHARE) for name in self.columns if name.startswith(SHARE))

    def to_json(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> "FeatureSpace":
        """The inverse of `to_json`."""
        return cls(**{name: tuple(value) for name, value in content.items()})
