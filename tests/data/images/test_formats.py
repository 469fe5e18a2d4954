"""Opens files of every ending, and tells limits from damage."""

import struct
import zlib

import numpy as np
import pytest
from factories.deep_images import deep_png
from factories.encoded import encoded
from PIL import Image, PngImagePlugin

from datavol.data.images import formats
from datavol.data.images.decode import decode, decode_file
from datavol.data.images.pixel_rules import sample_range
from datavol.data.sources.files.file_table import DamagedImage, FileSplit, join_names
from datavol.data.sources.storage.folder import Folder

COLOURS = Image.fromarray(np.random.default_rng(0).integers(0, 256, (3, 4, 3), dtype=np.uint8)).resize((40, 32), 0)
LOSSLESS = {
    **{"bmp": "BMP", "dib": "DIB", "png": "PNG", "apng": "PNG", "ppm": "PPM", "pnm": "PPM", "tga": "TGA"},
    **{"tif": "TIFF", "jp2": "JPEG2000", "j2k": "JPEG2000", "jpx": "JPEG2000", "webp": "WEBP"},
}
LOSSY = {**dict.fromkeys(["jpg", "jpeg", "jpe", "jfif", "jif"], "JPEG"), "avif": "AVIF", "heic": "HEIF"}
OF_MODE = {"pbm": ("PPM", "1"), "pgm": ("PPM", "L"), "gif": ("GIF", "P")}


def holding(tmp_path, content: bytes) -> FileSplit:
    (tmp_path / "x").write_bytes(content)
    return FileSplit(Folder(str(tmp_path)), join_names([b"x"]), np.zeros(1, dtype=np.int64))


def pixels(content: bytes) -> np.ndarray:
    return decode(content).permute(1, 2, 0).numpy().astype(int)


@pytest.mark.parametrize("ending", [*LOSSLESS, *LOSSY, *OF_MODE])
def test_every_ending_decodes(ending):
    if ending in LOSSLESS:
        options = {"lossless": True} if ending == "webp" else {"no_jp2": ending == "j2k"} if ending[0] == "j" else {}
        assert np.array_equal(pixels(encoded(COLOURS, LOSSLESS[ending], **options)), np.asarray(COLOURS))
    elif ending in LOSSY:
        options = {"chroma": 444} if ending == "heic" else {"subsampling": 0 if ending[0] == "j" else "4:4:4"}
        assert np.abs(pixels(encoded(COLOURS, LOSSY[ending], quality=100, **options)) - np.asarray(COLOURS)).max() < 10
    else:
        form, mode = OF_MODE[ending]
        image = COLOURS.convert(mode)
        assert np.array_equal(pixels(encoded(image, form)), np.asarray(image.convert("RGB")))


@pytest.mark.parametrize("form", ["GIF", "WEBP", "PNG", "AVIF", "TIFF"])
def test_of_several_frames_the_first_counts_and_it_is_told(form, tmp_path):
    others = [Image.new("RGB", COLOURS.size, colour) for colour in ("red", "blue")]
    options = {"lossless": True} if form == "WEBP" else {"quality": 100} if form == "AVIF" else {}
    alone, several = (encoded(COLOURS, form, **options, **more) for more in ({}, {"save_all": True}))
    several = encoded(COLOURS, form, save_all=True, append_images=others, **options)
    assert np.abs(pixels(several) - pixels(alone)).max() <= (20 if form == "AVIF" else 0)
    assert [sample_range(holding(tmp_path, content)).frames for content in (alone, several)] == [0, 1]


@pytest.mark.parametrize("adobe", [True, False])
def test_inks_of_a_jpeg_are_read_as_adobe_writes_them(adobe):
    content = encoded(COLOURS.convert("CMYK"), "JPEG", quality=100)
    start = content.index(b"\xff\xee")  # the segment by which Adobe's programs say so
    content = content if adobe else content[:start] + content[start + 2 + content[start + 3] :]
    assert np.abs(pixels(content) - np.asarray(COLOURS)).max() < 8


def zero_wide_png() -> bytes:
    return deep_png(np.zeros((4, 4, 1))).replace(struct.pack(">II", 4, 4), struct.pack(">II", 0, 4))


def crc_mended(content: bytes) -> bytes:
    """Mend the checksum of a PNG's header."""
    return content[:29] + struct.pack(">I", zlib.crc32(content[12:29])) + content[33:]


DAMAGED = {
    "nothing": b"",
    "no image": b"a text",
    "a program of Ghostscript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 4 4\n%%EndComments\nshowpage\n",
    "no width": crc_mended(zero_wide_png()),
    "no width of a gray map": b"P5 0 4 255\n",
    "half a JPEG": encoded(COLOURS, "JPEG")[:400],
    "half a PNG": encoded(COLOURS, "PNG")[:-60],
    "half a HEIC": encoded(COLOURS, "HEIF")[:300],
}


@pytest.mark.parametrize("case", DAMAGED)
def test_damage_names_the_file(case, tmp_path):
    with pytest.raises(DamagedImage) as caught:
        decode_file(holding(tmp_path, DAMAGED[case]), 0)
    file = repr(str(tmp_path / "x"))
    assert str(caught.value).startswith(f"an image must be whole, got {file} (")
    assert str(caught.value).endswith("); mend or remove it, or try data.on_damaged=replace")


def test_limits_are_told_as_limits(tmp_path, monkeypatch):
    text = PngImagePlugin.PngInfo()
    text.add_text("comment", "x" * 5000, zip=True)
    cases = {
        "MOST_PIXELS": ("1,000 pixels, got 40 x 32 in {}; shrink it, or", encoded(COLOURS, "PNG")),
        "MAX_TEXT_CHUNK": ("bytes in a text or colour profile, got more in {}; remove them (`exiftool -all= FILE`), or",
                           encoded(COLOURS, "PNG", pnginfo=text)),
    }  # fmt: skip
    monkeypatch.setattr(formats, "MOST_PIXELS", 1000)
    monkeypatch.setattr(PngImagePlugin, "MAX_TEXT_CHUNK", 1000)
    for name, (line, content) in cases.items():
        if name == "MAX_TEXT_CHUNK":
            monkeypatch.setattr(formats, "MOST_PIXELS", 10**6)
        with pytest.raises(DamagedImage) as caught:
            decode_file(holding(tmp_path, content), 0)
        assert str(caught.value).startswith("an image may have at most ")
        assert str(caught.value).endswith(f"{line.format(repr(str(tmp_path / 'x')))} try data.on_damaged=replace")
