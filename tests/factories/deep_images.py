"""Writes images of more than 8 bits that Pillow cannot, from the formats' specifications."""

import struct
import zlib

import numpy as np


def deep_png(values: np.ndarray) -> bytes:
    """Write 16-bit values (H, W, 1 to 4) as a PNG."""
    height, width, channels = values.shape

    def chunk(kind: bytes, data: bytes) -> bytes:
        return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")

    colour_type = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    head = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes([16, colour_type, 0, 0, 0])
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def deep_tiff(values: np.ndarray, order: str = "<", packed: bool = False, photometric: int | None = None) -> bytes:
    """Write values (H, W, C) as a TIFF of their depth, 16 bits for int64, in an order of bytes."""
    height, width, channels = values.shape
    kind = values.dtype if values.dtype != np.int64 else np.dtype(np.uint16)
    data = values.astype(kind.newbyteorder(order)).tobytes()
    data = zlib.compress(data) if packed else data

    def shorts(*numbers: int) -> bytes:
        return struct.pack(f"{order}{len(numbers)}H", *numbers)

    photometric = photometric if photometric is not None else 1 if channels == 1 else 2
    tags = {
        256: shorts(width),
        257: shorts(height),
        258: shorts(*[8 * kind.itemsize] * channels),
        259: shorts(8 if packed else 1),
        262: shorts(photometric),
        273: shorts(8),
        277: shorts(channels),
        278: shorts(height),
        279: shorts(len(data)),
        339: shorts(*[{"u": 1, "i": 2, "f": 3}[kind.kind]] * channels),
    }
    end, more, entries = 8 + len(data), b"", b""
    for tag, value in tags.items():
        if len(value) > 4:
            place, more = struct.pack(order + "L", end + len(more)), more + value
        else:
            place = value.ljust(4, b"\0")
        entries += shorts(tag, 3) + struct.pack(order + "L", len(value) // 2) + place
    directory = shorts(len(tags)) + entries + bytes(4)
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "L", end + len(more))
    return head + data + more + directory
