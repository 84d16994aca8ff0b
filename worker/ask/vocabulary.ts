/** What `/describe` can say: the nouns, places, times, weathers and styles that pocket's towers were shown. */
const words = (text: string): readonly string[] =>
  text
    .trim()
    .split(/\s*,\s*/)
    .map((word) => word.replace(/\s+/g, ' '));

export const NOUNS = words(`
fox, cat, dog, wolf, bear, panda, lion, tiger, horse, unicorn, elephant, rabbit, owl, penguin, frog, turtle,
dragon, t-rex, dinosaur, whale, dolphin, shark, fish, octopus, butterfly, duck, bird, monkey, castle, house, tree,
rose, sunflower, mushroom, apple, pizza, cake, burger, ice cream, coffee, car, train, bicycle, airplane, rocket,
ufo, sailboat, astronaut, robot, ghost, wizard, snowman, alien, man, woman, crown, guitar, heart, tent,
mouse, koala, pig, cow, sheep, goat, deer, zebra, giraffe, camel, kangaroo, gorilla, squirrel, hedgehog, sloth,
otter, bat, chick, rooster, eagle, swan, flamingo, peacock, parrot, crocodile, snake, lizard, seal, crab, snail,
bee, ladybug, spider, leopard, pine, palm, cactus, tulip, cherry blossom, banana, orange, lemon, watermelon,
grapes, strawberry, pineapple, pumpkin, carrot, bread, cheese, egg, hot dog, taco, sushi, ramen, donut, cookie,
cupcake, taxi, bus, fire truck, truck, tractor, motorcycle, helicopter, ship, church, pagoda, fountain,
ferris wheel, tower, chef, firefighter, farmer, police officer, ninja, fairy, mermaid, princess, santa, baby, skull,
teddy bear, diamond, star, planet, rainbow, balloon, gift, umbrella, football, basketball, trophy, clock, camera,
computer, book, piano, violin, drum, surfer, dancer`);

export const PLACES = words(`
in the snow, on the beach, in the forest, in the desert, in the mountains, in the city, at sea, in a meadow,
by the lake, in the garden, in front of a volcano, on the road, in the clouds, in a room, in space, on the moon,
underwater, on a white background`);

/** '' stands for daytime. */
export const TIMES = ['', ...words('at sunset, at night, at dawn')] as const;

export const WEATHERS = ['', ...words('in the rain, in the fog, while it snows')] as const;

export const STYLES = [
  '',
  ...words('flat design, watercolor, oil painting, pencil drawing, pixel art, neon, cinematic lighting'),
] as const;
