"""Shards of training scenes: `python -m pocket2.data` writes those that are not there yet, in a process of its own.

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
from pocket2.labels import boxes, cells, labels
from pocket2.latents import Encoder, basis
from pocket2.scenes import Renderer
from pocket2.settings import MODEL, WORK, size

LENGTH, CAPTIONS = 64, 4


def vocabulary() -> tokenizer.Encoder:
    """The tokenizer of pocket 1: its text tower is where this one begins, and a word it does not know falls to pieces it does."""
    return tokenizer.Encoder(MODEL / "tokenizer")


def write(k: int, renderer, captioner, encode, encoder) -> dict:
    """The arrays of shard k."""
    rng, out, s = random.Random(f"captions/{k}"), {}, size()
    put = lambda name, value: out.setdefault(name, []).append(value)
    for seed in range(k * s.shard, (k + 1) * s.shard):
        picture, mask, who, spec = renderer.render(seed)
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


def main(count: int) -> None:
    torch.set_num_threads(1)
    renderer, captioner, encode, encoder = Renderer(), Captioner(), vocabulary(), Encoder(basis())
    (WORK / "shards").mkdir(parents=True, exist_ok=True)
    for k in range(count):
        path, start = WORK / "shards" / f"{k:05d}.npz", time.time()
        if not path.exists():
            np.savez(path.with_suffix(".tmp.npz"), **write(k, renderer, captioner, encode, encoder))
            path.with_suffix(".tmp.npz").rename(path)
            print(json.dumps({"shard": k, "seconds": round(time.time() - start, 1)}), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else size().shards)
