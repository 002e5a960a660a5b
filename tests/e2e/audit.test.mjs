// The audit log: reading it, proving it, and erasing a person from it.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import crypto from 'node:crypto';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { spawn } from 'node:child_process';
import { after, before, describe, test } from 'node:test';
import { payload, program, Server, sleep } from './harness.mjs';

let s;
before(async () => {
    s = await Server.start();
    await s.cli(['role', 'set', 'admin', 'sallyport:admin']);
    await s.addUser('alice');
    await s.addUser('bob');
    await s.addUser('root', ['admin']);
    await s.login('alice');
    await s.login('bob');
    await s.post('/auth/login', { username: 'bob', password: 'not the password' });
    await settled(s);
});
after(() => s.stop());

const sqlite = (server, sql) => execFileSync('sqlite3', [path.join(server.data, 'sallyport.db'), sql]).toString();
// Failed logins are recorded beside the answer, not before it.
async function settled(server, action = 'login_failed') {
    for (let i = 0; i < 100 && (await server.audit(action)).length === 0; i++) await sleep(20);
    let before;
    do {
        before = (await server.ask('status')).audit_count;
        await sleep(100);
    } while ((await server.ask('status')).audit_count !== before);
}
const id = async (name) => (await s.ask('user', 'show', name)).id;

test('show filters by user, action and time, together', async () => {
    const bob = await id('bob');
    const all = await s.ask('audit', 'show');
    const his = await s.ask('audit', 'show', '--user', 'bob');
    assert.deepEqual(his, all.filter((r) => r.actor === bob || r.target === bob));
    assert.deepEqual(new Set(his.map((r) => r.action)), new Set(['user_added', 'login', 'login_failed']));
    assert.deepEqual(await s.ask('audit', 'show', '--user', bob), his, 'by id');
    const failed = await s.ask('audit', 'show', '--user', 'bob', '--action', 'login_failed');
    assert.equal(failed.length, 1);
    assert.deepEqual(await s.ask('audit', 'show', '--action', 'login_failed', '--since', failed[0].time), failed, 'since is inclusive');
    assert.deepEqual(await s.ask('audit', 'show', '--action', 'login_failed', '--until', failed[0].time), [], 'until is not');
    assert.equal((await s.ask('audit', 'show', '--since', '24h')).length, all.length);
    assert.equal((await s.ask('audit', 'show', '--until', '24h')).length, 0);
    assert.deepEqual(await s.ask('audit', 'show', '--limit', '2'), all.slice(0, 2));
    assert.deepEqual(await s.ask('audit', 'show', '--action', 'no_such_action'), []);
});

test('show gives the whole record, and finds a session of the user', async () => {
    const a = await s.login('alice');
    await s.cli(['revoke', '--session', a.session_id]);
    const records = await s.ask('audit', 'show', '--user', 'alice');
    const ended = records.find((r) => r.action === 'session_ended');
    assert.ok(ended, 'a record about a session of hers');
    assert.equal(ended.body.action, 'session_ended');
    const login = records.find((r) => r.action === 'login');
    assert.equal(login.personal.username, 'alice');
    assert.match(login.hash, /^[0-9a-f]{64}$/);
});

test('what is asked wrongly is refused and names what was wrong', async () => {
    for (const args of [['--since', 'yesterday'], ['--since', '2026-02-30T00:00:00Z'], ['--until', '24'], ['--since', '2026-11-21T02:33:37']]) {
        const r = await s.cli(['audit', 'show', ...args]);
        assert.equal(r.status, 2, args.join(' '));
        assert.match(r.stderr, new RegExp(args[0].slice(2)));
    }
    assert.equal((await s.cli(['audit', 'show', '--user', 'nobody'])).status, 1);
    for (const n of ['0', '-1', 'x', '']) assert.equal((await s.cli(['audit', 'show', '--limit', n])).status, 2, n);
});

