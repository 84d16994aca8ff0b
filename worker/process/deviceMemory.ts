import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

/**
 * Free memory, in bytes, of the NVIDIA GPU that ONNX Runtime uses: the first of CUDA_VISIBLE_DEVICES. undefined
 * without such a GPU or `nvidia-smi`; other makers' devices have no common way to ask.
 */
export async function freeDeviceMemory(): Promise<number | undefined> {
  const device = (process.env.CUDA_VISIBLE_DEVICES ?? '0').split(',')[0] || '0';
  const args = ['--query-gpu=memory.free', '--format=csv,noheader,nounits', '-i', device];
  const answer = await promisify(execFile)('nvidia-smi', args, { timeout: 10_000 }).catch(() => undefined);
  return readFree(answer?.stdout);
}

/** nvidia-smi answers in MiB, one line a device. */
export function readFree(text: string | undefined): number | undefined {
  const mib = /^\s*(\d+)\s*$/m.exec(text ?? '')?.[1];
  return mib === undefined ? undefined : Number(mib) * 2 ** 20;
}
