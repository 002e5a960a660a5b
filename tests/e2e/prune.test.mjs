// Pruning the audit log: what goes, what stays, and what somebody cannot pass off as a pruning.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import crypto from 'node:crypto';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { payload, program, Server, sleep } from './harness.mjs';

const sqlite = (server, sql) => execFileSync('sqlite3', [path.join(server.data, 'sallyport.db'), sql]).toString().trim();

async function start(context, settings = {}) {
    const s = await Server.start(settings);
    context.after(() => s.stop());
    await s.addUser('alice');
    return s;
}

// A checkpoint of now in a file, and a record after it.
async function checkpoint(s, name = 'checkpoint') {
    const file = path.join(s.folder, `${name}.json`);
    const r = await s.cli(['audit', 'checkpoint']);
    assert.equal(r.status, 0, r.stderr);
    writeFileSync(file, r.stdout);
    await s.cli(['role', 'set', `after-${name}`, 'a:b']);
    return { file, ...JSON.parse(r.stdout) };
}

const prune = (s, c, ...more) => s.cli(['audit', 'prune', '--checkpoint', c.file, '--yes', ...more]);
const verify = (s, ...args) => s.cli(['audit', 'verify', ...args]);

async function intact(s, base) {
    const r = await s.ask('audit', 'verify');
    assert.deepEqual([r.intact, r.base, r.why], [true, base, null]);
    assert.equal(r.records, (await s.ask('status')).audit_count);
}

test('what a checkpoint covers goes, on record, and the rest is a log like any other', async (context) => {
    const s = await start(context);
    for (let i = 0; i < 5; i++) await s.login('alice');
    const c = await checkpoint(s);
    const kept = (await s.ask('audit', 'show')).filter((r) => r.seq > c.count);
    const r = await prune(s, c);
    assert.equal(r.status, 0, r.stderr);
    assert.match(r.stdout, new RegExp(`^pruned: ${c.count} records; the log begins with record ${c.count + 1}\\n$`));
    await intact(s, c.count);
    assert.match((await verify(s)).stdout, new RegExp(`^intact: 2 records, from ${c.count + 1} on; those before were pruned\\n$`));

    const all = await s.ask('audit', 'show');
    assert.deepEqual(all.slice(0, kept.length), kept);
    const told = all.at(-1);
    assert.equal(told.action, 'audit_pruned');
    const { first, last, cause, hash, count, time_ms, head, mac } = told.body.detail;
    assert.deepEqual({ first, last, cause, hash }, { first: 1, last: c.count, cause: 'admin', hash: c.head });
    assert.deepEqual({ count, time_ms, head, mac }, { count: c.count, time_ms: c.time_ms, head: c.head, mac: c.mac });
    assert.match(told.actor, /^admin:\d+$/);

    const status = await s.ask('status');
    assert.deepEqual([status.audit_base, status.audit_count], [c.count, c.count + 2]);
    const metrics = (await s.admin('GET', '/metrics')).text;
    assert.match(metrics, new RegExp(`^sallyport_audit_pruned_records ${c.count}$`, 'm'));
    assert.match(metrics, new RegExp(`^sallyport_audit_records ${c.count + 2}$`, 'm'));
    assert.equal((await s.cli(['audit', 'tail', '-n', '100'])).stdout.trimEnd().split('\n').length, 2);
    assert.deepEqual((await s.admin('GET', '/admin/v1/audit?after=3&limit=1')).json.records.map((x) => x.seq), [c.count + 1]);
    assert.match(s.log, /"audit_pruned"/);

    // An export proves itself from the hash that the record of the pruning gives.
    let at = Buffer.from(hash, 'hex');
    for (const record of (await s.cli(['audit', 'export'])).stdout.trimEnd().split('\n').map((l) => JSON.parse(l))) {
        const n = Buffer.alloc(8);
        n.writeBigUInt64BE(BigInt(record.seq));
        at = crypto.createHash('sha256').update('sallyport audit link v1').update(n).update(at).update(JSON.stringify(record.body)).digest();
        assert.equal(at.toString('hex'), record.hash);
    }
    assert.equal(at.toString('hex'), status.audit_head);

    assert.match((await prune(s, c)).stdout, /^pruned: 0 records/, 'again: nothing to do');
    await s.restart();
    assert.equal((await s.audit('audit_seal_broken')).length + (await s.audit('store_rollback')).length, 0);
    await intact(s, c.count);
    await s.restart('SIGKILL');
    await intact(s, c.count);
    assert.equal(sqlite(s, 'select count(*) from audit_personal where seq <= (select audit_base from meta)'), '0');
});

