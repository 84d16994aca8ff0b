"""Stable Diffusion 1.5's UNet2DConditionModel over an LDM checkpoint, in plain PyTorch: what the graphs are timed
against. Reads lines "side rows" from stdin, answers each with processor seconds of one call, written from the paper's
and the checkpoint's structure.
"""
import math
import resource
import sys

import torch
import torch.nn.functional as F
from safetensors.torch import load_file

torch.set_num_threads(int(sys.argv[2]))
torch.set_grad_enabled(False)
W = {
    k.removeprefix("model.diffusion_model."): v.float()
    for k, v in load_file(sys.argv[1]).items()
    if k.startswith("model.diffusion_model.")
}


def linear(name, x):
    return F.linear(x, W[name + ".weight"].flatten(1), W.get(name + ".bias"))


def conv(name, x, stride=1):
    w = W[name + ".weight"]
    return F.conv2d(x, w, W[name + ".bias"], stride=stride, padding=w.shape[2] // 2)


def norm(name, x, eps=1e-5):
    return F.group_norm(x, 32, W[name + ".weight"], W[name + ".bias"], eps)


def layer_norm(name, x):
    return F.layer_norm(x, x.shape[-1:], W[name + ".weight"], W[name + ".bias"])


def resnet(name, x, t):
    h = conv(name + ".in_layers.2", F.silu(norm(name + ".in_layers.0", x)))
    h = h + linear(name + ".emb_layers.1", t)[:, :, None, None]
    h = conv(name + ".out_layers.3", F.silu(norm(name + ".out_layers.0", h)))
    return h + (conv(name + ".skip_connection", x) if name + ".skip_connection.weight" in W else x)


def attention(name, x, context):
    b, n, c = x.shape
    q, k, v = (
        linear(f"{name}.to_{which}", y).view(b, -1, 8, c // 8).transpose(1, 2)
        for which, y in (("q", x), ("k", context), ("v", context))
    )
    return linear(name + ".to_out.0", F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(b, n, c))


def transformer(name, x, context):
    b, c, height, width = x.shape
    h = linear(name + ".proj_in", norm(name + ".norm", x, 1e-6).permute(0, 2, 3, 1).reshape(b, -1, c))
    block = name + ".transformer_blocks.0"
    y = layer_norm(block + ".norm1", h)
    h = h + attention(block + ".attn1", y, y)
    h = h + attention(block + ".attn2", layer_norm(block + ".norm2", h), context)
    value, gate = linear(block + ".ff.net.0.proj", layer_norm(block + ".norm3", h)).chunk(2, -1)
    h = h + linear(block + ".ff.net.2", value * F.gelu(gate))
    return x + linear(name + ".proj_out", h).view(b, height, width, c).permute(0, 3, 1, 2)


def unet(x, timestep, context):
    angles = timestep[:, None] * torch.exp(-math.log(10000) * torch.arange(160) / 160)
    t = torch.cat([angles.cos(), angles.sin()], -1)
    t = F.silu(linear("time_embed.2", F.silu(linear("time_embed.0", t))))
    kept = []
    x = conv("input_blocks.0.0", x)
    kept.append(x)
    for i in range(1, 12):
        name = f"input_blocks.{i}"
        if name + ".0.op.weight" in W:
            x = conv(name + ".0.op", x, 2)
        else:
            x = resnet(name + ".0", x, t)
            if name + ".1.norm.weight" in W:
                x = transformer(name + ".1", x, context)
        kept.append(x)
    x = resnet("middle_block.2", transformer("middle_block.1", resnet("middle_block.0", x, t), context), t)
    for i in range(12):
        name = f"output_blocks.{i}"
        x = resnet(name + ".0", torch.cat([x, kept.pop()], 1), t)
        if name + ".1.norm.weight" in W:
            x = transformer(name + ".1", x, context)
        for last in (".1.conv", ".2.conv"):
            if name + last + ".weight" in W:
                x = conv(name + last, F.interpolate(x, scale_factor=2.0, mode="nearest"))
    return conv("out.2", F.silu(norm("out.0", x)))


if __name__ == "__main__":
    print("ready", flush=True)
    for line in sys.stdin:
        side, rows = map(int, line.split())
        x, context = torch.randn(rows, 4, side // 8, side // 8), torch.randn(rows, 77, 768)
        used = lambda: sum(resource.getrusage(resource.RUSAGE_SELF)[:2])  # noqa: E731
        before = used()
        unet(x, torch.full((rows,), 500.0), context)
        print(used() - before, flush=True)
