"""Captions of a scene: paraphrases, other word orders, missing words, and words that mean nothing here.

`caption(spec, rng)` is what somebody might have typed to get the picture of that spec.
"""

import random
import string

PLACE = {
    "snow": ["in the snow", "on the snow", "on snow", "in snow", "on a snowy field", "in a snowy landscape", "in winter", "winter", "snowy", "in the arctic", "on ice"],
    "beach": ["on the beach", "at the beach", "on a sandy beach", "beach", "on a tropical island", "by the ocean", "at the seaside", "on the sand"],
    "forest": ["in the forest", "in a forest", "in the woods", "forest", "among trees", "deep in the forest", "in the jungle", "woodland"],
    "desert": ["in the desert", "in a desert", "desert", "on sand dunes", "in the sahara", "on the dunes"],
    "mountains": ["in the mountains", "on a mountain", "mountains", "in front of mountains", "with mountains in the background", "over the mountains", "in the alps"],
    "city": ["in the city", "in a city", "city", "downtown", "in a big city", "in front of skyscrapers", "in the street", "over the city", "in new york", "in town", "cityscape"],
    "sea": ["at sea", "on the sea", "on the ocean", "sea", "in the sea", "on the water", "ocean", "on the waves"],
    "meadow": ["in a meadow", "in the meadow", "on the grass", "on grass", "in a field", "meadow", "on a green hill", "on a hill", "in the fields"],
    "lake": ["by the lake", "at the lake", "by a lake", "lake", "on a lake", "by the river", "near a lake", "at a pond"],
    "garden": ["in the garden", "in a garden", "garden", "in a flower garden", "among flowers", "in the park", "in the backyard"],
    "volcano": ["in front of a volcano", "near a volcano", "volcano", "on a volcano", "with a volcano", "lava", "by an erupting volcano"],
    "road": ["on the road", "on a road", "road", "on a country road", "on the highway", "on a street"],
    "clouds": ["in the clouds", "above the clouds", "on a cloud", "cloud", "clouds", "in the sky", "among clouds", "flying in the sky", "on the clouds"],
    "room": ["in a room", "in the room", "indoors", "at home", "in the living room", "room", "inside a house", "in the kitchen", "on the floor", "in an office"],
    "space": ["in space", "in outer space", "space", "among the stars", "in the galaxy", "in the cosmos", "with a nebula", "in the universe"],
    "moon": ["on the moon", "on the lunar surface", "lunar", "standing on the moon", "on another planet"],
    "underwater": ["under water", "underwater", "under the sea", "in the deep sea", "on the sea floor", "at the bottom of the ocean", "in an aquarium"],
}
TIME = {
    "day": ["by day", "in daylight", "on a sunny day", "at noon", "in the sunshine", "daytime", "under a blue sky", "sunny", "day"],
    "sunset": ["at sunset", "sunset", "at dusk", "in the evening", "evening", "during sunset", "in the golden hour", "under a red sky", "with the sun setting", "sundown"],
    "night": ["at night", "night", "by night", "at midnight", "under the stars", "in the moonlight", "under the moon", "in the dark", "under a starry sky", "on a dark night", "with a full moon", "nighttime"],
    "dawn": ["at dawn", "dawn", "at sunrise", "in the morning", "early morning", "sunrise", "in the morning light"],
}
WEATHER = {
    "clear": ["clear sky", "nice weather", "good weather"],
    "rain": ["in the rain", "rain", "rainy", "raining", "it is raining", "on a rainy day", "in a storm", "with rain"],
    "snowfall": ["snowing", "it is snowing", "in falling snow", "snowfall", "with snowflakes", "in a snowstorm", "while it snows"],
    "fog": ["fog", "in the fog", "foggy", "misty", "in the mist", "with fog"],
}
SEASON = {
    "none": ["summer", "in summer"],
    "autumn": ["in autumn", "autumn", "in the fall", "autumn leaves", "in october", "fall colors"],
    "spring": ["in spring", "spring", "with blossoming trees", "in springtime", "in april"],
}
STYLE = {
    "none": ["digital art", "illustration", "emoji", "clipart"],
    "flat": ["flat", "flat design", "flat illustration", "vector art", "minimalist", "poster", "flat style"],
    "watercolor": ["watercolor", "watercolour", "watercolor painting", "in watercolor", "as a watercolor", "aquarelle", "painted in watercolour"],
    "oil": ["oil painting", "oil", "oil on canvas", "impressionist painting", "painted in oil", "as an oil painting", "van gogh"],
    "pencil": ["pencil", "pencil drawing", "pencil sketch", "sketch", "line drawing", "drawn in pencil", "black and white drawing", "ink drawing"],
    "pixel art": ["pixel art", "pixelart", "8-bit", "8 bit", "pixelated", "as pixel art", "retro video game", "16-bit"],
    "neon": ["neon", "neon lights", "neon glow", "glowing neon", "synthwave", "cyberpunk", "in neon colors"],
    "cinematic": ["cinematic", "cinematic lighting", "movie still", "film still", "cinematic shot", "epic", "dramatic light", "movie"],
}
COLOR = {"golden": ["golden", "gold"], "purple": ["purple", "violet"], "pink": ["pink"], "black": ["black", "dark"], "white": ["white"]}
SCALE = {"small": ["small", "little", "tiny"], "medium": [], "big": ["big", "large", "giant", "huge"]}
BIG_TAIL = ["close up", "portrait", "close-up"]
FILLER = ["beautiful", "cute", "happy", "lovely", "old", "nice", "majestic", "friendly", "sitting", "standing", "funny", "magical", "lonely", "brave"]
TAIL = ["highly detailed", "4k", "masterpiece", "high quality", "beautiful", "detailed", "trending", "best quality", "8k", "colorful", "art"]
LEAD = ["a picture of", "a photo of", "an image of", "picture of", "i want", "please paint", "show me", "draw", "paint", "photo of", "a scene with", "imagine"]
NUMBER = {"two": ["two", "2", "a pair of", "a couple of"], "three": ["three", "3", "a group of", "some"]}
RELATION = {
    "left of": [("left of", 0), ("to the left of", 0), ("on the left of", 0), ("right of", 1), ("to the right of", 1), ("on the right of", 1)],
    "on top of": [("on top of", 0), ("on", 0), ("above", 0), ("standing on", 0), ("sitting on", 0), ("under", 1), ("below", 1), ("beneath", 1)],
    "and": [("and", 0), ("next to", 0), ("with", 0), ("beside", 0), ("and", 1), ("near", 0)],
}
IRREGULAR = {"fish": "fish", "sheep": "sheep", "deer": "deer", "wolf": "wolves", "man": "men", "woman": "women", "mouse": "mice", "goose": "geese", "bread": "bread", "sushi": "sushi", "ramen": "ramen", "fireman": "firemen"}


