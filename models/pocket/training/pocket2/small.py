"""Stage `small`: pocket-unclip's decoder, 64 px from a picture's embedding and words (Ramesh et al. 2022, section 2.1); may be stopped and resumed.

Begins as pocket 2's U-Net: both encoders are linear, so its first and last convolution are carried over by the best linear map
between patches of 4 px of the small picture and the latents of the large one. Before there is an image tower it trains on words alone.
"""

import json
import os
import time

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from diffusion import alphas_cumprod
from muon import Average, optimizers
from pocket2.data import vocabulary
from pocket2.nets.unclip import PATCH, TOKENS, Decoder, Projection
from pocket2.nets.unet import Cells
from pocket2.paint import PLAIN, Scenes, until
from pocket2.prior import read
from pocket2.see import STATE as CLIP
from pocket2.see import EMBEDDED, Clip, pixels
from pocket2.settings import WORK, size
from pocket2.text import STATE as UNET
from pocket2.text import load

STATE = WORK / "small.pt"
#: Noise on embeddings while training: what the prior draws is never quite a picture's.
SPOIL = 0.35


def build(s) -> nn.ModuleDict:
    return nn.ModuleDict({"decoder": Decoder(s.channels, s.width, s.blocks, s.text_width, s.context, s.slots), "projection": Projection(s.embed, s.text_width, s.width)})


def maps(thumbs: torch.Tensor, latents: torch.Tensor, damp: float = 0.1) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, float]:
    """Between small pictures u8[N,64,64,3] and latents [N,C,16,16]: best matrices patches -> latents [C,48] (fine ones damped, for
    they carry the noise) and latents -> patches [48,C]; the projection on what no latent holds [48,48], and its variance an element."""
    p = F.pixel_unshuffle(pixels(thumbs), PATCH).permute(0, 2, 3, 1).reshape(-1, 3 * PATCH * PATCH)
    z = latents.float().permute(0, 2, 3, 1).reshape(len(p), -1)
    fit = lambda a, b, ridge: torch.linalg.solve(a.T @ a / len(a) + ridge * torch.eye(a.shape[1]), a.T @ b / len(a)).T
    outward = fit(z, p, 1e-4)
    rest = torch.eye(p.shape[1]) - outward @ torch.linalg.pinv(outward)
    return fit(p, z, damp), outward, rest, (p @ rest).square().sum(1).mean().item() / max(1.0, rest.trace().item())


def begin(s, shard: dict) -> nn.ModuleDict:
    """The decoder as pocket 2's U-Net would paint small pictures."""
    model, old = build(s), {k.removeprefix("unet."): v for k, v in torch.load(UNET, map_location="cpu")["average"].items() if k.startswith("unet.")}
    inward, outward, rest, variance = maps(shard["thumb"][:400], shard["latents"][:400])
    old["stem.weight"] = torch.einsum("ocyx,cp->opyx", old["stem.weight"], inward)
    old["head.weight"], old["head.bias"] = torch.einsum("pc,cdyx->pdyx", outward, old["head.weight"]), outward @ old["head.bias"]
    bars = alphas_cumprod()
    old["rest.weight"], old["gain"] = rest[:, :, None, None], (bars * (1 - bars)).sqrt() * (1 - variance) / (bars * variance + 1 - bars)
    missing = model["decoder"].load_state_dict(old, strict=False)
    assert not missing.unexpected_keys and all(k.startswith("picture.") for k in missing.missing_keys), missing
    return model


