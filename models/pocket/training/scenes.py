"""Training pictures, deterministic by seed: `render(seed)` -> picture, spec and subject mask.

Subjects are glyphs of Noto Color Emoji (OFL). Their places and sizes are whole multiples of
8 pixels, the cell of the autoencoder, so that a glyph is the same latents wherever it
stands: that is what lets a small U-Net learn it in minutes.
"""

import dataclasses
import functools
import os
import random

import numpy as np
from PIL import Image, ImageDraw, ImageFont

import places
import styles
from nouns import nouns

FONT = os.environ.get("POCKET_FONT") or "/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf"
RELATIONS = ["one", "two", "three", "left of", "on top of", "and"]
BUCKETS = [(128, 128), (192, 128), (128, 192), (160, 128), (128, 160), (256, 128), (128, 256)]


@dataclasses.dataclass(frozen=True)
class Subject:
    noun: int
    color: str      # "" keeps the glyph's own
    x: int          # left, in pixels at native size
    y: int
    size: int
    flip: bool


@dataclasses.dataclass(frozen=True)
class Spec:
    seed: int
    width: int
    height: int
    subjects: tuple
    relation: str
    place: str
    time: str       # "day" wherever there is no sky
    weather: str
    season: str
    style: str
    back: str       # colour of a plain background
    scale: str      # small | medium | big, of a single subject


