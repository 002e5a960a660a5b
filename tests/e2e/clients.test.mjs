// Clients: made, given other secrets, disabled and deleted; and their secrets, which are nowhere but where they were shown.
import assert from 'node:assert/strict';
import { chmodSync, existsSync, lstatSync, mkdirSync, readFileSync, readdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { after, before, test } from 'node:test';

import { Server, request } from './harness.mjs';

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
    assert.deepEqual(Object.keys(json).sort(), ['client_id', 'client_secret', 'created_at', 'disabled', 'feed', 'previous_secret_expires_at',
        'secret_created_at', 'version']);
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
    const refused = (await s.audit('client_refused')).map((r) => r.target);
    assert.ok(refused.includes('watcher') && refused.includes('orders') && refused.includes('nobody'));
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
