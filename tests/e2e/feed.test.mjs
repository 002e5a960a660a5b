// The revocation feed of the real server: docs/feed.md holds, for a verifier that was written from it (feed.mjs).
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createPublicKey, randomBytes } from 'node:crypto';
import net from 'node:net';
import path from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { Follower, basic, chainStart, dismiss, fingerprint, follow, readSnapshot, thumbprint, verifyNonce, verifySuccession } from './feed.mjs';
import { Browser, PASSWORD, Server, cookie, payload, raw, refused, request, sleep, slowness } from './harness.mjs';

const ISSUER = 'https://auth.example.test';
const id16 = () => randomBytes(16).toString('base64url');

// A client's credential, as `sallyport client add --feed` prints it.
async function credential(s, name) {
    const r = await s.cli(['client', 'add', name, '--feed']);
    assert.equal(r.status, 0, r.stderr);
    return r.stdout.trim();
}
const get = (s, where, cred, headers = {}) => request(s.port, 'GET', where, { headers: { ...(cred ? basic(cred) : {}), ...headers } });
const post = (s, where, value, cred) => request(s.port, 'POST', where, { headers: { ...basic(cred), 'content-type': 'application/json' }, body: JSON.stringify(value) });
const bytes = (s, where, cred) => fetch(`http://127.0.0.1:${s.port}${where}`, { headers: basic(cred) }).then(async (r) => Buffer.from(await r.arrayBuffer()));
const revokeJti = (s, jti = id16()) => s.admin('POST', '/admin/v1/revocations', { jti }).then((r) => { assert.equal(r.status, 200, r.text); return jti; });
const seqOf = async (s) => (await s.ask('status')).revoke_seq;
async function metric(s, name) {
    const r = await s.admin('GET', '/metrics');
    return Number(new RegExp(`^${name} (.*)$`, 'm').exec(r.text)[1]);
}
// Polls what only time brings about.
async function eventually(what, ask, ms = 20000) {
    for (const end = Date.now() + ms * slowness; Date.now() < end; await sleep(50)) {
        const v = await ask();
        if (v) return v;
    }
    return assert.fail(`${what}: never`);
}

let s, cred;
before(async () => {
    s = await Server.start();
    cred = await credential(s, 'watcher');
    await s.ask('role', 'set', 'editor', 'documents:read', 'drafts:*');
    for (const name of ['alice', 'bob', 'carol', 'dora']) await s.addUser(name, ['editor']);
});
after(() => s.stop());
afterEach(dismiss);

/* ---- the stream ---- */

test('a plain reader sees hello, roles, keys and a beat, then each revocation, and beats that cover them', async () => {
    const f = await follow(s, cred);
    assert.deepEqual(f.events.slice(0, 4).map((e) => e.event), ['hello', 'roles', 'keys', 'beat']);
    assert.deepEqual(f.texts.roles, { roles: { editor: ['documents:read', 'drafts:*'] } });
    const jwks = (await s.get('/.well-known/jwks.json')).json;
    assert.deepEqual(f.texts.keys.keys, jwks.keys);
    const was = f.seq;
    const login = await s.login('alice');
    assert.equal((await s.post('/auth/logout', {}, s.bearer(login.access_token))).status, 204);
    await f.untilSeq(was + 1);
    assert.deepEqual(Object.keys(f.revoked.at(-1)), ['sid', 'until']);
    assert.equal(f.revoked.at(-1).sid, login.session_id);
    assert.ok(f.revoked.at(-1).until >= payload(login.access_token).exp + 120, 'leeway and skew');
    const jti = await revokeJti(s);
    await s.ask('user', 'disable', 'bob');
    await s.ask('user', 'enable', 'bob');
    await f.until(() => f.revoked.some((r) => 'sub' in r));
    assert.ok(f.revoked.some((r) => r.jti === jti));
    assert.ok(f.revoked.find((r) => 'sub' in r).epu >= 1);
    await f.untilBeat();
    f.close();
});

