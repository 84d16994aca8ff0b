import { createHmac, hkdfSync } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { openLinkSigner } from '../../../shared/service/signedLink.ts';

const SECRET = 'a bot token of some length';
const MINUTE = 60_000;

test('a link comes back as it was signed, until its time', () => {
  let now = 1_700_000_000_000;
  const links = openLinkSigner(SECRET, 'mask', () => now);
  const link = links.sign('{"job":"123","index":2} ảnh 🎨', now + 15 * MINUTE);
  expect(link).toMatch(/^[\w.-]+$/);
  expect(encodeURIComponent(link)).toBe(link);
  expect(links.verify(link)).toEqual({
    ok: true,
    payload: '{"job":"123","index":2} ảnh 🎨',
    expiresAt: now + 15 * MINUTE,
  });
  now += 15 * MINUTE - 1;
  expect(links.verify(link).ok).toBe(true);
  now += 1;
  expect(links.verify(link)).toEqual({ ok: false, why: 'expired' });
});

test('the mac is the HMAC-SHA-256 of what stands before it, under a key derived for the purpose', () => {
  const link = openLinkSigner(SECRET, 'mask', () => 0).sign('hello', 1_700_000_000_000);
  const key = Buffer.from(hkdfSync('sha256', SECRET, '', 'dreamgrid link mask', 32));
  const text = `${Buffer.from('hello').toString('base64url')}.${(1_700_000_000).toString(36)}`;
  expect(link).toBe(`${text}.${createHmac('sha256', key).update(text).digest('base64url')}`);
});

test('any change of a link is forged, and so is a link of another purpose or secret', () => {
  const links = openLinkSigner(SECRET, 'mask', () => 0);
  const link = links.sign('123', MINUTE);
  expect(openLinkSigner(SECRET, 'download', () => 0).verify(link)).toEqual({ ok: false, why: 'forged' });
  expect(openLinkSigner(`${SECRET}!`, 'mask', () => 0).verify(link)).toEqual({ ok: false, why: 'forged' });
  for (let i = 0; i < link.length; i += 1) {
    for (const other of ['A', 'B', 'h', '.', '~'].filter((letter) => letter !== link[i])) {
      const changed = link.slice(0, i) + other + link.slice(i + 1);
      expect(links.verify(changed), changed).toEqual({ ok: false, why: 'forged' });
    }
  }
});

test('a later time written over the old one is forged, not accepted', () => {
  const links = openLinkSigner(SECRET, 'mask', () => 2 * MINUTE);
  const [payload, , mac] = links.sign('123', MINUTE).split('.');
  expect(links.verify(`${payload}.zzzzzz.${mac}`)).toEqual({ ok: false, why: 'forged' });
});

test('whatever is signed is read back, whatever is typed is forged', () => {
  const links = openLinkSigner(SECRET, 'mask', () => 0);
  fc.assert(
    fc.property(
      fc.string({ unit: 'grapheme', maxLength: 300 }),
      fc.integer({ min: 1, max: 4e12 }),
      (text, at) => {
        expect(links.verify(links.sign(text, at))).toEqual({
          ok: true,
          payload: text,
          expiresAt: Math.ceil(at / 1000) * 1000,
        });
      },
    ),
  );
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 200 }), (text) => {
      expect(links.verify(text)).toEqual({ ok: false, why: 'forged' });
    }),
  );
});

test('a short secret, a long payload and a time that is none are refused at once', () => {
  expect(() => openLinkSigner('short', 'mask')).toThrow(RangeError);
  const links = openLinkSigner(SECRET, 'mask', () => 0);
  expect(() => links.sign('x'.repeat(4097), MINUTE)).toThrow(RangeError);
  expect(links.verify(links.sign('x'.repeat(4096), MINUTE)).ok).toBe(true);
  for (const at of [Number.NaN, -1000, Number.POSITIVE_INFINITY])
    expect(() => links.sign('x', at)).toThrow(RangeError);
});
