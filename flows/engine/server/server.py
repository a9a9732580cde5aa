"""A Prefect server on a free loopback port, for as long as it is needed."""

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path

import psutil

from flows.engine.run.process import GUARD
from flows.engine.server import access
from nightmarket.contracts import InputError
from tasks.pipeline.settings import Retention, retention

START_S = 120.0
LOG_BYTES = 10_000_000
"""A log of more is put aside as `.1`, in place of the one before, when its program starts anew."""
LOOPBACK = "127.0.0.1"


class PrefectServer:
    """A server process under the guard; it ends when `stop` is called or its starter dies."""

    def __init__(self, home: Path, port: int | None = None, *, ui: bool = False, start: bool = True) -> None:
        self.home, self.port, self.ui = home, port or free_port(), ui
        self.url = f"http://{LOOPBACK}:{self.port}/api"
        self.log = home / ".prefect" / "server.log"
        self.process: subprocess.Popen[bytes] | None = None
        if start:
            self.start()

    def start(self) -> None:
        """Start the process; OSError where there is no room for its log."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self.log.parent.chmod(0o700)  # parameters and logs lie in Prefect's database in clear text
        self.process = start_guarded(_command(self.port), env=_environment(self.home, self.port, self.ui), log=self.log)

    def wait(self, patience_s: float = START_S) -> None:
        """Return when it answers; InputError with the server's last line when it does not come up."""
        deadline = time.monotonic() + patience_s
        while not answers(self.url):
            if self.ended() or time.monotonic() > deadline:
                self.stop()
                raise InputError(f"the local Prefect server did not come up ({self.last_line()}); see {self.log}")
            time.sleep(0.05)

    def ended(self) -> bool:
        """Whether there is no process."""
        return self.process is None or self.process.poll() is not None

    def last_line(self) -> str:
        """What it said last."""
        said: list[str] = []
        with contextlib.suppress(OSError):
            said = self.log.read_text(errors="replace").strip().splitlines()[-1:]
        return said[0][:200] if said else "it said nothing"

    def stop(self) -> None:
        """End it and wait until it has ended."""
        if self.process:
            stop_guarded(self.process)

    def kill(self) -> None:
        """End it at once, also one that hangs."""
        if self.process:
            hang_up(self.process)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            with contextlib.suppress(subprocess.TimeoutExpired):  # a disk that hangs holds on even to the dead
                self.process.wait(10)


def _command(port: int) -> list[str]:
    code = Path(__file__).parents[3]
    application = ("--factory", "flows.engine.server.application:create_app", "--app-dir", str(code))
    options = ("--host", LOOPBACK, "--port", str(port), "--log-level", "warning", "--timeout-graceful-shutdown", "5")
    return [sys.executable, "-m", "uvicorn", *application, *options]


def _environment(home: Path, port: int, ui: bool) -> dict[str, str]:
    return {
        **os.environ,
        **settings(home),
        **access.of_server(home),
        **access.of_client(home),
        "PREFECT_SERVER_API_HOST": LOOPBACK,
        "PREFECT_SERVER_API_PORT": str(port),
        "PREFECT_API_URL": f"http://{LOOPBACK}:{port}/api",
        "PREFECT_UI_API_URL": f"http://{LOOPBACK}:{port}/api",
        "PREFECT_SERVER_UI_ENABLED": str(ui).lower(),
        "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": f"http://{LOOPBACK}:{port}",
        **history(home),
        "PREFECT_SERVER_DEPLOYMENTS_CONCURRENCY_SLOT_WAIT_SECONDS": "5",
        # a server that lives for one run has nothing to schedule; the one of `make ui` has
        "PREFECT_SERVER_SERVICES_SCHEDULER_ENABLED": str(ui).lower(),
        "PREFECT_SERVER_SERVICES_LATE_RUNS_ENABLED": str(ui).lower(),
    }


def history(home: Path) -> dict[str, str]:
    """How long a server of ours keeps runs that have ended, with their logs: Prefect's own vacuum, on its start and
    every hour. A params.yaml that cannot be read is the run's to complain of."""
    policy = Retention()
    with contextlib.suppress(InputError):
        policy = retention(home / "params.yaml")
    if policy.days is None:
        return {}
    return {
        "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "events,flow_runs",
        "PREFECT_SERVER_SERVICES_DB_VACUUM_RETENTION_PERIOD": str(policy.days * 86_400),
    }


