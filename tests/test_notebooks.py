from pathlib import Path

import nbformat
import pytest
from factories.run_folders import made_up_predictions, true_top1, write_run
from factories.small_runs import HANG
from nbclient import NotebookClient

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `make demo` trains: two networks, three fractions, a seed."""
    study = tmp_path_factory.mktemp("studies") / "digits"
    for model in ("mobilenet_v2", "resnet50"):
        for fraction in (0.05, 0.125, 0.25):
            write_run(study, model, fraction, predictions=made_up_predictions(true_top1(fraction)))
    return study


def later(path: Path):
    """A notebook that waits for `make test-all`."""
    return pytest.param(path, marks=pytest.mark.slow)


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_on_a_study_like_that_of_the_demo(path, study, monkeypatch):
    monkeypatch.setenv("DATAVOL_STUDY", str(study))
    check_runs(path)


@pytest.mark.parametrize("path", [*map(later, NOTEBOOKS[:-1]), NOTEBOOKS[-1]], ids=lambda path: path.stem)
def test_a_notebook_runs_on_the_published_study_as_it_stands(path, monkeypatch):
    monkeypatch.delenv("DATAVOL_STUDY", raising=False)
    check_runs(path)


def check_runs(path: Path) -> None:
    """Execute a notebook in its folder; it shows something and complains of nothing."""
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=HANG, resources={"metadata": {"path": str(path.parent)}}).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert any(output.output_type in ("display_data", "execute_result") for output in outputs)
    assert [output for output in outputs if output.get("name") == "stderr"] == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_kept_without_output_and_begins_with_the_study_s_folder(path):
    cells = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    assert all(cell.outputs == [] and cell.execution_count is None for cell in cells)
    assert 'study = os.environ.get("DATAVOL_STUDY", "../examples/fashion_mnist")' in cells[0].source


def test_there_is_a_notebook_for_every_question():
    names = ["01_training_curves", "02_learning_curves", "03_confidence", "04_statistical_study", "05_how_much_data"]
    assert [path.stem for path in NOTEBOOKS] == names
