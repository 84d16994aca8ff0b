"""The parts of pocket-unclip's training, in seconds and without training, then its stages one after another at tiny size: `python -m unittest
discover models/pocket/training`. Needs Noto, not Fluent."""

import json
import os
import random
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import numpy as np
import torch

from diffusion import alphas_cumprod
from pocket2.captions import Captioner
from pocket2.data import CAPTIONS, LENGTH, vocabulary
from pocket2.enlarge import blurred, enlarge, enlarged
from pocket2.labels import boxes, cells, labels
from pocket2.nets.unclip import PATCH, TOKENS, Decoder, Projection, SuperRes
from pocket2.prior import Folded, Prior
from pocket2.scenes import Renderer
from pocket2.see import pixels
from pocket2.settings import TRAINING
from pocket2.small import maps


def filled(module: torch.nn.Module) -> torch.nn.Module:
    """With every weight some number, those that begin at zero, too."""
    for p in module.parameters():
        p.data = torch.randn_like(p) * 0.2
    return module.eval()


class Networks(unittest.TestCase):
    def setUp(self):
        torch.manual_seed(1)

    @torch.no_grad()
    def test_the_decoder_reads_no_word_behind_the_mask_and_needs_both_conditions(self):
        decoder, projection = filled(Decoder(16, 64, 1, 32, 4, 2)), filled(Projection(8, 32, 64))
        x, t, z, states = torch.randn(2, 3, 64, 64), torch.tensor([999.0, 400.0]), torch.randn(2, 8), torch.randn(2, 6, 32)
        mask = torch.tensor([[1] * TOKENS + [1, 1, 1, 0, 0, 0]] * 2, dtype=torch.bool)
        tokens, told = projection(z, z, states)
        self.assertEqual((tokens.shape, told.shape), ((2, TOKENS + 6, 32), (2, 64)))
        painted = decoder(x, t, tokens, told, mask)
        self.assertEqual(painted.shape, x.shape)
        other = torch.cat([states[:, :3], torch.randn(2, 3, 32)], 1)
        torch.testing.assert_close(decoder(x, t, projection(z, z, other)[0], told, mask), painted)
        moved, said = projection(z + 1, z, states)
        for changed in (decoder(x, t, moved, told, mask), decoder(x, t, tokens, said, mask), decoder(x, t, tokens, told, mask | True)):
            self.assertGreater((changed - painted).abs().max().item(), 1e-5)

    def test_maps_carry_what_latents_hold_and_the_rest_goes_by(self):
        thumbs = torch.randint(0, 256, (40, 8, 8, 3)).repeat_interleave(8, 1).repeat_interleave(8, 2).to(torch.uint8)  # even patches: three numbers each
        patches = torch.nn.functional.pixel_unshuffle(pixels(thumbs), PATCH)
        latents = torch.einsum("cp,npyx->ncyx", torch.randn(5, 48), patches)
        inward, outward, rest, variance = maps(thumbs, latents, damp=1e-6)
        torch.testing.assert_close(torch.einsum("pc,ncyx->npyx", outward, latents), patches, atol=2e-2, rtol=1e-2)
        torch.testing.assert_close(torch.einsum("cp,npyx->ncyx", inward, patches), latents, atol=5e-2, rtol=1e-2)
        torch.testing.assert_close(rest @ rest, rest, atol=1e-3, rtol=1e-3)
        self.assertLess(variance, 1e-3)

    @torch.no_grad()
    def test_super_resolution_begins_as_bicubic_and_treats_a_crop_as_the_whole(self):
        small = torch.rand(1, 3, 16, 16) * 2 - 1
        torch.testing.assert_close(enlarge(SuperRes(16, 1).eval(), small, 2), enlarged(small).clamp(-1, 1))
        net, x, t = filled(SuperRes(16, 2)), torch.randn(1, 6, 96, 96), torch.tensor([500.0])
        torch.testing.assert_close(net(x[..., :64, :64], t)[..., :32, :32], net(x, t)[..., :32, :32])

    def test_blur_keeps_an_even_picture_and_softens_another(self):
        x = torch.randn(2, 3, 16, 16)
        torch.testing.assert_close(blurred(torch.ones_like(x), torch.tensor([0.1, 1.0])), torch.ones_like(x))
        sharp, soft = blurred(x, torch.tensor([0.01, 1.0])).std((1, 2, 3))
        self.assertGreater(sharp.item(), 2 * soft.item())

    @torch.no_grad()
    def test_the_folded_prior_reads_no_padding_and_takes_whole_embeddings(self):
        prior = filled(Prior(32, 16, 8, width=64, layers=1))
        folded = Folded(prior, torch.linalg.qr(torch.randn(16, 8)).Q.T)
        z, t, words, states = torch.randn(2, 16), torch.tensor([999.0, 10.0]), torch.randn(2, 16), torch.randn(2, 9, 32)
        mask = torch.tensor([[1] * 5 + [0] * 4, [1] * 3 + [0] * 6], dtype=torch.bool)
        found = folded(z, t, words, states, mask)
        torch.testing.assert_close(folded(z, t, words, states[:, :5], mask[:, :5]), found)
        torch.testing.assert_close(found @ folded.basis.T @ folded.basis, found, atol=1e-5, rtol=1e-4)

    def test_what_goes_by_the_decoder_is_the_best_guess_of_nearly_pure_noise(self):
        bars, variance = alphas_cumprod()[[100, 500, 900]], 0.01
        gain = (bars * (1 - bars)).sqrt() * (1 - variance) / (bars * variance + 1 - bars)
        x, noise = variance ** 0.5 * torch.randn(200_000), torch.randn(200_000)
        for bar, g in zip(bars, gain):
            noised, v = bar.sqrt() * x + (1 - bar).sqrt() * noise, bar.sqrt() * noise - (1 - bar).sqrt() * x
            self.assertAlmostEqual(((noised * v).mean() / (noised * noised).mean()).item(), g.item(), delta=0.03 * g.item())


