"""U-Net of pocket 2: pocket 1's over latents of 16 px cells, so 256 px cost what 128 did, with the words read as slots beside the condensed text."""

import torch
import torch.nn.functional as F
from torch import nn

from nets.unet import UNet as First
from nets.unet import sinusoid
from pocket2.labels import NOUNS
from pocket2.nets.text import Reader


class UNet(First):
    """sample [B,C,H,W], timestep [B], encoder_hidden_states [B,S,T] -> v [B,C,H,W]. H and W are even."""

    def __init__(self, latent: int, channels: int, width: int, blocks: int, text: int, context: int, slots: int):
        super().__init__(latent, channels, width, blocks, text, context)
        self.condense, self.condensed, self.tap = Reader(text, width, context + slots), context, blocks // 2

    def forward(self, sample: torch.Tensor, timestep: torch.Tensor, encoder_hidden_states: torch.Tensor, features: list | None = None) -> torch.Tensor:
        """`features` is given what the middle block says [B,D,H/2,W/2]."""
        context = self.condense(encoder_hidden_states)
        t = sinusoid(timestep, 256)[:, :, None, None]
        cond = F.silu(self.time2(F.silu(self.time1(t))) + self.summary(context[:, : self.condensed].mean(1)[:, :, None, None]))
        return self.paint(sample, cond, context, features)

    def paint(self, sample: torch.Tensor, cond: torch.Tensor, context: torch.Tensor, features: list | None) -> torch.Tensor:
        """What is behind time and words: cond [B,D,1,1], context [B,M,D]."""
        mod = self.modulate(cond).reshape(-1, 6, self.width)
        skip = self.res_in(self.stem(sample), cond)
        x = self.shrink(skip)
        x = x + self.place(self.coordinates(x).to(x.dtype))
        for k, block in enumerate(self.blocks):
            x = block(x, mod, context)
            if features is not None and k == self.tap:
                features.append(x)
        x = self.merge(torch.cat([F.pixel_shuffle(self.grow(x), 2), skip], 1))
        return self.head(F.silu(self.norm(self.res_out2(self.res_out1(x, cond), cond))))


class Cells(nn.Module):
    """Training aid: every 32 px cell names its noun from the middle block's features; alignment with a frozen tower (REPA, Yu et al. 2024,
    arXiv:2410.06940) whose features are known exactly, because the scenes are composed."""

    def __init__(self, width: int):
        super().__init__()
        self.norm, self.linear = nn.GroupNorm(1, width, affine=False), nn.Conv2d(width, NOUNS + 1, 1)

    def loss(self, features: torch.Tensor, cells: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        """features [B,D,h,w], cells i64 [B,h,w], weight [B] by noise level."""
        each = F.cross_entropy(self.linear(self.norm(features)).float(), cells, reduction="none")
        share = torch.where(cells == NOUNS, 0.25, 1.0)
        return ((each * share).sum((1, 2)) / share.sum((1, 2)) * weight).mean()
