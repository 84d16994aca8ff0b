"""Sizes and folders of a training run. `--size` picks one of these and nothing else changes; "tiny" only proves that every stage runs."""

import dataclasses
import os
from pathlib import Path

#: The exported model; POCKET_FOLDER (train.py's --folder) puts it and everything on the way to it elsewhere.
MODEL = Path(os.environ.get("POCKET_FOLDER") or Path(__file__).resolve().parent.parent).resolve()
WORK = MODEL / "training" / "work" / "first"


@dataclasses.dataclass(frozen=True)
class Size:
    name: str
    pixels: int = 128           # native side
    text_width: int = 256
    text_layers: int = 3
    embed: int = 256            # CLIP embedding
    vision: int = 64            # side the image tower looks at
    channels: int = 96          # U-Net, full latent resolution
    width: int = 320            # U-Net, half resolution
    blocks: int = 6
    context: int = 16           # text is condensed to this many tokens
    batch: int = 64
    clip_minutes: float = 4.5
    unet_minutes: float = 232
    decoder_minutes: float = 12
    vision_minutes: float = 4
    upscaler_minutes: float = 1.2
    judge_pictures: int = 96_000
    shards: int = 44            # of 2048 square pictures (every 8th shard is wide or tall)
    shard: int = 2048
    device: str = "cpu"


SIZES = {
    "cpu": Size("cpu"),
    "tiny": Size("tiny", text_width=64, text_layers=1, embed=64, channels=32, width=64, blocks=1, batch=16, shards=9, shard=256,
                 clip_minutes=0.3, unet_minutes=0.5, decoder_minutes=0.3, vision_minutes=0.3, upscaler_minutes=0.3, judge_pictures=3200),
    "gpu": Size("gpu", pixels=256, text_width=384, text_layers=6, channels=192, width=768, blocks=12, batch=256,
                unet_minutes=240, clip_minutes=10, decoder_minutes=10, vision_minutes=20, upscaler_minutes=10, shards=400, device="cuda"),
}


def size() -> Size:
    return SIZES[os.environ.get("POCKET_SIZE", "cpu")]
