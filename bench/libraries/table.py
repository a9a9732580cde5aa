"""results.json as Markdown, put between two marks of docs/explanation/libraries.md."""

from pathlib import Path
from typing import Any

from bench.libraries.shop import TASKS

BEGIN, END = "<!-- begin: python -m bench.libraries table -->", "<!-- end -->"
OURS = "nightmarket"
BASELINES = ("popularity", "recency_frequency", "tifu_knn", "ease", "affinity")
"""Part of every night: their figures stand in docs/explanation/quality.md, once."""


def number(value: float) -> str:
    """.4155"""
    return f"{value:.4f}".removeprefix("0").replace("-0.", "-.")


def signed(value: float) -> str:
    """+.0153, −.0003"""
    return ("−" if value < 0 else "+") + number(abs(value))


def interval(figure: dict[str, float]) -> str:
    """.4155 [.4030, .4280]"""
    return f"{number(figure['value'])} [{number(figure['low'])}, {number(figure['high'])}]"


def difference(figure: dict[str, float]) -> str:
    """+.0153 [+.0112, +.0195]"""
    return f"{signed(figure['value'])} [{signed(figure['low'])}, {signed(figure['high'])}]"


def quality(content: dict[str, Any], task: str) -> str:
    """One task: a row per peer, best first on the first window; a column per window, * marks the tuning window."""
    ends = [end for end in content["windows"] if _any(content, end, task)]
    mark = content["search"]["window"]
    heads = [f"weeks {content['windows'][end]['weeks']}" + ("*" if end == mark else "") for end in ends]
    rows = [f"| {task} | " + " | ".join(heads) + " |", "|---|" + "---|" * len(ends)]
    if any(task in content["ours"].get(end, {}) for end in ends):
        cells = [interval(content["ours"][end][task]) if task in content["ours"].get(end, {}) else "–" for end in ends]
        rows.append(f"| **{OURS}** | " + " | ".join(cells) + " |")
    names = [
        name
        for name, library in content["peers"].items()
        if name not in BASELINES and any(task in of_window for of_window in library["windows"].values())
    ]
    for name in sorted(names, key=lambda name: -_value(content, name, ends, task)):
        cells = [_cell(content, name, end, task) for end in ends]
        rows.append(f"| {content['peers'][name]['title']} | " + " | ".join(cells) + " |")
    return "\n".join(rows)


def _any(content: dict[str, Any], end: str, task: str) -> bool:
    return any(task in library["windows"].get(end, {}) for library in content["peers"].values())


def _value(content: dict[str, Any], name: str, ends: list[str], task: str) -> float:
    windows = content["peers"][name]["windows"]
    return next((windows[end][task]["ndcg@10"]["value"] for end in ends if task in windows.get(end, {})), -1.0)


def _cell(content: dict[str, Any], name: str, end: str, task: str) -> str:
    figures = content["peers"][name]["windows"].get(end, {}).get(task)
    if figures is None:
        return "–"
    cell = interval(figures["ndcg@10"])
    if figures["seed_deviation"] is not None:
        cell += f" ± {number(figures['seed_deviation'])} ({len(figures['seeds'])} seeds)"
    paired = content["paired"].get(end, {}).get(task, {}).get(name)
    return cell + (f"<br>{difference(paired)}" if paired else "")


def costs(content: dict[str, Any]) -> str:
    """What each peer costs on the first window, for the settings chosen for its first task."""
    rows = ["| model | fit, CPU s | recommend, CPU s | peak MiB | settings tried | search, CPU s | library |"]
    rows.append("|---|---|---|---|---|---|---|")
    first = next(iter(content["windows"]), "")
    for library in content["peers"].values():
        of_window = library["windows"].get(first, {})
        task = next((task for task in TASKS if task in of_window), None)
        if task is None:
            continue
        cost = of_window[task]["cost"]
        versions = ", ".join(f"{name} {version}" for name, version in library["versions"].items()) or "ours"
        cells = [f"{cost[f'{what}_cpu_seconds']}" for what in ("fit", "recommend")]
        cells += [f"{cost['peak_mib']:,}", str(len(library["tried"])), str(library["tuning_cpu_seconds"]), versions]
        rows.append(f"| {library['title']} | " + " | ".join(cells) + " |")
    return "\n".join(rows)


def settings(content: dict[str, Any]) -> str:
    """What the search chose, per task."""
    rows = ["| model | task | chosen on the tuning window |", "|---|---|---|"]
    for library in content["peers"].values():
        chosen = {
            task: ", ".join(f"{k} {v}" for k, v in of_task.items()) or "–"
            for task, of_task in library["chosen"].items()
        }
        if len(set(chosen.values())) == 1:
            rows.append(f"| {library['title']} | {', '.join(chosen)} | {next(iter(chosen.values()))} |")
        else:
            rows += [f"| {library['title']} | {task} | {said} |" for task, said in chosen.items()]
    return "\n".join(rows)


def markdown(content: dict[str, Any]) -> str:
    """Everything between the marks."""
    machine = content["machine"]
    made = (
        f"Machine: {machine.get('cores')} cores ({machine.get('cpu')}), each fit on one thread, "
        f"Python {machine.get('python')}. The searches' seed is {content['search']['seed']}."
    )
    parts = [made, *(quality(content, task) for task in TASKS), costs(content), settings(content)]
    return "\n\n".join(parts)


def place(page: Path, text: str) -> None:
    """Put the text between the marks of a page. Raises ValueError when a mark is missing."""
    old = page.read_text(encoding="utf-8")
    head, begin, rest = old.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{page} lacks the marks {BEGIN} and {END}")
    page.write_text(f"{head}{begin}\n\n{text}\n\n{end}{tail}", encoding="utf-8")
