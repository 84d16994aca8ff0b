"""Styles as picture filters: [H,W,3] float32 in 0..1 in, the same out. `grain` is a seeded integer."""

import functools

import numpy as np
from PIL import Image, ImageFilter

STYLES = ["none", "flat", "watercolor", "oil", "pencil", "pixel art", "neon", "cinematic"]
LUMA = np.asarray((0.3, 0.59, 0.11), np.float32)


def _pil(x):
    return Image.fromarray((x.clip(0, 1) * 255).astype(np.uint8))


def _arr(image):
    return np.asarray(image, np.float32) / 255


def _blur(x, radius):
    return _arr(_pil(x).filter(ImageFilter.GaussianBlur(radius)))


def _saturate(x, k):
    grey = (x @ LUMA)[..., None]
    return grey + (x - grey) * k


@functools.lru_cache(maxsize=64)
def _noise(h, w, cell, seed):
    """Smooth noise [H,W,1] in -1..1."""
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 256, (max(2, h // cell), max(2, w // cell)), dtype=np.uint8)
    return np.asarray(Image.fromarray(small).resize((w, h), Image.BICUBIC), np.float32)[..., None] / 127.5 - 1


@functools.lru_cache(maxsize=32)
def _vignette(h, w):
    yy, xx = np.mgrid[-1:1:h * 1j, -1:1:w * 1j].astype(np.float32)
    return np.maximum(np.abs(xx), np.abs(yy))[..., None]


def flat(x, u, grain):
    return np.round(_saturate(x, 1.25) * 4) / 4


def watercolor(x, u, grain):
    """Soft wash, darker rims where colours meet, white paper at the edges."""
    h, w = x.shape[:2]
    soft = _blur(x, 0.7 * u)
    rim = np.abs(soft - _blur(x, 2.4 * u)).mean(-1, keepdims=True)
    wash = _saturate(0.28 + 0.72 * soft, 1.2) + 0.07 * _noise(h, w, int(16 * u), grain % 8) - 0.8 * rim
    paper = np.clip((_vignette(h, w) + 0.10 * _noise(h, w, int(8 * u), grain % 8) - 0.84) * 9, 0, 1)
    return wash * (1 - paper) + 0.97 * paper


def oil(x, u, grain):
    """Patches of one colour and the strokes of a broad brush."""
    h, w = x.shape[:2]
    size = max(3, int(5 * u) | 1)
    image = _pil(_saturate(x, 1.35)).filter(ImageFilter.MedianFilter(size))
    stroke = _noise(h, w, int(4 * u), grain % 8)
    return (_arr(image) - 0.5) * 1.12 + 0.48 + 0.055 * stroke


def pencil(x, u, grain):
    """Grey lines on paper, lightly shaded."""
    grey = (x @ LUMA)
    lines = np.abs(grey - np.asarray(_pil(np.repeat(grey[..., None], 3, 2)).filter(ImageFilter.GaussianBlur(1.6 * u)), np.float32)[..., 0] / 255)
    tone = 0.97 - np.clip(lines * 4.5, 0, 0.75) - 0.22 * (1 - grey)
    return np.repeat(tone[..., None], 3, 2) * np.asarray((1.0, 0.99, 0.96), np.float32)


def pixel_art(x, u, grain):
    cell = int(4 * u)
    h, w = x.shape[:2]
    small = x.reshape(h // cell, cell, w // cell, cell, 3).mean((1, 3))
    small = np.round(_saturate(small, 1.2) * 6) / 6
    return small.repeat(cell, 0).repeat(cell, 1)


def neon(x, u, grain):
    """Dark, with glowing magenta and cyan outlines."""
    grey = x @ LUMA
    gx, gy = np.abs(np.diff(grey, axis=1, append=grey[:, -1:])), np.abs(np.diff(grey, axis=0, append=grey[-1:]))
    edge = np.clip((gx + gy) * 3.2, 0, 1)[..., None]
    glow = np.clip(edge + 1.6 * _blur(np.repeat(edge, 3, 2), 2.2 * u), 0, 1)
    h = x.shape[0]
    t = np.linspace(0, 1, h, dtype=np.float32)[:, None, None]
    tint = np.asarray((1.0, 0.15, 0.85), np.float32) * (1 - t) + np.asarray((0.05, 0.9, 1.0), np.float32) * t
    return 0.34 * _saturate(x, 1.6) * np.asarray((0.7, 0.5, 1.0), np.float32) + glow * tint


def cinematic(x, u, grain):
    """Teal shadows, orange lights, contrast, a vignette and black bars."""
    h, w = x.shape[:2]
    grey = (x @ LUMA)[..., None]
    graded = (x - 0.5) * 1.22 + 0.45
    graded = graded + (1 - grey) * np.asarray((-0.05, 0.015, 0.06), np.float32) + grey * np.asarray((0.09, 0.02, -0.08), np.float32)
    graded = graded * (1 - 0.42 * np.clip(_vignette(h, w) - 0.45, 0, 1))
    bar = int(8 * u)
    graded[:bar], graded[-bar:] = 0.02, 0.02
    return graded


FILTERS = {"flat": flat, "watercolor": watercolor, "oil": oil, "pencil": pencil, "pixel art": pixel_art, "neon": neon, "cinematic": cinematic}


def apply(style: str, x: np.ndarray, unit: float, grain: int) -> np.ndarray:
    """unit: pixels per 1/128 of the short side."""
    return FILTERS[style](x, unit, grain).clip(0, 1) if style in FILTERS else x