test('tail gives the last records, one a line', async () => {
    const all = await s.ask('audit', 'show');
    const r = await s.cli(['audit', 'tail', '-n', '3']);
    assert.equal(r.status, 0, r.stderr);
    const lines = r.stdout.trimEnd().split('\n');
    assert.equal(lines.length, 3);
    assert.ok(lines[2].startsWith(`${all.at(-1).seq}  ${all.at(-1).time}  ${all.at(-1).action}`), lines[2]);
    assert.equal((await s.cli(['audit', 'tail', '-n', '0'])).status, 2);
});

test('tail --follow shows what is written from then on', async () => {
    const child = spawn(program, ['--data', s.data, 'audit', 'tail', '-n', '1', '--follow', '--json'], { stdio: ['ignore', 'pipe', 'inherit'] });
    let out = '';
    child.stdout.on('data', (c) => { out += c; });
    await s.cli(['role', 'set', 'followed', 'a:b']);
    for (let i = 0; i < 100 && !out.includes('"target":"followed"'); i++) await sleep(50);
    child.kill();
    const records = out.trimEnd().split('\n').map((l) => JSON.parse(l));
    assert.equal(records.at(-1).target, 'followed');
    const seqs = records.map((r) => r.seq);
    assert.deepEqual(seqs, seqs.map((_, i) => seqs[0] + i), 'none twice, none left out');
});

// The chain as documented, computed by other means than ours.
function link(seq, prev, body) {
    const n = Buffer.alloc(8);
    n.writeBigUInt64BE(BigInt(seq));
    return crypto.createHash('sha256').update('sallyport audit link v1').update(n).update(prev).update(body).digest();
}

test('an export proves itself without the server', async () => {
    await s.post('/auth/login', { username: 'zo\u00eb "\\\u{1F600}', password: 'not the password' }, { 'user-agent': 'a/b "c" \\d' });
    await settled(s);
    const r = await s.cli(['audit', 'export']);
    assert.equal(r.status, 0, r.stderr);
    const records = r.stdout.trimEnd().split('\n').map((l) => JSON.parse(l));
    assert.equal(records.length, (await s.ask('status')).audit_count);
    let head = Buffer.alloc(32);
    for (const record of records) {
        head = link(record.seq, head, JSON.stringify(record.body));
        assert.equal(head.toString('hex'), record.hash, `record ${record.seq}`);
    }
    assert.equal(head.toString('hex'), (await s.ask('status')).audit_head);
});

test('a checkpoint is found again in a longer log; another log, or a forged checkpoint, is not', async () => {
    const file = path.join(s.folder, 'checkpoint.json');
    const made = await s.cli(['audit', 'checkpoint']);
    writeFileSync(file, made.stdout);
    await s.cli(['role', 'set', 'later', 'a:b']);
    assert.equal((await s.cli(['audit', 'verify', '--checkpoint', file])).status, 0);
    const c = JSON.parse(made.stdout);
    for (const forged of [{ ...c, count: c.count - 1 }, { ...c, head: 'ab'.repeat(32) }, { ...c, time_ms: c.time_ms + 1 }, { ...c, mac: '00'.repeat(32) }]) {
        writeFileSync(file, JSON.stringify(forged));
        assert.equal((await s.cli(['audit', 'verify', '--checkpoint', file])).status, 1);
    }
    for (const nonsense of ['', '{}', '[]', '{"count":1}', JSON.stringify({ ...c, head: 5 })]) {
        writeFileSync(file, nonsense);
        assert.equal((await s.cli(['audit', 'verify', '--checkpoint', file])).status, 2, nonsense);
    }
    assert.equal((await s.cli(['audit', 'verify', '--checkpoint', '/does/not/exist'])).status, 2);
    assert.equal((await s.admin('GET', `/admin/v1/audit/verify?checkpoint_count=${c.count}`)).status, 400, 'a part of a checkpoint');
});

