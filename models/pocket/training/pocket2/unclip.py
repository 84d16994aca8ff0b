"""Stage `unclip`: writes models/pocket-unclip, the parts in Karlo's layout (diffusers' UnCLIPPipeline), each compared with PyTorch.

What is drawn in the space of principal components comes out as whole embeddings: the basis is folded into the prior.
"""

import argparse
import hashlib
import json
import shutil
from pathlib import Path

import torch
from torch import nn

from diffusion import SCHEDULER
from export import write
from nets.vision import MEAN, STD
from pocket2.data import VOCABULARY, vocabulary
from pocket2.enlarge import STATE as ENLARGE
from pocket2.enlarge import build as build_enlarge
from pocket2.export import put, text_config
from pocket2.nets.unclip import TOKENS
from pocket2.prior import KEPT, Folded, Prior, read
from pocket2.prior import STATE as PRIOR
from pocket2.see import STATE as CLIP
from pocket2.see import Clip
from pocket2.settings import MODEL, WORK, size
from pocket2.small import STATE as SMALL
from pocket2.small import build, conditions
from pocket2.text import load

OUT = MODEL.parent / "pocket-unclip"
STEPS, GUIDANCE, DRAFT = 14, 2.0, 8
STAGES = {"prior": {"steps": 25, "guidance": 2.0}, "superRes": {"steps": 4}}


class Swapped(nn.Module):
    """The text tower with its outputs in the order of CLIPTextModelWithProjection, its embedding already where its picture's lies."""

    def __init__(self, text: nn.Module, match: nn.Linear):
        super().__init__()
        self.text, self.match = text, match

    def forward(self, input_ids):
        states, z = self.text(input_ids)
        z = self.match(z)
        return z / z.norm(dim=-1, keepdim=True), states


def dynamic(axes: dict, *names: str) -> dict:
    return {n: axes for n in names}


def parts(s, out: Path) -> None:
    """The networks."""
    at = lambda path: torch.load(path, map_location="cpu")
    clip, saved, painted, text = Clip(s.embed), at(PRIOR), build(s), load()
    clip.load_state_dict(at(CLIP)["clip"])
    painted.load_state_dict(at(SMALL)["average"])
    kept = min(KEPT, s.embed)
    prior, large = Prior(s.text_width, s.embed, kept), build_enlarge(s)
    prior.load_state_dict(saved["average"])
    large.load_state_dict(at(ENLARGE)["average"])
    ids = torch.tensor(vocabulary()(["a red fox on the snow at night, watercolor", "two cats"]))
    rows, words = {0: "batch_size"}, {0: "batch_size", 1: "sequence_length"}
    with torch.no_grad():
        states, z = read(text, clip, ids)
        told = dict(zip(("encoder_hidden_states", "class_labels", "attention_mask"), conditions(painted, z, z, states)))
    write(Swapped(text, clip.match), "text_encoder", {"input_ids": ids}, ["text_embeds", "last_hidden_state"], dynamic(rows, "text_embeds") | dynamic(words, "input_ids", "last_hidden_state"), out)
    write(clip.tower, "image_encoder", {"pixel_values": torch.randn(2, 3, 64, 64)}, ["image_embeds"], dynamic(rows, "pixel_values", "image_embeds"), out)
    write(Folded(prior, saved["pca"]["basis"]), "prior",
          {"hidden_states": torch.randn(2, s.embed), "timestep": torch.tensor([999.0, 400.0]), "proj_embedding": z, "encoder_hidden_states": states, "attention_mask": told["attention_mask"][:, TOKENS:] > 0},
          ["predicted_image_embedding"], dynamic(rows, "hidden_states", "timestep", "proj_embedding", "predicted_image_embedding") | dynamic(words, "encoder_hidden_states", "attention_mask"), out)
    write(painted["projection"], "text_proj", {"image_embeddings": z, "prompt_embeds": z, "text_encoder_hidden_states": states}, ["encoder_hidden_states", "class_labels"],
          dynamic(rows, "image_embeddings", "prompt_embeds", "class_labels") | dynamic(words, "text_encoder_hidden_states", "encoder_hidden_states"), out)
    write(painted["decoder"], "decoder", {"sample": torch.randn(2, 3, 64, 64), "timestep": torch.tensor([999.0, 400.0]), **told, "attention_mask": told["attention_mask"] > 0}, ["out_sample"],
          dynamic(rows, "sample", "timestep", "class_labels", "out_sample") | dynamic(words, "encoder_hidden_states", "attention_mask"), out)
    picture = {0: "batch_size", 2: "height", 3: "width"}
    write(large, "super_res_first", {"sample": torch.randn(2, 6, 64, 128), "timestep": torch.tensor([999.0, 400.0])}, ["out_sample"], dynamic(rows, "timestep") | dynamic(picture, "sample", "out_sample"), out)
    pca = saved["pca"]
    put(out / "prior" / "config.json", {"_class_name": "PriorTransformer", "embedding_dim": s.embed, "num_embeddings": 77, "clip_mean": pca["mean"].tolist(), "clip_std": [pca["std"].item()] * s.embed})


