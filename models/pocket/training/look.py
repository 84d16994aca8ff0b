"""Paints a sheet with the current checkpoint: `python look.py out.png [steps] [guidance] [prompt...]`."""

import sys
import time

import torch
from PIL import Image

import tokenizer
from clip_text import load_text
from config import MODEL, size
from decode import load_decoder
from diffuse import STATE, build
from diffusion import sample


def paint(prompts: list[str], steps: int, guidance: float, seed: int = 0) -> list[Image.Image]:
    s = size()
    state = torch.load(STATE, map_location="cpu")
    print("step", state["step"], "seen", state["seen"])
    unet = build(s).eval()
    unet.load_state_dict(state["average"])
    text, encode, decoder = load_text(), tokenizer.Encoder(MODEL / "tokenizer"), load_decoder()
    cond, empty = text(torch.tensor(encode(prompts)))[0], text(torch.tensor(encode([""] * len(prompts))))[0]
    torch.manual_seed(seed)
    side = s.pixels // 8
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        x = sample(lambda x, t, c: unet(x, t, c), torch.randn(len(prompts), 16, side, side), cond, empty, steps, guidance)
        pictures = decoder(x.float()).float()
    pictures = ((pictures.clamp(-1, 1) + 1) * 127.5).round().byte().permute(0, 2, 3, 1).numpy()
    return [Image.fromarray(p) for p in pictures]


if __name__ == "__main__":
    torch.set_num_threads(2)
    start = time.time()
    steps, guidance = int(sys.argv[2]) if len(sys.argv) > 2 else 12, float(sys.argv[3]) if len(sys.argv) > 3 else 3.5
    prompts = sys.argv[4:] or (MODEL / "evaluate" / "prompts.txt").read_text().strip().splitlines()
    images = paint(prompts, steps, guidance)
    w, h = images[0].size
    sheet = Image.new("RGB", (8 * w, (len(images) + 7) // 8 * h))
    for i, image in enumerate(images):
        sheet.paste(image, (i % 8 * w, i // 8 * h))
    sheet.save(sys.argv[1])
    print(f"{time.time() - start:.1f}s")
