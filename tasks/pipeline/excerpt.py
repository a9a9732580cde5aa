"""A class or function of ours without the rest of its module: a stage's settings in milliseconds, not its imports.

What a name refers to is run with it, down to the imports that it needs; the rest of the module is not. A module that
is imported already is asked itself.
"""

import ast
import builtins
import importlib
import sys
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PACKAGES = ("tasks", "nightmarket")


def excerpt(module: str, name: str) -> Any:
    """What `from module import name` gives; AttributeError where no plain statement of the module's top binds it."""
    if module in sys.modules or _file(module) is None:
        return getattr(importlib.import_module(module), name)
    return _source(module).value(name)


def _file(module: str) -> Path | None:
    """The source of a module of ours; None for other people's."""
    if module.partition(".")[0] not in PACKAGES:
        return None
    stem = ROOT.joinpath(*module.split("."))
    return next((path for path in (stem.with_suffix(".py"), stem / "__init__.py") if path.is_file()), None)


@cache
def _source(module: str) -> "ModuleSource":
    path = _file(module)
    assert path is not None  # by its caller
    return ModuleSource(module, path)


class ModuleSource:
    """The top-level statements of a module, run one by one as somebody asks for what they bind."""

    def __init__(self, module: str, path: Path) -> None:
        self._module, self._path = module, str(path)
        self._binding: dict[str, list[ast.stmt]] = {}
        for statement in ast.parse(path.read_text(encoding="utf-8")).body:
            for name in _bound(statement):
                self._binding.setdefault(name, []).append(statement)
        self._begun: set[str] = set()
        self._values: dict[str, Any] = {"__name__": module, "__file__": self._path, "__builtins__": builtins}

    def value(self, name: str) -> Any:
        """What the name is bound to, when its statements and all that they refer to have run."""
        self._bind(name)
        if name not in self._values:
            raise AttributeError(f"module '{self._module}' has no '{name}'")
        return self._values[name]

    def _bind(self, name: str) -> None:
        if name in self._begun:  # functions may call each other
            return
        self._begun.add(name)
        for statement in self._binding.get(name, ()):
            if isinstance(statement, ast.ImportFrom):
                alias = next(alias for alias in statement.names if (alias.asname or alias.name) == name)
                self._values[name] = _imported(str(statement.module), alias.name)
                continue
            for node in ast.walk(statement):
                if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
                    self._bind(node.id)
            exec(compile(ast.Module([statement], []), self._path, "exec"), self._values)


class ModuleExcerpt:
    """Stands for a module of ours that was imported whole: its attributes are excerpts."""

    def __init__(self, module: str) -> None:
        self._module = module

    def __getattr__(self, name: str) -> Any:
        return excerpt(self._module, name)


def _imported(package: str, name: str) -> Any:
    whole = f"{package}.{name}"
    if whole in sys.modules:
        return sys.modules[whole]
    return ModuleExcerpt(whole) if _file(whole) else excerpt(package, name)


def _bound(statement: ast.stmt) -> Iterable[str]:
    match statement:
        case ast.Import(names=names) | ast.ImportFrom(names=names):
            return [(alias.asname or alias.name).partition(".")[0] for alias in names]
        case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
            return [name]
        case ast.Assign(targets=targets):
            return [node.id for target in targets for node in ast.walk(target) if isinstance(node, ast.Name)]
        case ast.AnnAssign(target=ast.Name(id=name)):
            return [name]
    return []
