"""Shards of training scenes: `python -m pocket2.data [COUNT [TURN TURNS]]` writes those that are not there yet, in processes of their own.

An .npz holds latents f16[N,C,16,16], mask u8[N,16,16], cells i16[N,8,8], thumb u8[N,64,64,3], ids i16[N,4,64], labels i16[N,17],
boxes f32[N,3,3]; every tenth also the pixels u8[N,256,256,3], for the decoder.
"""

import json
import random
import sys
import time

import numpy as np
import torch

import tokenizer
from pocket2.captions import Captioner
from pocket2.compose import Composer
from pocket2.labels import boxes, cells, labels
from pocket2.latents import Encoder, basis
from pocket2.scenes import Renderer
from pocket2.settings import MODEL, WORK, size

LENGTH, CAPTIONS = 64, 4
VOCABULARY = MODEL / "tokenizer"


def vocabulary() -> tokenizer.Encoder:
    """The tokenizer of pocket 1: its text tower is where this one begins, and a word it does not know falls to pieces it does."""
    return tokenizer.Encoder(VOCABULARY)


def drawn(seeds: range, renderer):
    """Picture, mask, who and spec of each seed: drawn here, or composed on the GPU where there is one."""
    if size().device == "cpu":
        yield from (renderer.render(seed) for seed in seeds)
        return
    specs = [renderer.renderer.spec(seed) for seed in seeds]
    for k in range(0, len(specs), 64):
        pictures, masks, who = (v.cpu().numpy() for v in renderer(specs[k:k + 64]))
        yield from zip(pictures.transpose(0, 2, 3, 1), masks, who, specs[k:k + 64])


def write(k: int, renderer, captioner, encode, encoder) -> dict:
    """The arrays of shard k."""
    rng, out, s = random.Random(f"captions/{k}"), {}, size()
    put = lambda name, value: out.setdefault(name, []).append(value)
    for picture, mask, who, spec in drawn(range(k * s.shard, (k + 1) * s.shard), renderer):
        put("pixels", picture)
        put("mask", (mask.reshape(16, 16, 16, 16).mean((1, 3)) * 255).astype(np.uint8))
        put("cells", cells(spec, who))
        put("thumb", picture.reshape(64, 4, 64, 4, 3).mean((1, 3)).astype(np.uint8))
        put("labels", np.asarray(labels(spec), np.int16))
        put("boxes", boxes(spec))
        put("ids", np.asarray(encode([captioner.caption(spec, rng, rng.random() < 0.05) for _ in range(CAPTIONS)]), np.int16)[:, :LENGTH])
    out = {name: np.stack(values) for name, values in out.items()}
    with torch.no_grad():
        x = torch.from_numpy(out["pixels"]).permute(0, 3, 1, 2)
        out["latents"] = np.concatenate([encoder.mean(p.float() / 127.5 - 1).half().numpy() for p in x.split(64)])
    if k % 10:
        del out["pixels"]
    return out


def main(count: int, turn: int = 0, turns: int = 1) -> None:
    """Writes every `turns`-th of `count` shards."""
    torch.set_num_threads(1)
    renderer = Renderer() if size().device == "cpu" else Composer(size().device)
    captioner, encode, encoder = Captioner(), vocabulary(), Encoder(basis())
    (WORK / "shards").mkdir(parents=True, exist_ok=True)
    for k in range(turn, count, turns):
        path, start = WORK / "shards" / f"{k:05d}.npz", time.time()
        if not path.exists():
            np.savez(path.with_suffix(".tmp.npz"), **write(k, renderer, captioner, encode, encoder))
            path.with_suffix(".tmp.npz").rename(path)
            print(json.dumps({"shard": k, "seconds": round(time.time() - start, 1)}), flush=True)


if __name__ == "__main__":
    numbers = [int(v) for v in sys.argv[1:]]
    main(*(numbers or [size().shards]))
