"""Stage `export`: the trained networks as ONNX in Optimum's layout of Stable Diffusion, and the manifest."""

import hashlib
import json

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper, numpy_helper

import judge
import tokenizer
from clip_text import load_text
from config import MODEL, WORK, size
from decode import load_decoder
from diffuse import STATE, basis, build
from diffusion import SCHEDULER
from nets.autoencoder import Encoder
from nets.judge import GLOBAL
from nets.upscaler import Upscaler
from nets.vision import MEAN, STD, ImageTower

OPSET = 17
STEPS, GUIDANCE, DRAFT = 14, 3.0, 8


def halve(path) -> None:
    """Stores every large float weight as float16 behind a Cast, which ONNX Runtime folds away when it loads."""
    model = onnx.load(path)
    graph, casts = model.graph, []
    for tensor in list(graph.initializer):
        if tensor.data_type == TensorProto.FLOAT and np.prod(tensor.dims) >= 256:
            half = numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float16), tensor.name + "_half")
            graph.initializer.remove(tensor)
            graph.initializer.append(half)
            casts.append(helper.make_node("Cast", [half.name], [tensor.name], name=tensor.name + "_cast", to=TensorProto.FLOAT))
    nodes = casts + list(graph.node)
    del graph.node[:]
    graph.node.extend(nodes)
    onnx.checker.check_model(model)
    onnx.save(model, path)


def rounded(module: torch.nn.Module) -> torch.nn.Module:
    """The module with the very weights the ONNX file stores, so that the two can be compared exactly."""
    for p in module.parameters():
        if p.numel() >= 256:
            p.data = p.data.half().float()
    return module.eval()


def write(module, name: str, inputs: dict, outputs: list, axes: dict, folder=MODEL) -> float:
    """Exports, halves, and returns the largest difference between ONNX Runtime and PyTorch."""
    path = folder / name / "model.onnx"
    path.parent.mkdir(parents=True, exist_ok=True)
    module = rounded(module)
    args = tuple(inputs.values())
    with torch.no_grad():
        torch.onnx.export(module, args, str(path), input_names=list(inputs), output_names=outputs, dynamic_axes=axes, opset_version=OPSET, dynamo=False)
        halve(path)
        expected = module(*args)
    expected = expected if isinstance(expected, tuple) else (expected,)
    found = onnxruntime.InferenceSession(str(path)).run(None, {k: v.numpy() for k, v in inputs.items()})
    worst = max(float(np.abs(f - e.numpy()).max()) for f, e in zip(found, expected))
    print(f"{name}: {path.stat().st_size / 1e6:.1f} MB, differs by {worst:.1e}", flush=True)
    return worst


def configs(s, encode) -> None:
    """The small JSON files around the networks."""
    def put(path, value):
        (MODEL / path).parent.mkdir(exist_ok=True)
        (MODEL / path).write_text(json.dumps(value, indent=2) + "\n")

    side = s.pixels // 8
    put("model_index.json", {
        "_class_name": "StableDiffusionPipeline", "_diffusers_version": "0.30.0", "feature_extractor": [None, None],
        "image_encoder": [None, None], "requires_safety_checker": False, "safety_checker": [None, None],
        "scheduler": ["diffusers", "DPMSolverMultistepScheduler"], "text_encoder": ["transformers", "CLIPTextModel"],
        "tokenizer": ["transformers", "CLIPTokenizer"], "unet": ["diffusers", "UNet2DConditionModel"], "vae": ["diffusers", "AutoencoderKL"]})
    put("scheduler/scheduler_config.json", SCHEDULER)
    put("text_encoder/config.json", {
        "architectures": ["CLIPTextModel"], "model_type": "clip_text_model", "hidden_act": "gelu_new", "hidden_size": s.text_width,
        "intermediate_size": 4 * s.text_width, "num_hidden_layers": s.text_layers, "num_attention_heads": s.text_width // 64,
        "max_position_embeddings": 77, "projection_dim": s.embed, "vocab_size": encode.vocab_size,
        "bos_token_id": encode.bos, "eos_token_id": encode.eos, "pad_token_id": encode.eos})
    put("unet/config.json", {
        "_class_name": "UNet2DConditionModel", "_diffusers_version": "0.30.0", "sample_size": side, "in_channels": 16, "out_channels": 16,
        "cross_attention_dim": s.text_width, "block_out_channels": [s.channels, s.width], "layers_per_block": 1,
        "center_input_sample": False, "time_cond_proj_dim": None, "addition_embed_type": None})
    vae = {"_class_name": "AutoencoderKL", "_diffusers_version": "0.30.0", "in_channels": 3, "out_channels": 3, "latent_channels": 16,
           "block_out_channels": [96, 96, 40, 40], "sample_size": s.pixels, "scaling_factor": 1.0, "shift_factor": None, "force_upcast": False}
    put("vae_encoder/config.json", vae)
    put("vae_decoder/config.json", vae)
    put("feature_extractor/preprocessor_config.json", {
        "image_processor_type": "CLIPImageProcessor", "crop_size": {"height": s.vision, "width": s.vision}, "size": {"shortest_edge": s.vision},
        "do_center_crop": True, "do_convert_rgb": True, "do_normalize": True, "do_rescale": True, "do_resize": True,
        "image_mean": list(MEAN), "image_std": list(STD), "resample": 2, "rescale_factor": 1 / 255})
    put("image_encoder/config.json", {"model_type": "clip_vision_model", "image_size": s.vision, "projection_dim": s.embed, "num_channels": 3})


