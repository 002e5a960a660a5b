// Backup while the server works, and restore: with and without the sessions.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { chownSync, existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { program, Server, sleep, slowness, temporaryFolder } from './harness.mjs';

async function start(context, settings = {}) {
    const s = await Server.start({ 'sessions.grace': '300ms', ...settings });
    context.after(() => s.stop());
    await s.addUser('alice');
    await s.addUser('bob');
    return s;
}

const alive = async (s, t) => (await s.get('/auth/me', t.access_token)).status === 200;
const restore = (s, ...args) => s.cli(['restore', ...args]);

test('a backup is whole, private, refuses to overwrite, and holds no master key', async (context) => {
    const s = await start(context);
    const file = path.join(s.folder, 'one.backup');
    const said = await s.ask('backup', file);
    assert.equal(said.state, 'done');
    assert.equal(statSync(file).mode & 0o777, 0o600);
    assert.equal(statSync(file).size, said.bytes);
    assert.equal(execFileSync('sqlite3', [file, 'pragma integrity_check; pragma journal_mode']).toString(), 'ok\ndelete\n');
    assert.ok(!readdirSync(s.folder).some((f) => f.startsWith('one.backup.') || f.startsWith('one.backup-')));
    const key = readFileSync(path.join(s.folder, 'data.master-key'), 'utf8').trim();
    const bytes = readFileSync(file);
    assert.equal(bytes.indexOf(key), -1);
    assert.equal(bytes.indexOf(Buffer.from(key, 'base64url')), -1);

    writeFileSync(path.join(s.folder, 'taken'), 'precious');
    for (const name of ['one.backup', 'taken']) {
        const r = await s.cli(['backup', path.join(s.folder, name)]);
        assert.equal(r.status, 1);
        assert.match(r.stderr, /exists already/);
    }
    assert.equal(readFileSync(path.join(s.folder, 'taken'), 'utf8'), 'precious');
    assert.deepEqual(readFileSync(file), bytes);
    assert.equal((await s.cli(['backup', path.join(s.folder, 'no/such/folder/x')])).status, 1);
    assert.equal((await s.cli(['backup', 'relative.backup'])).status, 0);
    assert.ok(existsSync(path.join(s.folder, 'relative.backup')));
    const outcomes = (await s.audit('backup_made')).map((r) => r.outcome);
    assert.deepEqual(outcomes, ['ok', 'failed', 'failed', 'failed', 'ok']);
});

test('a backup is for the admin socket only, and takes only an absolute path', async (context) => {
    const s = await start(context);
    await s.cli(['role', 'set', 'admin', 'sallyport:admin']);
    await s.addUser('root', ['admin']);
    const root = await s.login('root');
    const file = path.join(s.folder, 'tcp.backup');
    const r = await s.post('/admin/v1/backup', { file }, s.bearer(root.access_token));
    assert.equal(r.status, 403);
    assert.ok(!existsSync(file));
    for (const bad of ['x.backup', '', '/', `/${'x'.repeat(2000)}`])
        assert.ok([400, 413].includes((await s.admin('POST', '/admin/v1/backup', { file: bad })).status), bad);
});

test('backup under load: nobody waits long, and the copy is of one moment', { timeout: 60000 }, async (context) => {
    const s = await start(context, { 'sessions.max_per_user': '5000' });
    const token = (await s.login('alice')).access_token;
    let stop = false, slowest = 0, done = 0;
    const work = async () => {
        let t = await s.login('bob');
        while (!stop) {
            const begin = Date.now();
            const r = await s.refresh(t.refresh_token);
            slowest = Math.max(slowest, Date.now() - begin);
            assert.equal(r.status, 200, r.text);
            t = r.json;
            done++;
        }
    };
    const workers = Array.from({ length: 4 }, work);
    for (let i = 0; i < 3; i++) {
        const file = path.join(s.folder, `load-${i}.backup`);
        assert.equal((await s.ask('backup', file)).state, 'done');
        assert.equal(execFileSync('sqlite3', [file, 'pragma integrity_check']).toString(), 'ok\n');
        // The count under the seal is the count of records: one moment.
        assert.equal(execFileSync('sqlite3', [file, 'select (select count(*) from audit) = (select audit_count from meta)']).toString(), '1\n');
    }
    stop = true;
    await Promise.all(workers);
    assert.ok(done > 0);
    assert.ok(slowest < 3000 * slowness, `${slowest} ms`);
    assert.ok((await s.get('/auth/me', token)).status === 200);
});

