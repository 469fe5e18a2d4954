"""Tests `data.exif`, `data.range` and `data.alpha` in every format, against NumPy."""

import io
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from factories.deep_images import deep_png, deep_tiff
from PIL import Image
from pydantic import ValidationError

from datavol.config.compose import compose
from datavol.config.identity import hash_of, hashed_values
from datavol.data.images.cache_reader import store_of
from datavol.data.images.decode import decode, decode_file
from datavol.data.images.pixel_rules import PLAIN, PixelRules, rules_of, sample_range
from datavol.data.images.pixel_values import PixelRange
from datavol.data.sources.files.file_table import DamagedImage, FileSplit, join_names
from datavol.data.sources.storage.folder import Folder
from datavol.errors import ConfigError

COLOURS = Image.fromarray(np.random.default_rng(0).integers(0, 256, (3, 4, 3), dtype=np.uint8)).resize((64, 48), 0)
STORED = {  # how the rows and columns of an upright image (H, W, C) are stored, from the EXIF specification
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: a[::-1].swapaxes(0, 1)[::-1, ::-1],
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: lambda a: a[:, ::-1].swapaxes(0, 1)[::-1, ::-1],
}
FORMS = {
    "JPEG": {"subsampling": 0, "quality": 100},
    "JPEG of inks": {"quality": 100},
    "PNG": {},
    "WEBP": {"lossless": True},
    "TIFF": {},
    "TIFF of 16 bits": {},
    "TIFF, packed": {"compression": "tiff_lzw"},
    "AVIF": {"quality": 100, "subsampling": "4:4:4"},
    "HEIF": {"quality": -1, "chroma": 444},
}


def encoded(image: Image.Image, form: str, **options) -> bytes:
    if form == "HEIF":
        import pillow_heif

        image.info["exif"] = options.pop("exif", Image.Exif()).tobytes()  # only so is it turned for others, too
        pillow_heif.register_heif_opener()
    content = io.BytesIO()
    image.save(content, form, **options)
    return content.getvalue()


def pixels(content: bytes, rules: PixelRules = PLAIN) -> np.ndarray:
    return decode(content, rules).permute(1, 2, 0).numpy().astype(int)


def folder_of(root: Path, files: dict[str, bytes]) -> FileSplit:
    for name, content in files.items():
        (root / name).write_bytes(content)
    names = sorted(name.encode() for name in files)
    return FileSplit(Folder(str(root)), join_names(names), np.zeros(len(names), dtype=np.int64))


@pytest.mark.parametrize("form", FORMS)
def test_an_orientation_is_applied_or_ignored_in_every_format(form):
    upright = np.asarray(COLOURS.convert("L") if "16" in form else COLOURS)
    upright = upright[..., None].repeat(3, 2) if "16" in form else upright
    for orientation, stored in STORED.items():
        exif, there = Image.Exif(), np.ascontiguousarray(stored(upright))
        exif[274] = orientation
        image = Image.fromarray(there)
        if "16" in form:
            image = Image.fromarray(there[..., 0].astype(np.uint16) * 257)
        elif "inks" in form:
            image = image.convert("CMYK")
        content = encoded(image, form.split(",")[0].split(" ")[0], exif=exif, **FORMS[form])
        for rule, wanted in (("apply", upright), ("ignore", there)):
            got = pixels(content, PixelRules(PixelRange(16), exif=rule))
            assert got.shape == wanted.shape, (orientation, rule)
            assert np.abs(got - wanted).max() <= (8 if form[0] in "JAH" else 0), (orientation, rule)


GRAY = np.arange(16).reshape(4, 4)
COLOUR = np.arange(48).reshape(4, 4, 3)
BELOW = GRAY * 16 - 128  # -128 to 112


def tiff(values: np.ndarray, **tags) -> bytes:
    return encoded(Image.fromarray(values), "TIFF", **tags)


def pgm(values: np.ndarray, largest: int) -> bytes:
    kind = b"P6" if values.ndim == 3 else b"P5"
    return b"%s %d %d %d\n" % (kind, *values.shape[1::-1], largest) + values.astype(">u2").tobytes()


def scaled(values: np.ndarray, low: float, high: float) -> np.ndarray:
    rgb = np.rint((values - low) * 255 / (high - low)).astype(int)
    return rgb if rgb.ndim == 3 else rgb[..., None].repeat(3, 2)


def upper(values: np.ndarray, bits: int) -> np.ndarray:
    rgb = values >> (bits - 8)
    return rgb if rgb.ndim == 3 else rgb[..., None].repeat(3, 2)


