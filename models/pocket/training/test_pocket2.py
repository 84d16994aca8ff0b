"""The parts of pocket 2's training, in seconds and without training: `python -m unittest discover models/pocket/training`. Needs Noto, not Fluent."""

import dataclasses
import json
import random
import sys
import tempfile
import unittest
from pathlib import Path

import numpy as np
import torch

from pocket2 import shipped
from pocket2.captions import MATERIAL, Captioner
from pocket2.compose import Composer
from pocket2.data import vocabulary
from pocket2.decode import psnr
from pocket2.drawn import DRAWN, drawn
from pocket2.labels import COLUMNS, NOUNS, OF_WHOLE, PALETTE, SIZES, boxes, cells, labels
from pocket2.latents import Encoder, fit
from pocket2.nets.decoder import Decoder
from pocket2.nets.text import Reader, TextTower
from pocket2.nets.unet import Cells, UNet
from pocket2.pack import pack, unpack
from pocket2.prior import Folded, Prior, components
from pocket2.scenes import KINDS, PAIRS, STYLES, Renderer
from pocket2.settings import MODEL
from pocket2.subjects import index_of, subjects
from pocket2.text import swapped

sys.path.insert(0, str(MODEL / "evaluate"))
from answers import answer  # noqa: E402

ASKED = [json.loads(line) for line in (MODEL / "evaluate" / "asked.jsonl").read_text(encoding="utf8").splitlines()]
noto = lambda spec: dataclasses.replace(spec, style="emoji")


