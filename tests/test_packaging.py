"""conf/ is found from a checkout, an editable install and a wheel alike."""

import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from datavol.config.section import conf_dir

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel that is built from the sdist, so both are tested."""
    built = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(built), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = built.glob("*.whl")
    return path


def test_a_checkout_reads_its_own_conf():
    assert conf_dir() == ROOT / "conf"


@pytest.mark.slow
def test_wheel_holds_every_config_and_the_plugin_and_no_tests(wheel: Path):
    names = set(zipfile.ZipFile(wheel).namelist())
    configs = {path.relative_to(ROOT).as_posix() for path in (ROOT / "conf").rglob("*.yaml")}
    assert "conf/config.yaml" in configs
    assert {f"datavol/{name}" for name in configs} <= names
    assert "hydra_plugins/datavol_launcher/launcher.py" in names
    assert {"datavol/study/tables/thesis_numbers.csv", "datavol/study/report/page.html.jinja"} <= names
    assert "datavol/py.typed" in names
    assert "hydra_plugins/__init__.py" not in names  # it would hide the plugins of others
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == {"datavol", "hydra_plugins"}


@pytest.mark.slow
def test_unpacked_wheel_composes_from_its_own_conf(wheel: Path, tmp_path: Path):
    unpacked, elsewhere = tmp_path / "unpacked", tmp_path / "elsewhere"
    elsewhere.mkdir()
    zipfile.ZipFile(wheel).extractall(unpacked)
    program = "from datavol.config.compose import compose, conf_dir; print(conf_dir()); assert len(compose([])) == 1"
    # -S: no .pth files, so that an editable install of the checkout is out of sight.
    paths = [str(unpacked), sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]
    done = subprocess.run(
        [sys.executable, "-S", "-c", program],
        cwd=elsewhere,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()) == unpacked / "datavol" / "conf"