def configs(s, out: Path) -> None:
    """The small JSON files around them."""
    cosine = {"_diffusers_version": "0.30.0", "num_train_timesteps": 1000}
    named = {"decoder": ["diffusers", "UNet2DConditionModel"], "decoder_scheduler": ["diffusers", "DPMSolverMultistepScheduler"], "image_encoder": ["transformers", "CLIPVisionModelWithProjection"],
             "feature_extractor": ["transformers", "CLIPImageProcessor"], "prior": ["diffusers", "PriorTransformer"], "prior_scheduler": ["diffusers", "UnCLIPScheduler"],
             "super_res_first": ["diffusers", "UNet2DModel"], "super_res_scheduler": ["diffusers", "DDIMScheduler"], "text_encoder": ["transformers", "CLIPTextModelWithProjection"],
             "text_proj": ["unclip", "UnCLIPTextProjModel"], "tokenizer": ["transformers", "CLIPTokenizer"]}
    put(out / "model_index.json", {"_class_name": "UnCLIPPipeline", "_diffusers_version": "0.30.0", **named})
    put(out / "text_encoder" / "config.json", text_config(s, vocabulary(), "CLIPTextModelWithProjection"))
    put(out / "image_encoder" / "config.json", {"model_type": "clip_vision_model", "image_size": 64, "projection_dim": s.embed, "num_channels": 3})
    put(out / "text_proj" / "config.json", {"_class_name": "UnCLIPTextProjModel", "clip_extra_context_tokens": TOKENS, "clip_embeddings_dim": s.embed, "null_image_embedding": [0.0] * s.embed})
    put(out / "decoder" / "config.json", {"_class_name": "UNet2DConditionModel", "sample_size": 64, "in_channels": 3, "out_channels": 3, "cross_attention_dim": s.text_width, "block_out_channels": [s.channels, s.width]})
    put(out / "super_res_first" / "config.json", {"_class_name": "UNet2DModel", "sample_size": 256, "in_channels": 6, "out_channels": 3})
    put(out / "prior_scheduler" / "scheduler_config.json", cosine | {"_class_name": "UnCLIPScheduler", "prediction_type": "sample", "variance_type": "fixed_small_log", "clip_sample": True, "clip_sample_range": 5.0})
    put(out / "decoder_scheduler" / "scheduler_config.json", SCHEDULER | {"thresholding": True, "dynamic_thresholding_ratio": 0.995, "sample_max_value": 1.0})
    put(out / "super_res_scheduler" / "scheduler_config.json", cosine | {"_class_name": "DDIMScheduler", "beta_start": 0.0001, "beta_end": 0.02, "beta_schedule": "squaredcos_cap_v2", "prediction_type": "sample",
                                                                          "clip_sample": True, "clip_sample_range": 1.0, "set_alpha_to_one": True, "steps_offset": 0, "timestep_spacing": "trailing"})
    put(out / "feature_extractor" / "preprocessor_config.json", {
        "image_processor_type": "CLIPImageProcessor", "crop_size": {"height": 64, "width": 64}, "size": {"shortest_edge": 64}, "do_center_crop": True, "do_convert_rgb": True,
        "do_normalize": True, "do_rescale": True, "do_resize": True, "image_mean": list(MEAN), "image_std": list(STD), "resample": 3, "rescale_factor": 1 / 255})
    shutil.copytree(VOCABULARY, out / "tokenizer", dirs_exist_ok=True)
    (out / "upscaler").mkdir(exist_ok=True)
    shutil.copyfile(MODEL / "upscaler" / "model.onnx", out / "upscaler" / "model.onnx")


def manifest(out: Path) -> int:
    """Writes manifest.json over all files; returns their bytes."""
    files = {}
    for path in sorted(p for p in out.rglob("*") if p.suffix in (".onnx", ".json", ".txt") and p.name != "manifest.json"):
        data = path.read_bytes()
        files[path.relative_to(out).as_posix()] = {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
    put(out / "manifest.json", {
        "schema": 1, "name": "pocket-unclip", "title": "Pocket unCLIP", "license": "Apache-2.0; trained on renders of Fluent Emoji (MIT) and Noto Color Emoji (OFL-1.1)",
        "description": "The way of DALL-E 2, small: words become the embedding of a picture, the embedding a picture of 64 px, and that one of 256 px. It varies, blends and rewords pictures by what they are about.",
        "family": "unclip", "native": {"width": 256, "height": 256}, "buckets": [[256, 256]], "multiple": 256,
        "defaults": {"steps": STEPS, "guidance": GUIDANCE, "scheduler": "DPMSolverMultistepScheduler"}, "draft": {"steps": DRAFT},
        "parameters": {"aspect": {"supported": False}, "tile": {"supported": False}},
        "stages": STAGES, "pictureEmbedding": True, "upscaler": {"path": "upscaler/model.onnx", "scale": 4},
        "imageEncoder": {"path": "image_encoder/model.onnx", "size": 64, "mean": list(MEAN), "std": list(STD)}, "files": files})
    return sum(f["bytes"] for f in files.values())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=OUT if size().name != "tiny" else WORK / "export" / "pocket-unclip")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    parts(size(), options.out)
    configs(size(), options.out)
    print("all files", manifest(options.out) / 1e6, "MB", flush=True)


if __name__ == "__main__":
    main()
