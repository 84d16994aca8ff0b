"""Trains pocket 1, which ships, from nothing: `python first.py [--size tiny|cpu|gpu] [--folder DIR] [stages...]`. Run it again to go on where it stopped.

Stages: tokenizer, render, clip, unet, decoder, vision, upscaler, judge, export. A stage whose result lies in work/ is skipped;
`unet` resumes from its checkpoint until its minutes are used up.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

STAGES = ["tokenizer", "render", "clip", "unet", "decoder", "vision", "upscaler", "judge", "export"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=("tiny", "cpu", "gpu"), default="cpu")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--folder", default="", help="where the model is written, instead of over the one that ships")
    parser.add_argument("--force", action="store_true", help="run the named stages even if their results exist")
    parser.add_argument("stages", nargs="*", default=STAGES, help="default: all of them")
    options = parser.parse_args()
    os.environ["POCKET_SIZE"], os.environ["POCKET_FOLDER"] = options.size, options.folder

    import torch

    import config
    torch.set_num_threads(options.threads)
    config.WORK.mkdir(parents=True, exist_ok=True)
    done = {"tokenizer": config.MODEL / "tokenizer" / "tokenizer.json", "clip": config.WORK / "text.pt", "decoder": config.WORK / "decoder.pt",
            "vision": config.WORK / "vision.pt", "upscaler": config.WORK / "upscaler.pt", "judge": config.WORK / "judge.pt"}
    for stage in options.stages:
        if stage not in STAGES:
            parser.error(f"no stage {stage!r}; there are {', '.join(STAGES)}")
        if stage in done and done[stage].exists() and not options.force:
            print(f"{stage}: done already")
            continue
        print(f"{stage}:", flush=True)
        run(stage)


def run(stage: str) -> None:
    if stage == "tokenizer":
        import tokenizer
        from captions import Captioner
        from config import MODEL, size
        from scenes import Renderer
        renderer = Renderer(size().name)
        tokenizer.train(tokenizer.corpus(renderer, Captioner(renderer.nouns), 60000), MODEL / "tokenizer")
    elif stage == "render":  # a process of its own, so that all cores could be used by several
        subprocess.run([sys.executable, str(Path(__file__).parent / "data.py")], check=True)
    elif stage == "clip":
        import clip_text
        clip_text.run()
    elif stage == "unet":
        import diffuse
        diffuse.run()
    elif stage == "decoder":
        import decode
        decode.run()
    elif stage == "vision":
        import clip_vision
        clip_vision.run()
    elif stage == "upscaler":
        import upscale
        upscale.run()
    elif stage == "judge":
        import judge
        judge.run()
    elif stage == "export":
        import export
        export.run()


if __name__ == "__main__":
    main()
