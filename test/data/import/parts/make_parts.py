"""Parts that stand beside a model, small and with random weights, and what PyTorch computes with them.

Run in its own folder: python make_parts.py  (torch, transformers, safetensors). The modules are written from the
published architectures: TAESD, https://github.com/madebyollin/taesd (taesd.py) and diffusers' AutoencoderTiny;
RRDBNet, https://github.com/XPixelGroup/BasicSR (rrdbnet_arch.py), https://github.com/xinntao/ESRGAN; the safety checker,
diffusers' pipelines/stable_diffusion/safety_checker.py over transformers' own CLIPVisionModel.
"""
import json
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import nn
from transformers import CLIPVisionConfig, CLIPVisionModel

here = Path(__file__).parent
torch.manual_seed(31)
torch.set_num_threads(1)
expected = {}


def conv(a, b, **more):
    return nn.Conv2d(a, b, 3, padding=1, **more)


# 1. TAESD.
class TinyBlock(nn.Module):
    def __init__(self, n):
        super().__init__()
        self.conv = nn.Sequential(conv(n, n), nn.ReLU(), conv(n, n), nn.ReLU(), conv(n, n))

    def forward(self, x):
        return F.relu(self.conv(x) + x)


class Clamp(nn.Module):
    def forward(self, x):
        return torch.tanh(x / 3) * 3


n = 4
blocks = lambda count: [TinyBlock(n) for _ in range(count)]
up = lambda: [nn.Upsample(scale_factor=2), conv(n, n, bias=False)]
down = lambda: [conv(n, n, stride=2, bias=False), *blocks(3)]
decoder = nn.Sequential(Clamp(), conv(4, n), nn.ReLU(), *blocks(3), *up(), *blocks(3), *up(), *blocks(3), *up(),
                        *blocks(1), conv(n, 3)).eval()
encoder = nn.Sequential(conv(3, n), *blocks(1), *down(), *down(), *down(), conv(n, 4)).eval()
with torch.no_grad():
    expected["tiny.latent"] = torch.randn(1, 4, 5, 6) * 2
    # Its author's networks know pictures from 0 to 1, diffusers' from -1 to 1.
    expected["tiny.decoded"] = decoder(expected["tiny.latent"]) * 2 - 1
    expected["tiny.picture"] = torch.rand(1, 3, 40, 48) * 2 - 1
    expected["tiny.encoded"] = encoder((expected["tiny.picture"] + 1) / 2)
save_file(decoder.state_dict(), here / "taesd_decoder.safetensors")
save_file(encoder.state_dict(), here / "taesd_encoder.safetensors")
shifted = {f"decoder.layers.{int(k.split('.')[0]) - 1}.{k.split('.', 1)[1]}": v for k, v in decoder.state_dict().items()}
save_file({**shifted, **{f"encoder.layers.{k}": v for k, v in encoder.state_dict().items()}},
          here / "taesd-diffusers.safetensors")


# 2. ESRGAN.
class Dense(nn.Module):
    def __init__(self, nf, gc):
        super().__init__()
        for i in range(5):
            setattr(self, f"conv{i + 1}", conv(nf + i * gc, gc if i < 4 else nf))

    def forward(self, x):
        seen = [x]
        for i in range(1, 5):
            seen.append(F.leaky_relu(getattr(self, f"conv{i}")(torch.cat(seen, 1)), 0.2))
        return self.conv5(torch.cat(seen, 1)) * 0.2 + x


class RRDB(nn.Module):
    def __init__(self, nf, gc):
        super().__init__()
        self.rdb1, self.rdb2, self.rdb3 = Dense(nf, gc), Dense(nf, gc), Dense(nf, gc)

    def forward(self, x):
        return self.rdb3(self.rdb2(self.rdb1(x))) * 0.2 + x


