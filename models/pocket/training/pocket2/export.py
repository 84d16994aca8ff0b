"""Stage `export`: pocket 2 in the layout in which pocket ships, under work/export; nothing that ships is touched. Every part is compared
with PyTorch as it is written."""

import json
import shutil

import torch

from diffusion import SCHEDULER
from export import write
from pocket2.data import VOCABULARY, vocabulary
from pocket2.decode import load_decoder
from pocket2.latents import Encoder, basis
from pocket2.paint import build
from pocket2.settings import WORK, size
from pocket2.text import STATE, load

OUT = WORK / "export"


def put(path, value) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=2) + "\n")


def text_config(s, encode, architecture: str) -> dict:
    return {
        "architectures": [architecture], "model_type": "clip_text_model", "hidden_act": "gelu_new", "hidden_size": s.text_width, "intermediate_size": 4 * s.text_width,
        "num_hidden_layers": s.text_layers, "num_attention_heads": s.text_width // 64, "max_position_embeddings": 77, "projection_dim": s.embed,
        "vocab_size": encode.vocab_size, "bos_token_id": encode.bos, "eos_token_id": encode.eos, "pad_token_id": encode.eos}


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
    put(out / "text_encoder" / "config.json", text_config(s, encode, "CLIPTextModel"))
    put(out / "unet" / "config.json", {
        "_class_name": "UNet2DConditionModel", "_diffusers_version": "0.30.0", "sample_size": 16, "in_channels": c, "out_channels": c, "cross_attention_dim": s.text_width,
        "block_out_channels": [s.channels, s.width], "layers_per_block": 1, "center_input_sample": False, "time_cond_proj_dim": None, "addition_embed_type": None})
    for name in ("vae_encoder", "vae_decoder"):  # five widths: sixteen times smaller
        put(out / name / "config.json", {"_class_name": "AutoencoderKL", "_diffusers_version": "0.30.0", "in_channels": 3, "out_channels": 3, "latent_channels": c,
                                         "block_out_channels": [160, 160, 48, 48, 20], "sample_size": 256, "scaling_factor": 1.0, "shift_factor": None, "force_upcast": False})
    shutil.copytree(VOCABULARY, out / "tokenizer", dirs_exist_ok=True)


def run() -> None:
    s, encode = size(), vocabulary()
    ids = torch.tensor(encode(["a red fox on the snow at night, watercolor", "two cats"]))
    with torch.no_grad():
        states = load()(ids)[0]
    pocket(s, encode, ids, states)


if __name__ == "__main__":
    run()
