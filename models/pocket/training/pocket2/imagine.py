"""Paints as pocket-unclip does, by the averaged weights as they stand: words -> embedding -> 64 px -> 256 px.

`python -m pocket2.imagine [--prompts FILE] [--count N] [--small] [--out sheet.png]`; `python -m pocket2.imagine --repaint` writes what
stage `enlarge` learns from.
"""

import argparse
import json
import time

import numpy as np
import torch

from diffusion import alphas_cumprod, sample
from pocket2.data import vocabulary
from pocket2.enlarge import REPAINTED, Pictures, enlarge
from pocket2.enlarge import STATE as ENLARGE
from pocket2.enlarge import build as build_enlarge
from pocket2.look import sheet
from pocket2.prior import KEPT, Prior, draw, read
from pocket2.prior import STATE as PRIOR
from pocket2.see import STATE as CLIP
from pocket2.see import Clip, embeddings
from pocket2.settings import MODEL, WORK, size
from pocket2.small import STATE as SMALL
from pocket2.small import build, conditions
from pocket2.text import load


class Painter:
    """Of what is trained so far; parts that are not there yet are None."""

    def __init__(self):
        s, at = size(), lambda path: torch.load(path, map_location="cpu") if path.exists() else None
        self.s, self.text, self.encode, self.model = s, load(), vocabulary(), build(s).eval()
        saved, clip, prior, large = at(SMALL), at(CLIP), at(PRIOR), at(ENLARGE)
        self.seen, self.clip, self.prior, self.net = saved["seen"], None, None, None
        self.model.load_state_dict(saved["average"])
        if clip:
            self.clip = Clip(s.embed).eval().requires_grad_(False)
            self.clip.load_state_dict(clip["clip"])
        if prior:
            self.prior, self.pca = Prior(s.text_width, s.embed, min(KEPT, s.embed)).eval(), prior["pca"]
            self.prior.load_state_dict(prior["average"])
        if large:
            self.net = build_enlarge(s).eval()
            self.net.load_state_dict(large["average"])

    def ids(self, prompts: list[str]) -> torch.Tensor:
        """i64[B,S], cut to the longest."""
        ids = torch.tensor(self.encode(prompts))
        return ids[:, : int((ids != self.encode.eos).sum(1).max()) + 1]

    @torch.no_grad()
    def words(self, ids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """states [B,S,T], z_t [B,E]."""
        return read(self.text, self.clip, ids) if self.clip else (self.text(ids)[0], torch.zeros(len(ids), self.s.embed))

    def blank(self, ids: torch.Tensor) -> torch.Tensor:
        """As long as `ids`, without words."""
        out = torch.full_like(ids[:1], self.encode.eos)
        out[:, 0] = self.encode.bos
        return out

    def noise(self, seeds: list[int]) -> torch.Tensor:
        return torch.stack([torch.randn(3, 64, 64, generator=torch.Generator().manual_seed(seed)) for seed in seeds])

    @torch.no_grad()
    def embed(self, ids: torch.Tensor, seed: int = 0, steps: int = 25, guidance: float = 2.0) -> torch.Tensor:
        """Picture embeddings [B,E] for captions, as the prior draws them."""
        states, z_t = self.words(ids)
        found = draw(self.prior, z_t, states, self.words(self.blank(ids))[::-1], torch.Generator().manual_seed(seed), steps, guidance)
        return found * self.pca["std"] @ self.pca["basis"] + self.pca["mean"]

    @torch.no_grad()
    def decode(self, z: torch.Tensor, ids: torch.Tensor, noise: torch.Tensor, steps: int = 14, guidance: float = 2.0) -> torch.Tensor:
        """z [B,E] (zero: none), ids [B,S] -> small pictures [B,3,64,64] in about -1..1."""
        out = []
        for k in range(0, len(z), 8):
            part = ids[k:k + 8]
            (states, z_t), (blank, none) = self.words(part), (v.expand(len(part), *v.shape[1:]) for v in self.words(self.blank(part)))
            told = conditions(self.model, z[k:k + 8], z_t, states)
            untold = conditions(self.model, torch.zeros_like(z[k:k + 8]), none, blank)
            both = [torch.cat(pair) for pair in zip(told, untold)]
            out.append(sample(lambda x, t, _: self.model["decoder"](x, t, *both), noise[k:k + 8], states[:, :1], states[:, :1], steps, guidance, 1.0))
        return torch.cat(out).clamp(-1, 1)

    def see(self, small: torch.Tensor) -> torch.Tensor:
        """Their embeddings [B,E]."""
        with torch.no_grad():
            return self.clip.tower(small)

    def paint(self, prompts: list[str], seeds: list[int]) -> torch.Tensor:
        """Small pictures of prompts."""
        ids = self.ids(prompts)
        z = torch.cat([self.embed(ids[k:k + 1], seed) for k, seed in enumerate(seeds)]) if self.prior else torch.zeros(len(ids), self.s.embed)
        return self.decode(z, ids, self.noise(seeds))

    def large(self, small: torch.Tensor) -> torch.Tensor:
        return torch.cat([enlarge(self.net, part, generator=torch.Generator().manual_seed(0)) for part in small.split(4)])


def bytes_of(x: torch.Tensor) -> torch.Tensor:
    """[B,3,H,W] in -1..1 -> u8 [B,H,W,3]."""
    return ((x.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8).permute(0, 2, 3, 1)


def repaint(painter: Painter, count: int, minutes: float) -> None:
    """Small copies of training pictures, noised to some level and painted from there in three steps from their own embeddings."""
    data, bars, rng, end = Pictures(), alphas_cumprod(), np.random.default_rng(70), time.time() + 60 * minutes
    which, small = [], []
    while len(which) < count and time.time() < end:
        pick = rng.integers(len(data.large), size=16)
        thumb = torch.from_numpy(np.stack([data.large[k].reshape(64, 4, 64, 4, 3).mean((1, 3)).astype(np.uint8) for k in pick]))
        x, z, start = thumb.permute(0, 3, 1, 2).float() / 127.5 - 1, embeddings(painter.clip, {"thumb": thumb}), int(rng.integers(150, 650))
        (states, z_t) = (v.expand(len(x), *v.shape[1:]) for v in painter.words(painter.blank(painter.ids(["x"]))))
        told, x0 = conditions(painter.model, z, z_t, states), x
        with torch.no_grad():
            for t in (start, start * 2 // 3, start // 3):
                bar = bars[t]
                noised = bar.sqrt() * x0 + (1 - bar).sqrt() * torch.randn_like(x)
                x0 = (bar.sqrt() * noised - (1 - bar).sqrt() * painter.model["decoder"](noised, torch.full((len(x),), float(t)), *told)).clamp(-1, 1)
        which += pick.tolist()
        small.append(bytes_of(x0).numpy())
    np.savez(REPAINTED, which=np.asarray(which), small=np.concatenate(small))
    print(len(which), "repainted", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prompts", default=str(MODEL / "evaluate" / "asked.jsonl"))
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--pictures", type=int, default=1)
    parser.add_argument("--small", action="store_true", help="64 px as the decoder leaves them")
    parser.add_argument("--repaint", type=int, default=0, help="so many, for stage enlarge")
    parser.add_argument("--minutes", type=float, default=4)
    parser.add_argument("--out", default=str(WORK / "unclip.png"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    painter = Painter()
    if options.repaint:
        repaint(painter, options.repaint, options.minutes)
        return
    lines = open(options.prompts, encoding="utf8").read().strip().splitlines()[: options.count]
    prompts = [json.loads(line)["prompt"] if line.startswith("{") else line for line in lines]
    found = painter.paint([p for p in prompts for _ in range(options.pictures)], [100 * k + j for k in range(len(prompts)) for j in range(options.pictures)])
    sheet(bytes_of(found if options.small or painter.net is None else painter.large(found)), prompts, options.pictures, options.out)
    print(painter.seen, "pictures seen,", options.out)


if __name__ == "__main__":
    main()
