"""A headless Chromium, spoken to through its debugging port: for tests of the page and for its pictures."""

import base64
import contextlib
import json
import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import Any
from urllib.request import ProxyHandler, build_opener

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
QUIET = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--hide-scrollbars",
)  # fmt: skip
DIRECT = build_opener(ProxyHandler({}))
"""Past any proxy; `urlopen` keeps the one that was set when it was first used."""


class Browser:
    """A headless Chromium, spoken to through its debugging port."""

    def __init__(self, profile: Path) -> None:
        from websockets.sync.client import connect

        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        given = [str(CHROMIUM), *QUIET, f"--remote-debugging-port={port}", f"--user-data-dir={profile}", "about:blank"]
        self.process = subprocess.Popen(given, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 120
        while not (tabs := _tabs(port)):  # no port while it starts, no page for a moment after
            if time.monotonic() > deadline:
                ended = self.process.poll()
                self.process.kill()
                raise AssertionError(f"Chromium did not start in two minutes (exit code {ended})")
            time.sleep(0.05)
        tab = tabs[0]
        self.socket = connect(tab["webSocketDebuggerUrl"], max_size=None, proxy=None)
        self.number = 0
        self.events: list[dict[str, Any]] = []

    def ask(self, method: str, **params: Any) -> Any:
        """The answer to a command of the protocol; other messages are kept in `events`."""
        self.number += 1
        self.socket.send(json.dumps({"id": self.number, "method": method, "params": params}))
        while True:
            message = json.loads(self.socket.recv(timeout=60))
            if message.get("id") == self.number:
                assert "error" not in message, message
                return message["result"]
            self.events.append(message)

    def size(self, width: int, scheme: str) -> None:
        """A window that wide, light or dark."""
        self.ask("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 500)
        self.ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def picture(self, **more: Any) -> bytes:
        """The page as PNG; `clip` for a part of it."""
        shot = self.ask("Page.captureScreenshot", captureBeyondViewport=True, **more)
        return base64.b64decode(shot["data"])

    def value(self, expression: str) -> Any:
        """What an expression gives in the page."""
        return self.ask("Runtime.evaluate", expression=expression, returnByValue=True)["result"].get("value")

    def open(self, address: str) -> None:
        """Show a file:// address and wait until it is there."""
        for domain in ("Page", "Log", "Runtime", "Network"):
            self.ask(f"{domain}.enable")
        self.ask("Page.navigate", url=address)
        while self.value("document.readyState + location.protocol") != "completefile:":
            time.sleep(0.05)

    def close(self) -> None:
        """End the browser."""
        with contextlib.suppress(Exception):
            self.socket.close()
        self.process.terminate()
        self.process.wait(20)


def _tabs(port: int) -> list[dict[str, Any]]:
    """Pages of the browser that listens there; none while it starts."""
    try:
        with DIRECT.open(f"http://127.0.0.1:{port}/json", timeout=20) as answer:
            return [tab for tab in json.load(answer) if tab["type"] == "page"]
    except OSError:
        return []
