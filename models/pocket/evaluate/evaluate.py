"""Measures pocket on its exported ONNX files: `python evaluate.py [--count 300] [--pictures 4]`.

Compositions come from seeds training never used. The judge (`judge.onnx`, by `training/judge.py`) was trained on renders
only; every figure stands beside its own on real renders, on renders that went through the autoencoder, and on prompts
dealt out at random. Writes report.json, the contact sheet, and the figures into the card.
"""

import argparse
import dataclasses
import json
import random
import sys
import time
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from PIL import Image, ImageDraw, ImageFont

HERE = Path(__file__).resolve().parent
MODEL = HERE.parent
sys.path.insert(0, str(MODEL / "training"))

import tokenizer  # noqa: E402
from captions import PLACE, STYLE, TIME, Captioner  # noqa: E402
from data import ATTRIBUTES  # noqa: E402
from diffusion import sample  # noqa: E402
from nets.judge import GLOBAL  # noqa: E402
from nouns import painted  # noqa: E402
from scenes import Renderer  # noqa: E402
from styles import STYLES  # noqa: E402
from upscale import pairs  # noqa: E402

SEEDS = 5_000_000_000
AT_ONCE = 12
WORDS = {"place": PLACE, "time": TIME, "style": STYLE}
ONE_KIND = ("one", "two", "three")


class Pipeline:
    """Text to pictures through the ONNX files, with the manifest's defaults."""

    def __init__(self):
        open_ = lambda path: onnxruntime.InferenceSession(str(path))
        self.text, self.unet, self.encoder, self.decoder, self.image = (
            open_(MODEL / name / "model.onnx") for name in ("text_encoder", "unet", "vae_encoder", "vae_decoder", "image_encoder"))
        self.upscaler, self.judge = open_(MODEL / "upscaler" / "model.onnx"), open_(HERE / "judge.onnx")
        self.encode = tokenizer.Encoder(MODEL / "tokenizer")
        self.manifest = json.loads((MODEL / "manifest.json").read_text())
        self.defaults = self.manifest["defaults"]

    def embed(self, prompts):
        return self.text.run(None, {"input_ids": np.asarray(self.encode(prompts), np.int64)})

    def predict(self, x, t, states):
        return torch.from_numpy(self.unet.run(None, {"sample": x.numpy(), "timestep": t.numpy(), "encoder_hidden_states": states.numpy()})[0])

    def noise(self, seeds):
        return torch.stack([torch.randn(16, 16, 16, generator=torch.Generator().manual_seed(s)) for s in seeds])

    def latents(self, prompts, seeds, steps=None):
        cond, empty = (torch.from_numpy(self.embed(p)[0]) for p in (prompts, [""] * len(prompts)))
        return sample(self.predict, self.noise(seeds), cond, empty, steps or self.defaults["steps"], self.defaults["guidance"])

    def decode(self, latents):
        """u8 [B,128,128,3]."""
        y = self.decoder.run(None, {"latent_sample": latents})[0]
        return ((y.clip(-1, 1) + 1) * 127.5).round().astype(np.uint8).transpose(0, 2, 3, 1)

    def paint(self, prompts, seeds, steps=None):
        parts = [(prompts[k:k + AT_ONCE], seeds[k:k + AT_ONCE]) for k in range(0, len(prompts), AT_ONCE)]
        return np.concatenate([self.decode(self.latents(p, s, steps).numpy()) for p, s in parts])

    def autoencoded(self, pictures):
        """What the decoder gives back of a picture at best."""
        x = pictures.transpose(0, 3, 1, 2).astype(np.float32) / 127.5 - 1
        return self.decode(self.encoder.run(None, {"sample": x})[0][:, :16])

    def small(self, pictures):
        x = pictures.reshape(len(pictures), 64, 2, 64, 2, 3).mean((2, 4)).transpose(0, 3, 1, 2)
        return (x / 127.5 - 1).astype(np.float32)

    def judged(self, pictures):
        """Probability of every noun in every cell [B,N,8,8], and {attribute: class index [B]}."""
        x = pictures.transpose(0, 3, 1, 2).astype(np.float32) / 127.5 - 1
        cells, *whole = self.judge.run(None, {"pixel_values": x})
        cells = np.exp(cells - cells.max(1, keepdims=True))
        return (cells / cells.sum(1, keepdims=True))[:, :-1], {name: w.argmax(1) for name, w in zip(GLOBAL, whole)}


