// `sallyport doctor`: finds what is wrong, and nothing else.
import assert from 'node:assert/strict';
import { chmodSync, copyFileSync, renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { Server } from './harness.mjs';

let s;
// As many open files as the default of server.connections_max needs: where a container allows a million, none were too few.
before(async () => { s = await Server.start({}, { wrap: ['sh', '-c', 'ulimit -n 10128; exec "$@"', 'sh'] }); });
after(() => s.stop());

const https = ['--set', 'tokens.issuer=https://auth.example.test', '--set', 'server.public_origins=https://app.example.test'];
// A failing doctor says what it found, too.
async function look(server, ...more) {
    const r = await server.cli(['doctor', '--json', ...more]);
    return { ...r, json: JSON.parse(r.stdout) };
}
async function doctor(...more) {
    const r = await look(s, ...https, ...more);
    const of = (name) => r.json.checks.find((c) => c.check === name);
    return { ...r, of, level: (name) => of(name)?.result };
}

test('a good deployment passes, with each check said', async () => {
    await s.ask('backup', path.join(s.folder, 'b.backup'));
    const r = await doctor();
    assert.equal(r.status, 0, r.stdout);
    assert.ok(r.json.checks.length > 15);
    for (const c of r.json.checks.filter((x) => x.check !== 'clock')) assert.equal(c.result, 'ok', `${c.check}: ${c.detail}`);
    for (const c of r.json.checks.filter((x) => x.result === 'warn')) assert.ok(c.mend, c.check);
    const plain = await s.cli(['doctor', ...https]);
    assert.match(plain.stdout, /^ok +server +runs$/m);
});

test('each unsafe setting is named with how to mend it; a warning is no failure', async () => {
    const cases = {
        'tokens.access_ttl=1h': 'lifetimes', 'tokens.alg=HS256': 'algorithm', 'sessions.reuse_policy=report': 'reuse policy',
        'sessions.grace=60s': 'grace', 'log.level=debug': 'log level', 'passwords.memory_kib=8192': 'passwords',
        'server.listen=0.0.0.0:80': 'listen', 'server.connections_max=1000000': 'open files',
    };
    for (const [set, name] of Object.entries(cases)) {
        const r = await doctor('--set', set);
        assert.equal(r.level(name), 'warn', `${set}: ${r.of(name)?.detail}`);
        assert.ok(r.of(name).mend);
        assert.equal(r.status, 0, set);
    }
    assert.equal((await doctor('--set', 'tokens.access_ttl=15m')).level('lifetimes'), 'ok', 'the near miss');
});

test('what cannot be safe fails', async () => {
    const cases = [['tokens.issuer=http://auth.example.test', 'issuer'], ['tokens.issuer=http://localhost.example.test', 'issuer'],
        ['server.public_origins=https://a.test http://b.test', 'origins'], ['server.public_origins=http://127.0.0.1.example.test', 'origins']];
    for (const [set, name] of cases) {
        const r = await look(s, '--set', set);
        assert.equal(r.status, 1, set);
        assert.equal(r.json.checks.find((c) => c.check === name).result, 'fail');
        assert.equal(r.json.result, 'fail');
    }
});

test('files that others can read, and a master key in the wrong place', async () => {
    const key = path.join(s.folder, 'data.master-key'), inside = path.join(s.data, 'key'), db = path.join(s.data, 'sallyport.db');
    for (const [file, name, mode] of [[s.data, 'data directory', 0o700], [db, 'database', 0o600], [key, 'master key', 0o600]]) {
        chmodSync(file, mode | 0o040);
        const r = await doctor();
        chmodSync(file, mode);
        assert.equal(r.level(name), 'fail', name);
        assert.equal(r.status, 1);
    }
    copyFileSync(key, inside);
    chmodSync(inside, 0o600);
    assert.equal((await doctor('--set', `keys.master_key_file=${inside}`)).level('master key'), 'warn');
});

test('a stopped server: what needs it is left out; a lost master key is a failure', async () => {
    const t = await Server.start();
    const ask = async () => {
        const r = await look(t, ...https);
        return Object.fromEntries(r.json.checks.map((c) => [c.check, c.result]));
    };
    await t.kill('SIGTERM');
    const stopped = await ask();
    assert.deepEqual([stopped.server, stopped.store, stopped['audit log'], stopped['signing key']], ['warn', 'skipped', 'skipped', 'skipped']);
    const key = path.join(t.folder, 'data.master-key');
    renameSync(key, `${key}.away`);
    assert.equal((await ask())['master key'], 'fail');
    renameSync(`${key}.away`, key);
    await t.spawn();
    await t.stop();
});

test('the size of an RSA key is told', async () => {
    const t = await Server.start({ 'tokens.alg': 'PS256' });
    const r = await look(t, ...https);
    const c = r.json.checks.find((x) => x.check === 'signing key');
    assert.deepEqual([c.result, c.detail], ['ok', 'PS256 (2048 bits), signing for 0 days']);
    assert.deepEqual((await t.ask('key', 'list')).filter((k) => k.rsa_bits !== null).map((k) => [k.use, k.rsa_bits]), [['access', 2048]]);
    await t.stop();
});

test('a configuration that does not parse is refused', async () => {
    const file = path.join(s.folder, 'bad.conf');
    writeFileSync(file, '[tokens]\nno_such_key = 1\n');
    const r = await s.cli(['doctor', '--config', file]);
    assert.equal(r.status, 2);
    assert.match(r.stderr, /no_such_key/);
});
