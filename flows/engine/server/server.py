"""A Prefect server on a free loopback port, for as long as it is needed.

While a run uses one it is watched: when it is gone, the run ends with one line instead of waiting for it. Prefect's
client tries again for many minutes, and a run that nobody can see or stop helps nobody. What had finished is in DVC's
cache, so the next run picks up there.
"""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path

from flows.engine.run.process import GUARD
from flows.engine.server import access
from nightmarket.contracts import InputError
from tasks.pipeline.settings import Retention, retention

START_S = 120.0
LOG_BYTES = 10_000_000
"""A log of more is put aside as `.1`, in place of the one before, when its program starts anew."""
LOOPBACK = "127.0.0.1"
LOOK_EVERY_S = 5.0
ANSWER_S = 5.0
PATIENCE_S = 40.0
"""A server that is started anew takes less."""
GONE = 1


class PrefectServer:
    """A server process under the guard; it ends when `stop` is called or its starter dies."""

    def __init__(self, home: Path, port: int | None = None, *, ui: bool = False) -> None:
        self.port = port or free_port()
        self.url = f"http://{LOOPBACK}:{self.port}/api"
        self.log = home / ".prefect" / "server.log"
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self.log.parent.chmod(0o700)  # parameters and logs lie in Prefect's database in clear text
        self.process = start_guarded(_command(self.port), env=_environment(home, self.port, ui), log=self.log)

    def wait(self, patience_s: float = START_S) -> None:
        """Return when it answers; InputError with the server's last line when it does not come up."""
        deadline = time.monotonic() + patience_s
        while not answers(self.url):
            if self.process.poll() is not None or time.monotonic() > deadline:
                said = self.log.read_text(errors="replace").strip().splitlines()[-1:] or ["it said nothing"]
                self.stop()
                raise InputError(f"the local Prefect server did not come up ({said[0][:200]}); see {self.log}")
            time.sleep(0.05)

    def stop(self) -> None:
        """End it and wait until it has ended."""
        stop_guarded(self.process)


def _command(port: int) -> list[str]:
    application = ("--factory", "prefect.server.api.server:create_app")
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
    candidates = (os.environ.get("PREFECT_API_URL"), _noted(home))
    return next((url for url in candidates if url and answers(url)), None)


def _noted(home: Path) -> str | None:
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        return str(json.loads((home / ".prefect" / "server.json").read_text())["url"])
    return None


@contextlib.contextmanager
def some_server(home: Path) -> Iterator[PrefectServer | None]:
    """PREFECT_API_URL set to a server that answers, or to one that is starting (call its `wait`)."""
    past_proxies()
    os.environ.update({key: os.environ.get(key, value) for key, value in settings(home).items()})
    url = announced(home)
    if url in (None, _noted(home)):  # the password never goes to a server that somebody else started
        os.environ.update(access.of_client(home))
    server = None if url else PrefectServer(home)
    os.environ["PREFECT_API_URL"] = url or server.url  # type: ignore[union-attr]
    try:
        yield server
    finally:
        if server:
            server.stop()


@contextlib.contextmanager
def watched(flow: str) -> Iterator[None]:
    """End this process, its stage and all, when the server has not answered for `PATIENCE_S`."""
    from prefect.settings import PREFECT_API_URL

    url, over = PREFECT_API_URL.value(), threading.Event()
    if not url:
        yield
        return
    threading.Thread(target=_watch, args=(flow, url, over), daemon=True).start()
    try:
        yield
    finally:
        over.set()


def _watch(flow: str, url: str, over: threading.Event) -> None:
    answered = time.monotonic()
    while not over.wait(LOOK_EVERY_S):
        if _answers(url):
            answered = time.monotonic()
        elif time.monotonic() - answered > PATIENCE_S:
            print(
                f"nightmarket: {flow}: the Prefect server has not answered for {PATIENCE_S:.0f} s, so the run ends "
                "here; what had finished is in the cache and the champion goes on serving; start the server and run "
                "it again",
                file=sys.stderr,
                flush=True,
            )
            os._exit(GONE)  # the guard ends the stage; waiting for Prefect's own end would wait for the server


def _answers(url: str) -> bool:
    try:
        urllib.request.urlopen(f"{url}/health", timeout=ANSWER_S).close()
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True
