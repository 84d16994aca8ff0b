import { DataSet, type EnglishProfaneWord, englishDataset, parseRawPattern } from 'obscenity';

/**
 * Refused words by rule. The English list is that of `obscenity` (MIT, words of the `cuss` project), sorted
 * by what a word would make of a picture; where its pattern also meets birds, towns or levees, ours stands
 * instead. Swear words paint nothing and are allowed; a server may add its own words.
 */
export type WordRule = 'slurs' | 'sexual' | 'gore' | 'minors';

/** `ours`: replaced below; `free`: says nothing about a picture, or means a duck, a dyke or a donkey. */
const sorted = {
  abeed: 'slurs',
  abo: 'free',
  africoon: 'slurs',
  anal: 'ours',
  anus: 'ours',
  arabush: 'slurs',
  arse: 'free',
  ass: 'free',
  bastard: 'free',
  bestiality: 'sexual',
  bitch: 'free',
  blowjob: 'sexual',
  bollocks: 'free',
  boob: 'ours',
  boonga: 'slurs',
  buttplug: 'sexual',
  chingchong: 'slurs',
  chink: 'ours',
  cock: 'ours',
  cuck: 'free',
  cum: 'ours',
  cunt: 'sexual',
  deepthroat: 'sexual',
  dick: 'ours',
  dildo: 'sexual',
  doggystyle: 'sexual',
  'double penetration': 'sexual',
  dyke: 'free',
  ejaculate: 'sexual',
  fag: 'ours',
  felch: 'sexual',
  fellatio: 'sexual',
  'finger bang': 'sexual',
  fisting: 'sexual',
  fuck: 'ours',
  gangbang: 'sexual',
  handjob: 'sexual',
  hentai: 'sexual',
  hooker: 'free',
  incest: 'sexual',
  'jerk off': 'sexual',
  jizz: 'sexual',
  kike: 'ours',
  lubejob: 'sexual',
  masturbate: 'sexual',
  negro: 'ours',
  nigger: 'slurs',
  orgasm: 'sexual',
  orgy: 'sexual',
  penis: 'sexual',
  piss: 'free',
  porn: 'sexual',
  prick: 'free',
  pussy: 'sexual',
  rape: 'ours',
  retard: 'ours',
  scat: 'free',
  semen: 'ours',
  sex: 'sexual',
  shit: 'free',
  slut: 'sexual',
  spastic: 'slurs',
  tit: 'ours',
  tranny: 'slurs',
  turd: 'free',
  twat: 'free',
  vagina: 'sexual',
  wank: 'sexual',
  whore: 'sexual',
} as const satisfies Record<EnglishProfaneWord, WordRule | 'ours' | 'free'>;

const split = (text: string): string[] =>
  text
    .split(',')
    .map((word) => word.trim())
    .filter(Boolean);

