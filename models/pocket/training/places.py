"""Procedural places: sky, light, ground and weather, painted once per (place, time, weather, season, variant).

Everything is drawn on a canvas of twice the size and reduced, so edges are soft.
`paint` is deterministic in its arguments and cached, which is what makes rendering fast.
"""

import functools
import math
import random

import numpy as np
from PIL import Image, ImageDraw

OUTDOOR = ["snow", "beach", "forest", "desert", "mountains", "city", "sea", "meadow", "lake", "garden", "volcano", "road", "clouds"]
INDOOR = ["room", "space", "moon", "underwater", "plain"]
PLACES = OUTDOOR + INDOOR
TIMES = ["day", "sunset", "night", "dawn"]
WEATHERS = ["clear", "rain", "snowfall", "fog"]
SEASONS = ["none", "autumn", "spring"]
SEASONAL = {"forest", "mountains", "meadow", "lake", "garden", "road"}
COLORS = {
    "red": (220, 40, 40), "orange": (245, 135, 30), "yellow": (250, 215, 50), "green": (60, 175, 70),
    "blue": (50, 100, 225), "purple": (140, 65, 200), "pink": (250, 130, 185), "black": (35, 35, 42),
    "white": (245, 245, 245), "golden": (240, 190, 60),
}

SKY = {
    "day": ((96, 165, 240), (205, 232, 250)),
    "sunset": ((92, 60, 130), (255, 150, 70)),
    "night": ((8, 12, 42), (36, 44, 96)),
    "dawn": ((140, 160, 220), (255, 205, 200)),
}
#: Ambient light: what the ground and the glyphs are multiplied with.
AMBIENT = {"day": (1.0, 1.0, 1.0), "sunset": (1.0, 0.74, 0.60), "night": (0.42, 0.47, 0.74), "dawn": (1.0, 0.86, 0.88)}
SUBJECT_LIGHT = {"day": (1.0, 1.0, 1.0), "sunset": (1.0, 0.84, 0.70), "night": (0.66, 0.70, 0.92), "dawn": (1.0, 0.92, 0.93)}
GROUND = {
    "snow": (240, 245, 252), "beach": (238, 214, 160), "forest": (80, 125, 60), "desert": (228, 180, 105),
    "mountains": (120, 165, 85), "city": (125, 128, 136), "sea": (30, 105, 175), "meadow": (115, 190, 75),
    "lake": (70, 145, 195), "garden": (100, 175, 80), "volcano": (82, 62, 60), "road": (105, 165, 80),
    "clouds": (244, 247, 252),
}
SEASON_GROUND = {"autumn": (200, 140, 60), "spring": (140, 205, 100)}
LEAVES = {"none": (45, 120, 50), "autumn": (215, 110, 35), "spring": (245, 170, 200)}


def _lit(color, time):
    return tuple(int(min(255, c * a)) for c, a in zip(color, AMBIENT[time]))


def _gradient(width, height, top, bottom):
    """[H,W,3] vertical gradient."""
    t = np.linspace(0, 1, height, dtype=np.float32)[:, None]
    rows = np.asarray(top, np.float32) * (1 - t) + np.asarray(bottom, np.float32) * t
    return np.repeat(rows[:, None, :], width, 1)


def _glow(pixels, x, y, radius, color, strength=1.0):
    """Adds a soft round light in place."""
    h, w = pixels.shape[:2]
    yy, xx = np.ogrid[:h, :w]
    falloff = strength * np.exp(-((xx - x) ** 2 + (yy - y) ** 2) / (2 * radius * radius))
    pixels += (np.asarray(color, np.float32) - pixels) * np.clip(falloff, 0, 1)[..., None]


def _hills(draw, rng, w, h, base, swing, color, jagged=False):
    """A ridge line filled down to the bottom edge."""
    phase, freq = rng.uniform(0, 6.3), rng.uniform(1.2, 2.2)
    points = []
    for i in range(33):
        x = i / 32
        if jagged:
            y = base - swing * abs(((x * freq * 1.5 + phase) % 1.0) * 2 - 1)
        else:
            y = base - swing * math.sin(phase + x * freq * 3.14)
        points.append((x * w, y * h))
    draw.polygon(points + [(w, h), (0, h)], fill=color)


def _stars(pixels, rng, count, limit):
    h, w = pixels.shape[:2]
    for _ in range(count):
        x, y, s = rng.randrange(w - 3), rng.randrange(int(h * limit)), rng.choice((2, 2, 3))
        pixels[y:y + s, x:x + s] = (255, 250, 225)


