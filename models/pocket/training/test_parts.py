"""The parts of the training, in seconds and without training: `python -m unittest discover models/pocket/training`. Needs the font."""

import hashlib
import json
import math
import random
import unittest

import numpy as np
import torch

import tokenizer
from captions import Captioner
from config import MODEL
from data import ATTRIBUTES, labels
from diffuse import likely
from diffusion import SCHEDULER, alphas_cumprod, sample
from judge import cells
from muon import Average, orthogonal
from nets.autoencoder import Decoder, Encoder, fit
from nets.unet import UNet
from nouns import nouns, painted
from scenes import BUCKETS, Renderer

PROMPTS = (MODEL / "evaluate" / "prompts.txt").read_text().strip().splitlines()


class Scenes(unittest.TestCase):
    def setUp(self):
        self.renderer = Renderer("cpu")

    def test_a_seed_fixes_every_pixel(self):
        for bucket in BUCKETS[:3]:
            first, second = self.renderer.render(11, bucket), Renderer("cpu").render(11, bucket)
            self.assertEqual(first[1], second[1])
            np.testing.assert_array_equal(first[0], second[0])
            self.assertEqual(first[0].shape, (bucket[1], bucket[0], 3))
        self.assertFalse(np.array_equal(first[0], self.renderer.render(12, bucket)[0]))

    def test_the_mask_lies_where_the_subject_is(self):
        for seed in range(20):
            spec = self.renderer.spec(seed)
            mask = self.renderer.draw(spec)[1]
            boxes = np.zeros_like(mask)
            for s in spec.subjects:
                boxes[s.y:s.y + s.size, s.x:s.x + s.size] = 1
            self.assertGreater(mask.sum(), 300)
            self.assertEqual(float((mask * (1 - boxes)).sum()), 0)
            seen = set(cells(spec, mask, 999).flat) - {-1, 999}
            self.assertTrue(seen <= {s.noun for s in spec.subjects}, (seed, seen))

    def test_captions_name_the_scene_and_are_never_a_prompt_of_the_sheet(self):
        captioner, rng = Captioner(self.renderer.nouns), random.Random(1)
        captions = []
        for seed in range(400):
            spec = self.renderer.spec(seed)
            captions.append(captioner.caption(spec, rng))
            self.assertEqual(len(labels(spec)), 2 + len(ATTRIBUTES))
        self.assertGreater(len(set(captions)), 390)
        self.assertFalse(set(captions) & set(PROMPTS))

    def test_there_are_as_many_nouns_as_the_card_says(self):
        self.assertEqual((len(nouns("cpu")), len(nouns("gpu")), len(painted("cpu"))), (162, 313, 112))

    def test_one_subject_of_some_size_is_drawn_twice_as_often(self):
        specs = [self.renderer.spec(k) for k in range(300)]
        odds = likely(torch.tensor([labels(s) for s in specs]))
        often = np.asarray([s.relation == "one" and s.scale != "small" for s in specs])
        self.assertAlmostEqual(odds.sum(), 1)
        np.testing.assert_allclose(odds[often], 2 * odds[~often][0])


class Words(unittest.TestCase):
    def test_any_text_becomes_77_numbers_and_unknown_words_their_bytes(self):
        encode = tokenizer.Encoder(MODEL / "tokenizer")
        rows = encode(["", "a fox", "zxqj 中猫🙂", "fox " * 200, *PROMPTS])
        self.assertEqual({len(r) for r in rows}, {tokenizer.LENGTH})
        self.assertEqual(rows[0], [encode.bos] + [encode.eos] * 76)
        self.assertEqual(rows[1][:4], [encode.bos, *(encode.tokenizer.token_to_id(t) for t in ("a</w>", "fox</w>")), encode.eos])
        self.assertEqual(encode.tokenizer.decode(rows[2]).replace("</w>", "").replace(" ", ""), "zxqj中猫🙂")


class Diffusion(unittest.TestCase):
    def test_the_sampler_finds_a_picture_that_is_known(self):
        """With v of a single picture, any noise ends at that picture."""
        torch.manual_seed(0)
        truth, bars = torch.randn(1, 16, 4, 4), alphas_cumprod()

        def predict(x, t, states):
            a, s = bars[t.long()].sqrt()[:, None, None, None], (1 - bars[t.long()]).sqrt()[:, None, None, None]
            return a * (x - a * truth) / s - s * truth

        found = sample(predict, torch.randn(1, 16, 4, 4), torch.zeros(1, 1, 1), torch.zeros(1, 1, 1), 14, 3.5)
        self.assertLess((found - truth).abs().max().item(), 1e-3)

    def test_the_schedule_shipped_is_the_one_trained(self):
        self.assertEqual(json.loads((MODEL / "scheduler" / "scheduler_config.json").read_text()), SCHEDULER)
        bars = alphas_cumprod()
        self.assertTrue((bars[1:] < bars[:-1]).all())
        self.assertLess(bars[-1].item(), 1e-4)

    def test_no_picture_of_a_batch_sees_another_and_padding_does_not_matter_to_shape(self):
        torch.manual_seed(0)
        unet = UNet(16, 32, 64, 1, 24, 4)
        for p in unet.parameters():  # layers that start at zero would hide everything
            p.data = p.data + 0.05 * torch.randn_like(p)
        x, t, s = torch.randn(3, 16, 8, 12), torch.tensor([999.0, 500.0, 3.0]), torch.randn(3, 9, 24)
        with torch.no_grad():
            together = unet(x, t, s)
            alone = torch.cat([unet(x[k:k + 1], t[k:k + 1], s[k:k + 1]) for k in range(3)])
        self.assertEqual(together.shape, x.shape)
        self.assertLess((together - alone).abs().max().item(), 1e-4)
        self.assertGreater((together[0] - unet(x, t, s.flip(0))[0]).abs().max().item(), 1e-3)


class Networks(unittest.TestCase):
    def test_the_decoder_begins_as_the_inverse_of_the_encoder(self):
        pixels = np.stack([Renderer("cpu").render(k)[0] for k in range(24)])
        basis = fit(pixels)
        self.assertGreater(basis["explained"], 0.95)
        x = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 127.5 - 1
        with torch.no_grad():
            mean = Encoder(basis)(x)[:, :16]
            y = Decoder(basis)(mean)
        self.assertEqual(y.shape, x.shape)
        self.assertGreater(-10 * math.log10(((y - x) ** 2).mean().item() / 4), 20)

    def test_muon_turns_matrices_towards_orthogonal_ones(self):
        torch.manual_seed(0)
        for shape in ((2, 16, 48), (1, 48, 16)):
            values = torch.linalg.svdvals(orthogonal(torch.randn(shape)))
            self.assertTrue(((values > 0.5) & (values < 1.5)).all(), values)

    def test_the_average_follows_the_weights(self):
        module = torch.nn.Linear(2, 2)
        average = Average(module)
        with torch.no_grad():
            module.weight += 1
        before = average.shadow["weight"].clone()
        average.update(module, 0.75)
        torch.testing.assert_close(average.shadow["weight"], before + 0.25)


class Shipped(unittest.TestCase):
    def test_every_file_is_the_one_the_manifest_names(self):
        files = json.loads((MODEL / "manifest.json").read_text())["files"]
        for name, entry in files.items():
            data = (MODEL / name).read_bytes()
            self.assertEqual((len(data), hashlib.sha256(data).hexdigest()), (entry["bytes"], entry["sha256"]), name)
        self.assertLess(sum(f["bytes"] for f in files.values()), 60e6)


if __name__ == "__main__":
    unittest.main()
