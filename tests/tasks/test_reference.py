from pathlib import Path

from nightmarket.contracts import TABLES
from tasks.pipeline.reference import contract, updated
from tasks.snapshot import Settings as SnapshotSettings
from tasks.validate import Settings as ValidateSettings

DOCUMENT = Path(__file__).parents[2] / "docs" / "bring-your-tables.md"


def test_the_documented_contract_is_the_one_in_the_code():
    text = DOCUMENT.read_text(encoding="utf-8")
    assert updated(text) == text, "run `python -m tasks.pipeline.reference --write`"


def test_every_column_of_every_table_is_explained():
    lines = contract().splitlines()
    for table in TABLES:
        assert f"### {table.name}" in lines
        for column in table.columns:
            assert any(line.startswith(f"| `{column.name}` |") and column.meaning in line for line in lines)


def test_every_parameter_says_what_it_does():
    for model in (SnapshotSettings, ValidateSettings):
        for name, field in model.model_fields.items():
            assert field.description, name
