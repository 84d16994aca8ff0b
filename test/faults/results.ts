import { readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Reporter, TestModule } from 'vitest/node';
import { PAGE, type RowTest, writeTable } from './table.ts';

/**
 * With UPDATE_DOCS=1 (vitest.config.ts) every run of tests writes into docs/reliability.md what came of those that
 * name a row; what was not run keeps what the table says.
 */
const tests = resolve(import.meta.dirname, '..');

interface Ended {
  file: string;
  /** The whole name, each case of several its own. */
  name: string;
  state: 'passed' | 'failed' | 'skipped' | 'pending';
  /** Why it was skipped; undefined also where nobody asked for it, by `-t` for example. */
  note: string | undefined;
}

/** @returns `passed`, `passed, 4 cases`, `failed`, `skipped: why`; undefined where it was not run */
export function resultOf({ file, name }: RowTest, ended: readonly Ended[]): string | undefined {
  const parts = name.split(/%[sdifjo]/).map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
  const pattern = new RegExp(`^row \\d+: ${parts.join('[\\s\\S]*')}$`);
  const own = ended.filter((one) => join(tests, file) === one.file && pattern.test(one.name));
  if (own.some(({ state }) => state === 'failed')) return 'failed';
  const skipped = own.find(({ state, note }) => state === 'skipped' && note);
  if (skipped) return `skipped: ${skipped.note}`;
  const passed = own.filter(({ state }) => state === 'passed').length;
  if (passed === 0) return undefined;
  return passed === 1 ? 'passed' : `passed, ${passed} cases`;
}

export default class Results implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const ended = modules.flatMap(({ moduleId, children }) =>
      [...children.allTests()].map((test): Ended => {
        const result = test.result();
        const note = result.state === 'skipped' ? result.note : undefined;
        return { file: moduleId, name: test.name, state: result.state, note };
      }),
    );
    writeFileSync(
      PAGE,
      writeTable(readFileSync(PAGE, 'utf8'), (test) => resultOf(test, ended)),
    );
  }
}
