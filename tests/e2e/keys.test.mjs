// Keys: every algorithm from login to a verifier that only has the JWKS, rotation, revocation, and the master key.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import crypto from 'node:crypto';
import { chmodSync, existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { payload, program, refused, Server, sleep } from './harness.mjs';

const header = (token) => JSON.parse(Buffer.from(token.split('.')[0], 'base64url').toString());
const PUBLIC = { // members of a public JWK, and nothing else
    ES256: ['alg', 'crv', 'kid', 'kty', 'use', 'x', 'y'],
    RS256: ['alg', 'e', 'kid', 'kty', 'n', 'use'],
    PS256: ['alg', 'e', 'kid', 'kty', 'n', 'use'],
    EdDSA: ['alg', 'crv', 'kid', 'kty', 'use', 'x'],
};

async function withServer(settings, options, work) {
    const s = await Server.start(settings, options);
    try {
        await s.addUser('alice');
        await work(s);
    } finally {
        await s.stop();
    }
}

async function jwks(s) {
    const r = await s.get('/.well-known/jwks.json');
    assert.equal(r.status, 200);
    assert.match(r.headers['content-type'], /^application\/jwk-set\+json/);
    return r;
}

// What `sallyport verify` says of these tokens, having only the JWKS.
async function verify(s, tokens, ...options) {
    const file = path.join(s.folder, 'jwks.json');
    writeFileSync(file, (await jwks(s)).text);
    const out = execFileSync(program, ['verify', '--jwks', file, '--iss', 'https://auth.example.test', '--typ', 'at+jwt', ...options],
        { input: `${tokens.join('\n')}\n`, stdio: ['pipe', 'pipe', 'ignore'] });
    return out.toString().trimEnd().split('\n');
}

// Every way in which one character could be another.
function tampered(token) {
    const [h, p, sig] = token.split('.');
    const swap = (text, i) => text.slice(0, i) + (text[i] === 'A' ? 'B' : 'A') + text.slice(i + 1);
    const none = Buffer.from(JSON.stringify({ ...header(token), alg: 'none' })).toString('base64url');
    const raised = Buffer.from(JSON.stringify({ ...payload(token), permissions: ['*'] })).toString('base64url');
    return [[h, p, swap(sig, 5)], [h, swap(p, 20), sig], [swap(h, 12), p, sig], [h, raised, sig], [none, p, sig], [none, p, ''], [h, p, ''],
        [h, p, `${sig}A`], [h, p], [h, p, sig, sig]].map((parts) => parts.join('.'));
}

for (const alg of ['ES256', 'RS256', 'PS256', 'EdDSA']) {
    test(`${alg}: tokens verify here and with the JWKS alone; tampered ones nowhere; the JWKS has no private member`, async () => {
        await withServer({ 'tokens.alg': alg }, {}, async (s) => {
            const t = await s.login('alice'), token = t.access_token;
            assert.equal(header(token).alg, alg);
            assert.equal((await s.get('/auth/me', token)).status, 200);
            assert.equal((await s.refresh(t.refresh_token)).status, 200);
            const { keys } = (await jwks(s)).json;
            assert.equal(keys.length, 1);
            assert.deepEqual(Object.keys(keys[0]).sort(), PUBLIC[alg]);
            assert.equal(keys[0].kid, header(token).kid);
            assert.equal(keys[0].use, 'sig');
            const [ok] = await verify(s, [token]);
            assert.match(ok, /^ok \{/);
            assert.deepEqual(JSON.parse(ok.slice(3)), payload(token));
            const bad = tampered(token);
            for (const line of await verify(s, bad)) assert.match(line, /^reject /);
            for (const each of bad) refused(await s.get('/auth/me', each), 401, 'invalid_token', each);
            assert.match((await verify(s, [token], '--alg', 'HS256'))[0], /^reject /, 'bound to its algorithm');
        });
    });
}

test('HS256: works, and nothing of it is published', async () => {
    await withServer({ 'tokens.alg': 'HS256' }, {}, async (s) => {
        const { access_token: token } = await s.login('alice');
        assert.equal(header(token).alg, 'HS256');
        assert.equal((await s.get('/auth/me', token)).status, 200);
        for (const each of tampered(token)) refused(await s.get('/auth/me', each), 401, 'invalid_token');
        assert.deepEqual((await jwks(s)).json, { keys: [] });
        assert.match((await verify(s, [token]))[0], /^reject /);
    });
});

test('key confusion: a token signed with the public key as an HMAC secret is refused', async () => {
    await withServer({ 'tokens.alg': 'RS256' }, {}, async (s) => {
        const { access_token: token } = await s.login('alice');
        const [jwk] = (await jwks(s)).json.keys;
        const pem = crypto.createPublicKey({ key: jwk, format: 'jwk' }).export({ type: 'spki', format: 'pem' });
        const h = Buffer.from(JSON.stringify({ ...header(token), alg: 'HS256' })).toString('base64url');
        const signed = `${h}.${token.split('.')[1]}`;
        for (const secret of [pem, pem.trim(), Buffer.from(jwk.n, 'base64url')]) {
            const forged = `${signed}.${crypto.createHmac('sha256', secret).update(signed).digest('base64url')}`;
            refused(await s.get('/auth/me', forged), 401, 'invalid_token');
            assert.match((await verify(s, [forged]))[0], /^reject /);
        }
    });
});

test('rotation: the new key is announced first, --immediately signs at once, old tokens keep verifying', async () => {
    await withServer({}, {}, async (s) => {
        const old = await s.login('alice');
        const made = await s.ask('key', 'rotate');
        const announced = (made.keys ?? made).find((k) => k.use === 'access' && k.state === 'announced');
        assert.ok(announced);
        assert.deepEqual((await jwks(s)).json.keys.map((k) => k.kid).sort(), [header(old.access_token).kid, announced.kid].sort());
        assert.equal(header((await s.login('alice')).access_token).kid, header(old.access_token).kid, 'verifiers must have it before it signs');
        assert.equal((await s.cli(['key', 'rotate'])).status, 1, 'one successor at a time');
        await s.ask('key', 'rotate', '--immediately');
        const fresh = await s.login('alice');
        assert.equal(header(fresh.access_token).kid, announced.kid);
        for (const t of [old, fresh]) assert.equal((await s.get('/auth/me', t.access_token)).status, 200);
        assert.deepEqual((await verify(s, [old.access_token, fresh.access_token])).map((l) => l.slice(0, 3)), ['ok ', 'ok ']);
        const rotatedToo = await s.refresh(old.refresh_token);
        assert.equal(header(rotatedToo.json.access_token).kid, announced.kid);
        await s.restart('SIGKILL');
        assert.equal((await s.get('/auth/me', old.access_token)).status, 200);
        assert.equal(header((await s.login('alice')).access_token).kid, announced.kid);
        for (const action of ['key_created', 'key_rotated', 'key_retired']) assert.ok((await s.audit(action)).length > 0, action);
    });
});

test('rotation with keys.announce = 0 signs within two seconds', async () => {
    await withServer({ 'keys.announce': '0' }, {}, async (s) => {
        const before = header((await s.login('alice')).access_token).kid;
        await s.ask('key', 'rotate');
        let now = before;
        for (let i = 0; i < 40 && now === before; i++) {
            await sleep(50);
            now = header((await s.login('alice')).access_token).kid;
        }
        assert.notEqual(now, before);
    });
});

test('rotation of the refresh key: old sessions keep theirs, new ones use the new', async () => {
    await withServer({}, {}, async (s) => {
        const keyId = (token) => Buffer.from(token.slice(5), 'base64url')[1];
        const old = await s.login('alice');
        await s.ask('key', 'rotate', '--use', 'refresh');
        const fresh = await s.login('alice');
        assert.notEqual(keyId(fresh.refresh_token), keyId(old.refresh_token));
        const r = await s.refresh(old.refresh_token);
        assert.equal(r.status, 200);
        assert.equal(keyId(r.json.refresh_token), keyId(old.refresh_token));
        assert.equal((await s.refresh(fresh.refresh_token)).status, 200);
    });
});

test('revoking a key refuses its tokens at once and for good; a successor signs', async () => {
    await withServer({}, {}, async (s) => {
        const old = await s.login('alice'), { kid } = header(old.access_token);
        assert.equal((await s.cli(['key', 'revoke', kid])).status, 0);
        refused(await s.get('/auth/me', old.access_token), 401, 'invalid_token');
        assert.equal((await jwks(s)).json.keys.some((k) => k.kid === kid), false);
        assert.match((await verify(s, [old.access_token]))[0], /^reject /);
        const next = (await s.refresh(old.refresh_token)).json; // the session is not the key's fault
        assert.notEqual(header(next.access_token).kid, kid);
        assert.equal((await s.get('/auth/me', next.access_token)).status, 200);
        await s.restart('SIGKILL');
        refused(await s.get('/auth/me', old.access_token), 401, 'invalid_token');
        assert.equal((await s.get('/auth/me', next.access_token)).status, 200);
        assert.equal((await s.cli(['key', 'revoke', 'no-such-key'])).status, 1);
        assert.notEqual((await s.cli(['key', 'revoke', kid])).status, 2);
        assert.equal((await s.audit('key_revoked')).length, 1);
    });
});

test('a change of tokens.alg at a restart: the new one signs, tokens of the old one go on verifying', async () => {
    await withServer({ 'tokens.alg': 'ES256' }, {}, async (s) => {
        const old = (await s.login('alice')).access_token;
        s.settings['tokens.alg'] = 'EdDSA';
        await s.restart();
        let token;
        for (let i = 0; i < 40; i++) {
            token = (await s.login('alice')).access_token;
            if (header(token).alg === 'EdDSA') break;
            await sleep(50);
        }
        assert.equal(header(token).alg, 'EdDSA');
        for (const t of [old, token]) assert.equal((await s.get('/auth/me', t)).status, 200);
        assert.deepEqual((await verify(s, [old, token])).map((l) => l.slice(0, 3)), ['ok ', 'ok ']);
    });
});

test('the master key: made beside the data with mode 0600; without it, or with another, the server does not start and says why', async () => {
    await withServer({}, {}, async (s) => {
        const file = `${s.data}.master-key`, key = readFileSync(file, 'utf8');
        assert.match(key, /^[\w-]{43}\n$/);
        assert.equal(statSync(file).mode & 0o777, 0o600);
        assert.equal(statSync(s.data).mode & 0o777, 0o700);
        const { access_token: token } = await s.login('alice');
        await s.kill('SIGTERM');
        rmSync(file);
        await assert.rejects(s.spawn(), /master key.*the stored keys cannot be used/s);
        assert.equal(existsSync(file), false, 'a new one would hide the mistake');
        writeFileSync(file, `${crypto.randomBytes(32).toString('base64url')}\n`, { mode: 0o600 });
        await assert.rejects(s.spawn(), /master key is not the one that sealed them/);
        for (const junk of ['', '\n', key.trim().slice(1), `${key.trim()}A\n`, `${key.trim()}\n\n`, `${key.trim()} \n`, 'x'.repeat(43)]) {
            writeFileSync(file, junk);
            await assert.rejects(s.spawn(), /master key/, JSON.stringify(junk));
        }
        writeFileSync(file, key);
        chmodSync(file, 0o644);
        await assert.rejects(s.spawn(), /only its owner can read/);
        chmodSync(file, 0o600);
        await s.spawn();
        assert.equal((await s.get('/auth/me', token)).status, 200);
    });
});

test('SALLYPORT_MASTER_KEY: used instead of a file, and gone from the environment', async () => {
    const key = crypto.randomBytes(32).toString('base64url');
    await withServer({}, { env: { SALLYPORT_MASTER_KEY: key } }, async (s) => {
        assert.equal(existsSync(`${s.data}.master-key`), false);
        assert.equal(readFileSync(`/proc/${s.child.pid}/environ`, 'latin1').includes(key), false);
        const { access_token: token } = await s.login('alice');
        await s.restart();
        assert.equal((await s.get('/auth/me', token)).status, 200);
        await s.kill('SIGTERM');
        for (const wrong of [crypto.randomBytes(32).toString('base64url'), 'short', '']) {
            s.env = { SALLYPORT_MASTER_KEY: wrong };
            await assert.rejects(s.spawn(), /master key/, wrong);
            assert.equal(s.log.includes(key), false);
        }
        s.env = { SALLYPORT_MASTER_KEY: key };
        await s.spawn();
        assert.equal((await s.get('/auth/me', token)).status, 200);
    });
});

test('private keys are sealed: nothing of them stands in the data directory', async () => {
    await withServer({ 'tokens.alg': 'EdDSA' }, {}, async (s) => {
        const t = await s.login('alice');
        await s.kill('SIGTERM');
        const files = execFileSync('find', [s.data, '-type', 'f']).toString().trim().split('\n');
        const all = Buffer.concat(files.map((f) => readFileSync(f))).toString('latin1');
        const master = readFileSync(`${s.data}.master-key`, 'latin1').trim();
        for (const secret of [master, Buffer.from(master, 'base64url').toString('latin1'), t.refresh_token, t.access_token, 'correct horse', 'BEGIN PRIVATE'])
            assert.equal(all.includes(secret), false);
        await s.spawn();
    });
});

test('rotations that come all at once announce one key, and the server starts again', async () => {
    await withServer({}, {}, async (s) => {
        for (const use of ['feed', 'access']) {
            const all = await Promise.all(Array.from({ length: 100 }, () => s.admin('POST', '/admin/v1/keys/rotate', { use })));
            assert.equal(all.filter((r) => r.status === 200).length, 1);
            for (const r of all) if (r.status !== 200) assert.ok(['changed_meanwhile', 'already_exists'].includes(r.json.code), r.text);
            assert.equal((await s.ask('key', 'list')).filter((k) => k.use === use && k.state === 'announced').length, 1);
        }
        await s.restart();
        assert.equal((await s.ask('key', 'list')).filter((k) => k.state === 'announced').length, 2);
    });
});
