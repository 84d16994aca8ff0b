"""Paints what people ask (`asked.jsonl`, written before pocket 2 was trained on anything): `python asked.py [--second] [--pictures 2] [--out SHEET]`.

Without --second the ONNX files that ship paint, with it pocket 2's checkpoint in training/work. The sheet shows every prompt, none left out or
chosen, with what must be seen below it; `eye.json` holds what was seen by eye in one picture each: 1 all that was asked, quarters for parts of it, 0 nothing.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "training"))
#: What is asked of a picture beyond its prompt, in the order it is shown.
QUESTIONS = ("subject", "color", "material", "count", "relation", "second", "second color", "third", "third color", "place", "time", "weather", "season", "style")


def asked() -> list[dict]:
    return [json.loads(line) for line in (HERE / "asked.jsonl").read_text(encoding="utf8").splitlines()]


def questions(entry: dict) -> list[tuple[str, str]]:
    """What must be seen: (what is asked for, what it must be)."""
    return [(name, entry[name]) for name in QUESTIONS if name in entry]


def subjects(entry: dict) -> int:
    """How many different subjects a prompt names."""
    return sum(name in entry for name in ("subject", "second", "third"))


def sheet(entries: list[dict], tiles: np.ndarray, pictures: int, path: str, across: int = 5, side: int = 160, margin: int = 32) -> None:
    """Every prompt, what must be seen in it, and its pictures [N*pictures,H,W,3]."""
    w, h = pictures * side + 8, side + margin
    out = Image.new("RGB", (across * w, -(-len(entries) // across) * h), "white")
    draw, font = ImageDraw.Draw(out), ImageFont.load_default(12)
    for k, entry in enumerate(entries):
        x, y = k % across * w, k // across * h
        draw.text((x + 2, y), f"{k + 1} {entry['prompt']}"[: pictures * side // 6], fill="black", font=font)
        draw.text((x + 2, y + 15), " · ".join(v for _, v in questions(entry))[: pictures * side // 6], fill="#777", font=font)
        for j in range(pictures):
            out.paste(Image.fromarray(tiles[k * pictures + j]).resize((side, side), Image.LANCZOS), (x + j * side, y + margin))
    out.save(path, quality=84, method=6)


def by_eye(name: str) -> dict[str, float]:
    """Mean of what was seen by eye, of all prompts and by the number of subjects they name."""
    seen, entries = json.loads((HERE / "eye.json").read_text())[name], asked()
    rows = {"all": [s for s in seen]}
    for count, word in ((1, "one subject"), (2, "two subjects"), (3, "three subjects")):
        rows[word] = [s for s, e in zip(seen, entries, strict=True) if subjects(e) == count]
    return {word: round(float(np.mean(values)), 3) for word, values in rows.items() if values}


def judged(entries: list[dict], tiles: np.ndarray, pictures: int) -> None:
    """Prints what share of the questions the judge answers with yes."""
    import torch
    from answers import answer, table
    from pocket2 import judge
    network, found = judge.load(), []
    for tile in tiles:
        x = torch.from_numpy(tile)[None].permute(0, 3, 1, 2).float() / 127.5 - 1
        with torch.no_grad():
            nouns, colours, *whole = network(torch.nn.functional.interpolate(x, (128, 128), mode="area"))
        found.append(answer(entries[len(found) // pictures], nouns[0].softmax(0).numpy(), colours[0].softmax(0).numpy(), {n: int(w.argmax()) for n, w in zip(judge.WHOLE, whole)}, tile))
    for name, (count, share) in table([e for e in entries for _ in range(pictures)], found).items():
        print(f"| {name} | {count} | {share:.0%} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--second", action="store_true")
    parser.add_argument("--pictures", type=int, default=2)
    parser.add_argument("--out", default="asked.webp")
    parser.add_argument("--judge", action="store_true", help="have the judge in training/work answer, and print the shares")
    parser.add_argument("--eye", action="store_true", help="print the means of eye.json, paint nothing")
    options = parser.parse_args()
    if options.eye:
        print(json.dumps({name: by_eye(name) for name in json.loads((HERE / "eye.json").read_text())}, indent=2))
        return
    entries = asked()
    prompts = [e["prompt"] for e in entries for _ in range(options.pictures)]
    seeds = [100 * k + j for k in range(len(entries)) for j in range(options.pictures)]
    if options.second:
        from pocket2.look import Painter
        tiles = Painter()(prompts, seeds).numpy()
    else:
        from evaluate import Pipeline
        tiles = Pipeline().paint(prompts, seeds)
    sheet(entries, tiles, options.pictures, options.out)
    if options.judge:
        judged(entries, tiles, options.pictures)


if __name__ == "__main__":
    main()
