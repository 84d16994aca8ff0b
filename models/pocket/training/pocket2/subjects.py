"""What pocket 2 can paint: the nouns of pocket 1 and more, each a picture of Fluent Emoji 3D and a glyph of Noto.

A line is `name glyph synonym,synonym`; a glyph of `-` is drawn by drawn.py. What people type first is shown most.
"""

import functools
import re

import nouns as first

#: Nouns people ask for which pocket 1 was not shown.
MORE = """
lighthouse - beacon
windmill -
hot_air_balloon - air_balloon
submarine -
treasure 📦 treasure_chest,chest,box
crystal_ball 🔮 magic_ball
christmas_tree 🎄 xmas_tree
sofa 🛋️ couch
bed 🛏️
door 🚪
bridge 🌉
island 🏝️ desert_island
mountain 🏔️ snowy_mountain,peak
moon 🌕 full_moon
sun ☀️
cloud ☁️
wave 🌊 big_wave
temple 🏛️ greek_temple
shrine ⛩️ torii,gate
moai 🗿 easter_island_head,stone_head
flag 🚩 red_flag
prince 🤴 king
wand 🪄 magic_wand
jellyfish 🪼
moose 🫎
donkey 🫏
goose 🪿
soup 🍲 stew
boba 🧋 bubble_tea
mirror 🪞
headphones 🎧
palette 🎨
globe 🌍 earth
flower 🌼 daisy
log 🪵 wood_log
rock 🪨 boulder
feather 🪶
dragon_head 🐲
cat_face 🐱 cat_head
dog_face 🐶 dog_head
accordion 🪗
"""
#: Names Noto and Fluent draw as something else than people mean.
GLYPHS = {"spider": "🕷️"}
SYNONYMS = {
    "dog": ["puppy", "corgi", "hound"], "cat": ["kitten", "kitty"], "ramen": ["bowl of ramen", "noodles", "bowl of noodles"],
    "ship": ["pirate ship", "cruise ship", "boat"], "rocket": ["spaceship", "spacecraft", "space shuttle"], "chair": [], "tree": ["oak"],
    "coffee": ["cup of coffee", "espresso"], "book": ["open book", "books"], "rooster": ["chicken", "hen"], "donut": ["doughnut"],
    "sword": ["swords", "blade"], "pumpkin": ["jack-o-lantern", "halloween pumpkin"], "robot": ["android", "cyborg"],
    "motorcycle": ["motorbike", "bike"], "cocktail": ["drink"], "house": ["cottage", "home", "cabin"], "alien": ["extraterrestrial"],
}
#: Nouns of the second tier that are asked for as often as those of the first.
OFTEN = set("""ramen lighthouse pumpkin banana koala mermaid skull motorcycle bus deer palm flamingo parrot pineapple balloon umbrella
princess santa sushi teddy bear football hedgehog helicopter hot air balloon submarine crystal ball christmas tree sword violin elephant
flower bee spider book strawberry watermelon ship diamond planet rainbow ninja fairy""".split()) | {"teddy bear", "hot air balloon", "crystal ball", "christmas tree"}


def _lines(text: str):
    for line in text.strip().splitlines():
        name, glyph, *more = line.split()
        yield name.replace("_", " "), glyph, [w.replace("_", " ") for w in more[0].split(",")] if more else []


@functools.cache
def subjects() -> list[tuple[str, str, list[str], float]]:
    """All subjects as (name, glyph or "-", synonyms, weight) in a stable order; the index is the label."""
    rows, out = first.nouns("gpu"), []
    for name, glyph, synonyms, weight in rows:
        weight = {4.0: 4.0}.get(weight, 0.0) or (2.5 if name in OFTEN else 1.2 if name in SECOND else 0.4)
        out.append((name, GLYPHS.get(name, glyph), SYNONYMS.get(name, synonyms), weight))
    for name, glyph, synonyms in _lines(MORE):
        out.append((name, glyph, synonyms, 2.5 if name in OFTEN else 0.8))
    return out


SECOND = {name for name, *_ in _lines(first.TIER_2)}


def index_of(word: str) -> int:
    """Index of a subject by its name or a synonym; -1: there is none."""
    for k, (name, _, synonyms, _) in enumerate(subjects()):
        if word == name or word in synonyms:
            return k
    return -1


def fluent_names(glyph: str) -> list[str]:
    """File names under which Fluent Emoji 3D may hold a glyph."""
    code = lambda text: "-".join(f"{ord(c):04x}" for c in text)
    return [code(glyph) + ".webp", code(re.sub("\ufe0f", "", glyph)) + ".webp", code(glyph) + "-fe0f.webp"]
