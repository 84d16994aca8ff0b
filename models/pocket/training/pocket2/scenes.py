"""Pocket 2's training pictures, deterministic by seed: `render(seed)` -> picture, spec, mask and who stands where.

Places, light, weather and style filters are pocket 1's at twice the side; subjects are Fluent Emoji 3D (MIT), or Noto (OFL)
for flat, emoji and sticker looks. Half of the scenes hold two or three subjects. Positions are whole cells of 16 px.
"""

import dataclasses
import functools
import random

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

import places
import styles
from pocket2.drawn import drawn
from pocket2.fetch import FLUENT
from pocket2.subjects import fluent_names, subjects
from scenes import FONT

CELL = 16
COLORS = {**places.COLORS, "brown": (130, 85, 50), "grey": (140, 142, 150)}
MATERIALS = ["", "glass", "wooden", "stone", "gold"]
STYLES = [*styles.STYLES, "emoji", "sticker"]
SCALES = ["small", "medium", "big"]
KINDS = {"one": 40, "empty": 2, "two": 5, "three": 4, "four": 3, "left of": 12, "on top of": 10, "in front of": 7, "with": 8, "and": 6, "trio": 4}
PAIRS = ("left of", "on top of", "in front of", "with", "and")
COUNTS = {"two": 2, "three": 3, "four": 4}
#: Subjects that are the place itself; they go well behind others and badly in their hands.
LARGE = set("""castle house tree church pagoda tower skyscraper factory hospital school stadium mosque lighthouse windmill mountain island bridge temple
shrine ship train bus truck volcano_rock ferris_wheel carousel tent hut statue_of_liberty rainbow pine palm christmas_tree sun moon planet
sofa bed door elephant whale airplane submarine hot_air_balloon""".replace("_", " ").split()) | {"volcano rock", "ferris wheel", "statue of liberty", "christmas tree", "hot air balloon"}


@dataclasses.dataclass(frozen=True)
class Subject:
    noun: int
    color: str       # "" keeps its own
    material: str
    x: int           # left, in pixels of 256
    y: int
    size: int
    flip: bool


@dataclasses.dataclass(frozen=True)
class Spec:
    seed: int
    subjects: tuple  # drawn in this order; distinct ones stand first to last from left, top or front
    kind: str
    place: str
    time: str
    weather: str
    season: str
    style: str
    back: str
    scale: str


def mirrored(noun: str, rng) -> bool:
    return rng.random() < 0.12


