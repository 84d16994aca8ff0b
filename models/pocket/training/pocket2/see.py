"""Stage `see`: the image tower of the CLIP that pocket 2 and pocket-unclip share, at 64 px, against the frozen text tower.

Heads read the embedding itself (not the trunk), both nouns weighted alike, and every caption of two subjects stands beside itself with
the nouns dealt the other way round: an embedding so trained names both of two subjects four times as often. An aid names the noun of
every cell half-way up the trunk, which teaches it 280 nouns several times as fast as the embedding's own heads do.
A learnt matrix behind the text's embedding lets the picture's embedding hold more than words said.
"""

import json
import math
import os
import time

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from muon import optimizers
from nets.vision import ImageTower
from pocket2.data import CAPTIONS, vocabulary
from pocket2.labels import SIZES
from pocket2.nets.unet import Cells
from pocket2.paint import until
from pocket2.settings import WORK, size
from pocket2.text import Heads, load

STATE, EMBEDDED = WORK / "see.pt", WORK / "embedded.npz"
#: Layers of the trunk up to its 8x8 cells.
NEAR = 6


class Thumbs:
    """Thumbnails, captions, labels and cells of all shards; the first one is kept for measuring."""

    KEYS = ("thumb", "ids", "labels", "cells")

    def __init__(self):
        paths = sorted((WORK / "shards").glob("?????.npz"))
        read = lambda p: {k: torch.from_numpy(np.load(p)[k]) for k in self.KEYS}
        self.parts, self.names, self.held = [read(p) for p in paths[1:]] or [read(paths[0])], [p.name for p in paths[1:] or paths], read(paths[0])
        self.first = paths[0].name

    def refresh(self) -> None:
        for path in sorted((WORK / "shards").glob("?????.npz")):
            if path.name not in (self.first, *self.names):
                with np.load(path) as z:
                    self.parts.append({k: torch.from_numpy(z[k]) for k in self.KEYS})
                self.names.append(path.name)

    def batch(self, count: int, rng):
        which = rng.integers(len(self.parts), size=8)
        parts = [(self.parts[k], torch.from_numpy(rng.integers(len(self.parts[k]["ids"]), size=count // 8))) for k in which]
        pick = lambda key: torch.cat([s[key][i] for s, i in parts])
        ids = pick("ids")
        ids = ids[torch.arange(len(ids)), torch.from_numpy(rng.integers(CAPTIONS, size=len(ids)))].long()
        return pixels(pick("thumb")), ids, pick("labels").long(), pick("cells").long()


def pixels(thumb: torch.Tensor) -> torch.Tensor:
    return (thumb.permute(0, 3, 1, 2).float() / 127.5 - 1).contiguous(memory_format=torch.channels_last)


class Clip(nn.Module):
    def __init__(self, embed: int):
        super().__init__()
        self.tower, self.heads = ImageTower(embed), Heads(embed)
        self.match = nn.Linear(embed, embed, bias=False)  # text's embedding -> where its picture's lies
        nn.init.eye_(self.match.weight)
        self.scale = nn.Parameter(torch.tensor(math.log(14.0)))

    def look(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Embeddings [B,E], and what stands where on the way to them [B,128,8,8]."""
        near = self.tower.trunk[:NEAR](x)
        z = self.tower.project(self.tower.norm(self.tower.trunk[NEAR:](near).flatten(1)))
        return F.normalize(z, dim=-1), near


@torch.no_grad()
def embeddings(clip: Clip, part: dict) -> torch.Tensor:
    device = clip.scale.device
    return torch.cat([clip.tower(pixels(p.to(device))) for p in part["thumb"].split(256)])


def embed(clip: Clip, data: Thumbs) -> None:
    """Writes the embeddings of all pictures, an array a shard: what prior and decoder learn from."""
    clip.eval()
    with open(EMBEDDED.with_suffix(".tmp"), "wb") as file:
        np.savez(file, **{name: embeddings(clip, part).cpu().half().numpy() for name, part in zip(data.names, data.parts)})
    os.replace(EMBEDDED.with_suffix(".tmp"), EMBEDDED)


@torch.no_grad()
def measure(clip: Clip, text, held: dict, eos: int) -> dict:
    z = torch.cat([clip.tower(pixels(p)) for p in held["thumb"][:512].split(128)])
    rows, ids = held["labels"][:512].long(), held["ids"][:512, 0].long()
    said = clip.heads(z)
    one, two = rows[:, 3] == SIZES[0] - 1, rows[:, 3] < SIZES[0] - 1
    right = (said[0].argmax(-1) == rows[:, 0]), (said[3].argmax(-1) == rows[:, 3])
    words = F.normalize(clip.match(text(ids)[1]), dim=-1)
    hundred = torch.stack([(z[k:k + 100] @ words[k:k + 100].T).argmax(1) == torch.arange(100, device=z.device) for k in range(0, 500, 100)]).float().mean()
    return {"noun": right[0][one].float().mean().item(), "both": (right[0] & right[1])[two].float().mean().item(), "place": (said[10].argmax(-1) == rows[:, 10]).float().mean().item(),
            "style": (said[14].argmax(-1) == rows[:, 14]).float().mean().item(), "cos": (z * words).sum(-1).mean().item(), "of100": hundred.item()}


def run() -> None:
    s, end, minutes = size(), until(), float(os.environ.get("POCKET_MINUTES", 25 if size().name != "tiny" else 0.1))
    torch.manual_seed(6)
    text, data, rng, eos = load(s.device), Thumbs(), np.random.default_rng(7), vocabulary().eos
    clip, step, seen, spent, begun, saved = Clip(s.embed), 0, 0, 0.0, time.process_time(), time.time()
    clip.to(s.device, memory_format=torch.channels_last)
    cells = Cells(128).to(s.device)
    opts = [*optimizers(clip, 1e-3, plain=("tower.project", "heads", "match", "scale")), torch.optim.AdamW(cells.parameters(), betas=(0.9, 0.98), weight_decay=0.0)]
    if STATE.exists():
        state = torch.load(STATE, map_location=s.device)
        clip.load_state_dict(state["clip"])
        step, seen = state["step"], state["seen"]
        cells.load_state_dict(state["cells"])
        for opt, kept in zip(opts, state["optimizers"]):
            opt.load_state_dict(kept)

    def save(done: bool = False) -> None:
        torch.save({"clip": clip.state_dict(), "cells": cells.state_dict(), "done": done, "step": step, "seen": seen, "optimizers": [o.state_dict() for o in opts]}, STATE.with_suffix(".tmp"))
        os.replace(STATE.with_suffix(".tmp"), STATE)

    count = 128 if s.name != "tiny" else 16
    while time.time() < end and spent < minutes:
        spent = (time.process_time() - begun) / 60
        for opt in opts:
            for group in opt.param_groups:
                group["lr"] = 2e-3 * min(1, (step + 1) / 40) * max(0.03, 1 - spent / minutes)
        x, ids, rows, where = (v.to(s.device) for v in data.batch(count, rng))
        with torch.no_grad():
            words = text(ids[:, : min(40, int((ids != eos).sum(1).max()) + 1)])[1]
        z, near = clip.look((x + torch.randn_like(x) * 0.08 * torch.rand(len(x), 1, 1, 1, device=s.device)).contiguous(memory_format=torch.channels_last))
        logits = clip.scale.exp().clamp(max=60) * z @ F.normalize(clip.match(words), dim=-1).T
        truth = torch.arange(len(x), device=s.device)
        contrast = (F.cross_entropy(logits, truth) + F.cross_entropy(logits.T, truth)) / 2
        judged = clip.heads.loss(z, rows)
        shown = cells.loss(near, where, torch.ones(len(x), device=s.device))
        (contrast + 0.4 * judged + shown).backward()
        for opt in opts:
            opt.step()
            opt.zero_grad(set_to_none=True)
        step, seen = step + 1, seen + len(x)
        if step % 50 == 0:
            data.refresh()
            found = {k: round(v, 3) for k, v in measure(clip.eval(), text, {k: v.to(s.device) for k, v in data.held.items()}, eos).items()}
            clip.train()
            print(json.dumps({"step": step, "seen": seen, "contrast": round(contrast.item(), 3), "cells": round(shown.item(), 3), **found, "cpu_minutes": round(spent, 1)}), flush=True)
        if time.time() - saved > float(os.environ.get("POCKET_SAVE", 200)):
            save()
            saved = time.time()
    embed(clip, data)
    save(done=True)


if __name__ == "__main__":
    torch.set_num_threads(1)
    run()
