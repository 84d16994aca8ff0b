"""Stage `decoder`: trains the refiner behind the linear decoder on renders; the encoder stays as it was fitted."""

import math
import time

import numpy as np
import torch

from config import WORK, size
from diffuse import basis
from nets.autoencoder import Decoder, Encoder
from muon import optimizers


def load_decoder() -> Decoder:
    decoder, path = Decoder(basis()), WORK / "decoder.pt"
    if path.exists():
        decoder.load_state_dict(torch.load(path, map_location="cpu"))
    return decoder.eval()


def _edges(x: torch.Tensor) -> torch.Tensor:
    return torch.cat([(x[..., 1:] - x[..., :-1]).flatten(1), (x[..., 1:, :] - x[..., :-1, :]).flatten(1)], 1)


def run() -> None:
    s = size()
    torch.manual_seed(4)
    encoder, decoder = Encoder(basis()).to(s.device), Decoder(basis()).to(s.device, memory_format=torch.channels_last)
    opts = optimizers(decoder, 1e-3, plain=("linear",))
    rng, start, step, pixels = np.random.default_rng(5), time.time(), 0, None
    while (spent := (time.time() - start) / 60 / s.decoder_minutes) < 1:
        if step % 300 == 0:
            square = [k for k in range(s.shards) if k % 8 != 7]
            path = WORK / "shards" / f"{square[step // 300 % len(square)]:05d}.npz"
            pixels = torch.from_numpy(np.load(path)["pixels"]).permute(0, 3, 1, 2)
        for opt in opts:
            for group in opt.param_groups:
                group["lr"] = 2e-3 * min(1, (step + 1) / 50) * (0.5 + 0.5 * math.cos(math.pi * spent))
        x = pixels[torch.from_numpy(rng.integers(len(pixels), size=16))].to(s.device).float() / 127.5 - 1
        latent = encoder.mean(x)
        # Latents of the U-Net are never quite right: a little noise teaches the refiner to clean up.
        latent = latent + torch.randn_like(latent) * 0.12 * torch.rand(len(x), 1, 1, 1, device=s.device)
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
            with torch.no_grad():
                psnr = lambda y: (-10 * torch.log10(((y.clamp(-1, 1) - x) ** 2).mean() / 4)).item()
                clean = encoder.mean(x)
                print(f"decoder {step} loss {loss.item():.4f} psnr {psnr(decoder(clean)):.2f} of linear {psnr(decoder.coarse(clean)):.2f} {time.time() - start:.0f}s", flush=True)
    torch.save(decoder.state_dict(), WORK / "decoder.pt")