def _cloud(draw, x, y, r, color):
    for dx, dy, k in ((-1.2, 0.15, 0.7), (0, -0.25, 1.0), (1.2, 0.1, 0.75), (0.2, 0.25, 1.0)):
        draw.ellipse((x + dx * r - k * r, y + dy * r - k * r * 0.7, x + dx * r + k * r, y + dy * r + k * r * 0.7), fill=color)


def _sky(rng, w, h, u, time, weather):
    """Sky with its sun or moon, stars and clouds. u is pixels per 1/128 of the short side."""
    top, bottom = SKY[time]
    if weather in ("rain", "fog") and time != "night":
        grey = (150, 160, 172)
        top, bottom = [tuple((c + g) // 2 for c, g in zip(color, grey)) for color in (top, bottom)]
    pixels = _gradient(w, int(h * 0.68) + 1, top, bottom)
    pixels = np.concatenate([pixels, np.repeat(pixels[-1:], h - len(pixels), 0)])
    x = rng.choice((0.18, 0.82)) * w
    if time == "night":
        _stars(pixels, rng, int(45 * w / h), 0.62)
        _glow(pixels, x, 22 * u, 17 * u, (120, 130, 190), 0.6)
    elif time == "sunset":
        x = rng.choice((0.2, 0.5, 0.8)) * w
        _glow(pixels, x, 64 * u, 30 * u, (255, 215, 120), 0.9)
    elif time == "dawn":
        _glow(pixels, x, 66 * u, 30 * u, (255, 240, 215), 0.9)
    elif weather == "clear":
        _glow(pixels, x, 22 * u, 14 * u, (255, 248, 200), 0.9)
    image = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
    draw = ImageDraw.Draw(image)
    radius = {"night": 11, "sunset": 15, "dawn": 11, "day": 9}[time] * u
    y = {"night": 22, "sunset": 64, "dawn": 66, "day": 22}[time] * u
    disc = {"night": (250, 245, 215), "sunset": (255, 200, 80), "dawn": (255, 236, 190), "day": (255, 240, 130)}[time]
    if weather == "clear" or time == "sunset":
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=disc)
    if time in ("day", "dawn"):
        white = (255, 255, 255) if weather == "clear" else (205, 210, 218)
        for _ in range(2):
            _cloud(draw, rng.uniform(0, w), rng.uniform(10, 36) * u, rng.uniform(7, 11) * u, white)
    return image


def _tree(draw, x, y, size, time, season, pine):
    trunk, leaf = _lit((105, 75, 50), time), _lit(LEAVES[season], time)
    draw.rectangle((x - size * 0.08, y - size * 0.4, x + size * 0.08, y), fill=trunk)
    if pine and season == "none":
        for k in (0, 1, 2):
            top = y - size * (1.0 - 0.22 * k)
            draw.polygon([(x, top), (x - size * (0.2 + 0.07 * k), top + size * 0.4), (x + size * (0.2 + 0.07 * k), top + size * 0.4)], fill=leaf)
    else:
        draw.ellipse((x - size * 0.32, y - size, x + size * 0.32, y - size * 0.32), fill=leaf)


def _outdoor(rng, place, time, weather, season, w, h, u):
    image = _sky(rng, w, h, u, time, weather)
    draw = ImageDraw.Draw(image)
    ground = _lit(SEASON_GROUND.get(season, GROUND[place]) if place not in ("lake",) else GROUND[place], time)
    far = tuple(int(g * 0.72 + s * 0.28) for g, s in zip(ground, SKY[time][1]))
    if place == "mountains":
        _hills(draw, rng, w, h, 0.66, 0.42, _lit((120, 128, 150), time), jagged=True)
        _hills(draw, rng, w, h, 0.68, 0.22, _lit((98, 108, 130), time), jagged=True)
    elif place == "volcano":
        x = rng.choice((0.3, 0.5, 0.7)) * w
        draw.polygon([(x - 12 * u, 26 * u), (x + 12 * u, 26 * u), (x + 56 * u, h * 0.72), (x - 56 * u, h * 0.72)], fill=_lit((105, 72, 66), time))
        draw.polygon([(x - 12 * u, 26 * u), (x + 12 * u, 26 * u), (x + 6 * u, 54 * u), (x, 42 * u), (x - 7 * u, 60 * u)], fill=(255, 96, 30))
        _cloud(draw, x, 15 * u, 12 * u, _lit((150, 140, 140), time))
    elif place == "city":
        x = -rng.uniform(0, 10) * u
        while x < w:
            width, height = rng.choice((14, 18, 22)) * u, rng.uniform(30, 72) * u
            shade = rng.choice(((118, 128, 148), (140, 120, 115), (98, 112, 138), (160, 150, 140)))
            draw.rectangle((x, h * 0.72 - height, x + width, h * 0.75), fill=_lit(shade, time))
            for wy in range(int(h * 0.72 - height + 4 * u), int(h * 0.70), int(8 * u)):
                for wx in range(int(x + 3 * u), int(x + width - 3 * u), int(6 * u)):
                    lit = (255, 225, 130) if time in ("night", "sunset") and rng.random() < 0.6 else _lit((185, 210, 230), time)
                    draw.rectangle((wx, wy, wx + 2.5 * u, wy + 4 * u), fill=lit)
            x += width + rng.choice((0, 2)) * u
    if place in ("sea", "beach", "lake"):
        water = _lit(GROUND["sea"] if place != "lake" else GROUND["lake"], time)
        if place == "lake":
            _hills(draw, rng, w, h, 0.56, 0.05, _lit(SEASON_GROUND.get(season, (90, 140, 80)), time))
        draw.rectangle((0, h * 0.57, w, h), fill=water)
        light = tuple(min(255, c + 38) for c in water)
        for _ in range(int(16 * w / h)):
            y = h * rng.uniform(0.59, 0.98 if place == "sea" else 0.76)
            x, length = rng.uniform(0, w), rng.uniform(6, 14) * u
            draw.line((x, y, x + length, y), fill=light, width=max(1, int(1.6 * u)))
        if place == "beach":
            _hills(draw, rng, w, h, 0.76, 0.02, ground)
        elif place == "lake":
            _hills(draw, rng, w, h, 0.88, 0.02, _lit(SEASON_GROUND.get(season, (105, 165, 80)), time))
    elif place == "clouds":
        for k in range(int(11 * w / h)):
            shade = _lit(rng.choice(((255, 255, 255), (236, 241, 250), (222, 231, 245))), time)
            _cloud(draw, rng.uniform(0, w), h * rng.uniform(0.7, 0.98), rng.uniform(13, 20) * u, shade)
    else:
        swing = {"snow": 0.04, "desert": 0.06, "meadow": 0.05, "mountains": 0.03}.get(place, 0.015)
        if place in ("snow", "desert", "meadow"):
            _hills(draw, rng, w, h, 0.60, swing, far)
        base = 0.66 if place != "city" else 0.72
        if place == "forest":
            for k in range(int(9 * w / h)):
                _tree(draw, (k + rng.uniform(0.1, 0.9)) * w / (9 * w / h), h * rng.uniform(0.66, 0.72), rng.uniform(44, 66) * u, time, season, rng.random() < 0.6)
            base = 0.69
        _hills(draw, rng, w, h, base, swing * 0.6, ground)
        if place == "road":
            draw.polygon([(w * 0.46, h * 0.66), (w * 0.54, h * 0.66), (w * 0.92, h), (w * 0.08, h)], fill=_lit((92, 94, 100), time))
            for k in (0.70, 0.78, 0.89):
                draw.rectangle((w * 0.5 - (k - 0.6) * 9 * u, h * k, w * 0.5 + (k - 0.6) * 9 * u, h * (k + 0.05)), fill=_lit((240, 235, 200), time))
        if place in ("garden", "meadow") :
            for _ in range(int((30 if place == "garden" else 12) * w / h)):
                x, y, r = rng.uniform(0, w), h * rng.uniform(0.7, 0.98), 2.2 * u
                draw.ellipse((x - r, y - r, x + r, y + r), fill=_lit(rng.choice(((235, 70, 90), (250, 210, 60), (200, 110, 220), (255, 255, 255))), time))
        if place == "garden":
            draw.rectangle((0, h * 0.58, w, h * 0.66), fill=_lit(LEAVES[season], time))
        if place == "snow":
            for x in (rng.uniform(0.02, 0.2) * w, rng.uniform(0.8, 0.98) * w):
                _tree(draw, x, h * 0.66, 34 * u, time, "none", True)
    return image


def _indoor(rng, place, time, w, h, u, color):
    if place == "plain":
        return Image.new("RGB", (w, h), color)
    if place == "room":
        wall = rng.choice(((225, 205, 175), (190, 210, 215), (215, 190, 195), (200, 215, 185)))
        image = Image.new("RGB", (w, h), wall)
        draw = ImageDraw.Draw(image)
        draw.rectangle((0, h * 0.72, w, h), fill=(150, 105, 70))
        draw.rectangle((0, h * 0.70, w, h * 0.72), fill=(245, 240, 230))
        x = rng.choice((0.12, 0.64)) * w
        draw.rectangle((x, 14 * u, x + 32 * u, 52 * u), fill=(250, 248, 240))
        draw.rectangle((x + 2 * u, 16 * u, x + 30 * u, 50 * u), fill=(150, 205, 245))
        draw.line((x + 16 * u, 14 * u, x + 16 * u, 52 * u), fill=(250, 248, 240), width=int(2 * u))
        return image
    if place == "underwater":
        pixels = _gradient(w, h, (60, 175, 215), (8, 48, 112))
        for _ in range(3):
            x = rng.uniform(0, w)
            _glow(pixels, x, 0, 22 * u, (150, 230, 245), 0.55)
        image = Image.fromarray(pixels.astype(np.uint8))
        draw = ImageDraw.Draw(image)
        _hills(draw, rng, w, h, 0.9, 0.02, (150, 150, 110))
        for _ in range(int(7 * w / h)):
            x, height = rng.uniform(0, w), rng.uniform(16, 34) * u
            draw.line((x, h * 0.95, x + rng.uniform(-5, 5) * u, h * 0.95 - height), fill=(30, 120, 80), width=int(3 * u))
        for _ in range(int(10 * w / h)):
            x, y, r = rng.uniform(0, w), rng.uniform(0, h * 0.8), rng.uniform(1, 2.6) * u
            draw.ellipse((x - r, y - r, x + r, y + r), outline=(190, 235, 250), width=max(1, int(u * 0.8)))
        return image
    pixels = np.zeros((h, w, 3), np.float32) + np.asarray((10, 8, 26), np.float32)
    if place == "space":
        for _ in range(3):
            _glow(pixels, rng.uniform(0, w), rng.uniform(0, h), rng.uniform(20, 34) * u, rng.choice(((95, 35, 130), (30, 55, 140), (130, 40, 95))), 0.8)
    _stars(pixels, rng, int(80 * w / h), 1.0 if place == "space" else 0.66)
    image = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
    draw = ImageDraw.Draw(image)
    if place == "moon":
        x = rng.choice((0.2, 0.8)) * w
        draw.ellipse((x - 13 * u, 12 * u, x + 13 * u, 38 * u), fill=(70, 130, 220))
        draw.ellipse((x - 7 * u, 16 * u, x + 3 * u, 26 * u), fill=(90, 180, 100))
        _hills(draw, rng, w, h, 0.66, 0.02, (165, 165, 170))
        for _ in range(int(6 * w / h)):
            cx, cy, r = rng.uniform(0, w), h * rng.uniform(0.72, 0.97), rng.uniform(4, 8) * u
            draw.ellipse((cx - r, cy - r * 0.4, cx + r, cy + r * 0.4), fill=(128, 128, 135))
    return image


@functools.lru_cache(maxsize=6000)
def paint(place: str, time: str, weather: str, season: str, color: str, variant: int, width: int, height: int) -> np.ndarray:
    """The empty place as uint8 [height, width, 3]. Same arguments, same picture."""
    rng = random.Random(f"{place}/{time}/{weather}/{season}/{color}/{variant}/{width}x{height}")
    w, h = width * 2, height * 2
    u = min(w, h) / 128
    if place in OUTDOOR:
        image = _outdoor(rng, place, time, weather, season, w, h, u)
    else:
        image = _indoor(rng, place, time, w, h, u, COLORS.get(color, (200, 200, 200)))
    image = image.reduce(2)
    if place in OUTDOOR and weather == "fog":
        pixels = np.asarray(image, np.float32)
        fog = _gradient(width, height, (0.15,) * 3, (0.75,) * 3)
        return (pixels * (1 - fog) + np.asarray(_lit((214, 220, 226), time), np.float32) * fog).astype(np.uint8)
    return np.asarray(image).copy()


@functools.lru_cache(maxsize=64)
def precipitation(weather: str, variant: int, width: int, height: int) -> np.ndarray:
    """Rain or snowflakes in front of everything: alpha [H,W,1] float32 in 0..1."""
    rng = random.Random(f"{weather}/{variant}/{width}x{height}")
    w, h, u = width * 2, height * 2, min(width, height) * 2 / 128
    image = Image.new("L", (w, h))
    draw = ImageDraw.Draw(image)
    for _ in range(int((44 if weather == "rain" else 60) * max(w, h) / min(w, h))):
        x, y = rng.uniform(0, w), rng.uniform(0, h)
        if weather == "rain":
            draw.line((x, y, x - 3 * u, y + 11 * u), fill=150, width=max(1, int(1.2 * u)))
        else:
            r = rng.uniform(1.0, 2.1) * u
            draw.ellipse((x - r, y - r, x + r, y + r), fill=240)
    return np.asarray(image.reduce(2), np.float32)[..., None] / 255
