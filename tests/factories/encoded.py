"""Encodes images in any format."""

import io

from PIL import Image


def encoded(image: Image.Image, form: str, **options) -> bytes:
    if form == "HEIF":
        import pillow_heif

        pillow_heif.register_heif_opener()
    content = io.BytesIO()
    image.save(content, form, **options)
    return content.getvalue()