/** `|` is a word's edge. */
const added: Record<WordRule, string[]> = {
  slurs: split(`
    |chink|, |chinks|, |fag|, |fags|, faggot, |kike|, |kikes|, |negroes|, |retard|, |retards|,
    |retarded|, |gook|, |gooks|, |spic|, |spics|, |wetback, |raghead, |towelhead, |paki|, |pakis|,
    |beaner|, |beaners|, |tau khua|
  `),
  sexual: split(`
    |anal|, |anus|, |boob|, |boobs|, |boobies|, |cock|, |cocks|, |cocksuck, |cum|, |cums|, |cumming|,
    |cumshot, |dick|, |dicks|, |dickpic, fuck, |fck|, |fcking, |fuk|, |fuking, |rape|, |raped|,
    |rapes|, |raping|, |rapist, |semen|, |tit|, |tits|, |titties|, |titty|, |tiddies|, |nude|, |nudes|,
    |nudity, |naked, |nsfw, |topless|, |erotic, nipple, |genital, |areola, |clitoris|, |vulva|,
    |hardcore sex, |sexual|, |pornographic, |bukkake, |creampie|, |bondage|, |bdsm|, |futanari,
    |ecchi|, |shemale, |undress, |unclothed|, |disrob, |striptease, |strip tease, |bare breast,
    |exposed breast, |bare bottom|, |bare butt, |birthday suit|, |skinny dip, |nudist|, |nudists|,
    |nudism|, |upskirt, |braless|, |pantyless|, |clotheless|, |clothesless|, |lewd|, |lewdly|, |lewdness|,
    |pron|, |wearing nothing|, |wears nothing|, |rule34|, |rule 34|, |r34|, |khieu dam|, |thu dam|,
    |khoa than|, |hiep dam|, |phim sex|, |khong mac gi|
  `),
  gore: split(`
    |gore|, |gory|, |guro|, |decapitat, |behead, |dismember, |disembowel, |eviscerat, |entrails|,
    |mutilat, |severed head, |severed limb, |severed hand, |severed arm, |severed leg, |slit throat,
    |slit wrist, |slitting wrist, |self harm, |selfharm, |snuff film, |blood and guts|,
    |chat dau nguoi|
  `),
  minors: split(`
    |loli|, |lolis|, |lolicon, |shota|, |shotas|, |shotacon, |jailbait, |pedophil, |paedophil, |pedo|,
    |child porn, |kiddie porn, |cunny|
  `),
};

/** A place, a bird, a plant, a name: a match inside one of these is none. */
const innocent = split(`
    pussycat, pussy cat, pussy willow, pussy riot, pussyfoot, penistone, food porn, foodporn,
    earth porn, earthporn, sex pistols, same sex, same-sex, sex and the city, wankel, niggard,
    coal tit, blue tit, great tit, marsh tit, willow tit, crested tit, tailed tit, bearded tit,
    japanese tit, varied tit, penduline tit, azure tit, coal tits, blue tits, tailed tits, bearded tits,
    crested tits, marsh tits, willow tits, tit bird, tit-bit, titbit, tit for tat, weather cock, cock crow,
    cock robin, cock pheasant, game cock, fighting cock, cock fight, cocks fighting, cock of the rock,
    cock-of-the-rock, cocks comb, dick tracy, moby dick, moby-dick, philip k dick, philip k. dick,
    dick van dyke, dick whittington, dick turpin, dick grayson, dick cheney, dick clark, dick francis,
    dick dastardly, dick bruna, cum laude, rape seed, rape field, oilseed rape, rape flower, rape blossom,
    naked mole, naked eye, naked tree, naked branch, naked cake, naked bike, chink in, chinks in,
    chink of light, chinks of light, gore tex, gore-tex, gore vidal, nude lipstick, nude heels, nude color,
    nude colour, nude palette, nude makeup, nude nail, pornic, hentaigana, undressed salad,
    undressed stone, undressed timber, undressed lumber, undressed wood, undressed leather, undressed wall
  `);

/**
 * Vietnamese with its marks. Without them most are other words ("buổi", "lớn"); what is plain without marks
 * stands above. Both ways to set a tone are listed where they differ;
 * each is a piece of a regular expression.
 */
export const vietnamese: Record<WordRule, readonly string[]> = {
  slurs: split(`tàu khựa, khựa, thằng mọi, bọn mọi, lũ mọi, bê đê, pê đê, bóng lộ, đồ mọi rợ`),
  sexual: split(`
    khỏa thân, khoả thân, lõa thể, loã thể, trần truồng, cởi truồng, khiêu dâm, làm tình(?! nguyện), tình dục,
    thủ dâm, hiếp dâm, cưỡng hiếp, loạn luân, dâm đãng, dâm dục, dâm ô, dương vật, âm đạo, âm hộ,
    núm vú, lồn, buồi, cặc, địt, đụ, bú cu, vếu, gái điếm, con đĩ, phim con heo, không mảnh vải,
    (?:không|chẳng|chưa) mặc gì, cởi (?:hết )?(?:quần|áo|đồ)
  `),
  gore: split(`
    máu me, chặt đầu, chém đầu, đầu lìa khỏi cổ, moi ruột, lòi ruột, phanh thây, phân thây, cắt cổ,
    rạch tay, cắt cổ tay
  `),
  minors: split(`ấu dâm`),
};

