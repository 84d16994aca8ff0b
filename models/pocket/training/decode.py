"""Stage `decoder`: trains the refiner behind the linear decoder; the encoder stays as it was fitted.

Latents that the U-Net paints are never quite those of a picture. So half of what the refiner learns from is
latents that were spoilt with noise and repaired by the U-Net in a few steps, as the end of a sampling would:
it learns to clean up what the U-Net leaves. Runs after `unet`; with --force it goes on from where it was.
"""

import math
import time

import numpy as np
import torch

from clip_text import load_text
from config import WORK, size
from diffuse import STATE, basis, build
from diffusion import alphas_cumprod
from nets.autoencoder import PATCH, Decoder, Encoder
from muon import optimizers


def load_decoder() -> Decoder:
    decoder, path = Decoder(basis()), WORK / "decoder.pt"
    if path.exists():
        decoder.load_state_dict(torch.load(path, map_location="cpu"))
    return decoder.eval()


def _edges(x: torch.Tensor) -> torch.Tensor:
    """Steps between neighbouring pixels of [B,C,H,W]; those across a cell's border, where a grid would show, count three times more."""
    def steps(a, b):
        return (b - a) * torch.where(torch.arange(1, a.shape[-1] + 1, device=x.device) % PATCH == 0, 4.0, 1.0)
    y = x.transpose(2, 3)
    return torch.cat([steps(x[..., :-1], x[..., 1:]).flatten(1), steps(y[..., :-1], y[..., 1:]).flatten(1)], 1)


class Repair:
    """Latents [B,16,h,w] and their captions' ids -> the same pictures as the U-Net repaints them from part of the noise."""

    def __init__(self, device: str):
        self.unet, self.text, self.bars = build(size()).eval().to(device), load_text(device), alphas_cumprod().to(device)
        self.unet.load_state_dict(torch.load(STATE, map_location=device)["average"])

    @torch.no_grad()
    def __call__(self, x: torch.Tensor, ids: torch.Tensor, steps: int = 3) -> torch.Tensor:
        start = torch.randint(150, 650, (len(x),), device=x.device)
        with torch.autocast(x.device.type, torch.bfloat16):
            states = self.text(ids)[0]
        noise, clean = torch.randn_like(x), x
        for k in range(steps):  # DDIM (Song et al. 2020, arXiv:2010.02502), each picture from its own start
            t = start * (steps - k) // steps
            bar = self.bars[t][:, None, None, None]
            noisy = bar.sqrt() * clean + (1 - bar).sqrt() * noise
            with torch.autocast(x.device.type, torch.bfloat16):
                v = self.unet(noisy.contiguous(memory_format=torch.channels_last), t, states).float()
            clean, noise = bar.sqrt() * noisy - (1 - bar).sqrt() * v, (1 - bar).sqrt() * noisy + bar.sqrt() * v
        return clean


def _shard(path, encoder, repair, device, repaired: int):
    """Pictures u8, their latents, and for the first `repaired` of them what the U-Net made of those."""
    with np.load(path) as z:
        pixels, ids = torch.from_numpy(z["pixels"]).permute(0, 3, 1, 2), torch.from_numpy(z["ids"][:repaired, 0]).long()
    with torch.no_grad():
        latents = torch.cat([encoder.mean(p.to(device).float() / 127.5 - 1) for p in pixels.split(256)])
    fixed = [repair(x, i.to(device)) for x, i in zip(latents[:repaired].split(64), ids.split(64))]
    return pixels, latents, torch.cat(fixed)


def run() -> None:
    s = size()
    torch.manual_seed(4)
    encoder, decoder, repair = Encoder(basis()).to(s.device), load_decoder().train().to(s.device, memory_format=torch.channels_last), Repair(s.device)
    opts = optimizers(decoder, 1e-3, plain=("linear",))
    rng, start, step = np.random.default_rng(5), time.time(), 0
    square = [p for p in sorted((WORK / "shards").glob("?????.npz")) if int(p.stem) % 8 != 7]
    while (spent := (time.time() - start) / 60 / s.decoder_minutes) < 1:
        if step % 300 == 0:
            pixels, latents, fixed = _shard(square[step // 300 % len(square)], encoder, repair, s.device, min(512, s.shard))
        for opt in opts:
            for group in opt.param_groups:
                group["lr"] = 2e-3 * min(1, (step + 1) / 50) * (0.5 + 0.5 * math.cos(math.pi * spent))
        whole, part = torch.from_numpy(rng.integers(len(pixels), size=8)), torch.from_numpy(rng.integers(len(fixed), size=8))
        x = pixels[torch.cat([whole, part])].to(s.device).float() / 127.5 - 1
        latent = latents[whole]
        latent = torch.cat([latent + torch.randn_like(latent) * 0.12 * torch.rand(len(latent), 1, 1, 1, device=s.device), fixed[part]])
        with torch.autocast(s.device, torch.bfloat16):
            found = decoder.coarse(latent) + decoder.detail(latent)
        found = found.float()
        loss = (found - x).abs().mean() + 0.5 * (_edges(found) - _edges(x)).abs().mean()
        loss.backward()
        decoder.linear.weight.grad = None
        for opt in opts:
            opt.step()
            opt.zero_grad(set_to_none=True)
        step += 1
        if step % 100 == 0:
            psnr = lambda y, k: (-10 * torch.log10(((y.clamp(-1, 1) - x)[k] ** 2).mean() / 4)).item()
            with torch.no_grad():
                linear, clean, mended = decoder.coarse(latent), slice(0, 8), slice(8, 16)
            print(f"decoder {step} loss {loss.item():.4f} psnr {psnr(found.detach(), clean):.2f} of linear {psnr(linear, clean):.2f}, "
                  f"of the U-Net's latents {psnr(found.detach(), mended):.2f} of linear {psnr(linear, mended):.2f} {time.time() - start:.0f}s", flush=True)
            torch.save(decoder.state_dict(), WORK / "decoder.tmp")
    torch.save(decoder.state_dict(), WORK / "decoder.pt")
