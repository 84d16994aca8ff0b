import { connect, createServer, type Socket } from 'node:net';

/** What the proxy does with connections: carry, refuse new ones, cut, swallow every byte, or delay. */
export type ProxyMode = 'pass' | 'refuse' | 'reset' | 'blackhole';

export interface FaultProxy {
  port: number;
  mode: ProxyMode;
  /** Where new connections lead; old ones stay where they are, as behind the stable name of a failover. */
  target: number;
  /** Changes the mode; `reset` and `refuse` also cut what is open. */
  set(mode: ProxyMode): void;
  /**
   * Cuts the connection whose next bytes to the target hold `pattern`, and refuses new ones until `set`.
   * @param when `before` the target has seen them, or `after` it has answered them, the answer lost
   * @returns when it was cut
   */
  cutAt(pattern: RegExp, when: 'before' | 'after'): Promise<void>;
  close(): Promise<void>;
}

/** A TCP proxy in front of `127.0.0.1:target` that fails on command. */
export async function startProxy(target: number): Promise<FaultProxy> {
  const pairs = new Set<[Socket, Socket]>();
  let cut: { pattern: RegExp; when: 'before' | 'after'; done(): void } | undefined;
  const proxy: FaultProxy = {
    port: 0,
    cutAt: (pattern, when) =>
      new Promise((done) => {
        cut = { pattern, when, done };
      }),
    mode: 'pass',
    target,
    set: (mode) => {
      proxy.mode = mode;
      if (mode === 'reset' || mode === 'refuse')
        for (const [near, far] of pairs) {
          near.resetAndDestroy();
          far.destroy();
        }
      // A blackhole keeps its sockets for ever silent, as a cut cable does; they stay so after 'pass'.
    },
    close: () =>
      new Promise((resolve) => {
        for (const pair of pairs) for (const socket of pair) socket.destroy();
        server.close(() => resolve());
      }),
  };
  const server = createServer((near) => {
    if (proxy.mode === 'refuse' || proxy.mode === 'reset') return void near.resetAndDestroy();
    const far = connect(proxy.target, '127.0.0.1');
    const pair: [Socket, Socket] = [near, far];
    pairs.add(pair);
    let silent = proxy.mode === 'blackhole';
    const carry = (to: Socket) => (bytes: Buffer) => {
      silent ||= proxy.mode === 'blackhole';
      if (!silent) to.write(bytes);
    };
    const toFar = carry(far);
    near.on('data', (bytes) => {
      if (!cut?.pattern.test(bytes.toString('latin1'))) return toFar(bytes);
      const { when, done } = cut;
      cut = undefined;
      const end = (): void => {
        proxy.set('refuse');
        done();
      };
      if (when === 'before') return end();
      far.removeAllListeners('data').once('data', end);
      toFar(bytes);
    });
    far.on('data', carry(near));
    for (const socket of pair) {
      socket.on('error', () => undefined);
      socket.on('close', () => {
        pairs.delete(pair);
        if (!silent) for (const other of pair) other.destroy();
      });
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  proxy.port = typeof address === 'object' && address ? address.port : 0;
  return proxy;
}
