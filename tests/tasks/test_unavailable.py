"""unavailable: markers in place of a side stage's files, who goes on without them and who says what is missing."""

import json
import shutil

import numpy as np
import pytest
import yaml

from nightmarket.contracts import InputError, Unavailable, UnavailableError
from tasks.__main__ import main
from tasks.files import catalogue, storage
from tasks.pipeline import generate, outputs, settings, unavailable

SEGMENT = Unavailable("segment", "exit code 1, ValueError", 2)
REVIEWS = Unavailable("reviews", "killed; out of memory?", 2)
SIDES = (
    "respond",
    "reviews",
    "segment",
    "demand",
    "care",
    "related",
    "bundle",
    "plan",
    "compose",
    "readout",
    "drift",
    "report",
)
FAILED = "segment failed: exit code 1, ValueError"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty run's folder with the pipeline's two files."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NIGHTMARKET_HOME", raising=False)
    for name, text in generate.files().items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def said(capsys):
    return capsys.readouterr().err.strip()


def test_what_serves_customers_is_no_side_stage():
    assert tuple(name for name in settings.STAGES if generate.stage(name).side) == SIDES
    core = [name for name in settings.STAGES if name not in SIDES]
    written = {
        str(artifact) for name in SIDES for artifact in (*generate.stage(name).writes, *generate.stage(name).metrics)
    }
    for name in core:
        read = {str(artifact) for artifact in generate.stage(name).reads}
        assert not any(out == dep or out.startswith(f"{dep}/") for out in written for dep in read), name


def test_what_a_stage_reads_of_a_side_stage_is_there_also_where_a_marker_is():
    """DVC ends with an error of its own where a dependency is missing: a file in a folder that holds a marker alone."""
    for name in settings.STAGES:
        for dep in map(str, generate.stage(name).reads):
            for side in map(generate.stage, SIDES):
                outs = [str(artifact) for artifact in (*side.writes, *side.metrics)]
                assert not any(dep.startswith(f"{out}/") for out in outs), f"{name} reads {dep}: let it read the folder"


@pytest.mark.parametrize("stage", SIDES)
def test_a_marked_stage_leaves_a_marker_in_place_of_each_output_and_reads_nothing(folder, stage):
    unavailable.write({stage: Unavailable(stage, "no room: \n’{x}’", 2)}, folder)
    assert main(stage) == 0
    what = Unavailable(stage, "no room: \n’{x}’", 2)
    declared = generate.stage(stage)
    for artifact in (*declared.writes, *declared.metrics):
        assert artifact.unavailable() == what
    left = {path.relative_to(folder).as_posix() for path in (folder / "artifacts").rglob("*") if path.is_file()}
    page = {"artifacts/report/index.html"} if stage == "report" else set()
    assert len(left - page) == len((*declared.writes, *declared.metrics))


def test_a_file_of_a_stage_that_failed_is_read_as_unavailable_with_the_reason(folder):
    for what in (SEGMENT, REVIEWS):
        unavailable.leave(what)
    for artifact in (catalogue.SEGMENTS, catalogue.SEGMENT_PORTRAITS):
        with pytest.raises(UnavailableError, match=f"^needs segment, which {SEGMENT.why}$"):
            artifact.read()
        with pytest.raises(UnavailableError):
            artifact.exists()
    for artifact in (catalogue.TOPICS, catalogue.PRAISE):  # a marker in place of the file itself
        with pytest.raises(UnavailableError, match=r"^needs reviews, which failed: killed; out of memory"):
            artifact.read()


def test_the_reason_is_handed_on_from_stage_to_stage(whole_night, folder, capsys):
    for name in ("artifacts/prepare", "artifacts/validate", "artifacts/respond"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).symlink_to(whole_night / name)
    shutil.copy(whole_night / "params.yaml", folder)
    unavailable.leave(SEGMENT)
    assert main("plan") == 2
    assert said(capsys) == f"nightmarket: plan: needs segment, which {SEGMENT.why}"
    unavailable.leave(Unavailable("plan", f"needs segment, which {SEGMENT.why}"))
    with pytest.raises(UnavailableError) as lost:
        catalogue.PLAN_SUMMARY.read()
    assert str(lost.value) == f"needs plan, which needs segment, which {SEGMENT.why}"


def test_segments_are_made_without_reviews_and_say_so(whole_night, folder, capsys, monkeypatch):
    for name in ("prepare", "validate"):
        (folder / "artifacts").mkdir(exist_ok=True)
        (folder / "artifacts" / name).symlink_to(whole_night / "artifacts" / name)
    (folder / "params.yaml").write_text("segment: {}\n")
    unavailable.leave(REVIEWS)
    assert main("segment") == 0
    content = catalogue.SEGMENT_PORTRAITS.read()
    assert content["without"] == "topics and praise are left out: reviews failed: killed; out of memory?"
    assert content["segments"]
    assert all(
        portrait["reviews"] == {"baskets": [], "reviews": [], "praise": None} for portrait in content["segments"]
    )
    monkeypatch.setenv(storage.FAULT, "segment.ran:1:broken")
    assert main("segment") == 2  # what it broke is found out by the stage itself
    assert said(capsys).startswith(
        "nightmarket: segment: it wrote a broken file: artifacts/segment/segments.json is not"
    )


