import { formatBytes, formatSeconds } from './formatUnits.ts';

interface Screen {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

/** One line that is overwritten: share, bar, bytes, speed, time left. Silent where the output is no terminal. */
export function openBar(screen: Screen, now: () => number = () => performance.now()) {
  const started = now();
  let first: number | undefined;
  let shown = Number.NEGATIVE_INFINITY;
  const line = (label: string, done: number, total: number): string => {
    const share = total === 0 ? 1 : done / total;
    const seconds = (now() - started) / 1000;
    const speed = seconds > 0.5 ? (done - (first ?? 0)) / seconds : 0;
    const left = speed > 0 && done < total ? `, ${formatSeconds((total - done) / speed)} left` : '';
    const full = Math.round(share * 24);
    const text =
      `${String(Math.floor(share * 100)).padStart(3)} % ${'█'.repeat(full)}${'░'.repeat(24 - full)} ` +
      `${formatBytes(done)} of ${formatBytes(total)}${speed > 0 ? `, ${formatBytes(Math.round(speed))}/s` : ''}${left}  ${label}`;
    return text.slice(0, Math.max(20, (screen.columns ?? 100) - 1));
  };
  return {
    show(label: string, done: number, total: number): void {
      first ??= done;
      if (!screen.isTTY || (now() - shown < 100 && done < total)) return;
      shown = now();
      screen.write(`\r\u001b[K${line(label, done, total)}`);
    },
    end(): void {
      if (screen.isTTY && shown > Number.NEGATIVE_INFINITY) screen.write('\r\u001b[K');
    },
  };
}
