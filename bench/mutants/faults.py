"""The faults: one operator, constant, comparison, term or argument of a module changed at a time.

Messages, docstrings, annotations, log lines, assertions and array types are left alone: a test that holds them claims
nothing about a figure.
"""

import ast
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv, ast.Pow: ast.Mult, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd,
}  # fmt: skip
COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.Gt), ast.LtE: (ast.Lt, ast.GtE), ast.Gt: (ast.GtE, ast.Lt), ast.GtE: (ast.Gt, ast.LtE),
    ast.Eq: (ast.NotEq,), ast.NotEq: (ast.Eq,), ast.In: (ast.NotIn,), ast.NotIn: (ast.In,),
    ast.Is: (ast.IsNot,), ast.IsNot: (ast.Is,),
}  # fmt: skip
NAMES = {
    "min": "max", "max": "min", "minimum": "maximum", "maximum": "minimum", "any": "all", "all": "any",
    "floor": "ceil", "ceil": "floor", "zeros": "ones", "ones": "zeros", "argmax": "argmin", "argmin": "argmax",
    "cumsum": "cumprod", "log1p": "log", "sqrt": "square", "sf": "cdf", "isf": "ppf", "sum": "mean", "mean": "sum",
}  # fmt: skip
KEPT_CALLS = {"isinstance", "cast", "TypeVar", "NewType", "lru_cache", "dataclass", "Field", "field", "astype", "zip"}
SYMMETRIC = {"min", "max", "minimum", "maximum", "allclose", "gcd", "isclose"}
KEPT_KEYWORDS = {"strict", "dtype", "maxsize", "frozen", "validate", "copy", "errstate", "encoding"}


@dataclass(frozen=True)
class Fault:
    """A stretch of a module's source, and what stands there instead."""

    module: str
    function: str
    line: int
    start: int
    end: int
    before: str
    after: str

    @property
    def name(self) -> str:
        """What and where, without line numbers, so that it means the same when the module grows."""
        return f"{self.function}: {self.before} -> {self.after}"

    def rank(self, seed: int) -> str:
        """Its place in the sample: a change elsewhere in the module leaves the others' places as they are."""
        return hashlib.sha256(f"{seed} {self.module} {self.name} {self.start}".encode()).hexdigest()

    def put_into(self, source: bytes) -> str:
        """The module's source with the fault."""
        return (source[: self.start] + self.after.encode() + source[self.end :]).decode()


def faults(module: str, source: bytes) -> list[Fault]:
    """Every fault that can be put into a module."""
    starts = [0]
    for line in source.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    made = []
    for function, node, new in _Walk().run(ast.parse(source)):
        start = starts[node.lineno - 1] + node.col_offset
        end = starts[node.end_lineno - 1] + node.end_col_offset
        before, after = " ".join(source[start:end].decode().split()), ast.unparse(new)
        if isinstance(node, ast.expr) and not isinstance(new, ast.Constant | ast.Name | ast.Call):
            after = f"({after})"
        made.append(Fault(module, function, node.lineno, start, end, before, after))
    return made


class _Walk:
    """Walks the tree with the name of the function at hand; yields (function, node, what stands there instead)."""

    def __init__(self) -> None:
        self.place: list[str] = []

    def run(self, node: ast.AST) -> Iterator[tuple[str, ast.AST, ast.AST]]:
        if isinstance(node, ast.Assert | ast.Raise | ast.JoinedStr | ast.Import | ast.ImportFrom) or _is_log(node):
            return
        named = isinstance(node, ast.FunctionDef | ast.ClassDef)
        if named:
            self.place.append(node.name)
        for old, new in _instead(node):
            if self.place or not _is_union(old):
                yield ".".join(self.place) or "module", old, new
        for child in _children(node):
            yield from self.run(child)
        if named:
            self.place.pop()


