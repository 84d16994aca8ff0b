"""The same pictures as scenes.py, composed as tensors on a device by the batch: what a GPU trains on, because 16 cores render too slowly.

Glyphs and places are drawn once, by the same code, and kept as bytes; colours, materials, light, weather and styles are computed. It agrees
with Renderer.draw to a few levels of 255 (a test holds it to that); blurs are true Gaussians here and PIL's box approximations there.
"""

import functools
import math
import random

import numpy as np
import torch
import torch.nn.functional as F

import places
import styles
from pocket2.scenes import COLORS, Renderer, Spec

LUMA = torch.tensor(styles.LUMA)
U = 2.0  # pixels per 1/128 of the side


def blur(x: torch.Tensor, sigma: float) -> torch.Tensor:
    """[B,C,H,W], edges repeated."""
    r = max(1, math.ceil(3 * sigma))
    k = torch.exp(-torch.arange(-r, r + 1, device=x.device, dtype=torch.float32) ** 2 / (2 * sigma * sigma))
    k, c = k / k.sum(), x.shape[1]
    x = F.conv2d(F.pad(x, (r, r, 0, 0), mode="replicate"), k.view(1, 1, 1, -1).expand(c, 1, 1, -1), groups=c)
    return F.conv2d(F.pad(x, (0, 0, r, r), mode="replicate"), k.view(1, 1, -1, 1).expand(c, 1, -1, 1), groups=c)


def grey(x: torch.Tensor) -> torch.Tensor:
    return (x * LUMA.to(x.device)[None, :, None, None]).sum(1, keepdim=True)


def saturate(x, k):
    g = grey(x)
    return g + (x - g) * k


