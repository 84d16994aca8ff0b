"""Decoder of pocket 2, x16: the linear inverse of the encoder, and what the neighbourhood suggests beside it, in three widths."""

import torch
import torch.nn.functional as F
from torch import nn

from pocket2.latents import CELL


class Unit(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.a, self.b = nn.Conv2d(width, width, 3, padding=1), nn.Conv2d(width, width, 3, padding=1)
        nn.init.zeros_(self.b.weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.b(F.silu(self.a(F.silu(x))))


class Decoder(nn.Module):
    """latent_sample [B,C,h,w] -> sample [B,3,16h,16w] in -1..1."""

    def __init__(self, found: dict, widths: tuple = (160, 48, 20), units: tuple = (3, 3, 1)):
        super().__init__()
        channels, (a, b, c) = len(found["bias"]), widths
        self.linear = nn.ConvTranspose2d(channels, 3, CELL, stride=CELL, bias=False)
        self.linear.weight.data = found["decode"].clone()
        self.offset = nn.Parameter(found["mean"].clone()[None], requires_grad=False)
        self.deep = nn.Sequential(nn.Conv2d(channels, a, 3, padding=1), *[Unit(a) for _ in range(units[0])], nn.Conv2d(a, 16 * b, 1), nn.PixelShuffle(4))
        self.near = nn.Conv2d(3 * 16, b, 3, padding=1)  # the coarse picture, in 4x4 px
        self.mid = nn.Sequential(*[Unit(b) for _ in range(units[1])], nn.Conv2d(b, 4 * c, 1), nn.PixelShuffle(2))
        self.fine = nn.Sequential(*[Unit(c) for _ in range(units[2])], nn.Conv2d(c, 12, 3, padding=1), nn.PixelShuffle(2))
        nn.init.zeros_(self.fine[-2].weight)
        nn.init.zeros_(self.fine[-2].bias)

    def coarse(self, latent: torch.Tensor) -> torch.Tensor:
        return self.linear(latent) + F.conv_transpose2d(torch.ones_like(latent[:, :1]), self.offset, stride=CELL)

    def detail(self, latent: torch.Tensor, coarse: torch.Tensor) -> torch.Tensor:
        return self.fine(self.mid(self.deep(latent) + self.near(F.pixel_unshuffle(coarse, 4))))

    def forward(self, latent_sample: torch.Tensor) -> torch.Tensor:
        coarse = self.coarse(latent_sample)
        return (coarse + self.detail(latent_sample, coarse)).clamp(-1, 1)