test('restore ends all sessions, keeps the old database, and the audit log says so', async (context) => {
    const s = await start(context);
    const file = path.join(s.folder, 'b.backup');
    const before = await s.login('alice');
    await s.ask('backup', file);
    await s.addUser('late');
    await s.cli(['revoke', '--everyone']); // raises the epoch that the backup does not know of
    const since = await s.login('late');

    const running = await restore(s, file);
    assert.equal(running.status, 1);
    assert.match(running.stderr, /running/);
    assert.ok(await alive(s, since));

    await s.kill('SIGTERM');
    const r = await restore(s, file);
    assert.equal(r.status, 0, r.stderr);
    assert.match(r.stdout, /all sessions have ended/);
    const kept = readdirSync(s.data).find((f) => f.startsWith('sallyport.db.before-restore-'));
    assert.ok(kept, readdirSync(s.data).join(' '));
    assert.equal(execFileSync('sqlite3', [path.join(s.data, kept), `select count(*) from users where name = 'late'`]).toString(), '1\n');
    assert.ok(!readdirSync(s.data).some((f) => f.startsWith('restore.')));
    await s.spawn();
    for (const t of [before, since]) {
        assert.equal(await alive(s, t), false, 'access');
        assert.equal((await s.refresh(t.refresh_token)).status, 401, 'refresh');
    }
    const ended = (await s.ask('session', 'list', '--user', 'alice', '--ended')).find((x) => x.session_id === before.session_id);
    assert.equal(ended.cause, 'restore');
    assert.ok(await alive(s, await s.login('alice')));
    assert.equal((await s.cli(['user', 'show', 'late'])).status, 1, 'added after the backup');
    assert.equal((await s.cli(['audit', 'verify'])).status, 0);
    const [record] = await s.audit('store_restored');
    assert.equal(record.body.detail?.sessions ?? JSON.stringify(record.body).match(/"sessions":"(\w+)"/)?.[1], 'ended');
    assert.equal((await s.audit('store_rollback')).length, 0, 'asked for: no alarm');
});

// Two copies of one start differ only in what was committed since: the mark beside the database counts the audit records.
test('a copy of the running database that is put back by hand is found, and what was revoked since stays refused', async (context) => {
    const s = await start(context);
    const copy = path.join(s.folder, 'copy.db'), db = path.join(s.data, 'sallyport.db');
    execFileSync('sqlite3', [db, `.backup '${copy}'`]);
    for (let i = 0; i < 2; i++) assert.equal((await s.cli(['revoke', '--everyone'])).status, 0);
    const lost = await s.login('alice');
    assert.ok(await alive(s, lost));
    await s.kill('SIGTERM');
    for (const end of ['-wal', '-shm']) rmSync(`${db}${end}`, { force: true });
    writeFileSync(db, readFileSync(copy));
    await s.spawn();
    assert.equal((await s.audit('store_rollback')).length, 1);
    assert.equal(await alive(s, lost), false);
    for (let i = 0; i < 3; i++) {
        await s.cli(['revoke', '--everyone']);
        assert.equal(await alive(s, lost), false, 'no epoch is given twice');
    }
    assert.ok(await alive(s, await s.login('alice')));
    await s.restart();
    assert.equal((await s.audit('store_rollback')).length, 1, 'told once');
    assert.equal((await s.cli(['audit', 'verify'])).status, 0);
});

test('an orderly stop, a crash, and a mark of the older form are no rollback', async (context) => {
    const s = await start(context);
    const mark = path.join(s.data, 'boots');
    await s.login('alice');
    await s.restart();
    assert.match(readFileSync(mark, 'utf8'), /^2 [1-9]\d*\n$/);
    await s.restart('SIGKILL');
    await s.kill('SIGTERM');
    const count = execFileSync('sqlite3', [path.join(s.data, 'sallyport.db'), 'select boots, audit_count from meta']).toString();
    assert.equal(readFileSync(mark, 'utf8'), count.replace('|', ' '));
    writeFileSync(mark, '3\n');
    await s.spawn();
    assert.equal((await s.audit('store_rollback')).length, 0);
});