class Composer:
    """Specs -> pictures u8 [B,3,256,256], masks f32 [B,256,256], who u8 [B,256,256], all on the device."""

    def __init__(self, device: str = "cuda"):
        self.device, self.renderer, self.sprites, self.backs = device, Renderer(), {}, {}
        self.noise = functools.lru_cache(maxsize=64)(lambda cell, seed: torch.from_numpy(styles._noise(256, 256, cell, seed)[..., 0].copy()).to(device))
        self.rain = functools.lru_cache(maxsize=16)(lambda w, v: torch.from_numpy(places.precipitation(w, v, 256, 256)[..., 0].copy()).to(device))
        y = torch.linspace(-1, 1, 256, device=device)
        self.vignette = torch.maximum(y[:, None].abs(), y[None].abs())
        t = torch.linspace(0, 1, 256, device=device)[None, :, None]
        tone = lambda *v: torch.tensor(v, device=device)[:, None, None]
        self.tint = tone(1.0, 0.15, 0.85) * (1 - t) + tone(0.05, 0.9, 1.0) * t

    def back(self, spec: Spec, variant: int) -> torch.Tensor:
        key = (spec.place, spec.time, spec.weather, spec.season, spec.back, variant)
        if key not in self.backs:
            self.backs[key] = torch.from_numpy(places.paint(*key, 256, 256).copy()).permute(2, 0, 1).to(self.device)
        return self.backs[key].float() / 255

    def sprite(self, s, look: str) -> torch.Tensor:
        """[4,size,size] straight colours in 0..1; the plain glyph is kept, what is done to it is done here."""
        plain = s.color == "" and s.material == ""
        key = (s.noun, s.size, s.flip, look if look in ("flat", "emoji", "sticker") else "", s.material if s.material == "glass" else "")
        if key not in self.sprites:
            p = torch.from_numpy(self.renderer._sprite(s.noun, "", key[4], s.size, s.flip, key[3])).permute(2, 0, 1)
            rgb = torch.where(p[3:] > 0, p[:3] / p[3:].clamp(min=1e-4), 0)
            self.sprites[key] = (torch.cat([rgb, p[3:]]).clamp(0, 1) * 255).round().to(torch.uint8).to(self.device)
        x = self.sprites[key].float() / 255
        if plain:
            return x
        rgb, alpha = x[None, :3], x[3:]
        light = grey(rgb)
        if s.material in ("wooden", "stone", "gold"):
            rgb = self.material(s.material, light)
            light = grey(rgb)
        if s.color:
            tone = torch.tensor(COLORS[s.color], device=self.device)[None, :, None, None] / 255
            dyed = {"black": lambda: 0.05 + 0.30 * light, "white": lambda: 0.62 + 0.40 * light}.get(s.color, lambda: torch.where(light < 0.5, tone * (0.35 + 1.3 * light), tone + (1 - tone) * (light - 0.5) * 1.2))()
            rgb = 0.08 * rgb + 0.92 * dyed
        return torch.cat([rgb[0].clamp(0, 1), alpha])

    def material(self, name: str, light: torch.Tensor) -> torch.Tensor:
        n = light.shape[-1]
        tone = {"wooden": (0.80, 0.55, 0.32), "stone": (0.66, 0.66, 0.68), "gold": (0.98, 0.76, 0.25)}[name]
        tone = torch.tensor(tone, device=self.device)[None, :, None, None]
        if name == "wooden":
            y, x = torch.meshgrid(torch.arange(n, device=self.device) / n, torch.arange(n, device=self.device) / n, indexing="ij")
            return tone * (0.45 + 0.75 * light) * (0.80 + 0.20 * (0.5 + 0.5 * torch.sin(70 * (x + 0.12 * torch.sin(7 * y) + 0.05 * torch.sin(19 * y)))))
        if name == "stone":
            return tone * (0.45 + 0.75 * light) * (1 + 0.10 * torch.from_numpy(styles._noise(n, n, 5, 3)[..., 0].copy()).to(self.device))
        bent = 0.5 + 0.5 * torch.sin((light * 2.2 - 0.6) * 3.14)
        return tone * (0.45 + 0.5 * light + 0.3 * bent) + 0.12 * (bent > 0.92)

    def scene(self, spec: Spec):
        variant = random.Random(f"draw/{spec.seed}").randrange(10)
        x, mask = self.back(spec, variant), torch.zeros(256, 256, device=self.device)
        who, light = torch.zeros(256, 256, dtype=torch.uint8, device=self.device), torch.tensor(places.SUBJECT_LIGHT[spec.time], device=self.device)[:, None, None]
        order = list(enumerate(spec.subjects))
        if spec.kind in ("in front of", "on top of"):
            order.reverse()
        for k, s in order:
            p = self.sprite(s, spec.style)
            if spec.place not in ("space", "underwater", "clouds") and not (spec.kind == "on top of" and k == 0) and spec.kind != "four":
                half = max(3, s.size // 14)
                y0, y1 = s.y + s.size - half, min(256, s.y + s.size + half)
                t, u = torch.linspace(-1, 1, 2 * half, device=self.device)[: y1 - y0, None], torch.linspace(-1, 1, s.size, device=self.device)[None]
                x[:, y0:y1, s.x:s.x + s.size] *= 1 - 0.4 * (1 - t * t - u * u).clamp(0, 1)
            area, alpha = (slice(s.y, s.y + s.size), slice(s.x, s.x + s.size)), p[3]
            x[(slice(None), *area)] = x[(slice(None), *area)] * (1 - alpha) + p[:3] * alpha * light
            mask[area] = torch.maximum(mask[area], alpha)
            who[area] = torch.where(alpha > 0.4, k + 1, who[area])
        if spec.weather in ("rain", "snowfall"):
            alpha = self.rain(spec.weather, variant % 4) * (0.55 if spec.weather == "rain" else 0.9)
            x = x * (1 - alpha) + alpha * (0.9 if spec.time != "night" else 0.75)
        return x, mask, who

    def styled(self, style: str, x: torch.Tensor, seeds: list[int]) -> torch.Tensor:
        """[B,3,256,256] of one style."""
        grain = lambda cell: torch.stack([self.noise(cell, s % 8) for s in seeds])[:, None]
        if style == "flat":
            return (saturate(x, 1.25) * 4).round() / 4
        if style == "watercolor":
            soft = blur(x.clamp(0, 1), 0.7 * U)
            rim = (soft - blur(soft.clamp(0, 1), 2.4 * U)).abs().mean(1, keepdim=True)
            wash = saturate(0.28 + 0.72 * soft, 1.2) + 0.07 * grain(int(16 * U)) - 0.8 * rim
            paper = ((self.vignette + 0.10 * grain(int(8 * U)) - 0.84) * 9).clamp(0, 1)
            return wash * (1 - paper) + 0.97 * paper
        if style == "oil":
            n = max(3, int(5 * U) | 1)
            out = []
            for one in saturate(x, 1.35).clamp(0, 1).unbind(0):
                windows = F.pad(one[None], (n // 2,) * 4, mode="replicate")[0].unfold(1, n, 1).unfold(2, n, 1)
                out.append(windows.reshape(3, 256, 256, n * n).median(-1).values)
            return (torch.stack(out) - 0.5) * 1.12 + 0.48 + 0.055 * grain(int(4 * U))
        if style == "pencil":
            g = grey(x)
            tone = 0.97 - ((g - blur(g.clamp(0, 1), 1.6 * U)).abs() * 4.5).clamp(0, 0.75) - 0.22 * (1 - g)
            return tone * torch.tensor((1.0, 0.99, 0.96), device=self.device)[None, :, None, None]
        if style == "pixel art":
            small = F.avg_pool2d(x, int(4 * U))
            return F.interpolate((saturate(small, 1.2) * 6).round() / 6, scale_factor=int(4 * U), mode="nearest")
        if style == "neon":
            g = grey(x)
            gx, gy = (torch.diff(g, dim=3, append=g[..., -1:])).abs(), (torch.diff(g, dim=2, append=g[:, :, -1:])).abs()
            edge = ((gx + gy) * 3.2).clamp(0, 1)
            glow = (edge + 1.6 * blur(edge, 2.2 * U)).clamp(0, 1)
            return 0.34 * saturate(x, 1.6) * torch.tensor((0.7, 0.5, 1.0), device=self.device)[None, :, None, None] + glow * self.tint
        if style == "cinematic":
            g, tone = grey(x), lambda *v: torch.tensor(v, device=self.device)[None, :, None, None]
            y = (x - 0.5) * 1.22 + 0.45 + (1 - g) * tone(-0.05, 0.015, 0.06) + g * tone(0.09, 0.02, -0.08)
            y = y * (1 - 0.42 * (self.vignette - 0.45).clamp(0, 1))
            bar = int(8 * U)
            y[:, :, :bar], y[:, :, -bar:] = 0.02, 0.02
            return y
        return x

    @torch.no_grad()
    def __call__(self, specs: list[Spec]):
        x, mask, who = (torch.stack(v) for v in zip(*map(self.scene, specs)))
        for style in {s.style for s in specs}:
            k = [i for i, s in enumerate(specs) if s.style == style]
            x[k] = self.styled(style, x[k], [specs[i].seed for i in k]).clamp(0, 1)
        return (x.clamp(0, 1) * 255 + 0.5).to(torch.uint8), mask, who
