"""Installs everything pinned in constraints.txt into the environment that runs it, with a fast installer where it can.

uv does it in a fraction of pip's time, but reads none of pip's configuration: this asks pip for it and hands it over.
Where uv cannot be had, or cannot do it, pip does it. INSTALLER=pip leaves uv out.
"""

import ast
import compileall
import os
import re
import subprocess
import sys
import sysconfig
from collections.abc import Callable

WANTED = ["-c", "constraints.txt", "-e", ".[dev]"]
PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input"]
NAMES = {
    "cert": "SSL_CERT_FILE",
    "constraint": "UV_CONSTRAINT",
    "extra_index_url": "UV_EXTRA_INDEX_URL",
    "find_links": "UV_FIND_LINKS",
    "index_url": "UV_DEFAULT_INDEX",
    "no_index": "UV_NO_INDEX",
    "proxy": "ALL_PROXY",
    "timeout": "UV_HTTP_TIMEOUT",
    "trusted_host": "UV_INSECURE_HOST",
}
"""pip's settings that say where packages come from -> uv's variables for the same."""
EVERY_STEP = 20
NOT_IMPORTED = ("/tests/", "/test/", "/transformers/models/", "/pip/", "/mypy/", "/sphinx/", "/sympy/", "/statsmodels/")
NOT_IMPORTED += (
    "/torch/_inductor/",
    "/torch/testing/",
    "/torch/onnx/",
    "/numba/",
    "/celery/",
    "/kombu/",
    "/fontTools/",
)
"""Parts of paths of which a night imports next to nothing."""


def settings() -> dict[str, str]:
    """pip's configuration, from its files and the environment, as uv's variables; the environment has the last word."""
    said = subprocess.run([*PIP, "config", "list"], capture_output=True, text=True, check=True).stdout
    variables: dict[str, str] = {}
    for line in sorted(said.splitlines(), key=lambda line: line.startswith(":env:")):
        name, _, value = line.partition("=")
        variable = NAMES.get(name.split(".", 1)[-1].removeprefix("default-").replace("-", "_"))
        if name.startswith(("global.", "install.", ":env:")) and variable and value:
            text = str(ast.literal_eval(value))
            variables[variable] = ",".join(text.split()) if variable == "UV_FIND_LINKS" else " ".join(text.split())
    return variables


def with_uv() -> bool:
    """Whether uv installed it."""
    # what is asked of uv is what pip does: the best version of all indexes, not the first index that has the name
    environment = {"UV_INDEX_STRATEGY": "unsafe-best-match", **settings(), **os.environ}
    limits = [part for path in environment.pop("UV_CONSTRAINT", "").split() for part in ("-c", path)]
    got = subprocess.run([*PIP, "install", "-q", "-c", "constraints.txt", "uv"], stderr=subprocess.DEVNULL)
    command = [sys.executable, "-m", "uv", "pip", "install", "--python", sys.executable, *limits, *WANTED]
    if got.returncode or not told(command, environment, lambda line: "" if line.startswith(" + ") else line):
        return False
    compile_imported()
    return True


def compile_imported() -> None:
    """Compile what processes import; where Python may not write, each of them would compile it again.

    What is left out takes half of the time, and what is imported of it all the same is compiled then.
    """
    print("  compiling", flush=True)
    compileall.compile_dir(
        sysconfig.get_path("purelib"), workers=0, quiet=2, rx=re.compile("|".join(map(re.escape, NOT_IMPORTED)))
    )


def with_pip() -> bool:
    """Whether pip installed it."""
    found = 0

    def progress(line: str) -> str:
        nonlocal found
        found += line.startswith("Collecting")
        if line.startswith("Installing collected"):
            return f"installing {found}"
        every = line.startswith("Collecting") and found % EVERY_STEP == 0
        return f"{found} packages found" if every else line if line.startswith("ERROR") else ""

    return told([*PIP, "install", *WANTED], dict(os.environ), progress)


def told(command: list[str], environment: dict[str, str], words: Callable[[str], str]) -> bool:
    """Run a command and say what `words` makes of its lines; whether it ended well."""
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as running:
        for line in running.stdout or ():
            if said := words(line.rstrip()):
                print(f"  {said}", flush=True)
    return running.returncode == 0


def main() -> int:
    """Install; the exit status."""
    if os.environ.get("INSTALLER", "uv") == "uv":
        if with_uv():
            return 0
        print("uv could not; going on with pip", flush=True)
    return int(not with_pip())


if __name__ == "__main__":
    sys.exit(main())
