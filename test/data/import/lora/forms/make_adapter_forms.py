"""Adapters of every form on the tiny sd15 model, and the weights that PEFT's and LyCORIS' formulas make of them.

Run in its own folder: python make_adapter_forms.py  (torch, safetensors, peft)
"""
import torch
from pathlib import Path
from peft.tuners.loha.layer import make_weight, make_weight_cp
from peft.tuners.lokr.layer import make_kron, make_weight_cp as lokr_cp
from safetensors.torch import load_file, save_file

here = Path(__file__).parent
unet = load_file(here / "../../folders/sd15/model/unet/diffusion_pytorch_model.safetensors")
torch.manual_seed(13)
torch.set_num_threads(1)
strength = 0.7
r = lambda *shape: torch.randn(*shape) * 0.3

linear = "down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q"
wide = "mid_block.attentions.0.transformer_blocks.0.ff.net.2"
conv = "mid_block.resnets.0.conv1"
down = "down_blocks.0.downsamplers.0.conv"
norm = "up_blocks.0.resnets.0.norm1"
key = lambda name: "lora_unet_" + name.replace(".", "_")
W = lambda name: unet[name + ".weight"].float()


def sides(name):
    out, into, *window = W(name).shape
    return out, into, window


def both(tensors, name, rank, alpha, cp):
    out, into, window = sides(name)
    for n in (1, 2):
        if cp:
            tensors[f"{key(name)}.hada_w{n}_a"] = r(rank, out)
            tensors[f"{key(name)}.hada_w{n}_b"] = r(rank, into)
            tensors[f"{key(name)}.hada_t{n}"] = r(rank, rank, *window)
        else:
            tensors[f"{key(name)}.hada_w{n}_a"] = r(out, rank)
            tensors[f"{key(name)}.hada_w{n}_b"] = r(rank, W(name)[0].numel())
    tensors[f"{key(name)}.alpha"] = torch.tensor(float(alpha))
    g = lambda tail: tensors[f"{key(name)}.{tail}"]
    s = torch.tensor(alpha / rank)
    if cp:
        return make_weight_cp(g("hada_t1"), g("hada_w1_a"), g("hada_w1_b"), g("hada_t2"), g("hada_w2_a"), g("hada_w2_b"), s)
    return make_weight(g("hada_w1_a"), g("hada_w1_b"), g("hada_w2_a"), g("hada_w2_b"), s).reshape(W(name).shape)


def loha():
    t, e = {}, {}
    for name, cp in ((linear, False), (conv, True), (down, False)):
        e[name] = W(name) + strength * both(t, name, 3, 2, cp)
    return t, e


