"""Stage `vision`: trains the image tower against the frozen text tower.

Heads beside it read the scene's attributes off its trunk while it trains, and are thrown away afterwards.
"""

import math
import random
import time

import numpy as np
import torch
import torch.nn.functional as F

from clip_text import load_text
from config import WORK, size
from data import ATTRIBUTES
from muon import optimizers
from nets.text import Heads
from nets.vision import ImageTower
from nouns import nouns


def build() -> tuple[ImageTower, Heads]:
    s = size()
    return ImageTower(s.embed), Heads(16 * 256, len(nouns(s.name)), ATTRIBUTES, hidden=256)


def _shard(path):
    with np.load(path) as z:
        pixels = z["pixels"]
        n, h, w, _ = pixels.shape
        small = pixels.reshape(n, h // 2, 2, w // 2, 2, 3).mean((2, 4)).astype(np.uint8)
        return torch.from_numpy(small).permute(0, 3, 1, 2), torch.from_numpy(z["ids"]).long(), torch.from_numpy(z["labels"]).long()


def run() -> None:
    s = size()
    torch.manual_seed(6)
    text = load_text(s.device)
    tower, heads = build()
    tower, heads = tower.to(s.device, memory_format=torch.channels_last), heads.to(s.device)
    model = torch.nn.ModuleDict({"tower": tower, "heads": heads})
    scale = torch.nn.Parameter(torch.tensor(math.log(14.0), device=s.device))
    opts = optimizers(model, 1e-3, plain=("tower.project", "heads"))
    opts[1].add_param_group({"params": [scale]})
    rng, start, step, held = random.Random(7), time.time(), 0, []
    paths = [p for p in sorted((WORK / "shards").glob("?????.npz")) if int(p.stem) % 8 != 7]
    while (spent := (time.time() - start) / 60 / s.vision_minutes) < 1:
        if step % 20 == 0:  # some shards at hand, one replaced every 20 steps
            held = (held + [_shard(paths[step // 20 % len(paths)])])[-3:]
        for opt in opts:
            for group in opt.param_groups:
                group["lr"] = 2e-3 * min(1, (step + 1) / 40) * (1 - spent)
        parts = [(h, torch.randint(len(h[0]), (128 // len(held),))) for h in held]
        pixels, ids, target = (torch.cat([h[k][i] for h, i in parts]).to(s.device) for k in range(3))
        x = pixels.float() / 127.5 - 1
        x = (x + torch.randn_like(x) * 0.08 * torch.rand(len(x), 1, 1, 1, device=s.device)).contiguous(memory_format=torch.channels_last)
        with torch.autocast(s.device, torch.bfloat16):
            with torch.no_grad():
                caption = text(ids[:, step % 2, :40])[1].float()
            features = tower.features(x)
            picture = F.normalize(tower.project(features).float(), dim=-1)
            judged = heads.loss(features, target)
        logits = scale.exp().clamp(max=60) * picture @ caption.T
        truth = torch.arange(len(x), device=s.device)
        contrast = (F.cross_entropy(logits, truth) + F.cross_entropy(logits.T, truth)) / 2
        (contrast + 0.3 * judged).backward()
        for opt in opts:
            opt.step()
            opt.zero_grad(set_to_none=True)
        step += 1
        if step % 25 == 0:
            with torch.no_grad():
                noun = (heads(features.float())[0].argmax(-1) == target[:, 0]).float().mean().item()
            print(f"vision {step} contrast {contrast.item():.3f} top1/{len(x)} {(logits.argmax(-1) == truth).float().mean().item():.2f} noun {noun:.2f} {time.time() - start:.0f}s", flush=True)
    torch.save(tower.state_dict(), WORK / "vision.pt")