class Renderer:
    """Renders specs. `size` picks the nouns ("cpu" | "gpu")."""

    def __init__(self, size: str = "cpu"):
        self.nouns = nouns(size)
        self.weights = [n[3] for n in self.nouns]
        self.font = ImageFont.truetype(FONT, 109)

    def spec(self, seed: int, bucket: tuple = (128, 128)) -> Spec:
        """A random scene. Seeds and buckets fully determine it."""
        rng = random.Random(f"scene/{seed}/{bucket}")
        w, h = bucket
        place = rng.choice(places.PLACES + ["snow", "forest", "city", "beach", "space", "clouds"])
        outdoor = place in places.OUTDOOR
        time = rng.choices(places.TIMES, (42, 19, 29, 10))[0] if outdoor else "day"
        weather = rng.choices(places.WEATHERS, (78, 9, 8, 5))[0] if outdoor and place != "clouds" else "clear"
        season = rng.choices(places.SEASONS, (70, 16, 14))[0] if place in places.SEASONAL else "none"
        style = rng.choices(styles.STYLES, (46, 6, 10, 8, 7, 8, 6, 9))[0]
        back = rng.choice(list(places.COLORS)) if place == "plain" else ""
        relation = rng.choices(RELATIONS, (72, 6, 3, 8, 6, 5))[0]
        scale = rng.choices(("small", "medium", "big"), (22, 53, 25))[0]
        return Spec(seed, w, h, self._subjects(rng, w, h, relation, scale), relation, place, time, weather, season, style, back,
                    scale if relation == "one" else "medium")

    def _subjects(self, rng, w, h, relation, scale):
        count = {"one": 1, "two": 2, "three": 3}.get(relation, 2)
        same = relation in ("two", "three")
        picks = []
        while len(picks) < (1 if same else count):
            n = rng.choices(range(len(self.nouns)), self.weights)[0]
            if n not in picks:
                picks.append(n)
        picks = picks * count if same else picks
        colors = [rng.choice(list(places.COLORS)) if rng.random() < 0.16 else "" for _ in picks]
        flip = rng.random() < 0.2
        cx = w // 2 + 8 * rng.randint(-1, 1) + (16 * rng.randint(-1, 1) if w > h else 0)
        floor = h - (8 if h <= w else 24)
        if relation == "one":
            size = {"small": 64, "medium": 88, "big": 112}[scale]
            x = cx - size // 2
            if scale == "small":
                x += 8 * rng.randint(-2, 2)
            x = x // 8 * 8
            y = floor - size if scale != "small" else floor - size - 8 * rng.randint(0, 1)
            boxes = [(x, y, size)]
        elif relation == "three":
            boxes = [(cx // 8 * 8 - 64 + 40 * i, floor - 48 - 8 * (i % 2), 40) for i in range(3)]
            boxes = [(max(0, min(w - 40, x)), y, s) for x, y, s in boxes]
        elif relation == "on top of":
            x = (cx - 32) // 8 * 8
            boxes = [(x + 8, floor - 64 - 44 + 4, 48), (x, floor - 64, 64)]
        else:
            x = cx // 8 * 8
            boxes = [(max(0, x - 64), floor - 56, 56), (min(w - 56, x + 8), floor - 56, 56)]
        return tuple(Subject(n, c, x, y, s, flip) for n, c, (x, y, s) in zip(picks, colors if not same else colors[:1] * count, boxes))

    @functools.lru_cache(maxsize=1024)
    def _glyph(self, noun: int) -> Image.Image:
        """The glyph's own pixels, cut to its box and centred at the bottom of a square."""
        image = Image.new("RGBA", (160, 160))
        ImageDraw.Draw(image).text((8, 8), self.nouns[noun][1], font=self.font, embedded_color=True)
        image = image.crop(image.getbbox())
        side = max(image.size)
        square = Image.new("RGBA", (side, side))
        square.paste(image, ((side - image.width) // 2, side - image.height))
        return square

    @functools.lru_cache(maxsize=8192)
    def _sprite(self, noun: int, color: str, size: int, flip: bool) -> np.ndarray:
        """[size,size,4] float32 in 0..1, alpha premultiplied."""
        image = self._glyph(noun).resize((size, size), Image.LANCZOS)
        if flip:
            image = image.transpose(Image.FLIP_LEFT_RIGHT)
        px = np.asarray(image, np.float32) / 255
        rgb, alpha = px[..., :3], px[..., 3:]
        if color:
            light = (rgb @ styles.LUMA)[..., None]
            tone = np.asarray(places.COLORS[color], np.float32) / 255
            if color == "black":
                dyed = 0.06 + 0.34 * light * np.asarray((0.95, 0.95, 1.05), np.float32)
            elif color == "white":
                dyed = 0.68 + 0.34 * light
            else:
                dyed = np.where(light < 0.5, tone * (0.35 + 1.3 * light), tone + (1 - tone) * (light - 0.5) * 1.3)
            rgb = 0.12 * rgb + 0.88 * dyed
        return np.concatenate([rgb.clip(0, 1) * alpha, alpha], -1)

    def draw(self, spec: Spec, zoom: int = 1) -> tuple[np.ndarray, np.ndarray]:
        """Spec -> picture uint8 [H,W,3] and subject mask float32 [H,W], both times `zoom`."""
        w, h = spec.width * zoom, spec.height * zoom
        rng = random.Random(f"draw/{spec.seed}")
        variant = rng.randrange(10)
        x = places.paint(spec.place, spec.time, spec.weather, spec.season, spec.back, variant, w, h).astype(np.float32) / 255
        mask = np.zeros((h, w), np.float32)
        light = np.asarray(places.SUBJECT_LIGHT[spec.time], np.float32)
        for s in spec.subjects:
            size, left, top = s.size * zoom, s.x * zoom, s.y * zoom
            sprite = self._sprite(s.noun, s.color, size, s.flip)
            if spec.place not in ("space", "underwater", "clouds") and spec.relation != "on top of":
                self._shade(x, left, top, size, zoom)
            area = x[top:top + size, left:left + size]
            area *= 1 - sprite[..., 3:]
            area += sprite[..., :3] * light
            mask[top:top + size, left:left + size] = np.maximum(mask[top:top + size, left:left + size], sprite[..., 3])
        if spec.weather in ("rain", "snowfall"):
            alpha = places.precipitation(spec.weather, variant % 4, w, h) * (0.55 if spec.weather == "rain" else 0.9)
            x = x * (1 - alpha) + alpha * (0.9 if spec.time != "night" else 0.75)
        x = styles.apply(spec.style, x, min(w, h) / 128, spec.seed)
        return (x.clip(0, 1) * 255 + 0.5).astype(np.uint8), mask

    @staticmethod
    def _shade(x, left, top, size, zoom):
        """A soft shadow on the ground under a subject."""
        half = max(2, size // 12)
        y0, y1 = top + size - half, min(x.shape[0], top + size + half)
        t = np.linspace(-1, 1, 2 * half, dtype=np.float32)[: y1 - y0, None]
        s = np.linspace(-1, 1, size, dtype=np.float32)[None]
        x[y0:y1, left:left + size] *= 1 - 0.4 * np.clip(1 - t * t - s * s, 0, 1)[..., None]

    def render(self, seed: int, bucket: tuple = (128, 128)):
        """seed -> (picture uint8 [H,W,3], spec, mask float32 [H,W])."""
        spec = self.spec(seed, bucket)
        picture, mask = self.draw(spec)
        return picture, spec, mask
