"""Turns images upright, or back to how they are stored.

Pillow leaves an EXIF orientation to its caller, but for TIFF, which it turns on loading. HEIC and AVIF have a rotation
of their own, which counts in place of EXIF: pillow-heif turns by it on loading, Pillow gives it out as EXIF.
"""

from PIL import ExifTags, Image

Transpose = Image.Transpose

# How an image with an EXIF orientation is turned upright; 1 is upright
UPRIGHT = {
    2: Transpose.FLIP_LEFT_RIGHT,
    3: Transpose.ROTATE_180,
    4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_270,
    7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_90,
}
TURNED_ON_LOADING = ("TIFF", "HEIF")
_INVERSE = {Transpose.ROTATE_90: Transpose.ROTATE_270, Transpose.ROTATE_270: Transpose.ROTATE_90}
_ROTATED = {90: Transpose.ROTATE_90, 180: Transpose.ROTATE_180, 270: Transpose.ROTATE_270}  # by a HEIC, anti-clockwise
_MIRRORED = {0: Transpose.FLIP_TOP_BOTTOM, 1: Transpose.FLIP_LEFT_RIGHT}


def orientation_of(image: Image.Image) -> int:
    """Read the EXIF orientation, 1 where there is none."""
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # damaged EXIF does not make damaged pixels: it counts as none
        return 1


def turned_on_loading(image: Image.Image) -> list[Transpose]:
    """List the turns that loading an opened image will make."""
    if image.format not in TURNED_ON_LOADING:  # whose EXIF may only be read by loading
        return []
    return _heif_turns(image) if image.format == "HEIF" else turns_of(image)


def turns_of(image: Image.Image) -> list[Transpose]:
    """List the turns by EXIF that make an image upright."""
    orientation = orientation_of(image)
    return [UPRIGHT[orientation]] if orientation in UPRIGHT else []


def turned(image: Image.Image, turns: list[Transpose]) -> Image.Image:
    """Turn an image, step by step."""
    for turn in turns:
        image = image.transpose(turn)
    return image


def turned_back(image: Image.Image, turns: list[Transpose]) -> Image.Image:
    """Undo turns, the last one first."""
    return turned(image, [_INVERSE.get(turn, turn) for turn in reversed(turns)])


def _heif_turns(image: Image.Image) -> list[Transpose]:
    # Not public, but nothing public tells what pillow-heif has turned: its EXIF may say something else
    stored = image._heif_file[image.tell()]._c_image.transformations  # type: ignore[attr-defined]
    turns = {"irot": _ROTATED, "imir": _MIRRORED}
    return [turns[name][values[0]] for name, *values in stored if name in turns and values[0] in turns[name]]
