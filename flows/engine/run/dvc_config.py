"""DVC's own settings of one worktree, written so that a folder's name in any language can stand in them.

DVC reads them as UTF-8 and writes them as ASCII, so a path with other letters ends in an error; and what its format
cannot quote (both kinds of quotes in one name) ends so too. Here they are written as UTF-8, and a path as what leads
from the settings to it, which leaves out the folders above both.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def read(root: Path) -> dict[str, Any]:
    """All levels joined, relative paths made whole."""
    from dvc.config import Config

    return dict(Config(str(root / ".dvc"), validate=False))


@contextlib.contextmanager
def local(root: Path) -> Iterator[dict[str, Any]]:
    """The settings of this folder alone, to be changed in place; written when the block ends well."""
    from configobj import ConfigObj
    from dvc.config import Config, _pack_named

    class UnicodeConfig(Config):  # type: ignore[misc, unused-ignore]
        def _save_config(self, level: str, conf_dict: dict[str, Any]) -> None:
            with open(self.files[level], "wb") as file:
                ConfigObj(_pack_named(conf_dict), encoding="utf-8").write(file)

    with UnicodeConfig(str(root / ".dvc"), validate=False).edit("local") as content:
        yield content


def relative(path: Path) -> Any:
    """A folder as the settings keep it: by the way from them to it."""
    from dvc.config_schema import RelPath

    return RelPath(str(path))
