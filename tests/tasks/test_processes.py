"""Several processes for one stage: the same bytes, one line for one mistake, nobody left behind. Real gloo ranks."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from nightmarket.contracts import InputError
from tasks.__main__ import main
from tasks.files import manifest
from tasks.pipeline import processes, settings

ROOT = Path(__file__).parents[2]
SMALL_SLICES = (
    "import sys\nfrom tasks import score\nscore.SLICE = 16\nfrom tasks.__main__ import main\nsys.exit(main('score'))\n"
)
INTO_RANK_1 = """
import os
if os.environ.get("RANK") in {ranks}:
    from nightmarket.contracts import InputError
    from tasks.files import storage

    def read_table(path, columns=None):
        {does}

    storage.read_table = read_table
"""


def environment(*places: Path) -> dict[str, str]:
    """Of a process started in the current folder; `places` are looked into for modules first."""
    kept = {key: value for key, value in os.environ.items() if key not in ("OMP_NUM_THREADS", "NIGHTMARKET_HOME")}
    return kept | {"PYTHONPATH": os.pathsep.join(str(place) for place in (*places, ROOT))}


def embed(folder: Path, *places: Path) -> subprocess.Popen:
    """`python -m tasks embed` in the folder."""
    command = [sys.executable, "-m", "tasks", "embed"]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=folder, env=environment(*places), stdout=pipe, stderr=pipe, text=True)


def with_processes(folder: Path, processes: object) -> None:
    path = folder / "params.yaml"
    content = yaml.safe_load(path.read_text(encoding="utf-8")) | {"machine": {"processes": processes}}
    path.write_text(yaml.safe_dump(content), encoding="utf-8")


@pytest.fixture
def two(tmp_path: Path, whole_night: Path) -> Path:
    """A folder in which `embed` has everything to do, by two processes."""
    folder = tmp_path / "two"
    shutil.copytree(whole_night / "artifacts/prepare", folder / "artifacts/prepare")
    shutil.copy(whole_night / "params.yaml", folder)
    with_processes(folder, 2)
    return folder


def injected(tmp_path: Path, does: str, who: tuple[str, ...] = ("1",)) -> Path:
    """A folder whose sitecustomize lets some ranks fail where they read their table."""
    place = tmp_path / "site"
    place.mkdir()
    (place / "sitecustomize.py").write_text(INTO_RANK_1.format(ranks=who, does=does), encoding="utf-8")
    return place


def test_embed_gives_the_same_bytes_and_one_progress(two, whole_night):
    with embed(two) as process:
        said, complained = process.communicate(timeout=120)
    assert process.returncode == 0, complained
    for name in ("vectors.safetensors", "manifest.json"):
        assert (two / "artifacts/embed" / name).read_bytes() == (whole_night / "artifacts/embed" / name).read_bytes()
    assert len(list((two / ".nightmarket/embeddings").glob("*/*.safetensors"))) == 1
    assert said.count("texts are new") == said.count("vectors written") == 1
    assert complained == ""


@pytest.mark.distributed
def test_score_under_torchrun_by_hand_gives_the_same_bytes(copied_night):
    champion = copied_night / "data/champion"
    for part in ("rank", "finetune"):
        shutil.copytree(copied_night / "artifacts" / part, champion / part)
    (champion / "receipt.json").write_text(json.dumps({"version": "1"}))
    manifest.write(champion)
    (copied_night / "score.py").write_text(SMALL_SLICES)  # five slices: the last round has one rank alone
    outputs = []
    for start in ([], ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]):
        shutil.rmtree(copied_night / "artifacts/score", ignore_errors=True)
        subprocess.run([sys.executable, *start, "score.py"], env=environment(), check=True, timeout=300)
        files = sorted((copied_night / "artifacts/score").iterdir())
        outputs.append({path.name: path.read_bytes() for path in files})
    assert list(outputs[0]) == ["launches.parquet", "popular.parquet", "recommendations.parquet", "summary.json"]
    assert outputs[0] == outputs[1]


@pytest.mark.parametrize("who", [("1",), ("0", "1")], ids=["one rank", "both ranks"])
def test_bad_input_is_one_line_and_exit_code_2(two, tmp_path, who):
    with embed(two, injected(tmp_path, "raise InputError('texts.parquet: row 3 is bad')", who)) as process:
        said, complained = process.communicate(timeout=120)
    assert process.returncode == 2
    assert complained == "nightmarket: embed: texts.parquet: row 3 is bad\n"
    assert "done in" not in said
    assert not (two / "artifacts/embed").exists()


def test_a_rank_that_is_killed_ends_all_and_is_named(two, tmp_path):
    started = time.perf_counter()
    with embed(two, injected(tmp_path, "os.kill(os.getpid(), 9)")) as process:
        complained = process.communicate(timeout=120)[1]
    assert process.returncode == 137
    assert complained.splitlines()[-1] == "nightmarket: embed: process 2 of 2 was ended by SIGKILL"
    assert time.perf_counter() - started < 100


def test_kill_9_of_the_parent_leaves_nobody(two, tmp_path):
    note = "(open('rank' + os.environ['RANK'], 'w').write(str(os.getpid())), __import__('time').sleep(300))"
    with embed(two, injected(tmp_path, note, ("0", "1"))) as process:
        numbers = [waited_for(lambda number=number: (two / f"rank{number}").read_text()) for number in (0, 1)]
        process.kill()
        for number in numbers:
            waited_for(lambda number=number: gone(int(number)))


def waited_for(what):
    """The first true result; what is not there yet is asked for again, for a minute."""
    for _ in range(600):
        try:
            if answer := what():
                return answer
        except FileNotFoundError:
            pass
        time.sleep(0.1)
    raise AssertionError("it did not come")


def gone(number: int) -> bool:
    """Whether the process has ended; one that nobody has collected yet counts."""
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return True
    state = Path(f"/proc/{number}/stat")
    return state.exists() and state.read_text().rpartition(")")[2].split()[0] == "Z"


def test_stages_that_share_nothing_stay_alone(two, monkeypatch):
    monkeypatch.chdir(two)
    assert processes.wanted("embed") == 2
    assert processes.wanted("rank") == 1
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    assert processes.wanted("embed") == 1  # started among several already
    assert not processes.enter("rank")
    assert "WORLD_SIZE" not in os.environ


def test_without_gpus_auto_is_one_process(two, monkeypatch):
    monkeypatch.chdir(two)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    with_processes(two, "auto")
    assert processes.wanted("embed") == 1


@pytest.mark.parametrize("value", [0, "many", 1.5, True])
def test_a_number_of_processes_that_makes_no_sense_is_refused(two, monkeypatch, capsys, value):
    monkeypatch.chdir(two)
    with_processes(two, value)
    with pytest.raises(InputError, match=r"machine\.processes: .* whole number from 1 to 1024, or auto"):
        settings.machine()
    assert main("embed") == 2
    assert capsys.readouterr().err.count("\n") == 1
