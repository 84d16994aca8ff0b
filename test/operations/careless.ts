/** Writes down what it should not, for logs.test.ts. */
const { HF_TOKEN, REDIS_URL, SAYS } = process.env;
console.log(HF_TOKEN);
console.error(`at ${new URL(REDIS_URL ?? '').password}`);
console.log(SAYS);
console.log('a fox in the snow');
console.log('nothing');
