import type { MessageKey } from '../messages/index.ts';
import type { ModelCard, Params } from '../queue/job.ts';

/** Names of the messages `instead.*`: what to use in place of an unsupported parameter. */
export type Instead = Extract<MessageKey, `instead.${string}`> extends `instead.${infer Name}` ? Name : never;

/**
 * The one table of parameters. The parser, the error texts, the bot's autocomplete and the table in
 * `docs/prompt.md` all read it; a new parameter starts here, and the compiler reports what else it needs.
 */
export type ParameterKind =
  | 'ratio' // W:H, whole numbers
  | 'number' // decimal
  | 'integer'
  | 'flag' // takes no value
  | 'word' // one word, for a parameter that is known and has no effect
  | 'list' // words up to the next parameter, separated by commas
  | 'links' // https links, separated by spaces
  | 'styles' // style codes (whole numbers, `random`), or links where the model looks at pictures
  | 'model' // an installed model, by name or by its place in the list
  | 'sampler'
  | 'lora' // an installed LoRA, name:weight
  | 'style'; // --style raw, as Midjourney has it

export interface ParameterSpec {
  /** The parameter's name without the dashes; also the key of a card's own ranges. */
  readonly name: string;
  readonly aliases: readonly string[];
  /** The common short form that is printed, where that is not the name. */
  readonly print?: string;
  readonly kind: ParameterKind;
  /** Field of Params that gets the value; absent for parameters stored elsewhere (no, sref) or not at all. */
  readonly field?: keyof Params;
  readonly min?: number;
  readonly max?: number;
  /** A sensible step for a slider or a hint; any value in the range is taken. */
  readonly step?: number;
  /** The default as the documentation prints it; absent = none. */
  readonly default?: number | string;
  readonly unit?: string;
  /** What the parameter does, one line for members. */
  readonly help: string;
  /** What a flag stands for; true where absent. */
  readonly value?: string;
  /** What to use instead; present where a model supports the parameter only if its card says so. */
  readonly instead?: Instead;
}

