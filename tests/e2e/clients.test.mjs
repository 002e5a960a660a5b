// Clients: made, given other secrets, disabled and deleted; and their secrets, which are nowhere but where they were shown.
import assert from 'node:assert/strict';
import { generateKeyPairSync, sign } from 'node:crypto';
import { chmodSync, existsSync, lstatSync, mkdirSync, readFileSync, readdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { after, before, test } from 'node:test';

import { payload, request, Server, sleep } from './harness.mjs';

let s;
before(async () => { s = await Server.start(); });
after(() => s.stop());

const SECRET = /^spcs_[A-Za-z0-9_-]{43}$/;
const at = (name) => path.join(s.folder, name);
const client = (...args) => s.cli(['client', ...args]);
async function add(name) {
    const r = await client('add', name, '--feed');
    assert.equal(r.status, 0, r.stderr);
    return r.stdout;
}

test('a client is made with a credential of one line, and nothing is said beside it', async () => {
    const r = await client('add', 'orders', '--feed');
    assert.equal(r.status, 0);
    assert.equal(r.stderr, '');
    assert.match(r.stdout, /^orders:spcs_[A-Za-z0-9_-]{43}\n$/);
    const json = await s.ask('client', 'add', 'billing.eu-1_b', '--feed');
    assert.match(json.client_secret, SECRET);
    assert.deepEqual(Object.keys(json).sort(), ['audiences', 'auth_method', 'backchannel_logout_uri', 'client_id', 'client_secret', 'created_at',
        'disabled', 'feed', 'grants', 'jwks', 'name', 'post_logout_redirect_uris', 'previous_secret_expires_at', 'redirect_uris', 'require_dpop',
        'require_par', 'rotate_refresh', 'scopes', 'secret_created_at', 'trusted', 'version']);
    assert.equal(json.auth_method, 'client_secret_basic');
    assert.deepEqual(json.grants, []);
    assert.equal(json.previous_secret_expires_at, null);
});

test('a name that no client can have, or that is taken, is refused', async () => {
    for (const name of ['', 'a b', 'a:b', 'a/b', 'é', 'a'.repeat(65), 'A'.repeat(22), 'spcs_x']) {
        const r = await client('add', name, '--feed');
        assert.equal(r.status, 2, name);
        assert.match(r.stderr, /a name has 1 to 64/, name);
        if (name !== '') assert.ok([400].includes((await s.admin('POST', '/admin/v1/clients', { client_id: name, feed: true })).status), name);
    }
    await add('taken');
    for (const name of ['taken', 'sallyport']) {
        const r = await client('add', name, '--feed');
        assert.equal(r.status, 1, name);
        assert.equal(r.stdout, '');
        assert.match(r.stderr, /already_exists/);
    }
    assert.equal((await client('add', 'nothing')).status, 2); // may do nothing: so what for?
});

test('a credential can go into a file, which only its owner reads', async () => {
    const file = at('one.credential');
    const r = await client('add', 'to-file', '--feed', '--out', file);
    assert.equal(r.status, 0, r.stderr);
    assert.ok(!r.stdout.includes('spcs_'));
    assert.match(readFileSync(file, 'utf8'), /^to-file:spcs_[A-Za-z0-9_-]{43}\n$/);
    assert.equal(statSync(file).mode & 0o777, 0o600);
    const json = JSON.parse((await client('add', 'to-file-json', '--feed', '--json', '--out', at('two.credential'))).stdout);
    assert.equal(json.client_id, 'to-file-json');
    assert.ok(!('client_secret' in json));
    assert.deepEqual(readdirSync(s.folder).filter((f) => /credential\./.test(f)), []); // nothing is left beside them
});

test('a file that cannot be written costs no secret', async () => {
    writeFileSync(at('precious'), 'precious');
    mkdirSync(at('folder'));
    symlinkSync(at('elsewhere'), at('link'));
    for (const file of ['precious', 'folder', 'link', 'no/such/folder/x']) {
        const r = await client('add', 'never-made', '--feed', '--out', at(file));
        assert.equal(r.status, 1, file);
    }
    assert.equal(readFileSync(at('precious'), 'utf8'), 'precious');
    assert.ok(lstatSync(at('link')).isSymbolicLink() && !existsSync(at('elsewhere')));
    assert.equal((await client('show', 'never-made')).status, 1);
    const before = await s.ask('client', 'add', 'rotated', '--feed');
    for (const file of ['folder', 'link']) assert.equal((await client('rotate-secret', 'rotated', '--out', at(file))).status, 1, file);
    assert.equal((await s.ask('client', 'show', 'rotated')).secret_created_at, before.secret_created_at);
});

test('a new secret replaces the file of the one before, which goes on for the overlap', async () => {
    const file = at('turning.credential');
    await client('add', 'turning', '--feed', '--out', file);
    chmodSync(file, 0o644); // somebody's idea
    const first = readFileSync(file, 'utf8');
    const r = await client('rotate-secret', 'turning', '--overlap', '15m', '--out', file);
    assert.equal(r.status, 0, r.stderr);
    assert.notEqual(readFileSync(file, 'utf8'), first);
    assert.equal(statSync(file).mode & 0o777, 0o600);
    const shown = await s.ask('client', 'show', 'turning');
    assert.equal(Date.parse(shown.previous_secret_expires_at) - Date.parse(shown.secret_created_at), 15 * 60_000);
    const day = await s.ask('client', 'rotate-secret', 'turning');
    assert.equal(Date.parse(day.previous_secret_expires_at) - Date.parse(day.secret_created_at), 86400_000);
    assert.equal((await s.ask('client', 'rotate-secret', 'turning', '--overlap', '0')).previous_secret_expires_at, null);
    for (const bad of ['', 'x', '-1', '91d', '1y', '1.5h', 'd', '99999999999999999999s']) {
        const refused = await client('rotate-secret', 'turning', '--overlap', bad);
        assert.equal(refused.status, 2, bad);
        assert.equal(refused.stdout, '', bad);
    }
    for (const bad of [-1, 7776001, 1.5, '60', null])
        assert.equal((await s.admin('POST', '/admin/v1/clients/turning/rotate-secret', { overlap_s: bad })).status, 400, bad);
    assert.equal((await client('rotate-secret', 'nobody')).status, 1);
});

test('clients are listed in pages, disabled, enabled and deleted; every change is on record', async () => {
    await add('life');
    for (const [verb, disabled] of [['disable', true], ['disable', true], ['enable', false], ['enable', false]]) {
        assert.equal((await client(verb, 'life')).status, 0);
        assert.equal((await s.ask('client', 'show', 'life')).disabled, disabled);
    }
    const all = await s.ask('client', 'list');
    assert.deepEqual(all.map((c) => c.client_id), [...all.map((c) => c.client_id)].sort());
    const page = (await s.admin('GET', '/admin/v1/clients?limit=2')).json;
    assert.equal(page.clients.length, 2);
    const next = (await s.admin('GET', `/admin/v1/clients?limit=200&after=${page.next}`)).json;
    assert.deepEqual([...page.clients, ...next.clients], all);
    assert.equal(next.next, null);
    assert.equal((await client('rotate-secret', 'life')).status, 0);
    assert.equal((await client('delete', 'life')).status, 0);
    for (const verb of ['delete', 'show', 'disable', 'enable', 'rotate-secret']) assert.equal((await client(verb, 'life')).status, 1, verb);
    const actions = (await s.ask('audit', 'show')).filter((r) => r.target === 'life').map((r) => r.action);
    assert.deepEqual(actions, ['client_created', 'client_disabled', 'client_enabled', 'client_secret_rotated', 'client_deleted']);
});

const basic = (credential) => ({ authorization: `Basic ${Buffer.from(credential.trim()).toString('base64')}` });
const opens = async (credential) => (await request(s.port, 'GET', '/feed/keys', { headers: basic(credential) })).status;

const OWN = 'tn2LQ8uRzX5vKf0WcYb7HjMdE3sGaP9o';
const { publicKey, privateKey } = generateKeyPairSync('ed25519');
const jwk = { ...publicKey.export({ format: 'jwk' }), kid: 'one' };

test('a client has every option that it was given, in JSON and for people', async () => {
    const made = await s.ask('client', 'add', 'web', '--name', 'Web shop', '--grant', 'authorization_code', '--grant', 'refresh_token', '--scope', 'openid',
        '--scope', 'orders:read', '--audience', 'https://api.example', '--audience', 'urn:orders', '--redirect-uri', 'https://app.example/cb',
        '--redirect-uri', 'http://127.0.0.1/cb', '--auth-method', 'client_secret_post', '--no-rotate', '--trusted', '--require-par', '--require-dpop',
        '--backchannel-logout-uri', 'https://app.example/bye', '--post-logout-redirect-uri', 'https://app.example/', '--feed');
    const { client_id, client_secret, created_at, disabled, previous_secret_expires_at, secret_created_at, version, ...options } = made;
    assert.match(client_secret, SECRET);
    assert.deepEqual(options, {
        name: 'Web shop', feed: true, auth_method: 'client_secret_post', grants: ['authorization_code', 'refresh_token'], scopes: ['openid', 'orders:read'],
        audiences: ['https://api.example', 'urn:orders'], redirect_uris: ['https://app.example/cb', 'http://127.0.0.1/cb'],
        post_logout_redirect_uris: ['https://app.example/'], backchannel_logout_uri: 'https://app.example/bye', jwks: null, rotate_refresh: false,
        trusted: true, require_par: true, require_dpop: true,
    });
    const shown = (await client('show', 'web')).stdout;
    for (const text of [/^NAME +Web shop$/m, /^GRANTS +authorization_code, refresh_token$/m, /^REDIRECT URIS +https:\/\/app.example\/cb, http/m, /^TRUSTED +yes$/m, /^ROTATES +no$/m])
        assert.match(shown, text);
    assert.match((await client('list')).stdout, /^web +Web shop +client_secret_post +authorization_code, refresh_token +yes +no/m);
});

test('public clients and clients with keys have no secret', async () => {
    const app = await client('add', 'app', '--public', '--grant', 'authorization_code', '--redirect-uri', 'com.example.app:/cb');
    assert.deepEqual([app.status, app.stdout], [0, 'added\n'], app.stderr);
    assert.equal((await s.ask('client', 'show', 'app')).secret_created_at, null);
    writeFileSync(at('jwks.json'), JSON.stringify({ keys: [jwk] }));
    writeFileSync(at('jwk.json'), JSON.stringify(jwk));
    writeFileSync(at('private.json'), JSON.stringify({ keys: [privateKey.export({ format: 'jwk' })] }));
    writeFileSync(at('no.json'), 'x');
    for (const [name, file] of [['signs', 'jwks.json'], ['signs2', 'jwk.json']]) {
        const made = await s.ask('client', 'add', name, '--auth-method', 'private_key_jwt', '--jwks-file', at(file), '--grant', 'client_credentials');
        assert.deepEqual(made.jwks, { keys: [jwk] });
        assert.ok(!('client_secret' in made));
    }
    const refused = await client('add', 'signs3', '--auth-method', 'private_key_jwt', '--jwks-file', at('private.json'), '--grant', 'client_credentials');
    assert.equal(refused.status, 1);
    assert.match(refused.stderr, /private or a symmetric key.*jwks_private/);
    for (const file of ['no.json', 'nowhere.json'])
        assert.equal((await client('add', 'signs3', '--auth-method', 'private_key_jwt', '--jwks-file', at(file), '--feed')).status, 1, file);
    for (const name of ['app', 'signs']) {
        const rotated = await client('rotate-secret', name);
        assert.equal(rotated.status, 1);
        assert.match(rotated.stderr, /no_secret/);
    }
    for (const args of [['--public', '--out', at('x')], ['--public', '--auth-method', 'none'], ['--secret-stdin', '--out', at('x')]])
        assert.equal((await client('add', 'never', ...args, '--grant', 'authorization_code', '--redirect-uri', 'https://a.example/')).status, 2, args.join(' '));
    assert.ok(!existsSync(at('x')));
});

test('a secret of your own works, when it looks random, and is told nowhere', async () => {
    const made = await s.cli(['client', 'add', 'own', '--feed', '--secret-stdin'], { input: `${OWN}\n` });
    assert.deepEqual([made.status, made.stdout, made.stderr], [0, 'added\n', '']);
    assert.equal(await opens(`own:${OWN}`), 200);
    assert.equal(await opens(`own:${OWN}x`), 401);
    for (const [input, reason] of [['Xy7-q', 'secret_too_short'], ['password'.repeat(5), 'secret_not_random'], [`${OWN} `, 'secret_characters'], ['', null], ['a'.repeat(129), null]]) {
        const refused = await s.cli(['client', 'rotate-secret', 'own', '--overlap', '0', '--secret-stdin'], { input: input && `${input}\n` });
        assert.ok(refused.status !== 0, input);
        if (reason) assert.match(refused.stderr, new RegExp(reason));
        if (input) assert.ok(!refused.stderr.includes(input));
    }
    const next = OWN.split('').reverse().join('');
    assert.equal((await s.cli(['client', 'rotate-secret', 'own', '--overlap', '0', '--secret-stdin'], { input: next })).stdout, 'replaced\n');
    assert.deepEqual([await opens(`own:${OWN}`), await opens(`own:${next}`)], [401, 200]);
    assert.ok(!s.log.includes(OWN));
});

test('what a client cannot be made with is refused with a sentence and a reason', async () => {
    const code = ['--grant', 'authorization_code'];
    for (const [args, reason] of [
        [code, 'redirect_uri_missing'], [['--grant', 'password'], 'grant'], [['--grant', 'refresh_token'], 'grant_needs_authorization_code'],
        [['--public', '--grant', 'client_credentials'], 'grant_needs_confidential'], [['--public', '--feed'], 'feed_needs_secret'],
        [[...code, '--redirect-uri', 'http://app.example/cb'], 'uri_scheme'], [[...code, '--redirect-uri', 'https://app.example/#x'], 'uri_fragment'],
        [[...code, '--redirect-uri', 'https://*.example/cb'], 'uri_wildcard'], [[...code, '--redirect-uri', 'https://u@app.example/'], 'uri_userinfo'],
        [[...code, '--redirect-uri', 'javascript:alert(1)', '--public'], 'uri_scheme'], [['--feed', '--audience', 'orders'], 'audience'],
        [['--feed', '--auth-method', 'tls_client_auth'], 'auth_method'], [['--grant', 'client_credentials', '--auth-method', 'private_key_jwt'], 'jwks_missing'],
    ]) {
        const r = await client('add', 'never-made', ...args);
        assert.equal(r.status, 1, args.join(' '));
        assert.match(r.stderr, new RegExp(`: ${reason} \\(invalid_request\\)`), args.join(' '));
    }
    assert.equal((await client('show', 'never-made')).status, 1);
});

test('options are changed one at a time, or all by PUT; what goes takes the tokens along, and all is on record', async () => {
    await s.ask('client', 'add', 'changing', '--grant', 'client_credentials', '--scope', 'a', '--scope', 'b', '--name', 'First');
    const set = (...args) => client('set', 'changing', ...args);
    assert.equal((await set('--name', 'Second')).stdout, 'changed\n');
    const seq = (await s.ask('status')).revoke_seq;
    assert.equal((await set('--grant', 'authorization_code', '--grant', 'client_credentials', '--redirect-uri', 'https://app.example/cb', '--trusted')).status, 0);
    assert.equal((await s.ask('status')).revoke_seq, seq);
    assert.equal((await set('--scope', 'a', '--no-trusted')).status, 0);
    assert.equal((await s.ask('status')).revoke_seq, seq + 1);
    const now = await s.ask('client', 'show', 'changing');
    assert.deepEqual([now.name, now.scopes, now.trusted, now.redirect_uris, now.version], ['Second', ['a'], false, ['https://app.example/cb'], 4]);
    assert.equal((await set('--scope', '')).status, 0);
    assert.deepEqual((await s.ask('client', 'show', 'changing')).scopes, []);
    for (const args of [[], ['--trusted', '--no-trusted'], ['--no-rotate', '--rotate']]) assert.equal((await set(...args)).status, 2, args.join(' '));
    assert.equal((await set('--redirect-uri', '')).status, 1); // authorization_code needs one
    assert.equal((await client('set', 'nobody', '--trusted')).status, 1);

    const url = '/admin/v1/clients/changing';
    assert.equal((await s.admin('PUT', url, { version: 4, feed: true })).status, 409);
    const put = await s.admin('PUT', url, { version: 5, feed: true });
    assert.equal(put.status, 200);
    assert.deepEqual([put.json.feed, put.json.name, put.json.grants, put.json.version], [true, '', [], 6]);
    assert.deepEqual(await s.ask('client', 'show', 'changing'), put.json);
    const changed = (await s.audit('client_changed')).filter((r) => r.target === 'changing');
    assert.deepEqual(changed.map((r) => r.body.detail.changed), ['name', 'grants redirect_uris trusted', 'scopes trusted', 'scopes', 'name grants redirect_uris feed']);

    // To another method and back: the old secret is not.
    const keys = await client('set', 'changing', '--no-feed', '--auth-method', 'none');
    assert.equal(keys.status, 0, keys.stderr);
    assert.equal((await s.ask('client', 'show', 'changing')).secret_created_at, null);
    assert.match((await set('--auth-method', 'client_secret_basic')).stderr, /rotate-secret changing/);
});

test('a credential opens what it is for, until it is replaced, disabled or deleted', async () => {
    const first = await add('watcher');
    assert.equal(await opens(first), 200);
    for (const wrong of ['watcher:', 'watcher', `${first.trim()}x`, first.trim().slice(0, -1), first.replace('watcher', 'orders'), first.replace('spcs_', ''),
        first.replace('watcher', 'nobody')]) assert.equal(await opens(wrong), 401, wrong.replace(/spcs_.*/, '...'));
    const second = (await client('rotate-secret', 'watcher')).stdout;
    assert.deepEqual([await opens(first), await opens(second)], [200, 200]);
    const third = (await client('rotate-secret', 'watcher', '--overlap', '0')).stdout;
    assert.deepEqual([await opens(first), await opens(second), await opens(third)], [401, 401, 200]);
    await client('disable', 'watcher');
    assert.equal(await opens(third), 401);
    await s.restart();
    assert.equal(await opens(third), 401);
    await client('enable', 'watcher');
    assert.equal(await opens(third), 200);
    await client('delete', 'watcher');
    assert.equal(await opens(third), 401);
    const records = await s.audit('client_refused'), refused = records.map((r) => r.target);
    assert.ok(refused.includes('watcher') && refused.includes('orders'));
    assert.ok(!refused.includes('nobody') && records.some((r) => JSON.stringify(r).includes('nobody')), 'a name of nobody is no target');
});

const follow = (server, credential) => new Promise((done, failed) =>
    http.get({ port: server.port, path: '/feed', headers: basic(credential), agent: false }, done).on('error', failed));

test('a stream of a client that is disabled ends', async () => {
    const credential = await add('streamer');
    const answer = await follow(s, credential);
    assert.equal(answer.statusCode, 200);
    const ended = new Promise((done) => answer.on('end', done).on('error', done).on('close', done));
    await new Promise((done) => answer.once('data', done));
    answer.resume();
    await client('disable', 'streamer');
    await ended;
    assert.equal(await opens(credential), 401);
});

const token = (headers, fields) => request(s.port, 'POST', '/oauth2/token', {
    headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers }, body: new URLSearchParams({ grant_type: 'client_credentials', ...fields }).toString(),
});
function assertion(id, { aud, jti = String(Math.random()), key = privateKey } = {}) {
    const now = Math.floor(Date.now() / 1000);
    const parts = [{ alg: 'EdDSA', kid: 'one' }, { iss: id, sub: id, aud, jti, iat: now, exp: now + 60 }]
        .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'));
    return [...parts, sign(null, Buffer.from(parts.join('.')), key).toString('base64url')].join('.');
}
const ASSERTION = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';

