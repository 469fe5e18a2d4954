import gc
import re

import pytest
import torch
from torch.nn import functional as F

from datavol.config.compose import compose
from datavol.data.prepare import prepare
from datavol.errors import RunError
from datavol.runs.folder import RunFolder
from datavol.training.hardware import device_errors as errors
from datavol.training.trainer import build_trainer, train

CPU = torch.device("cpu")
CUDA_LIMIT = "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 14.57 GiB"


@pytest.fixture(scope="module")
def recipe():
    return compose(["logger=csv", "recipe.batch_size=96"])[0].config.recipe


@pytest.mark.parametrize(
    ("error", "ranks", "expected"),
    [
        (torch.OutOfMemoryError(CUDA_LIMIT), 2, "got 48 images of it at once and CUDA out.*=48 or recipe.acc"),
        (torch.OutOfMemoryError(CUDA_LIMIT), 96, "got 1 images of it .*; try data.image_size=16$"),
        (RuntimeError("CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), 1, "=48 or recipe.acc"),
        (MemoryError(), 1, r"^recipe\.batch_size must leave room in the memory of this machine"),
        (RuntimeError("CUDA error: device-side assert\ntriggered"), 1, "got CUDA error: device-side assert triggered;.*"
         "CUDA_LAUNCH_BLOCKING=1 in front"),
        (RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"), 1, "must work until the run ends, got cuDNN"),
        (torch.distributed.DistBackendError("NCCL error in: ProcessGroupNCCL"), 2, "NCCL_DEBUG=INFO in front"),
        (torch._dynamo.exc.BackendCompilerFailed("inductor", ValueError("no gcc"), None), 1, "try trainer.compile=fal"),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), 1, None),
        (ValueError("out of memory"), 1, None),
    ],
)  # fmt: skip
def test_an_error_of_a_device_is_a_line_with_a_remedy(error, ranks, expected, recipe):
    line = errors.device_line(error, CPU, ranks, recipe)
    if expected is None:
        assert line is None
    else:
        assert re.search(expected, line)
        assert "\n" not in line


@pytest.mark.parametrize("gpus", [1, 2, 5])
def test_more_gpus_are_a_remedy_where_there_are_some_that_divide_a_batch(gpus, recipe, monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    line = errors.device_line(torch.OutOfMemoryError(CUDA_LIMIT), torch.device("cuda", 0), 1, recipe)
    assert ("or trainer.devices=2" in line, "trainer.devices=5" in line) == (gpus == 2, False)


def test_a_run_out_of_memory_says_so_and_holds_nothing_while_its_error_is_kept(little, elsewhere, monkeypatch):
    run = little("epochs=1")
    large = 123_457  # elements of a tensor that only the failed step has

    def failing(logits, *_, **__):
        kept = torch.zeros(large)
        torch.empty(1 << 50)
        return kept

    monkeypatch.setattr(F, "cross_entropy", failing)
    with pytest.raises(
        RunError, match=r"^recipe.batch_size must leave room .*DefaultCPUAllocator.*batch_size=64 or recipe.acc"
    ) as e:
        train(run, prepare(run.config))
    gc.collect()
    assert not [one for one in gc.get_objects() if type(one) is torch.Tensor and one.numel() == large]
    folder = RunFolder(run.folder)
    assert (folder.state, folder.record["reason"]) == ("failed", str(e.value))


def test_a_gpu_that_torch_does_not_see_is_not_passed_over_in_silence(tiny, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(errors, "DEVICE_FILES", str(tmp_path / "nvidia[0-9]*"))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(errors, "why_no_gpu", lambda: "a reason")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    trainer = tiny("trainer=auto").config.trainer
    build_trainer(trainer, [])
    assert capsys.readouterr().out == ""  # the machine has none
    (tmp_path / "nvidia0").touch()
    build_trainer(trainer, [])
    said = capsys.readouterr().out
    assert said == "trainer=auto takes the CPU, since torch does not see this machine's GPU: a reason\n"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    build_trainer(trainer, [])
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("built", "visible", "expected"), [(None, None, "built without CUDA"), ("13.0", "NoDevFiles", "=NoDevFiles shows")]
)
def test_why_there_is_no_gpu(built, visible, expected, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.version, "cuda", built)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert expected in errors.why_no_gpu()
