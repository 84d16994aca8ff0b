"""Paints prompts with the U-Net as it stands: `python -m pocket2.look [--prompts FILE] [--pictures 1] [--out sheet.webp]`."""

import argparse
import json

import torch
from PIL import Image, ImageDraw, ImageFont

from diffusion import sample
from pocket2.data import vocabulary
from pocket2.decode import load_decoder
from pocket2.paint import STATE, build
from pocket2.settings import MODEL, WORK, size
from pocket2.text import load


class Painter:
    """Prompts to pictures by the averaged weights."""

    def __init__(self):
        state = torch.load(STATE, map_location="cpu")
        self.unet, self.text, self.decoder, self.encode = build(size()).eval(), load(), load_decoder(), vocabulary()
        self.unet.load_state_dict({k.removeprefix("unet."): v for k, v in state["average"].items() if k.startswith("unet.")})
        self.seen, self.channels = state["seen"], size().latent

    @torch.no_grad()
    def __call__(self, prompts: list[str], seeds: list[int], steps: int = 14, guidance: float = 3.0) -> torch.Tensor:
        """u8 [B,256,256,3]."""
        out = []
        for k in range(0, len(prompts), 8):
            ids = torch.tensor(self.encode(prompts[k:k + 8]))
            ids = ids[:, : int((ids != self.encode.eos).sum(1).max()) + 1]
            empty = torch.full_like(ids, self.encode.eos)
            empty[:, 0] = self.encode.bos
            noise = torch.stack([torch.randn(self.channels, 16, 16, generator=torch.Generator().manual_seed(s)) for s in seeds[k:k + 8]])
            out.append(self.decoder(sample(self.unet, noise, self.text(ids)[0], self.text(empty)[0], steps, guidance)))
        return ((torch.cat(out) + 1) * 127.5).round().to(torch.uint8).permute(0, 2, 3, 1)


def sheet(tiles: torch.Tensor, prompts: list[str], pictures: int, path: str, across: int = 5, side: int = 192, margin: int = 18) -> None:
    """Every prompt above its pictures [P*pictures,H,W,3], none left out or chosen."""
    w, h = pictures * side + 6, side + margin
    out = Image.new("RGB", (across * w, -(-len(prompts) // across) * h), "white")
    draw, font = ImageDraw.Draw(out), ImageFont.load_default(12)
    for k, prompt in enumerate(prompts):
        x, y = k % across * w, k // across * h
        draw.text((x + 2, y + 2), prompt[: pictures * side // 6], fill="black", font=font)
        for j in range(pictures):
            out.paste(Image.fromarray(tiles[k * pictures + j].numpy()).resize((side, side), Image.LANCZOS), (x + j * side, y + margin))
    out.save(path, quality=84)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prompts", default=str(MODEL / "evaluate" / "asked.jsonl"))
    parser.add_argument("--pictures", type=int, default=1)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--steps", type=int, default=14)
    parser.add_argument("--out", default=str(WORK / "sheet.webp"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    lines = open(options.prompts, encoding="utf8").read().strip().splitlines()[: options.count]
    prompts = [json.loads(line)["prompt"] if line.startswith("{") else line for line in lines]
    painter = Painter()
    tiles = painter([p for p in prompts for _ in range(options.pictures)], [100 * k + j for k in range(len(prompts)) for j in range(options.pictures)], options.steps)
    sheet(tiles, prompts, options.pictures, options.out)
    print(painter.seen, "pictures seen,", options.out)


if __name__ == "__main__":
    main()
