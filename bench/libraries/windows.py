"""What `prepare` cut, window by window, as npz files: the shop up to the cut for the peers, the truth for us alone."""

import contextlib
import logging
import tempfile
from pathlib import Path

import numpy as np
import yaml

from bench.libraries.shop import TASKS, Shop
from nightmarket.evaluation.protocol import Window, targets
from nightmarket.histories.calendar import date_of
from tasks.__main__ import main as run_stage
from tasks.files.prepared import Prepared
from tasks.pipeline.settings import sections

log = logging.getLogger("nightmarket")


def shop_of(data: Prepared, window: Window) -> Shop:
    """The lines up to the cut; of the target days nothing but which products launch."""
    lines, codes = data.histories.until(window.cut), data.catalogue
    taken = {name: getattr(lines, name) for name in ("customer", "item", "week", "day", "basket", "quantity", "value")}
    taken |= {name: getattr(codes, name) for name in ("department", "category", "kind", "line", "maker")}
    return Shop(
        **taken,
        launching=data.launching(window),
        cut=window.cut,
        num_customers=lines.num_customers,
        num_items=lines.num_items,
    )


def export(checkout: Path, store: Path, end: str) -> None:
    """Write shop.npz and truth.npz of the window before Monday `end`; `prepare` runs in a temporary folder."""
    params = sections(checkout / "params.yaml")
    params["prepare"]["window_end"] = end
    folder = store / end
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch, contextlib.chdir(scratch):
        Path("artifacts").mkdir()
        Path("artifacts/validate").symlink_to(checkout / "artifacts" / "validate")
        Path("params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
        if run_stage("prepare"):
            raise SystemExit(f"prepare failed for the window that ends at {end}; run `make nightly` first")
        data = Prepared()
        window = data.windows.test
        shop_of(data, window).save(folder / "shop.npz")
        every = targets(data.histories, window)
        truth = {**every, "launch": every["debut"]}  # as these libraries were measured
    parts = {f"{task}_{name}": getattr(truth[task], name) for task in TASKS for name in ("indptr", "items")}
    np.savez(folder / "truth.npz", **parts)
    log.info("peers: window before %s written, cut on %s", end, date_of(window.cut))
