"""Opens image files of all formats, within limits."""

import io
from functools import cache

from PIL import Image, ImageFile, PngImagePlugin

from datavol.errors import ConfigError

MOST_PIXELS = 2**28  # 16,384 x 16,384, which takes 0.8 GB; a header may claim any size
MOST_TEXT = 2**27  # bytes of a text or a colour profile in a PNG
HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1")
RUNS_A_PROGRAM = "EPS"  # Pillow hands it to Ghostscript

Image.MAX_IMAGE_PIXELS = None  # `check_size` has one rule for all decoders
# Pillow refuses sound PNGs for 1 MiB of a colour profile or a text, none of which shows in the pixels. What a text may
# unpack to stays bounded.
PngImagePlugin.MAX_TEXT_CHUNK, PngImagePlugin.MAX_TEXT_MEMORY = MOST_TEXT, 2 * MOST_TEXT


class Refused(ValueError):
    """Reports a whole image that is too large or out of range."""

    def __init__(self, rule: str, got: str, remedy: str) -> None:
        super().__init__(f"{rule}, got {got}")
        self.rule, self.got, self.remedy = rule, got, remedy


def open_image(content: bytes) -> ImageFile.ImageFile:
    """Open a file's bytes, whatever their format; nothing is decoded yet.

    Raises:
        ConfigError: If it is a HEIC file, and pillow-heif is not installed.
        Refused: If it has too many pixels, or too much text.
        Exception: Whatever a decoder raises at a damaged file.
    """
    try:
        image = _open(content)
    except ValueError as error:
        if "MAX_TEXT" not in str(error):
            raise
        most = f"an image may have at most {MOST_TEXT:,} bytes in a text or colour profile"
        raise Refused(most, "more", "remove them (`exiftool -all= FILE`)") from None
    check_size(*image.size)
    return image


def check_size(width: int, height: int) -> None:
    """Raise for no pixels, or more than `MOST_PIXELS`."""
    if width < 1 or height < 1:
        raise ValueError(f"{width} x {height} pixels")
    if width * height > MOST_PIXELS:
        most = f"an image may have at most {MOST_PIXELS:,} pixels"
        raise Refused(most, f"{width:,} x {height:,}", "shrink it")


def is_heif(content: bytes) -> bool:
    """Return whether bytes begin like a HEIC file's."""
    if content[4:8] != b"ftyp" or content[8:12] not in HEIF_BRANDS:
        return False
    return b"avif" not in content[8 : min(int.from_bytes(content[:4], "big"), 256)]  # which Pillow reads itself


def check_heif() -> None:
    """Raise a ConfigError unless pillow-heif is installed."""
    try:
        import pillow_heif  # noqa: F401
    except ImportError as error:
        raise ConfigError(
            f"HEIC images must have pillow-heif to be read, got none ({error}); try `pip install 'datavol[heif]'`"
        ) from None


def _open(content: bytes) -> ImageFile.ImageFile:
    if not is_heif(content):
        return Image.open(io.BytesIO(content), formats=_formats())
    check_heif()
    from pillow_heif import HeifImageFile

    return HeifImageFile(io.BytesIO(content))


@cache
def _formats() -> tuple[str, ...]:
    """List Pillow's formats, without those it leaves to other programs."""
    Image.init()
    return tuple(name for name in Image.ID if name != RUNS_A_PROGRAM)
