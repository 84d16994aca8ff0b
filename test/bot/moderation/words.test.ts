import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Policy, refusedBy } from '../../../bot/moderation/index.ts';
import { brokenRules } from '../../../bot/moderation/match.ts';
import { normalise } from '../../../bot/moderation/normalise.ts';
import { parsePrompt } from '../../../shared/prompt/index.ts';

const lines = (text: string): string[] =>
  text
    .split('\n')
    .map((line) => line.trim())
    .filter(Boolean);

describe('what is no match', () => {
  it.each(
    lines(`
    Scunthorpe town hall at dusk
    cockpit of a fighter jet
    a cottage in Essex, Sussex and Middlesex
    a bunch of grapes, grapefruit, raspberries
    an assassin on a roof
    Dick Tracy comic panel
    Moby Dick, the white whale
    Dick Van Dyke dancing on a roof
    a great tit and two blue tits, a titmouse
    blue-footed booby on a rock
    kung fu master, Fukushima, Fukuoka
    a peacock, a cockatoo, a cocker spaniel
    cocktail with (umbrella:1.2), [ice]
    an Assyrian relief, an analog camera, a canal in Venice
    Titian painting of Uranus, Janus and Oceanus
    a bastard sword, shiitake mushrooms, a cuckoo clock
    cumulus clouds over a cucumber field, cumin seeds
    documentary photo, 35mm, f1.4, 8k, 4k hdr, 1970s, R2-D2
    a rapeseed field in bloom, a field of oilseed rape
    skyscraper, drapery study, a therapist
    a Maine Coon cat and raccoons
    pussycat in a hat, pussy willow branches
    a chink of light, a chink in the armour
    Nigeria, the Niger delta, a niggardly king
    Montenegro coast, un gato negro, Rio Negro
    a fire retardant suit, a dyke in Holland
    scat singer, Wankel engine, swanky hotel
    constitution, competition, titanic, petite, stitch
    porcelain doll, popcorn, corn field, gasmask
    naked mole-rat, gore-tex boots, a gorgeous fjord, category
    blood moon, bloodhound, blood orange
    push-it, class-action, as-semble, mass effect, grass, compass
    sci-fi, lo-fi, u-boat, k-pop, rock'n'roll, o'clock, b/w photo
    H.R. Giger, J.R.R. Tolkien, the U.S.A. map, N. Y. C. at night
    an a s t r o n a u t, G U A R D
    Pakistan spice market, a spick and span kitchen, auspicious
    lollipop, a shotgun house, torpedo, pedometer, minor third
    sperm whale, asexual flag, same-sex wedding, Sex Pistols poster
    a teenage witch, children in a park, a baby and kids
    Åbo castle, Pornic harbour, hentaigana, nudibranch, specchio
    Phuket beach, Arsenal stadium, Lake Titicaca, Cumbria, Shih Tzu
    little girl with balloon, young girl with a pearl earring
    wearing a bikini, breastplate, robin redbreast
    сосна на берегу моря, рассвет над рекой
    猫が雪の中にいる, 一只狐狸, 고양이, αγάπη και ήλιος, ماء وسماء
    cụm hoa ly trắng, bệnh cúm mùa, nụ hoa để trên bàn
    buổi sáng trên biển lớn, quả bưởi, đủ màu sắc, đi chợ Tết
    làm tình nguyện viên, trái bóng lộng lẫy, mọi nhà, mọi đen tối
    người mẹ và em bé, học sinh đến trường, Thích Nhất Hạnh
  `),
  )('%s', (text) => {
    expect([...brokenRules(text)]).toEqual([]);
  });
});

