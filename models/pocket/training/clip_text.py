"""Stage `clip`: trains the text tower against scene descriptions, then freezes it.

No picture is needed for this half: captions are contrasted with an embedding of the scene's
attributes, which takes minutes; the image tower is then trained against the frozen text tower
(as locked-tuning does the other way round, Zhai et al. 2022, arXiv:2111.07991).
"""

import math
import random
import time

import torch
import torch.nn.functional as F

import tokenizer
from captions import Captioner
from config import MODEL, WORK, size
from data import ATTRIBUTES, labels
from muon import optimizers
from nets.text import Heads, SceneTower, TextTower
from scenes import Renderer


def build(s, encode) -> TextTower:
    return TextTower(encode.vocab_size, s.text_width, s.text_layers, s.embed, encode.eos)


def load_text(device: str = "cpu") -> TextTower:
    """The frozen tower."""
    tower = build(size(), tokenizer.Encoder(MODEL / "tokenizer"))
    tower.load_state_dict(torch.load(WORK / "text.pt", map_location="cpu"))
    return tower.eval().requires_grad_(False).to(device)


def _batch(renderer, captioner, encode, rng, count, long):
    """ids [count,S], labels [count,L]; short captions are cut to 28 tokens, which is a third of the work."""
    rows, targets = [], []
    while len(rows) < count:
        specs = [renderer.spec(rng.randrange(20_000_000, 2_000_000_000)) for _ in range(count)]
        for spec, ids in zip(specs, encode([captioner.caption(s, rng, long) for s in specs])):
            if long or ids[27] == encode.eos:
                rows.append(ids if long else ids[:28])
                targets.append(labels(spec))
    return torch.tensor(rows[:count]), torch.tensor(targets[:count])


def run() -> None:
    s = size()
    torch.manual_seed(1)
    renderer, encode = Renderer(s.name), tokenizer.Encoder(MODEL / "tokenizer")
    captioner, rng = Captioner(renderer.nouns), random.Random("clip")
    text = build(s, encode).to(s.device)
    n = len(renderer.nouns)
    scene, heads = SceneTower(256, s.embed, n, ATTRIBUTES).to(s.device), Heads(s.embed, n, ATTRIBUTES).to(s.device)
    model = torch.nn.ModuleDict({"text": text, "scene": scene, "heads": heads})
    scale = torch.nn.Parameter(torch.tensor(math.log(14.0), device=s.device))
    opts = optimizers(model, 1e-3, plain=("text.tokens", "text.positions", "scene.tables"))
    opts[1].add_param_group({"params": [scale]})
    start, step = time.time(), 0
    while (spent := (time.time() - start) / 60 / s.clip_minutes) < 1:
        for opt in opts:
            for group in opt.param_groups:
                group["lr"] = 3e-3 * min(1, (step + 1) / 40) * (0.5 + 0.5 * math.cos(math.pi * spent))
        ids, target = (t.to(s.device) for t in _batch(renderer, captioner, encode, rng, 192, rng.random() < 0.06))
        with torch.autocast(s.device, torch.bfloat16):
            a = text(ids)[1].float()
            b = scene(target)
            logits = scale.exp().clamp(max=60) * (a @ b.float().T)
            truth = torch.arange(len(a), device=s.device)
            contrast = (F.cross_entropy(logits, truth) + F.cross_entropy(logits.T, truth)) / 2
            aux = heads.loss(a * 8, target)
            loss = contrast + 0.5 * aux
        loss.backward()
        for opt in opts:
            opt.step()
            opt.zero_grad(set_to_none=True)
        step += 1
        if step % 40 == 0:
            top = (logits.argmax(-1) == truth).float().mean().item()
            noun = (heads(a * 8)[0].argmax(-1) == target[:, 0]).float().mean().item()
            print(f"clip {step} loss {loss.item():.3f} contrast {contrast.item():.3f} top1/192 {top:.2f} noun {noun:.2f} {time.time() - start:.0f}s", flush=True)
    torch.save(text.state_dict(), WORK / "text.pt")