class Renderer:
    def __init__(self):
        self.nouns = subjects()
        self.weights = [n[3] for n in self.nouns]
        self.small = [w * (0.15 if n[0] in LARGE else 1) for n, w in zip(self.nouns, self.weights)]
        self.large = [w * (1 if n[0] in LARGE else 0.25) for n, w in zip(self.nouns, self.weights)]
        self.font = ImageFont.truetype(FONT, 109)

    def spec(self, seed: int) -> Spec:
        rng = random.Random(f"pocket2/{seed}")
        place = rng.choice([*places.PLACES, "snow", "forest", "city", "beach", "space", "meadow", "plain", "plain", "room"])
        outdoor = place in places.OUTDOOR
        time = rng.choices(places.TIMES, (46, 18, 28, 8))[0] if outdoor else "day"
        weather = rng.choices(places.WEATHERS, (84, 7, 5, 4))[0] if outdoor and place != "clouds" else "clear"
        season = rng.choices(places.SEASONS, (76, 13, 11))[0] if place in places.SEASONAL else "none"
        style = rng.choices(STYLES, (58, 5, 7, 6, 5, 6, 5, 5, 2, 2))[0]
        back = rng.choice(list(places.COLORS)) if place == "plain" else ""
        kind = rng.choices(list(KINDS), list(KINDS.values()))[0]
        scale = rng.choices(SCALES, (16, 50, 34))[0] if kind == "one" else "medium"
        if kind == "empty" and place == "plain":
            kind = "one"
        return Spec(seed, self._subjects(rng, kind, scale), kind, place, time, weather, season, style, back, scale)

    def _pick(self, rng, weights, taken=()):
        while (n := rng.choices(range(len(self.nouns)), weights)[0]) in taken:
            pass
        return n

    def _subjects(self, rng, kind, scale):
        if kind == "empty":
            return ()
        look = lambda: (rng.choice(list(COLORS)) if (r := rng.random()) < 0.22 else "", rng.choice(MATERIALS[1:]) if r > 0.96 else "")
        if kind == "one" or kind in COUNTS:
            picks = [self._pick(rng, self.weights)] * COUNTS.get(kind, 1)
            looks = [look()] * len(picks)
        elif kind == "in front of":
            a = self._pick(rng, self.small)
            picks, looks = [a, self._pick(rng, self.large, (a,))], [look(), look()]
        elif kind == "with":
            a = self._pick(rng, self.weights)
            picks, looks = [a, self._pick(rng, self.small, (a,))], [look(), look()]
        else:
            picks = []
            for _ in range(3 if kind == "trio" else 2):
                picks.append(self._pick(rng, self.weights, picks))
            looks = [look() for _ in picks]
        near = CELL * rng.randint(-1, 1)
        if kind == "one":
            side = {"small": 112, "medium": 160, "big": 208}[scale]
            x = (256 - side) // 2 + near + (CELL * rng.randint(-2, 2) if scale == "small" else 0)
            boxes = [(x // CELL * CELL, 240 - side - (CELL * rng.randint(0, 1) if scale != "big" else 0), side)]
        elif kind == "two":
            boxes = [(8 + CELL // 2, 128, 112), (128 + CELL // 2, 128, 112)]
        elif kind == "three":
            boxes = [(k * 80 + 8, 144 - CELL * (k % 2), 80) for k in range(3)]
        elif kind == "four":
            boxes = [(32 + 96 * (k % 2), 48 + 96 * (k // 2), 96) for k in range(4)]
        elif kind == "trio":
            boxes = [(k * 80 + 8, 144, 80) for k in range(3)]
        elif kind == "on top of":
            x = 64 + near
            boxes = [(x + CELL, 32 + 8, 96), (x, 112, 128)]
        elif kind == "in front of":
            left = rng.random() < 0.5
            boxes = [(32 if left else 112, 128, 112), (64, 16, 176)]
        elif kind == "with":
            left = rng.random() < 0.5
            boxes = [(64 + (CELL if left else -CELL), 64, 160), (24 if left else 152, 144, 80)]
        else:
            boxes = [(CELL, 128 - (CELL if rng.random() < 0.3 else 0), 112), (128, 128, 112)]
        return tuple(Subject(n, c, m, x, y, s, mirrored(self.nouns[n][0], rng)) for n, (c, m), (x, y, s) in zip(picks, looks, boxes))

    @functools.lru_cache(maxsize=1024)
    def _glyph(self, noun: int, noto: bool) -> Image.Image:
        name, glyph, *_ = self.nouns[noun]
        if glyph == "-":
            image = drawn(name)
        elif noto:
            image = Image.new("RGBA", (160, 160))
            ImageDraw.Draw(image).text((8, 8), glyph, font=self.font, embedded_color=True)
        else:
            image = next(Image.open(FLUENT / f).convert("RGBA") for f in fluent_names(glyph) if (FLUENT / f).exists())
        image = image.crop(image.getbbox())
        side = max(image.size)
        square = Image.new("RGBA", (side, side))
        square.paste(image, ((side - image.width) // 2, side - image.height))
        return square

    @functools.lru_cache(maxsize=900)
    def _sprite(self, noun: int, color: str, material: str, size: int, flip: bool, look: str) -> np.ndarray:
        """[size,size,4] f32 in 0..1, alpha premultiplied."""
        image = self._glyph(noun, look in ("flat", "emoji", "sticker")).resize((size, size), Image.LANCZOS)
        if flip:
            image = image.transpose(Image.FLIP_LEFT_RIGHT)
        if look == "sticker":
            rim = image.getchannel("A").filter(ImageFilter.MaxFilter(2 * (size // 40) + 3)).filter(ImageFilter.GaussianBlur(0.8))
            white = Image.new("RGBA", image.size, "white")
            white.putalpha(rim)
            white.alpha_composite(image)
            image = white
        px = np.asarray(image, np.float32) / 255
        rgb, alpha = px[..., :3], px[..., 3:]
        light = (rgb @ styles.LUMA)[..., None]
        if material:
            rgb, alpha = MATERIAL[material](rgb, alpha, light)
            light = (rgb @ styles.LUMA)[..., None]
        if color:
            tone = np.asarray(COLORS[color], np.float32) / 255
            if color == "black":
                dyed = 0.05 + 0.30 * light
            elif color == "white":
                dyed = 0.62 + 0.40 * light
            else:
                dyed = np.where(light < 0.5, tone * (0.35 + 1.3 * light), tone + (1 - tone) * (light - 0.5) * 1.2)
            rgb = 0.08 * rgb + 0.92 * dyed
        return np.concatenate([rgb.clip(0, 1) * alpha, alpha], -1).astype(np.float32)

    def draw(self, spec: Spec) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Spec -> picture u8 [256,256,3], mask f32 [256,256], which subject (1 + its place in spec.subjects; 0: none) u8 [256,256]."""
        side = 256
        variant = random.Random(f"draw/{spec.seed}").randrange(10)
        x = places.paint(spec.place, spec.time, spec.weather, spec.season, spec.back, variant, side, side).astype(np.float32) / 255
        mask, who = np.zeros((side, side), np.float32), np.zeros((side, side), np.uint8)
        light = np.asarray(places.SUBJECT_LIGHT[spec.time], np.float32)
        order = list(enumerate(spec.subjects))
        if spec.kind == "in front of" or spec.kind == "on top of":
            order.reverse()
        for k, s in order:
            sprite = self._sprite(s.noun, s.color, s.material, s.size, s.flip, spec.style if spec.style in ("flat", "emoji", "sticker") else "")
            if spec.place not in ("space", "underwater", "clouds") and not (spec.kind == "on top of" and k == 0) and spec.kind != "four":
                self._shade(x, s)
            area = (slice(s.y, s.y + s.size), slice(s.x, s.x + s.size))
            alpha = sprite[..., 3]
            x[area] = x[area] * (1 - alpha[..., None]) + sprite[..., :3] * light
            mask[area] = np.maximum(mask[area], alpha)
            who[area] = np.where(alpha > 0.4, k + 1, who[area])
        if spec.weather in ("rain", "snowfall"):
            alpha = places.precipitation(spec.weather, variant % 4, side, side) * (0.55 if spec.weather == "rain" else 0.9)
            x = x * (1 - alpha) + alpha * (0.9 if spec.time != "night" else 0.75)
        x = styles.apply(spec.style, x, 2.0, spec.seed)
        return (x.clip(0, 1) * 255 + 0.5).astype(np.uint8), mask, who

    @staticmethod
    def _shade(x, s):
        """A soft shadow on the ground under a subject."""
        half = max(3, s.size // 14)
        y0, y1 = s.y + s.size - half, min(x.shape[0], s.y + s.size + half)
        t = np.linspace(-1, 1, 2 * half, dtype=np.float32)[: y1 - y0, None]
        u = np.linspace(-1, 1, s.size, dtype=np.float32)[None]
        x[y0:y1, s.x:s.x + s.size] *= 1 - 0.4 * np.clip(1 - t * t - u * u, 0, 1)[..., None]

    def render(self, seed: int):
        spec = self.spec(seed)
        return (*self.draw(spec), spec)


def _glass(rgb, alpha, light):
    tone = np.asarray((0.72, 0.90, 0.97), np.float32)
    rgb = tone * (0.55 + 0.6 * light) + 0.25 * (light > 0.8)
    soft = np.asarray(Image.fromarray((alpha[..., 0] * 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(max(1, len(alpha) / 28))), np.float32)[..., None] / 255
    return rgb, alpha * (0.42 + 0.55 * (1 - soft.clip(0.5, 1)) * 2)


def _wooden(rgb, alpha, light):
    h, w = light.shape[:2]
    y, x = np.mgrid[:h, :w].astype(np.float32) / max(h, w)
    grain = 0.5 + 0.5 * np.sin(70 * (x + 0.12 * np.sin(7 * y) + 0.05 * np.sin(19 * y)))
    return np.asarray((0.80, 0.55, 0.32), np.float32) * (0.45 + 0.75 * light) * (0.80 + 0.20 * grain[..., None]), alpha


def _stone(rgb, alpha, light):
    noise = styles._noise(light.shape[0], light.shape[1], 5, 3)
    return np.asarray((0.66, 0.66, 0.68), np.float32) * (0.45 + 0.75 * light) * (1 + 0.10 * noise), alpha


def _gold(rgb, alpha, light):
    bent = 0.5 + 0.5 * np.sin((light * 2.2 - 0.6) * 3.14)
    return np.asarray((0.98, 0.76, 0.25), np.float32) * (0.45 + 0.5 * light + 0.3 * bent) + 0.12 * (bent > 0.92), alpha


MATERIAL = {"glass": _glass, "wooden": _wooden, "stone": _stone, "gold": _gold}