test('beats come about every half second, each with a later boot clock, and prove the same chain to two followers', async () => {
    const [a, b] = await Promise.all([follow(s, cred, { name: 'a' }), follow(s, cred, { name: 'b' })]);
    await revokeJti(s);
    await Promise.all([a.until(() => a.beats.length >= 4), b.until(() => b.beats.length >= 4)]);
    const common = a.beats.find((x) => b.beats.some((y) => y.seq === x.seq));
    assert.equal(common.head, b.beats.find((y) => y.seq === common.seq).head);
    assert.ok(a.beats.at(-1).boot_ms > a.beats[0].boot_ms);
    for (const f of [a, b]) f.close();
});

test('a follower goes on exactly where it stopped, also over SIGTERM and SIGKILL of the server', async () => {
    const one = await follow(s, cred);
    await revokeJti(s);
    await one.untilSeq(await seqOf(s));
    one.close();
    let { position } = one;
    for (const signal of [null, 'SIGTERM', 'SIGKILL']) {
        const wanted = [await revokeJti(s), await revokeJti(s), await revokeJti(s)];
        if (signal) await s.restart(signal);
        const two = await follow(s, cred, { from: position });
        assert.deepEqual(two.resets, []);
        assert.deepEqual(two.revoked.map((r) => r.jti), wanted, `${signal}`);
        wanted.push(await revokeJti(s));
        await two.until(() => two.revoked.length === wanted.length);
        await two.untilBeat();
        assert.deepEqual(two.revoked.map((r) => r.jti), wanted);
        two.close();
        ({ position } = two);
    }
});

test('the chain from the first revocation of the epoch on is the one that the server signs', async () => {
    const other = await Server.start();
    try {
        const c = await credential(other, 'w');
        const epoch = (await other.ask('status')).feed_epoch;
        for (let i = 0; i < 5; i++) await revokeJti(other);
        await other.ask('revoke', '--everyone');
        const f = await follow(other, c, { from: { epoch, seq: 0, head: chainStart(epoch) } });
        assert.equal(f.revoked.length, await seqOf(other));
        assert.ok(f.revoked.some((r) => 'epg' in r));
        f.close();
    } finally { await other.stop(); }
});

test('who cannot go on is told why: another epoch, ahead of us, before what is kept', async () => {
    const other = await Server.start();
    try {
        const c = await credential(other, 'w');
        for (let i = 0; i < 4; i++) await revokeJti(other);
        const { feed_epoch: epoch, revoke_seq: seq } = await other.ask('status');
        const why = async (from, reason) => {
            const f = await follow(other, c, { from });
            assert.deepEqual(f.resets, [reason]);
            const was = f.revoked.length;
            const jti = await revokeJti(other); // it goes on with what is new
            await f.until(() => f.revoked.length === was + 1);
            assert.equal(f.revoked.at(-1).jti, jti);
            await f.untilBeat();
            f.close();
        };
        await why({ epoch: id16(), seq: 1 }, 'epoch');
        await why({ epoch, seq: seq + 100 }, 'ahead');
        const whole = await follow(other, c, { from: { epoch, seq: 0, head: chainStart(epoch) } });
        assert.equal(whole.resets.length, 0);
        whole.close();
        await other.kill('SIGTERM'); // what has lapsed is pruned some day; here it is today
        execFileSync('python3', ['-c', 'import sqlite3,sys; d=sqlite3.connect(sys.argv[1]); d.execute("DELETE FROM revocations WHERE seq <= 2"); d.commit()',
            path.join(other.data, 'sallyport.db')]);
        await other.spawn();
        await why({ epoch, seq: 0 }, 'backlog');
        const f = await follow(other, c, { from: { epoch, seq: 2 } });
        assert.deepEqual(f.resets, []);
        f.close();
        assert.equal(await metric(other, 'sallyport_feed_resets_total'), 1);
    } finally { await other.stop(); }
});

test('Last-Event-ID and verifier that are none are refused; an empty Last-Event-ID is as none', async () => {
    for (const bad of ['x', ':1', `${id16()}:`, `${id16()}:-1`, `${id16()}:01`, `${id16()}:18446744073709551616`, `${id16()}=:1`, `${id16()}:1 `.repeat(2)])
        refused(await get(s, '/feed', cred, { 'last-event-id': bad }), 400, 'bad_parameter', bad);
    for (const bad of ['a%20b', 'a%2Fb', 'x'.repeat(65), '%C3%A9']) refused(await get(s, `/feed?verifier=${bad}`, cred), 400, 'bad_parameter', bad);
    const twice = await raw(s.port, `GET /feed HTTP/1.1\r\nHost: x\r\nAuthorization: ${basic(cred).authorization}\r\nConnection: close\r\nLast-Event-ID: ${id16()}:1\r\nLast-Event-ID: ${id16()}:1\r\n\r\n`);
    assert.match(twice, /^HTTP\/1\.1 400 /);
    const f = await follow(s, cred, { headers: { 'last-event-id': '' } });
    assert.deepEqual(f.resets, []);
    f.close();
});

