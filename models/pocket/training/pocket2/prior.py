"""Stage `prior`: text -> image embedding for pocket-unclip (DALL-E 2, Ramesh et al. 2022, arXiv:2204.06125), on principal components.

A causal transformer reads the text's states, its embedding, the noise level and the noised embedding, and predicts the unnoised one.
Text stands before the noise and cannot see it, so one reading of a caption serves several noise levels in one sequence. Half of each
batch are scenes of several subjects. The components are folded into the first and last matrix by `folded`, so that the exported prior
takes and gives whole embeddings, as Karlo's does.
"""

import json
import math
import os
import time

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from diffusion import alphas_cumprod
from muon import Average, optimizers
from nets.text import Block
from nets.unet import sinusoid
from pocket2.data import CAPTIONS, vocabulary
from pocket2.labels import SIZES
from pocket2.paint import until
from pocket2.see import STATE as CLIP
from pocket2.see import EMBEDDED, Clip, Thumbs, embeddings
from pocket2.settings import WORK, size
from pocket2.text import load

STATE, KEPT, LEVELS = WORK / "prior.pt", 96, 8


class Prior(nn.Module):
    """noised [B,L,K], t [B,L], z_t [B,E], states [B,S,T] -> the unnoised embedding's components [B,L,K] at each of L noise levels."""

    def __init__(self, text: int, embed: int, kept: int, width: int = 256, layers: int = 4):
        super().__init__()
        self.words, self.whole = nn.Linear(text, width), nn.Linear(embed, width)
        self.noised, self.time = nn.Linear(kept, width), nn.Linear(width, width)
        self.query, self.kinds = nn.Parameter(torch.randn(width) * 0.02), nn.Parameter(torch.randn(4, width) * 0.02)
        self.blocks = nn.ModuleList(Block(width, width // 64) for _ in range(layers))
        self.norm, self.out, self.width = nn.LayerNorm(width), nn.Linear(width, kept), width

    def mask(self, states: torch.Tensor, levels: int) -> torch.Tensor:
        """[B,1,N,N] added to the weights: prefix causal, each level's three tokens see the prefix and one another in order; padding is unseen."""
        s = states.shape[1] + 1
        n = s + 3 * levels
        group = torch.cat([torch.full((s,), -1, device=states.device), torch.arange(levels, device=states.device).repeat_interleave(3)])
        order = torch.arange(n, device=states.device)
        seen = (order[None] <= order[:, None]) & ((group[None] == -1) | (group[None] == group[:, None]))
        alive = torch.cat([states.abs().amax(-1) > 0, torch.ones(states.shape[0], 1 + 3 * levels, dtype=torch.bool, device=states.device)], 1)
        return torch.where(seen[None] & alive[:, None], 0.0, -1e4)[:, None]

    def forward(self, noised: torch.Tensor, t: torch.Tensor, z_t: torch.Tensor, states: torch.Tensor) -> torch.Tensor:
        b, levels, _ = noised.shape
        times = self.time(sinusoid(t.flatten(), self.width)).view(b, levels, -1) + self.kinds[1]
        three = torch.stack([times, self.noised(noised) + self.kinds[2], (self.query + self.kinds[3]).expand(b, levels, -1)], 2).flatten(1, 2)
        x, bias = torch.cat([self.words(states), (self.whole(z_t) + self.kinds[0])[:, None], three], 1), self.mask(states, levels)
        for block in self.blocks:
            n, d = x.shape[1], x.shape[2]
            q, k, v = block.qkv(block.norm1(x)).view(b, n, 3, block.heads, 64).permute(2, 0, 3, 1, 4).unbind(0)
            x = x + block.out(((q @ k.transpose(-1, -2) * 0.125 + bias).softmax(-1) @ v).transpose(1, 2).reshape(b, n, d))
            x = x + block.down(F.gelu(block.up(block.norm2(x)), approximate="tanh"))
        return self.out(self.norm(x[:, states.shape[1] + 1:].view(b, levels, 3, -1)[:, :, 2]))


def components(z: torch.Tensor, kept: int) -> dict:
    """Mean, basis [K,E] (largest first), the one scale that gives embeddings unit variance an element, and the share of variance held.

    One scale for all (the paper's 17.2, not whitening): noise is then the same in any rotation, and the exported prior may take
    and give whole embeddings with `clip_mean` and `clip_std` as Karlo has them.
    """
    mean = z.mean(0)
    values, vectors = torch.linalg.eigh((z - mean).T @ (z - mean) / len(z))
    values, vectors = values.flip(0), vectors.flip(1)
    return {"mean": mean, "basis": vectors[:, :kept].T.contiguous(), "std": values.mean().sqrt(), "share": (values.cumsum(0) / values.sum())}


class Folded(nn.Module):
    """The prior with its components folded in, in Karlo's interface: hidden_states [B,E], timestep [B], proj_embedding [B,E],
    encoder_hidden_states [B,S,W], attention_mask bool[B,S] -> predicted_image_embedding [B,E]."""

    def __init__(self, prior: Prior, basis: torch.Tensor):
        super().__init__()
        self.prior = prior
        self.register_buffer("basis", basis)

    def forward(self, hidden_states, timestep, proj_embedding, encoder_hidden_states, attention_mask):
        longest = attention_mask.to(torch.int64).sum(1).max()  # behind it is padding, which nothing looks at
        states = (encoder_hidden_states * attention_mask[..., None].to(encoder_hidden_states.dtype))[:, :longest]
        found = self.prior((hidden_states @ self.basis.T)[:, None], timestep[:, None], proj_embedding, states)
        return found[:, 0] @ self.basis


@torch.no_grad()
def draw(prior: Prior, z_t, states, empty: tuple, generator, steps: int = 25, guidance: float = 2.0) -> torch.Tensor:
    """Components [B,K] by ancestral steps of the cosine schedule; `empty` is (z_t, states) of no words."""
    bars, b, device = alphas_cumprod(), len(z_t), z_t.device
    times = [round(v) for v in np.linspace(999, 0, steps)]
    x = torch.randn(b, prior.out.out_features, generator=generator).to(device)
    for i, t in enumerate(times):
        at = torch.full((b, 1), t, device=device)
        x0 = prior(x[:, None], at, z_t, states)[:, 0]
        if guidance != 1:
            blank = prior(x[:, None], at, empty[0].expand(b, -1), empty[1].expand(b, -1, -1))[:, 0]
            x0 = blank + guidance * (x0 - blank)
        if i + 1 == len(times):
            return x0
        bar, prev = bars[t], bars[times[i + 1]]
        alpha = bar / prev
        mean = prev.sqrt() * (1 - alpha) / (1 - bar) * x0 + alpha.sqrt() * (1 - prev) / (1 - bar) * x
        x = mean + ((1 - prev) / (1 - bar) * (1 - alpha)).sqrt() * torch.randn(x.shape, generator=generator).to(device)
    return x0


def read(text, clip: Clip, ids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Captions -> states [B,S,W] and their embedding where its picture's lies, [B,E] of length one."""
    states, z = text(ids)
    return states, F.normalize(clip.match(z), dim=-1)


@torch.no_grad()
def measure(prior, text, clip, held: dict, pca: dict, eos: int, bos: int, count: int = 400) -> dict:
    """Of unseen captions: cosine to the true embedding, and nouns as told by the tower's own heads, by the drawn and the true one."""
    device = clip.scale.device
    ids, rows = held["ids"][:count, 1].long().to(device), held["labels"][:count].long().to(device)
    z_i, (states, z_t) = embeddings(clip, {"thumb": held["thumb"][:count]}), read(text, clip, ids)
    blank = torch.full((1, ids.shape[1]), eos, device=device)
    blank[:, 0] = bos
    found = draw(prior, z_t, states, read(text, clip, blank)[::-1], torch.Generator().manual_seed(0))
    z = F.normalize(found * pca["std"] @ pca["basis"] + pca["mean"], dim=-1)
    one, two = rows[:, 3] == SIZES[0] - 1, rows[:, 3] < SIZES[0] - 1
    told = lambda z: ((clip.heads(z)[0].argmax(-1) == rows[:, 0]), (clip.heads(z)[3].argmax(-1) == rows[:, 3]))
    (a, b), (c, d) = told(z), told(z_i)
    return {"cos": (z * z_i).sum(-1).mean().item(), "cos_text": (z_t * z_i).sum(-1).mean().item(), "noun": a[one].float().mean().item(), "both": (a & b)[two].float().mean().item(),
            "true_noun": c[one].float().mean().item(), "true_both": (c & d)[two].float().mean().item()}


def run() -> None:
    s, end, minutes = size(), until(), float(os.environ.get("POCKET_MINUTES", 25 if size().name != "tiny" else 0.1))
    torch.manual_seed(8)
    text, clip, encode, rng = load(s.device), Clip(s.embed), vocabulary(), np.random.default_rng(9)
    clip.load_state_dict(torch.load(CLIP, map_location="cpu")["clip"])
    clip.eval().requires_grad_(False).to(s.device)
    data = Thumbs()
    with np.load(EMBEDDED) as known:
        z = torch.cat([torch.from_numpy(known[name]).float().to(s.device) for name in data.names])
    ids, rows = torch.cat([p["ids"] for p in data.parts]), torch.cat([p["labels"] for p in data.parts]).long()
    kept = min(KEPT, s.embed)
    pca = components(z, kept)
    target = (z - pca["mean"]) @ pca["basis"].T / pca["std"]
    single, several = (rows[:, 3] == SIZES[0] - 1).nonzero()[:, 0].numpy(), (rows[:, 3] < SIZES[0] - 1).nonzero()[:, 0].numpy()
    print(json.dumps({"pictures": len(z), "kept": kept, "variance": round(pca["share"][kept - 1].item(), 4), "for99": int((pca["share"] < 0.99).sum()) + 1}), flush=True)
    prior, bars, step, seen, spent, begun, saved = Prior(s.text_width, s.embed, kept).to(s.device), alphas_cumprod().to(s.device), 0, 0, 0.0, time.process_time(), time.time()
    opts, average = optimizers(prior, 1e-3, plain=("query", "kinds")), Average(prior)
    if STATE.exists() and (state := torch.load(STATE, map_location=s.device))["pca"]["mean"].equal(pca["mean"]):
        prior.load_state_dict(state["model"])
        average.shadow, step, seen = state["average"], state["step"], state["seen"]
        for opt, kept_state in zip(opts, state["optimizers"]):
            opt.load_state_dict(kept_state)

    def save() -> None:
        torch.save({"model": prior.state_dict(), "average": average.shadow, "pca": pca, "step": step, "seen": seen, "optimizers": [o.state_dict() for o in opts]}, STATE.with_suffix(".tmp"))
        os.replace(STATE.with_suffix(".tmp"), STATE)

    half = 32 if s.name != "tiny" else 4
    while time.time() < end and spent < minutes:
        spent = (time.process_time() - begun) / 60
        for opt in opts:
            for group in opt.param_groups:
                group["lr"] = 1.5e-3 * min(1, (step + 1) / 60) * (0.5 + 0.5 * math.cos(math.pi * min(1, spent / minutes)))
        pick = torch.from_numpy(np.concatenate([rng.choice(single, half), rng.choice(several, half)]))
        words = ids[pick, torch.from_numpy(rng.integers(CAPTIONS, size=len(pick)))].long().to(s.device)
        words[torch.from_numpy(rng.random(len(words)) < 0.1).to(s.device), 1:] = encode.eos
        words = words[:, : min(40, int((words != encode.eos).sum(1).max()) + 1)]
        with torch.no_grad():
            states, z_t = read(text, clip, words)
        x0, t = target[pick.to(s.device)][:, None].expand(-1, LEVELS, -1), torch.randint(0, 1000, (len(pick), LEVELS), device=s.device)
        bar = bars[t][..., None]
        guess = prior(bar.sqrt() * x0 + (1 - bar).sqrt() * torch.randn_like(x0), t, z_t, states)
        loss = F.mse_loss(guess, x0)
        loss.backward()
        for opt in opts:
            opt.step()
            opt.zero_grad(set_to_none=True)
        step, seen = step + 1, seen + len(pick)
        average.update(prior, min(0.995, (1 + step) / (20 + step)))
        if step % 200 == 0:
            told = Prior(s.text_width, s.embed, kept).to(s.device)
            told.load_state_dict(average.shadow)
            print(json.dumps({"step": step, "captions": seen, "loss": round(loss.item(), 4), **{k: round(v, 3) for k, v in measure(told.eval(), text, clip, data.held, pca, encode.eos, encode.bos).items()},
                              "cpu_minutes": round(spent, 1)}), flush=True)
        if time.time() - saved > float(os.environ.get("POCKET_SAVE", 200)):
            save()
            saved = time.time()
    save()


if __name__ == "__main__":
    torch.set_num_threads(1)
    run()