test('at the token endpoint a client is let in by its own method, and its tokens end with it', async () => {
    const odd = `${OWN}%:&+=/`; // form-encoded first, in Basic, too
    assert.equal((await s.cli(['client', 'add', 'job', '--grant', 'client_credentials', '--scope', 'orders:read', '--secret-stdin'], { input: odd })).status, 0);
    const encoded = { authorization: `Basic ${Buffer.from(`job:${encodeURIComponent(odd)}`).toString('base64')}` };
    const good = await token(encoded, {});
    assert.equal(good.status, 200, good.text);
    assert.equal((await token({}, { client_id: 'job', client_secret: odd })).status, 200);
    const same = await token(encoded, {}), claims = payload(same.json.access_token);
    assert.deepEqual([claims.sub, claims.client_id, claims.scope], ['job', 'job', 'orders:read']);

    writeFileSync(at('job.json'), JSON.stringify(jwk));
    await s.ask('client', 'add', 'signer', '--grant', 'client_credentials', '--auth-method', 'private_key_jwt', '--jwks-file', at('job.json'));
    const { issuer } = (await s.get('/.well-known/oauth-authorization-server')).json;
    const by = (client_assertion) => token({}, { client_assertion_type: ASSERTION, client_assertion });
    // What was signed before the start, or within the seconds that clocks may differ by, might have been used before it.
    let first;
    for (let i = 0; i < 100; i++) {
        first = assertion('signer', { aud: issuer });
        const r = await by(first);
        if (r.status === 200) break;
        assert.equal(r.json.error, 'invalid_client');
        await sleep(100);
    }
    for (const bad of [first, assertion('signer', { aud: 'https://other.example' }), assertion('job', { aud: issuer }), assertion('nobody', { aud: issuer }),
        assertion('signer', { aud: issuer, key: generateKeyPairSync('ed25519').privateKey })]) {
        const r = await by(bad);
        assert.deepEqual([r.status, r.json.error], [401, 'invalid_client'], bad);
    }
    assert.equal((await by(assertion('signer', { aud: `${issuer}/oauth2/token` }))).status, 200);

    const active = async () => (await request(s.port, 'POST', '/oauth2/introspect', {
        headers: { 'content-type': 'application/x-www-form-urlencoded', ...encoded }, body: new URLSearchParams({ token: good.json.access_token }).toString(),
    })).json.active;
    assert.equal(await active(), true);
    await client('disable', 'job');
    assert.equal((await token(encoded, {})).status, 401);
    await client('enable', 'job');
    assert.equal(await active(), false); // the old token stays refused
    assert.equal((await token(encoded, {})).status, 200);
});