test('a refresh is a record only with audit.refresh', async (context) => {
    const t = await Server.start({ 'audit.refresh': 'true' });
    context.after(() => t.stop());
    for (const [server, expected] of [[s, []], [t, [1, 2]]]) {
        await server.addUser('refresher');
        const a = await server.login('refresher');
        const b = (await server.refresh(a.refresh_token)).json;
        assert.equal((await server.refresh(b.refresh_token)).status, 200);
        const records = (await server.ask('audit', 'show')).filter((r) => r.action === 'refreshed');
        assert.deepEqual(records.map((r) => r.body.detail), expected.map((generation) => ({ kind: 'rotated', generation })));
        for (const r of records) assert.deepEqual([r.outcome, r.target, r.body.session], ['ok', (await server.ask('user', 'show', 'refresher')).id, a.session_id]);
        assert.equal((await server.cli(['audit', 'verify'])).status, 0);
    }
});

test('the server log holds a checkpoint that proves the audit log', async () => {
    for (let i = 0; i < 100 && !s.log.includes('"audit_checkpoint"'); i++) await sleep(50);
    const line = s.log.split('\n').find((l) => l.includes('"audit_checkpoint"'));
    const file = path.join(s.folder, 'line.json');
    writeFileSync(file, line);
    const r = await s.cli(['audit', 'verify', '--checkpoint', file]);
    assert.equal(r.status, 0, r.stdout + r.stderr);
    const c = JSON.parse(line);
    writeFileSync(file, JSON.stringify({ ...c, count: c.count - 1 }));
    assert.equal((await s.cli(['audit', 'verify', '--checkpoint', file])).status, 1);
});

describe('tampering with the file of a stopped server', () => {
    let t, untouched, checkpoint;
    before(async () => {
        t = await Server.start();
        for (let i = 0; i < 5; i++) await t.addUser(`user${i}`);
        checkpoint = path.join(t.folder, 'checkpoint.json');
        writeFileSync(checkpoint, (await t.cli(['audit', 'checkpoint'])).stdout);
        await t.kill('SIGTERM');
        untouched = path.join(t.folder, 'untouched.db');
        execFileSync('cp', [path.join(t.data, 'sallyport.db'), untouched]);
    });
    after(() => t.stop());

    async function tampered(sql) {
        execFileSync('cp', [untouched, path.join(t.data, 'sallyport.db')]);
        if (sql) sqlite(t, sql);
        await t.spawn();
        const r = await t.cli(['audit', 'verify', '--json']);
        const c = await t.cli(['audit', 'verify', '--checkpoint', checkpoint, '--json']);
        await t.kill('SIGTERM');
        const found = JSON.parse(r.stdout);
        return { status: r.status, bad: found.bad_seq, why: found.why, byCheckpoint: c.status, checkpointWhy: JSON.parse(c.stdout).why };
    }

    test('nothing changed: intact', async () => {
        const r = await tampered();
        assert.equal(r.status, 0, r.why);
        assert.equal(r.byCheckpoint, 0);
    });
    test('one byte of a body', async () => {
        const r = await tampered(`update audit set body = cast(replace(cast(body as text), 'user_added', 'user_addee') as blob) where seq = 10`);
        assert.deepEqual([r.status, r.bad], [1, 10], r.why);
    });
    test('a column that people filter by', async () => {
        const r = await tampered(`update audit set target = 'somebody' where seq = 10`);
        assert.deepEqual([r.status, r.bad], [1, 10], r.why);
    });
    test('a time', async () => {
        const r = await tampered('update audit set time_ms = time_ms + 1 where seq = 9');
        assert.deepEqual([r.status, r.bad], [1, 9], r.why);
    });
    test('a record deleted in the middle', async () => {
        const r = await tampered('delete from audit where seq = 8; delete from audit_personal where seq = 8');
        assert.deepEqual([r.status, r.bad], [1, 8], r.why);
    });
    test('the tail cut off', async () => {
        const r = await tampered('delete from audit where seq > 9');
        assert.equal(r.status, 1);
        assert.equal(r.bad, 10, r.why);
    });
    test('the tail cut off, and the count with it', async () => {
        const r = await tampered('delete from audit where seq > 9; delete from audit_personal where seq > 9; update meta set audit_count = 9, audit_head = (select hash from audit where seq = 9)');
        assert.deepEqual([r.status, r.bad], [1, 10], r.why);
        assert.match(r.why, /seal/, 'though the server has sealed it anew when it started');
        assert.equal(r.byCheckpoint, 1);
    });
    test('a personal value', async () => {
        const r = await tampered(`update audit_personal set value = cast(replace(cast(value as text), 'user2', 'user3') as blob)`);
        assert.equal(r.status, 1, r.why);
        assert.match(r.why, /personal/);
    });
    test('an older copy of the whole file fits itself, and not the checkpoint', async () => {
        execFileSync('cp', [untouched, path.join(t.data, 'sallyport.db')]);
        await t.spawn();
        await t.addUser('newest');
        const later = path.join(t.folder, 'later.json');
        writeFileSync(later, (await t.cli(['audit', 'checkpoint'])).stdout);
        await t.kill('SIGTERM');
        execFileSync('cp', [untouched, path.join(t.data, 'sallyport.db')]);
        await t.spawn();
        assert.equal((await t.cli(['audit', 'verify'])).status, 0);
        assert.equal((await t.cli(['audit', 'verify', '--checkpoint', later])).status, 1);
        await t.kill('SIGTERM');
    });
});

