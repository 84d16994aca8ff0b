"""Stage `upscaler`: trains the x4 upscaler on renders drawn at twice the native size, from quarter-size copies."""

import math
import random
import time

import numpy as np
import torch
from PIL import Image

from config import WORK, size
from muon import optimizers
from nets.upscaler import Upscaler
from scenes import Renderer


def pairs(renderer: Renderer, seeds, crop: int = 128, rng=None) -> tuple[torch.Tensor, torch.Tensor]:
    """low [N,3,c/4,c/4], high [N,3,c,c] in 0..1. The small copy is made by area averaging, as a camera would."""
    low, high = [], []
    for seed in seeds:
        spec = renderer.spec(seed)
        picture, _ = renderer.draw(spec, zoom=2)
        if rng:
            y, x = rng.randrange(0, picture.shape[0] - crop + 1, 4), rng.randrange(0, picture.shape[1] - crop + 1, 4)
            picture = picture[y:y + crop, x:x + crop]
        image = Image.fromarray(picture)
        small = image.reduce(4) if seed % 2 else image.resize((image.width // 4, image.height // 4), Image.BICUBIC)
        low.append(np.asarray(small))
        high.append(picture)
    tensor = lambda rows: torch.from_numpy(np.stack(rows)).permute(0, 3, 1, 2).float() / 255
    return tensor(low), tensor(high)


def run() -> None:
    s = size()
    torch.manual_seed(8)
    renderer, rng, model = Renderer(s.name), random.Random(9), Upscaler().to(s.device, memory_format=torch.channels_last)
    opts = optimizers(model, 1e-3, plain=("body.0", "body.8"))
    low = high = None
    start, step = time.time(), 0
    while (spent := (time.time() - start) / 60 / s.upscaler_minutes) < 1:
        if step % 60 == 0:
            more = pairs(renderer, [rng.randrange(3_000_000_000, 4_000_000_000) for _ in range(160)], rng=rng)
            low, high = (more if low is None else (torch.cat([low[-800:], more[0]]), torch.cat([high[-800:], more[1]])))
        for opt in opts:
            for group in opt.param_groups:
                group["lr"] = 2e-3 * min(1, (step + 1) / 50) * (1 - spent)
        pick = torch.randint(len(low), (16,))
        a, b = low[pick].to(s.device), high[pick].to(s.device)
        with torch.autocast(s.device, torch.bfloat16):
            body = model.body((a - 0.5).contiguous(memory_format=torch.channels_last))
        found = torch.nn.functional.interpolate(a, scale_factor=4, mode="bilinear") + torch.nn.functional.pixel_shuffle(body.float(), 4)
        loss = (found - b).abs().mean() + 2 * ((found - b) ** 2).mean()
        loss.backward()
        for opt in opts:
            opt.step()
            opt.zero_grad(set_to_none=True)
        step += 1
        if step % 100 == 0:
            print(f"upscaler {step} loss {loss.item():.4f} psnr {-10 * math.log10(((found - b) ** 2).mean().item()):.2f} {time.time() - start:.0f}s", flush=True)
    torch.save(model.state_dict(), WORK / "upscaler.pt")
