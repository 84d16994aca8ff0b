"""Stage `words`: trains the text tower and its reader alone, against the scenes' labels, and freezes the tower.

A caption costs an eighth of what a picture does, so the tower is finished before pictures are: U-Net, image tower, prior and
pocket-unclip's decoder then all speak of one embedding that no longer moves. Goes on from the U-Net's checkpoint, or begins one.
"""

import json
import os
import time

import numpy as np
import torch
from torch import nn

from muon import Average, optimizers
from pocket2.data import vocabulary
from pocket2.labels import SIZES
from pocket2.nets.unet import Cells
from pocket2.paint import Scenes, begin, until
from pocket2.settings import WORK, size
from pocket2.text import STATE, Aids


@torch.no_grad()
def measure(model: nn.ModuleDict, aids: Aids, ids: torch.Tensor, rows: torch.Tensor) -> dict[str, float]:
    """What the slots and the embedding say of captions [N,S], and how often an embedding finds its own scene among 100."""
    states, z = model["text"](ids)
    told, heads = aids.told(model["reader"](states)[:, -size().slots:], rows), aids.heads(z)
    several = rows[:, 3] < SIZES[0] - 1
    both = (heads[0].argmax(-1) == rows[:, 0]) & (heads[3].argmax(-1) == rows[:, 3])
    own = [(a @ b.T).argmax(1) == torch.arange(len(a), device=a.device) for a, b in zip(z.split(100), aids.scene(rows).split(100))]
    return told | {"both": round(both[several].float().mean().item(), 2), "of100": round(torch.cat(own).float().mean().item(), 3)}


def run() -> None:
    if not STATE.exists() and (WORK / "packed").exists():
        return  # a run somewhere else brings its own
    s, end, minutes = size(), until(), float(os.environ.get("POCKET_MINUTES", 8 if size().name != "tiny" else 0.05))
    torch.manual_seed(5)
    data, encode = Scenes(keys=("ids", "labels", "boxes")), vocabulary()
    data.refresh(most=1000)
    held = data.shards.pop(0) if len(data.shards) > 1 else data.shards[0]
    whole, cells, aids = begin(s), Cells(s.width), Aids(s.width, s.embed)
    kept = {"step": 0, "spent": 0.0, "seen": 0, "optimizers": [], "average": Average(whole).shadow, "cells": cells.state_dict()}
    if STATE.exists():
        kept = torch.load(STATE, map_location="cpu")
        whole.load_state_dict(kept["average"])
        aids.load_state_dict(kept["aids"])
    model = nn.ModuleDict({"text": whole["text"], "reader": whole["unet"].condense}).to(s.device)
    aids, average = aids.to(s.device), Average(model)
    opts = [*optimizers(model, 1e-3, plain=("text.tokens", "text.positions", "reader.queries")), torch.optim.AdamW(aids.parameters(), betas=(0.9, 0.98), weight_decay=0.0)]
    rng, step, spent, begun = np.random.default_rng(50), 0, 0.0, time.process_time()
    count = 128 if s.name != "tiny" else 16
    while time.time() < end and spent < minutes:
        spent = (time.process_time() - begun) / 60
        for opt in opts:
            for group in opt.param_groups:
                group["lr"] = 1.2e-3 * min(1, (step + 1) / 50) * max(0.02, min(1, 1.5 * (1 - spent / minutes)))
        ids, rows, boxes = (v.to(s.device) for v in data.captions(count, rng))
        ids = ids[:, : int((ids != encode.eos).sum(1).max()) + 1]
        states, z = model["text"](ids)
        said, embedded = aids.loss(model["reader"](states)[:, s.context:], z, rows, boxes)
        (said + 2 * embedded).backward()
        for opt in opts:
            opt.step()
            opt.zero_grad(set_to_none=True)
        step += 1
        average.update(model, min(0.99, (1 + step) / (20 + step)))
        if step % 100 == 0:
            print(json.dumps({"step": step, "captions": step * count, "said": round(said.item(), 2), "embedded": round(embedded.item(), 2),
                              **measure(model, aids, held["ids"][:500, 1].long().to(s.device), held["labels"][:500].long().to(s.device)), "cpu_minutes": round(spent, 1)}), flush=True)
    model.load_state_dict(average.shadow)
    named = {k: v.cpu() for k, v in whole.state_dict().items()}
    torch.save(kept | {"model": named, "average": {k: v.clone() for k, v in named.items()}, "aids": aids.state_dict(), "optimizers": []}, STATE.with_suffix(".tmp"))
    os.replace(STATE.with_suffix(".tmp"), STATE)


if __name__ == "__main__":
    torch.set_num_threads(1)
    run()