test('a long log is proved, shown and erased from in parts', { timeout: 120000 }, async (context) => {
    const t = await Server.start();
    context.after(() => t.stop());
    await t.addUser('long');
    const login = await t.login('long');
    // 120 requests of 5 role changes each would be slow; the store takes them in groups.
    for (let i = 0; i < 30; i++)
        await Promise.all(Array.from({ length: 20 }, (_, k) => t.admin('PUT', `/admin/v1/roles/r${k}`, { permissions: [`a:${i}`] })));
    const count = (await t.ask('status')).audit_count;
    assert.ok(count > 600);
    const all = await t.ask('audit', 'show');
    assert.equal(all.length, count);
    assert.deepEqual(all.map((r) => r.seq), all.map((_, i) => i + 1));
    assert.equal((await t.ask('audit', 'show', '--action', 'role_set', '--limit', '250')).length, 250);
    // By hand, from the middle: the second half fits the hash that the first ended with.
    const middle = all[299];
    const half = await t.admin('GET', `/admin/v1/audit/verify?after=300&head=${middle.hash}`);
    assert.deepEqual([half.json.intact, half.json.complete, half.json.records], [true, true, count]);
    const wrong = await t.admin('GET', `/admin/v1/audit/verify?after=300&head=${all[298].hash}`);
    assert.deepEqual([wrong.json.intact, wrong.json.bad_seq], [false, 301]);
    assert.equal((await t.cli(['user', 'erase', 'long', '--yes'])).status, 0);
    assert.equal((await t.get('/auth/me', login.access_token)).status, 401);
});