test('HEAD says what GET would, without a stream', async () => {
    const r = await request(s.port, 'HEAD', '/feed', { headers: basic(cred) });
    assert.equal(r.status, 200);
    assert.equal(r.headers['content-type'], 'text/event-stream');
    assert.equal(r.text, '');
    const snapshot = await request(s.port, 'HEAD', '/feed/snapshot', { headers: basic(cred) });
    assert.equal(snapshot.status, 200);
    await eventually('no stream is left', async () => (await metric(s, 'sallyport_feed_subscribers')) === 0);
});

/* ---- snapshot, keys, nonce ---- */

test('the snapshot is signed, holds what is revoked, and the stream goes on from it', async () => {
    const login = await s.login('carol');
    await s.ask('session', 'revoke', login.session_id);
    const jti = await revokeJti(s);
    const { sub } = payload((await s.login('carol')).access_token);
    await s.ask('user', 'roles', 'carol');
    const keys = (await get(s, '/feed/keys', cred)).json;
    const snapshot = readSnapshot(await bytes(s, '/feed/snapshot', cred), ISSUER, keys.keys);
    assert.equal(snapshot.seq, await seqOf(s));
    assert.equal(snapshot.epoch, (await s.ask('status')).feed_epoch);
    const has = (kind, id) => snapshot.entries.has(fingerprint(snapshot.key, kind, Buffer.from(id, 'base64url')));
    assert.ok(has(1, jti) && has(2, login.session_id));
    assert.ok(!has(2, jti) && !has(1, id16()));
    assert.ok(snapshot.users.get(sub).epu >= 1);
    assert.ok(Math.abs(snapshot.time - Date.now() / 1000) < 60);
    const later = await revokeJti(s);
    const f = await follow(s, cred, { from: { epoch: snapshot.epoch, seq: snapshot.seq, head: snapshot.head, feedKeys: keys.keys } });
    assert.deepEqual(f.revoked.map((r) => r.jti), [later]);
    f.close();
    await s.restart();
    const again = readSnapshot(await bytes(s, '/feed/snapshot', cred), ISSUER, keys.keys);
    assert.deepEqual(again.key, snapshot.key, 'the fingerprint key never changes');
    for (const [print] of snapshot.entries) assert.ok(again.entries.has(print));
});

test('the keys of the feed are Ed25519, named by their thumbprint, and never one that signs tokens', async () => {
    const keys = (await get(s, '/feed/keys', cred)).json;
    assert.equal(keys.keys.length, 1);
    assert.deepEqual(keys.successions, []);
    const [k] = keys.keys;
    assert.deepEqual([k.kty, k.crv, k.alg, k.use, k.kid], ['OKP', 'Ed25519', 'EdDSA', 'sig', thumbprint(k)]);
    assert.ok(!('d' in k));
    assert.ok(createPublicKey({ key: k, format: 'jwk' }));
    assert.ok(!(await s.get('/.well-known/jwks.json')).json.keys.some((x) => x.kid === k.kid));
    const listed = (await s.ask('key', 'list')).find((x) => x.use === 'feed');
    assert.equal(listed.kid, k.kid);
});

test('a nonce is answered, signed, with the boot clock of now', async () => {
    const { keys } = (await get(s, '/feed/keys', cred)).json;
    const f = await follow(s, cred);
    const nonce = id16();
    await sleep(2); // so that the clock, which counts milliseconds, has gone on since the beat
    const r = await post(s, '/feed/nonce', { nonce }, cred);
    assert.equal(r.status, 200);
    assert.equal(r.json.nonce, nonce);
    assert.ok(verifyNonce(ISSUER, r.json, keys));
    assert.ok(!verifyNonce(ISSUER, { ...r.json, boot_ms: r.json.boot_ms + 1 }, keys));
    assert.equal(r.json.node, f.node);
    assert.ok(r.json.boot_ms > f.beats[0].boot_ms);
    await f.untilBeat((b) => b.boot_ms >= r.json.boot_ms - 1);
    f.close();
    for (const bad of ['', 'A'.repeat(21), 'A'.repeat(23), `${'A'.repeat(21)}B`]) assert.equal((await post(s, '/feed/nonce', { nonce: bad }, cred)).status, 400, bad);
});

