/**
 * The rooms of the house and the edges between them: which room may import which. `npm run lint` and
 * `house.test.ts` read this table. A new room gets a row, a new edge its name in a row; an edge that closes a circle
 * between files is refused by the linter (`noImportCycles`).
 */
export const ROOMS: Readonly<Record<string, readonly string[]>> = {
  bot: ['bot/*', 'shared/*'],
  'bot/interaction': ['bot', 'shared/*'],
  'bot/commands': [
    'bot',
    'bot/buttons',
    'bot/history',
    'bot/interaction',
    'bot/server',
    'bot/submit',
    'shared/*',
  ],
  'bot/buttons': ['bot', 'bot/history', 'bot/interaction', 'bot/submit', 'shared/*'],
  'bot/submit': ['bot', 'bot/buttons', 'bot/interaction', 'bot/moderation', 'bot/server', 'shared/*'],
  'bot/history': ['bot', 'bot/buttons', 'bot/interaction', 'bot/submit', 'shared/*'],
  'bot/moderation': ['shared/*'],
  'bot/server': ['bot', 'bot/interaction', 'bot/submit', 'shared/*'],

  worker: [
    'worker/ask',
    'worker/deliver',
    'worker/giveBack',
    'worker/models',
    'worker/paint',
    'worker/process',
    'shared/*',
  ],
  'worker/paint': [
    'worker',
    'worker/ask',
    'worker/deliver',
    'worker/engine',
    'worker/models',
    'worker/process',
    'shared/*',
  ],
  'worker/deliver': ['worker', 'worker/paint', 'worker/process', 'shared/*'],
  'worker/ask': [
    'worker',
    'worker/deliver',
    'worker/giveBack',
    'worker/models',
    'worker/paint',
    'worker/process',
    'shared/*',
  ],
  'worker/giveBack': ['worker', 'worker/models', 'shared/*'],
  'worker/process': ['worker', 'worker/engine', 'worker/models', 'worker/paint'],
  'worker/models': ['worker/engine', 'shared/picture', 'shared/queue', 'shared/service'],
  'worker/cli': ['worker/*', 'worker/engine', 'shared/*'],

  'worker/engine': ['worker/engine/*'],
  'worker/engine/families': [
    'worker/engine',
    'worker/engine/latents',
    'worker/engine/onnx',
    'worker/engine/text',
  ],
  'worker/engine/latents': [
    'worker/engine',
    'worker/engine/graph',
    'worker/engine/onnx',
    'worker/engine/schedulers',
  ],
  'worker/engine/onnx': [
    'worker/engine',
    'worker/engine/families',
    'worker/engine/graph',
    'worker/engine/schedulers',
  ],
  'worker/engine/graph': ['worker/engine'],
  'worker/engine/parts': ['worker/engine', 'worker/engine/latents', 'worker/engine/onnx'],
  'worker/engine/schedulers': ['worker/engine'],
  'worker/engine/text': [
    'worker/engine',
    'worker/engine/latents',
    'worker/engine/onnx',
    'worker/engine/schedulers',
  ],

  'shared/queue': ['shared/memory', 'shared/picture', 'shared/service'],
  'shared/picture': ['shared/messages', 'shared/prompt', 'shared/queue', 'shared/service'],
  'shared/prompt': ['shared/messages', 'shared/picture', 'shared/queue'],
  'shared/memory': ['shared/picture', 'shared/queue', 'shared/service'],
  'shared/messages': [],
  'shared/service': ['shared/memory', 'shared/queue'],

  playground: ['playground/*'],
  'playground/world': ['playground/discord', 'playground/serve'],
  'playground/discord': ['playground/serve', 'playground/world'],
  'playground/serve': ['playground/discord', 'playground/world'],
  'playground/page': [],
};

/** Rooms with a door: from outside they are imported through these files alone. */
export const DOORS: Readonly<Record<string, readonly string[]>> = {
  'bot/commands': ['index.ts', 'register.ts'],
  'bot/moderation': ['index.ts'],
  'shared/messages': ['index.ts'],
  'shared/prompt': ['index.ts'],
  'worker/engine': ['index.ts', 'types.ts', 'errors.ts', 'schedulers/config.ts', 'parts/pillowResize.ts'],
  'worker/engine/families': ['index.ts', 'family.ts'],
  'worker/engine/schedulers': ['index.ts', 'plan.ts', 'config.ts'],
};
