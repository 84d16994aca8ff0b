"""Stage `enlarge`: pocket-unclip's super-resolution, 64 to 256 px by diffusion in a few steps (Ramesh et al. 2022, section 2.1); may be stopped and resumed.

Learns on crops of a quarter of the side, by convolutions alone, from small pictures that are spoilt: blurred and noisy, and, once
the decoder paints, repainted by it from part of the noise, for what it will be given is never quite a small render.
"""

import json
import os
import time

import numpy as np
import torch
import torch.nn.functional as F

from diffusion import alphas_cumprod
from muon import Average, optimizers
from pocket2.decode import edges, psnr
from pocket2.nets.unclip import SuperRes
from pocket2.paint import until
from pocket2.settings import WORK, size

STATE, REPAINTED = WORK / "enlarge.pt", WORK / "repainted.npz"
CROP = 64


def build(s) -> SuperRes:
    return SuperRes(*((64, 8) if s.name != "tiny" else (16, 1)))


def enlarged(small: torch.Tensor) -> torch.Tensor:
    """[B,3,h,w] -> [B,3,4h,4w] as the engine does it: bicubic, a = -0.5, not cut to a range."""
    return F.interpolate(small, scale_factor=4, mode="bicubic", antialias=True)


def blurred(x: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
    """Gaussian blur of 5x5 px, sigma [B] each its own."""
    line = torch.exp(-(torch.arange(-2, 3, device=x.device)[None] ** 2) / (2 * sigma[:, None] ** 2 + 1e-6))
    line = line / line.sum(1, keepdim=True)
    kernel = (line[:, :, None] * line[:, None])[:, None].repeat_interleave(3, 0)
    return F.conv2d(F.pad(x, (2, 2, 2, 2), mode="replicate").flatten(0, 1)[None], kernel, groups=3 * len(x))[0].view_as(x)


class Pictures:
    """Whole pictures [N,3,256,256] and their small copies, repainted ones where there are any; the first shard is kept for measuring."""

    def __init__(self):
        paths = [p for p in sorted((WORK / "shards").glob("?????.npz")) if int(p.stem) % 10 == 0]
        self.large = np.concatenate([np.load(p)["pixels"] for p in (paths[1:] or paths)])
        self.held, self.repainted = torch.from_numpy(np.load(paths[0])["pixels"][:64]).permute(0, 3, 1, 2).float() / 127.5 - 1, {}

    def refresh(self) -> None:
        if not self.repainted and REPAINTED.exists():
            found = np.load(REPAINTED)
            self.repainted = {int(k): small for k, small in zip(found["which"], found["small"])}

    def batch(self, count: int, rng, device: str):
        """Small crops [B,3,16,16] as the decoder might have painted them, and what they are of [B,3,64,64], in -1..1."""
        small, large = [], []
        for k in rng.integers(len(self.large), size=count):
            y, x = 4 * rng.integers(0, 49, size=2)
            large.append(self.large[k, y:y + CROP, x:x + CROP])
            y, x, n = y // 4, x // 4, CROP // 4
            if self.repainted and rng.random() < 0.6:
                k = list(self.repainted)[rng.integers(len(self.repainted))]
                large[-1] = self.large[k, 4 * y:4 * y + CROP, 4 * x:4 * x + CROP]
                small.append(self.repainted[k][y:y + n, x:x + n])
            else:
                small.append(large[-1].reshape(n, 4, n, 4, 3).mean((1, 3)).astype(np.uint8))
        tensor = lambda rows: torch.from_numpy(np.stack(rows)).to(device).permute(0, 3, 1, 2).float() / 127.5 - 1
        small = tensor(small)
        rand = lambda *shape: torch.rand(*shape, device=device)
        small = blurred(small, 0.7 * rand(count)) + 0.12 * rand(count, 1, 1, 1) ** 2 * torch.randn_like(small)
        return small, tensor(large)


@torch.no_grad()
def enlarge(net: SuperRes, small: torch.Tensor, steps: int = 4, generator=None) -> torch.Tensor:
    """DDIM without new noise, x0-prediction, trailing steps: small [B,3,h,w] -> [B,3,4h,4w]."""
    bars, shown = alphas_cumprod().to(small.device), enlarged(small.clamp(-1, 1))
    times = [round(1000 - k * 1000 / steps) - 1 for k in range(steps)]
    x = torch.randn(shown.shape, generator=generator).to(small.device)
    for k, t in enumerate(times):
        x0 = net(torch.cat([x, shown], 1), torch.full((len(x),), float(t), device=x.device)).clamp(-1, 1)
        if k + 1 == steps:
            return x0
        bar, after = bars[t], bars[times[k + 1]]
        x = after.sqrt() * x0 + (1 - after).sqrt() * (x - bar.sqrt() * x0) / (1 - bar).sqrt()
    return x


def run() -> None:
    s, end, minutes = size(), until(), float(os.environ.get("POCKET_MINUTES", 25 if size().name != "tiny" else 0.05))
    torch.manual_seed(14)
    net, data, rng = build(s).to(s.device), Pictures(), np.random.default_rng(15)
    net.to(memory_format=torch.channels_last)
    opts, average, step, seen = optimizers(net, 1e-3, plain=("time1", "stem", "head")), Average(net), 0, 0
    if STATE.exists():
        state = torch.load(STATE, map_location=s.device)
        net.load_state_dict(state["model"])
        average.shadow, step, seen = state["average"], state["step"], state["seen"]
        for opt, kept in zip(opts, state["optimizers"]):
            opt.load_state_dict(kept)
        rng = np.random.default_rng(15 + step)
    bars, begun, saved, spent, count = alphas_cumprod().to(s.device), time.process_time(), time.time(), 0.0, 32 if s.name != "tiny" else 8

    def save() -> None:
        torch.save({"model": net.state_dict(), "average": average.shadow, "step": step, "seen": seen, "optimizers": [o.state_dict() for o in opts]}, STATE.with_suffix(".tmp"))
        os.replace(STATE.with_suffix(".tmp"), STATE)

    while time.time() < end and spent < minutes:
        if step % 100 == 0:
            data.refresh()
        spent = (time.process_time() - begun) / 60
        for opt in opts:
            for group in opt.param_groups:
                group["lr"] = 1.5e-3 * min(1, (step + 1) / 60) * max(0.03, min(1, 2 * (1 - spent / minutes)))
        small, wanted = data.batch(count, rng, s.device)
        t = (1000 * (1 - torch.rand(count, device=s.device) ** 1.5)).long().clamp(max=999)  # few steps: most of the work is at much noise
        bar = bars[t][:, None, None, None]
        noised = bar.sqrt() * wanted + (1 - bar).sqrt() * torch.randn_like(wanted)
        found = net(torch.cat([noised, enlarged(small.clamp(-1, 1))], 1).contiguous(memory_format=torch.channels_last), t)
        loss = ((found - wanted) ** 2).mean() + 0.15 * (found - wanted).abs().mean() + 0.1 * (edges(found) - edges(wanted)).abs().mean()
        loss.backward()
        for opt in opts:
            opt.step()
            opt.zero_grad(set_to_none=True)
        step, seen = step + 1, seen + count
        average.update(net, min(0.995, (1 + step) / (20 + step)))
        if step % 100 == 0:
            told = build(s).to(s.device)
            told.load_state_dict(average.shadow)
            few = data.held[:16].to(s.device)
            low = F.avg_pool2d(few, 4)
            print(json.dumps({"step": step, "crops": seen, "loss": round(loss.item(), 4), "psnr": round(psnr(enlarge(told.eval(), low), few), 2), "bicubic": round(psnr(enlarged(low), few), 2),
                              "repainted": len(data.repainted), "cpu_minutes": round(spent, 1)}), flush=True)
        if time.time() - saved > float(os.environ.get("POCKET_SAVE", 200)):
            save()
            saved = time.time()
    save()


if __name__ == "__main__":
    torch.set_num_threads(1)
    run()
