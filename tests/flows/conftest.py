"""A small project of its own for the flows: a git repository with quick stages, and one real Prefect server."""

import contextlib
import dataclasses
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from textwrap import dedent

import psutil
import pytest

from tests.flows.registered import registered, shop  # noqa: F401 - fixtures

ROOT = Path(__file__).parents[2]
LOGIN = os.environ["PREFECT_API_AUTH_STRING"] = "tests:for-one-session-only"
"""Set before Prefect is imported, so that the tests' own clients are let in."""
KEPT = ("tasks/__init__.py", "tasks/__main__.py", "tasks/find.py")
ROOMS = ("campaigns", "desk", "files", "merchandising", "models", "pipeline", "privacy", "registry")
"""What of tasks/ the made-up project has as it is; its stages and steps are its own."""

# Started in the background, a shell has the tests ignore Ctrl-C, and every process that they start would too.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

STAGE = """
import os
import time
from pathlib import Path

from nightmarket.contracts import InputError
from tasks.files import storage
from tasks.pipeline.declaration import Step
from tasks.pipeline.settings import StageSettings

STEP = Step("nothing but what a test needs")


def told(name):
    "Leave a line for the test: this stage's process was started."
    with storage.private("started.txt").open("a") as file:
        file.write(name + chr(10))


def out(path, text):
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(text)
"""

FILES = {
    "tasks/snapshot.py": STAGE
    + """
class Settings(StageSettings):
    source: str = "demo"
    business_date: str | None = None
    folders: tuple[dict, ...] = ()
    zone: str = "UTC"
    ids: tuple[str, ...] = ()


def run(settings):
    told("snapshot")
    out("data/raw/orders.csv", (storage.home() / "source.csv").read_text() + str(settings.business_date))
""",
    "tasks/validate.py": STAGE
    + """
class Settings(StageSettings):
    pass


def run(settings):
    told("validate")
    orders = Path("data/raw/orders.csv").read_text()
    if "broken" in orders:
        raise InputError("orders.price: 3 of 9 values are missing, first in row 4")
    print("validate: 9 rows", flush=True)
    out("artifacts/validate/clean.csv", orders)
""",
    "tasks/rank.py": STAGE
    + """
class Settings(StageSettings):
    num_leaves: int = 31


def run(settings):
    told("rank")
    flaky, slow = storage.private("flaky"), storage.private("slow")
    if flaky.exists():
        flaky.unlink()
        raise RuntimeError("the network went away")
    if slow.exists():
        if os.fork() == 0:
            os.setsid()
        with slow.open("a") as file:
            file.write(f"{os.getpid()}" + chr(10))
        time.sleep(120)
    out("artifacts/rank/model.txt", f"leaves {settings.num_leaves} " + Path("artifacts/validate/clean.csv").read_text())
""",
    "tasks/evaluate.py": STAGE
    + """
class Settings(StageSettings):
    pass


def run(settings):
    told("evaluate")
    leaves = int(Path("artifacts/rank/model.txt").read_text().split()[1])
    value = leaves / 100
    ours = {"ndcg@10": {"value": value, "low": value - 0.01, "high": value + 0.01}}
    storage.write_json({"all": {"nightmarket": ours, "popularity": ours}}, Path("artifacts/evaluate/metrics.json"))
""",
    "tasks/register.py": STAGE
    + """
from tasks.files import manifest
from tasks.registry.lineage import lock_hash


class Settings(StageSettings):
    pass


def run(settings):
    told("register")
    out(storage.home() / "mlruns/mlflow.db", "")
    if storage.private("closed").exists():
        print("register: gate closed: popularity is better", flush=True)
        return
    commit = os.environ["NIGHTMARKET_COMMIT"]
    receipt = {"version": 1, "as_of": "2020-03-01", "lock_hash": lock_hash(), "commit": commit}
    path = Path("data/champion/receipt.json")
    if path.exists() and storage.read_json(path)["lock_hash"] == lock_hash():
        print("register: gate unchanged", flush=True)
        return
    storage.write_json(receipt, path)
    manifest.write(path.parent)
    print("register: gate opened: the first champion", flush=True)
""",
    "tasks/report.py": STAGE
    + """
class Settings(StageSettings):
    pass


def run(settings):
    told("report")
    champion = storage.read_json(Path("data/champion/receipt.json"))["version"]
    out("artifacts/report/index.html", f"<p>champion {champion} " + Path("artifacts/rank/model.txt").read_text())
""",
    "params.yaml": """\
snapshot:
  business_date: null
rank:
  num_leaves: 31
""",
    "dvc.yaml": """\
stages:
  validate:
    cmd: python -m tasks validate
    deps: [data/raw, tasks/validate.py]
    outs: [artifacts/validate]
    meta: {pool: cpu, timeout_s: 60, retries: 1, retry_delay_s: 0}
  rank:
    cmd: python -m tasks rank
    deps: [artifacts/validate, tasks/rank.py]
    params: [rank]
    outs: [artifacts/rank]
    meta: {pool: gpu, timeout_s: 60, retries: 1, retry_delay_s: 0}
  evaluate:
    cmd: python -m tasks evaluate
    deps: [artifacts/rank, tasks/evaluate.py]
    metrics: [artifacts/evaluate/metrics.json]
  report:
    cmd: python -m tasks report
    deps: [artifacts/rank, data/champion, tasks/report.py]
    outs: [artifacts/report]
    meta: {phase: deliver}
""",
    "source.csv": "a,b\n1,2\n",
    ".gitignore": """\
__pycache__/
.venv/
/mlruns/
/.runs/
/.prefect/
/.nightmarket/
/data/raw
/data/champion
/artifacts/
""",
    ".dvc/config": "[core]\n    analytics = false\n    autostage = false\n[cache]\n    type = reflink,copy\n",
    ".dvc/.gitignore": "/config.local\n/tmp\n/cache\n",
    ".dvcignore": "",
}


