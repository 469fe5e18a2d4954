"""A network of one's own: `model=own model._target_=my_network.MyNetwork +model.width=32`."""

from itertools import pairwise

from torch import Tensor, nn


class MyNetwork(nn.Module):
    """Three convolutions, each halving the image, and a linear layer."""

    def __init__(self, num_classes: int, width: int = 16, dropout: float = 0.0) -> None:
        super().__init__()
        widths = (3, width, 2 * width, 4 * width)
        layers: list[nn.Module] = []
        for before, after in pairwise(widths):
            layers += [nn.Conv2d(before, after, 3, stride=2, padding=1), nn.BatchNorm2d(after), nn.ReLU()]
        self.features = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.classifier = nn.Sequential(nn.Dropout(dropout), nn.Linear(widths[-1], num_classes))

    def forward(self, images: Tensor) -> Tensor:
        """Compute logits (B, num_classes) of images (B, 3, H, W)."""
        return self.classifier(self.features(images))
