"""Upscaler x4, convolutional, with the interface of Real-ESRGAN; a residual on top of bilinear enlargement."""

import torch
import torch.nn.functional as F
from torch import nn


class Pair(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.a, self.b = nn.Conv2d(width, width, 3, padding=1), nn.Conv2d(width, width, 3, padding=1)
        nn.init.zeros_(self.b.weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.b(F.relu(self.a(x)))


class Upscaler(nn.Module):
    """input [B,3,h,w] RGB 0..1 -> output [B,3,4h,4w] 0..1, any size."""

    def __init__(self, width: int = 48, pairs: int = 5):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, width, 3, padding=1), *[Pair(width) for _ in range(pairs)], nn.ReLU(), nn.Conv2d(width, 48, 3, padding=1))
        nn.init.zeros_(self.body[-1].weight)
        nn.init.zeros_(self.body[-1].bias)

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        base = F.interpolate(input, scale_factor=4, mode="bilinear", align_corners=False)
        return (base + F.pixel_shuffle(self.body(input - 0.5), 4)).clamp(0, 1)