/* ---- acknowledgements and receipts ---- */

test('a position of another history, or ahead of us, is not acknowledged', async () => {
    const f = await follow(s, cred, { name: 'picky' });
    refused(await f.ack({ epoch: id16() }), 409, 'other_position');
    refused(await f.ack({ seq: f.seq + 1 }), 409, 'other_position');
    for (const [field, bad] of [['verifier', 'a/b'], ['verifier', ''], ['max_staleness_s', 0], ['max_staleness_s', 3601], ['epoch', 'x'], ['roles', 'x'], ['keys', `${'A'.repeat(42)}B`], ['seq', -1]])
        assert.equal((await f.ack({ [field]: bad })).status, 400, `${field} ${bad}`);
    assert.equal((await f.ack()).status, 204);
    assert.equal((await f.ack({ leaving: true })).status, 204);
    assert.equal((await f.ack({ leaving: true })).status, 204, 'goodbye twice is no harm');
    f.close();
});

test('with Prefer: wait every revoking request answers when all live verifiers have confirmed', async () => {
    const f = await follow(s, cred, { name: 'quick', acks: true });
    const g = await follow(s, cred, { name: 'quicker', acks: true });
    await Promise.all([f, g].map((x) => x.until(() => x.acked > 0)));
    const prefer = { prefer: 'wait=10' };
    const receipt = (r, more = []) => {
        assert.equal(r.status, 200, r.text);
        assert.equal(r.headers['preference-applied'], 'wait=10');
        assert.deepEqual(Object.keys(r.json).sort(), ['after_ms', 'confirmed', 'verifiers', ...more].sort());
        assert.deepEqual([r.json.verifiers, r.json.confirmed], [2, 2], r.text);
        assert.ok(r.json.after_ms >= 0 && r.json.after_ms < 10000);
    };
    const bearer = async () => s.bearer((await s.login('alice')).access_token);
    receipt(await s.post('/auth/logout', {}, { ...await bearer(), ...prefer }));
    receipt(await s.post('/auth/logout-all', undefined, { ...await bearer(), ...prefer }), ['sessions_ended']);
    const own = await s.login('alice');
    receipt(await s.send('DELETE', `/auth/sessions/${own.session_id}`, undefined, { ...s.bearer(own.access_token), ...prefer }));
    const admin = (method, url, value) => request(s.adminSocket, method, url, { headers: { ...prefer, ...(value ? { 'content-type': 'application/json' } : {}) }, body: value && JSON.stringify(value) });
    receipt(await admin('POST', '/admin/v1/revocations', { jti: id16() }), ['sessions_ended']);
    receipt(await admin('DELETE', `/admin/v1/sessions/${(await s.login('alice')).session_id}`));
    await s.login('dora');
    receipt(await admin('POST', '/admin/v1/users/dora/disable'), ['sessions_ended']);
    await s.ask('user', 'enable', 'dora');
    await s.login('dora');
    const changed = await s.post('/auth/password', { current_password: PASSWORD, new_password: 'long and winding road' }, { ...s.bearer((await s.login('dora')).access_token), ...prefer });
    receipt(changed);
    const plain = await s.post('/auth/logout', {}, await bearer());
    assert.deepEqual([plain.status, plain.text, plain.headers['preference-applied']], [204, '', undefined]);
    const refusal = await s.post('/auth/logout', {}, { ...s.bearer('junk'), ...prefer });
    assert.ok(refusal.status === 401 && refusal.headers['preference-applied'] === undefined, 'a refusal does not wait');
    assert.match((await s.cli(['revoke', '--jti', id16(), '--wait', '10s'])).stdout, /^revoked; 0 sessions ended\nconfirmed by 2 of 2 live verifiers after \d+ ms\n$/);
    const json = await s.ask('session', 'revoke', (await s.login('alice')).session_id, '--wait', '10s');
    assert.deepEqual([json.verifiers, json.confirmed], [2, 2]);
    assert.equal((await s.ask('user', 'disable', 'dora', '--wait', '10s')).confirmed, 2);
    assert.equal((await s.cli(['revoke', '--everyone', '--wait', '31s'])).status, 2);
    assert.ok(await metric(s, 'sallyport_feed_lag_seconds_count') >= 1);
    assert.ok(await metric(s, 'sallyport_feed_acks_total') >= 10);
    for (const x of [f, g]) {
        assert.equal((await x.ack({ leaving: true })).status, 204);
        x.close();
    }
});

