import { svg } from 'lit';

/** Our own line drawings; 24 by 24, in the colour of the text. */
const icon = (body: ReturnType<typeof svg>, size = 20) =>
  svg`<svg class="icon" viewBox="0 0 24 24" width=${size} height=${size} fill="none" stroke="currentColor" stroke-width="2" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true">${body}</svg>`;

export const hash = () => icon(svg`<path d="M9.5 4 7.5 20M16.5 4l-2 16M4.5 9h16M3.5 15h16"/>`);
export const at = () =>
  icon(svg`<circle cx="12" cy="12" r="4"/><path d="M16 8v5a3 3 0 0 0 5 2.2A9 9 0 1 0 17 20"/>`);
export const plus = () =>
  icon(
    svg`<circle cx="12" cy="12" r="10" fill="currentColor" stroke="none"/><path d="M12 7.5v9M7.5 12h9" class="cut"/>`,
    24,
  );
export const eye = () =>
  icon(
    svg`<path d="M2.5 12S6 5.5 12 5.5 21.5 12 21.5 12 18 18.5 12 18.5 2.5 12 2.5 12Z"/><circle cx="12" cy="12" r="3"/>`,
    16,
  );
export const close = (size = 20) => icon(svg`<path d="m6 6 12 12M18 6 6 18"/>`, size);
export const file = () =>
  icon(svg`<path d="M14 3H7a2 2 0 0 0-2 2v14a2 2 0 0 0 2 2h10a2 2 0 0 0 2-2V8Z"/><path d="M14 3v5h5"/>`, 30);
export const image = () =>
  icon(
    svg`<rect x="3" y="4" width="18" height="16" rx="2"/><circle cx="9" cy="10" r="1.8"/><path d="m4 18 5-5 3.500 3L16 12l5 5"/>`,
  );
export const external = () =>
  icon(svg`<path d="M14 4h6v6M20 4l-9 9M18 14v5a1 1 0 0 1-1 1H5a1 1 0 0 1-1-1V7a1 1 0 0 1 1-1h5"/>`, 16);
export const down = () => icon(svg`<path d="m6 9 6 6 6-6"/>`);
export const right = () => icon(svg`<path d="m9 6 6 6-6 6"/>`, 16);
export const reply = () => icon(svg`<path d="M9 7 4 12l5 5M4 12h10a6 6 0 0 1 6 6v1"/>`);
export const smile = () =>
  icon(
    svg`<circle cx="12" cy="12" r="9"/><path d="M8.500 14.500a4.200 4.200 0 0 0 7 0M9 9.500v.01M15 9.500v.01"/>`,
  );
export const dots = () => icon(svg`<path d="M5 12h.01M12 12h.01M19 12h.01" stroke-width="3.500"/>`);
export const moon = () =>
  icon(svg`<path d="M20 14.500A8.500 8.500 0 1 1 9.500 4a7 7 0 0 0 10.500 10.500Z"/>`);
export const sun = () =>
  icon(
    svg`<circle cx="12" cy="12" r="4"/><path d="M12 2v2M12 20v2M2 12h2M20 12h2M5 5l1.400 1.400M17.600 17.600 19 19M19 5l-1.400 1.400M6.400 17.600 5 19"/>`,
  );
export const book = () =>
  icon(
    svg`<path d="M12 6.500C10 5 7 4.500 3.500 5v13c3.500-.500 6.500 0 8.500 1.500 2-1.500 5-2 8.500-1.500V5C17 4.500 14 5 12 6.500Zm0 0v13"/>`,
  );
export const gauge = () => icon(svg`<path d="M4 18a9 9 0 1 1 16 0"/><path d="m12 14 4-4"/>`);
export const menu = () => icon(svg`<path d="M4 6h16M4 12h16M4 18h16"/>`, 24);
export const warn = () => icon(svg`<path d="M12 4 2.500 20h19Z"/><path d="M12 10v4M12 17v.01"/>`, 16);
export const check = () => icon(svg`<path d="m5 12 5 5 9-10"/>`, 16);
export const trash = () => icon(svg`<path d="M5 7h14M10 7V5h4v2M7 7l1 13h8l1-13"/>`);
export const copy = () =>
  icon(
    svg`<rect x="8" y="8" width="12" height="12" rx="2"/><path d="M16 8V5a1 1 0 0 0-1-1H5a1 1 0 0 0-1 1v10a1 1 0 0 0 1 1h3"/>`,
  );
