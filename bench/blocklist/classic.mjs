// The other side of bench/classic.py, as it is usually written: jose checks the token (signature, issuer, audience, times, the algorithm
// pinned), then Redis is asked whether its jti is on the blocklist. A worker of many short rounds, like sallyport.c beside it.
//
//   node classic.mjs FOLDER SOCKET
//
// A line of input is `MODULE MODE`; the answer is one line of JSON. MODULE: jose (the current one, on WebCrypto) or jose5 (the last one
// on Node's own crypto, which is faster). MODE: alone (no revocation check), serial (one after another), many (64 at once).
//
// What makes it faster has been done for it: the key is imported once, many commands share one write (enableAutoPipelining), and one
// after another goes without that, because there it costs time.
import { createSecretKey, webcrypto } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { Redis } from 'ioredis';

globalThis.crypto ??= webcrypto; // Node 18 keeps it behind an option, and jose wants it

const ROUND_MS = 500;
const AT_ONCE = 64;
const REVOKED_EACH = 100; // as in sallyport.c

const [folder, path] = process.argv.slice(2);
const tokens = readFileSync(`${folder}/tokens`, 'latin1').trimEnd().split('\n');
const secret = Buffer.from(readFileSync(`${folder}/key`, 'latin1').trim(), 'base64url');
const modules = {
  jose: { ...(await import('jose')), key: await webcrypto.subtle.importKey('raw', secret, { name: 'HMAC', hash: 'SHA-256' }, false, ['verify']) },
  jose5: { ...(await import('jose5')), key: createSecretKey(secret) },
};
const expect = { issuer: 'https://issuer.example', audience: 'api', algorithms: ['HS256'], typ: 'at+jwt' };
const redis = { serial: new Redis({ path }), many: new Redis({ path, enableAutoPipelining: true }) };

let next = 0;

async function one({ jwtVerify, key }, blocklist) {
  const i = next++ % tokens.length;
  const { payload } = await jwtVerify(tokens[i], key, expect);
  if (blocklist === undefined) return;
  const isRevoked = (await blocklist.get(`blocklist:${payload.jti}`)) !== null;
  if (isRevoked !== (i % REVOKED_EACH === 0)) throw new Error(`token ${i}: ${isRevoked ? 'refused' : 'accepted'}`);
}

async function round(module, mode) {
  const begin = performance.now();
  let n = 0;
  const loop = async () => {
    for (; performance.now() - begin < ROUND_MS; n++) await one(module, redis[mode]);
  };
  await Promise.all(Array.from({ length: mode === 'many' ? AT_ONCE : 1 }, loop));
  return { rate: Math.round((n / (performance.now() - begin)) * 1000) };
}

for await (const line of createInterface({ input: process.stdin })) {
  const [module, mode] = line.split(' ');
  console.log(JSON.stringify(await round(modules[module], mode)));
}
for (const client of Object.values(redis)) client.disconnect();