test('a logout by cookie that waits expires the cookies all the same', async () => {
    const b = new Browser(s);
    await b.login('alice');
    const r = await b.act('POST', '/auth/logout', undefined, { prefer: 'wait=0' });
    assert.equal(r.status, 200, r.text);
    assert.equal(cookie(r.cookies, '__Host-sp_refresh'), '');
    assert.equal(b.access, undefined);
});

test('who does not confirm is waited for until the deadline, and counted as missing', async () => {
    const [silent, busy] = [await follow(s, cred, { name: 'silent' }), await follow(s, cred, { name: 'busy', acks: true })];
    assert.equal((await silent.ack()).status, 204);
    await busy.until(() => busy.acked > 0);
    const r = await s.ask('revoke', '--jti', id16(), '--wait', '1s');
    assert.deepEqual([r.verifiers, r.confirmed], [2, 1]);
    assert.ok(r.after_ms >= 990, `${r.after_ms}`); // the loop's clock and the receipt's are read at different moments
    const said = await s.cli(['revoke', '--jti', id16(), '--wait', '0']);
    assert.match(said.stdout, /confirmed by [01] of 2 live verifiers after \d+ ms\nthe others are in `sallyport verifiers`\n$/);
    const rows = await s.ask('verifiers');
    const row = (name) => rows.find((v) => v.verifier === name);
    assert.ok(row('silent').live && row('silent').behind >= 2 && row('silent').connected);
    assert.equal(row('silent').address, '127.0.0.1');
    await eventually('busy is up to date', async () => (await s.ask('verifiers')).find((v) => v.verifier === 'busy').behind === 0);
    const told = silent.revoked.length, leaving = s.ask('revoke', '--jti', id16(), '--wait', '20s');
    await silent.until(() => silent.revoked.length > told);
    assert.equal((await silent.ack({ leaving: true })).status, 204); // needs to confirm nothing any more
    assert.deepEqual((({ verifiers, confirmed }) => [verifiers, confirmed])(await leaving), [2, 2]);
    await busy.ack({ leaving: true });
    for (const x of [silent, busy]) x.close();
});

test('the list of verifiers goes page by page, and forgets who said goodbye', async () => {
    const ack = (name, more = {}) => post(s, '/feed/ack', { verifier: name, ...at, roles: id32, keys: id32, max_staleness_s: 30, ...more }, cred);
    const { feed_epoch: epoch, revoke_seq: seq } = await s.ask('status');
    const at = { epoch, seq }, id32 = randomBytes(32).toString('base64url');
    const names = ['p.1', 'p.2', 'p.3', 'p.4', 'p.5'];
    for (const name of names) assert.equal((await ack(name)).status, 204);
    const seen = [];
    let after = '';
    do {
        const r = (await s.admin('GET', `/admin/v1/verifiers?limit=2${after && `&after=${after}`}`)).json;
        assert.ok(r.verifiers.length <= 2);
        seen.push(...r.verifiers.filter((v) => names.includes(v.verifier)));
        after = r.next;
    } while (after);
    assert.deepEqual(seen.map((v) => v.verifier), names);
    assert.ok(seen.every((v) => v.client_id === 'watcher' && v.live && !v.connected && !v.has_roles && !v.has_keys && v.behind === 0));
    const cursor = (name) => Buffer.from(name, 'latin1').toString('base64url');
    assert.equal((await s.admin('GET', `/admin/v1/verifiers?after=${cursor('watcher/p.0')}`)).status, 200, 'the name of nobody is a place too');
    for (const bad of ['x', id32, '_', ...['/x', 'x', 'x/', 'x/y/z', 'x/\x01', '\xff/y', 'x y/z'].map(cursor)])
        refused(await s.admin('GET', `/admin/v1/verifiers?after=${bad}`), 400, 'bad_parameter', bad);
    for (const name of names) assert.equal((await ack(name, { leaving: true })).status, 204);
    assert.ok(!(await s.ask('verifiers')).some((v) => names.includes(v.verifier)));
});