RANGES = {  # a file, data.range, pixels
    "12 bits in 16, PNG": (encoded(Image.fromarray(np.uint16(GRAY * 273)), "PNG"), 12, upper(GRAY * 273, 12)),
    "12 bits in 16, TIFF": (tiff(np.uint16(GRAY * 273)), 12, upper(GRAY * 273, 12)),
    "12 bits in 16, big-endian": (deep_tiff(GRAY[..., None] * 273, ">"), 12, upper(GRAY * 273, 12)),
    "the same by its ends": (tiff(np.uint16(GRAY * 273)), [0, 4095], upper(GRAY * 273, 12)),
    "14 bits in a PGM of 16": (pgm(GRAY * 1092, 65535), 14, upper(GRAY * 1092, 14)),
    "12 bits in a PGM of 12": (pgm(GRAY * 273, 4095), 12, upper(GRAY * 273, 12)),
    "bits found out": (tiff(np.uint16(GRAY * 273)), "auto", upper(GRAY * 273, 12)),
    "8 bits in 32": (tiff(np.int32(GRAY * 17)), 8, upper(GRAY * 17, 8)),
    "8 bits in 32, found out": (tiff(np.int32(GRAY * 17)), "auto", upper(GRAY * 17, 8)),
    "31 bits": (tiff(np.int32(GRAY * 2**27)), 31, upper(GRAY * 2**27, 31)),
    "all 32 bits, unsigned": (deep_tiff(np.uint32(GRAY[..., None]) << 28, "<"), "auto", upper(GRAY << 28, 32)),
    "16 bits, signed": (deep_tiff(np.int16(GRAY * 200 - 1000)[..., None], "<"), [-1000, 3000],
                        scaled(GRAY * 200 - 1000, -1000, 3000)),
    "32 bits, signed": (tiff(np.int32(GRAY * 200 - 1000)), [-1024, 3071], scaled(GRAY * 200 - 1000, -1024, 3071)),
    "8 bits, signed": (deep_tiff(np.int8(BELOW)[..., None], "<"), [-128, 127], scaled(BELOW, -128, 127)),
    "floats": (tiff(np.float32(GRAY / 15)), [-0.5, 1.5], scaled(GRAY / 15, -0.5, 1.5)),
    "floats of bits": (tiff(np.float32(GRAY * 273)), 12, scaled(GRAY * 273, 0, 4095)),
    "colours in a PNG": (deep_png(COLOUR * 80), 12, upper(COLOUR * 80, 12)),
    "colours in a TIFF": (deep_tiff(COLOUR * 80, "<"), 12, upper(COLOUR * 80, 12)),
    "colours, big-endian": (deep_tiff(COLOUR * 80, ">"), 12, upper(COLOUR * 80, 12)),
    "colours, packed": (deep_tiff(COLOUR * 80, "<", packed=True), 12, upper(COLOUR * 80, 12)),
    "colours in a PPM": (pgm(COLOUR * 80, 65535), 12, upper(COLOUR * 80, 12)),
    "colours between ends": (deep_png(COLOUR * 80), [0, 5000], scaled(COLOUR * 80, 0, 5000)),
    "colours of all 16": (deep_png(COLOUR * 1300), "auto", upper(COLOUR * 1300, 16)),
    "8 bits stay": (encoded(Image.fromarray(np.uint8(GRAY)), "PNG"), [0, 10], upper(GRAY, 8)),
}  # fmt: skip


USUAL = compose(["data=image_folder", "data.root=x"])[0].config.data


def configured(**keys):
    return type(USUAL).model_validate(USUAL.model_dump() | keys)


@pytest.mark.parametrize("case", RANGES)
def test_deep_pixels_range_over_what_is_asked_or_found(case, tmp_path):
    content, chosen, expected = RANGES[case]
    split = folder_of(tmp_path, {"x": content})
    rules = rules_of(configured(range=chosen), split)
    got = decode_file(split, 0, rules).permute(1, 2, 0).numpy().astype(int)
    assert np.array_equal(got, expected)


@pytest.mark.parametrize("chosen", ["auto", 12, [0, 3000]])
@pytest.mark.parametrize("bytes_of", [deep_png, deep_tiff, lambda values: pgm(values, 65535)])
def test_deep_colours_are_never_black(bytes_of, chosen):
    dark = COLOUR * 80  # of 12 bits
    rules = PixelRules(PixelRange(asked=None if chosen == "auto" else (0, 4095) if chosen == 12 else tuple(chosen)))
    if chosen == 12:
        assert np.array_equal(pixels(bytes_of(dark), rules), upper(dark, 12))
        return
    with pytest.raises(ValueError, match=r"nearly black|must go from 0 to 3000"):
        pixels(bytes_of(dark), rules)


