"""Text tower of CLIP: a small causal transformer (Radford et al. 2021, arXiv:2103.00020)."""

import torch
import torch.nn.functional as F
from torch import nn


class Block(nn.Module):
    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        b, n, d = x.shape
        q, k, v = self.qkv(self.norm1(x)).view(b, n, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4).unbind(0)
        x = x + self.out(F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).reshape(b, n, d))
        return x + self.down(F.gelu(self.up(self.norm2(x)), approximate="tanh"))


class TextTower(nn.Module):
    """input_ids int64[B,S<=77] -> last_hidden_state [B,S,D], text_embeds [B,E] of length one."""

    def __init__(self, vocab: int, width: int, layers: int, embed: int, eos: int, positions: int = 77):
        super().__init__()
        self.eos = eos
        self.tokens, self.positions = nn.Embedding(vocab, width), nn.Parameter(torch.randn(positions, width) * 0.01)
        nn.init.normal_(self.tokens.weight, std=0.02)
        self.blocks = nn.ModuleList(Block(width, width // 64) for _ in range(layers))
        self.norm, self.project = nn.LayerNorm(width), nn.Linear(width, embed, bias=False)

    def forward(self, input_ids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        x = self.tokens(input_ids) + self.positions[: input_ids.shape[1]]
        for block in self.blocks:
            x = block(x)
        x = self.norm(x)
        first = (input_ids == self.eos).to(torch.int32).argmax(-1)
        pooled = self.project(x[torch.arange(x.shape[0], device=x.device), first])
        return x, pooled / pooled.norm(dim=-1, keepdim=True)


class Heads(nn.Module):
    """Training aid: reads every attribute of the scene off an embedding."""

    def __init__(self, width: int, nouns: int, attributes: dict, hidden: int = 512):
        super().__init__()
        self.sizes = [nouns, nouns + 1] + [len(v) for v in attributes.values()]
        self.weights = [2.0, 1.0] + [0.5] * len(attributes)
        self.linear = nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, sum(self.sizes)))

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        return list(self.linear(x).float().split(self.sizes, -1))

    def loss(self, x: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        targets = labels.clone()
        targets[:, 1] = torch.where(targets[:, 1] < 0, self.sizes[0], targets[:, 1])
        return sum(w * F.cross_entropy(p, targets[:, i]) for i, (w, p) in enumerate(zip(self.weights, self(x))))


class SceneTower(nn.Module):
    """Training aid: embeds the scene's own description (labels [B,L]) so that captions have something to agree with."""

    def __init__(self, width: int, embed: int, nouns: int, attributes: dict):
        super().__init__()
        self.tables = nn.ModuleList(nn.Embedding(n + 1, width) for n in [nouns, nouns] + [len(v) for v in attributes.values()])
        self.mlp = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, embed))

    def forward(self, labels: torch.Tensor) -> torch.Tensor:
        x = sum(table(labels[:, i] + 1) for i, table in enumerate(self.tables))
        return F.normalize(self.mlp(x), dim=-1)
