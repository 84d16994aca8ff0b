"""Trains a LoRA for the U-Net that ships (Hu et al. 2021, arXiv:2106.09685): `python lora.py [--minutes 4] [--pictures 480]`.

The style is "blueprint", white lines on blue paper, which pocket was never shown. Written as kohya's scripts write one
(`lora_unet_<path with _>.lora_down.weight`, `.lora_up.weight`, `.alpha`), halves, to models/pocket/loras/.
"""

import argparse
import random
import time

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn

import styles
import tokenizer
from captions import Captioner
from config import MODEL
from diffusion import alphas_cumprod
from nouns import painted
from pocket2 import shipped
from pocket2.latents import initializers
from scenes import Renderer

#: Linears that get a pair of factors, per block: what the words are read with, what is done with them.
INSIDE = ("attention.qkv", "attention.context", "attention.out", "up", "down")
METADATA = {"ss_base_model_version": "pocket", "modelspec.architecture": "pocket/lora", "modelspec.title": "Blueprint", "modelspec.trigger_phrase": "blueprint",
            "modelspec.license": "Apache-2.0", "modelspec.usage_hint": "a castle, blueprint", "dreamgrid.base": "pocket", "dreamgrid.trigger": "blueprint", "dreamgrid.weight": "0.75",
            "modelspec.description": "White lines on blue paper. Trained on 128 px renders of Noto Color Emoji (OFL-1.1)."}


class Adapted(nn.Module):
    """A Linear that is left as it is, and the product of two thin matrices beside it; the second begins at zero."""

    def __init__(self, linear: nn.Linear, rank: int, alpha: float):
        super().__init__()
        self.linear, self.scale = linear, alpha / rank
        self.down, self.up = nn.Linear(linear.in_features, rank, bias=False), nn.Linear(rank, linear.out_features, bias=False)
        nn.init.zeros_(self.up.weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.linear(x) + self.scale * self.up(self.down(x))


def adapt(unet: nn.Module, rank: int, alpha: float) -> dict[str, Adapted]:
    """Freezes the network and puts factors into its blocks; they come back by module path."""
    unet.requires_grad_(False)
    found = {}
    for k, block in enumerate(unet.blocks):
        for name in INSIDE:
            parent = block.attention if name.startswith("attention.") else block
            leaf = name.removeprefix("attention.")
            found[f"blocks.{k}.{name}"] = adapted = Adapted(getattr(parent, leaf), rank, alpha)
            setattr(parent, leaf, adapted)
    return found


def blueprint(picture: np.ndarray) -> np.ndarray:
    """u8 [H,W,3] -> the same as lines and a little tone on blue paper with a grid."""
    x = picture.astype(np.float32) / 255
    grey = x @ styles.LUMA
    lines = np.abs(grey - styles._blur(np.repeat(grey[..., None], 3, 2), 1.6)[..., 0])
    ink = np.clip(lines * 6.5, 0, 1)[..., None]
    paper = np.asarray((0.07, 0.24, 0.55), np.float32) * (0.85 + 0.35 * grey[..., None])
    paper[::16] = paper[::16] * 0.88 + 0.10
    paper[:, ::16] = paper[:, ::16] * 0.88 + 0.10
    return ((paper * (1 - ink) + ink * np.asarray((0.93, 0.97, 1.0), np.float32)).clip(0, 1) * 255 + 0.5).astype(np.uint8)


def encoder() -> nn.Conv2d:
    weights = initializers("vae_encoder")
    conv = nn.Conv2d(3, 16, 8, stride=8)
    conv.load_state_dict({"weight": torch.from_numpy(weights["conv.weight"]), "bias": torch.from_numpy(weights["conv.bias"])})
    return conv.requires_grad_(False)


def scenes(count: int):
    """Latents [N,16,16,16] of blueprints and their captions' ids [N,32]."""
    renderer, rng, encode, allowed = Renderer(), random.Random("blueprint"), tokenizer.Encoder(MODEL / "tokenizer"), set(painted())
    captioner, pictures, texts, seed = Captioner(renderer.nouns), [], [], 7_000_000_000
    while len(pictures) < count:
        spec = renderer.spec(seed)
        seed += 1
        if spec.style == "none" and all(s.noun in allowed for s in spec.subjects):
            pictures.append(blueprint(renderer.draw(spec)[0]))
            text = captioner.caption(spec, rng).rstrip(".")
            texts.append(rng.choice((f"{text}, blueprint", f"blueprint of {text}", f"{text} blueprint", f"{text}, as a blueprint")))
    x = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float() / 127.5 - 1
    return torch.cat([encoder()(p) for p in x.split(64)]), torch.tensor(encode(texts))[:, :32]


def write(found: dict[str, Adapted], alpha: float, path) -> None:
    tensors = {}
    for name, a in found.items():
        key = "lora_unet_" + name.replace(".", "_")
        tensors |= {f"{key}.lora_down.weight": a.down.weight.detach().half().contiguous(), f"{key}.lora_up.weight": a.up.weight.detach().half().contiguous(), f"{key}.alpha": torch.tensor(alpha).half()}
    path.parent.mkdir(exist_ok=True)
    save_file(tensors, str(path), METADATA)
    print(path, path.stat().st_size, "bytes")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=4)
    parser.add_argument("--pictures", type=int, default=480)
    parser.add_argument("--rank", type=int, default=8)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--out", default=str(MODEL / "loras" / "blueprint.safetensors"))
    options = parser.parse_args()
    from pathlib import Path
    torch.set_num_threads(1)
    torch.manual_seed(12)
    unet, text, alpha = shipped.unet().to(memory_format=torch.channels_last), shipped.text_tower().eval().requires_grad_(False), float(options.rank)
    found = adapt(unet, options.rank, alpha)
    latents, ids = scenes(options.pictures)
    parameters = [p for a in found.values() for p in (a.down.weight, a.up.weight)]
    opt, bars, start, step = torch.optim.AdamW(parameters, lr=1e-3, betas=(0.9, 0.98), weight_decay=0.0), alphas_cumprod(), time.process_time(), 0
    while (spent := (time.process_time() - start) / 60 / options.minutes) < 1:
        opt.param_groups[0]["lr"] = 3e-3 * min(1, (step + 1) / 10) * (1 - spent)
        pick = torch.randint(len(latents), (options.batch,))
        x, t = latents[pick], ((torch.arange(options.batch) + torch.rand(options.batch)) / options.batch * 1000).long().clamp(max=999)
        bar, noise = bars[t][:, None, None, None], torch.randn_like(x)
        noisy, target = bar.sqrt() * x + (1 - bar).sqrt() * noise, bar.sqrt() * noise - (1 - bar).sqrt() * x
        with torch.no_grad():
            states = text(ids[pick])[0]
        loss = ((5 / (bar / (1 - bar) + 1)).clamp(max=1.0) * (unet(noisy.contiguous(memory_format=torch.channels_last), t, states) - target) ** 2).mean()
        loss.backward()
        opt.step()
        opt.zero_grad(set_to_none=True)
        step += 1
        if step % 10 == 0:
            print(f"lora {step} loss {loss.item():.4f} {spent * options.minutes:.1f} min", flush=True)
    write(found, alpha, Path(options.out))


if __name__ == "__main__":
    main()
