"""The style sheet: enough contrast for every text, light, dark and on paper."""

import re
from importlib.resources import files

import pytest

CSS = (files("nightmarket.reporting") / "templates" / "page.css").read_text(encoding="utf-8")
TEXT = {"ink", "soft", "lamp", "good", "bad"}
"""Colours that letters may have; `quiet` is for lines and dots."""
SURFACES = {"paper": TEXT, "card": TEXT, "grid": {"soft", "ink"}} | {
    f"{name}-soft": {name, "ink", "soft"} for name in ("lamp", "good", "bad")
}
LEAST_TEXT, LEAST_LINE = 4.5, 3.0
"""Web Content Accessibility Guidelines 2.2, 1.4.3 and 1.4.11."""


def palettes():
    blocks = [dict(re.findall(r"--([a-z-]+):(#[0-9a-f]+)", block)) for block in re.findall(r":root\{([^}]*)\}", CSS)]
    return dict(zip(("light", "dark", "print"), blocks, strict=True))


def luminance(colour):
    digits = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
    parts = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(ink, other):
    bright, dark = sorted((luminance(ink), luminance(other)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


def test_contrast_is_that_of_the_guidelines():
    assert contrast("#000", "#ffffff") == pytest.approx(21.0)
    assert contrast("#777777", "#fff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("scheme", ["light", "dark", "print"])
def test_every_letter_can_be_read(scheme):
    colours = palettes()[scheme]
    for surface, inks in SURFACES.items():
        for ink in inks:
            ratio = contrast(colours[ink], colours[surface])
            assert ratio >= LEAST_TEXT, f"{scheme}: {ink} on {surface} has {ratio:.2f}"


@pytest.mark.parametrize("scheme", ["light", "dark", "print"])
def test_lines_and_dots_can_be_seen(scheme):
    colours = palettes()[scheme]
    for surface in ("paper", "card"):
        assert contrast(colours["quiet"], colours[surface]) >= LEAST_LINE
        assert contrast(colours["lamp"], colours[surface]) >= LEAST_LINE


def test_letters_take_no_other_colour():
    assert set(re.findall(r"(?<![-a-z])color:var\(--([a-z-]+)\)", CSS)) <= TEXT
    assert set(re.findall(r"text\{fill:var\(--([a-z-]+)\)", CSS)) <= TEXT
    backgrounds = set(re.findall(r"background:var\(--([a-z-]+)\)", CSS))
    assert backgrounds <= set(SURFACES)
