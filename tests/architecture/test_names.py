"""Names are the field's, one class name means one thing, and size follows the idea."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("nightmarket", "tasks", "flows", "apps")
MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
LONGEST_MODULE, LONGEST_FUNCTION = 500, 50
MOST_STAGES_AND_STEPS = 30
EVERYWHERE = {"Settings"}
"""Class names that every stage has."""
OLD = {
    "crowd": "collaborative",
    "peers": "baselines",
    "evidence": "point-in-time statistics",
    "scene": "candidate set",
    "told": "explanation",
    "lot": "randomized",
    "lane": "executor",
    "lanes": "executors",
    "gathered": "all-gather",
    "smaller": "compression",
    "finding": "search",
    "head": "scorer",
    "heads": "scorers",
    "voice": "reviews",
    "judge": "evaluator",
    "mend": "fix",
}
"""Words that no module, class or function bears any more, and what the field says instead."""
STANDARD = {"LanguageModelHead", "_by_head"}
"""Where a head is what the field calls one: of a language model, of attention."""
SAYS_NOTHING = {"found", "one"}
"""What no local, loop variable or parameter is called: a name says what it holds."""
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def trees(paths: Iterable[Path]) -> dict[str, ast.Module]:
    """{module: its syntax}"""
    return {path.relative_to(ROOT).as_posix(): ast.parse(path.read_text(encoding="utf-8")) for path in paths}


TREES = trees(MODULES)


def words(name: str) -> set[str]:
    """`HeadConfig` → {head, config}; `by_lot` → {by, lot}."""
    return set(re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower().split("_"))


def defined(*kinds: type) -> list[tuple[str, ast.AST]]:
    """(module, definition) of every definition of these kinds."""
    return [(name, node) for name, tree in TREES.items() for node in ast.walk(tree) if isinstance(node, kinds)]


def test_no_module_class_or_function_bears_an_old_name():
    names = [(name, part) for name in TREES for part in Path(name).with_suffix("").parts]
    names += [(name, node.name) for name, node in defined(ast.ClassDef, *FUNCTIONS) if node.name not in STANDARD]
    left = {f"{place}: {name} → {OLD[old]}" for place, name in names for old in words(name) & OLD.keys()}
    assert not left


def bound(tree: ast.AST) -> list[tuple[int, str | None]]:
    """(line, name) of every parameter and of whatever else is given a value, but for fields of classes."""
    nodes = list(ast.walk(tree))
    classes = [node for node in nodes if isinstance(node, ast.ClassDef)]
    fields = {id(field.target) for owner in classes for field in owner.body if isinstance(field, ast.AnnAssign)}
    names = []
    for node in nodes:
        match node:
            case ast.Name(ctx=ast.Store()) if id(node) not in fields:
                names.append((node.lineno, node.id))
            case ast.arg():
                names.append((node.lineno, node.arg))
            case ast.MatchAs() | ast.MatchStar() | ast.ExceptHandler():
                names.append((node.lineno, node.name))
    return names


@pytest.mark.parametrize(
    ("code", "lines"),
    [
        ("one = 1", [1]),
        ("for one in rows:\n    found: int = one", [1, 2]),
        ("if found := find():\n    pass", [1]),
        ("def of(one, *, found=0):\n    pass", [1, 1]),
        ("[one for one in rows]\nlambda found: 0", [1, 2]),
        ("try:\n    pass\nexcept OSError as found:\n    pass", [3]),
        ("match row:\n    case [one, *found]:\n        pass", [2, 2]),
        ("class Row:\n    one: int\nrow.one = f(found=2)\nprint(one.found)", []),
    ],
)
def test_every_kind_of_local_is_seen_and_no_field_or_keyword(code, lines):
    assert [line for line, name in sorted(bound(ast.parse(code))) if name in SAYS_NOTHING] == lines


def test_every_local_says_what_it_holds():
    paths = (path for folder in ("tests", "bench", "docs") for path in (ROOT / folder).rglob("*.py"))
    # bench/libraries has an environment of its own
    code = TREES | trees(path for path in paths if ".venv" not in path.parts)
    places = [(module, *place) for module, tree in code.items() for place in bound(tree)]
    assert not [f"{module}:{line}: {name}" for module, line, name in places if name in SAYS_NOTHING]


def test_one_class_name_means_one_thing():
    places = defaultdict(list)
    for name, node in defined(ast.ClassDef):
        places[node.name].append(f"{name}:{node.lineno}")
    twice = {name: where for name, where in places.items() if len(where) > 1 and name not in EVERYWHERE}
    assert not twice


def test_no_module_is_longer_than_500_lines_and_no_function_longer_than_50():
    lengths = {
        path.relative_to(ROOT).as_posix(): len(path.read_text(encoding="utf-8").splitlines()) for path in MODULES
    }
    assert not {name: num for name, num in lengths.items() if num > LONGEST_MODULE}
    functions = {f"{name}: {node.name}": node.end_lineno - node.lineno + 1 for name, node in defined(*FUNCTIONS)}
    assert not {name: num for name, num in functions.items() if num > LONGEST_FUNCTION}


def test_only_stages_and_steps_stand_at_the_top_of_tasks_and_every_module_of_the_engine_in_a_room():
    top = [path.stem for path in (ROOT / "tasks").glob("*.py") if not path.stem.startswith("__")]
    assert len(top) <= MOST_STAGES_AND_STEPS
    assert not [path.stem for path in (ROOT / "flows" / "engine").glob("*.py") if path.stem != "__init__"]