describe('what is', () => {
  const sexual = `
    a nude woman
    NUDE
    nud3
    n u d e
    n.u.d.e woman
    nu.de
    n_u_d_e
    ｎｕｄｅ
    𝓃𝓊𝒹ℯ
    ոude
    пude
    nüdé
    n\u200bu\u200bd\u200be
    n\u00adude
    n̶u̶d̶e̶
    n\u{e0061}ude
    nuuuude
    ⓃⓤⓓⒺ
    🅽🆄🅳🅴
    ⁿᵘᵈᵉ
    p0rn
    p*rn
    s3x
    s.e.x.
    ѕех
    f*ck
    f u c k
    ʃṳ𝒸𝗄
    d!ck
    b00bs
    pu$$y
    bl0wjob
    blow-job
    cu-nt
    n s f w
    r4pe
    cô gái khoả thân
    KHỎA THÂN
    khoa than
    địt
    phim khiêu dâm`;
  it.each(lines(sexual))('sexual: %s', (text) => {
    expect([...brokenRules(text)]).toEqual(['sexual']);
  });
  it.each(
    lines(`gore
    g0re
    g o r e
    a decapitated man
    beheading
    a severed head
    real gore
    máu me đầy sàn
    chặt đầu`),
  )('gore: %s', (text) => {
    expect([...brokenRules(text)]).toEqual(['gore']);
  });
  it.each(
    lines(`nigger
    n1gg3r
    nіgger
    n i g g e r
    n*gger
    n.i.g.g.e.r
    f4ggot
    f@g
    r3tarded
    kike
    tàu khựa
    pê đê`),
  )('slur: %s', (text) => {
    expect([...brokenRules(text)]).toEqual(['slurs']);
  });
  it.each(
    lines(`loli
    l0li
    shota
    nude child
    naked teen girl
    a 12 year old, nude
    bé gái khỏa thân
    khỏa thân, 15 tuổi
    nude s c h o o l girl, kid
    ấu dâm`),
  )('minors: %s', (text) => {
    expect([...brokenRules(text)]).toContain('minors');
  });
});

describe("a server's own words", () => {
  const has = (text: string, ...own: string[]): boolean => brokenRules(text, own).has('own');

  it('whole, whatever the case, and behind digits, dots and look-alikes', () => {
    for (const text of ['a PIKACHU', 'p1k4chu', 'p.i.k.a.c.h.u', 'p i k a c h u', 'рikachu', 'pi\u200bkachu'])
      expect(has(text, 'Pikachu'), text).toBe(true);
    expect(has('pikachus', 'pikachu')).toBe(false);
    expect(has('pikachus', 'pikachu*')).toBe(true);
    expect(has('donald  trump tower', 'Donald Trump')).toBe(true);
    expect(has('a fox', '*', '**', ' ')).toBe(false);
  });

  it('with the marks it was written with', () => {
    expect(has('một cụm hoa', 'cụm')).toBe(true);
    expect(has('một cụm hoa', 'cum')).toBe(false);
  });

  it('means itself, whatever it is made of', () => {
    expect(has('a fox (night)', '(night)')).toBe(true);
    expect(has('aaa', 'a+')).toBe(false);
    fc.assert(
      fc.property(
        fc.string({ unit: 'grapheme', maxLength: 60 }),
        fc.string({ maxLength: 200 }),
        (word, text) => {
          brokenRules(text, [word]);
        },
      ),
    );
  });
});

describe('where a rule holds', () => {
  const wish = (prompt: string, negative = '', weight = 1) => ({
    prompt: negative ? `${prompt} --no ${negative}` : prompt,
    parts: [
      { text: 'a fox', weight: 1 },
      { text: prompt, weight },
    ],
    negative,
  });
  const everyone: Policy = { lists: true, adults: false, own: ['rutabaga'] };
  const adults: Policy = { ...everyone, adults: true };
  const off: Policy = { ...everyone, lists: false };

  it.each([
    ['sexual words', wish('a nude woman'), 'sexual', undefined, undefined],
    ['gore', wish('a severed head'), 'gore', undefined, undefined],
    ['a slur', wish('kike'), 'slurs', 'slurs', undefined],
    ['its own word', wish('rutabaga'), 'own', 'own', 'own'],
    ['minors', wish('nude child'), 'minors', 'minors', 'minors'],
    ['sexual words to leave out', wish('a statue', 'nudity, nsfw, gore'), undefined, undefined, undefined],
    ['sexual words with a negative weight', wish('nude', '', -0.5), undefined, undefined, undefined],
    ['a slur to leave out', wish('a statue', 'kike'), 'slurs', 'slurs', undefined],
    ['its own word to leave out', wish('a statue', 'rutabaga'), 'own', 'own', 'own'],
  ])('%s', (_, what, everywhere, amongAdults, without) => {
    expect(refusedBy(what, everyone)).toBe(everywhere);
    expect(refusedBy(what, adults)).toBe(amongAdults);
    expect(refusedBy(what, off)).toBe(without);
  });

  it('two parts of one prompt are read as one', () => {
    expect(
      refusedBy(
        {
          prompt: 'nude:: child::',
          parts: [
            { text: 'nude', weight: 1 },
            { text: 'child', weight: 1 },
          ],
          negative: '',
        },
        adults,
      ),
    ).toBe('minors');
  });
});

