from datavol.config.compose import compose
from datavol.sweep.job import read_job, write_job


def test_a_run_survives_the_file_between_launcher_and_process(tmp_path):
    run = compose(["fraction=0.125", "data=fashion_mnist", "logger.tags=[a,b]", "recipe=thesis_resnet50"])[0]
    write_job(tmp_path / "job.json", run)
    assert read_job(tmp_path / "job.json") == run