class RRDBNet(nn.Module):
    def __init__(self, unshuffle=1, doublings=2, nf=6, gc=3, nb=2):
        super().__init__()
        self.unshuffle, self.doublings = unshuffle, doublings
        self.conv_first = conv(3 * unshuffle**2, nf)
        self.body = nn.Sequential(*[RRDB(nf, gc) for _ in range(nb)])
        self.conv_body = conv(nf, nf)
        for i in range(doublings):
            setattr(self, f"conv_up{i + 1}", conv(nf, nf))
        self.conv_hr, self.conv_last = conv(nf, nf), conv(nf, 3)

    def forward(self, x):
        height, width = (side * 2**self.doublings // self.unshuffle for side in x.shape[2:])
        over = [-side % self.unshuffle for side in x.shape[2:]]
        x = F.pad(x, (0, over[1], 0, over[0]), mode="replicate")
        x = self.conv_first(F.pixel_unshuffle(x, self.unshuffle))
        x = x + self.conv_body(self.body(x))
        for i in range(self.doublings):
            x = F.leaky_relu(getattr(self, f"conv_up{i + 1}")(F.interpolate(x, scale_factor=2, mode="nearest")), 0.2)
        x = self.conv_last(F.leaky_relu(self.conv_hr(x), 0.2))
        return x[:, :, :height, :width]


def halved(net):
    """Stored as half floats, calculated with as floats."""
    stored = {k: (v * 2).half() for k, v in net.state_dict().items()}
    net.load_state_dict({k: v.float() for k, v in stored.items()})
    return stored


def numbered(stored, doublings, nb=2):
    names = {"conv_first": "model.0", "conv_body": f"model.1.sub.{nb}", "conv_hr": f"model.{3 * doublings + 2}",
             "conv_last": f"model.{3 * doublings + 4}", **{f"conv_up{i}": f"model.{3 * i}" for i in (1, 2, 3)}}
    out = {}
    for key, value in stored.items():
        layer, kind = key.rsplit(".", 1)
        if layer.startswith("body."):
            _, i, rdb, c = layer.split(".")
            layer = f"model.1.sub.{i}.{rdb.upper()}.{c}.0"
        out[f"{names.get(layer, layer)}.{kind}"] = value
    return out


def research(stored):
    names = {"conv_body": "trunk_conv", "conv_up1": "upconv1", "conv_up2": "upconv2", "conv_hr": "HRconv"}
    out = {}
    for key, value in stored.items():
        layer, kind = key.rsplit(".", 1)
        if layer.startswith("body."):
            layer = layer.replace("body", "RRDB_trunk").replace("rdb", "RDB")
        out[f"{names.get(layer, layer)}.{kind}"] = value
    return out


expected["upscaler.picture"] = torch.rand(1, 3, 7, 10)
x4, x2, old_x2, x1 = RRDBNet(), RRDBNet(unshuffle=2), RRDBNet(doublings=1), RRDBNet(unshuffle=4, nb=1)
for name, net in {"x4": x4, "x2": x2, "old-x2": old_x2, "x1": x1}.items():
    stored = halved(net.eval())
    if name == "x4":
        save_file(numbered(stored, 2), here / "esrgan-old-x4.safetensors")
        save_file(research(stored), here / "esrgan-research-x4.safetensors")
    save_file(numbered(stored, 1) if name == "old-x2" else stored,
              here / ("esrgan-old-x2.safetensors" if name == "old-x2" else f"realesrgan-{name}.safetensors"))
    if name != "x1":
        with torch.no_grad():
            expected[f"upscaler.{name}"] = net(expected["upscaler.picture"])

# 3. The safety checker.
size, wide, concepts, special = 28, 8, 17, 3
config = CLIPVisionConfig(hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2,
                          image_size=size, patch_size=7, hidden_act="quick_gelu", projection_dim=wide)
vision = CLIPVisionModel(config).eval()
with torch.no_grad():
    for parameter in vision.parameters():
        parameter.add_(torch.randn_like(parameter) * 0.2)
projection = nn.Linear(16, wide, bias=False)
pictures = torch.randn(8, 3, size, size) * torch.linspace(0.3, 2, 8)[:, None, None, None]
cosines = lambda a, b: F.normalize(a) @ F.normalize(b).T
with torch.no_grad():
    seen = projection(vision(pictures).pooler_output)
    concept_embeds, special_embeds = torch.randn(concepts, wide), torch.randn(special, wide)
    near, near_special = cosines(seen, concept_embeds), cosines(seen, special_embeds)
concept_at, special_at = torch.full((concepts,), 2.0), torch.full((special,), 2.0)
middle = lambda values: values.sort().values[3:5].mean()
special_at[1] = middle(near_special[:, 1])
cared = near_special[:, 1] > special_at[1]
concept_at[0] = near[:, 0].sort().values[-2:].mean()
# Of the pictures that need care, the one nearest to concept 5 is just below it: care alone flags it.
a = max(torch.where(cared)[0].tolist(), key=lambda i: near[i, 5])
concept_at[5] = near[a, 5] + 0.006
# Nearest of all to another concept, by less than what rounds to 0.001, and in need of no care: not flagged.
b, c = next((b, c) for c in range(6, concepts) for b in torch.where(~cared)[0].tolist()
            if near[b, c] >= near[:, c].max() and near[b, c] > near[cared, c].max() + 0.012 and near[b, 0] < concept_at[0])
concept_at[c] = near[b, c] - 0.0003


def judge(i):
    adjustment = 0.0
    for j in range(special):
        if round((near_special[i, j] - special_at[j]).item() + adjustment, 3) > 0:
            adjustment = 0.01
    return any(round((near[i, j] - concept_at[j]).item() + adjustment, 3) > 0 for j in range(concepts))


flags = [judge(i) for i in range(8)]
careless = [bool((near[i] - concept_at >= 0.0005).any()) for i in range(8)]
unrounded = [bool((near[i] - concept_at + 0.01 * cared[i] > 0).any()) for i in range(8)]
print("flags", flags, "without care", careless, "without rounding", unrounded)
assert flags[a] and not careless[a] and unrounded[b] and not flags[b] and not all(flags)
expected["checker.pictures"] = pictures
expected["checker.flags"] = torch.tensor(flags, dtype=torch.uint8)
tower = {f"vision_model.vision_model.{k.removeprefix('vision_model.')}": v for k, v in vision.state_dict().items()
         if not k.endswith("position_ids")}
save_file({**tower, "visual_projection.weight": projection.weight.data, "concept_embeds": concept_embeds,
           "special_care_embeds": special_embeds, "concept_embeds_weights": concept_at,
           "special_care_embeds_weights": special_at}, here / "safety_checker/model.safetensors")
vision_config = {k: getattr(config, k) for k in ("hidden_size", "intermediate_size", "num_hidden_layers",
                 "num_attention_heads", "image_size", "patch_size", "hidden_act", "layer_norm_eps")}
(here / "safety_checker/config.json").write_text(json.dumps(
    {"architectures": ["StableDiffusionSafetyChecker"], "projection_dim": wide, "vision_config": vision_config}, indent=2) + "\n")
save_file({k: v.contiguous() for k, v in expected.items()}, here / "expected.safetensors")
