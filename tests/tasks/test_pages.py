"""The page in a real MLflow registry on SQLite."""

import json

import pytest

from nightmarket.contracts import InputError
from nightmarket.serving import set_environment
from tasks.files import storage
from tasks.registry import pages

set_environment()
from mlflow import MlflowClient  # noqa: E402


@pytest.fixture(scope="module")
def registry(tmp_path_factory):
    """mlruns/ with one run, as `register` lays it out; (folder, run id)."""
    home = tmp_path_factory.mktemp("home")
    folder = home / "mlruns"
    folder.mkdir()
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    client = MlflowClient(tracking_uri=uri, registry_uri=uri)
    experiment = client.create_experiment("nightmarket", (folder / "artifacts").as_uri())
    return home, client.create_run(experiment).info.run_id


@pytest.fixture
def night(registry, tmp_path, monkeypatch):
    """A run's folder with a page and a version; the note on the last page forgotten."""
    home, run_id = registry
    monkeypatch.setenv("NIGHTMARKET_HOME", str(home))
    monkeypatch.chdir(tmp_path)
    storage.private("page.json").unlink(missing_ok=True)
    champion = tmp_path / "data/champion"
    champion.mkdir(parents=True)
    (champion / "receipt.json").write_text(json.dumps({"version": 1, "run_id": "another"}))
    (champion / "decision.json").write_text(json.dumps({"version": 2, "run_id": run_id}))
    write("<p>tonight</p>")
    return home / "mlruns/artifacts" / run_id / "artifacts/report"


def write(text):
    pages.PAGE.parent.mkdir(parents=True, exist_ok=True)
    pages.PAGE.write_text(text)


def test_the_page_lies_with_the_version_that_the_gate_spoke_of(night):
    assert "of version 2" in pages.keep()
    assert (night / "index.html").read_text() == "<p>tonight</p>"


def test_the_same_page_is_not_logged_twice_and_a_later_one_replaces_it(night):
    pages.keep()
    assert pages.keep() == "version 2 has this page already"
    write("<p>tomorrow</p>")
    assert "of version 2" in pages.keep()
    assert [path.name for path in night.iterdir()] == ["index.html"]
    assert (night / "index.html").read_text() == "<p>tomorrow</p>"


def test_without_the_gates_word_the_page_lies_with_the_version_that_delivers(night, registry):
    (storage.CHAMPION / "decision.json").unlink()
    (storage.CHAMPION / "receipt.json").write_text(json.dumps({"version": 7, "run_id": registry[1]}))
    assert "of version 7" in pages.keep()


def test_the_version_says_what_its_latest_night_went_on_without(night, registry, tmp_path):
    home, run_id = registry
    uri = f"sqlite:///{home / 'mlruns/mlflow.db'}"
    client = MlflowClient(tracking_uri=uri, registry_uri=uri)
    client.create_registered_model("nightmarket")
    for _ in range(2):
        client.create_model_version("nightmarket", "nowhere", run_id)
    (tmp_path / "unavailable.yaml").write_text(
        "segment: {reason: 'exit code 1, ValueError', attempts: 2}\nplan: null\n"
    )
    pages.keep()
    assert client.get_model_version("nightmarket", "2").tags == {
        "unavailable": "segment failed: exit code 1, ValueError"
    }
    (tmp_path / "unavailable.yaml").write_text("segment: null\nplan: null\n")
    write("<p>whole again</p>")
    pages.keep()
    assert client.get_model_version("nightmarket", "2").tags == {}


def test_a_page_beyond_the_limit_is_not_kept(night, monkeypatch):
    monkeypatch.setattr(pages, "MOST_BYTES", 10)
    with pytest.raises(InputError, match="more than 10; it is not kept"):
        pages.keep()


@pytest.mark.parametrize("content", [None, "", "garbage"])
def test_where_no_registry_is_a_line_says_so(night, monkeypatch, tmp_path, content, capsys):
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "mlruns").mkdir(parents=True)
    if content is not None:
        (elsewhere / "mlruns/mlflow.db").write_text(content)
    monkeypatch.setenv("NIGHTMARKET_HOME", str(elsewhere))
    assert pages.main() == 2
    assert capsys.readouterr().err == "nightmarket: page: mlruns/mlflow.db is no registry to keep the page with\n"


def test_what_is_missing_is_named(night):
    for name in ("receipt.json", "decision.json"):
        (storage.CHAMPION / name).unlink()
    with pytest.raises(InputError, match="no version is on record"):
        pages.keep()
    pages.PAGE.unlink()
    with pytest.raises(InputError, match="dvc repro report"):
        pages.keep()


def test_a_run_that_mlflow_does_not_know_is_one_line(night, capsys):
    (storage.CHAMPION / "decision.json").write_text(json.dumps({"version": 2, "run_id": "0" * 32}))
    assert pages.main() == 1
    assert capsys.readouterr().out.startswith("page: MLflow did not take it (")