def write_shards(folder: Path) -> None:
    """Two shards of noise with the captions and labels of scenes."""
    renderer, captioner, encode = Renderer(), Captioner(), vocabulary()
    folder.mkdir(parents=True)
    for k in (0, 10):
        rng, drawn = random.Random(k), np.random.default_rng(k)
        specs, n = [renderer.spec(1000 * k + i) for i in range(16)], 16
        pixels_ = drawn.integers(0, 256, (n, 256, 256, 3), dtype=np.uint8)
        ids = [np.asarray(encode([captioner.caption(spec, rng, False) for _ in range(CAPTIONS)]), np.int16)[:, :LENGTH] for spec in specs]
        np.savez(folder / f"{k:05d}.npz", pixels=pixels_, thumb=pixels_[:, ::4, ::4], mask=drawn.integers(0, 256, (n, 16, 16), dtype=np.uint8), ids=np.stack(ids),
                 cells=np.stack([cells(spec, np.zeros((256, 256), np.int64)) for spec in specs]), latents=drawn.standard_normal((n, 24, 16, 16)).astype(np.float16),
                 labels=np.asarray([labels(spec) for spec in specs], np.int16), boxes=np.stack([boxes(spec) for spec in specs]))


class Stages(unittest.TestCase):
    def test_one_after_another_they_leave_a_folder_in_karlos_layout(self):
        with tempfile.TemporaryDirectory() as work:
            write_shards(Path(work) / "shards")
            command = [sys.executable, "train.py", "--size", "tiny", "--work", work, "words", "see", "prior", "small", "enlarge", "unclip"]
            told = subprocess.run(command, cwd=TRAINING, env=os.environ | {"POCKET_MINUTES": "0.01"}, capture_output=True, text=True)
            self.assertEqual(told.returncode, 0, told.stderr[-2000:])
            out = Path(work) / "export" / "pocket-unclip"
            manifest = json.loads((out / "manifest.json").read_text())
            self.assertEqual((manifest["family"], manifest["pictureEmbedding"]), ("unclip", True))
            for part in ("text_encoder", "image_encoder", "prior", "text_proj", "decoder", "super_res_first", "upscaler"):
                self.assertIn(f"{part}/model.onnx", manifest["files"])
            self.assertEqual(sum(line.startswith(("text_", "image_", "prior", "decoder", "super")) for line in told.stdout.splitlines() if "differs by" in line), 6)
            self.assertTrue(all(float(line.split()[-1]) < 1e-2 for line in told.stdout.splitlines() if "differs by" in line), told.stdout)


if __name__ == "__main__":
    unittest.main()
