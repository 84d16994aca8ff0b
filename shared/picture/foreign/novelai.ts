import { type Evidence, type Foreign, isObject, type JsonObject, toForeign } from './foreign.ts';
import { samplerNamed } from './sampler.ts';

/**
 * NovelAI: `Comment` is JSON with `uc` (negative prompt), `Description` the prompt, `Software` its name. The
 * same texts stand in the picture's alpha channel (stealth.ts), which survives programs that strip chunks.
 */
export function readNovelAi({ objects, texts }: Evidence): Foreign | undefined {
  const isTheirs = /novelai/i.test(texts.get('Software') ?? texts.get('Source') ?? '');
  const said = objects.find(
    ({ at, value }) => at === 'Comment' && ('uc' in value || 'v4_prompt' in value || isTheirs),
  )?.value;
  if (!said) return isTheirs ? fromDescription(texts.get('Description')) : undefined;
  const prompt = captionOf(said['v4_prompt']) ?? said['prompt'] ?? texts.get('Description');
  const negative = captionOf(said['v4_negative_prompt']) ?? said['uc'];
  return toForeign({
    tool: 'NovelAI',
    prompt,
    negative,
    seed: said['seed'],
    steps: said['steps'],
    guidance: said['scale'],
    width: said['width'],
    height: said['height'],
    sampler: samplerNamed(said['sampler'], said['noise_schedule']),
    scheduler: said['noise_schedule'],
    model: texts.get('Source'),
  });
}

const fromDescription = (description: string | undefined): Foreign | undefined =>
  description === undefined ? undefined : toForeign({ tool: 'NovelAI', prompt: description });

/** Version 4: `{caption: {base_caption, char_captions: [{char_caption}]}}`, the characters behind the scene. */
const captionOf = (value: unknown): string | undefined => {
  const caption = isObject(value) && isObject(value['caption']) ? value['caption'] : undefined;
  if (!caption || typeof caption['base_caption'] !== 'string') return undefined;
  const characters = Array.isArray(caption['char_captions']) ? caption['char_captions'].slice(0, 50) : [];
  const words = characters.map((one: unknown) => (isObject(one) ? (one as JsonObject)['char_caption'] : ''));
  return [caption['base_caption'], ...words]
    .filter((text) => typeof text === 'string' && text !== '')
    .join(', ');
};
