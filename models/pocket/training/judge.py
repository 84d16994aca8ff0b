"""Stage `judge`: trains the classifier of evaluate/ on renders of its own seeds, a fixed number of them; may be stopped and resumed."""

import math
import random
import time

import numpy as np
import torch
import torch.nn.functional as F

from config import WORK, size
from data import ATTRIBUTES
from diffuse import basis
from muon import optimizers
from nets.autoencoder import Encoder
from nets.judge import CELL, GLOBAL, Judge
from nouns import nouns, painted
from scenes import Renderer

#: Seeds of its pictures; no other stage renders from here, and evaluate/ has seeds of its own.
SEEDS = 8_000_000_000


def build() -> Judge:
    return Judge(len(nouns(size().name)), [len(ATTRIBUTES[name]) for name in GLOBAL])


def cells(spec, mask: np.ndarray, background: int) -> np.ndarray:
    """[H/16,W/16]: the noun a cell shows, -1 where that is unclear (an edge)."""
    h, w = mask.shape
    share = mask.reshape(h // CELL, CELL, w // CELL, CELL).mean((1, 3))
    y, x = ((np.mgrid[: h // CELL, : w // CELL] + 0.5) * CELL)
    away = [np.maximum(abs(x - s.x - s.size / 2), abs(y - s.y - s.size / 2)) / s.size for s in spec.subjects]
    noun = np.asarray([s.noun for s in spec.subjects])[np.argmin(away, 0)]
    return np.where(share > 0.25, noun, np.where(share > 0.06, -1, background))


def specs(renderer: Renderer, allowed: set, first: int):
    """Specs from a seed on, those whose subjects are all among the allowed nouns."""
    while True:
        spec = renderer.spec(first)
        if all(s.noun in allowed for s in spec.subjects):
            yield spec
        first += 1


def render(renderer: Renderer, source, count: int):
    """pixels u8 [N,3,H,W], cells i64 [N,H/16,W/16], attributes i64 [N,K], noun i64 [N] (-1: several kinds)."""
    pixels, where, whole, noun = [], [], [], []
    for spec in (next(source) for _ in range(count)):
        picture, mask = renderer.draw(spec)
        pixels.append(picture)
        where.append(cells(spec, mask, len(renderer.nouns)))
        whole.append([ATTRIBUTES[name].index(getattr(spec, name)) for name in GLOBAL])
        kinds = {s.noun for s in spec.subjects}
        noun.append(kinds.pop() if len(kinds) == 1 else -1)
    return torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2), torch.from_numpy(np.stack(where)), torch.tensor(whole), torch.tensor(noun)


def pooled(logits: torch.Tensor) -> torch.Tensor:
    """Cell logits [B,N+1,h,w] -> log-probability [B,N] of the noun that most of the picture shows."""
    return logits.log_softmax(1)[:, :-1].flatten(2).logsumexp(2).log_softmax(1)


class Worn:
    """Half of the pictures as the autoencoder would give them back, so that softness and patches say nothing."""

    def __init__(self):
        found = basis()
        self.encoder, self.decode, self.offset = Encoder(found), found["decode"], found["mean"][None]

    @torch.no_grad()
    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        half = len(x) // 2
        latent = self.encoder.mean(x[:half])
        spoil = latent.std((0, 2, 3), keepdim=True) * 0.35 * torch.rand(half, 1, 1, 1) * torch.randn_like(latent)
        soft = F.conv_transpose2d(latent + spoil, self.decode, stride=8) + F.conv_transpose2d(torch.ones_like(latent[:, :1]), self.offset, stride=8)
        rest = x[half:] + torch.randn_like(x[half:]) * 0.1 * torch.rand(len(x) - half, 1, 1, 1)
        return torch.cat([soft, rest]).clamp(-1, 1)


def run() -> None:
    s = size()
    torch.manual_seed(10)
    renderer, model, worn = Renderer(s.name), build().to(s.device, memory_format=torch.channels_last), Worn()
    part, done = WORK / "judge.part.pt", 0
    if part.exists():
        state = torch.load(part, map_location=s.device)
        model.load_state_dict(state["average"])
        done = state["step"]
    source, pool, batch = specs(renderer, set(painted(s.name)), SEEDS + 100 * done), None, 64
    opts = optimizers(model, 1e-3, plain=("stem.0", "cells", "whole"))
    average = torch.optim.swa_utils.AveragedModel(model, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.995))
    steps, start, right = s.judge_pictures // batch, time.time(), []
    for step in range(done, steps):
        if pool is None or step % 16 == 0:  # a pool of 4096 pictures, a quarter of a step's pictures new
            fresh = render(renderer, source, 512)
            pool = fresh if pool is None else tuple(torch.cat([a[-3584:], b]) for a, b in zip(pool, fresh))
        for opt in opts:
            for group in opt.param_groups:
                group["lr"] = 3e-3 * min(1, (step - done + 1) / 50) * (1 - step / steps)
        pick = torch.randint(len(pool[0]), (batch,))
        pixels, where, whole, noun = (t[pick] for t in pool)
        x = worn(pixels.float() / 127.5 - 1).to(s.device)
        where, whole, noun = where.to(s.device), whole.to(s.device), noun.to(s.device)
        with torch.autocast(s.device, torch.bfloat16):
            found, *rest = model(x.contiguous(memory_format=torch.channels_last))
        found = found.float()
        weight = torch.ones(found.shape[1], device=s.device)
        weight[-1] = 0.2
        loss = F.cross_entropy(found, where, weight, ignore_index=-1) + F.cross_entropy(pooled(found), noun, ignore_index=-1)
        loss = loss + 0.2 * sum(F.cross_entropy(r.float(), whole[:, k]) for k, r in enumerate(rest))
        loss.backward()
        for opt in opts:
            opt.step()
            opt.zero_grad(set_to_none=True)
        average.update_parameters(model)
        one = noun >= 0
        right.append((pooled(found.detach()).argmax(1) == noun)[one].float().mean().item())
        if (step + 1) % 50 == 0:
            print(f"judge {step + 1} of {steps} loss {loss.item():.3f} noun {sum(right[-50:]) / 50:.3f} {time.time() - start:.0f}s", flush=True)
            torch.save({"average": average.module.state_dict(), "step": step + 1}, part)
    torch.save(average.module.state_dict(), WORK / "judge.pt")
    part.unlink(missing_ok=True)
