"""Stage `unet`: trains the U-Net on latents, against the text tower that stage `words` froze; may be stopped and resumed at any time.

The learning rate stays where it is (a warm-up, then level; the averaged weights stand in for its fall) until POCKET_DECAY says over how
many of the last pictures it is to fall. POCKET_UNTIL=HH:MM ends a session by the clock. New shards are taken up as they appear.
"""

import datetime
import json
import os
import time

import numpy as np
import torch

from diffusion import alphas_cumprod
from muon import Average, optimizers
from pocket2 import shipped
from pocket2.data import CAPTIONS, vocabulary
from pocket2.nets.unet import Cells, UNet
from pocket2.pack import unpack
from pocket2.settings import WORK, size
from pocket2.text import STATE, Aids, begin as begin_text

PLAIN = ("stem", "head", "place", "condense.queries")


def build(s) -> UNet:
    return UNet(s.latent, s.channels, s.width, s.blocks, s.text_width, s.context, s.slots)


def begin(s) -> torch.nn.ModuleDict:
    """A U-Net that paints what pocket 1 does, into the latents' first channels, and a text tower it understands."""
    unet, (text, reader) = build(s), begin_text()
    if s.name != "tiny" and not os.environ.get("POCKET_COLD"):
        old = {k: v for k, v in shipped.unet().state_dict().items() if not k.startswith("condense.")}
        for name in ("stem.weight", "head.weight", "head.bias"):
            whole = torch.zeros_like(unet.state_dict()[name])
            whole[tuple(slice(0, n) for n in old[name].shape)] = old[name]
            old[name] = whole
        unet.load_state_dict(old, strict=False)
        unet.condense.load_state_dict(reader.state_dict())
    return torch.nn.ModuleDict({"unet": unet, "text": text})


