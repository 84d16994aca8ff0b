"""Captions of pocket 2's scenes: what somebody might have typed to get that picture.

Word lists are pocket 1's with more; what is said of two subjects says which stands where, and colours stand at their nouns.
"""

import random
import string

import captions as first
from pocket2.scenes import COUNTS
from pocket2.subjects import subjects

more = lambda table, **extra: {k: [*v, *extra.get(k, [])] for k, v in table.items()}
PLACE = more(first.PLACE, room=["on a table", "on a wooden table", "in a house", "inside", "in a studio", "on the porch"], meadow=["in a park", "on the lawn", "on the hill", "in the countryside"],
             moon=["on mars", "on the surface of the moon"], sea=["on the open sea", "sailing at sea"], beach=["by the sea", "on a tropical beach"], garden=["in a flower field", "in a field of flowers"],
             space=["floating in space", "floating among the stars", "orbiting"], snow=["in a snowy forest", "covered in snow"], city=["in the city streets", "in tokyo", "over a city"], volcano=["in front of an erupting volcano"],
             underwater=["below the sea", "deep under water"])
TIME = more(first.TIME, night=["midnight", "in the night", "moonlit"], sunset=["golden hour", "at golden hour", "evening light"], dawn=["morning light"], day=["bright day"])
WEATHER = more(first.WEATHER, rain=["stormy", "in a rainstorm"], fog=["in a misty haze"])
SEASON = more(first.SEASON, autumn=["in autumn leaves", "fall"], spring=["spring blossoms"])
STYLE = more({**first.STYLE, "emoji": ["emoji", "as an emoji", "emoji style"], "sticker": ["sticker", "as a sticker", "die-cut sticker", "sticker design"]},
             pencil=["pencil art", "ink", "charcoal", "graphite drawing"], cinematic=["film still, cinematic"], neon=["neon art", "vaporwave"], oil=["oil paint", "classical painting"])
STYLE["none"] = ["digital art", "3d render", "3d", "illustration", "cartoon", "cute 3d render", "pixar style", "photo", "realistic", "studio light", "render"]
COLOR = {"golden": ["golden", "gold"], "purple": ["purple", "violet"], "black": ["black", "dark"], "grey": ["grey", "gray", "silver"], "brown": ["brown"]}
MATERIAL = {"glass": ["glass", "crystal", "transparent glass"], "wooden": ["wooden", "wood", "carved wooden"], "stone": ["stone", "marble", "rock"], "gold": ["golden", "gold", "golden statue of a", "made of gold"]}
DOING = ["sitting", "standing", "sleeping", "running", "walking", "floating", "flying", "jumping", "smiling", "resting", "looking at the camera", "playing", "eating", "dancing", "waiting"]
#: (words, whether the second subject of the scene is said first)
RELATION = {
    "left of": [("left of", 0), ("to the left of", 0), ("on the left of", 0), ("right of", 1), ("to the right of", 1), ("on the right of", 1), ("on the left side of", 0)],
    "on top of": [("on top of", 0), ("on", 0), ("above", 0), ("standing on", 0), ("sitting on", 0), ("riding", 0), ("over", 0), ("under", 1), ("below", 1), ("beneath", 1), ("on a pile of", 0), ("with {} on top", 1)],
    "in front of": [("in front of", 0), ("before", 0), ("in front of", 0), ("behind", 1), ("standing in front of", 0)],
    "with": [("with", 0), ("holding", 0), ("carrying", 0), ("with", 0), ("who has", 0)],
    "and": [("and", 0), ("next to", 0), ("beside", 0), ("and", 0), ("near", 0), ("meets", 0), ("together with", 0), ("looking at", 0)],
}
NUMBER = {"two": ["two", "2", "a pair of", "a couple of"], "three": ["three", "3"], "four": ["four", "4"]}
IRREGULAR = {**first.IRREGULAR, "ufo": "ufos", "t-rex": "t-rexes", "books": "books", "swords": "swords", "noodles": "noodles", "moose": "moose", "glasses": "glasses", "scissors": "scissors", "headphones": "headphones"}
BARE = {"room": ["empty room"], "space": ["galaxy", "nebula", "deep space"], "clouds": ["sky", "clouds", "cloudy sky"], "city": ["city", "cityscape", "skyline", "skyscrapers", "city lights"], "mountains": ["mountains", "mountain landscape"],
        "sea": ["ocean", "sea", "waves"], "forest": ["forest", "woods", "trees"], "meadow": ["meadow", "green hills", "landscape"], "volcano": ["volcano", "erupting volcano", "a volcano erupting"], "snow": ["snowy landscape", "winter landscape"],
        "desert": ["desert", "sand dunes"], "beach": ["beach", "tropical beach"], "lake": ["lake", "calm lake"], "garden": ["garden", "flower garden"], "road": ["road", "empty road"], "moon": ["moon surface"], "underwater": ["underwater", "sea floor"]}