/** As it is typed, through the prompt's own parser. */
const ruleOf = (typed: string, policy: Policy): string | undefined => {
  const read = parsePrompt(typed);
  if (!read.ok) throw new Error(`${typed}: ${JSON.stringify(read.problems)}`);
  const [only] = read.prompts;
  if (!only) throw new Error(typed);
  return refusedBy({ prompt: only.text, parts: only.parts, negative: only.negative }, policy);
};

describe('what a wish leaves out', () => {
  const everyone: Policy = { lists: true, adults: false, own: [] };
  const freest: Policy = { lists: false, adults: true, own: [] };

  it.each(
    lines(`a little girl --no clothes
    a little girl:: clothes::-0.5
    a little girl --no c l o t h e s
    a little girl --no cl0thes, snow
    a little girl --no dirty clothes
    a little girl --no dress
    a toddler without a shirt
    a child -- no clothes
    a child —no clothes
    no panties little girl
    young girl --no b r a
    unclothed teen
    lewd child
    child in lingerie
    half-dressed teen
    nude c h i l d
    nude school girl
    twelve year old, naked
    nude woman --no adult
    bé gái --no áo
    bé gái không mặc quần áo`),
  )('%s: refused everywhere, whatever is switched off', (typed) => {
    expect(ruleOf(typed, everyone)).toBe('minors');
    expect(ruleOf(typed, freest)).toBe('minors');
  });

  it.each(
    lines(`a woman --no clothes
    a woman:: clothing::-0.5
    a woman --no bra
    a woman with no clothes on
    she is taking off her clothes
    a man stripped of his clothes
    a woman wearing nothing
    barely clothed woman
    undressing girl
    undressed
    a disrobing king
    nu de woman
    na ked man
    pr0n
    cô gái --no quần áo
    cô gái không mặc gì
    khong mac gi`),
  )('%s: sexual', (typed) => {
    expect(ruleOf(typed, everyone)).toBe('sexual');
    expect(ruleOf(typed, { ...everyone, adults: true })).toBeUndefined();
  });

  it.each(
    lines(`a clothes line
    undressed salad
    no clothes on the line
    laundry, no clothes left in the wardrobe
    an empty clothes shop, no clothes in the shop
    pants, shirts and a dress in a shop
    taking clothes to the laundry
    the emperor's new clothes
    nude lipstick
    a dressed stone wall, undressed timber
    salad dressing, an address book, a dressing table
    a child in winter clothes --no snow
    a little girl with a red dress --no text, watermark
    a boy without a hat
    a kid with no shoes on the beach
    kids in swimsuits at the pool
    a teen climbing a mountain, no rope
    a baby in a blanket --no hat
    children at a school with no dress code
    children without fear --no adult content
    a child and her mother --no nudity, nsfw, gore
    a child with a fishing net
    a horny toad baby
    a woman in a suit --no tie, hat, glasses
    a woman with no coat in the rain
    a portrait of a girl --no hands
    a medieval market --no modern clothing, cars
    a statue --no nudity, nsfw
    an empty street --no people, cars, adults
    pen is mightier than the sword, hen tai chi, menu de la maison
    a table top less cluttered, bare trees, bare feet
    em bé mặc áo ấm --no tuyết
    trẻ em chơi trong tuyết, không có mũ
    một cô gái mặc áo dài --no nón`),
  )('%s: painted', (typed) => {
    expect(ruleOf(typed, everyone)).toBeUndefined();
  });
});

describe('hostile text', () => {
  it.each([
    ['one letter', 'a'],
    ['single letters', 'ѕ '],
    ['dots', 'a.b-c*d '],
    ['stars', 'a*b*'],
    ['digits', '4@1 '],
    ['mathematical letters', '𝓃'],
    ['Vietnamese', 'cụm '],
    ['marks', 'n\u0336\u0336\u0336'],
    ['half words', 'nu de '],
    ['words of leaving out', 'no any a all '],
  ])('6,000 characters of %s are read in time', (_, piece) => {
    const text = piece.repeat(Math.ceil(6000 / piece.length));
    brokenRules('warm up');
    const began = process.cpuUsage();
    brokenRules(text);
    expect(process.cpuUsage(began).user / 1000).toBeLessThan(1_000);
  });

  it('never throws', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 300 }), (text) => {
        const { texts } = normalise(text);
        expect(texts.length).toBeGreaterThan(0);
        brokenRules(text);
      }),
      { numRuns: 500 },
    );
  });
});
