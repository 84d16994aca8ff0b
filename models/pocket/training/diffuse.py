"""Stage `unet`: trains the U-Net on latents until its minutes are up; may be stopped and resumed at any time.

A further leg of a finished run: POCKET_UNET_MINUTES (all legs together) and POCKET_LR (its peak). POCKET_COMPILE=1 compiles it,
which needs a C++ compiler.
"""

import math
import os
import time

import numpy as np
import torch
import torch.nn.functional as F

import tokenizer
from clip_text import load_text
from config import MODEL, WORK, size
from data import ATTRIBUTES, SCALES
from diffusion import alphas_cumprod
from muon import Average, optimizers
from nets.autoencoder import Encoder, fit
from nets.unet import UNet
from nouns import painted
from scenes import RELATIONS

STATE = WORK / "unet.pt"


def basis() -> dict:
    """The autoencoder's components, fitted once to the first shard."""
    path = WORK / "basis.pt"
    if not path.exists():
        found = fit(np.load(WORK / "shards" / "00000.npz")["pixels"][:1500])
        print("components explain", found["explained"], flush=True)
        torch.save(found, path)
    return torch.load(path)


def build(s) -> UNet:
    return UNet(16, s.channels, s.width, s.blocks, s.text_width, s.context)


def likely(labels: torch.Tensor) -> np.ndarray:
    """How often each row of labels [N,L] is drawn, f64[N] of sum one: one subject of some size, what people ask for first, twice as often."""
    column = {name: labels[:, 2 + k] for k, name in enumerate(ATTRIBUTES)}
    plain = (column["relation"] == RELATIONS.index("one")) & (column["scale"] != SCALES.index("small"))
    odds = 1.0 + plain.double().numpy()
    return odds / odds.sum()


