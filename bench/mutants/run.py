"""Runs the tests of a module against each fault, two at a time.

Every fault runs in a process of its own, forked from one that has imported the heavy libraries and nothing of ours; the
faulty module is served from memory, so that no file is touched. Only tests that ran the fault's line are asked, the
quickest first; the first that fails ends it. A fault under which they hang is found as well.
"""

import contextlib
import gc
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType

from bench.mutants.faults import Fault

HEAVY = ("numpy", "pandas", "pyarrow.parquet", "scipy.stats", "scipy.sparse", "scipy.optimize", "scipy.special")
HEAVY += ("pytest", "coverage", "torch", "pydantic", "lightgbm", "sklearn.linear_model", "statsmodels.api")
PYTEST = ["-x", "-q", "-p", "no:cacheprovider", "--override-ini=addopts="]
PYTEST += ["-p", "no:unraisableexception", "-p", "no:threadexception", "--import-mode=importlib", "--tb=no"]
SET_UP = "set-up of "


@dataclass
class Asked:
    """What the tests of a module do without a fault: seconds of each, and which run which line of the module."""

    seconds: dict[str, float] = field(default_factory=dict)
    lines: dict[str, dict[str, list[str]]] = field(default_factory=dict)

    def about(self, fault: Fault) -> list[str]:
        """Tests that run the fault's line, the quickest first; all of them where the line runs at import."""
        ran = set(self.lines.get(fault.module, {}).get(str(fault.line), []))
        by_import = "" in ran or not ran
        files = {name.removeprefix(SET_UP) for name in ran if name.startswith(SET_UP)}
        chosen = [t for t in self.seconds if by_import or t in ran or t.split("::")[0] in files]
        return sorted(chosen, key=self.seconds.__getitem__)


class _Recorder:
    """A pytest plugin: whose turn it is, for coverage, and how long it took."""

    def __init__(self, coverage: object) -> None:
        self.coverage = coverage
        self.seconds: dict[str, float] = {}

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self.coverage.switch_context(SET_UP + nodeid.split("::")[0])  # type: ignore[attr-defined]

    def pytest_runtest_call(self, item: object) -> None:
        self.coverage.switch_context(item.nodeid)  # type: ignore[attr-defined]

    def pytest_runtest_logreport(self, report: object) -> None:
        self.seconds[report.nodeid] = self.seconds.get(report.nodeid, 0.0) + report.duration  # type: ignore[attr-defined]


def warm() -> None:
    """Import what most tests need, once, with one thread each: forks share it."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    for name in HEAVY:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    gc.collect()
    gc.freeze()


def without_fault(modules: Sequence[str], tests: Sequence[str]) -> Asked:
    """Run the tests once and keep which lines of the modules each of them runs. Raises where one fails."""
    import coverage
    import pytest

    with tempfile.TemporaryDirectory() as folder:
        kept = Path(folder) / "asked.json"

        def record() -> int:
            paths = {module: path_of(module).resolve() for module in modules}
            measured = coverage.Coverage(data_file=None, include=[str(p) for p in paths.values()], config_file=False)
            measured.start()
            recorder = _Recorder(measured)
            code = pytest.main([*PYTEST, *tests], plugins=[recorder])
            measured.stop()
            data = measured.get_data()
            lines = {name: data.contexts_by_lineno(str(path)) for name, path in paths.items()}
            kept.write_text(json.dumps({"seconds": recorder.seconds, "lines": lines}), encoding="utf-8")
            return int(code)

        [code] = side_by_side([record], [1800.0], at_once=1)
        if code != 0:
            raise SystemExit(f"the tests of {', '.join(modules)} fail without a fault: pytest {' '.join(tests)}")
        return Asked(**json.loads(kept.read_text(encoding="utf-8")))


def path_of(module: str) -> Path:
    """The source file of a module of ours."""
    stem = Path(*module.split("."))
    return stem.with_suffix(".py") if stem.with_suffix(".py").is_file() else stem / "__init__.py"


def under(fault: Fault, tests: Sequence[str]) -> Callable[[], int]:
    """A run of the tests with the fault in place; its status is pytest's."""

    def run() -> int:
        import pytest

        source = fault.put_into(path_of(fault.module).read_bytes())
        sys.meta_path.insert(0, _Faulty(fault.module, source))
        return int(pytest.main([*PYTEST, *tests]))

    return run


class _Faulty(importlib.abc.MetaPathFinder, importlib.machinery.SourceFileLoader):
    """Serves one module from memory."""

    def __init__(self, module: str, source: str) -> None:
        super().__init__(module, str(path_of(module).resolve()))
        self.source = source

    def find_spec(self, fullname: str, path: object, target: object = None) -> importlib.machinery.ModuleSpec | None:
        if fullname != self.name:
            return None
        locations = [str(Path(self.path).parent)] if self.path.endswith("__init__.py") else None
        return importlib.util.spec_from_file_location(
            fullname, self.path, loader=self, submodule_search_locations=locations
        )

    def get_code(self, fullname: str) -> CodeType:
        return compile(self.source, self.path, "exec", dont_inherit=True)


def side_by_side(
    jobs: Sequence[Callable[[], int]],
    limits: Sequence[float],
    at_once: int = 2,
    done: Callable[[int, int], None] | None = None,
) -> list[int]:
    """Run each job in a fork; its status in order, -1 for one that took longer than its limit in seconds."""
    status: dict[int, int] = {}
    running: dict[int, tuple[int, float]] = {}
    waiting = list(range(len(jobs)))[::-1]
    while waiting or running:
        while waiting and len(running) < at_once:
            number = waiting.pop()
            running[_fork(jobs[number])] = number, time.monotonic() + limits[number]
        for pid, (number, until) in list(running.items()):
            over, code = os.waitpid(pid, os.WNOHANG)
            if not over and time.monotonic() < until:
                continue
            if not over:
                os.killpg(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
            del running[pid]
            status[number] = os.waitstatus_to_exitcode(code) if over else -1
            if done:
                done(number, status[number])
        time.sleep(0.02)
    return [status[number] for number in range(len(jobs))]


def _fork(job: Callable[[], int]) -> int:
    pid = os.fork()
    if pid:
        return pid
    code = 99
    try:
        os.setsid()
        if not os.environ.get("MUTANTS_VERBOSE"):
            nothing = os.open(os.devnull, os.O_RDWR)
            for stream in (0, 1, 2):
                os.dup2(nothing, stream)
        code = job()
    except SystemExit:
        code = 2
    finally:
        os._exit(code)
