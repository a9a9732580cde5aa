"""A Postgres of the tests' own: on a free port of this machine, in a folder of its own, ended by whoever began it."""

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


def programs() -> Path | None:
    """Where initdb and postgres lie; None without an installed server."""
    known = [
        *sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True),
        Path(shutil.which("initdb") or "/").parent,
    ]
    return next((folder for folder in known if (folder / "initdb").exists() and (folder / "postgres").exists()), None)


@dataclass
class Postgres:
    """A running server with the superuser `shop`, whom no password is asked of."""

    folder: Path
    port: int
    user: int | None
    process: subprocess.Popen[bytes] | None = None

    def url(self, name: str = "postgres", user: str = "shop") -> str:
        """The address of one of its databases."""
        return f"postgresql://{user}@127.0.0.1:{self.port}/{name}"

    def start(self) -> None:
        """Start it again, and wait until it answers."""
        bin_folder = programs()
        assert bin_folder
        command: list[str | Path] = [
            bin_folder / "postgres",
            "-D",
            self.folder / "data",
            "-p",
            str(self.port),
            "-c",
            "listen_addresses=127.0.0.1",
        ]
        command += ["-c", f"unix_socket_directories={self.folder}", "-c", "fsync=off"]
        ready: list[str | Path] = [
            bin_folder / "pg_isready",
            "-q",
            "-h",
            "127.0.0.1",
            "-p",
            str(self.port),
            "-U",
            "shop",
        ]
        deadline = time.monotonic() + 60
        with (self.folder / "log").open("ab") as log:
            while subprocess.run(ready, check=False).returncode:
                assert time.monotonic() < deadline, (self.folder / "log").read_text()
                if self.process is None or self.process.poll() is not None:  # connections of a killed one end first
                    self.process = subprocess.Popen(command, stdout=log, stderr=log, user=self.user)
                time.sleep(0.1)

    def kill(self) -> None:
        """End it at once, with all connections."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
        (self.folder / "data/postmaster.pid").unlink(missing_ok=True)


@contextlib.contextmanager
def postgres() -> Iterator[Postgres]:
    """A server for as long as the block lasts."""
    bin_folder = programs()
    assert bin_folder
    user = pwd.getpwnam("postgres").pw_uid if os.getuid() == 0 else None  # it does not run as root
    folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))
    if user is not None:
        os.chown(folder, user, -1)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    made: list[str | Path] = [
        bin_folder / "initdb",
        "-D",
        folder / "data",
        "-U",
        "shop",
        "-A",
        "trust",
        "-E",
        "UTF8",
        "--no-sync",
    ]
    subprocess.run(made, check=True, capture_output=True, user=user, cwd=folder)
    server = Postgres(folder, port, user)
    server.start()
    try:
        yield server
    finally:
        server.kill()
        shutil.rmtree(folder, ignore_errors=True)