@dataclasses.dataclass(frozen=True)
class Project:
    """The small project, and what one does with it on a terminal."""

    home: Path
    api: str

    def copied(self, home: Path) -> "Project":
        """Another one like it there, without what it told Prefect."""
        copy = Project(home, self.api)
        shutil.copytree(self.home, home, symlinks=True, ignore=shutil.ignore_patterns(".prefect"))
        copy.started()
        return copy

    @property
    def env(self) -> dict[str, str]:
        inherited = {key: value for key, value in os.environ.items() if not key.startswith(("GIT_", "PREFECT_"))}
        return {
            **inherited,
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
            "PYTHONPATH": os.pathsep.join([str(self.home), str(ROOT)]),
            "PREFECT_API_URL": self.api,
            "PREFECT_API_AUTH_STRING": LOGIN,
            "PREFECT_HOME": str(self.home / ".prefect"),
            "NIGHTMARKET_HOME": str(self.home),
            "HOME": str(self.home / ".prefect"),  # no git identity, no profile of anybody's
            "DVC_SITE_CACHE_DIR": str(self.home / ".dvc" / "tmp" / "site"),
        }

    def command(self, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=self.home,
            env={**self.env, **env},
            capture_output=True,
            text=True,
            timeout=240,
        )

    def flow(self, name: str, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        return self.command("-m", "flows", name, *arguments, **env)

    def start(self, name: str, *arguments: str, **env: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "flows", name, *arguments],
            cwd=self.home,
            env={**self.env, **env},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def git(self, *arguments: str) -> str:
        command = ["git", "-c", "user.name=t", "-c", "user.email=t@localhost", *arguments]
        return subprocess.run(command, cwd=self.home, check=True, capture_output=True, text=True).stdout.strip()

    def checked_out(self, ref: str, clone: Path) -> bytes:
        """A second clone at a run's commit, with the night's data; what its dvc.lock says."""
        self.git("clone", "--quiet", str(self.home), str(clone))
        self.git("-C", str(clone), "fetch", "--quiet", "origin", f"{ref}:{ref}")
        self.git("-C", str(clone), "checkout", "--quiet", ref)
        for name in ("data/raw", "data/champion"):
            shutil.copytree(self.home / name, clone / name)
        return (clone / "dvc.lock").read_bytes()

    def rebuild(self, clone: Path) -> None:
        """Make everything anew in a clone, by DVC alone."""
        command = [sys.executable, "-m", "dvc", "repro", "--force", "--no-run-cache"]
        env = {**self.env, "NIGHTMARKET_HOME": str(clone), "PYTHONPATH": os.pathsep.join([str(clone), *sys.path])}
        subprocess.run(command, cwd=clone, env=env, check=True, capture_output=True)

    def private(self, name: str) -> Path:
        path = self.home / ".nightmarket" / name
        path.parent.mkdir(exist_ok=True)
        return path

    def started(self) -> list[str]:
        """The stages whose processes were started since the last question."""
        path = self.private("started.txt")
        names = path.read_text().split() if path.exists() else []
        path.unlink(missing_ok=True)
        return names

    def runs(self) -> list[str]:
        return self.git("for-each-ref", "--format=%(refname)", "refs/runs").split()


def write_project(home: Path, files: Mapping[str, str] = FILES) -> None:
    for name in KEPT:
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, home / name)
    for name in ("flows", *(f"tasks/{room}" for room in ROOMS)):
        shutil.copytree(ROOT / name, home / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copyfile(ROOT / "prefect.yaml", home / "prefect.yaml")
    for name, text in {**FILES, **files}.items():
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(dedent(text))
    git = ["git", "-C", str(home), "-c", "user.name=t", "-c", "user.email=t@localhost"]
    subprocess.run(["git", "init", "--quiet", "--initial-branch", "main", str(home)], check=True)
    subprocess.run([*git, "add", "--all"], check=True)
    subprocess.run([*git, "commit", "--quiet", "--message", "the project"], check=True)


SELDOM = ("LATE_RUNS", "CLEANUP_RECONCILER", "REPOSSESSOR", "FOREMAN")
"""What a server does every few seconds; nothing here waits for it, as campaigns do for pauses that expire."""


@pytest.fixture(scope="session")
def prefect_tables(made_once):
    """Puts Prefect's tables, empty, where a server of that home looks for them: to make them takes longer than all else
    of its start.
    """
    made = made_once("prefect", empty_tables) / "empty.db"

    def put(home: Path) -> None:
        (home / ".prefect").mkdir(mode=0o700, parents=True, exist_ok=True)
        shutil.copyfile(made, home / ".prefect/prefect.db")

    return put


def empty_tables(folder: Path) -> None:
    from flows.engine.server import server

    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("PREFECT_HOME", raising=False)
        first = server.PrefectServer(folder)
        first.wait()
        first.stop()
    with (
        contextlib.closing(sqlite3.connect(folder / ".prefect/prefect.db")) as source,
        contextlib.closing(sqlite3.connect(folder / "empty.db")) as target,
    ):
        source.backup(target)


RESTS = []
"""Processes of the tests' server, which looks for work several times a second; while no test asks it, it rests."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item, nextitem):
    if "prefect_api" in item.fixturenames:
        send(signal.SIGCONT)
    done = yield
    if nextitem is not None and "prefect_api" not in nextitem.fixturenames:
        send(signal.SIGSTOP)
    return done


def send(what):
    for process in RESTS:
        process.send_signal(what)


@pytest.fixture(scope="session")
def prefect_api(tmp_path_factory, prefect_tables):
    """One real server for all flow tests, with its scheduler, on a free loopback port."""
    from flows.engine.server import server

    home = tmp_path_factory.mktemp("server")
    prefect_tables(home)
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("PREFECT_HOME", raising=False)
        for service in SELDOM:
            patch.setenv(f"PREFECT_SERVER_SERVICES_{service}_LOOP_SECONDS", "60")
        started = server.PrefectServer(home, ui=True)
    started.wait()
    RESTS.extend(psutil.Process(started.process.pid).children(recursive=True))
    yield started.url
    send(signal.SIGCONT)
    RESTS.clear()
    started.stop()


@pytest.fixture(scope="session")
def new_project(tmp_path_factory, prefect_api):
    """Makes a project in which nothing has run, with files of its own over the usual ones; one that is there stays."""

    def make(files: Mapping[str, str], home: Path | None = None) -> Project:
        project = Project(home or tmp_path_factory.mktemp("new") / "shop", prefect_api)
        if not project.home.exists():
            project.home.mkdir()
            write_project(project.home, files)
        return project

    return make


@pytest.fixture(scope="session")
def finished_project(made_once, tmp_path_factory, prefect_api, prefect_tables):
    """The project after its first night, with what the terminal showed; copies of it are cheap."""

    def a_night(folder: Path) -> None:
        project = Project(folder / "shop", "")  # this once on a server of its own
        project.home.mkdir()
        write_project(project.home)
        prefect_tables(project.home)
        done = project.command("-m", "flows.nightly")  # and by this name
        assert done.returncode == 0, done.stdout + done.stderr
        (folder / "said.json").write_text(json.dumps([done.args, 0, done.stdout, done.stderr]))

    night = made_once("first", a_night)
    home = tmp_path_factory.mktemp("finished") / "shop"
    shutil.copytree(night / "shop", home, symlinks=True)
    return Project(home, prefect_api), subprocess.CompletedProcess(*json.loads((night / "said.json").read_text()))


@pytest.fixture
def project(finished_project, tmp_path):
    """A copy of the project after its first night."""
    first, _ = finished_project
    return first.copied(tmp_path / "shop")


class Receiver(BaseHTTPRequestHandler):
    """Takes what a webhook is sent."""

    def do_POST(self):
        self.server.got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def receiver():
    """A server on loopback that keeps every message in `got`."""
    server = HTTPServer(("127.0.0.1", 0), Receiver)
    server.got = []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def webhook():
    with receiver() as server:
        yield server
