"""Stage `judge`: a network that answers evaluate/asked.jsonl's questions, trained on renders of its own seeds; it shares nothing with what it judges.

At 128 px every 16 px cell names its noun and the colour of what it shows; the whole picture names place, time, weather, season, style.
"""

import json
import os
import time

import numpy as np
import torch
import torch.nn.functional as F

from muon import optimizers
from nets.judge import Judge
from pocket2.labels import NOUNS, OF_WHOLE, PALETTE, cells
from pocket2.paint import until
from pocket2.scenes import Renderer
from pocket2.settings import WORK, size

STATE, SEEDS = WORK / "judge.pt", 8_000_000_000
WHOLE = ["place", "time", "weather", "season", "style"]


class Judge2(Judge):
    """pixel_values [B,3,128,128] in -1..1 -> nouns [B,N+1,8,8] (last: background), colours [B,13,8,8], then [B,K] for each of WHOLE."""

    def __init__(self):
        super().__init__(NOUNS + len(PALETTE), [len(OF_WHOLE[n]) for n in WHOLE])

    def forward(self, pixel_values: torch.Tensor):
        found, *whole = super().forward(pixel_values)
        return found[:, : NOUNS + 1], found[:, NOUNS + 1:], *whole


def half(pictures: np.ndarray) -> torch.Tensor:
    """u8 [N,256,256,3] -> [N,3,128,128] in -1..1."""
    return F.avg_pool2d(torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 127.5 - 1, 2)


def render(renderer: Renderer, first: int, count: int):
    """Pictures at half side u8, noun and colour of every cell, and the whole's classes."""
    out = []
    for seed in range(first, first + count):
        picture, _, who, spec = renderer.render(seed)
        noun = cells(spec, who)
        colour = np.zeros_like(noun)
        for s in spec.subjects:
            colour[noun == s.noun] = PALETTE.index(s.color)
        out.append((picture.reshape(128, 2, 128, 2, 3).mean((1, 3)).astype(np.uint8), noun, colour, [OF_WHOLE[n].index(getattr(spec, n)) for n in WHOLE]))
    return tuple(torch.from_numpy(np.stack([np.asarray(row[k]) for row in out])) for k in range(4))


def load() -> Judge2:
    judge = Judge2()
    judge.load_state_dict(torch.load(STATE, map_location="cpu")["average"])
    return judge.eval()


def run() -> None:
    torch.manual_seed(10)
    end, minutes, renderer, judge = until(), float(os.environ.get("POCKET_MINUTES", 60 if size().name != "tiny" else 0.2)), Renderer(), Judge2().to(memory_format=torch.channels_last)
    opts, step, batch, pool, spent, begun, saved = optimizers(judge, 1e-3, plain=("stem.0", "cells", "whole")), 0, 48, None, 0.0, time.process_time(), time.time()
    average = torch.optim.swa_utils.AveragedModel(judge, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.99))
    if STATE.exists():
        state = torch.load(STATE)
        judge.load_state_dict(state["model"])
        average.module.load_state_dict(state["average"])
        step = state["step"]

    def save() -> None:
        torch.save({"model": judge.state_dict(), "average": average.module.state_dict(), "step": step}, STATE.with_suffix(".tmp"))
        os.replace(STATE.with_suffix(".tmp"), STATE)

    while time.time() < end and spent < minutes:
        spent = (time.process_time() - begun) / 60
        if pool is None or step % 8 == 0:  # a pool of 3072 pictures, so that a picture is seen about six times
            fresh = render(renderer, SEEDS + step * 8, 64 if pool is not None else 256)
            pool = fresh if pool is None else tuple(torch.cat([a[-3008:], b]) for a, b in zip(pool, fresh))
        for opt in opts:
            for group in opt.param_groups:
                group["lr"] = 2e-3 * min(1, (step + 1) / 50) * max(0.03, 1 - spent / minutes)
        pick = torch.randint(len(pool[0]), (batch,))
        pixels, noun, colour, whole = (t[pick] for t in pool)
        x = pixels.permute(0, 3, 1, 2).float() / 127.5 - 1
        soft = F.interpolate(F.avg_pool2d(x[: batch // 3], 2), scale_factor=2, mode="bilinear")  # what is painted is softer than what is rendered
        x = torch.cat([soft, x[batch // 3:]])
        x = (x + torch.randn_like(x) * 0.1 * torch.rand(batch, 1, 1, 1)).clamp(-1, 1)
        nouns, colours, *rest = judge(x.contiguous(memory_format=torch.channels_last))
        weight = torch.ones(NOUNS + 1)
        weight[-1] = 0.2
        shown = torch.where(noun == NOUNS, -100, colour.long())
        loss = F.cross_entropy(nouns, noun.long(), weight) + 0.5 * F.cross_entropy(colours, shown, ignore_index=-100) + 0.2 * sum(F.cross_entropy(r, whole[:, k]) for k, r in enumerate(rest))
        loss.backward()
        for opt in opts:
            opt.step()
            opt.zero_grad(set_to_none=True)
        average.update_parameters(judge)
        step += 1
        if step % 50 == 0:
            there = noun != NOUNS
            print(json.dumps({"step": step, "loss": round(loss.item(), 3), "cells": round((nouns.argmax(1) == noun)[there].float().mean().item(), 3), "cpu_minutes": round(spent, 1)}), flush=True)
        if time.time() - saved > 200:
            save()
            saved = time.time()
    save()


if __name__ == "__main__":
    torch.set_num_threads(1)
    run()