def plural(noun: str) -> str:
    if noun in IRREGULAR:
        return IRREGULAR[noun]
    for word in ("bowl of", "cup of", "loaf of", "slice of"):
        if noun.startswith(word):
            return word.replace(" of", "s of") + noun[len(word):]
    return first.plural(noun) if not noun.endswith("man") else noun[:-3] + "men"


class Captioner:
    def __init__(self):
        self.nouns = subjects()

    def _noun(self, rng, s, scale="medium", number=""):
        name, _, synonyms, _ = self.nouns[s.noun]
        word, parts = (rng.choice(synonyms) if synonyms and rng.random() < 0.3 else name), []
        if scale != "medium" and rng.random() < 0.4:
            parts.append(rng.choice(first.SCALE[scale]))
        if rng.random() < 0.08:
            parts.append(rng.choice(first.FILLER))
        if s.color and rng.random() < 0.97:
            parts.append(rng.choice(COLOR.get(s.color, [s.color])))
        if s.material:
            parts.append(rng.choice(MATERIAL[s.material][:3] if s.material != "gold" else ["golden", "gold"]))
        return " ".join([number, *parts, plural(word)]).strip() if number else " ".join([*parts, word])

    def _named(self, rng, s, scale="medium"):
        words = first._article(rng, self._noun(rng, s, scale))
        return words + (" " + rng.choice(DOING) if rng.random() < 0.06 else "")

    def who(self, spec, rng) -> str:
        s = spec.subjects
        if spec.kind == "one":
            return self._named(rng, s[0], spec.scale)
        if spec.kind in COUNTS:
            return self._noun(rng, s[0], "medium", rng.choice(NUMBER[spec.kind]))
        if spec.kind == "trio":
            a, b, c = (self._named(rng, x) for x in s)
            return rng.choice([f"{a}, {b} and {c}", f"{a}, {b}, {c}", f"{a} and {b} and {c}", f"{a} next to {b} and {c}"])
        words, swapped = rng.choice(RELATION[spec.kind])
        a, b = (s[1], s[0]) if swapped else (s[0], s[1])
        a, b = self._named(rng, a), self._named(rng, b)
        if words == "on a pile of":
            b = self._noun(rng, s[1], number="")
        return f"{a} {words.format(b)}" if "{}" in words else f"{a} {words} {b}"

    def caption(self, spec, rng: random.Random, long: bool = False) -> str:
        front, inside, tail = [], [], []
        who = self.who(spec, rng) if spec.subjects else rng.choice(BARE.get(spec.place, first.PLACE.get(spec.place, ["picture"])))
        if spec.subjects and rng.random() < 0.04:
            return who
        if spec.place == "plain":
            color = rng.choice(COLOR.get(spec.back, [spec.back]))
            where = rng.choice([f"on a {color} background", f"{color} background", f"in front of a {color} wall", f"with a {color} background", f"plain {color} background", f"isolated on {color}"])
        else:
            where = rng.choice(PLACE[spec.place])
        if spec.subjects and rng.random() < 0.93:
            (inside if " " in where else rng.choice((front, tail, tail))).append(where)
        for value, table, default, often in ((spec.time, TIME, "day", 0.93), (spec.weather, WEATHER, "clear", 0.92), (spec.season, SEASON, "none", 0.92)):
            if value == default and spec.place in ("room", "space", "moon", "underwater", "plain"):
                continue
            if rng.random() < (often if value != default else 0.05):
                words = rng.choice(table[value])
                (inside if " " in words else rng.choice((front, tail, tail))).append(words)
        if spec.scale == "big" and rng.random() < 0.1:
            tail.append(rng.choice(first.BIG_TAIL))
        rng.shuffle(inside)
        lead = ""
        if (spec.style != "none" and rng.random() < 0.97) or rng.random() < 0.1:
            words = rng.choice(STYLE[spec.style])
            if rng.random() < 0.25:
                lead = words + (rng.choice((" of", ":", " of")) if not words.startswith(("in ", "as ")) else "")
            else:
                tail.append(words)
        if not lead and rng.random() < 0.08:
            lead = rng.choice(first.LEAD)
        if rng.random() < 0.1:
            tail.append(rng.choice(first.TAIL))
        if long:
            tail += rng.sample(first.TAIL + first.FILLER, rng.randint(5, 12))
        if rng.random() < 0.04:
            tail.append("".join(rng.choices(string.ascii_lowercase + "éöñ中猫🙂'!-0123456789", k=rng.randint(2, 9))))
        rng.shuffle(tail)
        comma = ", " if rng.random() < 0.6 else " "
        if front and rng.random() < 0.4 and who.split()[0] not in ("a", "an", "the"):
            who = " ".join([*front, who])
        else:
            tail += front
        if inside and rng.random() < 0.1:
            body = rng.choice((", ", ": ", " "))
            body = body.join([" ".join(inside), who])
        else:
            body = (", " if rng.random() < 0.15 else " ").join([who, *inside])
        text = comma.join([" ".join(x for x in (lead, body) if x), *tail])
        if rng.random() < 0.1:
            text = text.capitalize()
        return text + ("." if rng.random() < 0.05 else "")
