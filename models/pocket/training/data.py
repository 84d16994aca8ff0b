"""Shards of training pictures on disk, written by a process of their own so that training never waits.

One shard is an .npz: pixels u8[N,H,W,3], mask u8[N,H/8,W/8], ids i16[N,2,77], labels i16[N,L].
"""

import json
import random
import sys
import time

import numpy as np

import places
import styles
import tokenizer
from captions import Captioner
from config import MODEL, WORK, size
from scenes import BUCKETS, RELATIONS, Renderer

SCALES = ["small", "medium", "big"]
#: Columns of labels: the two nouns (-1: none), then one class index per attribute.
ATTRIBUTES = {
    "place": places.PLACES, "time": places.TIMES, "weather": places.WEATHERS, "season": places.SEASONS, "style": styles.STYLES,
    "relation": RELATIONS, "back": ["", *places.COLORS], "color0": ["", *places.COLORS], "color1": ["", *places.COLORS], "scale": SCALES,
}


def labels(spec) -> list[int]:
    s = spec.subjects
    second = s[1] if spec.relation in ("left of", "on top of", "and") else None
    values = [spec.place, spec.time, spec.weather, spec.season, spec.style, spec.relation, spec.back, s[0].color, second.color if second else "", spec.scale]
    return [s[0].noun, second.noun if second else -1] + [ATTRIBUTES[k].index(v) for k, v in zip(ATTRIBUTES, values)]


def cell_mask(mask: np.ndarray) -> np.ndarray:
    """[H,W] -> u8 [H/8,W/8] coverage."""
    h, w = mask.shape
    return (mask.reshape(h // 8, 8, w // 8, 8).mean((1, 3)) * 255).astype(np.uint8)


def make(renderer, captioner, encode, seeds, bucket, rng):
    """Renders one shard's arrays."""
    pictures, masks, texts, rows = [], [], [], []
    for seed in seeds:
        picture, spec, mask = renderer.render(seed, bucket)
        pictures.append(picture)
        masks.append(cell_mask(mask))
        texts += [captioner.caption(spec, rng, long=rng.random() < 0.06) for _ in range(2)]
        rows.append(labels(spec))
    ids = np.asarray(encode(texts), np.int16).reshape(len(pictures), 2, tokenizer.LENGTH)
    return {"pixels": np.stack(pictures), "mask": np.stack(masks), "ids": ids, "labels": np.asarray(rows, np.int16)}


def bucket_of(index: int) -> tuple:
    return BUCKETS[1 + (index // 8) % (len(BUCKETS) - 1)] if index % 8 == 7 else BUCKETS[0]


def write_shards(count: int) -> None:
    """Writes shards that are not there yet; the seed of picture i of shard k is k*shard+i."""
    s = size()
    renderer = Renderer(s.name)
    captioner, encode = Captioner(renderer.nouns), tokenizer.Encoder(MODEL / "tokenizer")
    folder = WORK / "shards"
    folder.mkdir(parents=True, exist_ok=True)
    for k in range(count):
        path = folder / f"{k:05d}.npz"
        if path.exists():
            continue
        start, bucket = time.time(), bucket_of(k)
        n = s.shard if bucket == BUCKETS[0] else s.shard // 2
        arrays = make(renderer, captioner, encode, range(k * s.shard, k * s.shard + n), bucket, random.Random(f"captions/{k}"))
        temporary = path.with_suffix(".tmp.npz")
        np.savez(temporary, **arrays)
        temporary.rename(path)
        print(json.dumps({"shard": k, "pictures": n, "seconds": round(time.time() - start, 1)}), flush=True)


if __name__ == "__main__":
    write_shards(int(sys.argv[1]) if len(sys.argv) > 1 else size().shards)
