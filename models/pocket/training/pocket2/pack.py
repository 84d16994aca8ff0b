"""Checkpoints small enough to travel: averaged weights as halves, in parts of at most 15 MiB.

`python -m pocket2.pack FOLDER` writes what there is in work/; `python -m pocket2.pack FOLDER --take` puts a packed run into work/packed,
where the stages begin from it.
"""

import argparse
import io
import shutil
from pathlib import Path

import torch

from pocket2.settings import WORK

PART = 15 * 2**20
#: What of each checkpoint is worth carrying.
WANTED = {"unet.pt": ("average", "cells", "aids", "seen", "spent"), "decoder.pt": ("average", "seen"), "see.pt": ("clip", "seen"), "prior.pt": ("average", "pca", "seen")}


def halved(value):
    if isinstance(value, torch.Tensor):
        return value.detach().cpu().half() if value.is_floating_point() else value.cpu()
    return {k: halved(v) for k, v in value.items()} if isinstance(value, dict) else value


def whole(value):
    if isinstance(value, torch.Tensor):
        return value.float() if value.is_floating_point() else value
    return {k: whole(v) for k, v in value.items()} if isinstance(value, dict) else value


def pack(folder: Path, source: Path = WORK) -> list[Path]:
    """All networks of a run in one stream, cut into parts."""
    state = {}
    for name, keys in WANTED.items():
        if (source / name).exists():
            found = torch.load(source / name, map_location="cpu")
            state[name] = halved({k: found[k] for k in keys if k in found})
    if (source / "basis.pt").exists():
        state["basis.pt"] = {k: v.clone() if isinstance(v, torch.Tensor) else v for k, v in torch.load(source / "basis.pt", map_location="cpu").items()}
    stream = io.BytesIO()
    torch.save(state, stream)
    folder.mkdir(parents=True, exist_ok=True)
    paths, data = [], stream.getvalue()
    for k in range(0, len(data), PART):
        paths.append(folder / f"run.{k // PART:02d}")
        Path(f"{paths[-1]}.tmp").write_bytes(data[k:k + PART])
    for path in paths:  # all parts of one moment, or none
        Path(f"{path}.tmp").rename(path)
    return paths


def unpack(folder: Path, name: str = "unet.pt") -> dict:
    """One network's checkpoint out of the parts, as float32."""
    data = b"".join(p.read_bytes() for p in sorted(folder.glob("run.??")))
    return whole(torch.load(io.BytesIO(data))[name])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--take", action="store_true")
    options = parser.parse_args()
    if options.take:
        shutil.copytree(options.folder, WORK / "packed", dirs_exist_ok=True)
        torch.save(unpack(options.folder, "basis.pt"), WORK / "basis.pt")
    else:
        print(*(f"{p.name} {p.stat().st_size}" for p in pack(options.folder)), sep="\n")


if __name__ == "__main__":
    main()
