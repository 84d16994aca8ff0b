"""The text side of pocket 2: its tower and reader, and the aids that train them beside the U-Net, in the same loop.

Slots must name the scene (which noun in which colour stands where), and the pooled embedding must find its scene among others,
with subjects dealt the other way round among those others. Both begin as pocket 1's, so its U-Net understands them from the start.
"""

import math

import torch
import torch.nn.functional as F
from torch import nn

from pocket2 import shipped
from pocket2.data import vocabulary
from pocket2.labels import SIZES
from pocket2.nets.text import Reader, Slots, TextTower
from pocket2.settings import WORK, size

STATE = WORK / "unet.pt"


class Scene(nn.Module):
    """Embeds labels [B,17]: what captions have to agree with."""

    def __init__(self, width: int, embed: int):
        super().__init__()
        self.tables = nn.ModuleList(nn.Embedding(n, width) for n in SIZES)
        self.mlp = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, embed))

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        return F.normalize(self.mlp(sum(t(rows[:, k]) for k, t in enumerate(self.tables))), dim=-1)


class Heads(nn.Module):
    """Reads every column of the labels off an embedding of length one."""

    def __init__(self, embed: int, hidden: int = 512):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(embed, hidden), nn.GELU(), nn.Linear(hidden, sum(SIZES)))

    def forward(self, z: torch.Tensor) -> list[torch.Tensor]:
        return list(self.net(z * 8).float().split(SIZES, -1))

    def loss(self, z: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        weight = [1.5, 0.4, 0.2, 1.5, 0.4, 0.2, 0.5, 0.1, 0.1] + [0.4] * 8
        return sum(w * F.cross_entropy(p, rows[:, c]) for c, (w, p) in enumerate(zip(weight, self(z))))


def swapped(rows: torch.Tensor) -> torch.Tensor:
    """The same scenes with the first two subjects exchanged; single ones are left as they are."""
    return torch.cat([rows[:, 3:6], rows[:, :3], rows[:, 6:]], 1)


class Aids(nn.Module):
    """What trains the text beside the picture, and is thrown away."""

    def __init__(self, width: int, embed: int):
        super().__init__()
        self.slots, self.heads, self.scene = Slots(width), Heads(embed), Scene(256, embed)
        self.scale = nn.Parameter(torch.tensor(math.log(14.0)))

    def loss(self, slots: torch.Tensor, z: torch.Tensor, rows: torch.Tensor, boxes: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Of slots [B,8,D] and of embeddings [B,E]."""
        pairs = (rows[:, 3] < SIZES[0] - 1).nonzero()[:, 0]
        candidates = torch.cat([self.scene(rows), self.scene(swapped(rows)[pairs])])
        logits = self.scale.exp().clamp(max=60) * z.float() @ candidates.float().T
        truth = torch.arange(len(z), device=z.device)
        contrast = (F.cross_entropy(logits, truth) + F.cross_entropy(logits[:, : len(z)].T, truth)) / 2
        return self.slots.loss(slots, rows, boxes), contrast + 0.5 * self.heads.loss(z, rows)

    @torch.no_grad()
    def told(self, slots: torch.Tensor, rows: torch.Tensor) -> dict[str, float]:
        """Share of columns the slots name rightly."""
        said, several = self.slots(slots), rows[:, 3] < SIZES[0] - 1
        right = lambda c, k: round((said[c].argmax(-1) == rows[:, c])[k].float().mean().item(), 2)
        every = torch.ones_like(several)
        return {"noun": right(0, every), "second": right(3, several), "color": right(1, rows[:, 1] > 0), "kind": right(9, every), "place": right(10, every)}


def build() -> tuple[TextTower, Reader]:
    s, encode = size(), vocabulary()
    return TextTower(encode.vocab_size, s.text_width, s.text_layers, s.embed, encode.eos), Reader(s.text_width, s.width, s.context + s.slots)


def begin() -> tuple[TextTower, Reader]:
    """Pocket 1's tower, and its condenser with queries more."""
    text, reader = build()
    if size().name != "tiny":
        known = shipped.unet().condense
        text.load_state_dict(shipped.text_tower().state_dict())
        for name in ("kv", "out", "norm", "up", "down"):
            getattr(reader, name).load_state_dict(getattr(known, name).state_dict())
        reader.queries.data[:, :, : size().context] = known.queries.data
    return text, reader


def load(device: str = "cpu") -> TextTower:
    """The averaged tower of the run as it stands."""
    text = build()[0]
    shadow = torch.load(STATE, map_location="cpu")["average"]
    text.load_state_dict({k.removeprefix("text."): v for k, v in shadow.items() if k.startswith("text.")})
    return text.eval().requires_grad_(False).to(device)