class Latents:
    """All shards as latents f16[N,16,h,w], kept in memory; new shards are picked up as they appear."""

    def __init__(self):
        self.encoder, self.known = Encoder(basis()), set()
        self.painted = torch.tensor([*painted(size().name), -1])
        self.shards: list[dict] = []

    @torch.no_grad()
    def refresh(self, most: int = 4) -> None:
        for path in sorted((WORK / "shards").glob("?????.npz")):
            if path.name in self.known or most == 0:
                continue
            with np.load(path) as z:
                x = torch.from_numpy(z["pixels"]).permute(0, 3, 1, 2)
                latents = torch.cat([self.encoder.mean(c.float() / 127.5 - 1).half() for c in x.split(256)])
                labels = torch.from_numpy(z["labels"])
                keep = torch.isin(labels[:, :2].long(), self.painted).all(1)
                self.shards.append({"x": latents[keep], "mask": torch.from_numpy(z["mask"])[keep], "ids": torch.from_numpy(z["ids"])[keep],
                                    "odds": likely(labels[keep])})
            self.known.add(path.name)
            most -= 1

    def batch(self, count: int, rng: np.random.Generator):
        """x [B,16,h,w], mask [B,1,h,w], ids [B,77]; square seven times out of eight."""
        square = [s for s in self.shards if s["x"].shape[2] == s["x"].shape[3]]
        other = [s for s in self.shards if s["x"].shape[2] != s["x"].shape[3]]
        if other and rng.random() < 0.09:
            shard, count = other[rng.integers(len(other))], count * 2 // 3
            parts = [(shard, rng.choice(len(shard["x"]), size=count, p=shard["odds"]))]
        else:
            which = rng.integers(len(square), size=8)
            parts = [(square[k], rng.choice(len(square[k]["x"]), size=count // 8, p=square[k]["odds"])) for k in which]
        pick = lambda key: torch.cat([s[key][torch.from_numpy(i)] for s, i in parts])
        ids = pick("ids")
        column = torch.from_numpy(rng.integers(2, size=len(ids)))
        return pick("x").float(), pick("mask").float()[:, None] / 255, ids[torch.arange(len(ids)), column].long()


def run() -> None:
    s = size()
    torch.manual_seed(2)
    data = Latents()
    data.refresh(most=100)
    text, encode = load_text(s.device), tokenizer.Encoder(MODEL / "tokenizer")
    empty = torch.tensor(encode([""]))
    unet = build(s).to(s.device, memory_format=torch.channels_last)
    opts = optimizers(unet, 1e-3, plain=("stem", "head", "place", "condense.queries", "blocks.*.local"))
    average, step, spent, seen = Average(unet), 0, 0.0, 0
    if STATE.exists():
        state = torch.load(STATE, map_location=s.device)
        unet.load_state_dict(state["model"])
        average.shadow, step, spent, seen = state["average"], state["step"], state["spent"], state["seen"]
        for opt, saved in zip(opts, state["optimizers"]):
            opt.load_state_dict(saved)
    forward = torch.compile(unet, dynamic=False) if os.environ.get("POCKET_COMPILE") else unet
    bars = alphas_cumprod().to(s.device)
    rng = np.random.default_rng(1000 + step)
    begin, offset, last_save, losses = time.time(), spent, time.time(), []
    minutes = float(os.environ.get("POCKET_UNET_MINUTES", s.unet_minutes))
    peak = float(os.environ.get("POCKET_LR", 2e-3))
    while spent < minutes:
        spent = offset + (time.time() - begin) / 60
        if step % 200 == 0:
            data.refresh()
        rest = max(0.0, 1 - spent / minutes)
        lr = peak * min(1, (step + 1) / 80) * min(1.0, rest / 0.7) ** 1.0
        for opt in opts:
            for group in opt.param_groups:
                group["lr"] = lr
        x, mask, ids = (t.to(s.device) for t in data.batch(s.batch, rng))
        ids[torch.from_numpy(rng.random(len(ids)) < 0.1)] = empty.to(s.device)
        if rng.random() < 0.94:  # shorter sequences are a third of the work, and padding must not matter
            ids = ids[:, :32]
        t = ((torch.arange(len(x)) + torch.rand(len(x))) / len(x) * 1000).long().clamp(max=999).to(s.device)
        bar = bars[t][:, None, None, None]
        noise = torch.randn_like(x)
        noisy, target = bar.sqrt() * x + (1 - bar).sqrt() * noise, bar.sqrt() * noise - (1 - bar).sqrt() * x
        # min-SNR (Hang et al. 2023, arXiv:2303.09556), and the subject counts four times the background.
        weight = (5 / (bar / (1 - bar) + 1)).clamp(max=1.0) * (1 + 3 * mask) / (1 + 3 * mask).mean((1, 2, 3), keepdim=True)
        with torch.autocast(s.device, torch.bfloat16):
            with torch.no_grad():
                states = text(ids)[0]
            usual = x.shape[2] == x.shape[3] and ids.shape[1] == 32  # the one shape worth compiling
            guess = (forward if usual else unet)(noisy.contiguous(memory_format=torch.channels_last), t, states)
        loss = (weight * (guess.float() - target) ** 2).mean()
        loss.backward()
        for opt in opts:
            opt.step()
            opt.zero_grad(set_to_none=True)
        step += 1
        seen += len(x)
        average.update(unet, min(0.998, (1 + step) / (20 + step)))
        losses.append(loss.detach())
        if step % 50 == 0:
            recent = torch.stack(losses[-50:]).mean().item()
            print(f"unet {step} seen {seen} loss {recent:.4f} lr {lr:.2e} {spent:.1f} min, {seen / (spent * 60 + 1e-9):.0f} pictures/s", flush=True)
        if time.time() - last_save > 180 or spent >= minutes:
            torch.save({"model": unet.state_dict(), "average": average.shadow, "step": step, "spent": spent, "seen": seen,
                        "optimizers": [o.state_dict() for o in opts]}, STATE.with_suffix(".tmp"))
            os.replace(STATE.with_suffix(".tmp"), STATE)
            last_save = time.time()
