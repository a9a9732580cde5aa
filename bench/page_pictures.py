"""Pictures of the morning page for the documentation.

    python -m bench.page_pictures [--page artifacts/report/index.html] [--out docs/images]

Writes report.png (the top) and report-{plan,copy,segments,demand}.png, 1100 px wide and light.
"""

import argparse
import tempfile
from pathlib import Path

from bench.browser import CHROMIUM, Browser

WIDTH = 1100
PARTS = {
    "report": ("header.top", "#gate", 1400),
    "report-plan": ("#plan", "#plan", 1250),
    "report-copy": ("#copy", "#copy article", 1400),
    "report-segments": ("#segments", "#segments", 1560),
    "report-demand": ("#demand", "#demand", 1400),
}
"""Picture: from the top of one element to the end of another, and no higher than so many pixels."""


def main(page: Path, out: Path) -> None:
    """Write the pictures of a page."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        browser = Browser(Path(profile))
        try:
            browser.open(page.resolve().as_uri())
            browser.size(WIDTH, "light")
            for name, (first, last, most) in PARTS.items():
                top, end = (
                    browser.value(f"document.querySelector('{of}').getBoundingClientRect().{edge} + scrollY")
                    for of, edge in ((first, "top"), (last, "bottom"))
                )
                clip = {"x": 0, "y": top, "width": WIDTH, "height": min(end - top + 40, most), "scale": 1}
                (out / f"{name}.png").write_bytes(browser.picture(clip=clip))
        finally:
            browser.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--page", type=Path, default=Path("artifacts/report/index.html"))
    parser.add_argument("--out", type=Path, default=Path("docs/images"))
    given = parser.parse_args()
    if not CHROMIUM:
        raise SystemExit("no Chromium on this machine: nothing to open the page with")
    main(given.page, given.out)