test('without a checkpoint of ours, or without being meant, nothing goes', async (context) => {
    const s = await start(context);
    const c = await checkpoint(s);
    const { audit_count } = await s.ask('status');
    const asked = await s.cli(['audit', 'prune', '--checkpoint', c.file]);
    assert.deepEqual([asked.status, asked.stdout], [2, ''], 'no terminal, no --yes');
    assert.equal((await s.cli(['audit', 'prune', '--yes'])).status, 2);
    assert.equal((await s.cli(['audit', 'prune', '--yes', '--checkpoint', '/does/not/exist'])).status, 2);
    const genuine = { count: c.count, time_ms: c.time_ms, head: c.head, mac: c.mac };
    for (const forged of [{ ...genuine, count: c.count + 1 }, { ...genuine, head: 'ab'.repeat(32) }, { ...genuine, time_ms: 1 }, { ...genuine, mac: '00'.repeat(32) }]) {
        writeFileSync(c.file, JSON.stringify(forged));
        assert.equal((await prune(s, c)).status, 1);
        assert.equal((await s.admin('POST', '/admin/v1/audit/prune', forged)).json.code, 'invalid_request');
    }
    for (const nonsense of ['', '{}', '{"count":1}', JSON.stringify({ ...genuine, mac: 'zz'.repeat(32) })]) {
        writeFileSync(c.file, nonsense);
        assert.equal((await prune(s, c)).status, 2, nonsense);
    }
    const other = await start(context);
    const theirs = await checkpoint(other);
    assert.equal((await prune(s, theirs)).status, 1, 'of another server');
    assert.deepEqual([(await s.ask('status')).audit_base, (await s.ask('status')).audit_count], [0, audit_count]);
    await intact(s, 0);
});

test('a line of the server log will do; the newest record stays', async (context) => {
    const s = await start(context);
    for (let i = 0; i < 200 && !s.log.includes('"audit_checkpoint"'); i++) await sleep(50);
    const file = path.join(s.folder, 'line.json');
    writeFileSync(file, s.log.split('\n').find((l) => l.includes('"audit_checkpoint"')));
    assert.equal((await prune(s, { file })).status, 0);
    const first = (await s.ask('status')).audit_base;
    assert.ok(first > 0);
    await intact(s, first);
    const now = path.join(s.folder, 'now.json');
    writeFileSync(now, (await s.cli(['audit', 'checkpoint'])).stdout);
    const { count } = JSON.parse((await s.cli(['audit', 'checkpoint'])).stdout);
    assert.equal((await prune(s, { file: now })).status, 0);
    await intact(s, count - 1);
});

test('a verification says where an older checkpoint is', async (context) => {
    const s = await start(context);
    const c = [];
    for (const name of ['forgotten', 'first', 'second', 'newer']) c.push(await checkpoint(s, name));
    await prune(s, c[1]);
    await prune(s, c[2]);
    const expected = [
        [1, 'pruned', /^NOT PROVEN: /m], [0, 'on_record', /was pruned by it, as record \d+ tells$/m],
        [0, 'in_log', /the checkpoint fits them$/m], [0, 'in_log', /the checkpoint fits them$/m]];
    for (const [i, [status, place, text]] of expected.entries()) {
        const r = await verify(s, '--checkpoint', c[i].file);
        assert.equal(r.status, status, r.stdout);
        assert.match(r.stdout, text);
        const json = JSON.parse((await verify(s, '--checkpoint', c[i].file, '--json')).stdout);
        assert.deepEqual([json.intact, json.checkpoint], [true, place]);
    }
});

test('a user is erased from what is left; a backup of a pruned log is restored as it was', async (context) => {
    const s = await start(context);
    const agent = { 'user-agent': 'PrunedAgent/1' };
    await s.post('/auth/login', { username: 'alice', password: 'correct horse battery' }, agent);
    const c = await checkpoint(s);
    await s.post('/auth/login', { username: 'alice', password: 'correct horse battery' }, agent);
    await prune(s, c);
    const backup = path.join(s.folder, 'pruned.backup');
    await s.ask('backup', backup);
    const erased = await s.ask('user', 'erase', 'alice', '--yes');
    assert.equal(erased.erased, 1, 'one login was pruned before');
    await intact(s, c.count);
    await s.kill('SIGTERM');
    const r = await s.cli(['restore', backup]);
    assert.equal(r.status, 0, r.stderr);
    await s.spawn();
    const restored = (await s.audit('store_restored')).at(-1);
    assert.equal(restored.body.detail.audit, 'intact');
    await intact(s, c.count);
    assert.equal((await verify(s, '--checkpoint', c.file)).status, 0);
});

