"""Tells images from other files, by the ending or the first bytes."""

import importlib.util
import os
from functools import cache

from datavol.data.sources.files.found import BY_TOOLS, LEFT_BY_TOOLS

HEIF_ENDINGS = (".heic", ".heif", ".hif")  # read where `pip install 'datavol[heif]'` has been typed
IMAGE_ENDINGS = frozenset(
    (
        *(".jpg", ".jpeg", ".jfif", ".jpe", ".jif"),
        *(".png", ".gif", ".webp", ".avif", ".bmp", ".dib", ".tif", ".tiff", ".tga"),
        *(".ppm", ".pgm", ".pbm", ".pnm", ".jp2", ".j2k"),
        *(HEIF_ENDINGS if importlib.util.find_spec("pillow_heif") else ()),
    )
)
UNREAD_ENDINGS = (
    frozenset(
        (
            *HEIF_ENDINGS,
            *(
                ".raw",
                ".dng",
                ".cr2",
                ".cr3",
                ".crw",
                ".nef",
                ".nrw",
                ".arw",
                ".sr2",
                ".orf",
                ".rw2",
                ".raf",
                ".pef",
                ".srw",
            ),
            *(
                ".psd",
                ".psb",
                ".xcf",
                ".svg",
                ".svgz",
                ".eps",
                ".ai",
                ".jxl",
                ".exr",
                ".hdr",
                ".dcm",
                ".nii",
                ".jpm",
                ".heics",
            ),
        )
    )
    - IMAGE_ENDINGS
)  # of images that no decoder here reads
NO_ENDING = "without ending"
OF_TOOLS = frozenset(
    (
        *(b"__macosx", b"@eadir", b"#recycle", b"@recycle", b"$recycle.bin", b"lost+found"),
        *(b"system volume information", b"thumbs.db", b"ehthumbs.db", b"desktop.ini", b"icon\r"),
        *(b".ipynb_checkpoints", b".thumbnails"),
    )
)
THUMBNAILS = ("thumbs", "thumb", "thumbnails", "thumbnail")
SNIFFED = ("JPEG", "PNG", "GIF", "WEBP", "AVIF", "BMP", "TIFF", "JPEG2000", "PPM")


def kind_of(name: bytes) -> str:
    """Classify a file by its ending, or as hidden or without one.

    >>> kind_of(b"a.JPG"), kind_of(b"LICENSE"), kind_of(b"._a.jpg"), kind_of(b"@eaDir")
    ('.jpg', 'without ending', 'hidden', '@eaDir left by tools')
    """
    lower = name.lower()
    if lower in OF_TOOLS:
        return os.fsdecode(name).strip() + LEFT_BY_TOOLS
    if lower.startswith(b"."):
        return BY_TOOLS
    ending = os.path.splitext(lower)[1]
    if len(ending) > 9 or not ending[1:].isalnum() or ending[1:].isdigit():  # `img.0001` has none
        return NO_ENDING
    return ending.decode()


def is_image(beginning: bytes) -> bool:
    r"""Return whether a file that begins so is an image.

    >>> is_image(b"\x89PNG\r\n\x1a\n"), is_image(b"Permission is hereby granted")
    (True, False)
    """
    return any(accept(beginning) for accept in _accepting())


@cache
def _accepting():  # type: ignore[no-untyped-def]
    from PIL import Image  # late: most data sets have endings

    Image.init()
    return [accept for name in SNIFFED if (accept := Image.OPEN.get(name, (None, None))[1])]


def first_bytes(path: str | bytes) -> bytes:
    """Read how a file begins; nothing of what is no file."""
    try:
        if not os.path.isfile(path):  # a pipe would never answer
            return b""
        with open(path, "rb") as file:
            return file.read(64)
    except OSError:
        return b""
