"""Text tower of pocket 2: pocket 1's, whose states behind a caption's end are zero so that nothing looks at padding; and what reads them."""

import torch
import torch.nn.functional as F
from torch import nn

from nets.text import TextTower as First
from pocket2.labels import SIZES


class TextTower(First):
    """input_ids i64[B,S<=77] -> last_hidden_state [B,S,D], zero behind the first end mark; text_embeds [B,E] of length one."""

    def forward(self, input_ids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        ends = (input_ids == self.eos).to(torch.int32)
        states, pooled = super().forward(input_ids)
        return states * (torch.cumsum(ends, -1) - ends < 1)[..., None].to(states.dtype), pooled


class Reader(nn.Module):
    """States [B,S,T] -> tokens [B,M,D] for the U-Net's blocks: learnt queries look at the words; states of zero are padding."""

    def __init__(self, text: int, width: int, count: int):
        super().__init__()
        self.heads = width // 64
        self.queries = nn.Parameter(torch.randn(1, self.heads, count, 64))
        self.kv, self.out = nn.Linear(text, 2 * width, bias=False), nn.Linear(width, width)
        self.norm, self.up, self.down = nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.Linear(2 * width, width)

    def forward(self, text: torch.Tensor) -> torch.Tensor:
        b, s, _ = text.shape
        k, v = self.kv(text).view(b, s, 2, self.heads, 64).permute(2, 0, 3, 1, 4).unbind(0)
        bias = torch.where(text.abs().amax(-1) > 0, 0.0, -1e4)[:, None, None, :]
        weights = self.queries.to(k.dtype) @ k.transpose(-1, -2) * 0.125 + bias
        x = self.out((weights.softmax(-1) @ v).transpose(1, 2).reshape(b, self.queries.shape[2], -1))
        return x + self.down(F.gelu(self.up(self.norm(x)), approximate="tanh"))


class Slots(nn.Module):
    """Training aid: what each slot token [B,8,D] must say. Slots 0-2 are subjects with their boxes, 3-7 what holds of the whole."""

    WHOLE = {3: [9], 4: [10, 15], 5: [11, 12, 13], 6: [14], 7: [16]}

    def __init__(self, width: int):
        super().__init__()
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.subject, self.box = nn.ModuleList(nn.Linear(width, SIZES[c]) for c in range(3)), nn.Linear(width, 3)
        self.whole = nn.ModuleDict({str(c): nn.Linear(width, SIZES[c]) for columns in self.WHOLE.values() for c in columns})

    def forward(self, slots: torch.Tensor) -> dict[int, torch.Tensor]:
        """Logits by column of the labels."""
        x = self.norm(slots)
        out = {3 * k + c: head(x[:, k]) for k in range(3) for c, head in enumerate(self.subject)}
        return out | {c: self.whole[str(c)](x[:, k]) for k, columns in self.WHOLE.items() for c in columns}

    def loss(self, slots: torch.Tensor, labels: torch.Tensor, boxes: torch.Tensor) -> torch.Tensor:
        logits = self(slots)
        weight = [2.0, 0.7, 0.4] * 3 + [0.5] * 8
        named = sum(weight[c] * F.cross_entropy(v.float(), labels[:, c]) for c, v in logits.items())
        there = (boxes[..., 2:] > 0).float()
        return named + 10 * ((self.box(self.norm(slots[:, :3])) - boxes) ** 2 * there).mean()