test('administration of clients needs the permission', async () => {
    await s.addUser('alice');
    const t = await s.login('alice');
    for (const [method, url] of [['GET', ''], ['GET', '/orders'], ['DELETE', '/orders'], ['POST', '/orders/disable'], ['POST', '/orders/rotate-secret']]) {
        assert.equal((await request(s.port, method, `/admin/v1/clients${url}`)).status, 401);
        assert.equal((await request(s.port, method, `/admin/v1/clients${url}`, { headers: s.bearer(t.access_token) })).status, 403);
    }
    assert.equal((await s.ask('client', 'show', 'orders')).disabled, false);
});

test('a secret is stored, logged and listed nowhere', async () => {
    const credential = (await add('hidden')).trim();
    const other = (await client('rotate-secret', 'hidden')).stdout.trim();
    await client('disable', 'hidden');
    await s.ask('backup', at('with-clients.backup'));
    const said = [s.log, ...(await Promise.all([client('list'), client('list', '--json'), client('show', 'hidden'), client('show', 'hidden', '--json'),
        s.cli(['audit', 'export']), s.cli(['status', '--json'])])).map((r) => r.stdout + r.stderr), (await s.get('/metrics')).text ?? ''];
    const files = readdirSync(s.data).filter((f) => statSync(path.join(s.data, f)).isFile()).map((f) => readFileSync(path.join(s.data, f)));
    files.push(readFileSync(at('with-clients.backup')));
    for (const secret of [credential, other].map((c) => c.split(':')[1])) {
        assert.match(secret, SECRET);
        for (const text of said) assert.ok(!text.includes(secret.slice(5)));
        for (const bytes of files) {
            assert.equal(bytes.indexOf(secret.slice(5)), -1);
            assert.equal(bytes.indexOf(Buffer.from(secret.slice(5), 'base64url')), -1);
        }
    }
    assert.ok(files.at(-1).includes('hidden')); // it is there, as a hash
});

