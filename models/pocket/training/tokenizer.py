"""A byte-level BPE of CLIP's kind (Radford et al. 2021), with merges learned from our own captions."""

import json
import random
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

BOS, EOS = "<|startoftext|>", "<|endoftext|>"
LENGTH = 77
PATTERN = r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"


def _pipeline(tokenizer: Tokenizer) -> Tokenizer:
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(PATTERN), behavior="removed", invert=True),
        pre_tokenizers.ByteLevel(add_prefix_space=False),
    ])
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def _bytes() -> list[str]:
    """GPT-2's 256 printable stand-ins for bytes, in CLIP's order."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = [b for b in range(256) if b not in printable]
    return [chr(b) for b in printable] + [chr(256 + i) for i in range(len(rest))]


def train(texts: list[str], folder: Path, merges: int = 1100) -> None:
    """Learns merges from texts and writes the folder as Hugging Face lays it out."""
    learner = _pipeline(Tokenizer(models.BPE(end_of_word_suffix="</w>")))
    learner.train_from_iterator(texts, trainers.BpeTrainer(vocab_size=512 + merges, end_of_word_suffix="</w>", min_frequency=8, initial_alphabet=_bytes(), show_progress=False))
    pairs = [tuple(p) for p in json.loads(learner.to_str())["model"]["merges"]]
    alphabet = _bytes()
    tokens = alphabet + [b + "</w>" for b in alphabet] + ["".join(p) for p in pairs]
    vocab = {t: i for i, t in enumerate(dict.fromkeys(tokens))}
    vocab[BOS], vocab[EOS] = len(vocab), len(vocab) + 1
    t = _pipeline(Tokenizer(models.BPE(vocab=vocab, merges=pairs, unk_token=EOS, end_of_word_suffix="</w>", continuing_subword_prefix="")))
    t.add_special_tokens([BOS, EOS])
    t.post_processor = processors.RobertaProcessing((EOS, vocab[EOS]), (BOS, vocab[BOS]), trim_offsets=False, add_prefix_space=False)
    folder.mkdir(parents=True, exist_ok=True)
    t.save(str(folder / "tokenizer.json"), pretty=False)
    (folder / "vocab.json").write_text(json.dumps(vocab, ensure_ascii=False))
    (folder / "merges.txt").write_text("#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in pairs))
    (folder / "tokenizer_config.json").write_text(json.dumps({
        "add_prefix_space": False, "bos_token": BOS, "do_lower_case": True, "eos_token": EOS, "errors": "replace",
        "model_max_length": LENGTH, "pad_token": EOS, "tokenizer_class": "CLIPTokenizer", "unk_token": EOS}, indent=2) + "\n")
    (folder / "special_tokens_map.json").write_text(json.dumps({"bos_token": BOS, "eos_token": EOS, "pad_token": EOS, "unk_token": EOS}, indent=2) + "\n")


class Encoder:
    """Texts -> token ids padded with EOS to 77."""

    def __init__(self, folder: Path):
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.bos, self.eos = self.tokenizer.token_to_id(BOS), self.tokenizer.token_to_id(EOS)
        self.vocab_size = self.tokenizer.get_vocab_size()
        self.tokenizer.enable_truncation(LENGTH)
        self.tokenizer.enable_padding(length=LENGTH, pad_id=self.eos, pad_token=EOS)

    def __call__(self, texts: list[str]) -> list[list[int]]:
        return [e.ids for e in self.tokenizer.encode_batch(texts)]


def corpus(renderer, captioner, count: int) -> list[str]:
    rng = random.Random("tokenizer")
    return [captioner.caption(renderer.spec(10_000_000 + i), rng, long=i % 8 == 0) for i in range(count)]
