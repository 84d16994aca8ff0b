import type { PromptPart } from '../../shared/picture/recipe.ts';
import { brokenRules, type Rule } from './match.ts';

/** What moderation reads of a request: the text as shown, the words asked for and the words left out. */
export interface Wish {
  /** The whole text as it stands in the message. */
  prompt: string;
  parts: readonly PromptPart[];
  negative: string;
}

export interface Policy {
  /** Off: the lists for slurs, sexual words and gore are not used. A server's own words and `minors` always are. */
  lists: boolean;
  /** Sexual words and gore may be painted here: an age-restricted channel whose server leaves it so. */
  adults: boolean;
  own: readonly string[];
}

/** The order in which rules are named; the gravest first. */
const ORDER: readonly Rule[] = ['minors', 'slurs', 'own', 'sexual', 'gore'];

/**
 * The rule that a wish breaks. What it asks for must keep all of them; what it wants left out (`--no nudity`,
 * a negative weight) may name sexual things and gore, but stands in the message, so slurs and the server's own
 * words count there too. Leaving out clothes is asking for nudity.
 */
export function refusedBy(wish: Wish, policy: Policy): Rule | undefined {
  const asked = wish.parts.filter(({ weight }) => weight > 0).map(({ text }) => text);
  const unwanted = wish.parts.filter(({ weight }) => weight < 0).map(({ text }) => text);
  const wanted = brokenRules(asked.join(' '), policy.own, [wish.negative, ...unwanted].join(', '));
  const shown = brokenRules(`${wish.prompt} ${wish.negative}`, policy.own);
  return ORDER.find((rule) => {
    if (rule === 'minors') return wanted.has('minors');
    if (rule === 'own') return shown.has('own');
    if (rule === 'slurs') return policy.lists && shown.has('slurs');
    return policy.lists && !policy.adults && wanted.has(rule);
  });
}
