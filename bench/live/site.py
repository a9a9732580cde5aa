"""A site for measurements: a folder of its own with a bundle whose customers the load generator knows by name."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import yaml

from apps.api.__main__ import one_off_key
from bench.next_item.visits import Made
from nightmarket.serving.live import bundle as halves
from nightmarket.serving.live import parts
from nightmarket.serving.live.strings import CodedNames
from tasks.bundle import write
from tasks.files import manifest, storage
from tasks.live.visitors import Visitors

ROOT = Path(__file__).parents[2]
BUNDLE = Path("artifacts/bundle")
STARTED_S = 120
BUSY = 2000
"""Products that the visitors' events are drawn from: those most in demand."""


@dataclass(frozen=True)
class Site:
    """A folder that servers can be started in: customers `c0`, `c1`, …; products, those most in demand first, and what
    they are called."""

    home: Path
    num_customers: int
    products: list[str]
    texts: list[str]

    @contextlib.contextmanager
    def served(self, module: str = "apps.api", **given: Any) -> Iterator["Servers"]:
        """Servers on a free port, which end with the block; `given`: the section `serve`."""
        (self.home / "params.yaml").write_text(yaml.safe_dump({"serve": {"port": 0, **given}}), encoding="utf-8")
        servers = Servers(self.home, module, one_off_key())
        try:
            servers.start()
            yield servers
        finally:
            servers.end()


@contextlib.contextmanager
def site(bundle: Path, shop: str = "fashion", size: float = 1.0) -> Iterator[Site]:
    """Of a bundle, or where there is none of a made-up shop, of `size` times its usual customers and products."""
    with tempfile.TemporaryDirectory(prefix="nightmarket-site-") as folder:
        home = Path(folder)
        if bundle.exists():
            shutil.copytree(bundle, home / BUNDLE)
        else:
            made = Made(shop, 7, size, size)
            write(home / BUNDLE, made.shop(made.last), made.orders(made.last), made.data, "1", None)
        with contextlib.chdir(home), _without_home():
            num = _renamed(home / BUNDLE / parts.STATE, Visitors())
        known = halves.read(home / BUNDLE / parts.MODEL, home / BUNDLE / parts.STATE, verify=False)
        busy = [known.products.texts[item] for item in known.demand[:BUSY].tolist()]
        texts = [known.titles[item] or known.kinds[item] for item in known.demand[:BUSY].tolist()]
        yield Site(home, num, busy, [text for text in texts if text] or ["nothing"])


@contextlib.contextmanager
def _without_home() -> Iterator[None]:
    kept = os.environ.pop("NIGHTMARKET_HOME", None)
    try:
        yield
    finally:
        if kept is not None:
            os.environ["NIGHTMARKET_HOME"] = kept


def _renamed(state: Path, visitors: Visitors) -> int:
    """Call the customers of a half what this folder's key makes of `c0`, `c1`, …; how many."""
    arrays = parts.mapped(state / parts.ARRAYS)
    num = int(arrays["customers.ends"].size) - 1
    names = CodedNames.of(visitors.names(f"c{code}").present for code in range(num))
    fresh = {f"customers.{name}": values for name, values in names.tensors().items()}
    tidy = {name: np.array(values) for name, values in (arrays | fresh).items()}
    del arrays
    storage.write_tensors(tidy, state / parts.ARRAYS)
    manifest.write(state)
    return num


class Servers:
    """`make serve`'s own command, or another module that serves as it does."""

    def __init__(self, home: Path, module: str, secret: str) -> None:
        self.home, self.module, self.secret = home, module, secret
        self.log = home / "servers.log"
        self.process: subprocess.Popen[bytes] | None = None
        self.port = 0

    def start(self) -> None:
        """Until all workers answer. Raises RuntimeError with the last lines of the log."""
        environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
        environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
        environment.pop("NIGHTMARKET_HOME", None)
        command = [sys.executable, "-m", self.module, *(["--port", str(self.port)] if self.port else [])]
        with self.log.open("w") as log:
            self.process = subprocess.Popen(command, cwd=self.home, env=environment, stdout=log, stderr=log)
        deadline = time.monotonic() + STARTED_S
        while self.said().count("Application startup complete") < int(self._workers()):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the servers did not start: {self.said()[-1000:]}")
            time.sleep(0.05)
        self.port = int(re.findall(r"serving on http://[^:]+:(\d+)", self.said())[0])

    def _workers(self) -> str:
        return (re.findall(r"with (\d+) workers", self.said()) or ["1"])[0]

    def said(self) -> str:
        """Their log."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def workers(self) -> list[psutil.Process]:
        """The processes that answer."""
        assert self.process is not None
        workers = []
        for child in psutil.Process(self.process.pid).children(recursive=True):
            with contextlib.suppress(psutil.Error):  # it has just ended
                workers += [child] if "spawn_main" in " ".join(child.cmdline()) else []
        return workers

    def gigabytes(self) -> float:
        """Of the largest worker, each page that several processes share counted in parts."""
        return round(max(worker.memory_full_info().pss for worker in self.workers()) / 1e9, 3)

    def processor_s(self) -> float:
        """Seconds that the workers have spent on it, all together."""
        return sum(sum(worker.cpu_times()[:2]) for worker in self.workers())

    def kill(self) -> None:
        """The server and its workers, at once and without a word."""
        assert self.process is not None
        for process in (self.process.pid, *(worker.pid for worker in self.workers())):
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        self.process.wait()

    def end(self) -> None:
        """As a signal asks them to."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(60)
