"""Answers the questions of asked.jsonl from what the judge says of a picture (`training/pocket2/judge.py`).

What it cannot judge stays unanswered: materials, and a noun it does not know. Colours are its own word, or the palette's nearest to the mean
colour of the cells it finds the noun in, since a yellow banana is yellow without having been recoloured.
"""

import sys
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "training"))

from asked import questions  # noqa: E402
from pocket2.labels import NOUNS, OF_WHOLE, PALETTE  # noqa: E402
from pocket2.scenes import COLORS  # noqa: E402
from pocket2.subjects import index_of  # noqa: E402

COUNTS = {"two": 2, "three": 3, "four": 4}
#: Share of a cell, summed over the picture, from which a noun counts as seen.
SEEN = 1.5


def pieces(there: np.ndarray) -> int:
    """Connected groups of cells in a bool [H,W], corners touching."""
    rest, count = {tuple(p) for p in np.argwhere(there)}, 0
    while rest:
        todo, count = [rest.pop()], count + 1
        while todo:
            y, x = todo.pop()
            near = {(y + dy, x + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)} & rest
            rest -= near
            todo += near
    return count


def centre(share: np.ndarray) -> tuple[float, float]:
    """Mean row and column of a share [H,W]."""
    rows, columns = np.mgrid[: share.shape[0], : share.shape[1]]
    return float((share * rows).sum() / share.sum()), float((share * columns).sum() / share.sum())


def related(name: str, a: np.ndarray, b: np.ndarray) -> bool:
    """Whether the shares [H,W] of two seen things stand as a relation says."""
    (ya, xa), (yb, xb) = centre(a), centre(b)
    lowest = lambda s: np.argwhere(s > 0.3)[:, 0].max(initial=0)
    return {"left of": xa < xb - 0.7, "right of": xa > xb + 0.7, "on top of": ya < yb - 0.5, "under": ya > yb + 0.5,
            "in front of": lowest(a) >= lowest(b), "behind": lowest(a) <= lowest(b)}.get(name, True)


def coloured(color: str, share: np.ndarray, colours: np.ndarray, picture: np.ndarray) -> bool:
    """colours [13,H,W] probabilities, picture u8 [S,S,3]."""
    if PALETTE[int((colours * share).sum((1, 2)).argmax())] == color:
        return True
    n = share.shape[0]
    cells = picture.reshape(n, picture.shape[0] // n, n, -1, 3).mean((1, 3))
    mean = (cells * share[..., None]).sum((0, 1)) / share.sum()
    return min(COLORS, key=lambda name: np.abs(np.asarray(COLORS[name]) - mean).sum()) == color


def answer(entry: dict, nouns: np.ndarray, colours: np.ndarray, whole: dict[str, int], picture: np.ndarray) -> dict[str, bool]:
    """nouns [N+1,H,W] and colours [13,H,W] as probabilities, whole: class of each attribute -> each answerable question, yes or no."""
    share = {k: nouns[index_of(entry[k])] for k in ("subject", "second", "third") if k in entry and 0 <= index_of(entry[k]) < NOUNS}
    seen = {k: bool(v.sum() >= SEEN) for k, v in share.items()}
    out = {}
    for name, value in questions(entry):
        if name in share:
            out[name] = seen[name]
        elif name in ("color", "second color", "third color"):
            of = {"color": "subject", "second color": "second", "third color": "third"}[name]
            if of in share:
                out[name] = seen[of] and coloured(value, share[of], colours, picture)
        elif name == "count" and "subject" in share:
            out[name] = seen["subject"] and pieces(share["subject"] > 0.3) == COUNTS[value]
        elif name == "relation" and "second" in share and "subject" in share:
            out[name] = seen["subject"] and seen["second"] and related(value, share["subject"], share["second"])
        elif name in whole:
            out[name] = OF_WHOLE[name][whole[name]] == value
    return out


def table(entries: list[dict], found: list[dict[str, bool]]) -> dict[str, tuple[int, float]]:
    """Of every question, and of all by the number of subjects: how many, and the share answered yes."""
    from asked import subjects
    rows: dict[str, list[bool]] = {}
    for entry, answers in zip(entries, found, strict=True):
        for name, yes in answers.items():
            rows.setdefault(name, []).append(yes)
            rows.setdefault(f"all, {subjects(entry)} subject{'s' * (subjects(entry) != 1)}", []).append(yes)
        if "second" in answers:
            rows.setdefault("two subjects both", []).append(answers["subject"] and answers["second"])
    return {name: (len(v), round(float(np.mean(v)), 3)) for name, v in rows.items()}
