import numpy as np
import pytest
import torch
from factories.metrics import metrics_by_hand
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, log_loss, top_k_accuracy_score
from torch.nn import functional as F
from torchmetrics.classification import MulticlassAccuracy

from datavol.training.metrics import Accuracy, CalibrationError, ConfidenceMargin, confidence_margin, top_predictions


def batches(classes: int, sizes: list[int], seed: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
    generator = torch.Generator().manual_seed(seed)
    logits = [4 * torch.randn(size, classes, generator=generator) for size in sizes]
    return [(z, torch.randint(classes, (len(z),), generator=generator)) for z in logits]


def measured(classes: int, data: list[tuple[torch.Tensor, torch.Tensor]]) -> dict[str, float]:
    metrics = [Accuracy(classes), ConfidenceMargin(), CalibrationError()]
    for logits, targets in data:
        predictions = top_predictions(logits, targets)
        metrics[0].update(predictions, F.cross_entropy(logits, targets, reduction="none").double().sum())
        metrics[1].update(predictions)
        metrics[2].update(predictions)
    return {name: float(value) for metric in metrics for name, value in metric.compute().items()}


@settings(deadline=None, max_examples=30)
@given(classes=st.integers(5, 20), sizes=st.lists(st.integers(1, 40), min_size=1, max_size=4), seed=st.integers(0, 99))
def test_all_agree_with_numpy_torchmetrics_and_scikit_learn(classes, sizes, seed):
    data = batches(classes, [*sizes, 60], seed)
    logits, targets = torch.cat([z for z, _ in data]), torch.cat([y for _, y in data])
    ours = measured(classes, data)

    shares, labels = logits.double().softmax(1), list(range(classes))
    expected = metrics_by_hand(*(part.numpy() for part in shares.sort(descending=True)), targets.numpy())
    expected |= {"images": len(targets), "loss": log_loss(targets, shares.numpy(), labels=labels)}
    assert ours == pytest.approx(expected, abs=1e-6, nan_ok=True)
    for k in (1, 5):
        theirs = MulticlassAccuracy(classes, top_k=k, average="micro")(logits, targets)
        assert ours[f"top{k}"] == pytest.approx(float(theirs), abs=1e-7)
    assert ours["top1"] == accuracy_score(targets, logits.argmax(1))
    if classes > 5:
        assert ours["top5"] == pytest.approx(top_k_accuracy_score(targets, shares.numpy(), k=5, labels=labels))


def test_below_five_classes_top_5_is_left_out():
    assert "top5" not in measured(4, batches(4, [30], 0))
    assert measured(5, batches(5, [30], 0))["top5"] == 1


def test_the_margin_needs_no_softmax_and_is_kept_in_single_precision():
    logits = torch.tensor([[10.0, 9.999, 0.0]])
    shares = logits.double().softmax(1)[0]
    exact = float((shares[0] - shares[1]) / shares[0])
    margins = confidence_margin(top_predictions(logits, torch.tensor([0])).top_logits)
    assert float(margins[0]) == pytest.approx(exact, rel=1e-3)
    assert top_predictions(logits.bfloat16(), torch.tensor([0])).top_logits.dtype == torch.float32


def test_confidence_0_and_1_fall_into_the_first_and_the_last_bin():
    metric = CalibrationError()
    certain = top_predictions(torch.tensor([[1000.0, 0.0]]), torch.tensor([0]))
    assert float(certain.confidence) == 1
    metric.update(certain)
    metric.update(certain._replace(confidence=torch.tensor([0.0])))
    assert (int(metric.counts[0]), int(metric.counts[-1]), int(metric.counts.sum())) == (1, 1, 2)


def test_without_wrong_predictions_their_margin_is_nan():
    logits = torch.eye(3) * 5
    values = measured(3, [(logits, torch.arange(3))])
    assert np.isnan(values["margin_incorrect"])
    assert values["margin_correct"] > 0.9


def test_mixed_labels_count_as_their_larger_share():
    mixed = torch.tensor([[0.3, 0.7, 0.0], [0.6, 0.0, 0.4]])
    assert top_predictions(torch.randn(2, 3), mixed).targets.tolist() == [1, 0]


@given(split=st.integers(1, 99))
@settings(deadline=None, max_examples=10)
def test_the_way_the_images_are_dealt_out_does_not_show(split):
    (logits, targets), *_ = batches(10, [100], 1)
    whole = measured(10, [(logits, targets)])
    parts = measured(10, [(logits[:split], targets[:split]), (logits[split:], targets[split:])])
    assert parts["top1"] == whole["top1"]
    assert parts["top5"] == whole["top5"]
    assert parts == pytest.approx(whole, abs=1e-7)
