"""Subjects no emoji shows, drawn with the soft shading of Fluent's: `drawn(name)` -> RGBA of 256 px."""

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

SIDE = 1024


def _round(mask: Image.Image, color, light=0.55) -> Image.Image:
    """A shape filled as if it were a cylinder lit from the left."""
    x = np.linspace(-1, 1, SIDE, dtype=np.float32)[None, :, None]
    alpha = np.asarray(mask, np.float32) / 255
    columns = np.where(alpha.max(0) > 0)[0]
    a, b = columns.min(), columns.max()
    x = ((np.arange(SIDE) - a) / max(1, b - a) * 2 - 1).clip(-1, 1)[None, :, None]
    shade = 1.12 - light * np.abs(x + 0.35) ** 1.5 * 0.7
    rgb = (np.asarray(color, np.float32)[None, None] * shade).clip(0, 255)
    rgb = np.broadcast_to(rgb, (SIDE, SIDE, 3))
    return Image.fromarray(np.dstack([rgb, alpha * 255]).astype(np.uint8), "RGBA")


class Sheet:
    def __init__(self):
        self.image = Image.new("RGBA", (SIDE, SIDE))

    def add(self, color, kind: str, where, light=0.55) -> None:
        mask = Image.new("L", (SIDE, SIDE))
        draw = ImageDraw.Draw(mask)
        getattr(draw, kind)(where, fill=255) if kind != "rounded_rectangle" else draw.rounded_rectangle(where, 40, fill=255)
        self.image.alpha_composite(_round(mask.filter(ImageFilter.GaussianBlur(2)), color, light))


def lighthouse(s: Sheet) -> None:
    s.add((120, 115, 120), "ellipse", (200, 900, 824, 1020))
    edge = lambda y: (130 - 60 * (960 - y) / 680, y)
    for k, color in enumerate(((235, 60, 60), (250, 250, 250)) * 3):
        y0, y1 = 960 - 120 * k, 960 - 120 * (k + 1)
        if y1 < 290:
            break
        a, b = edge(y0)[0] * 1.3, edge(y1)[0] * 1.3
        s.add(color, "polygon", [(512 - a, y0), (512 + a, y0), (512 + b, y1), (512 - b, y1)])
    s.add((70, 75, 90), "rounded_rectangle", (380, 300, 644, 370))
    s.add((255, 225, 110), "rectangle", (430, 180, 594, 305), 0.2)
    s.add((70, 75, 90), "rectangle", (505, 180, 519, 305))
    s.add((225, 50, 50), "polygon", [(400, 185), (624, 185), (512, 50)])
    s.add((70, 60, 70), "rounded_rectangle", (462, 830, 562, 965))


def windmill(s: Sheet) -> None:
    s.add((205, 165, 120), "polygon", [(330, 1000), (694, 1000), (610, 400), (414, 400)])
    s.add((165, 70, 55), "polygon", [(380, 410), (644, 410), (512, 230)])
    s.add((110, 70, 50), "rounded_rectangle", (450, 820, 574, 1000))
    s.add((120, 200, 245), "ellipse", (470, 600, 554, 684))
    for dx, dy in ((1, 1), (-1, 1), (1, -1), (-1, -1)):
        s.add((120, 85, 60), "polygon", [(512, 388), (512, 412), (512 + dx * 320, 400 + dy * 320 + 10), (512 + dx * 320, 400 + dy * 320 - 10)])
        s.add((250, 245, 235), "polygon", [(512 + dx * 80, 400 + dy * 60), (512 + dx * 330, 400 + dy * 310), (512 + dx * 250, 400 + dy * 370), (512 + dx * 40, 400 + dy * 140)])
    s.add((90, 60, 45), "ellipse", (470, 358, 554, 442))


def hot_air_balloon(s: Sheet) -> None:
    s.add((140, 95, 60), "rounded_rectangle", (430, 870, 594, 1010))
    for x in (440, 584):
        s.add((110, 80, 60), "polygon", [(x, 880), (x + 8, 880), (512 + (x - 512) * 1.8 + 8, 690), (512 + (x - 512) * 1.8, 690)])
    s.add((235, 70, 60), "polygon", [(190, 520), (834, 520), (600, 790), (424, 790)])
    s.add((235, 70, 60), "ellipse", (162, 20, 862, 720))
    s.add((255, 205, 70), "ellipse", (300, 20, 724, 722))
    s.add((255, 205, 70), "polygon", [(330, 580), (694, 580), (560, 790), (464, 790)])
    s.add((235, 70, 60), "ellipse", (432, 20, 592, 722))
    s.add((235, 70, 60), "polygon", [(445, 560), (579, 560), (535, 790), (489, 790)])


def submarine(s: Sheet) -> None:
    s.add((150, 110, 40), "polygon", [(60, 420), (190, 560), (60, 740)])
    s.add((225, 165, 40), "rounded_rectangle", (440, 210, 620, 420))
    s.add((120, 120, 130), "rectangle", (560, 90, 590, 220))
    s.add((120, 120, 130), "rectangle", (560, 90, 670, 125))
    s.add((250, 195, 55), "ellipse", (110, 340, 990, 820))
    s.add((225, 165, 40), "ellipse", (160, 640, 940, 810))
    for x in (360, 560, 760):
        s.add((120, 90, 50), "ellipse", (x - 72, 490, x + 72, 634))
        s.add((130, 215, 250), "ellipse", (x - 52, 510, x + 52, 614))


DRAWN = {"lighthouse": lighthouse, "windmill": windmill, "hot air balloon": hot_air_balloon, "submarine": submarine}


def drawn(name: str) -> Image.Image:
    sheet = Sheet()
    DRAWN[name](sheet)
    return sheet.image.resize((256, 256), Image.LANCZOS)
