"""Pictures of the morning page for the documentation, and the page itself as a sample.

    python -m bench.page_pictures [--page artifacts/report/index.html] [--docs docs]

Writes docs/images/report.png (the top), docs/images/report-PART.png and docs/sample/index.html. The last line is one
JSON object: bytes of the page, what the console said and what was asked for beside the file while it was open, light
and dark, wide and narrow; all but the first must be nothing.
"""

import argparse
import json
import shutil
import tempfile
from pathlib import Path
from typing import NamedTuple

from tests.made_up.browser import CHROMIUM, Browser

MOST_BYTES = 3_000_000
SPOKEN = ("Log.entryAdded", "Runtime.consoleAPICalled", "Runtime.exceptionThrown")


class Part(NamedTuple):
    """A picture from the top of one element to the end of another, and no higher than so many pixels."""

    first: str
    last: str
    most: int
    width: int = 1100
    scheme: str = "light"


PARTS = {
    "report": Part("header.top", "header.top", 1100),
    "report-phone": Part("header.top", "header.top", 1500, 390, "dark"),
    "report-versions": Part("#versions:has(svg)", "#versions", 700),
    "report-plan": Part("#plan", "#plan", 1250),
    "report-copy": Part("#copy", "#copy article", 800),
    "report-launches": Part("#launches", "#launches", 1500),
    "report-reviews": Part("#reviews", "#reviews", 1500),
    "report-segments": Part("#segments", "#segments", 1560),
    "report-demand": Part("#demand", "#demand", 1400),
    "report-lineage": Part("#lineage", "#lineage", 2000),
}


def main(page: Path, docs: Path) -> None:
    """Write the pictures of a page, and the page as the sample; what the page lacks has no picture."""
    if page.stat().st_size > MOST_BYTES:
        raise SystemExit(f"{page} has {page.stat().st_size:,} bytes, more than {MOST_BYTES:,}")
    for folder in ("images", "sample"):
        (docs / folder).mkdir(parents=True, exist_ok=True)
    shutil.copyfile(page, docs / "sample" / "index.html")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        browser = Browser(Path(profile))
        try:
            browser.open(page.resolve().as_uri())
            browser.value("document.querySelector('.back').remove()")
            for name, part in PARTS.items():
                _picture(browser, part, docs / "images" / f"{name}.png")
            for width, scheme in ((1100, "light"), (1100, "dark"), (390, "light"), (390, "dark")):
                browser.size(width, scheme)
                browser.picture()
                if browser.value("document.documentElement.scrollWidth") > width:
                    raise SystemExit(f"{page} scrolls sideways at {width} pixels")
            said = [event for event in browser.events if event["method"] in SPOKEN]
            sent = [event["params"] for event in browser.events if event["method"] == "Network.requestWillBeSent"]
        finally:
            browser.close()
    asked = [event["request"]["url"] for event in sent if not event["request"]["url"].startswith("file:")]
    print(json.dumps({"bytes": page.stat().st_size, "console": len(said), "requests": len(asked)}))
    if said or asked:
        raise SystemExit(f"{page}: the console said {said[:3]}, and these were asked for: {asked[:3]}")


def _picture(browser: Browser, part: Part, out: Path) -> None:
    if not browser.value(f"document.querySelectorAll('{part.first}').length"):
        print(f"{out.name}: the page has no {part.first}")
        return
    browser.size(part.width, part.scheme)
    top, end = (
        browser.value(f"document.querySelector('{of}').getBoundingClientRect().{edge} + scrollY")
        for of, edge in ((part.first, "top"), (part.last, "bottom"))
    )
    clip = {"x": 0, "y": top, "width": part.width, "height": min(end - top + 40, part.most), "scale": 1}
    out.write_bytes(browser.picture(clip=clip))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--page", type=Path, default=Path("artifacts/report/index.html"))
    parser.add_argument("--docs", type=Path, default=Path("docs"))
    given = parser.parse_args()
    if not CHROMIUM:
        raise SystemExit("no Chromium on this machine: nothing to open the page with")
    main(given.page, given.docs)
