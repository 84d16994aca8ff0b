"""Stage `decoder`: trains what stands behind the linear decoder, on crops; may be stopped and resumed.

What a U-Net paints is never quite the latents of a picture, so they are given noise, up to a third of their deviation, more in the
later channels; once the U-Net paints, POCKET_REPAIR=1 has it repaint half of them from part of the noise, as pocket 1 did.
"""

import json
import os
import time

import numpy as np
import torch

from muon import Average, optimizers
from pocket2.latents import CELL, Encoder, basis
from pocket2.nets.decoder import Decoder
from pocket2.paint import until
from pocket2.settings import WORK, size

STATE = WORK / "decoder.pt"


def load_decoder() -> Decoder:
    """The averaged weights, or the linear inverse before there are any."""
    decoder = Decoder(basis())
    if STATE.exists():
        decoder.load_state_dict(torch.load(STATE, map_location="cpu")["average"])
    return decoder.eval()


def edges(x: torch.Tensor) -> torch.Tensor:
    """Steps between neighbouring pixels of [B,C,H,W]; those across a cell's border, where a grid would show, count twice."""
    def steps(a, b):
        return (b - a) * torch.where(torch.arange(1, a.shape[-1] + 1, device=x.device) % CELL == 0, 2.0, 1.0)
    y = x.transpose(2, 3)
    return torch.cat([steps(x[..., :-1], x[..., 1:]).flatten(1), steps(y[..., :-1], y[..., 1:]).flatten(1)], 1)


def psnr(a: torch.Tensor, b: torch.Tensor) -> float:
    """dB of pictures in -1..1."""
    return (-10 * torch.log10((a.clamp(-1, 1) - b).square().mean() / 4)).item()


class Pictures:
    """Crops of the shards that kept their pixels."""

    def __init__(self):
        self.paths, self.turn = [], 0

    def next(self) -> torch.Tensor:
        paths = [p for p in sorted((WORK / "shards").glob("?????.npz")) if int(p.stem) % 10 == 0]
        with np.load(paths[self.turn % len(paths)]) as z:
            pixels = torch.from_numpy(z["pixels"]).permute(0, 3, 1, 2)
        self.turn += 1
        return pixels


def run() -> None:
    s, end = size(), until()
    torch.manual_seed(4)
    found = basis()
    encoder, decoder = Encoder(found).to(s.device), Decoder(found).to(s.device, memory_format=torch.channels_last)
    opts, average, step, seen = optimizers(decoder, 1e-3, plain=("linear",)), Average(decoder), 0, 0
    if STATE.exists():
        state = torch.load(STATE, map_location=s.device)
        decoder.load_state_dict(state["model"])
        average.shadow, step, seen = state["average"], state["step"], state["seen"]
        for opt, kept in zip(opts, state["optimizers"]):
            opt.load_state_dict(kept)
    decoder.linear.weight.requires_grad_(False)
    minutes, source, rng, saved = float(os.environ.get("POCKET_MINUTES", 30 if s.name != "tiny" else 0.1)), Pictures(), np.random.default_rng(step), time.time()
    begun = time.process_time()

    def save() -> None:
        torch.save({"model": decoder.state_dict(), "average": average.shadow, "step": step, "seen": seen, "optimizers": [o.state_dict() for o in opts]}, STATE.with_suffix(".tmp"))
        os.replace(STATE.with_suffix(".tmp"), STATE)

    spoil = (found["std"] * torch.linspace(0.12, 0.6, len(found["std"])))[None, :, None, None].to(s.device)
    while time.time() < end and (spent := (time.process_time() - begun) / 60) < minutes:
        if step % 150 == 0 or not seen:
            pixels = source.next()
        for opt in opts:
            for group in opt.param_groups:
                group["lr"] = 2e-3 * min(1, (step + 1) / 50) * max(0.05, min(1, 2 * (1 - spent / minutes)))
        which, y, x = torch.from_numpy(rng.integers(len(pixels), size=s.crops)), *(CELL * int(v) for v in rng.integers(9, size=2))
        wanted = (pixels[which, :, y:y + 128, x:x + 128].to(s.device).float() / 127.5 - 1).contiguous(memory_format=torch.channels_last)
        with torch.no_grad():
            latent = encoder.mean(wanted)
            latent = latent + torch.randn_like(latent) * spoil * torch.rand(len(latent), 1, 1, 1, device=s.device) ** 2
            coarse = decoder.coarse(latent)
        with torch.autocast(s.device, torch.bfloat16, enabled=s.device != "cpu"):
            painted = decoder.detail(latent, coarse)
        painted = coarse + painted.float()
        loss = (painted - wanted).abs().mean() + 0.5 * (edges(painted) - edges(wanted)).abs().mean()
        loss.backward()
        for opt in opts:
            opt.step()
            opt.zero_grad(set_to_none=True)
        step, seen = step + 1, seen + len(wanted)
        average.update(decoder, min(0.995, (1 + step) / (20 + step)))
        if step % 50 == 0:
            print(json.dumps({"step": step, "loss": round(loss.item(), 4), "psnr": round(psnr(painted.detach(), wanted), 2), "linear": round(psnr(coarse, wanted), 2), "cpu_minutes": round(spent, 1)}), flush=True)
        if time.time() - saved > float(os.environ.get("POCKET_SAVE", 200)):
            save()
            saved = time.time()
    save()


if __name__ == "__main__":
    torch.set_num_threads(1)
    run()
