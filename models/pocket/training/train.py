"""Trains pocket 2 and pocket-unclip: `python train.py [--size tiny|cpu|gpu] [--work DIR] [--until HH:MM] [stages...]`. Run it again to go on where it stopped.

Stages: fetch, data, words, unet, decoder, see, prior, export; of pocket-unclip words, see, prior, small, enlarge, unclip, after pocket 2's data. `data` goes on in a process of its own beside `unet`, which takes up what appears.
`unet` ends when its minutes of processor time are used up or at --until; see pocket2/paint.py for a last leg with a falling rate.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

STAGES = {"fetch": "fetch", "data": "data", "words": "words", "unet": "paint", "decoder": "decode", "see": "see", "prior": "prior", "export": "export",
          "small": "small", "enlarge": "enlarge", "unclip": "unclip"}
#: What pocket 2 needs; pocket-unclip's are words, see, prior, small, enlarge, unclip.
POCKET = ["fetch", "data", "words", "unet", "decoder", "see", "prior", "export"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=("tiny", "cpu", "gpu"), default="cpu")
    parser.add_argument("--work", default=os.environ.get("POCKET_WORK", ""), help="where downloads, shards and checkpoints lie (training/work)")
    parser.add_argument("--until", default="", help="HH:MM of today when unet, decoder, see and prior stop")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("stages", nargs="*", default=POCKET, help="default: pocket 2's")
    options = parser.parse_args()
    for stage in options.stages:
        if stage not in STAGES:
            parser.error(f"no stage {stage!r}; there are {', '.join(STAGES)}")
    environment = os.environ | {"POCKET_SIZE": options.size, "OMP_NUM_THREADS": str(options.threads)}
    environment |= {"POCKET_WORK": str(Path(options.work).resolve())} if options.work else {}
    environment |= {"POCKET_UNTIL": options.until} if options.until else {}
    beside = None
    for stage in options.stages:
        print(f"{stage}:", flush=True)
        command = [sys.executable, "-m", f"pocket2.{STAGES[stage]}"]
        if stage == "data" and "unet" in options.stages and options.size != "tiny":
            subprocess.run([*command, "8"], cwd=Path(__file__).parent, env=environment, check=True)
            beside = subprocess.Popen(command, cwd=Path(__file__).parent, env=environment)
            continue
        subprocess.run(command, cwd=Path(__file__).parent, env=environment, check=True)
    if beside:
        beside.wait()


if __name__ == "__main__":
    main()
