"""The encoder of pocket 2: closed form, /16. Its first 16 channels are pocket 1's of the picture at half the side, so that a U-Net
trained on those begins where pocket 1 ended; the others are principal components of what those leave unsaid."""

import numpy as np
import onnx
import torch
import torch.nn.functional as F
from onnx import numpy_helper
from torch import nn

from pocket2.settings import MODEL, WORK, size

CELL, FIRST = 16, 16
#: Deviation of the further channels: what diffusion is to learn last drowns in noise first.
SMALL = 0.5


def initializers(name: str) -> dict[str, np.ndarray]:
    """Weights of an exported network by their name in the graph, without the mark of half precision."""
    graph = onnx.load(MODEL / name / "model.onnx").graph
    return {t.name.removesuffix("_half"): numpy_helper.to_array(t).astype(np.float32) for t in graph.initializer}


def fit(pixels: np.ndarray, channels: int) -> dict:
    """pixels u8 [N,256,256,3] -> weights of encoder [C,3,16,16], its bias, and of the best linear decoder."""
    first = initializers("vae_encoder")
    weight = next(v for v in first.values() if v.ndim == 4)[:FIRST]
    bias = next(v for k, v in first.items() if v.ndim == 1 and len(v) >= FIRST and "bias" in k)[:FIRST]
    weight = torch.from_numpy(weight).repeat_interleave(2, 2).repeat_interleave(2, 3) / 4
    x = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 127.5 - 1
    patches = torch.cat([F.unfold(p, CELL, stride=CELL).transpose(1, 2).reshape(-1, 3 * CELL * CELL) for p in x.split(64)])
    known = patches @ weight.flatten(1).T + torch.from_numpy(bias)
    one = torch.cat([known, torch.ones(len(known), 1)], 1)
    rest = patches - one @ torch.linalg.lstsq(one, patches).solution
    values, vectors = torch.linalg.eigh(rest.T @ rest / len(rest))
    # Pictures that leave nothing unsaid have deviations of nothing but rounding, which is not to be made large.
    extra = vectors.flip(1)[:, : channels - FIRST] * (SMALL / values.flip(0)[: channels - FIRST].clamp(min=1e-6).sqrt())
    # What the rest holds is read off the picture itself: rest = patch - (its part along `known`).
    full = torch.cat([weight.flatten(1).T, extra], 1)
    offset = torch.cat([torch.from_numpy(bias), -(patches.mean(0) @ extra)])
    z = torch.cat([patches @ full + offset, torch.ones(len(patches), 1)], 1)
    back = torch.linalg.lstsq(z, patches).solution
    return {"encode": full.T.reshape(-1, 3, CELL, CELL).contiguous(), "bias": offset, "decode": back[:-1].reshape(-1, 3, CELL, CELL), "mean": back[-1].reshape(3, CELL, CELL),
            "explained": 1 - float(((z @ back - patches) ** 2).mean() / patches.var()), "psnr": -10 * float(torch.log10(((z @ back).clamp(-1, 1) - patches).square().mean() / 4)), "std": z[:, :-1].std(0)}


def basis() -> dict:
    """The encoder's weights, fitted once."""
    path = WORK / "basis.pt"
    if not path.exists():
        from pocket2.scenes import Renderer
        renderer = Renderer()
        found = fit(np.stack([renderer.render(9_000_000 + k)[0] for k in range(500 if size().name != "tiny" else 16)]), size().latent)
        print(f"linear: {found['explained']:.4f} explained, {found['psnr']:.2f} dB", flush=True)
        torch.save({k: v.clone() if isinstance(v, torch.Tensor) else v for k, v in found.items()}, path)  # not what they are views of
    return torch.load(path)


class Encoder(nn.Module):
    """sample [B,3,H,W] in -1..1 -> latent_parameters [B,2C,H/16,W/16]: mean, then log variance (none: -30)."""

    def __init__(self, found: dict):
        super().__init__()
        self.conv = nn.Conv2d(3, len(found["bias"]), CELL, stride=CELL)
        self.conv.weight.data, self.conv.bias.data = found["encode"].clone(), found["bias"].clone()

    def mean(self, sample: torch.Tensor) -> torch.Tensor:
        return self.conv(sample)

    def forward(self, sample: torch.Tensor) -> torch.Tensor:
        mean = self.conv(sample)
        return torch.cat([mean, torch.zeros_like(mean) - 30.0], 1)


if __name__ == "__main__":
    basis()
