import importlib
import os
from pathlib import Path

import pytest

from docs.generate import METRICS, contract, main, pages
from nightmarket.contracts.tables import TABLES
from tasks.pipeline.settings import OF_NO_STAGE, STAGES, STEPS, settings_model

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _in_the_checkout(monkeypatch):
    monkeypatch.chdir(ROOT)


def test_the_pages_that_the_code_writes_are_up_to_date(capsys):
    assert main(write=False) == 0, capsys.readouterr().err


def test_a_page_that_is_out_of_date_costs_one_line_that_says_what_to_run(tmp_path, monkeypatch, capsys):
    made = pages()
    for name in ("Makefile", "dvc.yaml", "flows", "tasks", "apps", "bench"):
        os.symlink(ROOT / name, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    Path("docs/reference").mkdir(parents=True)
    assert main(write=True) == 0
    assert main(write=False) == 0
    (Path("docs/reference") / "tables.md").write_text(made["tables.md"].replace("customers", "clients"))
    assert main(write=False) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line == "docs/reference/tables.md is out of date; run python -m docs.generate --write"


def test_every_column_of_every_table_is_explained():
    lines = contract().splitlines()
    for table in TABLES:
        assert f"## {table.name}" in lines
        for column in table.columns:
            assert any(line.startswith(f"| `{column.name}` |") and column.meaning in line for line in lines)


def test_every_parameter_says_what_it_does():
    for section in (*OF_NO_STAGE, *STAGES, *STEPS):
        for name, field in settings_model(section).model_fields.items():
            assert field.description, f"{section}.{name}"


def test_every_metric_names_code_that_exists():
    for name, *_, where in METRICS:
        module, _, function = where.rpartition(".")
        assert hasattr(importlib.import_module(module), function) or importlib.import_module(where), name
