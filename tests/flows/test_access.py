"""Real servers as `make ui` starts them: without the password every route is closed but for a list that stands here."""

import json
import os
import re
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect
from werkzeug.security import generate_password_hash

from flows import ui
from flows.engine.server import access, server
from nightmarket.contracts import InputError

OPEN_IN_PREFECT = {"/api/health", "/api/ready"}
"""Whether it is up. What lies outside /api is the UI's own pages, which ask for the password and hold no data."""
OPEN_IN_MLFLOW = {
    "/health",
    "/version",
    "/static-files/<path:path>",  # the UI's own pages
    "/api/3.0/mlflow/server-info",  # which kind of store there is
    "/ajax-api/3.0/mlflow/server-info",
}

# Flask's routes and FastAPI's: MLflow answers with both
MLFLOW_ROUTES = """
import json, mlflow.server
from mlflow.server.auth import create_app
from mlflow.server.fastapi_app import create_fastapi_app
app = create_app(mlflow.server.app)
found = [[str(rule), sorted(rule.methods - {"HEAD", "OPTIONS"})] for rule in app.url_map.iter_rules()]
paths = create_fastapi_app(app).openapi()["paths"]
print(json.dumps(found + [[path, [name.upper() for name in methods]] for path, methods in paths.items()]))
"""


@pytest.fixture(scope="module")
def servers(tmp_path_factory, prefect_tables):
    """Addresses of Prefect and MLflow, the home they serve, and MLflow's environment."""
    home = tmp_path_factory.mktemp("home")
    given = os.environ.pop("PREFECT_API_AUTH_STRING")
    prefect_tables(home)
    prefect = server.PrefectServer(home, ui=True)
    port = server.free_port()
    env = ui.mlflow_environment(home, ui.environment(home, prefect.url))
    os.environ["PREFECT_API_AUTH_STRING"] = given
    command = ui.mlflow_command(home, port)
    mlflow = server.start_guarded(command, env=env, log=home / ".prefect/mlflow.log", cwd=home)
    address = f"http://127.0.0.1:{port}"
    try:
        prefect.wait()
        wait_for(f"{address}/health")
        hash_cheaply(home)
        yield prefect.url.removesuffix("/api"), address, home, env
    finally:
        server.stop_guarded(mlflow)
        prefect.stop()


def wait_for(url):
    deadline = time.monotonic() + 120
    while True:
        try:
            return httpx.get(url, timeout=5).raise_for_status()
        except httpx.HTTPError:
            assert time.monotonic() < deadline, f"{url} did not come up"
            time.sleep(0.2)


def hash_cheaply(home):
    """Hundreds of wrong passwords are tried, and a hash that is slow on purpose takes tens of milliseconds for each."""
    name, password = login(home)
    [path] = (home / ".prefect").glob("mlflow-users-*.db")
    with closing(sqlite3.connect(path, timeout=60)) as users, users:
        cheap = generate_password_hash(password, method="pbkdf2:sha256:1")
        changed = users.execute("update users set password_hash = ? where username = ?", (cheap, name))
        assert changed.rowcount == 1


def login(home):
    return tuple((home / access.LOGIN).read_text().strip().split(":"))


def unlocked(address, routes, **how):
    """(method, path, status) of each request that was not answered with 401 or 403."""
    open_routes = set()
    with httpx.Client(base_url=address, timeout=30, **how) as client:
        for path, methods in routes:
            for method in methods:
                filled = re.sub(r"<[^>]*>|\{[^}]*\}", "x", path)
                status = client.request(method, filled, json={}).status_code
                if status not in (401, 403):
                    open_routes.add((path, method, status))
    return open_routes