class Scenes(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.renderer, cls.captioner = Renderer(), Captioner()
        cls.specs = [cls.renderer.spec(k) for k in range(2000)]

    def test_a_seed_fixes_every_pixel(self):
        spec = noto(self.specs[3])
        for a, b in zip(self.renderer.draw(spec), Renderer().draw(spec)):
            np.testing.assert_array_equal(a, b)

    def test_half_of_the_scenes_hold_several_things(self):
        several = np.mean([len(s.subjects) > 1 for s in self.specs])
        self.assertTrue(0.5 < several < 0.66, several)
        self.assertEqual({s.kind for s in self.specs}, set(KINDS))

    def test_subjects_stand_on_cells_within_the_picture_and_where_the_kind_says(self):
        for spec in self.specs:
            for s in spec.subjects:
                self.assertTrue(0 <= s.x and 0 <= s.y and s.x + s.size <= 256 and s.y + s.size <= 256, spec)
            if spec.kind in ("left of", "and", "trio"):
                xs = [s.x for s in spec.subjects]
                self.assertEqual(xs, sorted(xs))
            if spec.kind == "on top of":
                self.assertLess(spec.subjects[0].y, spec.subjects[1].y)
            if spec.kind in PAIRS:
                self.assertNotEqual(spec.subjects[0].noun, spec.subjects[1].noun)

    def test_the_first_of_two_is_in_front_of_the_second(self):
        spec = noto(next(s for s in self.specs if s.kind == "in front of"))
        who = self.renderer.draw(spec)[2]
        alone = self.renderer.draw(dataclasses.replace(spec, subjects=spec.subjects[:1]))[2]
        np.testing.assert_array_equal(who == 1, alone == 1)

    def test_labels_name_distinct_subjects_and_cells_only_what_is_there(self):
        for spec in self.specs[:60]:
            row = labels(spec)
            self.assertEqual(len(row), len(COLUMNS))
            self.assertTrue(all(0 <= v < n for v, n in zip(row, SIZES)))
            self.assertEqual(row[3] < NOUNS, spec.kind in PAIRS or spec.kind == "trio")
            self.assertTrue(((boxes(spec) >= 0) & (boxes(spec) <= 1)).all())
        for spec in map(noto, self.specs[:8]):
            seen = set(cells(spec, self.renderer.draw(spec)[2]).flat) - {NOUNS}
            self.assertTrue(seen <= {s.noun for s in spec.subjects})

    def test_captions_say_which_stands_where(self):
        rng = random.Random(3)
        for spec in [s for s in self.specs if s.kind == "left of"][:80]:
            spec = dataclasses.replace(spec, subjects=(dataclasses.replace(spec.subjects[0], noun=index_of("cat"), color="red", material=""), dataclasses.replace(spec.subjects[1], noun=index_of("dog"), color="", material="")))
            text = self.captioner.caption(spec, rng).lower()
            a, b = min(text.find(w) for w in ("cat", "kitt") if w in text), min(text.find(w) for w in ("dog", "puppy", "corgi", "hound") if w in text)
            self.assertEqual("left" in text, a < b, text)

    def test_no_caption_is_a_question_of_the_evaluation(self):
        rng = random.Random(5)
        said = {self.captioner.caption(s, rng).lower().strip(".") for s in self.specs}
        self.assertLessEqual(len(said & {a["prompt"].lower() for a in ASKED if len(a["prompt"].split()) > 3}), 0)

    def test_every_subject_asked_for_has_a_picture_or_is_said_not_to(self):
        self.assertGreaterEqual(len(subjects()), 250)
        missing = {a[k] for a in ASKED for k in ("subject", "second", "third") if k in a and index_of(a[k]) < 0}
        self.assertEqual(missing, set())

    def test_what_no_emoji_shows_is_drawn(self):
        for name in DRAWN:
            alpha = np.asarray(drawn(name))[..., 3]
            self.assertTrue(0.15 < (alpha > 128).mean() < 0.9, name)

    def test_materials_are_captioned(self):
        self.assertEqual(set(MATERIAL), {"glass", "wooden", "stone", "gold"})


class Composed(unittest.TestCase):
    def test_tensors_compose_what_the_renderer_draws(self):
        composer = Composer("cpu")
        renderer = composer.renderer
        specs = [noto(renderer.spec(k)) for k in range(24)]
        specs += [dataclasses.replace(renderer.spec(k), subjects=(), kind="empty", style=STYLES[k % len(STYLES)]) for k in range(10)]
        pictures, _, who = composer(specs)
        for spec, a, b in zip(specs, pictures, who):
            picture, _, whose = renderer.draw(spec)
            apart = np.abs(picture.astype(int) - a.permute(1, 2, 0).numpy().astype(int))
            self.assertLess(apart.mean(), 4, spec.style)
            self.assertLess((apart > 24).mean(), 0.002, spec.style)
            np.testing.assert_array_equal(whose, b.numpy())


class Networks(unittest.TestCase):
    def test_what_ships_is_read_back_to_the_last_weight(self):
        import onnxruntime
        torch.manual_seed(0)
        unet, text = shipped.unet().eval(), shipped.text_tower().eval()
        x, t, ids = torch.randn(2, 16, 8, 12), torch.tensor([900.0, 20.0]), torch.tensor(vocabulary()(["a red fox", "two cats at night"]))
        with torch.no_grad():
            states, z = text(ids)
            v = unet(x, t, states)
        run = lambda name, feed: onnxruntime.InferenceSession(str(MODEL / name / "model.onnx")).run(None, feed)
        found = run("text_encoder", {"input_ids": ids.numpy()})
        self.assertLess(np.abs(found[0] - states.numpy()).max(), 1e-4)
        self.assertLess(np.abs(found[1] - z.numpy()).max(), 1e-4)
        self.assertLess(np.abs(run("unet", {"sample": x.numpy(), "timestep": t.numpy(), "encoder_hidden_states": states.numpy()})[0] - v.numpy()).max(), 1e-3)

    def test_padding_is_seen_by_nobody(self):
        torch.manual_seed(0)
        text, reader = TextTower(50, 64, 1, 32, eos=49).eval(), Reader(64, 64, 4).eval()
        short = torch.tensor([[48, 3, 4, 49]])
        long = torch.cat([short, torch.full((1, 20), 49)], 1)
        with torch.no_grad():
            a, b = (reader(text(i)[0]) for i in (short, long))
        torch.testing.assert_close(a, b)
        self.assertEqual(text(long)[0][0, 4:].abs().max().item(), 0)

    def test_the_first_channels_are_those_of_pocket_1(self):
        pixels = np.random.default_rng(0).integers(0, 256, (40, 256, 256, 3), dtype=np.uint8)
        pixels = pixels.reshape(40, 32, 8, 32, 8, 3).mean((2, 4)).astype(np.uint8).repeat(8, 1).repeat(8, 2)
        found = fit(pixels, 24)
        import onnxruntime
        x = torch.from_numpy(pixels[:2]).permute(0, 3, 1, 2).float() / 127.5 - 1
        half = torch.nn.functional.avg_pool2d(x, 2).numpy()
        first = onnxruntime.InferenceSession(str(MODEL / "vae_encoder" / "model.onnx")).run(None, {"sample": half})[0][:, :16]
        with torch.no_grad():
            mean = Encoder(found).mean(x)
            self.assertLess(np.abs(mean[:, :16].numpy() - first).max(), 1e-3)
            self.assertGreater(psnr(Decoder(found)(mean), x), 12)

    def test_the_unet_reads_words_and_its_aid_reads_the_unet(self):
        torch.manual_seed(0)
        unet, aid = UNet(24, 32, 64, 2, 24, 4, 8), Cells(64)
        for p in unet.parameters():
            p.data = p.data + 0.05 * torch.randn_like(p)
        x, t, s, features = torch.randn(2, 24, 16, 16), torch.tensor([999.0, 3.0]), torch.randn(2, 9, 24), []
        v = unet(x, t, s, features)
        self.assertEqual(v.shape, x.shape)
        self.assertGreater((v - unet(x, t, s.flip(1) * 2)).abs().max().item(), 1e-3)
        self.assertTrue(aid.loss(features[0], torch.zeros(2, 8, 8, dtype=torch.long), torch.ones(2)).isfinite())

    def test_one_noise_level_of_the_prior_sees_no_other(self):
        torch.manual_seed(0)
        prior = Prior(24, 32, 16, width=64, layers=2).eval()
        x, t, z, s = torch.randn(2, 3, 16), torch.tensor([[900, 500, 10]] * 2), torch.randn(2, 32), torch.randn(2, 5, 24)
        with torch.no_grad():
            together, alone = prior(x, t, z, s), torch.cat([prior(x[:, k:k + 1], t[:, k:k + 1], z, s) for k in range(3)], 1)
        torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-4)

    def test_the_folded_prior_takes_and_gives_whole_embeddings(self):
        torch.manual_seed(0)
        prior, basis = Prior(24, 32, 16, width=64, layers=1).eval(), torch.linalg.qr(torch.randn(32, 16)).Q.T
        x, t, z, s, alive = torch.randn(2, 32), torch.tensor([900, 10]), torch.randn(2, 32), torch.randn(2, 5, 24), torch.tensor([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]]).bool()
        with torch.no_grad():
            found = Folded(prior, basis)(x, t, z, s, alive)
            short = Folded(prior, basis)(x[:1], t[:1], z[:1], s[:1, :3], alive[:1, :3])
        self.assertEqual(found.shape, x.shape)
        torch.testing.assert_close(found[:1], short, atol=1e-5, rtol=1e-4)

    def test_a_run_travels_in_parts_and_arrives(self):
        with tempfile.TemporaryDirectory() as folder:
            source, out = Path(folder) / "work", Path(folder) / "out"
            source.mkdir()
            torch.save({"average": {"w": torch.randn(3_000, 3_000)}, "cells": {}, "aids": {}, "seen": 7, "spent": 1.0}, source / "unet.pt")
            paths = pack(out, source)
            self.assertEqual([p.name for p in paths], ["run.00", "run.01"])
            self.assertLess(max(p.stat().st_size for p in paths), 16 * 2**20)
            found = unpack(out)
            self.assertEqual(found["seen"], 7)
            torch.testing.assert_close(found["average"]["w"], torch.load(source / "unet.pt")["average"]["w"], atol=2e-3, rtol=1e-3)

    def test_components_rebuild_what_they_kept(self):
        torch.manual_seed(0)
        z = torch.randn(500, 4) @ torch.randn(4, 32)
        pca = components(z, 4)
        x = (z - pca["mean"]) @ pca["basis"].T / pca["std"]
        torch.testing.assert_close(x * pca["std"] @ pca["basis"] + pca["mean"], z, atol=1e-4, rtol=1e-3)
        self.assertAlmostEqual(((z - pca["mean"]) / pca["std"]).square().mean().item(), 1, places=3)

    def test_swapping_exchanges_two_subjects_and_nothing_else(self):
        rows = torch.arange(17)[None]
        self.assertEqual(swapped(rows)[0].tolist(), [3, 4, 5, 0, 1, 2, *range(6, 17)])


