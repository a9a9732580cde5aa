"""Who comes to a made-up shop, and what they like. C customers; guests follow them in the arrays and have no id."""

from dataclasses import dataclass

import numpy as np

from bench.shops.assortment import STYLES, Assortment
from bench.shops.profiles import LEVELS, LOOKS, SIZE_CLASSES, ShopProfile
from nightmarket.contracts.arrays import Float32s, Int32s

SIZE_POPULAR = (0.2, 0.35, 0.3, 0.15)
NEXT_SIZE = 0.25
"""Weight of a neighbouring size where one's own has 1."""


@dataclass(frozen=True)
class Clientele:
    """Arrays over customers and guests.

    style  (C, STYLES)    preference, sums to 1
    look   (C, LOOKS)     sums to 1
    kind   (C, kinds)     of the main kinds, what one looks for when one begins to look, sums to 1
    size   (C, classes)   own size in each class of sizes
    level  (C,)           place in LEVELS
    rate   (C,)           sessions a week
    joined, left  (C,)    weeks; comes from `joined` until before `left`
    """

    style: Float32s
    look: Float32s
    kind: Float32s
    size: Int32s
    level: Int32s
    rate: Float32s
    joined: Int32s
    left: Int32s
    num_customers: int

    def taste(self, rows: Int32s | slice, exponent: float = 1.0) -> Float32s:
        """(B, STYLES * LOOKS) preference for each pair of style and look."""
        both = self.style[rows][:, :, None] * self.look[rows][:, None, :]
        flat: Float32s = both.reshape(both.shape[0], STYLES * LOOKS)
        return flat if exponent == 1 else np.power(flat, np.float32(exponent))


def size_shares() -> Float32s:
    """(sizes, sizes) what those of a size buy."""
    near = np.abs(np.subtract.outer(np.arange(4), np.arange(4)))
    weights = np.where(near == 0, 1.0, np.where(near == 1, NEXT_SIZE, 0.0))
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)


def likes(rng: np.random.Generator, num: int, options: int, liked: tuple[int, int], rest: float) -> Float32s:
    """(num, options): a few options are liked unevenly, `rest` is spread over all."""
    count = rng.integers(liked[0], liked[1] + 1, num)
    order = rng.random((num, options)).argsort(axis=1).argsort(axis=1)
    weights = np.where(order < count[:, None], rng.gamma(2.0, 1.0, (num, options)), 0.0)
    weights /= weights.sum(axis=1, keepdims=True)
    return ((1 - rest) * weights + rest / options).astype(np.float32)


def make_clientele(profile: ShopProfile, assortment: Assortment, rng: np.random.Generator) -> Clientele:
    """Customers, then as many guests as make `profile.guests` of the sessions."""
    num, main = profile.num_customers, assortment.num_main
    weekly = profile.sessions / 52
    guests = round(num * profile.sessions * profile.weeks / 52 * profile.guests / (1 - profile.guests) / 1.5)
    total = num + guests
    style = likes(rng, total, STYLES, profile.styles_liked, profile.style_rest)
    kind = likes(rng, total, main, profile.kinds_liked, profile.kind_rest)
    look = rng.dirichlet(np.full(LOOKS, profile.look_evenness), total).astype(np.float32)
    if profile.taste == 0:
        style, kind, look = (np.full_like(part, 1 / part.shape[1]) for part in (style, kind, look))
    joined = np.where(rng.random(total) < 0.6, 0, rng.integers(0, profile.weeks, total))
    stay = np.where(rng.random(total) < 0.7, profile.weeks, rng.geometric(1 / 20, total))
    if profile.stay_weeks:
        joined, stay = rng.integers(0, profile.weeks, total), rng.geometric(1 / profile.stay_weeks, total)
    rate = weekly * rng.gamma(1.3, 1 / 1.3, total)
    rate[:num] *= (
        weekly * num * profile.weeks / max((rate * np.minimum(stay, profile.weeks - joined))[:num].sum(), 1e-9)
    )
    joined[num:], stay[num:], rate[num:] = rng.integers(0, profile.weeks, guests), 1, 1.5
    return Clientele(
        style=style,
        look=look,
        kind=kind,
        size=rng.choice(4, (total, len(SIZE_CLASSES)), p=SIZE_POPULAR).astype(np.int32),
        level=rng.integers(0, len(LEVELS), total).astype(np.int32),
        rate=rate.astype(np.float32),
        joined=joined.astype(np.int32),
        left=np.minimum(joined + stay, profile.weeks).astype(np.int32),
        num_customers=num,
    )
