"""Pocket 1's trained networks, read back from the ONNX files that ship: its checkpoints are kept nowhere else.

The exporter keeps the names of biases, convolutions and tables, folds a Linear's matrix into `onnx::MatMul_N` (transposed) and a
GroupNorm's scale and shift into `onnx::Mul_N`, `onnx::Add_N`. N rises in the order in which the graph computes, so sorted by N
they are the module's Linears and norms in the order of its forward().
"""

import re

import torch

import tokenizer
from config import SIZES
from nets.text import TextTower
from nets.unet import UNet
from pocket2.latents import initializers
from pocket2.settings import MODEL


def _numbered(weights: dict, kind: str) -> list[str]:
    names = [n for n in weights if re.fullmatch(rf"onnx::{kind}_\d+", n)]
    return sorted(names, key=lambda n: int(n.rsplit("_", 1)[1]))


def unet_matmuls(blocks: int) -> list[str]:
    """Linears of the U-Net in the order in which its graph multiplies by them."""
    inner = [f"blocks.{k}.{n}" for k in range(blocks) for n in ("attention.qkv", "attention.context", "attention.out", "up", "down")]
    return ["condense.kv", "condense.out", "condense.up", "condense.down", *inner]


def graph_names(blocks: int = 6) -> dict[str, str]:
    """Module path of every Linear -> the initializer that holds its transposed weight in unet/model.onnx (without `_half`)."""
    return dict(zip(unet_matmuls(blocks), _numbered(initializers("unet"), "MatMul"), strict=True))


def _fill(module: torch.nn.Module, weights: dict, linears: list[str], norms: list[str], special: dict) -> torch.nn.Module:
    state = {k: torch.from_numpy(v) for k, v in weights.items() if not k.startswith("onnx::")}
    for name, source in zip(linears, _numbered(weights, "MatMul"), strict=True):
        state[name + ".weight"] = torch.from_numpy(weights[source]).T
    for name, scale, shift in zip(norms, _numbered(weights, "Mul"), _numbered(weights, "Add"), strict=True):
        state[name + ".weight"], state[name + ".bias"] = (torch.from_numpy(weights[k]).flatten() for k in (scale, shift))
    state.update(special)
    module.load_state_dict(state)
    return module


def unet() -> UNet:
    """The U-Net that ships."""
    s, weights = SIZES["cpu"], initializers("unet")
    queries = next(v for k, v in weights.items() if k.startswith("onnx::Expand_"))
    norms = ["res_in.norm1", "res_in.norm2", "res_out1.norm1", "res_out1.norm2", "res_out2.norm1", "res_out2.norm2", "norm"]
    return _fill(UNet(16, s.channels, s.width, s.blocks, s.text_width, s.context), weights, unet_matmuls(s.blocks), norms,
                 {"condense.queries": torch.from_numpy(queries)})


def text_tower() -> TextTower:
    """The text tower that ships."""
    s, encode = SIZES["cpu"], tokenizer.Encoder(MODEL / "tokenizer")
    linears = [f"blocks.{k}.{n}" for k in range(s.text_layers) for n in ("qkv", "out", "up", "down")] + ["project"]
    return _fill(TextTower(encode.vocab_size, s.text_width, s.text_layers, s.embed, encode.eos), initializers("text_encoder"), linears, [], {})
