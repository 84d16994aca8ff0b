"""Sizes and folders of pocket 2's training. POCKET_SIZE picks a size, POCKET_WORK moves everything on the way out of the model's folder."""

import dataclasses
import os
import sys
from pathlib import Path

TRAINING = Path(__file__).resolve().parent.parent
MODEL = TRAINING.parent
#: Downloads, shards, checkpoints: never committed.
WORK = Path(os.environ.get("POCKET_WORK") or TRAINING / "work").resolve()
if str(TRAINING) not in sys.path:
    sys.path.insert(0, str(TRAINING))


@dataclasses.dataclass(frozen=True)
class Size:
    name: str
    pixels: int = 256
    latent: int = 24            # channels of a 16x16 px cell
    text_width: int = 256
    text_layers: int = 3
    embed: int = 256
    channels: int = 96          # U-Net at 16x16, as pocket 1 has them
    width: int = 320            # U-Net at 8x8
    blocks: int = 6
    context: int = 16           # condensed text, as pocket 1 has it
    slots: int = 8              # text read as a scene: subjects, then what holds of the whole
    batch: int = 64
    crops: int = 16             # of 128 px, the decoder's batch
    shards: int = 40
    shard: int = 1024
    unet_minutes: float = 900   # all sessions together
    device: str = "cpu"


SIZES = {
    "cpu": Size("cpu"),
    # The same networks, so that a GPU's minutes and a CPU's hours train one and the same model, and what is painted costs no more.
    "gpu": Size("gpu", batch=768, crops=256, shards=600, device="cuda"),
    "tiny": Size("tiny", text_width=64, text_layers=1, embed=64, channels=32, width=64, blocks=1, batch=8, shards=2, shard=64, unet_minutes=0.2),
}


def size() -> Size:
    return SIZES[os.environ.get("POCKET_SIZE", "cpu")]