test('user erase takes every personal value of the user, and the chain still holds', async (context) => {
    const t = await Server.start();
    context.after(() => t.stop());
    const agent = { 'user-agent': 'ErasedAgent/1' };
    await t.cli(['role', 'set', 'r', 'a:b']);
    await t.addUser('Erased Person');
    await t.addUser('kept');
    const login = (name, headers) => t.post('/auth/login', { username: name, password: 'correct horse battery', device: `${name} phone` }, headers);
    const a = (await login('erased person', agent)).json, b = (await login('erased person', agent)).json, k = (await login('kept', agent)).json;
    await t.post('/auth/login', { username: 'erased person', password: 'wrong password' }, agent);
    await settled(t);
    await t.cli(['revoke', '--session', b.session_id]);
    const gone = (await t.ask('user', 'show', 'erased person')).id;

    const asked = await t.cli(['user', 'erase', 'erased person']);
    assert.equal(asked.status, 2, 'no terminal, no --yes: nothing happens');
    assert.equal((await t.get('/auth/me', a.access_token)).status, 200);

    const said = await t.ask('user', 'erase', 'erased person', '--yes');
    assert.equal(said.user_id, gone);
    assert.equal(said.sessions_ended, 1);
    assert.ok(said.erased >= 4, `${said.erased}`);
    assert.equal((await t.get('/auth/me', a.access_token)).status, 401);
    assert.equal((await t.refresh(a.refresh_token)).status, 401);
    assert.equal((await t.get('/auth/me', k.access_token)).status, 200, 'nobody else');

    const all = (await t.cli(['audit', 'export'])).stdout + JSON.stringify(await t.ask('session', 'list', '--ended')) + JSON.stringify(await t.ask('user', 'list'));
    assert.doesNotMatch(all.replaceAll('ErasedAgent', ''), /erased person/i);
    const records = await t.ask('audit', 'show', '--user', gone);
    for (const r of records.filter((x) => x.action !== 'user_erased')) assert.equal(r.personal, null, r.action);
    assert.equal(records.at(-1).action, 'user_erased');
    assert.ok((await t.ask('audit', 'show', '--user', 'kept')).some((r) => r.personal?.user_agent === 'ErasedAgent/1'), 'those of others stay');
    const verify = await t.cli(['audit', 'verify']);
    assert.equal(verify.status, 0, verify.stdout);

    const again = await t.ask('user', 'erase', gone, '--yes');
    assert.deepEqual([again.erased, again.sessions_ended], [0, 0], 'a second time there is nothing to do');
    assert.equal((await t.audit('user_erased')).length, 1);
    assert.equal((await t.cli(['user', 'erase', 'erased person', '--yes'])).status, 1, 'nobody has that name any more');
    assert.equal((await t.cli(['user', 'erase', 'nobody', '--yes'])).status, 1);
    await t.addUser('Erased Person');
    assert.notEqual((await t.ask('user', 'show', 'erased person')).id, gone, 'the name is free, the id is not');

    await t.kill('SIGTERM');
    assert.equal(sqlite(t, `select count(*) from audit_personal where cast(value as text) like '%erased person%' and seq <= ${records.at(-1).seq}`).trim(), '0');
    await t.spawn();
});

test('an erasure that claims to have looked at everything looks all the same', async (context) => {
    const t = await Server.start();
    context.after(() => t.stop());
    await t.addUser('claimed');
    await t.login('claimed');
    const r = await t.admin('POST', '/admin/v1/users/claimed/erase?after=9223372036854775807');
    assert.equal(r.status, 200);
    assert.equal(r.json.complete, true);
    assert.ok(r.json.erased >= 1, `${r.json.erased}`);
    const records = (await t.ask('audit', 'show')).filter((x) => x.action !== 'user_erased');
    assert.ok(records.some((x) => JSON.stringify(x).includes(r.json.user_id)));
    for (const x of records.filter((y) => JSON.stringify(y).includes(r.json.user_id))) assert.equal(x.personal, null, x.action);
});

test('an administrator over TCP may read and erase; a user may not', async () => {
    const root = await s.login('root'), user = await s.login('alice');
    assert.equal((await s.get('/admin/v1/audit?action=login', root.access_token)).status, 200);
    for (const url of ['/admin/v1/audit', '/admin/v1/audit/verify', '/admin/v1/audit/checkpoint', '/admin/v1/backup'])
        assert.equal((await s.get(url, user.access_token)).status, 403, url);
    assert.equal((await s.send('POST', '/admin/v1/users/bob/erase', undefined, s.bearer(user.access_token))).status, 403);
    assert.equal((await s.ask('user', 'show', 'bob')).name, 'bob');
    assert.equal(payload(root.access_token).permissions.includes('sallyport:admin'), true);
});
