"""params.yaml: whatever is wrong with it is said in one line with its own line number and a remedy, in no time."""

import importlib
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest
import yaml

from nightmarket.contracts import InputError
from tasks.__main__ import main
from tasks.pipeline import settings
from tasks.pipeline.excerpt import ModuleSource, excerpt

ROOT = Path(__file__).parents[2]
PARAMS = (ROOT / "params.yaml").read_text(encoding="utf-8")
ESCAPED = {r"\n": "\n", r"\t": "\t", r"\0": "\0"}


def cases():
    """Section, what stands there, what is written instead, what is said; from the table beside this module."""
    for line in Path(__file__).with_name("wrong_settings.txt").read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            for escape, letter in ESCAPED.items():
                line = line.replace(escape, letter)
            yield tuple(cell.strip(" ") for cell in line.split(" | "))


WRONG = list(cases())


def edited(section, old, new):
    """params.yaml with one change in a section, and the number of the last line that was written."""
    text = PARAMS.replace("business_date: null", "business_date: 2018-01-01")
    begin = text.index(f"\n{section}:") + 1 if section in settings.SECTIONS else 0
    if old:
        begin = text.index(old, begin)
        rest = text[text.index("\n", begin) :]
    else:
        rest, new = text[text.index("\n\n", begin) :], f"{section}:\n  {new}"
    return f"{text[:begin]}{new}{rest}", (text[:begin] + new).count("\n") + 1


def refused(tmp_path, content, names=("snapshot", "embed", "compose")):
    """What is said of a file; it is one line."""
    (tmp_path / "params.yaml").write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError) as caught:
        settings.check_all(tmp_path / "params.yaml", names)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(("section", "old", "new", "says"), WRONG)
def test_a_wrong_setting_is_told_with_its_line_and_a_remedy(tmp_path, section, old, new, says):
    text, number = edited(section, old, new)
    line = refused(tmp_path, text)
    assert line.startswith(f"params.yaml, line {number}: ")
    assert section in line or "not valid YAML" in line
    assert says in line


def test_at_least_sixty_settings_are_tried_and_every_section_with_them():
    assert len(WRONG) >= 60
    assert {section for section, *_ in WRONG} >= set(settings.SECTIONS)


def test_what_an_editor_of_windows_makes_of_the_file_changes_no_line_number(tmp_path):
    text, number = edited("rank", "use_text: false", "use_txt: false")
    for content in (b"\xef\xbb\xbf" + text.encode(), text.replace("\n", "\r\n").encode(), text.encode("utf-8-sig")):
        assert refused(tmp_path, content).startswith(f"params.yaml, line {number}: rank.use_txt: unknown key")
    whole = b"\xef\xbb\xbf" + PARAMS.replace("\n", "\r\n").encode()
    (tmp_path / "params.yaml").write_bytes(whole)
    assert settings.check_all(tmp_path / "params.yaml") == yaml.safe_load(PARAMS)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (PARAMS.encode("utf-16"), "line 1: the file is UTF-16; save it as UTF-8"),
        (b"report: {}\ncompose:\n  shop: B\xfccher\n", "line 3: a character that is not UTF-8; save the file as UTF-8"),
        (b"", "is empty; restore it from git"),
        (b"- rank\n", "line 1: expected sections; write section: and its keys below it"),
        (b"rank: {seed: 1, seed: 2}\n", "line 1: rank.seed stands twice, first in line 1; keep one"),
        (b"rank: 0\n", "line 1: rank: expected keys with values, as {key: value}; found 0"),
        (b"rank: &a\n  seed: *a\n", "line 2: rank.seed: expected a whole number; found keys with values"),
        (b"yes: {}\n", "line 1: unknown section 'yes'; there are validate, "),
        (b"find:\n  query: 'milk\n", "line 2: not valid YAML: a quote that is never closed"),
        (b'find: {query: "\\ud800"}\n', "line 1: find.query: the text holds half of a character (a lone surrogate)"),
    ],
)
def test_what_is_no_params_yaml_is_told_with_its_line(tmp_path, content, says):
    assert says in refused(tmp_path, content)


