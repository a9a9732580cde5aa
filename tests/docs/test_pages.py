"""The pages: links, code that they name, and what the first page promises."""

import ast
import importlib
import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")])
GENERATED = ("parameters.md", "tables.md", "stages.md", "commands.md", "metrics.md")


def names(pages):
    return [str(page.relative_to(ROOT)) for page in pages]


def fences(text, language):
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


@pytest.mark.slow
def test_the_documentation_builds_without_a_warning_and_asks_nobody_for_anything(tmp_path):
    command = [sys.executable, "-m", "sphinx", "-W", "-n", "--keep-going", "-q", "-b", "html", "docs", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    for page in tmp_path.rglob("*.html"):
        fetched = re.findall(r'<(?:script|img|link|iframe)[^>]*(?:src|href)="(https?:[^"]*)"', page.read_text())
        assert not fetched, page


@pytest.mark.parametrize("page", PAGES, ids=names(PAGES))
def test_every_relative_link_leads_to_a_file(page):
    for target in re.findall(r"\]\((?!https?:|#|mailto:)([^)\s#]+)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=names(PAGES))
def test_code_and_modules_that_a_page_names_exist(page):
    text = page.read_text(encoding="utf-8")
    for module in re.findall(r"python -m ((?:nightmarket|tasks|flows|bench)(?:\.\w+)*)", text):
        assert importlib.util.find_spec(module), module
    for path in re.findall(r"`((?:nightmarket|tasks|flows|bench|tests|docs)/[a-z_/-]+\.[a-z]+)", text):
        assert (ROOT / path).exists(), path
    for flow in re.findall(r"python -m flows ([a-z]+)", text):
        assert importlib.import_module("flows.engine.forms.terminal").FLOWS.count(flow), flow
    for stage in re.findall(r"python -m tasks ([a-z]+)", text):
        assert importlib.util.find_spec(f"tasks.{stage}"), stage
    for block in fences(text, "python"):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom) and node.module.split(".")[0] in ("nightmarket", "tasks"):
                imported = importlib.import_module(node.module)
                for name in node.names:
                    known = hasattr(imported, name.name) or importlib.util.find_spec(f"{node.module}.{name.name}")
                    assert known, f"{node.module}.{name.name}"


def test_the_first_page_is_read_in_a_minute():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(text.split()) <= 700
    assert "make nightly" in text
    assert "make test" in text
    said = "**Prefect decides *when*, DVC decides *whether*, `tasks/` says *how files become files*, "
    assert said + "`nightmarket/` says *what is true*.**" in text


def test_the_first_page_and_the_page_of_figures_state_the_same():
    figures = (ROOT / "docs/reference/figures.md").read_text(encoding="utf-8")
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    stated = set(re.findall(r"\.\d{4}(?: \[\.\d{4}, \.\d{4}\])?", readme))
    assert len(stated) == 12
    assert not [figure for figure in stated if figure not in figures]


def test_every_page_stands_in_the_contents_of_its_kind():
    for page in (ROOT / "docs").rglob("*.md"):
        if page.name != "index.md":
            index = (page.parent / "index.md").read_text(encoding="utf-8")
            assert f"({page.name})" in index, page
            assert f"\n{page.stem}\n" in index, page