export const PARAMETERS = [
  {
    name: 'aspect',
    aliases: ['ar'],
    print: 'ar',
    kind: 'ratio',
    field: 'aspect',
    min: 1,
    max: 999,
    default: '1:1',
    help: 'Shape of the picture, width to height in whole numbers: --ar 16:9.',
  },
  {
    name: 'chaos',
    aliases: ['c'],
    kind: 'number',
    field: 'chaos',
    min: 0,
    max: 100,
    step: 1,
    default: 0,
    help: 'How far the four pictures of a grid differ from each other.',
  },
  {
    name: 'stylize',
    aliases: ['s', 'stylise'],
    kind: 'number',
    field: 'stylize',
    min: 0,
    max: 1000,
    step: 1,
    default: 100,
    help: 'How hard the picture is pushed towards the words: low is loose and natural, high is bold.',
  },
  {
    name: 'weird',
    aliases: ['w'],
    kind: 'number',
    field: 'weird',
    min: 0,
    max: 3000,
    step: 1,
    default: 0,
    help: 'Bends the meaning of the words; high values leave the beaten track.',
  },
  {
    name: 'quality',
    aliases: ['q'],
    kind: 'number',
    field: 'quality',
    min: 0.25,
    max: 4,
    step: 0.25,
    default: 1,
    unit: '× steps',
    help: 'Work spent on the picture: 2 takes twice the steps and twice the time.',
  },
  {
    name: 'seed',
    aliases: [],
    kind: 'integer',
    field: 'seed',
    min: 0,
    max: 4294967295,
    default: 'random',
    help: 'Start of the noise. Picture 1 has this seed, picture 2 the next, and so on; the same seed paints the same.',
  },
  {
    name: 'stop',
    aliases: [],
    kind: 'number',
    field: 'stop',
    min: 10,
    max: 100,
    step: 1,
    default: 100,
    unit: '%',
    help: 'Ends early, at this share of the work: softer and less detailed.',
  },
  {
    name: 'repeat',
    aliases: ['r'],
    kind: 'integer',
    field: 'repeat',
    min: 2,
    max: 40,
    help: 'Paints the prompt this many times, each a grid of its own.',
  },
  { name: 'no', aliases: [], kind: 'list', help: 'What should not be in the picture, separated by commas.' },
  {
    name: 'tile',
    aliases: [],
    kind: 'flag',
    field: 'tile',
    default: 'off',
    help: 'Edges that meet, for a pattern that repeats without a seam.',
  },
  {
    name: 'raw',
    aliases: [],
    kind: 'flag',
    field: 'raw',
    default: 'off',
    help: 'Less push, a plainer picture.',
  },
  { name: 'style', aliases: [], kind: 'style', help: '--style raw is the same as --raw.' },
  {
    name: 'draft',
    aliases: [],
    kind: 'flag',
    field: 'draft',
    default: 'off',
    help: 'A quick sketch in few steps.',
  },
  {
    name: 'iw',
    aliases: [],
    kind: 'number',
    field: 'iw',
    min: 0,
    max: 3,
    step: 0.25,
    default: 1,
    help: 'How closely an image prompt is followed; 0 ignores it.',
  },
  {
    name: 'model',
    aliases: ['v', 'version'],
    kind: 'model',
    field: 'model',
    default: "the server's",
    help: 'Which installed model paints, by name or by its number in the list.',
  },
  {
    name: 'scheduler',
    aliases: ['sampler'],
    kind: 'sampler',
    field: 'scheduler',
    default: "the model's",
    help: 'The method that turns noise into a picture, such as euler-a or dpmpp-2m-karras.',
  },
  {
    name: 'count',
    aliases: ['n'],
    kind: 'integer',
    field: 'count',
    min: 1,
    max: 4,
    step: 1,
    default: 4,
    help: 'How many pictures, one to four.',
  },
  {
    name: 'lora',
    aliases: ['lyco'],
    kind: 'lora',
    field: 'loras',
    help: 'An installed LoRA and its weight, -2 to 2: --lora pixelart:0.8; several of them, one --lora each.',
  },
  {
    name: 'sref',
    aliases: [],
    kind: 'styles',
    field: 'sref',
    min: 0,
    max: 4294967295,
    default: 'none',
    help: 'A style by its number, the same for every prompt; `random` draws one.',
  },
  {
    name: 'sw',
    aliases: [],
    kind: 'number',
    field: 'sw',
    min: 0,
    max: 1000,
    step: 1,
    default: 100,
    help: 'How strongly --sref counts.',
  },
  {
    name: 'sv',
    aliases: [],
    kind: 'number',
    help: "Version of Midjourney's styles.",
    instead: 'one-version',
  },
  {
    name: 'oref',
    aliases: [],
    kind: 'links',
    help: 'A picture of the thing to paint.',
    instead: 'image-link',
  },
  { name: 'ow', aliases: [], kind: 'number', help: 'How strongly --oref counts.', instead: 'image-weight' },
  { name: 'cref', aliases: [], kind: 'links', help: 'A picture of the one to paint.', instead: 'image-link' },
  { name: 'cw', aliases: [], kind: 'number', help: 'How strongly --cref counts.', instead: 'image-weight' },
  { name: 'dref', aliases: [], kind: 'links', help: 'A picture for the depth.', instead: 'image-link' },
  { name: 'dw', aliases: [], kind: 'number', help: 'How strongly --dref counts.', instead: 'image-weight' },
  {
    name: 'profile',
    aliases: ['p', 'personalize'],
    print: 'p',
    kind: 'word',
    help: 'What one member likes.',
    instead: 'own-option',
  },
  { name: 'exp', aliases: [], kind: 'number', help: 'More detail and contrast.', instead: 'stylize' },
  { name: 'edit', aliases: [], kind: 'flag', help: 'Changes a picture by words.', instead: 'region' },
  { name: 'video', aliases: [], kind: 'flag', help: 'A film.', instead: 'no-film' },
  { name: 'motion', aliases: [], kind: 'word', help: 'How much moves.', instead: 'no-film' },
  { name: 'loop', aliases: [], kind: 'flag', help: 'A film that ends as it begins.', instead: 'no-film' },
  { name: 'end', aliases: [], kind: 'word', help: 'The last picture of a film.', instead: 'no-film' },
  { name: 'bs', aliases: [], kind: 'number', help: 'How many films.', instead: 'no-film' },
  {
    name: 'niji',
    aliases: [],
    kind: 'number',
    help: "Midjourney's model for drawings.",
    instead: 'model',
  },
  {
    name: 'hd',
    aliases: [],
    kind: 'flag',
    help: 'Larger pictures.',
    instead: 'upscale',
  },
  {
    name: 'sd',
    aliases: [],
    kind: 'flag',
    help: 'Smaller pictures.',
    instead: 'native-size',
  },
  {
    name: 'turbo',
    aliases: [],
    kind: 'flag',
    field: 'lane',
    value: 'turbo',
    help: 'The quickest lane, for this prompt.',
  },
  {
    name: 'fast',
    aliases: [],
    kind: 'flag',
    field: 'lane',
    value: 'fast',
    help: 'The usual lane, for this prompt.',
  },
  {
    name: 'relax',
    aliases: [],
    kind: 'flag',
    field: 'lane',
    value: 'relax',
    help: 'The patient lane, for this prompt.',
  },
  {
    name: 'stealth',
    aliases: [],
    kind: 'flag',
    field: 'visibility',
    value: 'stealth',
    help: 'Shows the pictures to you alone.',
  },
  {
    name: 'public',
    aliases: [],
    kind: 'flag',
    field: 'visibility',
    value: 'public',
    help: 'Shows the pictures to everyone.',
  },
] as const satisfies readonly ParameterSpec[];

