import type { Clock } from './clock.ts';

const DISCORD_EPOCH = 1420070400000;

/** 17-19 digits, time in the upper 42 bits, as Discord makes them; strictly increasing within one process. */
export function snowflakes(clock: Clock): () => string {
  let lastTime = 0;
  let sequence = 0;
  return () => {
    const time = Math.max(clock.now() - DISCORD_EPOCH, lastTime);
    sequence = time === lastTime ? sequence + 1 : 0;
    // 22 bits hold worker, process and increment; spilling into the next millisecond keeps the order.
    if (sequence >= 1 << 22) {
      lastTime = time + 1;
      sequence = 0;
    } else lastTime = time;
    return ((BigInt(lastTime) << 22n) | BigInt(sequence)).toString();
  };
}

export function snowflakeTime(id: string): number {
  return Number(BigInt(id) >> 22n) + DISCORD_EPOCH;
}
