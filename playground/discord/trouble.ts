/** Faults on demand, to watch how the bot survives them. */
export type TroubleKind = '429' | '500' | 'hang' | 'reset' | 'lost-answer' | 'slow' | 'late';

export interface TroubleRule {
  /** Matched against `METHOD /path` (the path without /api/v10, tokens included). */
  match?: RegExp | undefined;
  /** How many requests the rule spoils; 1 where left out, Infinity until removed. */
  times?: number;
  kind: TroubleKind;
  /** Seconds, for 429. */
  retryAfter?: number;
  /** Milliseconds until a slow request is answered, or until a late one is carried out, even if its sender has gone. */
  delayMs?: number;
}

export class TroubleList {
  private rules: (TroubleRule & { left: number })[] = [];

  add(rule: TroubleRule): () => void {
    const entry = { ...rule, left: rule.times ?? 1 };
    this.rules.push(entry);
    return () => {
      this.rules = this.rules.filter((r) => r !== entry);
    };
  }
  clear(): void {
    this.rules = [];
  }
  list(): { kind: TroubleKind; match: string; left: number }[] {
    return this.rules.map((r) => ({ kind: r.kind, match: r.match?.source ?? '', left: r.left }));
  }
  /** The first rule that this request meets, used up by one. */
  take(method: string, path: string): TroubleRule | undefined {
    const rule = this.rules.find((r) => r.left > 0 && (!r.match || r.match.test(`${method} ${path}`)));
    if (!rule) return undefined;
    rule.left--;
    if (rule.left <= 0) this.rules = this.rules.filter((r) => r !== rule);
    return rule;
  }
}
