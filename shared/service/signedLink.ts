import { createHmac, hkdfSync, timingSafeEqual } from 'node:crypto';

/**
 * Text that travels through a browser and comes back: signed, so that only a holder of the secret wrote it, and
 * expiring, so that a leaked link is soon useless. The text is not secret: a link's holder can read it.
 *
 * `<payload>.<expires>.<mac>`: payload and mac in base64url, expires in seconds since 1970 in base 36, mac =
 * HMAC-SHA-256 (RFC 2104) over all before the last dot. Only characters that need no escaping in an address.
 */
export interface LinkSigner {
  /**
   * @param payload any text, at most 4 kB as UTF-8
   * @param expiresAt ms since 1970; rounded up to a whole second
   * @throws RangeError for a payload that is too long or a time that is none
   */
  sign(payload: string, expiresAt: number): string;
  verify(link: string): LinkResult;
}

export type LinkResult =
  /** `expiresAt` in ms since 1970, so that a page can say how long it has. */
  | { ok: true; payload: string; expiresAt: number }
  /** `expired` only for links with a valid signature. */
  | { ok: false; why: 'expired' | 'forged' };

const PAYLOAD_BYTES = 4096;
const LINK = /^([\w-]{0,5462})\.([0-9a-z]{1,9})\.([\w-]{43})$/;

/**
 * @param secret at least 16 bytes; the bot's token will do: the key is derived from it (HKDF, RFC 5869) and
 * tells nothing of it
 * @param purpose what the links are for, e.g. `mask`: a link made for one purpose is forged for every other
 * @param now ms since 1970
 */
export function openLinkSigner(secret: string, purpose: string, now: () => number = Date.now): LinkSigner {
  if (Buffer.byteLength(secret) < 16) throw new RangeError('a signing secret has at least 16 bytes');
  const key = Buffer.from(hkdfSync('sha256', secret, '', `dreamgrid link ${purpose}`, 32));
  const mac = (text: string): string => createHmac('sha256', key).update(text).digest('base64url');

  return {
    sign(payload, expiresAt) {
      if (Buffer.byteLength(payload) > PAYLOAD_BYTES)
        throw new RangeError(`a signed payload has at most ${PAYLOAD_BYTES} bytes`);
      const seconds = Math.ceil(expiresAt / 1000);
      if (!Number.isSafeInteger(seconds) || seconds < 0)
        throw new RangeError('a link expires at a time in ms since 1970');
      const text = `${Buffer.from(payload).toString('base64url')}.${seconds.toString(36)}`;
      return `${text}.${mac(text)}`;
    },
    verify(link) {
      const [, payload, expires, sent] = LINK.exec(link) ?? [];
      if (payload === undefined || expires === undefined || sent === undefined)
        return { ok: false, why: 'forged' };
      // Compared as text: as bytes, four different last characters decode to the same mac.
      if (!timingSafeEqual(Buffer.from(sent), Buffer.from(mac(`${payload}.${expires}`))))
        return { ok: false, why: 'forged' };
      const expiresAt = Number.parseInt(expires, 36) * 1000;
      if (now() >= expiresAt) return { ok: false, why: 'expired' };
      return { ok: true, payload: Buffer.from(payload, 'base64url').toString('utf8'), expiresAt };
    },
  };
}
