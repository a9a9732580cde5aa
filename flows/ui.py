"""`make ui`: the desk, a Prefect server with the deployments, a worker that runs them, and MLflow, all on loopback."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from flows.engine.approval import contacts
from flows.engine.server import access, keeper, server
from nightmarket.contracts import InputError
from tasks.desk import accounts
from tasks.files import storage

POOL = "nightmarket"
DESK_PORT, PREFECT_PORT, MLFLOW_PORT = 4300, 4200, 5000
STARTED_S = 120.0


def main() -> int:
    """Start everything, print the addresses, wait for Ctrl-C or SIGTERM, stop everything."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    home = storage.home()
    server.past_proxies()
    try:
        with everything(home) as (addresses, processes):
            print("\n".join(["", *(f"{name:9} {address}" for name, address in addresses.items()), ""]), flush=True)
            if not accounts.on(home):
                first = f"{addresses['desk']}/invitation?secret={accounts.invite_first(home)}"
                print(f"nobody has an account at the desk yet; make the first one here, once: {first}")
            print(
                f"Prefect and MLflow are the engine room; log in there with what {access.LOGIN} holds: Prefect asks for"
            )
            print("the whole line, MLflow for the name before the colon and the password after it", flush=True)
            print("Ctrl-C stops all of them; a run in progress is ended with them.", flush=True)
            while not stop.wait(1.0):
                gone = next((name for name, process in processes.items() if process.poll() is not None), None)
                if gone:
                    raise InputError(f"{gone} stopped by itself; see {home / '.prefect' / gone}.log")
        print("stopped", flush=True)
    except InputError as error:
        print(f"nightmarket: ui: {error}", file=sys.stderr)
        return 1
    return 0


@contextlib.contextmanager
def everything(home: Path) -> Iterator[tuple[dict[str, str], dict[str, subprocess.Popen[bytes]]]]:
    """Addresses and processes of what is running; all of it is ended on leaving."""
    if url := server.announced(home):
        raise InputError(f"a Prefect server is already up at {url.removesuffix('/api')}; stop it first, or use it")
    with contextlib.ExitStack() as stack:
        print("starting the Prefect server", flush=True)
        prefect = keeper.KeptServer(home, server.free_port(PREFECT_PORT), ui=True)
        stack.callback(prefect.stop)
        env = environment(home, prefect.url)
        mlflow_port = server.free_port(MLFLOW_PORT)
        processes = {
            "mlflow": _start(stack, home, "mlflow", mlflow_command(home, mlflow_port), mlflow_environment(home, env))
        }
        prefect.wait()
        stack.callback(server.note(home, prefect.url).unlink, missing_ok=True)
        print("registering the deployments of prefect.yaml", flush=True)
        register(home, env)
        desk_port = server.free_port(DESK_PORT)
        at_work = {**env, contacts.DESK_URL: f"http://{server.LOOPBACK}:{desk_port}"}
        processes["worker"] = _start(stack, home, "worker", worker_command(), at_work)
        processes["desk"] = _start(stack, home, "desk", desk_command(desk_port), env)
        _listening(mlflow_port, "mlflow", processes, home)
        _listening(desk_port, "desk", processes, home)
        stack.callback(server.hang_up, *processes.values())  # the first thing on leaving: all of them end at once
        addresses = {
            "desk": f"http://{server.LOOPBACK}:{desk_port}",
            "Prefect": prefect.url.removesuffix("/api"),
            "MLflow": f"http://{server.LOOPBACK}:{mlflow_port}",
        }
        report = home / "artifacts" / "report" / "index.html"
        yield {**addresses, **({"report": report.as_uri()} if report.exists() else {})}, processes


def environment(home: Path, url: str) -> dict[str, str]:
    """What worker, deployment and MLflow see: this server, this checkout's code and files."""
    paths = [str(home), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    return {
        **os.environ,
        **server.settings(home),
        **access.of_client(home),
        "PREFECT_API_URL": url,
        "NIGHTMARKET_HOME": str(home),
        "PYTHONPATH": os.pathsep.join(path for path in dict.fromkeys(paths) if path),
        "PREFECT_WORKER_QUERY_SECONDS": "2",
        "PREFECT_CLIENT_MAX_RETRIES": "6",  # two minutes, in which the server may be started again
    }


def mlflow_environment(home: Path, env: dict[str, str]) -> dict[str, str]:
    """What the MLflow server sees."""
    # job execution: five more processes, which nothing here uses
    return {**env, **access.of_mlflow(home), "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}


def register(home: Path, env: dict[str, str]) -> None:
    """The process pool and the deployments of prefect.yaml; InputError with Prefect's own words when it refuses."""
    prefect = [sys.executable, "-m", "prefect", "--no-prompt"]
    for arguments in (["work-pool", "create", POOL, "--type", "process", "--overwrite"], ["deploy", "--all"]):
        done = subprocess.run([*prefect, *arguments], cwd=home, env=env, capture_output=True, text=True)
        if done.returncode:
            said = " ".join((done.stderr or done.stdout).split())
            raise InputError(f"prefect {' '.join(arguments[:2])}: {said[-300:]}")


def worker_command() -> list[str]:
    """One process worker for the pool."""
    return [sys.executable, "-m", "prefect", "worker", "start", "--pool", POOL, "--type", "process"]


def mlflow_command(home: Path, port: int) -> list[str]:
    """The MLflow UI over the registry in mlruns/."""
    (home / "mlruns").mkdir(exist_ok=True)
    store = f"sqlite:///{home / 'mlruns' / 'mlflow.db'}"
    options = ("--host", server.LOOPBACK, "--port", str(port), "--workers", "1", "--app-name", "basic-auth")
    return [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", store, *options]


def desk_command(port: int) -> list[str]:
    """The desk, which reads this checkout and asks Prefect."""
    return [sys.executable, "-m", "apps.desk", "--port", str(port)]


def _start(
    stack: contextlib.ExitStack, home: Path, name: str, command: list[str], env: dict[str, str]
) -> subprocess.Popen[bytes]:
    process = server.start_guarded(command, env=env, log=home / ".prefect" / f"{name}.log", cwd=home)
    stack.callback(server.stop_guarded, process)
    return process


def _listening(port: int, name: str, processes: dict[str, subprocess.Popen[bytes]], home: Path) -> None:
    deadline = time.monotonic() + STARTED_S
    while server.free_port(port) == port:
        if processes[name].poll() is not None or time.monotonic() > deadline:
            raise InputError(f"{name} did not come up; see {home / '.prefect' / name}.log")
        time.sleep(0.2)


if __name__ == "__main__":
    sys.exit(main())
