"""Real servers on a free port of this machine; they end with the test."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
import yaml

from tasks.live import keys
from tests.apps.small import write_bundle

ROOT = Path(__file__).parents[2]
STARTED_S = 120


class Served:
    """Servers in a folder of their own, with a key of every scope."""

    def __init__(self, home, **settings):
        self.home, self.module = home, settings.pop("module", "tests.apps.small")
        given = {"port": 0, "workers": 2, **settings}
        (home / "params.yaml").write_text(yaml.safe_dump({"serve": given}))
        if self.module == "tests.apps.small" and not (home / "bundle.json").exists():
            write_bundle(home)
        self.secret = keys.add("test", tuple(keys.SCOPES), 1e5)
        self.log = home / "servers.log"
        self.start()

    def start(self):
        env = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
        env.pop("NIGHTMARKET_HOME", None)
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", self.module], cwd=self.home, env=env, stdout=log, stderr=log
            )
        deadline = time.monotonic() + STARTED_S
        while True:
            assert self.process.poll() is None, self.log.read_text()
            if addresses := re.findall(r"serving on (http://[^\s/]+)", self.log.read_text()):
                self.url = addresses[-1]
                try:
                    if httpx.get(f"{self.url}/livez", timeout=5).status_code == 200:
                        break
                except httpx.TransportError:
                    pass
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.05)
        self.client = httpx.Client(base_url=self.url, headers=self.headers, timeout=120)

    @property
    def headers(self):
        return {"authorization": f"Bearer {self.secret}"}

    def post(self, path, content, **more):
        return self.client.post(path, json=content, **more)

    def products(self, **asked):
        answer = self.post("/v1/recommendations", asked)
        assert answer.status_code == 200, answer.text
        return [place["product_id"] for place in answer.json()["products"]]

    def workers(self):
        import psutil

        workers = []
        for child in psutil.Process(self.process.pid).children(recursive=True):
            with contextlib.suppress(psutil.Error):  # it has just ended
                workers += [child.pid] if "spawn_main" in " ".join(child.cmdline()) else []
        return workers

    def said(self):
        return self.log.read_text()

    def end(self, how=signal.SIGTERM):
        self.client.close()
        if self.process.poll() is None:
            self.process.send_signal(how)
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise


@pytest.fixture
def serve(tmp_path, monkeypatch):
    """Starts servers; their folder is the current one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NIGHTMARKET_HOME", raising=False)
    running = []

    def start(**settings):
        running.append(Served(tmp_path, **settings))
        return running[-1]

    yield start
    for served in running:
        served.end()


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Servers that the tests of a module share."""
    with pytest.MonkeyPatch.context() as patch:
        home = tmp_path_factory.mktemp("site")
        patch.chdir(home)
        patch.delenv("NIGHTMARKET_HOME", raising=False)
        served = Served(home)
        yield served
        served.end()