const byName = new Map<string, ParameterSpec>(
  (PARAMETERS as readonly ParameterSpec[]).flatMap((spec) =>
    [spec.name, ...spec.aliases].map((name) => [name, spec] as const),
  ),
);

/** The parameter behind a name or an alias, lower case, without dashes. */
export const parameterOf = (name: string): ParameterSpec | undefined => byName.get(name);

/** Every name and alias, to compare misspelt names with. */
export const parameterNames = (): string[] => [...byName.keys()];

/** A parameter for one model: the table's entry with the card's own range and default. */
export interface EffectiveParameter extends ParameterSpec {
  readonly supported: boolean;
}

/** A parameter for one model; without a card as the table has it. */
export const parameterFor = (spec: ParameterSpec, card?: ModelCard): EffectiveParameter => {
  const own = card?.parameters?.[spec.name];
  return {
    ...spec,
    ...(own?.min === undefined ? {} : { min: own.min }),
    ...(own?.max === undefined ? {} : { max: own.max }),
    ...(own?.default === undefined ? {} : { default: own.default }),
    supported: own?.supported ?? spec.instead === undefined,
  };
};

/** Samplers by the name typed after `--sampler`, with the scheduler's name in recipes and engine. */
export const SAMPLERS = {
  ddim: { scheduler: 'DDIMScheduler', help: 'steady: more steps sharpen the same picture' },
  euler: { scheduler: 'EulerDiscreteScheduler', help: 'quick and plain' },
  'euler-a': {
    scheduler: 'EulerAncestralDiscreteScheduler',
    help: 'fresh noise at each step: soft and lively',
  },
  'dpmpp-2m': { scheduler: 'DPMSolverMultistepScheduler', help: 'sharp in few steps' },
  'dpmpp-2m-karras': { scheduler: 'DPM++ 2M Karras', help: 'the same, with finer last steps' },
  pndm: { scheduler: 'PNDMScheduler', help: "Stable Diffusion's first" },
  lcm: { scheduler: 'LCMScheduler', help: 'for models made for very few steps' },
} as const satisfies Record<string, { scheduler: string; help: string }>;

/** A sampler by its name here, its class name, or a variant (`Euler a`, `dpm++ 2m karras`). */
export const samplerOf = (typed: string): keyof typeof SAMPLERS | undefined => {
  const plain = (name: string) =>
    name
      .toLowerCase()
      .replaceAll('+', 'p')
      .replace(/[^a-z0-9]/g, '');
  const wanted = plain(typed);
  return (Object.keys(SAMPLERS) as (keyof typeof SAMPLERS)[]).find(
    (name) => plain(name) === wanted || plain(SAMPLERS[name].scheduler) === wanted,
  );
};
