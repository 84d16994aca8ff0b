import { html, type TemplateResult } from 'lit';

/**
 * Drawn from Twemoji, as Discord draws them, so that a machine without an emoji font shows no boxes. The letters stay
 * for whoever copies or listens, and where there is no drawing.
 */
export function emoji(text: string): TemplateResult {
  return html`<span class="emoji"><img src="/emoji/${fileOf(text)}.svg" alt="" draggable="false" @error=${leaveLetters}><span class="letters">${text}</span></span>`;
}

/** Twemoji's names: code points in hex; the variation selector only counts where letters are joined. */
function fileOf(text: string): string {
  const joined = text.includes('\u200D');
  return [...text]
    .map((letter) => letter.codePointAt(0)!.toString(16))
    .filter((code) => joined || code !== 'fe0f')
    .join('-');
}

function leaveLetters(event: Event): void {
  (event.target as HTMLElement).parentElement?.classList.add('plain');
}

/** One emoji at the start of a text: a flag, a keycap, or a picture with its skin, joined to others. */
export const EMOJI =
  /^(?:\p{Regional_Indicator}{2}|[0-9#*]\uFE0F?\u20E3|(?:\p{Emoji_Presentation}|\p{Extended_Pictographic}\uFE0F)\p{Emoji_Modifier}?(?:\u200D\p{Extended_Pictographic}\uFE0F?\p{Emoji_Modifier}?)*)/u;
