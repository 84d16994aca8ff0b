"""Stage `export`: pocket 2 in the layout in which pocket ships, and the parts of pocket-unclip there are, under work/export; nothing that
ships is touched. Every part is compared with PyTorch as it is written."""

import json
import shutil

import torch
from torch import nn

from diffusion import SCHEDULER
from export import write
from nets.vision import MEAN, STD
from pocket2.data import VOCABULARY, vocabulary
from pocket2.decode import load_decoder
from pocket2.latents import Encoder, basis
from pocket2.paint import build
from pocket2.prior import KEPT, Folded, Prior, read
from pocket2.prior import STATE as PRIOR
from pocket2.see import STATE as CLIP
from pocket2.see import Clip
from pocket2.settings import WORK, size
from pocket2.text import STATE, load

OUT = WORK / "export"


class Swapped(nn.Module):
    """The text tower with its outputs in the order of CLIPTextModelWithProjection, its embedding already where its picture's lies."""

    def __init__(self, text: nn.Module, match: nn.Linear):
        super().__init__()
        self.text, self.match = text, match

    def forward(self, input_ids):
        states, z = self.text(input_ids)
        z = self.match(z)
        return z / z.norm(dim=-1, keepdim=True), states


def put(path, value) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=2) + "\n")


def pocket(s, encode, ids, states) -> None:
    """text_encoder, unet, vae_encoder, vae_decoder with their configs."""
    out, found, state = OUT / "pocket", basis(), torch.load(STATE, map_location="cpu")
    unet = build(s)
    unet.load_state_dict({k.removeprefix("unet."): v for k, v in state["average"].items() if k.startswith("unet.")})
    picture, c = {0: "batch_size", 2: "height", 3: "width"}, s.latent
    write(load(), "text_encoder", {"input_ids": ids}, ["last_hidden_state", "pooler_output"],
          {k: {0: "batch_size", 1: "sequence_length"} for k in ("input_ids", "last_hidden_state")} | {"pooler_output": {0: "batch_size"}}, out)
    write(unet, "unet", {"sample": torch.randn(2, c, 16, 20), "timestep": torch.tensor([999.0, 400.0]), "encoder_hidden_states": states}, ["out_sample"],
          {"sample": picture, "timestep": {0: "batch_size"}, "encoder_hidden_states": {0: "batch_size", 1: "sequence_length"}, "out_sample": picture}, out)
    write(Encoder(found), "vae_encoder", {"sample": torch.randn(2, 3, 256, 320)}, ["latent_parameters"], {"sample": picture, "latent_parameters": picture}, out)
    write(load_decoder(), "vae_decoder", {"latent_sample": torch.randn(2, c, 16, 20)}, ["sample"], {"latent_sample": picture, "sample": picture}, out)
    put(out / "scheduler" / "scheduler_config.json", SCHEDULER)
    put(out / "text_encoder" / "config.json", {
        "architectures": ["CLIPTextModel"], "model_type": "clip_text_model", "hidden_act": "gelu_new", "hidden_size": s.text_width, "intermediate_size": 4 * s.text_width,
        "num_hidden_layers": s.text_layers, "num_attention_heads": s.text_width // 64, "max_position_embeddings": 77, "projection_dim": s.embed,
        "vocab_size": encode.vocab_size, "bos_token_id": encode.bos, "eos_token_id": encode.eos, "pad_token_id": encode.eos})
    put(out / "unet" / "config.json", {
        "_class_name": "UNet2DConditionModel", "_diffusers_version": "0.30.0", "sample_size": 16, "in_channels": c, "out_channels": c, "cross_attention_dim": s.text_width,
        "block_out_channels": [s.channels, s.width], "layers_per_block": 1, "center_input_sample": False, "time_cond_proj_dim": None, "addition_embed_type": None})
    for name in ("vae_encoder", "vae_decoder"):  # five widths: sixteen times smaller
        put(out / name / "config.json", {"_class_name": "AutoencoderKL", "_diffusers_version": "0.30.0", "in_channels": 3, "out_channels": 3, "latent_channels": c,
                                         "block_out_channels": [160, 160, 48, 48, 20], "sample_size": 256, "scaling_factor": 1.0, "shift_factor": None, "force_upcast": False})
    shutil.copytree(VOCABULARY, out / "tokenizer", dirs_exist_ok=True)


def unclip(s, ids) -> None:
    """Parts of pocket-unclip by their names in Karlo's layout: text_encoder, image_encoder, prior. Decoder and super-resolution are not trained yet."""
    out, clip, saved = OUT / "pocket-unclip", Clip(s.embed), torch.load(PRIOR, map_location="cpu")
    clip.load_state_dict(torch.load(CLIP, map_location="cpu")["clip"])
    pca, kept = saved["pca"], min(KEPT, s.embed)
    prior = Prior(s.text_width, s.embed, kept)
    prior.load_state_dict(saved["average"])
    text = load()
    with torch.no_grad():
        states, z = read(text, clip, ids)
    batch = lambda *names: {n: {0: "batch_size"} for n in names}
    write(Swapped(text, clip.match), "text_encoder", {"input_ids": ids}, ["text_embeds", "last_hidden_state"],
          batch("text_embeds") | {k: {0: "batch_size", 1: "sequence_length"} for k in ("input_ids", "last_hidden_state")}, out)
    write(clip.tower, "image_encoder", {"pixel_values": torch.randn(2, 3, 64, 64)}, ["image_embeds"], batch("pixel_values", "image_embeds"), out)
    inputs = {"hidden_states": torch.randn(2, s.embed), "timestep": torch.tensor([999.0, 400.0]), "proj_embedding": z, "encoder_hidden_states": states, "attention_mask": torch.ones(states.shape[:2], dtype=torch.bool)}
    write(Folded(prior, pca["basis"]), "prior", inputs, ["predicted_image_embedding"],
          batch("hidden_states", "timestep", "proj_embedding", "predicted_image_embedding") | {k: {0: "batch_size", 1: "sequence_length"} for k in ("encoder_hidden_states", "attention_mask")}, out)
    put(out / "prior" / "config.json", {"_class_name": "PriorTransformer", "embedding_dim": s.embed, "num_embeddings": 77, "clip_mean": pca["mean"].tolist(), "clip_std": [pca["std"].item()] * s.embed})
    put(out / "prior_scheduler" / "scheduler_config.json", {"_class_name": "UnCLIPScheduler", "num_train_timesteps": 1000, "prediction_type": "sample", "variance_type": "fixed_small_log", "clip_sample": True, "clip_sample_range": 5.0})
    put(out / "feature_extractor" / "preprocessor_config.json", {
        "image_processor_type": "CLIPImageProcessor", "crop_size": {"height": 64, "width": 64}, "size": {"shortest_edge": 64}, "do_center_crop": True, "do_convert_rgb": True,
        "do_normalize": True, "do_rescale": True, "do_resize": True, "image_mean": list(MEAN), "image_std": list(STD), "resample": 2, "rescale_factor": 1 / 255})
    shutil.copytree(VOCABULARY, out / "tokenizer", dirs_exist_ok=True)


def run() -> None:
    s, encode = size(), vocabulary()
    ids = torch.tensor(encode(["a red fox on the snow at night, watercolor", "two cats"]))
    with torch.no_grad():
        states = load()(ids)[0]
    pocket(s, encode, ids, states)
    if PRIOR.exists():
        unclip(s, ids)


if __name__ == "__main__":
    run()
