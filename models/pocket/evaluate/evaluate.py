"""Measures pocket on its exported ONNX files: `python evaluate.py [--count 300] [--pictures 4] [--sheet contact-sheet.webp]`.

Compositions come from seeds training never used. The judge (`judge.onnx`) was trained on renders only.
Writes report.json, the contact sheet, and the figures into the card.
"""

import argparse
import json
import random
import sys
import time
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from PIL import Image

HERE = Path(__file__).resolve().parent
MODEL = HERE.parent
sys.path.insert(0, str(MODEL / "training"))

import data  # noqa: E402
import tokenizer  # noqa: E402
from captions import Captioner  # noqa: E402
from diffusion import sample  # noqa: E402
from nouns import painted  # noqa: E402
from scenes import Renderer  # noqa: E402
from upscale import pairs  # noqa: E402

COLUMNS = ["noun", "second", *data.ATTRIBUTES]


class Pipeline:
    """Text to pictures through the ONNX files."""

    def __init__(self):
        open_ = lambda name: onnxruntime.InferenceSession(str(MODEL / name / "model.onnx"))
        self.text, self.unet, self.decoder, self.image, self.upscaler = map(open_, ("text_encoder", "unet", "vae_decoder", "image_encoder", "upscaler"))
        self.judge = onnxruntime.InferenceSession(str(HERE / "judge.onnx"))
        self.encode = tokenizer.Encoder(MODEL / "tokenizer")
        self.defaults = json.loads((MODEL / "manifest.json").read_text())["defaults"]

    def embed(self, prompts):
        return self.text.run(None, {"input_ids": np.asarray(self.encode(prompts), np.int64)})

    def predict(self, x, t, states):
        return torch.from_numpy(self.unet.run(None, {"sample": x.numpy(), "timestep": t.numpy(), "encoder_hidden_states": states.numpy()})[0])

    def paint(self, prompts, seeds):
        """u8 [B,128,128,3]."""
        noise = torch.stack([torch.randn(16, 16, 16, generator=torch.Generator().manual_seed(s)) for s in seeds])
        cond, empty = (torch.from_numpy(self.embed(p)[0]) for p in (prompts, [""] * len(prompts)))
        x = sample(self.predict, noise, cond, empty, self.defaults["steps"], self.defaults["guidance"])
        y = self.decoder.run(None, {"latent_sample": x.numpy()})[0]
        return ((y.clip(-1, 1) + 1) * 127.5).round().astype(np.uint8).transpose(0, 2, 3, 1)

    def small(self, pictures):
        x = pictures.reshape(len(pictures), 64, 2, 64, 2, 3).mean((2, 4)).transpose(0, 3, 1, 2)
        return (x / 127.5 - 1).astype(np.float32)


def judged(pipe, pictures, labels, prefix, report):
    """Shares of attributes that the judge reads as they were asked for."""
    outputs = pipe.judge.run(None, {"pixel_values": pipe.small(pictures)})
    hit = lambda name: outputs[COLUMNS.index(name)].argmax(-1) == labels[:, COLUMNS.index(name)]
    one = labels[:, COLUMNS.index("relation")] < 3
    nouns = outputs[0][:, :]
    report[f"{prefix} subject top-1, one kind of subject"] = float(hit("noun")[one].mean())
    report[f"{prefix} subject top-5, one kind of subject"] = float((np.argsort(-nouns, 1)[:, :5] == labels[:, :1]).any(1)[one].mean())
    for name in ("place", "time", "style"):
        report[f"{prefix} {name}"] = float(hit(name).mean())
    if (~one).any():
        report[f"{prefix} relation of two subjects"] = float(hit("relation")[~one].mean())


def retrieval(pipe, pictures, captions):
    """CLIP: caption found by picture among 100."""
    a = pipe.image.run(None, {"pixel_values": pipe.small(pictures[:100])})[0]
    return float(((a @ pipe.embed(captions[:100])[1].T).argmax(1) == np.arange(len(a))).mean())


