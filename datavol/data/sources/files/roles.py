"""Knows the words for training, validation and test images."""

import re
from functools import lru_cache

ROLES = {
    **dict.fromkeys(("train", "training", "trn", "trainings"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "validate", "dev", "development"), "val"),
    **dict.fromkeys(("test", "testing", "tst", "holdout", "evaluation", "eval"), "test"),
}
FILLERS = ("", "set", "data", "dataset", "images", "image", "imgs", "img", "pics", "seg", "split", "folder")


@lru_cache(4096)  # a table asks for the same few words a million times
def split_role(name: str) -> str | None:
    """Return `train`, `val` or `test` for a name that means only it.

    >>> [split_role(name) for name in ("Training", "seg_test", "val2017", "trainset", "train station")]
    ['train', 'test', 'val', 'train', None]
    """
    words = re.split(r"[\W\d_]+", name.lower())
    words = [re.sub("(set|data|images)$", "", word) for word in words if word not in FILLERS]
    return ROLES.get(words[0]) if len(words) == 1 else None
