import { type CSSResultGroup, css } from 'lit';

/** The borrowed components carry an older Discord's colours; ours are set as variables. */
interface Painted {
  elementStyles: CSSResultGroup[];
}

function repaint(name: string, style: CSSResultGroup): void {
  const part = customElements.get(name) as unknown as Painted | undefined;
  part?.elementStyles.push(style);
}

repaint(
  'discord-embed',
  css`
    :host { color: var(--text); font-size: 0.875rem; line-height: 1.125rem; margin: 4px 0; max-width: 520px; }
    :host .discord-left-border { width: 4px; background-color: var(--embed-line); }
    :host .discord-embed-wrapper, :host([light-theme]) .discord-embed-wrapper { background: var(--embed); border: 1px solid var(--line); border-left: 0; max-width: 516px; }
    :host .discord-embed-wrapper .discord-embed-grid { display: flex; gap: 16px; padding: 8px 16px 14px 12px; flex-wrap: wrap; }
    :host .discord-embed-author, :host([light-theme]) .discord-embed-author { color: var(--strong); width: 100%; }
  `,
);
repaint(
  'discord-mention',
  css`
    :host, :host([light-theme]) { color: var(--mention-text); background-color: var(--mention); }
    :host(:hover), :host([light-theme]:hover) { color: #fff; background-color: #5865f2; }
  `,
);
repaint(
  'discord-spoiler',
  css`
    :host, :host([light-theme]) { background-color: var(--spoiler); }
  `,
);
