"""The catalogue of artifacts: what a night leaves lies where it says, with the columns that it says."""

import pandas as pd
import pyarrow as pa
import pytest

from nightmarket.contracts import InputError
from tasks.files import catalogue
from tasks.files.catalogue import Artifact, Json, TableFile
from tasks.pipeline import generate
from tasks.pipeline.settings import STAGES

ALL = {name: value for name, value in vars(catalogue).items() if isinstance(value, Artifact)}


def test_no_two_names_stand_for_one_path():
    assert len({str(artifact) for artifact in ALL.values()}) == len(ALL)


def test_what_a_stage_declares_stands_in_the_catalogue():
    known = set(map(str, ALL.values()))
    for name in STAGES:
        declared = generate.stage(name)
        outs = (*declared.writes, *declared.metrics, *(plot.artifact for plot in declared.plots))
        assert outs, name
        assert {str(artifact) for artifact in (*declared.reads, *outs)} <= known
        assert all(str(artifact).startswith(f"artifacts/{name}") for artifact in outs)


def test_what_a_night_leaves_has_the_columns_of_the_catalogue(whole_night):
    there = {name: artifact.at(whole_night) for name, artifact in ALL.items() if artifact.at(whole_night).exists()}
    tables = {
        name: artifact for name, artifact in there.items() if isinstance(artifact, TableFile) and artifact.columns
    }
    assert {"TEXTS", "PROMOTIONS", "SEGMENTS", "BASKET_TOPICS", "RESPONSE_PREDICTIONS"} <= set(tables)
    for name, table in tables.items():
        assert table.read().schema.equals(table.schema), name
    read = {name: artifact.read() for name, artifact in there.items() if isinstance(artifact, Json)}
    assert read["WINDOWS"]["test"]
    assert read["METRICS"]["all"]


def test_a_table_takes_rows_columns_and_frames_and_refuses_other_columns(tmp_path):
    table = TableFile(tmp_path / "t.parquet", "customer int32, day date, share float64")
    table.write([{"customer": 1, "day": None, "share": 0.5}])
    assert table.read().schema == pa.schema([("customer", pa.int32()), ("day", pa.date32()), ("share", pa.float64())])
    table.write({"customer": [1, 2], "day": [None, None], "share": [0.5, 1.0]})
    assert table.read(["share"])["share"].to_pylist() == [0.5, 1.0]
    table.write(pd.DataFrame({"share": [0.25], "customer": [3], "day": [None], "unused": ["x"]}))
    assert table.read().to_pylist() == [{"customer": 3, "day": None, "share": 0.25}]
    with pytest.raises(ValueError, match="the catalogue says"):
        table.write(pa.table({"customer": [1]}))
    table.write_empty()
    assert table.read().num_rows == 0
    with pytest.raises(InputError, match="is missing"):
        TableFile(tmp_path / "gone.parquet").read()


def test_a_missing_text_of_a_frame_is_null_in_a_table_of_columns(tmp_path):
    table = TableFile(tmp_path / "t.parquet", "rank int32, title string")
    titles = pd.Series(["茶", None]).to_numpy()  # in which pandas has NaN
    table.write({"rank": [1, 2], "title": titles})
    assert table.read()["title"].to_pylist() == ["茶", None]