test('only administrators prune', async (context) => {
    const s = await start(context);
    await s.cli(['role', 'set', 'admin', 'sallyport:admin']);
    await s.addUser('root', ['admin']);
    const root = await s.login('root'), user = await s.login('alice');
    const { count, time_ms, head, mac } = await checkpoint(s);
    const body = { count, time_ms, head, mac };
    assert.equal((await s.post('/admin/v1/audit/prune', body)).status, 401);
    assert.equal((await s.post('/admin/v1/audit/prune', body, s.bearer(user.access_token))).status, 403);
    assert.equal((await s.ask('status')).audit_base, 0);
    const r = await s.post('/admin/v1/audit/prune', body, s.bearer(root.access_token));
    assert.deepEqual([r.status, r.json.complete, r.json.base], [200, true, count]);
    assert.equal((await s.audit('audit_pruned')).at(-1).actor, payload(root.access_token).sub);
});

test('with audit.keep_days checkpoints are on record; a value that makes no sense is refused', async (context) => {
    const s = await start(context, { 'audit.keep_days': '30' });
    for (let i = 0; i < 200 && (await s.audit('audit_checkpoint')).length === 0; i++) await sleep(50);
    const [record] = await s.audit('audit_checkpoint');
    const line = JSON.parse(s.log.split('\n').find((l) => l.includes('"audit_checkpoint"')));
    for (const member of ['count', 'time_ms', 'head', 'mac']) assert.equal(record.body.detail[member], line[member], member);
    assert.equal(record.actor, 'system');
    const file = path.join(s.folder, 'detail.json');
    writeFileSync(file, JSON.stringify(record.body.detail));
    assert.equal((await verify(s, '--checkpoint', file)).status, 0, 'it proves the log as well');
    assert.equal((await s.ask('status')).audit_base, 0, 'nothing is old enough');
    for (const bad of [['audit.keep_days=6'], ['audit.keep_days=-1'], ['audit.keep_days=99999'], ['audit.keep_days=30', 'log.level=warn']]) {
        const r = await s.cli(['config', 'check', ...bad.flatMap((x) => ['--set', x])]);
        assert.notEqual(r.status, 0, bad.join(' '));
        assert.match(r.stdout + r.stderr, /keep_days/);
    }
    for (const good of ['0', '7', '36500']) assert.equal((await s.cli(['config', 'check', '--set', `audit.keep_days=${good}`])).status, 0, good);
});

describe('tampering with the file of a stopped server whose log was pruned', () => {
    let t, untouched, older, c;
    before(async () => {
        t = await Server.start();
        await checkpoint(t, 'early');
        for (let i = 0; i < 4; i++) await t.addUser(`user${i}`);
        older = path.join(t.folder, 'older.db');
        await prune(t, { file: path.join(t.folder, 'early.json') });
        c = await checkpoint(t);
        await t.kill('SIGTERM');
        execFileSync('cp', [path.join(t.data, 'sallyport.db'), older]);
        await t.spawn();
        await prune(t, c);
        for (let i = 4; i < 9; i++) await t.addUser(`user${i}`);
        await t.kill('SIGTERM');
        untouched = path.join(t.folder, 'untouched.db');
        execFileSync('cp', [path.join(t.data, 'sallyport.db'), untouched]);
    });
    after(() => t.stop());

    async function tampered(sql) {
        execFileSync('cp', [untouched, path.join(t.data, 'sallyport.db')]);
        const base = Number(sqlite(t, 'select audit_base from meta'));
        if (sql) sqlite(t, typeof sql === 'function' ? sql(base) : sql);
        await t.spawn();
        const r = await t.cli(['audit', 'verify', '--json']);
        const later = path.join(t.folder, 'later.json');
        let pruned;
        const made = await t.cli(['audit', 'checkpoint']);
        if (made.status === 0) {
            writeFileSync(later, made.stdout);
            await t.cli(['role', 'set', 'one-more', 'a:b']);
            pruned = (await prune(t, { file: later })).status;
        }
        await t.kill('SIGTERM');
        const found = JSON.parse(r.stdout);
        return { base, status: r.status, bad: found.bad_seq, why: found.why, pruned };
    }
    async function found(sql, expected) {
        const r = await tampered(sql);
        assert.equal(r.status, 1, 'found');
        if (expected !== undefined) assert.equal(r.bad, r.base + expected, r.why);
        assert.equal(r.pruned, 1, `not pruned: it is evidence (${r.why})`);
        return r;
    }

    test('nothing changed: intact, and can be pruned on', async () => {
        const r = await tampered();
        assert.deepEqual([r.status, r.pruned], [0, 0], r.why);
        assert.equal(r.base, c.count);
    });
    test('one byte of a body', () => found((b) => `update audit set body = cast(replace(cast(body as text), 'user_added', 'user_addee') as blob) where seq = ${b + 4}`, 4));
    test('a record deleted in the middle', () => found((b) => `delete from audit where seq = ${b + 3}`, 3));
    test('the tail cut off', () => found((b) => `delete from audit where seq > ${b + 5}`, 6));
    test('the head cut off by hand', () => found((b) => `delete from audit where seq <= ${b + 2}; delete from audit_personal where seq <= ${b + 2}`, 1));
    const base_to = (n) => `audit_base = ${n}, audit_base_hash = (select hash from audit where seq = ${n})`;
    test('the head cut off by hand, and the base moved there', async () => {
        const r = await found((b) => `update meta set ${base_to(b + 2)}; delete from audit where seq <= ${b + 2}`);
        assert.match(r.why, /seal/, 'though the server has sealed it anew when it started');
    });
    test('the base moved, and nothing deleted', () => found((b) => `update meta set ${base_to(b + 1)}`));
    test('the base taken away', () => found('update meta set audit_base = 0, audit_base_hash = zeroblob(32)', undefined));
    test('the base of an older copy', () => found(() => `attach '${older}' as o; update meta set audit_base = (select audit_base from o.meta), audit_base_hash = (select audit_base_hash from o.meta)`));
    test('the whole seal of an older copy', () => found(() => `attach '${older}' as o; update meta set (audit_count, audit_head, audit_mac, audit_base, audit_base_hash) = (select audit_count, audit_head, audit_mac, audit_base, audit_base_hash from o.meta); delete from main.audit where seq > (select audit_count from o.meta)`));
    test('an older copy of the whole file, with all that was pruned since, is found by the mark', async () => {
        execFileSync('cp', [older, path.join(t.data, 'sallyport.db')]);
        await t.spawn();
        assert.equal((await t.audit('store_rollback')).length, 1);
        await t.kill('SIGTERM');
    });
});

