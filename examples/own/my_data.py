"""A data set of one's own: `data=own data._target_=my_data.Shapes data.val_fraction=0.2 +data.images=600`."""

import random

from PIL import Image, ImageDraw


class Shapes:
    """Draws circles, squares and triangles; each series of five has one colour and background."""

    classes = ("circle", "square", "triangle")

    def __init__(self, images: int = 300, side: int = 32) -> None:
        self.side = side
        self.labels = [position % 3 for position in range(images)]
        self.groups = [f"series {position // 15} of {self.classes[position % 3]}" for position in range(images)]

    def read(self, position: int) -> Image.Image:
        """Draw an image, the same at every call."""
        look, place = random.Random(self.groups[position]), random.Random(position)
        image = Image.new("RGB", (self.side, self.side), self._colour(look))
        size = place.randint(self.side // 4, self.side // 2)
        x, y = (place.randint(0, self.side - size) for _ in range(2))
        draw, colour = ImageDraw.Draw(image), self._colour(look)
        if self.labels[position] == 0:
            draw.ellipse((x, y, x + size, y + size), fill=colour)
        elif self.labels[position] == 1:
            draw.rectangle((x, y, x + size, y + size), fill=colour)
        else:
            draw.polygon(((x, y + size), (x + size, y + size), (x + size // 2, y)), fill=colour)
        return image

    @staticmethod
    def _colour(look: random.Random) -> tuple[int, int, int]:
        return look.randint(0, 255), look.randint(0, 255), look.randint(0, 255)