class Adapters(unittest.TestCase):
    def test_the_lora_that_ships_fits_every_block_of_the_graph(self):
        from safetensors import safe_open
        with safe_open(str(MODEL / "loras" / "blueprint.safetensors"), "pt") as file:
            self.assertEqual((file.metadata()["dreamgrid.base"], file.metadata()["modelspec.trigger_phrase"]), ("pocket", "blueprint"))
            names, weights = shipped.graph_names(), shipped.initializers("unet")
            wanted = {k: n for k, n in names.items() if k.startswith("blocks.")}
            self.assertEqual({k.split(".")[0] for k in file.keys()}, {"lora_unet_" + k.replace(".", "_") for k in wanted})
            for path, initializer in wanted.items():
                key = "lora_unet_" + path.replace(".", "_")
                down, up = file.get_tensor(key + ".lora_down.weight"), file.get_tensor(key + ".lora_up.weight")
                self.assertEqual((down.shape[1], up.shape[0]), weights[initializer].shape, path)
                self.assertGreater((up.float() @ down.float()).abs().max().item(), 1e-4)


class Answers(unittest.TestCase):
    def judged(self, entry, places, colour="red", whole=None):
        """Answers to an entry of a picture whose cells show what `places` says: noun -> (rows, columns)."""
        nouns, colours = np.zeros((NOUNS + 1, 8, 8), np.float32), np.zeros((len(PALETTE), 8, 8), np.float32)
        colours[PALETTE.index(colour)] = 1
        for noun, (rows, columns) in places.items():
            nouns[index_of(noun)][rows, columns] = 1
        return answer(entry, nouns, colours, whole or {}, np.zeros((128, 128, 3), np.uint8))

    def test_a_relation_is_read_off_where_things_stand(self):
        left, right = (slice(4, 7), slice(0, 3)), (slice(4, 7), slice(5, 8))
        for relation, here, there, yes in (("left of", left, right, True), ("left of", right, left, False), ("right of", right, left, True), ("and", right, left, True),
                                           ("on top of", (slice(0, 3), slice(2, 5)), (slice(4, 7), slice(2, 5)), True), ("under", left, right, False)):
            found = self.judged({"prompt": "", "subject": "cat", "second": "dog", "relation": relation}, {"cat": here, "dog": there})
            self.assertEqual(found, {"subject": True, "second": True, "relation": yes}, relation)
        self.assertFalse(self.judged({"prompt": "", "subject": "cat", "second": "dog", "relation": "and"}, {"cat": left})["relation"])

    def test_things_are_counted_and_their_colours_are_theirs(self):
        columns = np.asarray([0, 1, 3, 4, 6, 7])
        found = self.judged({"prompt": "", "subject": "fox", "count": "three", "color": "red"}, {"fox": (slice(4, 6), columns)})
        self.assertEqual(found, {"subject": True, "count": True, "color": True})
        self.assertFalse(self.judged({"prompt": "", "subject": "fox", "count": "two"}, {"fox": (slice(4, 6), columns)})["count"])
        self.assertFalse(self.judged({"prompt": "", "subject": "fox", "color": "green"}, {"fox": (slice(4, 6), columns)})["color"])

    def test_what_cannot_be_judged_stays_unanswered(self):
        self.assertEqual(self.judged({"prompt": "", "subject": "apple", "material": "glass"}, {"apple": (slice(0, 3), slice(0, 3))}), {"subject": True})

    def test_every_question_asked_has_words_the_scenes_know(self):
        for entry in ASKED:
            for name, value in entry.items():
                if name in OF_WHOLE:
                    self.assertIn(value, OF_WHOLE[name], entry)
                if name.endswith("color"):
                    self.assertIn(value, PALETTE, entry)


if __name__ == "__main__":
    unittest.main()