test('restore --keep-sessions: who is behind goes on, who is ahead is healed, nobody trips', async (context) => {
    const s = await start(context);
    const file = path.join(s.folder, 'b.backup');
    const still = await s.login('alice'), moved = await s.login('alice'), ended = await s.login('bob');
    const incarnation = (await s.ask('status')).incarnation;
    await s.ask('backup', file);
    let ahead = moved;
    for (let i = 0; i < 3; i++) ahead = (await s.refresh(ahead.refresh_token)).json;
    await s.cli(['revoke', '--session', ended.session_id]);
    await s.kill('SIGKILL');
    const r = await restore(s, file, '--keep-sessions');
    assert.equal(r.status, 0, r.stderr);
    assert.match(r.stdout, /sessions go on/);
    await s.spawn();
    assert.ok((await s.ask('status')).incarnation > incarnation);
    // Access tokens are over, since which of them had been revoked is not known any more; sessions are not.
    assert.equal(await alive(s, still), false);
    const again = await s.refresh(still.refresh_token);
    assert.equal(again.status, 200);
    assert.ok(await alive(s, again.json));
    const healed = await s.refresh(ahead.refresh_token);
    assert.equal(healed.status, 200, healed.text);
    assert.equal((await s.refresh(healed.json.refresh_token)).status, 200, 'and goes on');
    // Documented: what was revoked after the backup was made is forgotten with the rest.
    assert.equal((await s.refresh(ended.refresh_token)).status, 200);
    // The tripwire still works: a token from before the healed one is a replay.
    await sleep(400);
    assert.equal((await s.refresh(moved.refresh_token)).status, 401);
    assert.equal((await s.cli(['audit', 'verify'])).status, 0);
    assert.equal((await s.audit('store_restored')).length, 1);
});

test('the same backup can be restored twice, and each time is a new incarnation', async (context) => {
    const s = await start(context);
    const file = path.join(s.folder, 'b.backup');
    await s.ask('backup', file);
    const seen = [(await s.ask('status')).incarnation];
    for (let i = 0; i < 2; i++) {
        await s.kill('SIGTERM');
        assert.equal((await restore(s, file)).status, 0);
        await s.spawn();
        const t = await s.login('alice');
        assert.ok(await alive(s, t));
        seen.push((await s.ask('status')).incarnation);
        await sleep(1100); // the kept database is named by the second
    }
    assert.equal(new Set(seen).size, 3, seen.join(' '));
});

test('a backup from before there was a feed is restored, and the next start has one', async (context) => {
    const s = await start(context);
    const file = path.join(s.folder, 'b.backup');
    await s.ask('backup', file);
    const epoch = (await s.ask('status')).feed_epoch;
    await s.kill('SIGTERM');
    execFileSync('sqlite3', [file, 'delete from keys where use = 6; update meta set feed_head = zeroblob(32)']);
    const r = await restore(s, file);
    assert.equal(r.status, 0, r.stderr);
    await s.spawn();
    assert.notEqual((await s.ask('status')).feed_epoch, epoch);
    assert.deepEqual((await s.ask('key', 'list')).filter((k) => k.use === 'feed').map((k) => k.state), ['signing']);
});

