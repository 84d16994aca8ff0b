"""Networks of pocket-unclip behind its prior, in Karlo's interfaces: what joins text and picture embedding, the 64 px decoder, super-resolution."""

import torch
import torch.nn.functional as F
from torch import nn

from nets.unet import sinusoid
from pocket2.nets.unet import UNet

#: Context tokens that a picture's embedding becomes (Ramesh et al. 2022, section 2.1), and the decoder's patches.
TOKENS, PATCH = 4, 4


class Projection(nn.Module):
    """image_embeddings [B,E] (zero: none), prompt_embeds [B,E], text_encoder_hidden_states [B,S,T]
    -> encoder_hidden_states [B,4+S,T]: the picture's tokens, then the text's; class_labels [B,D], which join the time embedding."""

    def __init__(self, embed: int, text: int, width: int):
        super().__init__()
        self.scale, self.text = embed ** 0.5, text  # embeddings of length one -> elements of deviation one
        self.tokens, self.image, self.prompt = nn.Linear(embed, TOKENS * text), nn.Linear(embed, width), nn.Linear(embed, width, bias=False)
        nn.init.zeros_(self.image.weight)
        nn.init.zeros_(self.prompt.weight)

    def forward(self, image_embeddings, prompt_embeds, text_encoder_hidden_states):
        z = image_embeddings * self.scale
        tokens = self.tokens(z).view(-1, TOKENS, self.text)
        return torch.cat([tokens, text_encoder_hidden_states], 1), self.image(z) + self.prompt(prompt_embeds * self.scale)


class Decoder(UNet):
    """Pocket 2's U-Net over patches of 4 px. sample [B,3,H,W], timestep [B], encoder_hidden_states [B,4+S,T], class_labels [B,D],
    attention_mask bool[B,4+S] -> v [B,3,H,W]. H and W are multiples of 8.

    What the latents it was begun from cannot hold is nearly all noise in a noised picture; that part goes by the network, as much of it
    at each noise level as is right for what is nearly all noise (`rest`, `gain`).
    """

    def __init__(self, channels: int, width: int, blocks: int, text: int, context: int, slots: int):
        super().__init__(3 * PATCH * PATCH, channels, width, blocks, text, context, slots)
        self.picture = nn.Linear(text, width)
        self.rest = nn.Conv2d(3 * PATCH * PATCH, 3 * PATCH * PATCH, 1, bias=False)
        nn.init.zeros_(self.rest.weight)
        self.register_buffer("gain", torch.zeros(1000))

    def forward(self, sample, timestep, encoder_hidden_states, class_labels, attention_mask, features: list | None = None):
        words = encoder_hidden_states[:, TOKENS:] * attention_mask[:, TOKENS:, None].to(sample.dtype)
        said = self.condense(words)
        context = torch.cat([self.picture(encoder_hidden_states[:, :TOKENS]), said], 1)
        told = self.summary(said[:, : self.condensed].mean(1)[:, :, None, None]) + class_labels[:, :, None, None]
        cond = F.silu(self.time2(F.silu(self.time1(sinusoid(timestep, 256)[:, :, None, None]))) + told)
        patches = F.pixel_unshuffle(sample, PATCH)
        by = self.rest(patches) * self.gain[timestep.to(torch.int64)][:, None, None, None]
        return F.pixel_shuffle(self.paint(patches, cond, context, features) + by, PATCH)


class Modulated(nn.Module):
    """A residual pair of convolutions without norms, so that a crop and a whole picture are treated alike."""

    def __init__(self, width: int, cond: int):
        super().__init__()
        self.a, self.b, self.modulate = nn.Conv2d(width, width, 3, padding=1), nn.Conv2d(width, width, 3, padding=1), nn.Conv2d(cond, 2 * width, 1)
        for layer in (self.b, self.modulate):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, x: torch.Tensor, cond: torch.Tensor) -> torch.Tensor:
        scale, shift = self.modulate(cond).chunk(2, 1)
        return x + self.b(F.silu(self.a(x) * (1 + scale) + shift))


class SuperRes(nn.Module):
    """sample [B,6,H,W]: the noised picture and the small one enlarged; timestep [B] -> the picture [B,3,H,W]. Convolutions alone, on patches of 4 px."""

    def __init__(self, width: int = 64, blocks: int = 8):
        super().__init__()
        self.time1, self.time2 = nn.Conv2d(128, width, 1), nn.Conv2d(width, width, 1)
        self.stem, self.blocks = nn.Conv2d(6 * 16, width, 3, padding=1), nn.ModuleList(Modulated(width, width) for _ in range(blocks))
        self.head = nn.Conv2d(width, 48, 3, padding=1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, sample: torch.Tensor, timestep: torch.Tensor) -> torch.Tensor:
        cond = F.silu(self.time2(F.silu(self.time1(sinusoid(timestep, 128)[:, :, None, None]))))
        x = self.stem(F.pixel_unshuffle(sample, 4))
        for block in self.blocks:
            x = block(x, cond)
        return sample[:, 3:] + F.pixel_shuffle(self.head(F.silu(x)), 4)