def plural(noun: str) -> str:
    if noun in IRREGULAR:
        return IRREGULAR[noun]
    if noun.endswith(("s", "x", "ch", "sh")):
        return noun + "es"
    if noun.endswith("y") and noun[-2] not in "aeiou":
        return noun[:-1] + "ies"
    return noun + "s"


def _article(rng, words):
    r = rng.random()
    if r < 0.3:
        return words
    if r < 0.85:
        return ("an " if words[0] in "aeiou" else "a ") + words
    return "the " + words


class Captioner:
    """Writes captions for the specs of a Renderer with the same nouns."""

    def __init__(self, nouns):
        self.nouns = nouns

    def _noun(self, rng, subject, scale, number=None):
        name, _, synonyms, _ = self.nouns[subject.noun]
        word = rng.choice(synonyms) if synonyms and rng.random() < 0.3 else name
        parts = []
        if scale != "medium" and rng.random() < 0.5:
            parts.append(rng.choice(SCALE[scale]))
        if rng.random() < 0.08:
            parts.append(rng.choice(FILLER))
        if subject.color and rng.random() < 0.95:
            parts.append(rng.choice(COLOR.get(subject.color, [subject.color])))
        if number:
            return " ".join([number, *parts, plural(word)])
        return " ".join([*parts, word])

    def _who(self, spec, rng):
        s = spec.subjects
        if spec.relation == "one":
            return _article(rng, self._noun(rng, s[0], spec.scale))
        if spec.relation in NUMBER:
            return self._noun(rng, s[0], "medium", rng.choice(NUMBER[spec.relation]))
        words, swapped = rng.choice(RELATION[spec.relation])
        a, b = (s[1], s[0]) if swapped else (s[0], s[1])
        return f"{_article(rng, self._noun(rng, a, 'medium'))} {words} {_article(rng, self._noun(rng, b, 'medium'))}"

    def caption(self, spec, rng: random.Random, long: bool = False) -> str:
        if rng.random() < 0.03:  # a bare noun, the shortest prompt of all
            return self._who(spec, rng)
        front, inside, tail = [], [], []
        if spec.place == "plain":
            color = rng.choice(COLOR.get(spec.back, [spec.back]))
            where = rng.choice([f"on a {color} background", f"{color} background", f"in front of a {color} wall", f"plain {color} background"])
        else:
            where = rng.choice(PLACE[spec.place])
        if rng.random() < 0.93:
            (inside if where.split()[0] in ("in", "on", "at", "by", "under", "over", "near", "above", "among", "deep", "with", "inside") else rng.choice((front, tail, tail))).append(where)
        for value, table, default, often in (
            (spec.time, TIME, "day", 0.92), (spec.weather, WEATHER, "clear", 0.9), (spec.season, SEASON, "none", 0.85),
        ):
            chance = often if value != default else 0.06
            if value == "day" and spec.place in ("room", "space", "moon", "underwater", "plain"):
                continue
            if rng.random() < chance:
                words = rng.choice(table[value])
                if len(words.split()) == 1:
                    rng.choice((front, tail, tail)).append(words)
                else:
                    inside.append(words)
        if spec.scale == "big" and rng.random() < 0.1:
            tail.append(rng.choice(BIG_TAIL))
        who = self._who(spec, rng)
        rng.shuffle(inside)
        lead = ""
        if spec.style != "none" and rng.random() < 0.95 or rng.random() < 0.06:
            words = rng.choice(STYLE[spec.style])
            if rng.random() < 0.22:
                lead = words + (" of" if rng.random() < 0.55 and not words.startswith(("in ", "as ")) else "")
            else:
                tail.append(words)
        if not lead and rng.random() < 0.08:
            lead = rng.choice(LEAD)
        if rng.random() < 0.1:
            tail.append(rng.choice(TAIL))
        if long:
            tail += rng.sample(TAIL + FILLER, rng.randint(5, 12))
        if rng.random() < 0.04:  # a word nobody knows: its bytes must not hurt
            tail.append("".join(rng.choices(string.ascii_lowercase + "éöñ中猫🙂'!-0123456789", k=rng.randint(2, 9))))
        rng.shuffle(tail)
        comma = ", " if rng.random() < 0.6 else " "
        if front and rng.random() < 0.5 and who.split()[0] not in ("a", "an", "the"):
            who = " ".join(front + [who])
        else:
            tail += front
        if rng.random() < 0.08 and inside:
            body = comma.join([" ".join(inside), who])
        else:
            body = (", " if rng.random() < 0.12 else " ").join([who, *inside])
        text = comma.join([" ".join(x for x in (lead, body) if x), *tail])
        if rng.random() < 0.03:
            words = text.replace(",", "").split()
            rng.shuffle(words)
            text = " ".join(words)
        if rng.random() < 0.1:
            text = text.capitalize()
        return text + ("." if rng.random() < 0.05 else "")