def latent_rgb(found: dict) -> dict:
    """Colour of a latent cell, the mean over its patch: rgb in -1..1 = latents @ factors + bias."""
    return {"factors": [[round(float(v), 5) for v in row] for row in found["decode"].mean((2, 3))],
            "bias": [round(float(v), 5) for v in found["mean"].mean((1, 2))]}


def manifest(s, found: dict) -> None:
    wanted = ["model_index.json", "scheduler/scheduler_config.json", *(f"tokenizer/{n}.json" for n in ("tokenizer", "tokenizer_config", "special_tokens_map", "vocab")),
              "tokenizer/merges.txt", *(f"{n}/{f}" for n in ("text_encoder", "unet", "vae_encoder", "vae_decoder", "image_encoder") for f in ("config.json", "model.onnx")),
              "feature_extractor/preprocessor_config.json", "upscaler/model.onnx"]
    files = {}
    for name in wanted:
        data = (MODEL / name).read_bytes()
        files[name] = {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
    p = s.pixels
    buckets = [(p * a // 4, p * b // 4) for a, b in ((4, 4), (5, 4), (4, 5), (6, 4), (4, 6), (7, 4), (4, 7), (8, 4), (4, 8))]
    value = {
        "schema": 1, "name": "pocket", "title": "Pocket", "license": "Apache-2.0; trained on renders of Noto Color Emoji (OFL-1.1)",
        "description": "A small text-to-image model trained from scratch on scenes composed from emoji: animals, food, vehicles, buildings and people in 18 places, 4 times of day and 7 styles.",
        "family": "stable-diffusion", "native": {"width": p, "height": p}, "buckets": buckets, "multiple": 32,
        "defaults": {"steps": STEPS, "guidance": GUIDANCE, "scheduler": "DPMSolverMultistepScheduler"}, "draft": {"steps": DRAFT},
        "latentRgb": latent_rgb(found), "upscaler": {"path": "upscaler/model.onnx", "scale": 4},
        "imageEncoder": {"path": "image_encoder/model.onnx", "size": s.vision, "mean": list(MEAN), "std": list(STD)}, "files": files}
    (MODEL / "manifest.json").write_text(json.dumps(value, indent=2) + "\n")
    print("all files", sum(f["bytes"] for f in files.values()) / 1e6, "MB")


def load(module, name: str):
    """Trained weights if that stage has run, else as built (shapes are final from the first export on)."""
    path = WORK / name
    if path.exists():
        module.load_state_dict(torch.load(path, map_location="cpu"))
    return module


def run() -> None:
    s, found, encode = size(), basis(), tokenizer.Encoder(MODEL / "tokenizer")
    torch.manual_seed(3)
    unet = build(s)
    if STATE.exists():
        unet.load_state_dict(torch.load(STATE, map_location="cpu")["average"])
    side = s.pixels // 8
    ids = torch.tensor(encode(["a red fox on the snow at night, watercolor", "two cats"]))
    states = load_text()(ids)[0]
    write(load_text(), "text_encoder", {"input_ids": ids}, ["last_hidden_state", "pooler_output"],
          {k: {0: "batch_size", 1: "sequence_length"} for k in ("input_ids", "last_hidden_state")} | {"pooler_output": {0: "batch_size"}})
    write(unet, "unet", {"sample": torch.randn(2, 16, side, side + 8), "timestep": torch.tensor([999.0, 400.0]), "encoder_hidden_states": states}, ["out_sample"],
          {"sample": {0: "batch_size", 2: "height", 3: "width"}, "timestep": {0: "batch_size"},
           "encoder_hidden_states": {0: "batch_size", 1: "sequence_length"}, "out_sample": {0: "batch_size", 2: "height", 3: "width"}})
    picture = {0: "batch_size", 2: "height", 3: "width"}
    write(Encoder(found), "vae_encoder", {"sample": torch.randn(2, 3, s.pixels, s.pixels + 64)}, ["latent_parameters"], {"sample": picture, "latent_parameters": picture})
    write(load_decoder(), "vae_decoder", {"latent_sample": torch.randn(2, 16, side, side + 8)}, ["sample"], {"latent_sample": picture, "sample": picture})
    write(load(ImageTower(s.embed), "vision.pt"), "image_encoder", {"pixel_values": torch.randn(2, 3, s.vision, s.vision)}, ["image_embeds"],
          {"pixel_values": {0: "batch_size"}, "image_embeds": {0: "batch_size"}})
    write(load(Upscaler(), "upscaler.pt"), "upscaler", {"input": torch.rand(1, 3, 64, 96)}, ["output"], {"input": picture, "output": picture})
    if (WORK / "judge.pt").exists():  # not part of the model: evaluate/ alone reads it
        names = ["cells", *GLOBAL]
        write(load(judge.build(), "judge.pt"), "evaluate", {"pixel_values": torch.randn(2, 3, s.pixels, s.pixels)}, names, {k: {0: "batch_size"} for k in ("pixel_values", *names)})
        (MODEL / "evaluate" / "model.onnx").rename(MODEL / "evaluate" / "judge.onnx")
    configs(s, encode)
    manifest(s, found)
