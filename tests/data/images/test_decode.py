"""Decodes files of every mode, and whatever is left of damaged ones."""

import random

import numpy as np
import pytest
import torch
from factories.deep_images import deep_png, deep_tiff
from factories.encoded import encoded
from factories.sources import split_of
from PIL import Image, PngImagePlugin

from datavol.data.images import formats
from datavol.data.images.decode import decode, decode_file
from datavol.data.images.formats import MOST_PIXELS
from datavol.data.images.pixel_rules import PLAIN, PixelRules, sample_range
from datavol.data.images.pixel_values import UNKNOWN, PixelRange
from datavol.data.sources.files.file_table import DamagedImage
from datavol.errors import RunError

RAMP = np.linspace(0, 1, 256).reshape(16, 16)
COLOURS = Image.fromarray(np.random.default_rng(0).integers(0, 256, (3, 4, 3), dtype=np.uint8)).resize((40, 30), 0)


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
        image = channels_last(decode_file(split, i, PixelRules(found)))
        assert np.abs(image - 255 * share * RAMP[..., None]).max() <= 1


@pytest.mark.parametrize("dtype", [np.int32, np.float32])
@pytest.mark.parametrize("white", [1, 255, 4095, 65535])
def test_tiffs_of_32_bits_are_neither_black_nor_white(dtype, white, tmp_path):
    if white == 1 and dtype is np.int32:
        white = 2**24 - 1
    Image.fromarray((RAMP * white).astype(dtype)).save(tmp_path / "x.tif")
    split = split_of(tmp_path)
    image = channels_last(decode_file(split, 0, PixelRules(sample_range(split))))
    assert np.abs(image - 255 * RAMP[..., None]).max() <= 1


def test_zero_may_be_white(tmp_path):
    Image.fromarray((RAMP * 65535).astype(np.uint16)).save(tmp_path / "x.tif", tiffinfo={262: 0})
    split = split_of(tmp_path)
    assert (
        np.abs(
            channels_last(decode_file(split, 0, PixelRules(sample_range(split)))) - 255 * (1 - RAMP[..., None])
        ).max()
        <= 1
    )


def test_a_range_is_sampled_from_files_that_open_and_8_bits_have_none(tmp_path):
    COLOURS.save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"x")
    COLOURS.save(tmp_path / "c.gif", save_all=True, append_images=[COLOURS.rotate(90)])
    assert sample_range(split_of(tmp_path)) == PixelRange(None, None, 1)
    assert str(UNKNOWN) == ""


