"""params.yaml as its author wrote it: the sections, and the line of each key.

Read whole before anything is believed: its encoding, its YAML, keys that stand twice. Each mistake is one InputError
with the line of the author's file and what to do.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from nightmarket.contracts import InputError

WIDE = (b"\xff\xfe", b"\xfe\xff")
"""How UTF-16 and UTF-32 begin."""
OPENED = {
    "while parsing a flow": "a [ or { that is never closed; close it",
    "while scanning a quoted scalar": "a quote that is never closed; close it, and write a quote inside text twice",
    "while scanning a double-quoted scalar": r"a \ in double quotes; write it twice, or use single quotes",
    "while scanning a simple key": "no colon; write key: value",
}
"""YAML's errors that come after what is wrong: there the line is that of the beginning, and these are the words."""
PROBLEMS = {
    r"character '\t'": "a tab; indent with spaces",
    "mapping values are not allowed": "a colon too many, or a line indented too far; put text with ': ' in quotes",
    "expected <block end>": "it is not indented like the lines above; line the keys of a section up",
    "that cannot start any token": "a value that begins with a sign; put it in quotes",
    "undefined alias": "a value that begins with *; put it in quotes",
    "but found another document": "a second document begins here; take the --- away",
    "could not determine a constructor": "a value that begins with !; put it in quotes",
}


@dataclass(frozen=True)
class ParamsFile:
    """The content of a params.yaml, and where each part of it stands.

    name     of the file, for messages
    content  section → key → value
    """

    name: str
    content: dict[Any, Any]
    _root: yaml.MappingNode

    @classmethod
    def read(cls, path: Path, expected: str = "sections; write section: and its keys below it") -> "ParamsFile":
        """Raises InputError, in one line, for a file that is missing, no UTF-8, no YAML, or names a key twice.

        expected  what its first level holds, and what to write
        """
        text = _text(path)
        try:
            root = _composed(text)
        except yaml.YAMLError as error:
            raise InputError(_syntax(path, text, error)) from None
        if root is None:
            raise InputError(f"{path.name} is empty; restore it from git")
        if not isinstance(root, yaml.MappingNode):
            raise InputError(f"{path.name}, line {_line(root)}: expected {expected}")
        _refuse_repeats(path, root)
        return cls(path.name, _constructed(path, root), root)

    def where(self, *parts: str | int) -> str:
        """`params.yaml, line 12`: the line of a key or of an item of a list, or of what holds it where it is not there.

        parts  of its path: section, key, …
        """
        line = self.line(*parts)
        return f"{self.name}, line {line}" if line else self.name

    def line(self, *parts: str | int) -> int | None:
        """The line alone; None where not even the section is there."""
        node: yaml.Node | None = self._root
        line = None
        for part in parts:
            line, node = _inner(node, part, line)
        return line


def _composed(text: str) -> yaml.Node | None:
    """By libyaml, which is ten times as fast; where it refuses, by Python, whose errors PROBLEMS and OPENED know."""
    with contextlib.suppress(yaml.YAMLError, AttributeError):  # a build without libyaml has no CSafeLoader
        return yaml.compose(text, Loader=yaml.CSafeLoader)
    return yaml.compose(text, Loader=yaml.SafeLoader)


def _text(path: Path) -> str:
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"{path} is missing; run from the folder that holds it, or restore it from git") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); restore it from git") from None
    if raw.startswith(WIDE):
        raise InputError(f"{path.name}, line 1: the file is UTF-16; save it as UTF-8")
    try:
        return raw.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise InputError(f"{path.name}, line {line}: a character that is not UTF-8; save the file as UTF-8") from None


def _syntax(path: Path, text: str, error: yaml.YAMLError) -> str:
    """The error in one line, at the line in which the mistake was made, not in which it was noticed."""
    if isinstance(error, yaml.reader.ReaderError):
        line = text.count("\n", 0, int(error.position)) + 1
        return f"{path.name}, line {line}: not valid YAML: a control character; delete it"
    assert isinstance(error, yaml.MarkedYAMLError)
    problem, context = str(error.problem), str(error.context)
    opened = next((words for begin, words in OPENED.items() if context.startswith(begin)), None)
    if opened and error.context_mark and "'\\t'" not in problem:
        return f"{path.name}, line {error.context_mark.line + 1}: not valid YAML: {opened}"
    if before := _odd_text(text, error):
        return f"{path.name}, line {before[0]}: not valid YAML: {before[1]}"
    words = next((words for part, words in PROBLEMS.items() if part in problem), problem)
    mark = error.problem_mark or error.context_mark
    return f"{path.name}{f', line {mark.line + 1}' if mark else ''}: not valid YAML: {words}"