def _children(node: ast.AST) -> Iterator[ast.AST]:
    """What may hold a fault below a node: no decorators, annotations or arguments that only say a type."""
    for name, value in ast.iter_fields(node):
        if name in ("decorator_list", "annotation", "returns", "type_params", "bases", "ctx"):
            continue
        if isinstance(node, ast.Call) and name == "args" and _called(node) in KEPT_CALLS:
            continue
        if isinstance(node, ast.AnnAssign) and name == "target":
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.keyword) and (child.arg in KEPT_KEYWORDS or _called(node) in KEPT_CALLS):
                continue
            if isinstance(child, ast.AST):
                yield child


def _instead(node: ast.AST) -> Iterator[tuple[ast.AST, ast.AST]]:
    """(part, what stands there instead) for the faults of a node itself."""
    if isinstance(node, ast.BinOp) and not _is_text(node):
        if type(node.op) in OPERATORS:
            yield node, ast.BinOp(node.left, OPERATORS[type(node.op)](), node.right)
        if isinstance(node.op, ast.Add | ast.Sub | ast.Mult | ast.Div):
            yield node, node.left
    elif isinstance(node, ast.AugAssign) and type(node.op) in OPERATORS:
        yield node, ast.AugAssign(node.target, OPERATORS[type(node.op)](), node.value)
    elif isinstance(node, ast.Compare) and len(node.ops) == 1:
        for op in COMPARISONS[type(node.ops[0])]:
            yield node, ast.Compare(node.left, [op()], node.comparators)
    elif isinstance(node, ast.BoolOp):
        yield node, ast.BoolOp(ast.Or() if isinstance(node.op, ast.And) else ast.And(), node.values)
    elif isinstance(node, ast.UnaryOp) and not isinstance(node.op, ast.Not):
        yield node, node.operand
    elif isinstance(node, ast.Constant) and isinstance(node.value, bool | int | float):
        yield node, ast.Constant(_other(node.value))
    elif isinstance(node, ast.Call):
        yield from ((node, other) for other in _other_calls(node))
    elif isinstance(node, ast.comprehension):
        yield from ((condition, ast.Constant(True)) for condition in node.ifs)
    elif isinstance(node, ast.If | ast.While | ast.IfExp) and not isinstance(node.test, ast.Compare):
        yield node.test, ast.UnaryOp(ast.Not(), node.test)


def _other(value: float) -> float:
    if isinstance(value, bool):
        return not value
    return value + 1 if isinstance(value, int) else value * 1.25 or 0.25


def _other_calls(node: ast.Call) -> Iterator[ast.AST]:
    """Arguments in the wrong order, and the function's opposite."""
    called = _called(node)
    ordered = len(node.args) >= 2 and called not in KEPT_CALLS | SYMMETRIC
    ordered = ordered and ast.dump(node.args[0]) != ast.dump(node.args[1])
    if ordered and not any(isinstance(argument, ast.Starred) for argument in node.args[:2]):
        yield ast.Call(node.func, [node.args[1], node.args[0], *node.args[2:]], node.keywords)
    if called in NAMES and isinstance(node.func, ast.Attribute):
        yield ast.Call(ast.Attribute(node.func.value, NAMES[called], ast.Load()), node.args, node.keywords)
    elif called in NAMES and called in ("min", "max", "any", "all"):
        yield ast.Call(ast.Name(NAMES[called], ast.Load()), node.args, node.keywords)


def _called(node: ast.AST) -> str:
    if not isinstance(node, ast.Call):
        return ""
    return getattr(node.func, "attr", getattr(node.func, "id", ""))


def _is_log(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Call)
        and isinstance(node.value.func, ast.Attribute)
        and isinstance(node.value.func.value, ast.Name)
        and node.value.func.value.id == "log"
    )


def _is_union(node: ast.AST) -> bool:
    return isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr)


def _is_text(node: ast.BinOp) -> bool:
    return any(
        isinstance(n, ast.JoinedStr) or (isinstance(n, ast.Constant) and isinstance(n.value, str))
        for n in (node.left, node.right)
    )