test('killed while it prunes, it keeps a log that verifies and can be pruned on', { timeout: 180000 }, async (context) => {
    const s = await start(context);
    for (let i = 0; i < 175; i++)
        await Promise.all(Array.from({ length: 20 }, (_, k) => s.admin('PUT', `/admin/v1/roles/r${k}`, { permissions: [`a:${i}`] })));
    const c = await checkpoint(s);
    assert.ok(c.count > 3500);
    for (const ms of [1, 8, 15, 25, 40]) {
        const child = spawn(program, ['--data', s.data, 'audit', 'prune', '--checkpoint', c.file, '--yes'], { stdio: 'ignore' });
        const gone = new Promise((done) => child.once('exit', done));
        await sleep(ms);
        await s.kill('SIGKILL');
        await gone;
        await s.spawn();
        const { audit_base } = await s.ask('status');
        await intact(s, audit_base);
        const told = (await s.audit('audit_pruned')).at(-1);
        assert.equal(told?.body.detail.last ?? 0, audit_base, 'the log begins where the newest record of a pruning says');
    }
    assert.equal((await prune(s, c)).status, 0);
    await intact(s, c.count);
    assert.equal(sqlite(s, `select count(*) from audit where seq <= ${c.count}`), '0');
});

test('a store of before there was pruning is brought up to date, with the seal that it has', async (context) => {
    const s = await start(context);
    await s.login('alice');
    const c = await checkpoint(s);
    await s.kill('SIGTERM');
    const columns = 'one incarnation boots alive_ms global_epoch session_floor floor_cause floor_ms revoke_seq access_ttl_max_s audit_count audit_head audit_mac probes'.split(' ');
    const tables = 'meta users roles keys sessions revocations audit audit_personal'.split(' ');
    for (const column of sqlite(s, "select name from pragma_table_info('meta')").split('\n').filter((n) => !columns.includes(n)))
        sqlite(s, `alter table meta drop column ${column}`);
    for (const table of sqlite(s, "select name from sqlite_schema where type = 'table' and name not like 'sqlite_%'").split('\n').filter((n) => !tables.includes(n)))
        sqlite(s, `drop table ${table}`);
    sqlite(s, 'pragma user_version = 1');
    await s.spawn();
    assert.equal((await s.audit('audit_seal_broken')).length, 0);
    await intact(s, 0);
    assert.equal((await prune(s, c)).status, 0);
    await intact(s, c.count);
    await s.restart();
    await intact(s, c.count);
});
