import pytest

from flows.engine.run import dag
from nightmarket.contracts import InputError


def test_stages_come_in_order_with_what_their_meta_asks_for(project):
    stages = dag.read(project.home)
    assert [stage.name for stage in stages] == ["validate", "rank", "evaluate", "report"]
    rank, report = stages[1], stages[3]
    assert (rank.pool, rank.timeout_s, rank.retries, rank.phase) == ("gpu", 60, 1, "retrain")
    assert report.phase == "deliver"
    assert set(report.upstream) == {"validate", "rank"}


def test_a_finished_project_is_clean_and_a_change_names_its_stage(project):
    assert dag.status(project.home) == {}
    (project.home / "tasks/rank.py").write_text((project.home / "tasks/rank.py").read_text() + "# changed\n")
    assert list(dag.status(project.home)) == ["rank"]


def test_a_folder_without_a_dag_says_where_to_run(tmp_path):
    with pytest.raises(InputError, match=r"holds no dvc\.yaml"):
        dag.read(tmp_path)


def test_a_dag_that_dvc_refuses_fails_in_one_line(project):
    (project.home / "dvc.yaml").write_text("stages:\n  rank:\n    commands: x\n")
    with pytest.raises(InputError, match=r"^dvc\.yaml: [^\n]*$"):
        dag.read(project.home)
