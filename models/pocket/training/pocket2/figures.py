"""Stage `figures`: what pocket-unclip reaches beside its controls, on scenes none of its own networks was trained on: `python -m pocket2.figures [--count 96]`.

Nouns, times and places are told by the image tower's own heads, so the same heads on real renders stand beside them; retrieval is by pocket's
CLIP, which shares nothing with what it judges. Writes work/figures.json and, into the model's card, the table.
"""

import argparse
import json
import re
import time

import numpy as np
import onnxruntime
import torch
import torch.nn.functional as F

import tokenizer
from pocket2.decode import psnr
from pocket2.enlarge import enlarged
from pocket2.imagine import Painter
from pocket2.labels import OF_WHOLE, SIZES
from pocket2.prior import measure
from pocket2.see import pixels
from pocket2.settings import MODEL, WORK
from pocket2.unclip import OUT

TIME = 11


def shard(count: int) -> dict:
    """The shard that stages keep for measuring."""
    path = sorted((WORK / "shards").glob("?????.npz"))[0]
    with np.load(path) as z:
        return {k: torch.from_numpy(z[k][:count]) for k in ("thumb", "ids", "labels", "pixels")}


class Foreign:
    """Pocket 1's CLIP, by its exported towers."""

    def __init__(self):
        open_ = lambda name: onnxruntime.InferenceSession(str(MODEL / name / "model.onnx"))
        self.image, self.text, self.encode = open_("image_encoder"), open_("text_encoder"), tokenizer.Encoder(MODEL / "tokenizer")

    def of100(self, small: torch.Tensor, ids: torch.Tensor) -> float:
        """How often a picture finds its caption among 100."""
        z = self.image.run(None, {"pixel_values": small.numpy()})[0]
        words = self.text.run(["pooler_output"], {"input_ids": ids.numpy()})[0]
        groups = [(z[k:k + 100] @ words[k:k + 100].T).argmax(1) == np.arange(len(z[k:k + 100])) for k in range(0, len(z), 100)]
        return float(np.concatenate(groups).mean())


def told(painter: Painter, z: torch.Tensor, rows: torch.Tensor) -> dict[str, float]:
    """Shares that the heads read off embeddings: one noun, both of two, place, time, style."""
    said, one = painter.clip.heads(F.normalize(z, dim=-1)), rows[:, 3] == SIZES[0] - 1
    right = lambda c: said[c].argmax(-1) == rows[:, c]
    mean = lambda v: round(v.float().mean().item(), 3)
    return {"noun": mean(right(0)[one]), "both": mean((right(0) & right(3))[~one]), "place": mean(right(10)), "time": mean(right(TIME)), "style": mean(right(14))}


@torch.no_grad()
def figures(count: int) -> dict:
    painter, found, data, foreign = Painter(), {}, shard(400), Foreign()
    rows, words = data["labels"].long(), data["ids"][:, 1].long()
    words = words[:, : int((words != painter.encode.eos).sum(1).max()) + 1]
    z_i, (states, z_t) = painter.clip.tower(pixels(data["thumb"])), painter.words(words)
    cos = lambda a, b: round(F.cosine_similarity(a, b).mean().item(), 3)

    found["embedding by the prior"] = {k: round(v, 3) for k, v in measure(painter.prior, painter.text, painter.clip, data, painter.pca, painter.encode.eos, painter.encode.bos).items()}
    found["variance"] = {"components for 99 %": int((painter.pca["share"] < 0.99).sum()) + 1, "kept": round(painter.pca["share"][len(painter.pca["basis"]) - 1].item(), 4)}

    few, noise = slice(0, count), painter.noise(list(range(count)))
    real, ids = pixels(data["thumb"][few]), words[few]
    blank = painter.blank(ids).expand(count, -1)
    shown = painter.decode(z_i[few], blank, noise)  # of the picture alone
    again = painter.see(shown)
    found["decoder of true z, no words"] = {"cos": cos(again, z_i[few]), "cos shuffled": cos(again, z_i[few].roll(1, 0)), **told(painter, again, rows[few])}
    drawn = painter.embed(ids)
    for name, z in (("pictures by the prior", drawn), ("z_t instead of the prior", z_t[few]), ("words alone", torch.zeros_like(drawn))):
        small = painter.decode(z, ids, noise)
        spread = (1 - F.cosine_similarity(painter.see(small[:8]), painter.see(painter.decode(z[:8], ids[:8], painter.noise(list(range(900, 908))))))).mean().item()
        found[name] = {**told(painter, painter.see(small), rows[few]), "pocket 1 finds it, of 100": round(foreign.of100(small, ids), 3), "spread": round(spread, 3)}
    found["real renders"] = {**told(painter, z_i[few], rows[few]), "pocket 1 finds it, of 100": round(foreign.of100(real, ids), 3)}

    night, day = (painter.words(painter.ids([text]))[1][0] for text in ("at night", "by day"))
    by_day = (rows[few][:, TIME] == OF_WHOLE["time"].index("day")).nonzero()[:16, 0]
    z, way = z_i[few][by_day], F.normalize(night - day, dim=0)
    moved = F.normalize(torch.stack([turn(v, way, 0.35) for v in z]), dim=-1)
    seen = painter.see(painter.decode(moved, blank[: len(z)], noise[: len(z)]))
    heads, before = painter.clip.heads(seen), painter.clip.heads(painter.see(painter.decode(z, blank[: len(z)], noise[: len(z)])))
    found["reworded to night at 0.35"] = {"time is night": share(heads[TIME].argmax(-1) == OF_WHOLE["time"].index("night")), "noun stays": share(heads[0].argmax(-1) == before[0].argmax(-1)),
                                          "was night before": share(before[TIME].argmax(-1) == OF_WHOLE["time"].index("night"))}
    started = time.time()
    large, low = data["pixels"][:16].permute(0, 3, 1, 2).float() / 127.5 - 1, pixels(data["thumb"][:16])
    found["super-resolution, dB"] = {"pocket-unclip": round(psnr(painter.large(low), large), 2), "bicubic": round(psnr(enlarged(low), large), 2)}
    found["pictures"] = {"of the heads": count, "of the prior": len(z_i), "seen by the decoder": painter.seen, "seconds": round(time.time() - started)}
    return found


def turn(a: torch.Tensor, b: torch.Tensor, share_: float) -> torch.Tensor:
    """The great circle from a to b."""
    a = F.normalize(a, dim=0)
    angle = torch.arccos((a @ b).clamp(-1, 1))
    return (torch.sin((1 - share_) * angle) * a + torch.sin(share_ * angle) * b) / torch.sin(angle)


def share(right: torch.Tensor) -> float:
    return round(right.float().mean().item(), 3)


def table(found: dict) -> str:
    return "\n".join(["| measured | |", "|---|---|", *(f"| {name} | {', '.join(f'{k} {v}' for k, v in row.items())} |" for name, row in found.items())])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=96)
    options = parser.parse_args()
    torch.set_num_threads(1)
    found = figures(options.count)
    (WORK / "figures.json").write_text(json.dumps(found, indent=2) + "\n")
    card = OUT / "README.md"
    if card.exists():
        card.write_text(re.sub(r"(<!-- figures -->).*(<!-- /figures -->)", lambda m: f"{m[1]}\n{table(found)}\n{m[2]}", card.read_text(encoding="utf8"), flags=re.S), encoding="utf8")
    print(table(found))


if __name__ == "__main__":
    main()