class Scenes:
    """All shards in memory, without their pixels."""

    KEYS = ("latents", "mask", "cells", "ids", "labels", "boxes")

    def __init__(self, keys: tuple = KEYS):
        self.keys, self.names, self.shards = keys, [], []

    def refresh(self, most: int = 2) -> None:
        for path in sorted((WORK / "shards").glob("?????.npz")):
            if path.name in self.names or most == 0:
                continue
            with np.load(path) as z:
                self.shards.append({k: torch.from_numpy(z[k]) for k in self.keys})
            self.names.append(path.name)
            most -= 1

    def pick(self, count: int, rng: np.random.Generator) -> dict[str, torch.Tensor]:
        """Scenes of eight shards, each with one of its captions."""
        which = rng.integers(len(self.shards), size=8)
        parts = [(self.shards[k], torch.from_numpy(rng.integers(len(self.shards[k]["ids"]), size=count // 8))) for k in which]
        found = {key: torch.cat([s[key][i] for s, i in parts]) for key in self.keys}
        found["ids"] = found["ids"][torch.arange(count // 8 * 8), torch.from_numpy(rng.integers(CAPTIONS, size=count // 8 * 8))].long()
        return found

    def captions(self, count: int, rng: np.random.Generator):
        """ids [B,S], labels [B,17], boxes [B,3,3]."""
        found = self.pick(count, rng)
        return found["ids"], found["labels"].long(), found["boxes"].float()

    def batch(self, count: int, rng: np.random.Generator):
        """latents [B,C,16,16], mask [B,1,16,16], cells [B,8,8], ids [B,S], labels [B,17], boxes [B,3,3]."""
        found = self.pick(count, rng)
        return found["latents"].float(), found["mask"].float()[:, None] / 255, found["cells"].long(), found["ids"], found["labels"].long(), found["boxes"].float()


def until() -> float:
    """When to stop, seconds since the epoch; never without POCKET_UNTIL=HH:MM (or POCKET_END, in those seconds)."""
    clock = os.environ.get("POCKET_UNTIL")
    if not clock:
        return float(os.environ.get("POCKET_END", "inf"))
    hour, minute = map(int, clock.split(":"))
    end = datetime.datetime.now().replace(hour=hour, minute=minute, second=0)
    return end.timestamp()


def run() -> None:
    s, end = size(), until()
    torch.manual_seed(2)
    every = float(os.environ.get("POCKET_SAVE", 200))  # seconds between checkpoints
    data, encode = Scenes(), vocabulary()
    data.refresh(most=1000)
    model = begin(s).to(s.device)
    unet, text = model["unet"].to(memory_format=torch.channels_last), model["text"]
    cells, aids = Cells(s.width).to(s.device), Aids(s.width, s.embed).to(s.device)
    text.requires_grad_(False)
    opts = [*optimizers(unet, 1e-3, plain=PLAIN), torch.optim.AdamW([*cells.parameters(), *aids.parameters()], betas=(0.9, 0.98), weight_decay=0.0)]
    rates = (1, 1, 1.5)
    average, step, spent, seen = Average(model), 0, 0.0, 0
    if STATE.exists():
        state = torch.load(STATE, map_location=s.device)
        model.load_state_dict(state["model"])
        cells.load_state_dict(state["cells"])
        aids.load_state_dict(state["aids"])
        average.shadow, step, spent, seen = state["average"], state["step"], state["spent"], state["seen"]
        for opt, saved in zip(opts, state["optimizers"]):
            opt.load_state_dict(saved)
        torch.manual_seed(2 + step)
    elif (WORK / "packed").exists():  # a run somewhere else goes on from its averaged weights
        whole = unpack(WORK / "packed")
        model.load_state_dict(whole["average"])
        average.shadow, step, seen = {k: v.clone() for k, v in model.state_dict().items()}, 100, whole["seen"]
        for part, module in (("cells", cells), ("aids", aids)):
            module.load_state_dict(whole[part])
    bars = alphas_cumprod().to(s.device)
    rng, offset, begun, saved, sums, marked = np.random.default_rng(1000 + step), spent, time.process_time(), time.time(), [], (time.time(), seen)
    peak, decay = float(os.environ.get("POCKET_LR", 1.2e-3)), float(os.environ.get("POCKET_DECAY", 0))
    aid, final = float(os.environ.get("POCKET_CELLS", 0.1)), seen + decay

    def save() -> None:
        torch.save({"model": model.state_dict(), "average": average.shadow, "cells": cells.state_dict(), "aids": aids.state_dict(), "step": step, "spent": spent, "seen": seen,
                    "optimizers": [o.state_dict() for o in opts]}, STATE.with_suffix(".tmp"))
        os.replace(STATE.with_suffix(".tmp"), STATE)

    while time.time() < end and spent < s.unet_minutes and (not decay or seen < final):
        if step % 40 == 0:
            data.refresh()
        lr = peak * min(1, (step + 1) / 100) * (max(0.02, (final - seen) / decay) if decay else 1)
        for opt, rate in zip(opts, rates):
            for group in opt.param_groups:
                group["lr"] = lr * rate
        x, mask, where, ids, rows, boxes = (t.to(s.device) for t in data.batch(s.batch, rng))
        named = torch.from_numpy(rng.random(len(ids)) >= 0.1).to(s.device)  # the others are painted without words, for guidance
        ids[~named, 1:] = encode.eos
        ids = ids[:, : int((ids != encode.eos).sum(1).max()) + 1]
        t = ((torch.arange(len(x)) + torch.rand(len(x))) / len(x) * 1000).long().clamp(max=999).to(s.device)
        bar = bars[t][:, None, None, None]
        noise = torch.randn_like(x)
        noisy, target = bar.sqrt() * x + (1 - bar).sqrt() * noise, bar.sqrt() * noise - (1 - bar).sqrt() * x
        # min-SNR (Hang et al. 2023, arXiv:2303.09556), and the subject counts four times the background.
        weight = (5 / (bar / (1 - bar) + 1)).clamp(max=1.0) * (1 + 3 * mask) / (1 + 3 * mask).mean((1, 2, 3), keepdim=True)
        with torch.autocast(s.device, torch.bfloat16, enabled=s.device != "cpu"):
            states, z = text(ids)
            features: list[torch.Tensor] = []
            guess = unet(noisy.contiguous(memory_format=torch.channels_last), t, states, features)
            shown = cells.loss(features[0], where, bar.flatten())
            slots = unet.condense(states[named])[:, s.context:]
            said, embedded = aids.loss(slots, z[named], rows[named], boxes[named])
        loss = (weight * (guess.float() - target) ** 2).mean()
        (loss + aid * shown + 0.02 * said + 0.02 * embedded).backward()
        for opt in opts:
            opt.step()
            opt.zero_grad(set_to_none=True)
        step, seen = step + 1, seen + len(x)
        spent = offset + (time.process_time() - begun) / 60
        average.update(model, min(0.998, (1 + step) / (20 + step)))
        sums.append((loss.item(), shown.item(), said.item(), embedded.item()))
        if step % 25 == 0:
            a, b, c, d = np.mean(sums[-25:], 0)
            now = time.time()
            print(json.dumps({"step": step, "seen": seen, "loss": round(float(a), 4), "cells": round(float(b), 3), "said": round(float(c), 2), "embedded": round(float(d), 2), **aids.told(slots, rows[named]), "lr": round(lr, 6), "cpu_minutes": round(spent, 1),
                              "per_second": round((seen - marked[1]) / (now - marked[0]), 1), "shards": len(data.shards), "clock": time.strftime("%H:%M:%S")}), flush=True)
            marked = (now, seen)
        if time.time() - saved > every:
            save()
            saved = time.time()
    save()


if __name__ == "__main__":
    torch.set_num_threads(1)
    run()