def settings(home: Path) -> dict[str, str]:
    """Prefect's settings for every process of ours: its files inside the project, nothing sent anywhere, no pickle."""
    return {
        "PREFECT_HOME": os.environ.get("PREFECT_HOME", str(home / ".prefect")),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "PREFECT_RESULTS_DEFAULT_SERIALIZER": "json",
        "PREFECT_LOGGING_FORMATTERS_STANDARD_FLOW_RUN_FMT": "%(asctime)s           | %(message)s",
        "PREFECT_LOGGING_FORMATTERS_STANDARD_TASK_RUN_FMT": "%(asctime)s %(task_run_name)-9s | %(message)s",
    }


def database(home: Path) -> Path:
    """Where a server of ours keeps Prefect's tables."""
    return Path(settings(home)["PREFECT_HOME"]) / "prefect.db"


def start_guarded(
    command: list[str], *, env: Mapping[str, str], log: Path, cwd: Path | None = None
) -> subprocess.Popen[bytes]:
    """Start a long-lived process under the guard, its output in a file."""
    if log.exists() and log.stat().st_size > LOG_BYTES:
        log.replace(log.with_name(f"{log.name}.1"))
    with log.open("ab") as output:
        return subprocess.Popen(
            [sys.executable, "-I", "-S", str(GUARD), *command],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=dict(env),
            cwd=cwd,
            start_new_session=True,
        )


def stop_guarded(process: subprocess.Popen[bytes]) -> None:
    """Close the guard's pipe and wait; after ten seconds the whole group is killed."""
    hang_up(process)
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def hang_up(*processes: subprocess.Popen[bytes]) -> None:
    """Close the guards' pipes, without waiting."""
    for process in processes:
        if process.stdin:
            process.stdin.close()


def alive(url: str, patience_s: float) -> bool:
    """Whether something there answers at all."""
    try:
        urllib.request.urlopen(f"{url}/health", timeout=patience_s).close()
    except urllib.error.HTTPError:
        return True
    except (OSError, http.client.HTTPException):
        return False
    return True


def answers(url: str) -> bool:
    """Whether a Prefect API answers there."""
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=2) as reply:
            return reply.status == 200
    except (OSError, ValueError):
        return False


def past_proxies() -> None:
    """Have this process and those that it starts speak to this machine directly: a company's proxy, which HTTP_PROXY
    names, knows nothing of our servers."""
    names = ("NO_PROXY", "no_proxy")  # some read the one, some the other
    known = [host.strip() for name in names for host in os.environ.get(name, "").split(",") if host.strip()]
    if "*" not in known:
        os.environ.update(dict.fromkeys(names, ",".join(dict.fromkeys([*known, LOOPBACK, "localhost"]))))


def free_port(preferred: int = 0) -> int:
    """The preferred loopback port when nobody listens there, else any free one."""
    for port in (preferred, 0):
        with contextlib.closing(socket.socket()) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                probe.bind((LOOPBACK, port))
                return int(probe.getsockname()[1])
    raise InputError(f"no free port on {LOOPBACK}")


def announced(home: Path) -> str | None:
    """The API of a server that is up: the environment's, else the one `make ui` started here."""
    given = os.environ.get("PREFECT_API_URL")
    return given if given and answers(given) else noted(home)


def note(home: Path, url: str) -> Path:
    """Put on record that this process keeps a server there; the file in which it stands."""
    path = home / ".prefect" / "server.json"
    path.write_text(json.dumps({"url": url, "pid": os.getpid(), "since": psutil.Process().create_time()}))
    return path


def noted(home: Path) -> str | None:
    """The API of the server that a `make ui` keeps here; it need not answer at the moment."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError, psutil.Error):
        known = json.loads((home / ".prefect" / "server.json").read_text())
        if psutil.Process(known["pid"]).create_time() == known["since"]:
            return str(known["url"])
    return None