const anyOf = (text: string): string => split(text).join('|');

/** Clothes: leaving them out undresses the person of the picture. Each is a piece of a regular expression. */
const CLOTHES = anyOf(`
  cloth(?:es|ing|ed), dressed, garments?, attire, apparel, outfits?, under(?:wear|garments?|pants), undies,
  pant(?:y|ies), knickers, lingerie, bras?, bikinis?, swim(?:suits?|wear), thongs?, quan ao, do lot
`);
/** An adult may go without one of these; a picture of a child needs none of them left out. */
const PIECES = anyOf(`
  dress(?:es)?(?! codes?), t?[ -]?shirts?, pants, trousers, skirts?, shorts, jeans, blouses?, leggings, tights,
  pyjamas, pajamas, diapers?, briefs
`);
/** Adjectives that leave out some clothes and keep others: `--no modern clothing`. */
const WHICH = anyOf(`
  modern, contemporary, western, eastern, traditional, historical, medieval, formal, casual, fancy, dirty,
  ragged, torn, ripped, wrinkled, wet, winter, summer, heavy, baggy, colou?rful, bright, dark, extra, floating,
  hanging, scattered, messy
`);
const VI_CLOTHES = 'quần áo|áo quần|y phục|trang phục|đồ lót|quần lót|áo lót|áo ngực|áo tắm|đồ bơi';

/** Patterns for words behind `--no` or with a negative weight. */
export const leftOut = {
  clothes: new RegExp(`(?<!\\b(?:${WHICH}) )\\b(?:${CLOTHES})\\b`),
  anyClothes: new RegExp(`\\b(?:${CLOTHES}|${PIECES})\\b`),
  clothesVi: new RegExp(`(?<![\\p{L}\\p{M}])(?:${VI_CLOTHES})(?![\\p{L}\\p{M}])`, 'u'),
  anyClothesVi: new RegExp(`(?<![\\p{L}\\p{M}])(?:${VI_CLOTHES}|quần|váy|áo)(?![\\p{L}\\p{M}])`, 'u'),
  /** Words for adults: leaving them out of something sexual leaves children. */
  adults:
    /\b(?:adults?(?! (?:content|themes?|material|films?|videos?))|grown[\s-]?(?:up|wom[ae]n|m[ae]n)s?)\b/,
};

const WITHOUT =
  '\\b(?:no|without|zero|minus|lacking|not(?: wearing| in)?|barely|half|remov(?:es?|ed|ing)(?: off)?|' +
  '(?:tak|tear|rip|slip|peel|pull|strip)(?:s|es|ing|ping|ped) (?:off|of)|(?:took|tore) off|khong(?: mac)?)' +
  '[\\s-]+(?:(?:any|a|all|her|his|their|the|my|your|its|more|wearing|single)\\s+){0,3}';
/** Contexts in which missing clothes undress nobody: a washing line, a floor, a shop. */
const ELSEWHERE =
  '(?! ?(?:lines?|pegs?|pins?|racks?|shops?|stores?|moths?)\\b)' +
  '(?! (?:(?:hanging|drying|left|lying) )?(?:on|in) (?:the |a )?(?:(?:washing |clothes )?line|floor|bed|rack|' +
  'hangers?|shel(?:f|ves)|wardrobe|closet|shop|store)\\b)';
/** Patterns for clothes left out in words: "without clothes". */
export const without = {
  clothes: new RegExp(`${WITHOUT}(?:${CLOTHES})\\b${ELSEWHERE}`),
  piece: new RegExp(`${WITHOUT}(?:${PIECES})\\b`),
  clothesVi: new RegExp(
    `(?<![\\p{L}\\p{M}])(?:không|chẳng|chưa) (?:mặc |có |mang )?(?:${VI_CLOTHES}|quần|áo)(?![\\p{L}\\p{M}])`,
    'u',
  ),
};