def spread(pictures):
    """Mean distance between pairs, root mean square of pixels."""
    x = pictures.astype(np.float32).reshape(len(pictures), -1) / 255
    return float(np.mean([np.sqrt(((x[i] - x[j]) ** 2).mean()) for i in range(len(x)) for j in range(i)]))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--pictures", type=int, default=4)
    parser.add_argument("--sheet", default=str(MODEL / "contact-sheet.webp"))
    options = parser.parse_args()
    pipe, report = Pipeline(), {}

    start = time.time()
    pipe.paint(["a cat on the beach at sunset"] * 4, range(4))
    report["seconds for a grid of four"] = round(time.time() - start, 2)
    x, t = np.random.default_rng(0).normal(size=(4, 16, 16, 16)).astype(np.float32), np.asarray([999, 700, 300, 20], np.float32)
    states = pipe.embed(["a", "two cats", "red fox", ""])[0]
    run = lambda s: pipe.unet.run(None, {"sample": x[s], "timestep": t[s], "encoder_hidden_states": states[s]})[0]
    report["largest difference of a batch of four to four singles"] = float(np.abs(run(slice(0, 4)) - np.concatenate([run(slice(i, i + 1)) for i in range(4)])).max())

    prompts = (HERE / "prompts.txt").read_text().strip().splitlines()
    across = 8 if options.pictures == 1 else 2 * options.pictures
    tiles = [p for k in range(0, 48, 6) for p in pipe.paint([q for q in prompts[k:k + 6] for _ in range(options.pictures)],
                                                              [100 * (k + i) + j for i in range(6) for j in range(options.pictures)])]
    sheet = Image.new("RGB", (across * 128, len(tiles) // across * 128))
    for i, tile in enumerate(tiles):
        sheet.paste(Image.fromarray(tile), (i % across * 128, i // across * 128))
    sheet.save(options.sheet, quality=85)

    renderer = Renderer()
    captioner, rng, allowed = Captioner(renderer.nouns), random.Random("evaluate"), set(painted())
    specs = [s for s in (renderer.spec(5_000_000_000 + i) for i in range(8 * options.count)) if all(u.noun in allowed for u in s.subjects)][: options.count]
    labels = np.asarray([data.labels(s) for s in specs])
    captions = [captioner.caption(s, rng) for s in specs]
    real = np.stack([renderer.draw(s)[0] for s in specs])
    made = np.concatenate([pipe.paint(captions[k:k + 10], range(k, min(k + 10, len(captions)))) for k in range(0, len(captions), 10)])
    report["compositions"] = len(specs)
    judged(pipe, real, labels, "judge on real renders:", report)
    judged(pipe, made, labels, "pocket:", report)
    judged(pipe, made, labels[np.random.default_rng(1).permutation(len(labels))], "random prompts:", report)
    report["CLIP top-1 of 100 on real renders"] = retrieval(pipe, real, captions)
    report["CLIP top-1 of 100 on pocket's pictures"] = retrieval(pipe, made, captions)
    report["spread of one prompt over seeds"] = spread(pipe.paint(["a red fox in the snow"] * 8, range(8)))
    report["spread of real renders"] = spread(real[:40])

    low, high = pairs(renderer, range(6_000_000_000, 6_000_000_040))
    up = pipe.upscaler.run(None, {"input": low.numpy()})[0]
    bicubic = torch.nn.functional.interpolate(low, scale_factor=4, mode="bicubic").clamp(0, 1).numpy()
    psnr = lambda y: float(np.mean(-10 * np.log10(((y - high.numpy()) ** 2).mean((1, 2, 3)))))
    report["upscaler PSNR, dB"], report["bicubic PSNR, dB"] = psnr(up), psnr(bicubic)

    (HERE / "report.json").write_text(json.dumps(report, indent=2) + "\n")
    card = (MODEL / "README.md").read_text()
    head, rest = card.split("<!-- figures -->")
    rows = "".join(f"| {k} | {v:.3g} |\n" for k, v in report.items())
    (MODEL / "README.md").write_text(head + "<!-- figures -->\n| measured | value |\n|---|---|\n" + rows + "<!-- /figures -->" + rest.split("<!-- /figures -->")[1])
    print(json.dumps(report, indent=1), f"{time.time() - start:.0f}s")


if __name__ == "__main__":
    main()