test('restore refuses what is not ours, not whole, or sealed by another key, and changes nothing', async (context) => {
    const s = await start(context);
    const file = path.join(s.folder, 'b.backup');
    const t = await s.login('alice');
    await s.ask('backup', file);
    await s.kill('SIGTERM');
    const db = readFileSync(path.join(s.data, 'sallyport.db'));
    const good = readFileSync(file);

    const cut = path.join(s.folder, 'cut');
    writeFileSync(cut, good.subarray(0, good.length - 8192));
    const flipped = path.join(s.folder, 'flipped');
    const bytes = Buffer.from(good);
    bytes.fill(0xff, 4096 + 8, 4096 + 200);
    writeFileSync(flipped, bytes);
    const text = path.join(s.folder, 'text');
    writeFileSync(text, 'this is no database');
    const other = path.join(s.folder, 'other.db');
    execFileSync('sqlite3', [other, 'create table t (a)']);
    const newer = path.join(s.folder, 'newer');
    writeFileSync(newer, good);
    execFileSync('sqlite3', [newer, 'pragma user_version = 999']);
    const live = path.join(s.folder, 'live');
    writeFileSync(live, good);
    writeFileSync(`${live}-wal`, 'something');
    for (const bad of [cut, flipped, text, other, newer, live, '/does/not/exist', s.folder]) {
        const r = await restore(s, bad);
        assert.equal(r.status, 1, `${bad}: ${r.stdout}`);
        assert.ok(r.stderr.length > 0);
    }
    const keyFile = path.join(s.folder, 'data.master-key');
    const key = readFileSync(keyFile);
    writeFileSync(keyFile, `${Buffer.alloc(32, 7).toString('base64url')}\n`);
    const wrongKey = await restore(s, file);
    assert.equal(wrongKey.status, 1);
    assert.match(wrongKey.stderr, /master key/);
    rmSync(keyFile);
    assert.equal((await restore(s, file)).status, 1, 'no master key');
    assert.ok(!existsSync(keyFile), 'none was made');
    writeFileSync(keyFile, key, { mode: 0o600 });

    assert.deepEqual(readFileSync(path.join(s.data, 'sallyport.db')), db);
    assert.ok(!readdirSync(s.data).some((f) => f.startsWith('restore.') || f.includes('before')), readdirSync(s.data).join(' '));
    await s.spawn();
    assert.ok(await alive(s, t));
});

test('a data directory of somebody else is refused', { skip: process.getuid() !== 0 && 'needs root' }, async (context) => {
    const s = await start(context);
    await s.kill('SIGTERM');
    chownSync(s.data, 65534, 65534);
    await assert.rejects(s.spawnOnce(), /belongs to another user/);
    chownSync(s.data, 0, 0);
    await s.spawn();
});

test('a machine with nothing but the backup and the master key is restored', async (context) => {
    const s = await start(context);
    const file = path.join(s.folder, 'b.backup');
    await s.ask('backup', file);
    await s.kill('SIGTERM');
    rmSync(s.data, { recursive: true });
    const r = spawnSync(program, ['--data', s.data, 'restore', file], { cwd: s.folder });
    assert.equal(r.status, 0, r.stderr.toString());
    await s.spawn();
    await s.login('alice');
});

test('a refused restore leaves no directory behind', async (context) => {
    const s = await start(context);
    const file = path.join(s.folder, 'b.backup'), elsewhere = temporaryFolder('restore');
    await s.ask('backup', file);
    const refused = (what, args, options = {}) => {
        const r = spawnSync(program, ['restore', ...args], { cwd: elsewhere, ...options });
        assert.equal(r.status, 1, what + r.stderr);
        assert.deepEqual(readdirSync(elsewhere), [], what);
    };
    const key = ['--set', `keys.master_key_file=${s.data}.master-key`];
    refused('no key', [file]);
    refused('no backup', ['/does/not/exist', ...key]);
    refused('another key', [file], { env: { ...process.env, SALLYPORT_MASTER_KEY: 'A'.repeat(43) } });
    assert.equal(spawnSync(program, ['restore', file, ...key], { cwd: elsewhere }).status, 0);
    assert.deepEqual(readdirSync(elsewhere), ['sallyport-data']);
});

test('the server stops at once while a backup runs', async (context) => {
    const s = await start(context);
    await s.admin('POST', '/admin/v1/backup', { file: path.join(s.folder, 'late.backup') });
    const begin = Date.now();
    assert.deepEqual(await s.kill('SIGTERM'), { code: 0, signal: null });
    assert.ok(Date.now() - begin < 5000);
    assert.ok(!existsSync(path.join(s.folder, 'late.backup.partial')));
    await s.spawn();
});