REFUSED = {
    "alone of 12 bits": (np.uint16(RAMP * 4095), UNKNOWN, "integers from 0 to 4095", "[0,4095]"),
    "alone of 32 bits": (np.int32(RAMP * 255), UNKNOWN, "integers from 0 to 255", "[0,255]"),
    "alone of floats": (np.float32(RAMP), UNKNOWN, "floats from 0 to 1", "[0,1]"),
    "beyond": (np.uint16(RAMP * 9999), PixelRange(12), "integers from 0 to 9999", "[0,9999]"),
    "below 0": (np.int32(RAMP * 99 - 9), PixelRange(12), "integers from -9 to 90", "[-9,4095]"),
    "beyond what is asked": (np.int32(RAMP * 99), PixelRange(asked=(0, 50)), "integers from 0 to 99", "[0,99]"),
    "floats beyond": (np.float32(RAMP), PixelRange(asked=(-1, 0.5)), "floats from 0 to 1", "[-1,1]"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_has_no_known_range_is_refused(case, tmp_path):
    pixels, pixel_range, got, remedy = REFUSED[case]
    Image.fromarray(pixels).save(tmp_path / "x.tif")
    with pytest.raises(DamagedImage, match=r"pixels (of more than 8 bits )?must (have|go)") as caught:
        decode_file(split_of(tmp_path), 0, PixelRules(pixel_range))
    file = repr(str(tmp_path / "x.tif"))
    assert f"got {got} in {file}; try data.range={remedy}, or try data.on_damaged=replace" in str(caught.value)


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("pixel_range", [UNKNOWN, PixelRange(None, 1.0), PixelRange(asked=(0, 1))])
def test_what_is_no_number_is_in_no_range(value, pixel_range, tmp_path):
    Image.fromarray(np.float32([[0.5, value]])).save(tmp_path / "x.tif")
    with pytest.raises(DamagedImage, match=r"pixels must be numbers, got floats from .*x\.tif'; mend or remove it"):
        decode_file(split_of(tmp_path), 0, PixelRules(pixel_range))


def test_colours_of_16_bits_keep_their_upper_8_or_are_refused():
    pixels = np.asarray(COLOURS).astype(np.uint16)
    assert np.array_equal(channels_last(decode(deep_png(pixels * 257))), pixels)
    with pytest.raises(ValueError, match="must not be nearly black, got an image that leaves the upper 4 bits empty"):
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


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
@pytest.mark.parametrize("orientation", [0, 9])  # only 1 to 8 mean something: see test_pixel_rules
def test_an_orientation_without_a_meaning_counts_as_none(form, orientation):
    exif = Image.Exif()
    exif[274] = orientation
    plain = decode(encoded(COLOURS, form))
    for rule in ("apply", "ignore"):
        assert torch.equal(decode(encoded(COLOURS, form, exif=exif), PixelRules(exif=rule)), plain)


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
    monkeypatch.setattr(formats, "MOST_PIXELS", 40 * 30)
    assert decode(content).shape == (3, 30, 40)
    monkeypatch.setattr(formats, "MOST_PIXELS", 40 * 30 - 1)
    with pytest.raises(ValueError, match="an image may have at most 1,199 pixels, got 40 x 30"):
        decode(content)


@pytest.mark.parametrize("error", [RuntimeError("Failed to decode image: x\ny"), KeyError(), ZeroDivisionError("z")])
def test_whatever_a_decoder_raises_names_the_file(error, tmp_path, monkeypatch):
    COLOURS.save(tmp_path / "x.png")
    monkeypatch.setattr(Image, "open", lambda *_, **__: (_ for _ in ()).throw(error))
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
    monkeypatch.setattr(Image, "open", lambda *_, **__: (_ for _ in ()).throw(error))
    with pytest.raises(RunError if error is MemoryError else error) as caught:
        decode_file(split_of(tmp_path), 0)
    assert not isinstance(caught.value, DamagedImage)
    assert error is KeyboardInterrupt or "an image must fit into memory, got" in str(caught.value)


@pytest.mark.filterwarnings("ignore")  # Pillow warns of what it mends in damaged headers
@pytest.mark.parametrize("rounds", [400, pytest.param(16_000, marks=pytest.mark.slow)])
def test_nothing_but_damage_comes_out_of_mutated_files(rounds, tmp_path, monkeypatch):
    monkeypatch.setattr(formats, "MOST_PIXELS", MOST_PIXELS // 64)  # a header that claims more costs seconds
    exif = Image.Exif()
    exif[274] = 6
    whole = [encoded(COLOURS, form) for form in ("BMP", "GIF", "PPM", "JPEG2000", "TGA", "DIB")]
    whole += [deep_png(RAMP[..., None].repeat(4, 2) * 65535), deep_tiff(np.int64(RAMP[..., None].repeat(3, 2) * 9999))]
    whole += [encoded(COLOURS, "HEIF"), encoded(COLOURS, "GIF", save_all=True, append_images=[COLOURS.rotate(90)])]
    rules = [PixelRules(PixelRange(16, 255.0)), PixelRules(PixelRange(asked=(0, 65535)), "ignore", "drop"), PLAIN]
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
            image = decode_file(split, 0, rng.choice(rules))
            outcomes.add((image.dtype, image.shape[0]))
        except DamagedImage as error:
            line = str(error)
            outcomes.add(str(file) in line and line.endswith("try data.on_damaged=replace") and "\n" not in line)
    assert outcomes == {(torch.uint8, 3), True}