test('a stop during a wait answers at once with what there is', async () => {
    const silent = await follow(s, cred, { name: 'silent' });
    assert.equal((await silent.ack()).status, 204);
    const waiting = s.ask('revoke', '--jti', id16(), '--wait', '25s');
    await silent.until(() => silent.revoked.length > 0);
    const began = Date.now();
    await s.kill('SIGTERM').finally(() => s.spawn());
    assert.ok(Date.now() - began < 5000 * slowness);
    assert.deepEqual((({ verifiers, confirmed }) => [verifiers, confirmed])(await waiting), [1, 0]);
    await silent.untilCut();
});

/* ---- who may follow ---- */

test('without a credential, with a wrong one, and without --feed nobody follows', async () => {
    const plain = await s.admin('POST', '/admin/v1/clients', { client_id: 'plain', feed: false });
    const paths = [['GET', '/feed'], ['GET', '/feed/snapshot'], ['GET', '/feed/keys'], ['POST', '/feed/nonce'], ['POST', '/feed/ack']];
    const { access_token: token } = await s.login('alice');
    for (const [method, url] of paths) {
        const ask = (headers) => request(s.port, method, url, { headers });
        for (const headers of [{}, basic('watcher:wrong'), basic('nobody:wrong'), s.bearer(token), { authorization: 'Basic' }, { authorization: 'Basic !' }]) {
            const r = await ask(headers);
            refused(r, 401, 'invalid_client', `${url} ${JSON.stringify(headers)}`);
            assert.match(r.headers['www-authenticate'], /^Basic realm="/);
        }
        refused(await ask(basic(`plain:${plain.json.client_secret}`)), 403, 'not_for_the_feed', url);
    }
    assert.equal((await request(s.adminSocket, 'GET', '/feed', { headers: basic(cred) })).status, 404, 'not on the admin socket');
});

test('a credential that is disabled, replaced or deleted ends its streams within a beat', async () => {
    for (const [name, end] of [['off', ['disable']], ['turned', ['rotate-secret', '--overlap', '0']], ['gone', ['delete']]]) {
        const mine = await credential(s, name);
        const [f, other] = [await follow(s, mine, { name: 'x' }), await follow(s, cred)];
        const [verb, ...rest] = end;
        assert.equal((await s.cli(['client', verb, name, ...rest])).status, 0);
        const beats = other.beats.length;
        await f.untilCut();
        assert.ok(other.beats.length - beats <= 3, `${other.beats.length - beats} beats`);
        assert.equal((await get(s, '/feed', mine)).status, 401);
        other.close();
    }
});

test('with an overlap the old secret follows on', async () => {
    const mine = await credential(s, 'rolling');
    const f = await follow(s, mine);
    assert.equal((await s.cli(['client', 'rotate-secret', 'rolling'])).status, 0);
    await f.untilBeat();
    await f.untilBeat();
    assert.ok(f.open);
    f.close();
});

/* ---- documents and keys ---- */

test('a changed role is in the feed at once, and the next beat covers it', async () => {
    const f = await follow(s, cred);
    const wasDigest = f.digests.roles;
    await s.ask('role', 'set', 'reviewer', 'documents:read');
    await f.untilBeat((b) => b.roles !== wasDigest);
    assert.deepEqual(f.texts.roles.roles.reviewer, ['documents:read']);
    const at = f.events.findLastIndex?.((e) => e.event === 'roles') ?? f.events.map((e) => e.event).lastIndexOf('roles');
    assert.equal(f.events[at + 1].event, 'beat', 'it comes with a beat of its own');
    await s.ask('role', 'delete', 'reviewer');
    await f.until(() => f.texts.roles.roles.reviewer === undefined);
    await f.untilBeat();
    f.close();
});

test('a role table of a megabyte arrives whole, by pieces', async () => {
    const other = await Server.start();
    try {
        const c = await credential(other, 'w');
        const early = await follow(other, c);
        const permissions = Array.from({ length: 30 }, (_, i) => `documents:${'x'.repeat(100)}${i}`);
        const n = 300;
        for (let i = 0; i < n; i++) assert.equal((await other.admin('PUT', `/admin/v1/roles/role-${i}`, { permissions })).status, 204);
        await early.until(() => Object.keys(early.texts.roles.roles).length === n, 'all roles', 60000);
        await early.untilBeat();
        const late = await follow(other, c);
        assert.equal(late.digests.roles, early.digests.roles);
        assert.ok(JSON.stringify(late.texts.roles).length > 900000);
        for (const f of [early, late]) f.close();
    } finally { await other.stop(); }
});

test('a new key of tokens signs when the live verifiers have it, and not before', async () => {
    const other = await Server.start({ 'keys.announce': '0' });
    try {
        const c = await credential(other, 'w');
        const f = await follow(other, c, { name: 'w', staleness: 300 });
        assert.equal((await f.ack()).status, 204);
        const [{ kid }] = (await other.ask('key', 'rotate')).keys.filter((k) => k.state === 'announced');
        const state = async () => (await other.ask('key', 'list')).find((k) => k.kid === kid).state;
        await f.untilBeat(() => f.texts.keys.keys.some((k) => k.kid === kid));
        for (let i = 0; i < 6; i++) await f.untilBeat(); // three turns of the server's clock
        assert.equal(await state(), 'announced');
        assert.equal((await f.ack()).status, 204);
        await eventually('it signs', async () => (await state()) === 'signing');
        f.close();
    } finally { await other.stop(); }
});

test('a key of the feed hands over to its successor, and vouches for it to who was away', async () => {
    const other = await Server.start({ 'keys.announce': '0' });
    try {
        const c = await credential(other, 'w');
        const f = await follow(other, c, { name: 'w', acks: true });
        await f.until(() => f.acked > 0);
        const old = f.beats[0].kid;
        assert.equal((await other.cli(['key', 'rotate', '--use', 'feed', '--immediately'])).status, 2);
        refused(await other.admin('POST', '/admin/v1/keys/rotate', { use: 'feed', immediately: true }), 400, 'bad_value');
        const [{ kid }] = (await other.ask('key', 'rotate', '--use', 'feed')).keys;
        await f.untilBeat((b) => b.kid === kid); // feed.mjs: signed by a key that a beat of the old one had covered
        await f.until(() => f.texts.keys.feed_keys.length === 1, 'the new key alone'); // the old one's document comes with it, or just after
        const listed = (await get(other, '/feed/keys', c)).json;
        assert.deepEqual(listed.keys.map((k) => k.kid), [kid, old]);
        assert.deepEqual(listed.successions.map((x) => [x.kid, x.by]), [[kid, old]]);
        assert.ok(verifySuccession(ISSUER, listed.successions[0], listed.keys));
        assert.ok(!verifySuccession('https://else.example', listed.successions[0], listed.keys));
        assert.deepEqual(f.texts.keys.feed_keys.map((k) => k.kid), [kid]);
        f.close();
        await other.restart('SIGKILL');
        const again = await follow(other, c);
        assert.equal(again.beats[0].kid, kid);
        again.close();
    } finally { await other.stop(); }
});

/* ---- many, slow, and killed ---- */

test('who does not read is cut, costs little until then, and takes nothing from who does', async () => {
    const other = await Server.start();
    try {
        const c = await credential(other, 'w');
        const SLOW = 40, N = 6000;
        const sleepers = await Promise.all(Array.from({ length: SLOW }, () => new Promise((resolve) => {
            const socket = net.connect({ port: other.port, host: '127.0.0.1' }, () => {
                socket.write(`GET /feed HTTP/1.1\r\nHost: x\r\nAuthorization: ${basic(c).authorization}\r\n\r\n`);
                socket.pause();
                resolve(socket);
            });
            socket.on('error', () => {});
        })));
        const reader = await follow(other, c);
        await eventually('all are here', async () => (await metric(other, 'sallyport_feed_subscribers')) === SLOW + 1);
        const before_ = await metric(other, 'process_resident_memory_bytes');
        const first = await seqOf(other);
        for (let i = 0; i < N; i += 200) await Promise.all(Array.from({ length: 200 }, () => revokeJti(other)));
        await reader.untilSeq(first + N);
        const grown = await metric(other, 'process_resident_memory_bytes') - before_;
        // An address sanitizer keeps what was freed.
        if (process.env.SP_SANITIZED !== '1') assert.ok(grown < 24 * 1024 * 1024, `${grown} bytes for ${SLOW} that do not read ${N} revocations each`);
        await eventually('they are cut', async () => (await metric(other, 'sallyport_feed_subscribers')) === 1, 40000);
        await eventually('the cuts are counted', async () => (await metric(other, 'sallyport_http_streams_cut_total')) >= SLOW);
        await reader.untilBeat();
        reader.close();
        for (const socket of sleepers) socket.destroy();
    } finally { await other.stop(); }
});

test('two thousand subscribers of one server all hear of a revocation', async (t) => {
    const N = 2000;
    const limit = execFileSync('sh', ['-c', 'ulimit -Hn'], { encoding: 'utf8' }).trim();
    if (limit !== 'unlimited' && Number(limit) < N + 200) {
        t.skip(`SKIPPED: ${N} connections need more descriptors than ${limit} (ulimit -Hn)`);
        return;
    }
    const other = await Server.start();
    try {
        const c = await credential(other, 'w');
        const all = [];
        for (let i = 0; i < N; i += 100) all.push(...await Promise.all(Array.from({ length: 100 }, () => new Follower(other, c).connect())));
        const heard = (what, ready) => Promise.all(all.map((f) => f.until(ready, what, 60000 * slowness)));
        await heard('the first beat', (f) => f.beats.length > 0);
        assert.equal(await metric(other, 'sallyport_feed_subscribers'), N);
        const login = await other.admin('POST', '/admin/v1/sessions', { subject: 'x' });
        await other.ask('session', 'revoke', login.json.session_id);
        await heard('the revocation', (f) => f.revoked.some((r) => r.sid === login.json.session_id));
        await heard('a beat that covers it', (f) => f.beats.at(-1).seq === f.seq && f.seq > 0);
        // All of them lose their connection, miss something, and come back together.
        for (const f of all) f.close();
        const missed = [];
        for (let i = 0; i < 300; i++) missed.push(revokeJti(other));
        await Promise.all(missed);
        const back = [];
        for (let i = 0; i < N; i += 250) back.push(...await Promise.all(all.slice(i, i + 250).map((f) => new Follower(other, c, { from: f.position }).connect())));
        await Promise.all(back.map((f) => f.until((x) => x.revoked.length === 300 && x.beats.length > 0, 'what it missed', 60000 * slowness)));
        for (const f of back) {
            assert.equal(f.resets.length, 0);
            f.close();
        }
    } finally { await other.stop(); }
});

test('killed under load, the server has every acknowledged revocation in the feed, and the chain is whole', async () => {
    const other = await Server.start();
    try {
        const c = await credential(other, 'w');
        const epoch = (await other.ask('status')).feed_epoch;
        const acknowledged = new Set();
        let watching = await follow(other, c, { from: { epoch, seq: 0, head: chainStart(epoch) } });
        for (let round = 0; round < 3; round++) {
            let over = false;
            const load = Array.from({ length: 24 }, async () => {
                while (!over) {
                    const jti = id16();
                    const r = await other.admin('POST', '/admin/v1/revocations', { jti }).catch(() => undefined);
                    if (r?.status === 200) acknowledged.add(jti);
                }
            });
            const wanted = acknowledged.size + 150;
            while (acknowledged.size < wanted) await sleep(5);
            await other.kill('SIGKILL');
            over = true;
            await Promise.all(load);
            await watching.untilCut();
            await other.spawn();
            const whole = await follow(other, c, { from: { epoch, seq: 0, head: chainStart(epoch) } });
            const has = new Set(whole.revoked.map((r) => r.jti));
            assert.deepEqual([...acknowledged].filter((x) => !has.has(x)), []);
            assert.deepEqual(whole.resets, []);
            // What was sent before the kill is in the history that goes on: nobody was told of something that never was.
            watching = await follow(other, c, { from: watching.position });
            assert.deepEqual(watching.resets, []);
            assert.equal(watching.seq, whole.seq);
            assert.deepEqual(watching.head, whole.head);
            whole.close();
        }
        watching.close();
    } finally { await other.stop(); }
});
