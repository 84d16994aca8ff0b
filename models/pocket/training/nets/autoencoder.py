"""Autoencoder, /8: a closed-form linear encoder and its inverse, with a small convolutional refiner behind it."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

PATCH, CHANNELS = 8, 16


def fit(pixels: np.ndarray) -> dict:
    """Principal components of 8x8x3 patches. pixels u8[N,H,W,3] -> conv weights of encoder and decoder.

    Channel k is divided by the square root of its deviation: half-way between raw components (fine
    detail drowns in the diffusion noise) and whitened ones (which come out grainy).
    """
    n, h, w, _ = pixels.shape
    x = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 127.5 - 1
    patches = F.unfold(x[:, :, : h // 8 * 8], PATCH, stride=PATCH).transpose(1, 2).reshape(-1, 3 * PATCH * PATCH)
    mean = patches.mean(0)
    values, vectors = torch.linalg.eigh((patches - mean).T @ (patches - mean) / len(patches))
    values, vectors = values.flip(0)[:CHANNELS], vectors.flip(1)[:, :CHANNELS]
    explained = float(values.sum() / ((patches - mean) ** 2).sum(1).mean())
    scale = values.sqrt().sqrt()
    common = (values / scale**2).mean().sqrt()
    forward = (vectors / scale / common).T
    inverse = vectors * scale * common
    return {"encode": forward.reshape(CHANNELS, 3, PATCH, PATCH), "bias": -forward @ mean,
            "decode": inverse.T.reshape(CHANNELS, 3, PATCH, PATCH), "mean": mean.reshape(3, PATCH, PATCH), "explained": explained}


class Encoder(nn.Module):
    """sample [B,3,H,W] in -1..1 -> latent_parameters [B,32,H/8,W/8]: mean, then log variance (none: -30)."""

    def __init__(self, basis: dict):
        super().__init__()
        self.conv = nn.Conv2d(3, CHANNELS, PATCH, stride=PATCH)
        self.conv.weight.data, self.conv.bias.data = basis["encode"].clone(), basis["bias"].clone()

    def mean(self, sample: torch.Tensor) -> torch.Tensor:
        return self.conv(sample)

    def forward(self, sample: torch.Tensor) -> torch.Tensor:
        mean = self.conv(sample)
        return torch.cat([mean, torch.zeros_like(mean) - 30.0], 1)


class Refine(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.a, self.b = nn.Conv2d(width, width, 3, padding=1), nn.Conv2d(width, width, 3, padding=1)
        nn.init.zeros_(self.b.weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.b(F.silu(self.a(F.silu(x))))


class Decoder(nn.Module):
    """latent_sample [B,16,h,w] -> sample [B,3,8h,8w]: the inverse of the encoder plus what the neighbours suggest."""

    def __init__(self, basis: dict, width: int = 96):
        super().__init__()
        self.linear = nn.ConvTranspose2d(CHANNELS, 3, PATCH, stride=PATCH, bias=False)
        self.linear.weight.data = basis["decode"].clone()
        # The mean patch tiles the picture; folded into the refiner's input as a transposed convolution of ones.
        self.offset = nn.Parameter(basis["mean"].clone()[None], requires_grad=False)
        self.deep = nn.Sequential(nn.Conv2d(CHANNELS, width, 3, padding=1), Refine(width), Refine(width), nn.Conv2d(width, 16 * 24, 1), nn.PixelShuffle(4))
        self.mid = nn.Sequential(nn.Conv2d(24 + 3 * 4, 40, 3, padding=1), Refine(40), nn.Conv2d(40, 12, 3, padding=1), nn.PixelShuffle(2))
        nn.init.zeros_(self.mid[-2].weight)
        nn.init.zeros_(self.mid[-2].bias)

    def coarse(self, latent: torch.Tensor) -> torch.Tensor:
        """The inverse of the encoder alone."""
        ones = torch.ones_like(latent[:, :1])
        return self.linear(latent) + F.conv_transpose2d(ones, self.offset, stride=PATCH)

    def detail(self, latent: torch.Tensor) -> torch.Tensor:
        """What is added to it."""
        fine = F.pixel_unshuffle(self.coarse(latent), 2)
        return self.mid(torch.cat([self.deep(latent), fine], 1))

    def forward(self, latent_sample: torch.Tensor) -> torch.Tensor:
        return (self.coarse(latent_sample) + self.detail(latent_sample)).clamp(-1, 1)
