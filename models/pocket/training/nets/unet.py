"""The U-Net: convolutions at full latent resolution, transformer blocks at half of it.

Most of the arithmetic is at half resolution with wide channels, where a CPU is fastest.
Text enters twice: condensed to a few context tokens that every block attends to beside the
picture (as in U-ViT, Bao et al. 2022, arXiv:2209.12152), and as a mean that joins the time
embedding (adaptive norms shared by all blocks, PixArt, Chen et al. 2023, arXiv:2310.00426).
No position is learned by index: any size that is a multiple of 32 pixels runs.
"""

import math

import torch
import torch.nn.functional as F
from torch import nn


def sinusoid(t: torch.Tensor, width: int) -> torch.Tensor:
    """t [B] in 0..1000 -> [B,width], as in DDPM (Ho et al. 2020)."""
    half = width // 2
    freq = torch.exp(-math.log(10000.0) * torch.arange(half, device=t.device, dtype=torch.float32) / half)
    angles = t.float()[:, None] * freq[None]
    return torch.cat([torch.cos(angles), torch.sin(angles)], -1)


class ResBlock(nn.Module):
    """[B,C,H,W] -> the same, modulated by cond [B,D,1,1]."""

    def __init__(self, channels: int, cond: int):
        super().__init__()
        self.norm1, self.norm2 = nn.GroupNorm(8, channels), nn.GroupNorm(8, channels)
        self.conv1, self.conv2 = nn.Conv2d(channels, channels, 3, padding=1), nn.Conv2d(channels, channels, 3, padding=1)
        self.modulate = nn.Conv2d(cond, 2 * channels, 1)
        nn.init.zeros_(self.conv2.weight)
        nn.init.zeros_(self.modulate.weight)

    def forward(self, x: torch.Tensor, cond: torch.Tensor) -> torch.Tensor:
        scale, shift = self.modulate(cond).chunk(2, 1)
        h = self.conv1(F.silu(self.norm1(x)))
        return x + self.conv2(F.silu(self.norm2(h) * (1 + scale) + shift))