def says(caption: str, spec, name: str) -> bool:
    """Whether a caption names the spec's place, time or style; what was not asked for is not measured."""
    words = WORDS[name].get(getattr(spec, name), [])
    if name == "place" and spec.place == "plain":
        words = ["background", "wall"]
    return any(w in caption.lower() for w in words)


def regions(spec, cells):
    """Cells [N,8,8] of the first and of the second subject's half of the picture."""
    return (cells[:, :4], cells[:, 4:]) if spec.relation == "on top of" else (cells[:, :, :4], cells[:, :, 4:])


def outcomes(pipe, pictures, specs, captions) -> dict[str, list[bool]]:
    """Per measure, whether each picture that it applies to shows what its spec says."""
    found: dict[str, list[bool]] = {}
    put = lambda name, value: found.setdefault(name, []).append(bool(value))
    cells, whole = pipe.judged(pictures)
    for i, (spec, caption) in enumerate(zip(specs, captions)):
        nouns = [s.noun for s in spec.subjects]
        if spec.relation in ONE_KIND:
            rank = np.argsort(-cells[i].sum((1, 2)))[:5]
            right = rank[0] == nouns[0]
            put("subject", right)
            put("subject among the first five", nouns[0] in rank)
            put(f"subject, {spec.scale}" if spec.relation == "one" else f"subject, {spec.relation} of it", right)
            put(f"subject, style {spec.style}", right)
        else:
            seen = [int(r.sum((1, 2)).argmax()) for r in regions(spec, cells[i])]
            put("two subjects: one of them", set(seen) & set(nouns))
            put("two subjects: both", set(seen) == set(nouns))
            put("two subjects: both, where asked", seen == nouns or (spec.relation == "and" and seen == nouns[::-1]))
        for name in WORDS:
            if says(caption, spec, name):
                put(name, whole[name][i] == ATTRIBUTES[name].index(getattr(spec, name)))
    return found


def dealt(specs, captions):
    """The same compositions in another order, single subjects among themselves and pairs too."""
    rng, order = np.random.default_rng(1), np.arange(len(specs))
    single = np.asarray([s.relation in ONE_KIND for s in specs])
    for group in (single, ~single):
        order[group] = rng.permutation(order[group])
    return [specs[k] for k in order], [captions[k] for k in order]


def retrieval(pipe, pictures, captions):
    """CLIP: share of captions found by their picture among 100."""
    a = pipe.image.run(None, {"pixel_values": pipe.small(pictures[:100])})[0]
    return float(((a @ pipe.embed(captions[:100])[1].T).argmax(1) == np.arange(len(a))).mean())


def spread(pictures):
    """Mean distance between pairs, root mean square of pixels."""
    x = pictures.astype(np.float32).reshape(len(pictures), -1) / 255
    return float(np.mean([np.sqrt(((x[i] - x[j]) ** 2).mean()) for i in range(len(x)) for j in range(i)]))


def again(renderer, spec, count: int):
    """Real renders of one composition over seeds: the same words, other positions, mirrorings and places' variants."""
    seed, out = spec.seed + 1_000_000, []
    while len(out) < count:
        other = renderer.spec(seed)
        if (other.relation, other.scale) == (spec.relation, spec.scale):
            subjects = tuple(dataclasses.replace(o, noun=s.noun, color=s.color) for o, s in zip(other.subjects, spec.subjects))
            out.append(renderer.draw(dataclasses.replace(spec, seed=seed, subjects=subjects))[0])
        seed += 1
    return np.stack(out)