// Where the feed stands, as it says first.
async function hello(server, credential) {
    const answer = await follow(server, credential);
    const text = String(await new Promise((done) => answer.once('data', done)));
    answer.destroy();
    return JSON.parse(text.match(/^event: hello\ndata: (.*)\n/)[1]);
}

test('clients live through a restart and come back with a backup; the feed is another one then', async () => {
    const r = await Server.start();
    try {
        const credential = (await r.cli(['client', 'add', 'kept', '--feed'])).stdout;
        const first = await hello(r, credential);
        await r.restart();
        const restarted = await hello(r, credential);
        assert.deepEqual([restarted.epoch, restarted.seq], [first.epoch, first.seq]);
        const before = await r.ask('client', 'show', 'kept');
        await r.ask('backup', path.join(r.folder, 'copy'));
        await r.ask('client', 'add', 'later', '--feed');
        await r.kill('SIGTERM');
        assert.equal((await r.cli(['restore', path.join(r.folder, 'copy')])).status, 0);
        await r.spawn();
        assert.deepEqual(await r.ask('client', 'show', 'kept'), before);
        assert.equal((await r.cli(['client', 'show', 'later'])).status, 1);
        const restored = await hello(r, credential);
        assert.notEqual(restored.epoch, first.epoch);
        assert.ok(restored.seq > first.seq);
    } finally { await r.stop(); }
});

