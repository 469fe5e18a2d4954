"""A small convolutional network for 14 x 14 pixels."""

from torch import nn


class SmallNet(nn.Sequential):
    """Two convolutions and a hidden layer."""

    def __init__(self, num_classes: int, width: int = 32) -> None:
        super().__init__(
            nn.Conv2d(3, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(width, 2 * width, 3, padding=1, bias=False),
            nn.BatchNorm2d(2 * width),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(2 * width * 9, num_classes),
        )