def contact_sheet(pipe, path: str, pictures: int, across: int = 3, margin: int = 18) -> None:
    """Every prompt with its pictures below, none left out or chosen."""
    prompts = (HERE / "prompts.txt").read_text().strip().splitlines()
    tiles = pipe.paint([p for p in prompts for _ in range(pictures)], [100 * k + j for k in range(len(prompts)) for j in range(pictures)])
    w, h = pictures * 128 + 8, 128 + margin
    sheet = Image.new("RGB", (across * w - 8, -(-len(prompts) // across) * h), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(13)
    for k, prompt in enumerate(prompts):
        x, y = k % across * w, k // across * h
        draw.text((x + 2, y + 1), prompt, fill="black", font=font)
        for j in range(pictures):
            sheet.paste(Image.fromarray(tiles[k * pictures + j]), (x + 128 * j, y + margin))
    sheet.save(path, quality=84, method=6)


def speed(pipe) -> dict:
    out = {}
    for name, steps in (("grid of four", None), ("draft of four", pipe.manifest["draft"]["steps"])):
        start = time.time()
        pipe.paint(["a cat on the beach at sunset"] * 4, list(range(4)), steps)
        out[f"seconds for a {name}"] = round(time.time() - start, 2)
    x, t = np.random.default_rng(0).normal(size=(4, 16, 16, 16)).astype(np.float32), np.asarray([999, 700, 300, 20], np.float32)
    states = pipe.embed(["a", "two cats", "red fox", ""])[0]
    run = lambda s: pipe.unet.run(None, {"sample": x[s], "timestep": t[s], "encoder_hidden_states": states[s]})[0]
    out["largest difference of a batch of four to four singles"] = float(np.abs(run(slice(0, 4)) - np.concatenate([run(slice(i, i + 1)) for i in range(4)])).max())
    return out


def agreement(pipe) -> dict:
    """Mean difference of PyTorch's pictures (-1..1) to ONNX Runtime's, same noise. Needs the trained weights in work/."""
    from clip_text import load_text
    from decode import load_decoder
    from diffuse import STATE, build
    from config import size
    from export import rounded
    if not STATE.exists():
        return {}
    prompts, seeds = ["a red fox on the snow at night, watercolor", "two cats"], [1, 2]
    unet, text, decoder = build(size()), rounded(load_text()), rounded(load_decoder())
    unet.load_state_dict(torch.load(STATE, map_location="cpu")["average"])
    unet, d = rounded(unet), pipe.defaults
    with torch.no_grad():
        cond, empty = (text(torch.tensor(pipe.encode(p)))[0] for p in (prompts, [""] * 2))
        x = sample(unet, pipe.noise(seeds), cond, empty, d["steps"], d["guidance"])
        y = decoder(x).numpy()
    latents = pipe.latents(prompts, seeds)
    return {"PyTorch to ONNX: mean difference of latents": float((latents - x).abs().mean()),
            "PyTorch to ONNX: mean difference of pictures": float(np.abs(pipe.decoder.run(None, {"latent_sample": latents.numpy()})[0] - y).mean())}


def upscaling(pipe, renderer) -> dict:
    low, high = pairs(renderer, range(6_000_000_000, 6_000_000_040))
    up = pipe.upscaler.run(None, {"input": low.numpy()})[0]
    bicubic = torch.nn.functional.interpolate(low, scale_factor=4, mode="bicubic").clamp(0, 1).numpy()
    psnr = lambda y: float(np.mean(-10 * np.log10(((y - high.numpy()) ** 2).mean((1, 2, 3)))))
    return {"upscaler PSNR, dB": psnr(up), "bicubic PSNR, dB": psnr(bicubic)}


def card(report: dict) -> str:
    """The figures as two tables."""
    kinds = list(next(iter(report["shares"].values())))[1:]
    lines = [f"{report['compositions']} compositions.", "", "| share right | of | " + " | ".join(kinds) + " |", "|---" * (2 + len(kinds)) + "|"]
    for name, row in report["shares"].items():
        lines.append(f"| {name} | {row['of']} | " + " | ".join(f"{row[k]:.0%}" for k in kinds) + " |")
    lines += ["", "| measured | value |", "|---|---|"] + [f"| {k} | {v:.3g} |" for k, v in report["figures"].items()]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--pictures", type=int, default=4, help="per prompt of the contact sheet; 0: leave the sheet as it is")
    parser.add_argument("--sheet", default=str(MODEL / "contact-sheet.webp"))
    parser.add_argument("--judge-only", action="store_true", help="the judge on real renders, nothing written")
    options = parser.parse_args()
    pipe, start, renderer = Pipeline(), time.time(), Renderer()
    captioner, rng, allowed = Captioner(renderer.nouns), random.Random("evaluate"), set(painted())
    specs = [s for s in (renderer.spec(SEEDS + i) for i in range(8 * options.count)) if all(u.noun in allowed for u in s.subjects)][: options.count]
    captions = [captioner.caption(s, rng) for s in specs]
    real = np.stack([renderer.draw(s)[0] for s in specs])
    kept = pipe.autoencoded(real)
    columns = {"real renders": outcomes(pipe, real, specs, captions), "autoencoded renders": outcomes(pipe, kept, specs, captions)}
    if not options.judge_only:
        made = pipe.paint(captions, list(range(len(captions))))
        columns["**pocket**"] = outcomes(pipe, made, specs, captions)
        columns["random prompts"] = outcomes(pipe, made, *dealt(specs, captions))
    order = lambda name: [f"subject, style {s}" for s in STYLES].index(name) if ", style" in name else -1
    names = sorted(columns["real renders"], key=lambda n: (", style" in n, order(n), not n.startswith("subject"), n.startswith("two"), n))
    share = lambda found, name: round(float(np.mean(found[name])), 4) if name in found else 0.0
    report = {"compositions": len(specs), "shares": {n: {"of": len(columns["real renders"][n])} | {k: share(c, n) for k, c in columns.items()} for n in names}, "figures": {}}
    print(card(report), f"{time.time() - start:.0f}s", flush=True)
    if options.judge_only:
        return

    figures = report["figures"]
    figures["CLIP top-1 of 100 on real renders"] = retrieval(pipe, real, captions)
    figures["CLIP top-1 of 100 on pocket's pictures"] = retrieval(pipe, made, captions)
    full = [k for k, (s, c) in enumerate(zip(specs, captions)) if s.relation == "one" and all(says(c, s, n) for n in ("place", "style"))][:12]
    figures["spread of one caption over seeds, real renders"] = float(np.mean([spread(again(renderer, specs[k], 6)) for k in full]))
    figures["spread of one caption over seeds, pocket"] = float(np.mean([spread(pipe.paint([captions[k]] * 6, list(range(1000, 1006)))) for k in full]))
    figures["spread of all captions, real renders"], figures["spread of all captions, pocket"] = spread(real[:40]), spread(made[:40])
    figures |= speed(pipe) | agreement(pipe) | upscaling(pipe, renderer)
    if options.pictures:
        contact_sheet(pipe, options.sheet, options.pictures)
    (HERE / "report.json").write_text(json.dumps(report, indent=2) + "\n")
    head, rest = (MODEL / "README.md").read_text().split("<!-- figures -->")
    (MODEL / "README.md").write_text(head + "<!-- figures -->\n" + card(report) + "<!-- /figures -->" + rest.split("<!-- /figures -->")[1])
    print(card(report), f"{time.time() - start:.0f}s")


if __name__ == "__main__":
    main()