// Each burst is more than the room that is left, all of it under way at once: what becomes durable must still fit into what a start loads.
async function burst(n, ask) {
    const counts = {};
    for (const r of await Promise.all(Array.from({ length: n }, (_, i) => ask(i)))) counts[r.status] = (counts[r.status] ?? 0) + 1;
    return counts;
}
async function fill(n, ask) {
    for (let i = 0; i < n; i += 100) await Promise.all(Array.from({ length: Math.min(100, n - i) }, (_, k) => ask(i + k)));
}

test('additions that come all at once end at the limit, and the server goes on and starts again', async () => {
    const other = await Server.start();
    try {
        const client = (i) => other.admin('POST', '/admin/v1/clients', { client_id: `c${i}`, feed: true });
        const role = (i) => other.admin('PUT', `/admin/v1/roles/r${i}`, { permissions: ['x:y'] });
        await fill(3800, client);
        await fill(3800, role);
        const clients = await burst(900, (i) => client(10000 + i)), roles = await burst(900, (i) => role(10000 + i));
        for (const counts of [clients, roles]) {
            assert.deepEqual(Object.keys(counts).filter((status) => !['201', '204', '422'].includes(status)), []);
            assert.ok(counts[422] >= 900 - 296, JSON.stringify(counts));
        }
        await other.restart();
        assert.equal((await other.ask('role', 'list')).length, 3800 + roles[204]);
        assert.equal((await other.admin('GET', '/admin/v1/clients/c10000')).status, 200);
    } finally { await other.stop(); }
});
