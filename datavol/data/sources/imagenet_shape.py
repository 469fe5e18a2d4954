"""Models the class sizes of ImageNet-1K's training set, without its images.

Public are 1,281,167 images in 1,000 classes of 732 to 1,300 (Russakovsky et al. 2015, arXiv 1409.0575, table 2), of
which 895 have 1,300. How the other 105 are spread is assumed: a power curve from 732 to 1,299 with the right sum. A
draw of 5 % of it has 64,062 images, as the thesis says of its own.
"""

import numpy as np
from numpy.typing import NDArray

IMAGES, CLASSES = 1_281_167, 1000
LARGEST, SMALLEST, FULL = 1300, 732, 895
EXPONENT = 2.19722366972378  # of the curve, so that all classes have `IMAGES` together


def imagenet_class_sizes() -> NDArray[np.int64]:
    """Compute images per class, shape (1000,), largest first.

    >>> sizes = imagenet_class_sizes()
    >>> int(sizes.sum()), int(sizes.min()), int((sizes == 1300).sum())
    (1281167, 732, 895)
    """
    steps = np.linspace(0, 1, CLASSES - FULL)
    curve = (LARGEST - 1) - (LARGEST - 1 - SMALLEST) * steps**EXPONENT
    others = np.diff(np.rint(np.cumsum(curve)), prepend=0)  # rounded so that the sum stays
    return np.concatenate([np.full(FULL, LARGEST), others]).astype(np.int64)