def _odd_text(text: str, error: yaml.MarkedYAMLError) -> tuple[int, str] | None:
    """Line and words for a text just before the error that became one by mistake: a quote that was closed by an
    apostrophe lines below, or a key without its colon in place of the keys of its section."""
    tokens: list[yaml.Token] = []
    with contextlib.suppress(yaml.YAMLError):
        for token in yaml.scan(text, Loader=yaml.SafeLoader):
            if error.problem_mark and token.start_mark.index >= error.problem_mark.index:
                break
            tokens.append(token)
    before, last = ([None, None, *(token for token in tokens if not isinstance(token, yaml.KeyToken))])[-2:]
    if not isinstance(last, yaml.ScalarToken):
        return None
    line = int(last.start_mark.line) + 1
    if not last.plain and last.end_mark.line > last.start_mark.line:
        return line, "a quote that is never closed, or closed lines below; close it"
    if last.plain and isinstance(before, yaml.ValueToken) and last.start_mark.line > before.start_mark.line:
        return line, "no colon; write key: value"
    return None


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def _inner(node: yaml.Node | None, part: str | int, line: int | None) -> tuple[int | None, yaml.Node | None]:
    """The line and the value of a part of a node; the line of before where it is not there."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value == str(part):
                return _line(key), value
    elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        return _line(node.value[part]), node.value[part]
    return line, None


def _nodes(root: yaml.Node) -> Iterator[tuple[yaml.Node, str]]:
    """Every node with its dotted path, each once: YAML's aliases may lead in circles."""
    seen: set[int] = set()
    waiting: list[tuple[yaml.Node, str]] = [(root, "")]
    while waiting:
        node, path = waiting.pop(0)
        if id(node) in seen:
            continue
        seen.add(id(node))
        yield node, path
        if isinstance(node, yaml.MappingNode):
            named = [(value, str(key.value)) for key, value in node.value]
        else:
            named = [(item, str(at)) for at, item in enumerate(node.value)] if isinstance(node.value, list) else []
        waiting += [(inner, f"{path}.{name}" if path else name) for inner, name in named]


def _refuse_repeats(path: Path, root: yaml.MappingNode) -> None:
    """InputError for a key that stands twice in one mapping: YAML takes the last without a word."""
    for node, name in _nodes(root):
        first: dict[Any, int] = {}
        for key, _ in node.value if isinstance(node, yaml.MappingNode) else ():
            if not isinstance(key, yaml.ScalarNode):
                continue
            if key.value in first:
                what = f"{name}.{key.value}" if name else f"section {key.value}"
                raise InputError(
                    f"{path.name}, line {_line(key)}: {what} stands twice, first in line {first[key.value]}; keep one"
                )
            first[key.value] = _line(key)


def _constructed(path: Path, root: yaml.MappingNode) -> dict[Any, Any]:
    try:
        constructed = dict(yaml.SafeLoader("").construct_document(root))
        names = [key.value for key, _ in root.value]  # as they are written: YAML reads on and no as true and false
        return dict(zip(names, constructed.values(), strict=True)) if len(names) == len(constructed) else constructed
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # a date that no calendar has, a tag of a program's
        for node, name in _nodes(root):
            if isinstance(node, yaml.ScalarNode):
                try:
                    yaml.SafeLoader("").construct_document(node)
                except (yaml.YAMLError, ValueError):
                    problem = "a date that no calendar has" if node.tag.endswith(":timestamp") else "an unknown tag"
                    raise InputError(
                        f"{path.name}, line {_line(node)}: {name}: {problem}; write another value"
                    ) from None
        raise InputError(f"{path.name}: not valid YAML: {' '.join(str(error).split())}") from None
