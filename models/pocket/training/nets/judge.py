"""The judge of evaluate/: says of every 16x16 cell of a picture which subject it shows, and of the whole picture where and when it is.

It reads pixels, shares nothing with the networks it judges, and is trained on renders only.
"""

import torch
import torch.nn.functional as F
from torch import nn

CELL = 16
#: Attributes read off the whole picture, in the order of the outputs after `cells`.
GLOBAL = ["place", "time", "weather", "season", "style"]


class Block(nn.Module):
    """Depthwise 5x5, then a pixelwise pair of layers (ConvNeXt, Liu et al. 2022, arXiv:2201.03545)."""

    def __init__(self, width: int, wide: int):
        super().__init__()
        self.local, self.norm = nn.Conv2d(width, width, 5, padding=2, groups=width), nn.GroupNorm(1, width)
        self.up, self.down = nn.Conv2d(width, wide, 1), nn.Conv2d(wide, width, 1)
        nn.init.zeros_(self.down.weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.down(F.gelu(self.up(self.norm(self.local(x))), approximate="tanh"))


class Judge(nn.Module):
    """pixel_values [B,3,H,W] in -1..1 at native size -> logits: cells [B,N+1,H/16,W/16] (last: background), then [B,K] for each of GLOBAL."""

    def __init__(self, nouns: int, sizes: list[int], widths: tuple = (96, 256), blocks: tuple = (1, 4)):
        super().__init__()
        self.sizes = sizes
        self.stem = nn.Sequential(nn.Conv2d(3, widths[0], 8, stride=8), *[Block(widths[0], 2 * widths[0]) for _ in range(blocks[0])])
        self.body = nn.Sequential(nn.Conv2d(widths[0], widths[1], 2, stride=2), *[Block(widths[1], 2 * widths[1]) for _ in range(blocks[1])], nn.GroupNorm(1, widths[1]))
        self.cells, self.whole = nn.Conv2d(widths[1], nouns + 1, 1), nn.Linear(2 * widths[1], sum(sizes))

    def forward(self, pixel_values: torch.Tensor) -> tuple[torch.Tensor, ...]:
        x = self.body(self.stem(pixel_values))
        whole = self.whole(torch.cat([x.mean((2, 3)), x.amax((2, 3))], 1))
        return self.cells(x), *whole.split(self.sizes, -1)
