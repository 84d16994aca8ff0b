import { expect, it } from 'vitest';
import { readFree } from '../../../worker/process/deviceMemory.ts';
import { openGate } from '../../../worker/process/modelGate.ts';

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

it('lets in questions to as many models as fit, in the order in which they came', async () => {
  const gate = openGate(2);
  const order: string[] = [];
  const enter = async (model: string): Promise<() => void> => {
    const leave = await gate.enter(model);
    order.push(model);
    return leave;
  };
  const [a, b] = [await enter('a'), await enter('b')];
  const c = enter('c');
  const again = enter('a');
  await turn();
  expect(order).toEqual(['a', 'b']); // the second question to "a" does not overtake "c"
  b();
  await c;
  await again;
  expect(order).toEqual(['a', 'b', 'c', 'a']);
  a();
  a(); // leaving twice is leaving once
  expect(gate.busy('a')).toBe(true);
  (await again)();
  expect(gate.busy('a')).toBe(false);
});

it('lets one be alone: it waits for all who are in, and goes before all who wait', async () => {
  const gate = openGate(1);
  const order: string[] = [];
  const first = await gate.enter('a');
  const second = await gate.enter('a');
  const waiting = gate.enter('b').then((leave) => {
    order.push('b');
    leave();
  });
  const alone = gate.enter('a', { alone: true }).then((leave) => {
    order.push('alone');
    return leave;
  });
  first();
  await turn();
  expect(order).toEqual([]);
  second();
  const leave = await alone;
  const late = gate.enter('a').then((done) => {
    order.push('late');
    done();
  });
  await turn();
  expect(order).toEqual(['alone']);
  leave();
  await Promise.all([waiting, late]);
  expect(order).toEqual(['alone', 'b', 'late']);
});

it('forgets who is stopped while waiting, and lets in whoever stood behind', async () => {
  const gate = openGate(1);
  const leave = await gate.enter('a');
  const abort = new AbortController();
  const stopped = gate.enter('b', { signal: abort.signal });
  const behind = gate.enter('a');
  abort.abort();
  await expect(stopped).rejects.toMatchObject({ code: 'aborted' });
  (await behind)();
  leave();
  await expect(gate.enter('b', { signal: abort.signal })).rejects.toMatchObject({ code: 'aborted' });
});

it('reads the free memory out of what nvidia-smi prints', () => {
  expect(readFree('23028\n')).toBe(23028 * 2 ** 20);
  expect(readFree('[N/A]\n')).toBeUndefined();
  expect(readFree(undefined)).toBeUndefined();
});
