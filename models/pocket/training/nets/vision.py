"""Image tower of CLIP: a small convolutional network whose last layer is a caption's embedding."""

import torch
import torch.nn.functional as F
from torch import nn

#: What pixel values are normalised with; written to feature_extractor/preprocessor_config.json.
MEAN, STD = (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)


class Unit(nn.Module):
    """Residual pair of 3x3 convolutions."""

    def __init__(self, width: int):
        super().__init__()
        self.norm = nn.GroupNorm(8, width)
        self.a, self.b = nn.Conv2d(width, width, 3, padding=1), nn.Conv2d(width, width, 3, padding=1)
        nn.init.zeros_(self.b.weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.b(F.gelu(self.a(F.gelu(self.norm(x), approximate="tanh")), approximate="tanh"))


class ImageTower(nn.Module):
    """pixel_values [B,3,S,S] (S = 64) -> image_embeds [B,E] of length one."""

    def __init__(self, embed: int, widths: tuple = (64, 128, 256)):
        super().__init__()
        layers, last = [], 3
        for width, stride in zip(widths, (4, 2, 2)):
            layers += [nn.Conv2d(last, width, stride, stride=stride), Unit(width), Unit(width)]
            last = width
        self.trunk = nn.Sequential(*layers)
        self.norm = nn.LayerNorm(16 * last)
        self.project = nn.Linear(16 * last, embed)

    def features(self, pixel_values: torch.Tensor) -> torch.Tensor:
        """[B,16*C]: a coarse picture of where things are, which "left of" needs."""
        return self.norm(self.trunk(pixel_values).flatten(1))

    def forward(self, pixel_values: torch.Tensor) -> torch.Tensor:
        x = self.project(self.features(pixel_values))
        return x / x.norm(dim=-1, keepdim=True)