def test_the_first_of_several_mistakes_is_told_and_how_many_there_are(tmp_path):
    text = "score:\n  num_recommendations: 0\nrank:\n  seed: x\n  leaves: 3\n"
    line = "params.yaml, line 2: score.num_recommendations: must be at least 1; found 0 (and 2 more)"
    assert refused(tmp_path, text) == line


def test_tables_of_several_shops_that_are_not_there_are_told_by_their_line(tmp_path):
    (tmp_path / "north").mkdir()
    text = "snapshot:\n  source: folders\n  folders:\n    - {name: north, folder: north}\n    - name: south\n"
    line = refused(tmp_path, f"{text}      folder: sud\n")
    assert line.startswith(f"params.yaml, line 6: snapshot.folders.1.folder: there is no folder {tmp_path}/sud")


def test_a_static_embedding_cannot_be_trained_and_this_is_known_before_the_night(tmp_path):
    (tmp_path / "static").mkdir()
    modules = '[{"type": "sentence_transformers.models.StaticEmbedding"}]'
    (tmp_path / "static/modules.json").write_text(modules)
    text = "embed:\n  model: static\npretrain:\n  steps: 5\nfinetune: {}\n"
    assert refused(tmp_path, text).startswith("params.yaml, line 2: embed.model: it is a static embedding, which")
    assert "line 4: pretrain.steps: " in refused(tmp_path, text.replace("finetune: {}\n", ""))


def test_a_stage_tells_what_is_wrong_with_any_section_before_it_begins(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text("score: {}\nplan:\n  goal: fame\n")
    assert main("score") == 2
    said = "params.yaml, line 3: plan.goal: expected one of profit, responses; found fame"
    assert capsys.readouterr().err == f"nightmarket: score: {said}\n"


def test_all_settings_are_checked_without_what_takes_seconds_to_import():
    heavy = "{'torch', 'pandas', 'scipy', 'sklearn', 'lightgbm', 'ibis', 'mlflow', 'prefect', 'transformers'}"
    work = "import sys; from tasks.pipeline import settings; settings.check_all(names=('embed', 'compose')); "
    work += f"print({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", work], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


@pytest.mark.slow
@pytest.mark.parametrize("stage", [*settings.STAGES, *settings.STEPS])
def test_settings_read_without_their_stage_are_those_of_the_stage(stage):
    """The same fields, limits, defaults and rules: an excerpt is the class itself without the rest of its module."""
    module = importlib.import_module(f"tasks.{stage}")
    alone = ModuleSource(f"tasks.{stage}", Path(module.__file__)).value("Settings")
    assert alone is not module.Settings
    assert alone.model_json_schema() == module.Settings.model_json_schema()
    assert alone().model_dump(mode="json") == module.Settings().model_dump(mode="json")
    for rules in ("field_validators", "model_validators"):
        alone_too, own = (getattr(kind.__pydantic_decorators__, rules) for kind in (alone, module.Settings))
        assert set(alone_too) == set(own)


def test_the_names_of_scorers_are_those_that_there_are():
    from nightmarket.retrieval.scorers.scorer import SCORERS

    assert get_args(excerpt("nightmarket.retrieval.scorers.config", "ScorerName")) == tuple(SCORERS)


def test_functions_that_call_each_other_are_taken_out_together(tmp_path):
    source = "import heavy_and_missing\n\nLIMIT = 3\n\n\ndef even(n):\n    return n == 0 or odd(n - 1)\n\n\n"
    source += "def odd(n):\n    return n > 0 and even(n - 1)\n\n\nBROKEN = heavy_and_missing.value\n"
    (tmp_path / "module.py").write_text(source)
    assert ModuleSource("module", tmp_path / "module.py").value("odd")(3)
    with pytest.raises(AttributeError, match="module 'module' has no 'neither'"):
        ModuleSource("module", tmp_path / "module.py").value("neither")