@pytest.mark.parametrize("values", [np.int32(GRAY - 5), np.float32(GRAY * 1e6), np.float32(GRAY - 0.5)])
def test_a_sample_of_no_usual_range_is_refused_before_training(values, tmp_path):
    split = folder_of(tmp_path, {f"{i}": tiff(values + i) for i in range(3)})
    low, high = values.min(), values.max() + 2
    remedy = f"[{low:.15g},{high:.15g}]"
    with pytest.raises(ConfigError, match=r"data.range must be given where pixels have no usual range") as caught:
        rules_of(configured(), split)
    assert str(caught.value).endswith(f"try data.range={remedy}")
    rules = rules_of(configured(range=json.loads(remedy)), split)  # which holds them all
    assert {decode_file(split, i, rules).dtype for i in range(3)} == {torch.uint8}


def test_a_sample_of_one_value_has_a_remedy_that_is_a_range(tmp_path):
    split = folder_of(tmp_path, {"0": tiff(np.full((4, 4), -5, dtype=np.int32))})
    with pytest.raises(ConfigError, match=r"from -5 to -5 in a sample .*; try data\.range=\[-5,-4\]"):
        rules_of(configured(), split)
    rules_of(configured(range=[-5, -4]), split)


def test_one_image_of_no_numbers_does_not_spoil_the_sample(tmp_path):
    files = {"a": np.float32(GRAY / 15), "b": np.full((4, 4), np.nan, dtype=np.float32)}
    split = folder_of(tmp_path, {name: tiff(values) for name, values in files.items()})
    rules = rules_of(configured(), split)
    assert rules.range.white == 1
    with pytest.raises(DamagedImage, match="pixels must be numbers"):
        decode_file(split, 1, rules)


def test_what_is_assumed_is_told_and_a_range_too_wide_is_a_warning(tmp_path):
    split = folder_of(tmp_path, {"x": tiff(np.uint16(GRAY * 200)), "y": encoded(COLOURS, "PNG")})
    assert rules_of(configured(), split).notes == [
        "note: pixels of more than 8 bits are taken as integers of 12 bits (0 to 4,095), as a sample of the training "
        "images needs; data.range=... takes others"
    ]
    assert rules_of(configured(range=12), split).notes == [
        "note: pixels of more than 8 bits are taken as 0 to 4095, as data.range says"
    ]
    assert rules_of(configured(range=16), split).notes[1:] == [
        "warning: pixels are nearly black, as data.range goes to 65535 and those of a sample of the training images to "
        "3000; try data.range=auto"
    ]


def test_a_run_keeps_what_its_first_session_found(tmp_path):
    """An evaluation on other files, or a resume, must not look at other pixels."""
    bright, dark = tiff(np.uint16(GRAY * 4000)), tiff(np.uint16(GRAY * 200))
    first = rules_of(configured(), folder_of(tmp_path, {"x": bright}))
    split = folder_of(tmp_path, {"x": dark})
    assert rules_of(configured(), split).range.bits == 12
    again = rules_of(configured(), split, first.facts)
    assert (again.range.bits, str(again.range)) == (16, str(first.range))
    assert rules_of(configured(range=12), split, first.facts).range.asked == (0, 4095)


ALPHA = np.uint8(255 * (np.arange(64) < 32))[None].repeat(48, 0)  # the left half shows
INSIDE = (10, 20, 30)  # the colour under what is transparent


def with_alpha(mode: str) -> tuple[bytes, np.ndarray]:
    """Encode a drawing with transparent parts in a mode; give its colours (H, W, 3) beneath them."""
    alpha, left = Image.fromarray(ALPHA), Image.new("RGB", (64, 48), (200, 100, 50))
    image = Image.composite(left, Image.new("RGB", (64, 48), INSIDE), alpha)
    gray = mode in ("LA", "L", "I;16", "LA of 16 bits")
    image = image.convert("L").convert("RGB") if gray else image
    beneath = np.asarray(image).astype(int)
    if mode in ("RGBA", "WEBP", "AVIF", "GIF"):
        image.putalpha(alpha)
        options = {"lossless": True, "exact": True} if mode == "WEBP" else {"quality": 100} if mode == "AVIF" else {}
        return encoded(image, mode if mode != "RGBA" else "PNG", **options), beneath
    if mode == "LA":
        image = image.convert("LA")
        image.putalpha(alpha)
        return encoded(image, "PNG"), beneath
    if mode == "LA of 16 bits":
        return deep_png(np.stack([beneath[..., 0] * 257, ALPHA.astype(int) * 257], 2)), beneath
    if mode == "RGBA of 16 bits":
        return deep_png(np.concatenate([beneath * 257, ALPHA[..., None].astype(int) * 257], 2)), beneath
    if mode == "PA":
        image = image.quantize(4).convert("PA")
        image.putalpha(alpha)
        return encoded(image, "TIFF"), beneath
    if mode == "P":
        image = image.quantize(4)
        return encoded(image, "PNG", transparency=image.getpixel((60, 0))), beneath
    if mode == "I;16":
        image = Image.fromarray(beneath[..., 0].astype(np.uint16) * 257)
        return encoded(image, "PNG", transparency=int(beneath[0, 60, 0]) * 257), beneath
    image = image.convert(mode)
    return encoded(image, "PNG", transparency=image.getpixel((60, 0))), beneath


