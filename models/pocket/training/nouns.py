"""The nouns pocket can paint: one glyph of Noto Color Emoji each, with synonyms.

Tier 1 is what people type first (seen most), tier 2 is seen less, tier 3 only
with `--size gpu`. One line is `name glyph synonym,synonym`; spaces inside names are `_`.
"""

TIER_1 = """
fox 🦊
cat 🐈 kitty,kitten
dog 🐕 puppy,hound
wolf 🐺
bear 🐻 brown_bear
panda 🐼 panda_bear
lion 🦁
tiger 🐅
horse 🐎 pony,stallion
unicorn 🦄
elephant 🐘
rabbit 🐇 bunny,hare
owl 🦉
penguin 🐧
frog 🐸 toad
turtle 🐢 tortoise
dragon 🐉
t-rex 🦖 trex,tyrannosaurus
dinosaur 🦕 dino,brontosaurus
whale 🐳
dolphin 🐬
shark 🦈
fish 🐠 tropical_fish
octopus 🐙
butterfly 🦋
duck 🦆
bird 🐦 small_bird
monkey 🐒
castle 🏰 fortress,palace
house 🏠 cottage,home
tree 🌳 oak
rose 🌹
sunflower 🌻
mushroom 🍄 toadstool
apple 🍎
pizza 🍕 slice_of_pizza
cake 🎂 birthday_cake
burger 🍔 hamburger,cheeseburger
ice_cream 🍦 ice_cream_cone
coffee ☕ cup_of_coffee,espresso
car 🚗 automobile
train 🚂 steam_train,locomotive
bicycle 🚲 bike
airplane ✈️ plane,aeroplane,jet
rocket 🚀 spaceship,spacecraft
ufo 🛸 flying_saucer
sailboat ⛵ boat,sailing_boat,yacht
astronaut 🧑‍🚀 spaceman,cosmonaut
robot 🤖 android
ghost 👻 spirit
wizard 🧙 sorcerer,mage
snowman ⛄
alien 👽 extraterrestrial
man 👨 guy
woman 👩 lady
crown 👑
guitar 🎸 electric_guitar
heart ❤️
tent ⛺ camping_tent
"""

TIER_2 = """
mouse 🐁
koala 🐨
pig 🐖 hog
cow 🐄
sheep 🐑 lamb
goat 🐐
deer 🦌 stag,reindeer
zebra 🦓
giraffe 🦒
camel 🐫
kangaroo 🦘
gorilla 🦍 ape
squirrel 🐿️ chipmunk
hedgehog 🦔
sloth 🦥
otter 🦦
bat 🦇
chick 🐥 baby_chicken
rooster 🐓 chicken,cock
eagle 🦅 hawk
swan 🦢
flamingo 🦩
peacock 🦚
parrot 🦜
crocodile 🐊 alligator
snake 🐍 serpent
lizard 🦎 gecko
seal 🦭
crab 🦀
snail 🐌
bee 🐝 honeybee
ladybug 🐞 ladybird,beetle
spider 🕷️
leopard 🐆 jaguar,cheetah
pine 🌲 pine_tree,fir,fir_tree
palm 🌴 palm_tree
cactus 🌵
tulip 🌷
cherry_blossom 🌸 blossom
banana 🍌
orange 🍊 tangerine
lemon 🍋
watermelon 🍉 melon
grapes 🍇
strawberry 🍓
pineapple 🍍
pumpkin 🎃 jack-o-lantern
carrot 🥕
bread 🍞 loaf_of_bread
cheese 🧀
egg 🍳 fried_egg
hot_dog 🌭
taco 🌮
sushi 🍣
ramen 🍜 noodles,bowl_of_noodles
donut 🍩 doughnut
cookie 🍪 biscuit
cupcake 🧁 muffin
taxi 🚕 cab
bus 🚌
fire_truck 🚒 fire_engine
truck 🚚 lorry
tractor 🚜
motorcycle 🏍️ motorbike
helicopter 🚁 chopper
ship 🚢 cruise_ship,ocean_liner
church ⛪ chapel
pagoda 🏯 japanese_castle
fountain ⛲
ferris_wheel 🎡
tower 🗼 eiffel_tower
volcano_rock 🌋 erupting_volcano
chef 🧑‍🍳 cook
firefighter 🧑‍🚒 fireman
farmer 🧑‍🌾
police_officer 👮 policeman,cop
ninja 🥷
fairy 🧚 pixie
mermaid 🧜‍♀️
princess 👸 queen
santa 🎅 santa_claus
baby 👶
skull 💀
teddy_bear 🧸 teddy
diamond 💎 gem,jewel
star ⭐ golden_star
planet 🪐 saturn
rainbow 🌈
balloon 🎈
gift 🎁 present
umbrella ☂️ parasol
football ⚽ soccer_ball,ball
basketball 🏀
trophy 🏆 gold_cup
clock ⏰ alarm_clock
camera 📷
computer 💻 laptop
book 📖 open_book
piano 🎹 keyboard
violin 🎻 fiddle
drum 🥁
surfer 🏄
dancer 💃 dancing_woman
"""

