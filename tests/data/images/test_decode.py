"""Decodes files of every mode, and whatever is left of damaged ones."""

import io
import random
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, PngImagePlugin

from datavol.data.images import decode as decoding
from datavol.data.images.decode import MOST_PIXELS, decode, decode_file
from datavol.data.images.pixel_values import UNKNOWN, PixelRange, sample_range
from datavol.data.sources.files.file_table import DamagedImage, FileSplit, join_names
from datavol.data.sources.storage.folder import Folder
from datavol.errors import RunError

RAMP = np.linspace(0, 1, 256).reshape(16, 16)
COLOURS = Image.fromarray(np.random.default_rng(0).integers(0, 256, (3, 4, 3), dtype=np.uint8)).resize((40, 30), 0)


def split_of(root: Path) -> FileSplit:
    names = sorted(path.name.encode() for path in root.iterdir())
    return FileSplit(Folder(str(root)), join_names(names), np.zeros(len(names), dtype=np.int64))


def encoded(image: Image.Image, form: str, **options) -> bytes:
    content = io.BytesIO()
    image.save(content, form, **options)
    return content.getvalue()


def channels_last(image: torch.Tensor) -> np.ndarray:
    return image.permute(1, 2, 0).numpy().astype(int)


@pytest.mark.parametrize("form", ["PNG", "TIFF", "PPM"])
@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
def test_integers_deeper_than_8_bits_range_over_what_the_data_set_needs(form, bits, tmp_path):
    full, dark = (np.rint(RAMP * share * (2**bits - 1)).astype(np.uint16) for share in (1, 0.25))
    for name, pixels in (("full", full), ("dark", dark)):
        Image.fromarray(pixels).save(tmp_path / name, form)
    split = split_of(tmp_path)
    found = sample_range(split)
    assert str(found) == f"integers of {bits} bits (0 to {2**bits - 1:,})"
    for i, share in enumerate((0.25, 1)):  # dark, full: the brightness of each is kept
        assert np.abs(channels_last(decode_file(split, i, found)) - 255 * share * RAMP[..., None]).max() <= 1


@pytest.mark.parametrize("dtype", [np.int32, np.float32])
@pytest.mark.parametrize("white", [1, 255, 4095, 65535])
def test_tiffs_of_32_bits_are_neither_black_nor_white(dtype, white, tmp_path):
    if white == 1 and dtype is np.int32:
        white = 2**24 - 1
    Image.fromarray((RAMP * white).astype(dtype)).save(tmp_path / "x.tif")
    split = split_of(tmp_path)
    image = channels_last(decode_file(split, 0, sample_range(split)))
    assert np.abs(image - 255 * RAMP[..., None]).max() <= 1


def test_zero_may_be_white(tmp_path):
    Image.fromarray((RAMP * 65535).astype(np.uint16)).save(tmp_path / "x.tif", tiffinfo={262: 0})
    split = split_of(tmp_path)
    assert np.abs(channels_last(decode_file(split, 0, sample_range(split))) - 255 * (1 - RAMP[..., None])).max() <= 1


def test_a_range_is_sampled_from_files_that_open_and_8_bits_have_none(tmp_path):
    COLOURS.save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"x")
    COLOURS.save(tmp_path / "c.gif", save_all=True, append_images=[COLOURS.rotate(90)])
    assert sample_range(split_of(tmp_path)) == PixelRange(None, None, 1)
    assert str(UNKNOWN) == ""


