// s3rver with a key of the test's own: node s3rverServer.mjs HOST PORT FOLDER BUCKET ACCESS SECRET
import { createHash, randomUUID } from 'node:crypto';
import { mkdir, rename, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import S3rver from 's3rver';
import account from 's3rver/lib/models/account.js';
import FilesystemStore from 's3rver/lib/stores/filesystem.js';

// S3 never shows half an object, nor a mixture of two; s3rver writes into the object's file while others do or read.
FilesystemStore.prototype.putObject = async function putObject({ bucket, key, content, metadata }) {
  const bytes = Buffer.isBuffer(content) ? content : await buffer(content);
  const path = this.getResourcePath(bucket, key, 'object');
  const whole = join(this.rootDirectory, `.${randomUUID()}`);
  await writeFile(whole, bytes);
  await mkdir(dirname(path), { recursive: true });
  await rename(whole, path);
  const md5 = createHash('md5').update(bytes).digest('hex');
  await this.putMetadata(bucket, key, metadata, md5);
  return { size: bytes.length, md5 };
};

const [address, port, directory, bucket, access, secret] = process.argv.slice(2);
account.DUMMY_ACCOUNT.createKeyPair(access, secret);
const options = {
  address,
  port: Number(port),
  directory,
  silent: true,
  configureBuckets: [{ name: bucket }],
};
await new S3rver(options).run();
console.log('listening');
