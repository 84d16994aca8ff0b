"""A scene as numbers, and the names of its columns: what the text is asked to say and heads are asked to see."""

import numpy as np

import places
from pocket2.scenes import COLORS, KINDS, MATERIALS, PAIRS, SCALES, STYLES
from pocket2.subjects import subjects

NOUNS = len(subjects())
OF_WHOLE = {"kind": list(KINDS), "place": places.PLACES, "time": places.TIMES, "weather": places.WEATHERS, "season": places.SEASONS, "style": STYLES, "back": ["", *places.COLORS], "scale": SCALES}
#: Three subjects of noun (NOUNS: none), colour, material, then the whole. `sizes` are the classes of each column.
COLUMNS = [f"{what}{k}" for k in range(3) for what in ("noun", "color", "material")] + list(OF_WHOLE)
SIZES = [NOUNS + 1, len(COLORS) + 1, len(MATERIALS)] * 3 + [len(v) for v in OF_WHOLE.values()]
PALETTE = ["", *COLORS]


def distinct(spec) -> list:
    """The subjects that are different things, in their order."""
    return list(spec.subjects) if spec.kind in PAIRS or spec.kind == "trio" else list(spec.subjects[:1])


def labels(spec) -> list[int]:
    row = []
    for k in range(3):
        s = distinct(spec)[k] if k < len(distinct(spec)) else None
        row += [s.noun, PALETTE.index(s.color), MATERIALS.index(s.material)] if s else [NOUNS, 0, 0]
    return row + [v.index(getattr(spec, k)) for k, v in OF_WHOLE.items()]


def boxes(spec) -> np.ndarray:
    """Centre and size of the first three subjects in 0..1, f32[3,3]; 0 where there is none."""
    out = np.zeros((3, 3), np.float32)
    for k, s in enumerate(distinct(spec)):
        out[k] = ((s.x + s.size / 2) / 256, (s.y + s.size / 2) / 256, s.size / 256)
    return out


def cells(spec, who: np.ndarray, cell: int = 32) -> np.ndarray:
    """i16 [256/cell,256/cell]: the noun most of a cell shows (NOUNS: background)."""
    n = 256 // cell
    parts = who.reshape(n, cell, n, cell).transpose(0, 2, 1, 3).reshape(n, n, -1)
    share = np.stack([(parts == k).mean(-1) for k in range(len(spec.subjects) + 1)])
    share[0] -= 0.4  # a third of a cell is enough to be seen
    noun = np.asarray([NOUNS, *(s.noun for s in spec.subjects)])
    return noun[share.argmax(0)].astype(np.int16)