def lokr():
    t, e = {}, {}
    # Both halves factored.
    out, into, _ = sides(linear)
    a, b, c, d, rank, alpha = 4, 2, out // 4, into // 2, 2, 3
    w1a, w1b, w2a, w2b = r(a, rank), r(rank, b), r(c, rank), r(rank, d)
    t |= {f"{key(linear)}.lokr_w1_a": w1a, f"{key(linear)}.lokr_w1_b": w1b, f"{key(linear)}.lokr_w2_a": w2a, f"{key(linear)}.lokr_w2_b": w2b, f"{key(linear)}.alpha": torch.tensor(float(alpha))}
    e[linear] = W(linear) + strength * alpha / rank * make_kron(w1a @ w1b, w2a @ w2b)
    # Both whole: alpha counts for nothing.
    out, into, _ = sides(wide)
    w1, w2 = r(2, 4), r(out // 2, into // 4)
    t |= {f"{key(wide)}.lokr_w1": w1, f"{key(wide)}.lokr_w2": w2, f"{key(wide)}.alpha": torch.tensor(7.0)}
    e[wide] = W(wide) + strength * make_kron(w1, w2)
    # A convolution, its second half in Tucker form.
    out, into, window = sides(conv)
    w1, w2a, w2b, t2 = r(2, 2), r(rank, out // 2), r(rank, into // 2), r(rank, rank, *window)
    t |= {f"{key(conv)}.lokr_w1": w1, f"{key(conv)}.lokr_w2_a": w2a, f"{key(conv)}.lokr_w2_b": w2b, f"{key(conv)}.lokr_t2": t2, f"{key(conv)}.alpha": torch.tensor(1.0)}
    e[conv] = W(conv) + strength * 1 / rank * make_kron(w1, lokr_cp(t2, w2a, w2b))
    # A convolution, its second half factored flat, its first factored too.
    out, into, window = sides(down)
    w1a, w1b, w2a, w2b = r(2, rank), r(rank, 2), r(out // 2, rank), r(rank, into // 2 * 9)
    t |= {f"{key(down)}.lokr_w1_a": w1a, f"{key(down)}.lokr_w1_b": w1b, f"{key(down)}.lokr_w2_a": w2a, f"{key(down)}.lokr_w2_b": w2b, f"{key(down)}.alpha": torch.tensor(1.0)}
    w2 = (w2a @ w2b).reshape(out // 2, into // 2, *window)
    e[down] = W(down) + strength * 1 / rank * make_kron(w1a @ w1b, w2)
    return t, e


def factors(t, name, rank, alpha, up="lora_up", down_="lora_down"):
    out, into, window = sides(name)
    a, b = r(rank, into, *window), r(out, rank, *([1] * len(window)))
    t |= {f"{key(name)}.{down_}.weight": a, f"{key(name)}.{up}.weight": b, f"{key(name)}.alpha": torch.tensor(float(alpha))}
    return alpha / rank * (b.reshape(out, rank) @ a.reshape(rank, -1)).reshape(W(name).shape)


def by_row(v, m):
    return m.reshape(-1, *([1] * (v.dim() - 1))) * v / v.reshape(len(v), -1).norm(dim=1).reshape(-1, *([1] * (v.dim() - 1)))


def by_column(v, m):
    shape = (1, -1, *([1] * (v.dim() - 2)))
    return m.reshape(shape) * v / v.transpose(0, 1).reshape(v.shape[1], -1).norm(dim=1).reshape(shape)


def dora_lycoris():
    t, e = {}, {}
    for name, rank, alpha, column in ((linear, 3, 2, False), (wide, 2, 4, True), (conv, 2, 1, False), (down, 3, 3, True)):
        v = W(name) + strength * factors(t, name, rank, alpha)
        out, into, window = sides(name)
        if column:
            m = torch.rand(1, into, *([1] * len(window))) + 0.5
            e[name] = by_column(v, m)
        else:
            m = torch.rand(out, 1, *([1] * len(window))) + 0.5
            e[name] = by_row(v, m)
        t[f"{key(name)}.dora_scale"] = m
    # On a LoHa.
    name = "up_blocks.0.attentions.0.transformer_blocks.0.attn1.to_out.0"
    v = W(name) + strength * both(t, name, 2, 1, False)
    m = torch.rand(len(v), 1) + 0.5
    t[f"{key(name)}.dora_scale"] = m
    e[name] = by_row(v, m)
    return t, e


def dora_peft():
    t, e = {}, {}
    for name in (linear, conv):
        out, into, window = sides(name)
        a, b = r(3, into, *window), r(out, 3, *([1] * len(window)))
        m = torch.rand(*((1, out, 1, 1) if window else (out,))) + 0.5
        t |= {f"unet.{name}.lora_A.weight": a, f"unet.{name}.lora_B.weight": b, f"unet.{name}.lora_magnitude_vector": m}
        e[name] = by_row(W(name) + strength * (b.reshape(out, 3) @ a.reshape(3, -1)).reshape(W(name).shape), m)
    return t, e


def locon_mid():
    t, e = {}, {}
    for name in (conv, down):
        out, into, window = sides(name)
        rank, alpha = 3, 2
        a, m, b = r(rank, into, 1, 1), r(rank, rank, *window), r(out, rank, 1, 1)
        t |= {f"{key(name)}.lora_down.weight": a, f"{key(name)}.lora_mid.weight": m, f"{key(name)}.lora_up.weight": b, f"{key(name)}.alpha": torch.tensor(float(alpha))}
        # LyCORIS: rebuild_tucker
        delta = torch.einsum("n m k l, i n, m j -> i j k l", m, b[:, :, 0, 0], a[:, :, 0, 0])
        e[name] = W(name) + strength * alpha / rank * delta
    return t, e


def full():
    t, e = {}, {}
    for name in (linear, conv):
        d = r(*W(name).shape)
        t[f"{key(name)}.diff"] = d
        e[name] = W(name) + strength * d
    b = r(len(W(conv)))
    t[f"{key(conv)}.diff_b"] = b
    e[conv + ".bias"] = unet[conv + ".bias"].float() + strength * b
    w, b = r(len(W(norm))), r(len(W(norm)))
    t |= {f"{key(norm)}.w_norm": w, f"{key(norm)}.b_norm": b}
    e[norm] = W(norm) + strength * w
    e[norm + ".bias"] = unet[norm + ".bias"].float() + strength * b
    # A bias beside two factors.
    a, b, bias = r(2, sides(wide)[1]), r(sides(wide)[0], 2), r(sides(wide)[0])
    t |= {f"unet.{wide}.lora_A.weight": a, f"unet.{wide}.lora_B.weight": b, f"unet.{wide}.lora_B.bias": bias}
    e[wide] = W(wide) + strength * b @ a
    e[wide + ".bias"] = unet[wide + ".bias"].float() + strength * bias
    return t, e


for name, make in dict(loha=loha, lokr=lokr, dora_lycoris=dora_lycoris, dora_peft=dora_peft, locon_mid=locon_mid, full=full).items():
    tensors, expected = make()
    name = name.replace("_", "-")
    save_file({k: v.contiguous() for k, v in tensors.items()}, here / f"{name}.safetensors")
    named = {k if k.endswith(".bias") else k + ".weight": v.contiguous() for k, v in expected.items()}
    save_file(named, here / f"{name}-merged.safetensors")