@pytest.mark.parametrize("alpha", ["white", "black", (128, 0, 255), "drop"])
@pytest.mark.parametrize(
    "mode", ["RGBA", "LA", "PA", "P", "RGB", "L", "I;16", "WEBP", "AVIF", "LA of 16 bits", "RGBA of 16 bits"]
)
def test_transparent_parts_lie_on_a_colour_or_show_theirs(mode, alpha):
    content, beneath = with_alpha(mode)
    background = {"white": (255,) * 3, "black": (0,) * 3, "drop": None}.get(alpha, alpha)
    expected = beneath if background is None else np.where(ALPHA[..., None] > 0, beneath, background)
    ranges = [PixelRange(16), PixelRange(asked=(0, 65535))]
    for pixel_range in ranges:
        got = pixels(content, PixelRules(pixel_range, alpha=alpha))
        near = np.abs(got - expected)
        near = near[:, [*range(24), *range(40, 64)]] if mode == "AVIF" else near  # it blurs the edge
        assert near.max() <= (6 if mode == "AVIF" else 0)


def test_dark_colours_under_transparent_parts_are_refused_as_others_are():
    values = np.concatenate([COLOUR * 80, (GRAY[..., None] > 7) * 65535], 2)
    with pytest.raises(ValueError, match="nearly black"):
        pixels(deep_png(values))


def test_inks_faint_by_12_bits_are_refused():
    values = np.concatenate([COLOUR * 80, GRAY[..., None] * 0], 2)
    with pytest.raises(ValueError, match="nearly black"):
        pixels(deep_tiff(values, "<", photometric=5))


SAME = [("range", 12, [0, 4095]), ("alpha", "white", [255, 255, 255]), ("alpha", "black", [0, 0, 0])]


@pytest.mark.parametrize(("key", "first", "second"), SAME)
def test_one_rule_has_one_name(key, first, second):
    assert hash_of(configured(**{key: first})) == hash_of(configured(**{key: second}))


def test_rules_are_part_of_what_a_run_is_unless_usual():
    keys = [{"exif": "ignore"}, {"range": 12}, {"range": [0, 9]}, {"alpha": "drop"}, {"alpha": [1, 2, 3]}]
    assert len({hash_of(USUAL), *(hash_of(configured(**one)) for one in keys)}) == 1 + len(keys)
    assert not {"exif", "range", "alpha"} & set(hashed_values(USUAL))


WRONG = {
    "range": [7, 32, "12bit", True, [0], [5, 5], [9, 1], [0, "x"], [0, 1, 2], None],
    "alpha": ["red", [0, 0], [0, 0, 256], [-1, 0, 0], [0.5, 0, 0], None, 0],
    "exif": ["no", True, None],
}


@pytest.mark.parametrize(("key", "value"), [(key, value) for key, values in WRONG.items() for value in values])
def test_wrong_rules_are_refused(key, value):
    with pytest.raises(ValidationError):
        configured(**{key: value})


def test_the_cache_keeps_rules_apart_and_stays_valid_for_the_usual_ones(tmp_path):
    split = folder_of(tmp_path, {"x": b"x"})
    usual = [PLAIN, PixelRules(PixelRange(12)), PixelRules(PixelRange(frames=3, seen=(0, 9)))]
    folders = [store_of(split, 8, "cache", rules).folder for rules in usual]
    assert folders[0] == folders[2] != folders[1]
    others = [
        PixelRules(exif="ignore"),
        PixelRules(alpha="black"),
        PixelRules(alpha="drop"),
        PixelRules(alpha=(1, 2, 3)),
        PixelRules(PixelRange(asked=(0, 4095))),
        PixelRules(PixelRange(asked=(0, 4095)), "ignore", "drop"),
    ]
    assert len({*folders, *(store_of(split, 8, "cache", rules).folder for rules in others)}) == 2 + len(others)


def test_heic_without_its_library_is_one_line(monkeypatch, tmp_path):
    content = encoded(COLOURS.copy(), "HEIF")
    split = folder_of(tmp_path, {"x.jpg": content})
    assert sample_range(split) == PixelRange()
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    for look in (lambda: sample_range(split), lambda: decode_file(split, 0)):
        with pytest.raises(ConfigError, match=r"must have pillow-heif .*try `pip install 'datavol\[heif\]'`"):
            look()