def test_a_shop_without_prices_has_segments(whole_night, folder):
    (folder / "artifacts").mkdir()
    for name in ("validate", "reviews"):
        (folder / "artifacts" / name).symlink_to(whole_night / "artifacts" / name)
    shutil.copytree(whole_night / "artifacts/prepare", folder / "artifacts/prepare")
    lines = catalogue.PURCHASES.read()
    free = np.zeros(len(lines), np.float32)
    at = lines.column_names.index("value")
    catalogue.PURCHASES.write(lines.set_column(at, lines.schema.field(at), [free]))
    (folder / "params.yaml").write_text("segment: {}\n")
    assert main("segment") == 0
    assert catalogue.SEGMENT_PORTRAITS.read()["value"] is None


def test_the_page_that_stands_in_for_the_page_names_every_failure_and_where_the_lists_are(folder):
    catalogue.SCORE_SUMMARY.write({"as_of": "2018-01-01", "champion": 3, "num_customers": 1234})
    for what in (SEGMENT, REVIEWS, Unavailable("plan", f"needs segment, which {SEGMENT.why}")):
        unavailable.leave(what)
    unavailable.leave(Unavailable("report", "exit code 1, <b>Error"))
    page = catalogue.PAGE.path.read_text()
    assert "The recommendations of 2018-01-01 are out, from version 3: 1,234 customers" in page
    assert page.count(f"<li>{FAILED}</li>") == 1
    assert f"<li>{REVIEWS}</li>" in page
    assert f"<li>plan needs segment, which {SEGMENT.why}</li>" in page
    assert "<li>report failed: exit code 1, &lt;b&gt;Error</li>" in page


def test_the_file_says_what_dvc_lock_recorded_and_null_for_the_rest(folder):
    lock = {"stages": {"segment": {"params": {"unavailable.yaml": {"segment": {"reason": "x", "attempts": 2}}}}}}
    lock["stages"]["plan"] = {"params": {"unavailable.yaml": {"plan": None}}}
    (folder / "dvc.lock").write_text(yaml.safe_dump(lock))
    unavailable.write(unavailable.recorded(folder), folder)
    content = yaml.safe_load((folder / "unavailable.yaml").read_text())
    assert content == dict.fromkeys(SIDES) | {"segment": {"reason": "x", "attempts": 2}}
    unavailable.write({}, folder)
    assert (folder / "unavailable.yaml").read_text() == generate.files()["unavailable.yaml"]


def write(name, content):
    path = catalogue.DEMAND / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("damage", "line"),
    [
        (lambda: write("metrics.json", b'{"share": NaN}'), "metrics.json is not valid JSON .it holds NaN"),
        (lambda: write("metrics.json", b'{"share": 1'), "metrics.json is not valid JSON"),
        (lambda: write("more.json", b"[Infinity]"), "more.json is not valid JSON .it holds Infinity"),
        (lambda: write("forecast.parquet", b"PAR1"), "forecast.parquet cannot be read"),
        (lambda: catalogue.FORECAST.path.unlink(), "forecast.parquet is missing"),
        (lambda: storage.write_table(catalogue.DRIFT_NIGHTS.schema.empty_table(), catalogue.FORECAST.path), "columns"),
    ],
)
def test_a_side_stage_that_leaves_a_broken_file_is_found_out_before_it_is_recorded(folder, damage, line):
    catalogue.FORECAST.write_empty()
    catalogue.PRICE_RESPONSE.write_empty()
    catalogue.SUPPLY.write_empty()
    catalogue.DEMAND_METRICS.write({"share": 1.0})
    outputs.check(generate.stage("demand").writes)
    damage()
    with pytest.raises(InputError, match=line):
        outputs.check(generate.stage("demand").writes)


def test_a_page_that_is_cut_short_is_found_out(folder):
    catalogue.REPORT.path.mkdir(parents=True)
    catalogue.PAGE.path.write_text("<html>all of it</html>\n")
    catalogue.PAGE_LACKS.write({})
    outputs.check(generate.stage("report").writes)
    catalogue.PAGE.path.write_text("<html>all o")
    with pytest.raises(InputError, match="is cut short"):
        outputs.check(generate.stage("report").writes)


def test_a_marker_says_nothing_but_stage_reason_and_attempts(folder):
    unavailable.leave(SEGMENT)
    content = json.loads((folder / "artifacts/segment/unavailable.json").read_text())
    assert content == {"unavailable": {"stage": "segment", "reason": "exit code 1, ValueError", "attempts": 2}}