class Towers:
    """Frozen text tower and, as soon as it is trained, image tower, with what it said of every picture."""

    def __init__(self, s, text):
        self.s, self.text, self.clip = s, text, None

    def refresh(self, data: Scenes) -> None:
        if self.clip or not EMBEDDED.exists() or not (saved := torch.load(CLIP, map_location="cpu"))["done"]:
            return
        self.clip = Clip(self.s.embed)
        self.clip.load_state_dict(saved["clip"])
        self.clip.eval().requires_grad_(False).to(self.s.device)
        with np.load(EMBEDDED) as known:
            for name, shard in zip(data.names, data.shards):
                if name in known:
                    shard["z"] = torch.from_numpy(known[name]).float()

    def read(self, ids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """states [B,S,T], and the text's embedding where pictures lie, [B,E]."""
        if self.clip:
            return read(self.text, self.clip, ids)
        states, z = self.text(ids)
        return states, torch.zeros_like(z)


def conditions(model: nn.ModuleDict, z, z_t, states) -> tuple:
    """What the decoder is told: tokens, class labels, mask."""
    tokens, labels = model["projection"](z, z_t, states)
    mask = torch.cat([torch.ones(len(tokens), TOKENS, device=tokens.device), (states.abs().amax(-1) > 0).float()], 1)
    return tokens, labels, mask


def run() -> None:
    s, end = size(), until()
    minutes = float(os.environ.get("POCKET_MINUTES", 180 if s.name != "tiny" else 0.05))
    torch.manual_seed(12)
    data, encode = Scenes(keys=("thumb", "mask", "cells", "ids", "latents")), vocabulary()
    data.refresh(most=1000)
    held = data.shards[0]
    if len(data.shards) > 1:
        del data.shards[0], data.names[0]
    model = begin(s, held).to(s.device)
    for shard in data.shards:
        shard.pop("latents", None)
        shard["z"] = torch.zeros(len(shard["thumb"]), s.embed)
    data.keys = ("thumb", "mask", "cells", "ids", "z")
    model["decoder"].to(memory_format=torch.channels_last)
    cells, towers = Cells(s.width).to(s.device), Towers(s, load(s.device))
    opts = [*optimizers(model, 1e-3, plain=(*(f"decoder.{n}" for n in (*PLAIN, "rest")), "projection")), torch.optim.AdamW(cells.parameters(), betas=(0.9, 0.98), weight_decay=0.0)]
    average, step, seen, spent = Average(model), 0, 0, 0.0
    cells.load_state_dict(torch.load(UNET, map_location=s.device)["cells"])
    if STATE.exists():
        state = torch.load(STATE, map_location=s.device)
        model.load_state_dict(state["model"])
        cells.load_state_dict(state["cells"])
        average.shadow, step, seen, spent = state["average"], state["step"], state["seen"], state["spent"]
        for opt, kept in zip(opts, state["optimizers"]):
            opt.load_state_dict(kept)
        torch.manual_seed(12 + step)
    bars, rng, offset, begun, saved = alphas_cumprod().to(s.device), np.random.default_rng(2000 + step), spent, time.process_time(), time.time()
    peak, fall, sums, marked = float(os.environ.get("POCKET_LR", 1.2e-3)), 60 * float(os.environ.get("POCKET_FALL", 20)), [], (time.time(), seen)

    def save() -> None:
        torch.save({"model": model.state_dict(), "average": average.shadow, "cells": cells.state_dict(), "step": step, "seen": seen, "spent": spent, "optimizers": [o.state_dict() for o in opts]}, STATE.with_suffix(".tmp"))
        os.replace(STATE.with_suffix(".tmp"), STATE)

    while time.time() < end and spent < minutes:
        if step % 40 == 0 or not sums:
            towers.refresh(data)
        lr = peak * min(1, (step + 1) / 60) * max(0.02, min(1, (end - time.time()) / fall))  # falls towards the end of the session
        for opt in opts:
            for group in opt.param_groups:
                group["lr"] = lr
        found = {k: v.to(s.device) for k, v in data.pick(s.batch, rng).items()}
        ids, b = found["ids"], len(found["ids"])
        # Of ten pictures one is told nothing, half a one only words, four only their embedding, the others both.
        told = torch.from_numpy(rng.random(b)).to(s.device)
        ids[(told < 0.1) | ((told > 0.15) & (told < 0.55)), 1:] = encode.eos
        ids = ids[:, : int((ids != encode.eos).sum(1).max()) + 1]
        with torch.no_grad():
            states, z_t = towers.read(ids)
            z = F.normalize(found["z"] + torch.randn_like(found["z"]) * SPOIL * torch.rand(b, 1, device=s.device) ** 2 / s.embed ** 0.5, dim=-1)
            z = torch.where((found["z"].abs().amax(1, keepdim=True) > 0) & (told > 0.15)[:, None], z, 0.0)
        x, mask = pixels(found["thumb"]), F.interpolate(found["mask"].float()[:, None] / 255, scale_factor=4)
        t = ((torch.arange(b) + torch.rand(b)) / b * 1000).long().clamp(max=999).to(s.device)
        bar = bars[t][:, None, None, None]
        noise = torch.randn_like(x)
        noisy, target = bar.sqrt() * x + (1 - bar).sqrt() * noise, bar.sqrt() * noise - (1 - bar).sqrt() * x
        # As pocket 2's: min-SNR, and the subject counts four times the background.
        weight = (5 / (bar / (1 - bar) + 1)).clamp(max=1.0) * (1 + 3 * mask) / (1 + 3 * mask).mean((1, 2, 3), keepdim=True)
        with torch.autocast(s.device, torch.bfloat16, enabled=s.device != "cpu"):
            features: list[torch.Tensor] = []
            guess = model["decoder"](noisy.contiguous(memory_format=torch.channels_last), t, *conditions(model, z, z_t, states), features)
            shown = cells.loss(features[0], found["cells"].long(), bar.flatten())
        loss = (weight * (guess.float() - target) ** 2).mean()
        (loss + 0.1 * shown).backward()
        for opt in opts:
            opt.step()
            opt.zero_grad(set_to_none=True)
        step, seen = step + 1, seen + b
        spent = offset + (time.process_time() - begun) / 60
        average.update(model, min(0.995, (1 + step) / (20 + step)))
        sums.append((loss.item(), shown.item()))
        if step % 25 == 0:
            a, c = np.mean(sums[-25:], 0)
            now = time.time()
            print(json.dumps({"step": step, "seen": seen, "loss": round(float(a), 4), "cells": round(float(c), 3), "embedded": towers.clip is not None, "lr": round(lr, 6), "cpu_minutes": round(spent, 1),
                              "per_second": round((seen - marked[1]) / (now - marked[0]), 1), "clock": time.strftime("%H:%M:%S")}), flush=True)
            marked = (now, seen)
        if time.time() - saved > float(os.environ.get("POCKET_SAVE", 200)):
            save()
            saved = time.time()
    save()


if __name__ == "__main__":
    torch.set_num_threads(1)
    run()