class Attention(nn.Module):
    """Picture tokens [B,N,D] look at themselves and at context [B,M,D]."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads, self.scale = heads, (width // heads) ** -0.5
        self.qkv, self.context, self.out = nn.Linear(width, 3 * width, bias=False), nn.Linear(width, 2 * width, bias=False), nn.Linear(width, width)

    def forward(self, x: torch.Tensor, context: torch.Tensor) -> torch.Tensor:
        b, n, d = x.shape
        q, k, v = self.qkv(x).chunk(3, -1)
        ck, cv = self.context(context).chunk(2, -1)
        split = lambda t: t.view(b, t.shape[1], self.heads, d // self.heads).transpose(1, 2)
        q, k, v = split(q), split(torch.cat([k, ck], 1)), split(torch.cat([v, cv], 1))
        # Written out: over so few tokens the fused kernel's way back takes a CPU four times as long.
        weights = (q * self.scale) @ k.transpose(-1, -2)
        out = weights.float().softmax(-1).to(v.dtype) @ v
        return self.out(out.transpose(1, 2).reshape(b, n, d))


class Block(nn.Module):
    def __init__(self, width: int, heads: int):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width, elementwise_affine=False), nn.LayerNorm(width, elementwise_affine=False)
        self.local = nn.Conv2d(width, width, 3, padding=1, groups=width)
        self.attention = Attention(width, heads)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.table = nn.Parameter(torch.randn(6, width) * 0.02)
        nn.init.zeros_(self.local.weight)
        nn.init.zeros_(self.attention.out.weight)
        nn.init.zeros_(self.down.weight)

    def forward(self, x: torch.Tensor, mod: torch.Tensor, context: torch.Tensor) -> torch.Tensor:
        """x [B,D,h,w], mod [B,6,D] shared by all blocks."""
        b, d, h, w = x.shape
        s1, b1, g1, s2, b2, g2 = (mod + self.table).unsqueeze(2).unbind(1)
        x = (x + self.local(x)).permute(0, 2, 3, 1).reshape(b, h * w, d)
        x = x + (1 + g1) * self.attention(self.norm1(x) * (1 + s1) + b1, context)
        x = x + (1 + g2) * self.down(F.gelu(self.up(self.norm2(x) * (1 + s2) + b2), approximate="tanh"))
        return x.view(b, h, w, d).permute(0, 3, 1, 2)


class Condenser(nn.Module):
    """Text [B,S,T] -> context [B,M,D]: learned queries look at all tokens (Perceiver, Jaegle et al. 2021)."""

    def __init__(self, text: int, width: int, count: int):
        super().__init__()
        self.heads = width // 64
        self.queries = nn.Parameter(torch.randn(1, self.heads, count, 64))
        self.kv, self.out = nn.Linear(text, 2 * width, bias=False), nn.Linear(width, width)
        self.norm, self.up, self.down = nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.Linear(2 * width, width)

    def forward(self, text: torch.Tensor) -> torch.Tensor:
        b, s, _ = text.shape
        k, v = self.kv(text).view(b, s, 2, self.heads, 64).permute(2, 0, 3, 1, 4).unbind(0)
        q = self.queries.to(k.dtype).expand(b, -1, -1, -1)
        x = self.out(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(b, q.shape[2], -1))
        return x + self.down(F.gelu(self.up(self.norm(x)), approximate="tanh"))


class UNet(nn.Module):
    """sample [B,16,H,W], timestep [B], encoder_hidden_states [B,S,T] -> v [B,16,H,W]. H and W are even."""

    def __init__(self, latent: int = 16, channels: int = 128, width: int = 320, blocks: int = 6, text: int = 256, context: int = 16):
        super().__init__()
        self.width = width
        self.time1, self.time2 = nn.Conv2d(256, width, 1), nn.Conv2d(width, width, 1)
        self.condense, self.summary = Condenser(text, width, context), nn.Conv2d(width, width, 1)
        self.modulate = nn.Conv2d(width, 6 * width, 1)
        self.stem, self.res_in = nn.Conv2d(latent, channels, 3, padding=1), ResBlock(channels, width)
        self.shrink, self.place = nn.Conv2d(channels, width, 2, stride=2), nn.Conv2d(16, width, 1, bias=False)
        self.blocks = nn.ModuleList(Block(width, width // 64) for _ in range(blocks))
        self.grow = nn.Conv2d(width, 4 * channels, 1)
        self.merge = nn.Conv2d(2 * channels, channels, 1)
        self.res_out1, self.res_out2 = ResBlock(channels, width), ResBlock(channels, width)
        self.norm, self.head = nn.GroupNorm(8, channels), nn.Conv2d(channels, latent, 3, padding=1)
        nn.init.zeros_(self.modulate.weight)
        nn.init.zeros_(self.head.weight)

    @staticmethod
    def coordinates(x: torch.Tensor) -> torch.Tensor:
        """Where a cell lies between the edges: [1,16,h,w] of sines and cosines."""
        h, w = x.shape[2], x.shape[3]
        ys = (torch.arange(h, device=x.device, dtype=torch.float32) + 0.5) / h
        xs = (torch.arange(w, device=x.device, dtype=torch.float32) + 0.5) / w
        freq = torch.tensor([0.5, 1.0, 2.0, 4.0], device=x.device) * (2 * math.pi)
        fy, fx = freq[:, None] * ys[None], freq[:, None] * xs[None]
        rows = torch.cat([fy.sin(), fy.cos()])[:, :, None].expand(8, h, w)
        columns = torch.cat([fx.sin(), fx.cos()])[:, None, :].expand(8, h, w)
        return torch.cat([rows, columns])[None]

    def forward(self, sample: torch.Tensor, timestep: torch.Tensor, encoder_hidden_states: torch.Tensor) -> torch.Tensor:
        context = self.condense(encoder_hidden_states)
        t = sinusoid(timestep, 256)[:, :, None, None]
        cond = self.time2(F.silu(self.time1(t))) + self.summary(context.mean(1)[:, :, None, None])
        cond = F.silu(cond)
        mod = self.modulate(cond).reshape(-1, 6, self.width)
        skip = self.res_in(self.stem(sample), cond)
        x = self.shrink(skip)
        x = x + self.place(self.coordinates(x).to(x.dtype))
        for block in self.blocks:
            x = block(x, mod, context)
        x = F.pixel_shuffle(self.grow(x), 2)
        x = self.merge(torch.cat([x, skip], 1))
        x = self.res_out2(self.res_out1(x, cond), cond)
        return self.head(F.silu(self.norm(x)))
