"""Stage `text`: the text tower and the reader that turns its words into the U-Net's tokens; no picture is needed for it.

Three wishes at once: slots must name the scene (which noun in which colour stands where), the other tokens must say what pocket 1's
said of the same caption (so that its U-Net goes on understanding), and the pooled embedding must find its scene among others,
with subjects dealt the other way round among those others.
"""

import math
import random
import time

import torch
import torch.nn.functional as F
from torch import nn

from muon import optimizers
from pocket2 import shipped
from pocket2.captions import Captioner
from pocket2.data import vocabulary
from pocket2.labels import SIZES, boxes, labels
from pocket2.nets.text import Reader, Slots, TextTower
from pocket2.scenes import Renderer
from pocket2.settings import WORK, size


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


def build(encode) -> tuple[TextTower, Reader]:
    s = size()
    return TextTower(encode.vocab_size, s.text_width, s.text_layers, s.embed, encode.eos), Reader(s.text_width, s.width, s.context + s.slots)


def load(device: str = "cpu") -> tuple[TextTower, Reader]:
    text, reader = build(vocabulary())
    state = torch.load(WORK / "text.pt", map_location="cpu")
    text.load_state_dict(state["text"])
    reader.load_state_dict(state["reader"])
    return text.eval().requires_grad_(False).to(device), reader.to(device)


def batch(renderer, captioner, encode, rng, count: int, long: bool):
    """ids [B,S], labels [B,17], boxes [B,3,3]; short captions are those of at most 28 tokens, long ones have no end."""
    ids, specs = [], []
    while len(ids) < count:
        some = [renderer.spec(rng.randrange(20_000_000, 2_000_000_000)) for _ in range(count - len(ids))]
        for spec, row in zip(some, encode([captioner.caption(s, rng, long) for s in some])):
            if long or row[28] == encode.eos:
                ids.append(row)
                specs.append(spec)
    ids = torch.tensor(ids)
    return ids[:, : int((ids != encode.eos).sum(1).max()) + 1], torch.tensor([labels(s) for s in specs]), torch.stack([torch.from_numpy(boxes(s)) for s in specs])


def swapped(rows: torch.Tensor) -> torch.Tensor:
    """The same scenes with the first two subjects exchanged; single ones are left as they are."""
    return torch.cat([rows[:, 3:6], rows[:, :3], rows[:, 6:]], 1)


def run() -> None:
    s = size()
    torch.manual_seed(1)
    encode, renderer, captioner, rng = vocabulary(), Renderer(), Captioner(), random.Random("text")
    text, reader = build(encode)
    teach = s.name != "tiny"
    if teach:
        teacher, known = shipped.text_tower().eval(), shipped.unet().condense.eval()
        text.load_state_dict(teacher.state_dict())
        for name in ("kv", "out", "norm", "up", "down"):
            getattr(reader, name).load_state_dict(getattr(known, name).state_dict())
        reader.queries.data[:, :, : s.context] = known.queries.data
    model = nn.ModuleDict({"text": text, "reader": reader, "slots": Slots(s.width), "heads": Heads(s.embed), "scene": Scene(256, s.embed)})
    scale = nn.Parameter(torch.tensor(math.log(14.0)))
    opts = optimizers(model, 1e-3, plain=("text.tokens", "text.positions", "scene.tables", "reader.queries", "slots", "heads", "scene"))
    opts[1].add_param_group({"params": [scale]})
    start, step = time.process_time(), 0
    while (spent := (time.process_time() - start) / 60 / s.text_minutes) < 1:
        for opt in opts:
            for group in opt.param_groups:
                group["lr"] = (1e-3 if opt is opts[0] else 2e-3) * min(1, (step + 1) / 20) * (0.5 + 0.5 * math.cos(math.pi * spent))
        long = rng.random() < 0.05
        ids, rows, where = batch(renderer, captioner, encode, rng, 32 if long else 96, long)
        states, z = text(ids)
        tokens = reader(states)
        named = model["slots"].loss(tokens[:, s.context:], rows, where)
        other = swapped(rows)
        pairs = (rows[:, 3] < SIZES[0] - 1).nonzero()[:, 0]
        candidates = torch.cat([model["scene"](rows), model["scene"](other[pairs])])
        logits = scale.exp().clamp(max=60) * z @ candidates.T
        truth = torch.arange(len(z))
        contrast = (F.cross_entropy(logits, truth) + F.cross_entropy(logits[:, : len(z)].T, truth)) / 2
        loss = contrast + 0.5 * model["heads"].loss(z, rows) + named
        if teach:
            part = torch.arange(0, len(ids), 3)
            with torch.no_grad():
                wanted = known(teacher(ids[part])[0])
            alike = ((tokens[part, : s.context] - wanted) ** 2).mean() / wanted.var()
            loss = loss + 3 * alike
        loss.backward()
        for opt in opts:
            opt.step()
            opt.zero_grad(set_to_none=True)
        step += 1
        if step % 20 == 0:
            with torch.no_grad():
                said = model["slots"](tokens[:, s.context:])
                right = lambda c, k=slice(None): (said[c][k].argmax(-1) == rows[k, c]).float().mean().item()
                z_says = model["heads"](z)
                print(f"text {step} loss {loss.item():.3f} contrast {contrast.item():.3f} nouns {right(0):.2f} {right(3, pairs):.2f} color {right(1):.2f} kind {right(9):.2f} place {right(10):.2f} "
                      f"z: {(z_says[0].argmax(-1) == rows[:, 0]).float().mean():.2f} {(z_says[3][pairs].argmax(-1) == rows[pairs, 3]).float().mean():.2f} "
                      f"{f'unlike {alike.item():.3f}' if teach else ''} {spent * s.text_minutes:.1f} min", flush=True)
    torch.save({"text": text.state_dict(), "reader": reader.state_dict(), "slots": model["slots"].state_dict(), "heads": model["heads"].state_dict()}, WORK / "text.pt")


if __name__ == "__main__":
    torch.set_num_threads(1)
    run()