TIER_3 = """
hamster 🐹
turkey 🦃
dove 🕊️
lobster 🦞
shrimp 🦐
squid 🦑
blowfish 🐡
ant 🐜
scorpion 🦂
raccoon 🦝
badger 🦡
skunk 🦨
llama 🦙 alpaca
hippo 🦛 hippopotamus
rhino 🦏 rhinoceros
ox 🐂 bull
buffalo 🐃
ram 🐏
boar 🐗
beaver 🦫
bison 🦬
mammoth 🦣
dodo 🦤
clover 🍀 four_leaf_clover
maple_leaf 🍁
hibiscus 🌺
bouquet 💐
potted_plant 🪴
cherries 🍒
peach 🍑
pear 🍐
mango 🥭
kiwi 🥝
tomato 🍅
avocado 🥑
eggplant 🍆 aubergine
potato 🥔
corn 🌽 corncob
broccoli 🥦
croissant 🥐
pretzel 🥨
pancakes 🥞
waffle 🧇
bacon 🥓
steak 🥩
fries 🍟 french_fries
sandwich 🥪
burrito 🌯
salad 🥗
popcorn 🍿
bento 🍱
curry 🍛 curry_rice
dumpling 🥟
chocolate 🍫
lollipop 🍭
pie 🥧
honey 🍯
milk 🥛 glass_of_milk
teapot 🫖
tea 🍵
beer 🍺
wine 🍷
cocktail 🍸
ambulance 🚑
police_car 🚓
race_car 🏎️
scooter 🛵
tram 🚋
bullet_train 🚅
speedboat 🚤
canoe 🛶
satellite 🛰️
parachute 🪂
anchor ⚓
skyscraper 🏢
factory 🏭
hospital 🏥
school 🏫
stadium 🏟️
hut 🛖
statue_of_liberty 🗽
mosque 🕌
carousel 🎠
doctor 🧑‍⚕️
teacher 🧑‍🏫
judge 🧑‍⚖️
mechanic 🧑‍🔧
scientist 🧑‍🔬
artist 🧑‍🎨 painter
pilot 🧑‍✈️
singer 🧑‍🎤
builder 👷 construction_worker
guard 💂
detective 🕵️
vampire 🧛
zombie 🧟
elf 🧝
genie 🧞
superhero 🦸
runner 🏃
cyclist 🚴
skier ⛷️
snowboarder 🏂
swimmer 🏊
boy 👦
girl 👧
clown 🤡
ogre 👹
hat 🎩 top_hat
sword ⚔️
shield 🛡️
bow 🏹
key 🔑
lamp 💡 light_bulb
candle 🕯️
telescope 🔭
microscope 🔬
microphone 🎤
saxophone 🎷
trumpet 🎺
television 📺
phone 📱
envelope ✉️
scissors ✂️
hammer 🔨
wrench 🔧
magnet 🧲
bomb 💣
fire 🔥 flame
baseball ⚾
tennis_ball 🎾
bowling 🎳
dice 🎲
puzzle 🧩
kite 🪁
yo-yo 🪀
sled 🛷
boot 👢
sneaker 👟
dress 👗
backpack 🎒
glasses 👓
ring 💍
lipstick 💄
hourglass ⏳
compass 🧭
map 🗺️
bell 🔔
lantern 🏮
chair 🪑
bathtub 🛁
"""


def nouns(size: str = "cpu") -> list[tuple[str, str, list[str], float]]:
    """All nouns of a size as (name, glyph, synonyms, weight), in a stable order."""
    tiers = [(TIER_1, 4.0), (TIER_2, 1.0)] + ([(TIER_3, 1.0)] if size == "gpu" else [])
    out = []
    for text, weight in tiers:
        for line in text.strip().splitlines():
            name, glyph, *more = line.split()
            words = more[0].split(",") if more else []
            out.append((name.replace("_", " "), glyph, [w.replace("_", " ") for w in words], weight))
    return out


#: Known to the text and image towers, but left out when two CPU cores train the U-Net: views are better spent on the rest.
LEFT_OUT_ON_CPU = set("""
mouse goat kangaroo gorilla otter bat rooster eagle swan peacock lizard seal spider leopard sloth squirrel
bread egg taco ramen cookie sushi hot_dog grapes lemon truck motorcycle fountain volcano_rock ferris_wheel
farmer police_officer ninja baby gift clock camera computer violin drum surfer dancer tower camel church
lemon book crab umbrella trophy chef
""".replace("_", "-").split())


def painted(size: str = "cpu") -> list[int]:
    """Indices of the nouns that the U-Net of a size is trained on."""
    left = LEFT_OUT_ON_CPU if size != "gpu" else set()
    return [i for i, n in enumerate(nouns(size)) if n[0].replace(" ", "-") not in left]