/** Words allowed of an adult; beside a child they count as `sexual`. */
export const WITH_CHILD =
  /\b(?:lingerie|panty|panties|g-strings?|fishnet (?:stockings?|tights)|seductive\w*|sensual\w*|cleavage|busty|voluptuous|horny(?! (?:toad|lizard|goat))|spread legs|legs spread|sexuali[sz]ed)\b/;

/** Words that are refused also in two halves ("nu de"); "pen is" or "hen tai chi" is ambiguous. */
const HALVED = split('nude, nudes, nudity, naked, porn, nsfw, fuck, pussy, vagina, nipples, unclothed');
const halves = (word: string): string[] =>
  Array.from({ length: word.length - 1 }, (_, i) => `${word.slice(0, i + 1)} ${word.slice(i + 1)}`);
export const IN_HALVES = new RegExp(`\\b(?:${HALVED.flatMap(halves).join('|')})\\b`);

const AGES = anyOf(`
  one, two, three, four, five, six, seven, eight, nine, ten, eleven, twelve, thirteen, fourteen, fifteen,
  sixteen, seventeen
`);
const CHILDREN = anyOf(`
  child, kids?, bab(?:y|ies), toddlers?, infants?, newborn, underage[d]?, juveniles?, youngsters?, preteens?,
  pre-teens?, tweens?, teens?, teenage[rd]?s?, adolescen, (?:pre)?pubescent, school[ -]?(?:girl|boy|kid|child),
  (?:elementary|primary|middle|grade|high)[ -]?school, junior high, minors?, kindergarten,
  (?:little|lil|young|smol) (?:girl|boy|sister|brother|one)s?, under ?18\\b, aged? (?:[0-9]|1[0-7])\\b,
  (?:[0-9]|1[0-7])[\\s-]*(?:years?|yrs?|yo|y\\/o)\\b, (?:${AGES})[\\s-]+years?[\\s-]+old
`);
/** With a word of the rule `sexual` beside one of these, no channel and no setting lets a prompt pass. */
export const CHILD = new RegExp(`\\b(?:${CHILDREN})`);
export const CHILD_VI =
  /(?<!\p{L})(?:trẻ em|trẻ con|em bé|bé (?:gái|trai)|học sinh|nữ sinh|thiếu nhi|thiếu niên|vị thành niên|(?:[0-9]|1[0-7]) tuổi)(?!\p{L})/u;

/** The same as obscenity's preset, so that patterns of ours meet text that was collapsed like this. */
export const THRESHOLDS = new Map([
  ['b', 2],
  ['e', 2],
  ['o', 2],
  ['l', 2],
  ['s', 2],
  ['g', 2],
]);

const collapse = (word: string): string =>
  word.replace(/([a-z])\1+/g, (run, letter: string) =>
    letter.repeat(Math.min(run.length, THRESHOLDS.get(letter) ?? 1)),
  );

/** Every phrase with the rule it falls under. */
export function wordList(): DataSet<{ rule: WordRule }> {
  const list = new DataSet<{ rule: WordRule }>();
  for (const [word, rule] of Object.entries(sorted)) {
    if (rule === 'ours' || rule === 'free') continue;
    const only = new DataSet<{ originalWord: EnglishProfaneWord }>()
      .addAll(englishDataset)
      .removePhrasesIf(({ metadata }) => metadata?.originalWord !== word)
      .build();
    list.addPhrase((phrase) => {
      phrase.setMetadata({ rule });
      for (const { pattern } of only.blacklistedTerms ?? []) phrase.addPattern(pattern);
      for (const term of only.whitelistedTerms ?? []) phrase.addWhitelistedTerm(term);
      return phrase;
    });
  }
  for (const [rule, patterns] of Object.entries(added) as [WordRule, string[]][])
    for (const raw of patterns)
      list.addPhrase((phrase) => phrase.setMetadata({ rule }).addPattern(parseRawPattern(collapse(raw))));
  list.addPhrase((phrase) => {
    for (const term of innocent) phrase.addWhitelistedTerm(term);
    return phrase;
  });
  return list;
}
