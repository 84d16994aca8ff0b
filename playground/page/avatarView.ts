import { html } from 'lit';

/** The avatar of a person or of the bot, drawn by the server. @param size pixels */
export function avatar(userId: string, size: number, cls = 'avatar') {
  return html`<img class=${cls} src="/avatars/${userId}/0" alt="" width=${size} height=${size}>`;
}