REFUSED = {
    "alone of 12 bits": (np.uint16(RAMP * 4095), UNKNOWN, "integer pixels from 0 to 4095 have no known range"),
    "alone of 32 bits": (np.int32(RAMP * 255), UNKNOWN, "integer pixels from 0 to 255 have no known range"),
    "alone of floats": (np.float32(RAMP), UNKNOWN, "float pixels from 0 to 1 have no known range"),
    "beyond": (np.uint16(RAMP * 9999), PixelRange(12), "from 0 to 9999 where the data set's go from 0 to 4095"),
    "below 0": (np.int32(RAMP * 99 - 9), PixelRange(12), "from -9 to 90 where the data set's go from 0 to 4095"),
    "not a number": (np.full((4, 4), np.nan, dtype=np.float32), PixelRange(None, 1.0), "from nan to nan where"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_has_no_known_range_is_refused(case, tmp_path):
    pixels, pixel_range, reason = REFUSED[case]
    Image.fromarray(pixels).save(tmp_path / "x.tif")
    with pytest.raises(DamagedImage) as caught:
        decode_file(split_of(tmp_path), 0, pixel_range)
    assert reason in str(caught.value)
    assert str(tmp_path / "x.tif") in str(caught.value)


def deep_png(pixels: np.ndarray) -> bytes:
    """Write 16-bit RGB, which Pillow cannot, from the PNG specification."""
    height, width, _ = pixels.shape

    def chunk(kind: bytes, data: bytes) -> bytes:
        return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")

    head = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes([16, 2, 0, 0, 0])
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def test_colours_of_16_bits_keep_their_upper_8_or_are_refused():
    pixels = np.asarray(COLOURS).astype(np.uint16)
    assert np.array_equal(channels_last(decode(deep_png(pixels * 257))), pixels)
    with pytest.raises(ValueError, match="16-bit colours that leave the upper 4 bits empty"):
        decode(deep_png(pixels * 16))


@pytest.mark.parametrize("mode", ["1", "L", "P", "CMYK", "YCbCr", "LAB"])
def test_other_modes_become_rgb(mode):
    from PIL import ImageCms

    if mode == "LAB":
        profiles = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
        image = ImageCms.profileToProfile(COLOURS, *profiles, outputMode="LAB")
    else:
        image = COLOURS.convert(mode)
    expected = np.asarray(COLOURS.convert("RGB" if mode == "LAB" else mode).convert("RGB")).astype(int)
    got = channels_last(decode(encoded(image, "TIFF")))
    if mode == "LAB":  # whose 8 bits are coarser
        assert np.abs(got - expected).mean() < 2
    else:
        assert np.abs(got - expected).max() <= (3 if mode == "YCbCr" else 0)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA", "P", "RGB"])
def test_transparent_parts_lie_on_white(mode):
    """A black drawing on nothing would be black on black."""
    alpha = Image.fromarray(np.uint8(255 * (np.arange(1200).reshape(30, 40) % 40 < 20)))
    black = Image.new("RGB", (40, 30))
    options = {}
    if mode in ("P", "RGB"):
        image = Image.composite(black, Image.new("RGB", (40, 30), (1, 2, 3)), alpha)
        options["transparency"] = (1, 2, 3)
        if mode == "P":
            image = image.quantize(2)
            options["transparency"] = image.palette.colors[(1, 2, 3)]
    else:
        image = black.convert("L").convert(mode) if mode != "RGBA" else black.convert(mode)
        image.putalpha(alpha)
    image = image if mode != "PA" else image.convert("PA")
    got = channels_last(decode(encoded(image, "TIFF" if mode == "PA" else "PNG", **options)))
    assert np.array_equal(got, 255 - np.asarray(alpha)[..., None].repeat(3, 2))


UPRIGHT = {
    2: lambda a: a[:, ::-1],
    3: lambda a: np.rot90(a, 2),
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: np.rot90(a, 2).swapaxes(0, 1),
    8: lambda a: np.rot90(a),
}


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_the_orientation_of_exif_is_applied_in_every_format(form):
    plain = channels_last(decode(encoded(COLOURS, form)))
    for orientation in range(10):  # 1 to 8 mean something
        exif = Image.Exif()
        exif[274] = orientation
        turned = UPRIGHT.get(orientation, lambda a: a)(plain)
        assert np.array_equal(channels_last(decode(encoded(COLOURS, form, exif=exif))), turned), orientation


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_damaged_exif_is_none():
    content = encoded(COLOURS, "JPEG", exif=b"Exif\0\0MM\0*nonsense")
    assert np.array_equal(channels_last(decode(content)), channels_last(decode(encoded(COLOURS, "JPEG"))))


def test_large_profiles_and_texts_are_no_damage():
    text = PngImagePlugin.PngInfo()
    text.add_text("comment", "x" * 3_000_000, zip=True)
    text.add_itxt("more", "y" * 2_000_000, zip=True)
    content = encoded(COLOURS, "PNG", icc_profile=random.Random(0).randbytes(2_000_000), pnginfo=text)
    assert np.array_equal(channels_last(decode(content)), np.asarray(COLOURS))


@pytest.mark.parametrize("form", ["JPEG", "PNG", "BMP"])
def test_one_limit_of_pixels_for_all_formats(form, monkeypatch):
    content = encoded(COLOURS, form)
    monkeypatch.setattr(decoding, "MOST_PIXELS", 40 * 30)
    assert decode(content).shape == (3, 30, 40)
    monkeypatch.setattr(decoding, "MOST_PIXELS", 40 * 30 - 1)
    with pytest.raises(ValueError, match="40 x 30 are more than the 1,199 pixels that an image may have"):
        decode(content)


@pytest.mark.parametrize("error", [RuntimeError("Failed to decode image: x\ny"), KeyError(), ZeroDivisionError("z")])
def test_whatever_a_decoder_raises_names_the_file(error, tmp_path, monkeypatch):
    COLOURS.save(tmp_path / "x.png")
    monkeypatch.setattr(Image, "open", lambda _: (_ for _ in ()).throw(error))
    with pytest.raises(DamagedImage, match=r"x\.png' \((Failed to decode image: x y|KeyError|z)\); mend or remove it"):
        decode_file(split_of(tmp_path), 0)


def test_an_avif_without_its_pixels_is_damaged(tmp_path):
    content = encoded(COLOURS, "AVIF")
    start = content.index(b"mdat") + 4
    (tmp_path / "x.jpg").write_bytes(content[:start] + bytes(len(content) - start))
    with pytest.raises(DamagedImage, match=r"x\.jpg"):
        decode_file(split_of(tmp_path), 0)


@pytest.mark.parametrize("error", [MemoryError, KeyboardInterrupt])
def test_what_is_no_damage_of_a_file_is_kept_apart(error, tmp_path, monkeypatch):
    COLOURS.save(tmp_path / "x.png")
    monkeypatch.setattr(Image, "open", lambda _: (_ for _ in ()).throw(error))
    with pytest.raises(RunError if error is MemoryError else error) as caught:
        decode_file(split_of(tmp_path), 0)
    assert not isinstance(caught.value, DamagedImage)
    assert error is KeyboardInterrupt or "an image must fit into memory, got" in str(caught.value)


@pytest.mark.filterwarnings("ignore")  # Pillow warns of what it mends in damaged headers
@pytest.mark.parametrize("rounds", [400, pytest.param(16_000, marks=pytest.mark.slow)])
def test_nothing_but_damage_comes_out_of_mutated_files(rounds, tmp_path, monkeypatch):
    monkeypatch.setattr(decoding, "MOST_PIXELS", MOST_PIXELS // 64)  # a header that claims more costs seconds
    exif = Image.Exif()
    exif[274] = 6
    whole = [encoded(COLOURS, form) for form in ("BMP", "GIF", "PPM", "JPEG2000")]
    whole += [encoded(COLOURS, form, exif=exif) for form in ("JPEG", "PNG", "WEBP", "TIFF", "AVIF")]
    whole += [encoded(COLOURS.convert("CMYK"), "JPEG"), encoded(COLOURS.convert("P"), "PNG", transparency=3)]
    whole += [encoded(COLOURS, "TIFF", compression="tiff_lzw"), encoded(COLOURS.convert("F"), "TIFF")]
    file, rng = tmp_path / "x.jpg", random.Random(0)
    file.touch()
    split, outcomes = split_of(tmp_path), set()
    for _ in range(rounds):
        content = bytearray(rng.choice(whole))
        for _ in range(rng.choice([1, 2, 8])):
            content[rng.randrange(min(len(content), rng.choice([40, 200, 10**6])))] = rng.randrange(256)
        file.write_bytes(content[: rng.choice([len(content), rng.randrange(len(content))])])
        try:
            image = decode_file(split, 0, PixelRange(16, 255.0))
            outcomes.add((image.dtype, image.shape[0]))
        except DamagedImage as error:
            line = str(error)
            outcomes.add(line.startswith(f"an image must be whole, got {str(file)!r} (") and "\n" not in line)
    assert outcomes == {(torch.uint8, 3), True}
