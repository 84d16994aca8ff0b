"""Gets Fluent Emoji 3D (MIT) from npm into work/: `python fetch.py`. Noto comes by `apt install fonts-noto-color-emoji`."""

import subprocess
import tarfile

from pocket2.settings import WORK

PACKAGE = "@lobehub/fluent-emoji-3d@1.1.0"
FLUENT = WORK / "fluent"


def fetch() -> None:
    """Unpacks the package's pictures into work/fluent once."""
    if FLUENT.exists():
        return
    WORK.mkdir(parents=True, exist_ok=True)
    name = subprocess.run(["npm", "pack", PACKAGE, "--silent"], cwd=WORK, check=True, capture_output=True, text=True).stdout.split()[-1]
    part = WORK / "fluent.part"
    part.mkdir(exist_ok=True)
    with tarfile.open(WORK / name) as archive:
        for member in archive:
            if member.isfile() and member.name.startswith("package/assets/"):
                (part / member.name.rsplit("/", 1)[1]).write_bytes(archive.extractfile(member).read())
    part.rename(FLUENT)
    (WORK / name).unlink()


if __name__ == "__main__":
    fetch()
