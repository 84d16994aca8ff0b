// s3rver with a key of the test's own: node s3rverServer.mjs HOST PORT FOLDER BUCKET ACCESS SECRET
import S3rver from 's3rver';
import account from 's3rver/lib/models/account.js';

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
