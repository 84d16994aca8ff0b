/** `[=====>    ] 12/29 steps  3.4 s` on a terminal; silent elsewhere. */
export interface ProgressBar {
  update(step: number, steps: number): void;
  done(): void;
}

const WIDTH = 30;

export function openProgressBar(stream: NodeJS.WriteStream = process.stderr): ProgressBar {
  if (!stream.isTTY) return { update: () => undefined, done: () => undefined };
  const began = performance.now();
  return {
    update: (step, steps) => {
      const filled = Math.round((step / steps) * WIDTH);
      const bar = `${'='.repeat(Math.max(0, filled - 1))}${filled > 0 ? '>' : ''}`.padEnd(WIDTH);
      const seconds = ((performance.now() - began) / 1000).toFixed(1);
      stream.write(`\r[${bar}] ${step}/${steps} steps  ${seconds} s `);
    },
    done: () => void stream.write('\r\u001b[K'),
  };
}
