"""unavailable.yaml: which side stages failed in this run, and why. A parameter of theirs, so that DVC keeps the books.

A run names a stage there, and the stage's command then writes a marker in place of each of its outputs and does no
more. To DVC that is a stage with another parameter: the markers have their checksums in dvc.lock, the run's commit
holds the file and rebuilds the same, and neither dvc.lock nor the run-cache can pass a marker off as what the stage
makes of the same inputs. In the checkout every stage stands at null; so after an incomplete night `dvc status` names
the stages that are due, and the next night, or `dvc repro` by hand, tries them again.
"""

import html
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from nightmarket.contracts import InputError, Unavailable
from tasks.files import catalogue, storage

FILE = "unavailable.yaml"
INCOMPLETE = 3
"""Exit code of a flow that went on without a side stage."""
HEAD = """\
# Side stages that failed in a run, and why: {reason, attempts}. A run fills it in its own folder and commit, and every
# night tries all of them again. In the checkout it stays as it is: null for each.
"""
PAGE = """\
<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>nightmarket: tonight’s page could not be made</title></head>
<body>
<h1>Tonight’s page could not be made</h1>
<p>{lists}</p>
<ul>
{failures}
</ul>
<p>The log of the run says more, in the Prefect UI. The next night tries again; so does
<code>python -m flows nightly</code>.</p>
</body>
</html>
"""


def text(names: Iterable[str], entries: Mapping[str, Unavailable] | None = None) -> str:
    """The file, with a line for each stage of these names."""
    lines = []
    for name in names:
        what = (entries or {}).get(name)
        value = {"reason": what.reason, "attempts": what.attempts} if what else None
        said = yaml.safe_dump(value, default_flow_style=True, width=10_000, allow_unicode=True).removesuffix("...\n")
        lines.append(f"{name}: {said}")
    return HEAD + "".join(lines)


def read(root: Path = Path()) -> dict[str, Unavailable]:
    """What the file in the folder `root` says; nothing where there is no such file."""
    return _entries(_content(root / FILE))


def sentence(root: Path = Path()) -> str:
    """The file as one line for a record; "" where it names no stage."""
    return "; ".join(map(str, read(root).values()))[:900]


def recorded(root: Path) -> dict[str, Unavailable]:
    """What dvc.lock says: of the stages whose outputs are markers since the last run."""
    stages = _content(root / "dvc.lock").get("stages") or {}
    return _entries({name: ((entry.get("params") or {}).get(FILE) or {}).get(name) for name, entry in stages.items()})


def write(entries: Mapping[str, Unavailable], root: Path = Path()) -> None:
    """Write these into the file in the folder `root`, and null for every other stage of the file."""
    path = root / FILE
    if not path.exists():
        return  # a pipeline without a side stage
    content = text(_content(path), entries)
    if content != path.read_text(encoding="utf-8"):
        with storage.replacing(path) as draft:  # DVC may be reading it for another stage
            draft.write_text(content, encoding="utf-8")


def leave(what: Unavailable) -> None:
    """Put the marker in place of all that the stage writes, by dvc.yaml; a page for people in place of the page."""
    for path in _outputs(_content(Path("dvc.yaml"))["stages"][what.stage]):
        storage.write_unavailable(what, path)
        if path == catalogue.REPORT.path:
            with storage.replacing(catalogue.PAGE.path) as temporary:
                temporary.write_text(_page(what), encoding="utf-8")


def _outputs(stage: Mapping[str, Any]) -> list[Path]:
    """What a stage of dvc.yaml writes."""
    outs = [out for kind in ("outs", "metrics", "plots") for out in stage.get(kind, ())]
    return [Path(out if isinstance(out, str) else next(iter(out))) for out in outs]


def _page(what: Unavailable) -> str:
    """What stands in place of the morning page; it needs nothing that the page is made with."""
    stages = _content(Path("dvc.yaml"))["stages"].values()
    others = (storage.unavailable(path) for stage in stages for path in _outputs(stage))
    failures = dict.fromkeys(str(left) for left in (what, *others) if left)
    try:
        summary = catalogue.SCORE_SUMMARY.read()
        lists = f"The recommendations of {summary['as_of']} are out, from version {summary['champion']}: "
        lists += f"{summary['num_customers']:,} customers, {catalogue.RECOMMENDATIONS}."
    except (InputError, KeyError):
        lists = "What is delivered stands in artifacts/score."
    listed = "\n".join(f"<li>{html.escape(failure)}</li>" for failure in failures)
    return PAGE.format(lists=html.escape(lists), failures=listed)


def _content(path: Path) -> dict[str, Any]:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return (yaml.load(path.read_text(encoding="utf-8"), Loader=loader) if path.exists() else None) or {}


def _entries(content: Mapping[str, Any]) -> dict[str, Unavailable]:
    return {name: Unavailable(name, **value) for name, value in content.items() if value}