def test_prefect_lets_nobody_in_without_the_password(servers):
    address, _, home, _ = servers
    described = httpx.get(f"{address}/api/openapi.json", auth=login(home)).raise_for_status().json()
    routes = [("/api" + path, [name.upper() for name in methods]) for path, methods in described["paths"].items()]
    routes = [(path.replace("/api/api/", "/api/"), methods) for path, methods in routes]
    assert len(routes) > 100
    for how in ({}, {"auth": (access.USER, "wrong")}, {"headers": {"Authorization": "Bearer x"}}):
        assert {path for path, _, _ in unlocked(address, routes, **how)} <= OPEN_IN_PREFECT
    assert httpx.post(f"{address}/api/flows/count", auth=login(home)).status_code != 401


@pytest.mark.parametrize(
    "path",
    [
        "events/in",
        "events/out",
        "logs/out",
        "task_runs/subscriptions/scheduled",
        "work_pools/nightmarket/workers/connect",
    ],
)
@pytest.mark.parametrize("first", [{"type": "auth", "token": "nightmarket:wrong"}, {"type": "filter"}])
def test_prefect_hangs_up_on_a_stream_without_the_password(servers, path, first):
    address, _, _, _ = servers
    url = f"{address.replace('http', 'ws')}/api/{path}"
    with connect(url, subprotocols=["prefect"], open_timeout=30) as stream:
        stream.send(json.dumps(first))
        with pytest.raises(ConnectionClosed) as closed:
            stream.recv(timeout=30)
    assert closed.value.rcvd.code == 1008


def test_mlflow_lets_nobody_in_without_the_password(servers):
    _, address, home, env = servers
    done = subprocess.run([sys.executable, "-c", MLFLOW_ROUTES], env=env, cwd=home, capture_output=True, text=True)
    routes = json.loads(done.stdout.splitlines()[-1])
    assert len(routes) > 300
    for how in ({}, {"auth": (access.USER, "wrong-and-long-enough")}):
        assert {path for path, _, _ in unlocked(address, routes, **how)} <= OPEN_IN_MLFLOW
    answer = httpx.get(f"{address}/api/2.0/mlflow/experiments/search", params={"max_results": 1}, auth=login(home))
    assert answer.status_code == 200


def test_another_web_page_may_not_ask(servers):
    prefect, mlflow, home, _ = servers
    for url in (f"{prefect}/api/flows/filter", f"{mlflow}/api/2.0/mlflow/experiments/search"):
        told = httpx.options(
            url, headers={"Origin": "https://elsewhere.example", "Access-Control-Request-Method": "POST"}
        )
        assert "access-control-allow-origin" not in told.headers
    assert httpx.post(f"{prefect}/api/flows/", json={"name": "x"}, auth=login(home)).status_code == 403  # no CSRF token


def test_the_password_lies_in_one_private_file_and_nowhere_else(servers):
    _, _, home, _ = servers
    _, password = login(home)
    assert len(password) >= 20
    assert (home / access.LOGIN).stat().st_mode & 0o077 == 0
    assert (home / ".prefect").stat().st_mode & 0o077 == 0
    for path in home.rglob("*"):
        if path.is_file() and path != home / access.LOGIN:
            assert password.encode() not in path.read_bytes(), path


@pytest.mark.parametrize("text", ["short:1", "nocolon-but-long-enough", "name:with a space in it", ":passwordalone"])
def test_a_login_that_is_none_is_named(tmp_path, monkeypatch, text):
    monkeypatch.setenv("PREFECT_API_AUTH_STRING", text)
    with pytest.raises(InputError, match="PREFECT_API_AUTH_STRING is not NAME:PASSWORD") as error:
        access.login(tmp_path)
    assert text not in str(error.value)


def test_a_login_that_others_may_read_is_refused(tmp_path, monkeypatch):
    monkeypatch.delenv("PREFECT_API_AUTH_STRING")
    first = access.login(tmp_path)
    assert access.login(tmp_path) == first
    Path(tmp_path / access.LOGIN).chmod(0o644)
    with pytest.raises(InputError, match="chmod 600"):
        access.login(tmp_path)
