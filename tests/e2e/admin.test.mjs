// Administration: every command of the command line, the same routes over TCP, who may come, and names as people and attackers write them.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { chmodSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { Browser, PASSWORD, payload, program, refused, request, Server } from './harness.mjs';

let s, admin;
before(async () => {
    s = await Server.start();
    await s.ask('role', 'set', 'admins', 'sallyport:admin');
    await s.ask('role', 'set', 'editor', 'documents:read');
    await s.addUser('root', ['admins']);
    await s.addUser('alice', ['editor']);
    admin = (await s.login('root')).access_token;
});
after(() => s.stop());

const ok = async (...args) => {
    const r = await s.cli(args);
    assert.equal(r.status, 0, `${args.join(' ')}: ${r.stderr}`);
    assert.equal(r.stderr, '');
    return r.stdout;
};
// Status 1, a sentence with the code on stderr, nothing on stdout.
const no = async (code, ...args) => {
    const r = await s.cli(args, { input: `${PASSWORD}\n` });
    assert.equal(r.status, 1, `${args.join(' ')}: ${r.stdout} ${r.stderr}`);
    assert.match(r.stderr, new RegExp(`^sallyport: .*\\(${code}\\)\n$`));
    assert.equal(r.stdout, '');
};
const wrong = async (...args) => {
    const r = await s.cli(args, { input: `${PASSWORD}\n` });
    assert.equal(r.status, 2, `${args.join(' ')}: ${r.stdout} ${r.stderr}`);
    assert.match(r.stderr, /sallyport/i);
    assert.equal(r.stdout, '');
};

// A table: a line of titles, columns that begin where their titles do.
function table(text) {
    const [head, ...rows] = text.trimEnd().split('\n');
    const at = [...head.matchAll(/(?<=^|  )\S+( \S+)*/g)].map((m) => m.index);
    const titles = [...head.matchAll(/(?<=^|  )\S+( \S+)*/g)].map((m) => m[0]);
    return rows.map((row) => Object.fromEntries(titles.map((title, i) => [title, [...row].slice(at[i], at[i + 1]).join('').trim()])));
}

test('users: add, list, show, disable, enable, roles, passwd, delete; tables and --json', async () => {
    const added = await s.cli(['user', 'add', 'Bertha', '--password-stdin', '--role', 'editor'], { input: `${PASSWORD}\n` });
    assert.equal(added.status, 0, added.stderr);
    assert.match(added.stdout, /bertha/);
    const shown = await s.ask('user', 'show', 'BERTHA');
    assert.equal(shown.name, 'bertha');
    assert.equal(shown.display, 'Bertha');
    assert.deepEqual(shown.roles, ['editor']);
    assert.equal(shown.disabled, false);
    assert.match(shown.id, /^[\w-]{22}$/);
    assert.equal('password' in shown, false);
    const row = table(await ok('user', 'list')).find((x) => x.NAME === 'bertha');
    assert.equal(row.ID, shown.id);
    assert.equal(row.ROLES, 'editor');
    assert.equal(row.DISABLED, 'no');
    const t = await s.login('bertha');
    assert.match(await ok('user', 'disable', 'bertha'), /disabled/);
    assert.match(await ok('user', 'show', 'bertha'), /DISABLED +yes/);
    refused(await s.get('/auth/me', t.access_token), 401, 'invalid_token');
    await ok('user', 'enable', 'bertha');
    await ok('user', 'roles', 'bertha', 'admins', 'editor');
    assert.deepEqual((await s.ask('user', 'show', 'bertha')).roles, ['admins', 'editor']);
    await ok('user', 'roles', 'bertha');
    assert.deepEqual((await s.ask('user', 'show', 'bertha')).roles, []);
    const other = await s.login('bertha');
    const set = await s.cli(['user', 'passwd', 'bertha', '--password-stdin'], { input: 'another password\n' });
    assert.equal(set.status, 0, set.stderr);
    refused(await s.get('/auth/me', other.access_token), 401, 'invalid_token');
    refused(await s.post('/auth/login', { username: 'bertha', password: PASSWORD }), 401, 'invalid_credentials');
    assert.equal((await s.post('/auth/login', { username: 'bertha', password: 'another password' })).status, 200);
    const last = (await s.post('/auth/login', { username: 'bertha', password: 'another password' })).json;
    await ok('user', 'delete', 'bertha');
    refused(await s.get('/auth/me', last.access_token), 401, 'invalid_token');
    refused(await s.refresh(last.refresh_token), 401, 'invalid_grant');
    await no('not_found', 'user', 'show', 'bertha');
    await s.addUser('bertha');
    assert.notEqual((await s.ask('user', 'show', 'bertha')).id, shown.id, 'an id is never used again');
    await no('not_found', 'user', 'show', shown.id);
});

test('a user is found by id as well as by name; an id that exists comes first', async () => {
    const { id } = await s.ask('user', 'show', 'alice');
    assert.equal((await s.ask('user', 'show', id)).name, 'alice');
    const lower = id.toLowerCase();
    await s.addUser(lower.startsWith('-') ? `x${lower}` : lower); // somebody who would like to be taken for alice
    assert.equal((await s.ask('user', 'show', id)).name, 'alice');
    await ok('user', 'disable', id);
    assert.equal((await s.ask('user', 'show', 'alice')).disabled, true);
    await ok('user', 'enable', id);
});

test('an id that begins with a dash is an id, as one in 64 does', async () => {
    const id = (bytes) => Buffer.concat([Buffer.from([0xf8]), Buffer.alloc(bytes - 1, 3)]).toString('base64url');
    assert.equal(id(16)[0], '-');
    for (const words of [['user', 'show', id(16)], ['user', 'delete', id(16)], ['session', 'revoke', id(20)], ['key', 'revoke', id(16)], ['key', 'revoke', id(32)],
        ['revoke', '--session', id(20)], ['revoke', '--user', id(16)], ['user', 'show', `-${id(16).slice(0, -1)}`]]) await no('not_found', ...words);
    await ok('revoke', '--jti', id(16));
    await wrong('user', 'show', id(16).slice(0, -1));
    await wrong('user', 'show', `${id(16)}=`);
});

test('without a password nobody logs in with one', async () => {
    await ok('user', 'add', 'service', '--no-password');
    for (const password of ['x', 'service', PASSWORD]) refused(await s.post('/auth/login', { username: 'service', password }), 401, 'invalid_credentials');
});

test('refusals have status 1 and their code', async () => {
    await no('already_exists', 'user', 'add', 'ALICE', '--password-stdin');
    await no('password_rejected', 'user', 'add', PASSWORD, '--password-stdin');
    for (const verb of ['show', 'disable', 'enable', 'delete']) await no('not_found', 'user', verb, 'nobody-here');
    await no('not_found', 'user', 'roles', 'nobody-here', 'editor');
    await no('not_found', 'user', 'passwd', 'nobody-here', '--password-stdin');
    await no('not_found', 'role', 'delete', 'nothing');
    await no('not_found', 'key', 'revoke', 'nothing');
    await no('not_found', 'revoke', '--user', 'nobody-here');
    await no('not_found', 'revoke', '--session', Buffer.alloc(20, 1).toString('base64url'));
    await no('not_found', 'session', 'list', '--user', 'nobody-here');
});

test('wrong usage has status 2, says what is expected, and asks the server nothing', async () => {
    const before = await s.state();
    for (const words of [[], ['frobnicate'], ['user'], ['user', 'frobnicate'], ['user', 'add'], ['user', 'add', 'a', 'b'], ['user', 'add', 'a', '--rolle', 'x'],
        ['user', 'add', 'a', '--role'], ['user', 'add', 'a', '-x'], ['user', 'list', 'x'], ['user', 'show'], ['user', 'add', 'a', '--no-password=yes'],
        ['role', 'set', 'a'], ['role', 'delete'], ['revoke'], ['revoke', '--everyone', '--user', 'alice'], ['revoke', '--jti', 'a', '--session', 'b'],
        ['revoke', '--user', 'a', '--user', 'b'], ['key', 'revoke'], ['session', 'revoke'], ['session', 'list', '--user'], ['status', 'x'], ['--frobnicate'], ['--json=1', 'status'],
        ['serve', '--set', 'nonsense'], ['serve', '--set', 'no.such=1'], ['serve', '--set', 'sessions.grace=-1'], ['serve', '--set', 'tokens.alg=none'],
        ['serve', '--set', 'server.listen'], ['serve', '--config', '/no/such/file'], ['config', 'show', '--set', 'server.threads=0'], ['verify'], ['verify', '--jwks'],
        ['verify', '--jwks', 'x', '--leeway', '61'], ['token', 'inspect', 'x'], ['version', 'x'],
        ['role', 'set', 'bad', 'a:'], ['role', 'set', 'bad', 'a b'], ['role', 'set', 'b d', 'a'], ['revoke', '--jti', 'x'], ['revoke', '--session', 'x'], ['session', 'revoke', 'x'],
        ['key', 'rotate', '--use', 'csrf'], ['audit', 'show', '--since', 'yesterday'], ['client', 'set', 'x', '--scope', 'a b']]) await wrong(...words);
    assert.equal((await s.cli(['user', 'add', 'quiet', '--password-stdin'], { input: '' })).status, 2, 'no password');
    assert.equal((await s.cli(['user', 'add', 'quiet', '--password-stdin'], { input: `${'x'.repeat(2000)}\n` })).status, 2, 'too long');
    assert.equal((await s.cli(['user', 'add', 'quiet', '--password-stdin'], { input: 'a\0bcdefghij\n' })).status, 2, 'a NUL');
    assert.deepEqual(await s.state(), before);
});

test('without a server the status is 3, with a hint', async () => {
    for (const data of ['/no/such/folder', '/', s.folder, `/${'x'.repeat(200)}`]) {
        const r = await s.cli(['--data', data, 'status']);
        assert.equal(r.status, 3, r.stderr);
        assert.match(r.stderr, /Is it running/);
    }
});

test('--help of everything is status 0 and says the usage', async () => {
    const help = await ok('--help');
    assert.match(help, /usage: sallyport/);
    for (const line of help.split('\n').filter((l) => /^ {2}[a-z]/.test(l))) {
        const words = line.trim().split(/ {2,}/)[0].split(' ').filter((w) => /^[a-z]+(-[a-z]+)*$/.test(w));
        const r = await s.cli([...words, '--help']);
        assert.equal(r.status, 0, words.join(' '));
        assert.match(r.stdout, /usage: sallyport/, words.join(' '));
    }
    assert.match(await ok('version'), /^sallyport \d/);
});

test('roles: set, list, delete; a deleted role grants nothing and may come back', async () => {
    await ok('role', 'set', 'temp', 'b:write', 'a:read');
    assert.deepEqual((await s.ask('role', 'list')).find((r) => r.name === 'temp').permissions, ['a:read', 'b:write']);
    assert.equal(table(await ok('role', 'list')).find((r) => r.NAME === 'temp').PERMISSIONS, 'a:read, b:write');
    await s.addUser('tim', ['temp']);
    const { access_token: token } = await s.login('tim');
    assert.equal((await s.get('/auth/verify?permission=a:read', token)).status, 204);
    await ok('role', 'delete', 'temp');
    refused(await s.get('/auth/verify?permission=a:read', token), 403, 'permission_denied');
    await ok('role', 'set', 'temp', 'a:*');
    assert.equal((await s.get('/auth/verify?permission=a:read', token)).status, 204);
    for (const name of ['a b', '', 'é', 'a/b', '..', 'x'.repeat(65), 'a\nb', '%41'])
        assert.ok([1, 2].includes((await s.cli(['role', 'set', name, 'a:b'])).status), name);
});

test('sessions and revocations: list with and without the ended, revoke each way', async () => {
    await s.addUser('sara');
    const [a, b, c] = [await s.login('sara', { device: 'phone' }), await s.login('sara'), await s.login('sara')];
    const row = table(await ok('session', 'list', '--user', 'sara')).find((x) => x.SESSION === a.session_id);
    assert.equal(row.USER, 'sara');
    assert.equal(row.DEVICE, 'phone');
    assert.equal(row.ADDRESS, '127.0.0.1');
    await ok('session', 'revoke', a.session_id);
    assert.equal((await s.ask('revoke', '--session', a.session_id)).sessions_ended, 0, 'again: nothing left to end');
    assert.equal((await s.send('DELETE', `/admin/v1/sessions/${b.session_id}`, undefined, s.bearer(admin))).status, 204);
    assert.deepEqual((await s.ask('session', 'list', '--user', 'sara')).map((x) => x.session_id), [c.session_id]);
    const ended = (await s.ask('session', 'list', '--user', 'sara', '--ended')).filter((x) => x.cause);
    assert.deepEqual(ended.map((x) => x.cause), ['admin', 'admin']);
    for (const t of [a, b]) refused(await s.refresh(t.refresh_token), 401, 'invalid_grant');
    await ok('revoke', '--jti', payload(c.access_token).jti);
    refused(await s.get('/auth/me', c.access_token), 401, 'invalid_token');
    assert.equal((await s.ask('revoke', '--user', 'sara')).sessions_ended, 1);
    refused(await s.refresh(c.refresh_token), 401, 'invalid_grant');
});

test('lists go page by page, over TCP and in the command line', async () => {
    const names = Array.from({ length: 120 }, (_, i) => `page-${String(i).padStart(3, '0')}`);
    for (const name of names) assert.equal((await s.admin('POST', '/admin/v1/users', { name })).status, 201);
    const seen = [];
    for (let after = ''; after !== null;) {
        const r = await s.get(`/admin/v1/users?limit=7${after && `&after=${after}`}`, admin);
        assert.equal(r.status, 200, r.text);
        assert.ok(r.json.users.length <= 7);
        seen.push(...r.json.users.map((u) => u.name));
        after = r.json.next;
    }
    assert.equal(new Set(seen).size, seen.length);
    assert.deepEqual(seen.filter((n) => n.startsWith('page-')).sort(), names);
    assert.equal((await s.ask('user', 'list')).filter((u) => u.name.startsWith('page-')).length, 120);
    const audit = await s.ask('audit', 'show');
    assert.deepEqual(audit.map((r) => r.seq), audit.map((_, i) => i + 1));
});

test('status, audit, keys and configuration', async () => {
    const status = await s.ask('status');
    assert.equal(status.store, 'sqlite');
    assert.equal(status.issuer, 'https://auth.example.test');
    assert.match(await ok('status'), /incarnation +\d/);
    assert.match(await ok('audit', 'verify'), /^intact: \d+ records\n$/);
    assert.equal((await s.ask('audit', 'verify')).intact, true);
    assert.ok(table(await ok('audit', 'show')).some((r) => r.ACTION === 'user_added'));
    assert.ok(table(await ok('key', 'list')).some((r) => r.USE === 'access' && r.STATE === 'signing'));
    const keys = JSON.stringify(await s.ask('key', 'list'));
    assert.doesNotMatch(keys, /sealed|secret|private|"d"/);
    assert.match(await ok('config', 'doc'), /sessions\.grace|\[?sessions\]?/);
    assert.match(await ok('config', 'show', '--set', 'sessions.grace=3s'), /grace.*3.*--set/);
});

test('token inspect shows without verifying, and says so; the token is not an argument', async () => {
    const { access_token: token } = await s.login('alice');
    const forged = `${token.split('.').slice(0, 2).join('.')}.AAAA`;
    for (const t of [token, forged]) {
        const r = await s.cli(['token', 'inspect'], { input: `${t}\n` });
        assert.equal(r.status, 0);
        assert.match(r.stdout, /^# NOT VERIFIED/);
        assert.equal((r.stdout + r.stderr).match(/NOT VERIFIED/g).length, 1, 'said once, where it is pasted with the rest');
        assert.match(r.stdout, new RegExp(payload(token).jti));
    }
    assert.equal((await s.cli(['token', 'inspect'], { input: 'x\n' })).status, 1);
});

test('over TCP the admin API needs sallyport:admin: 403 and one audited denial; role changes count at once', async () => {
    const text = readFileSync(new URL('../../src/http/routes.def', import.meta.url), 'utf8');
    const routes = [...text.matchAll(/^R\((\w+), "(\/admin\/[^"]+)", \w+, (\w+), (\w+)/gm)];
    assert.ok(routes.length > 15);
    const { access_token: token } = await s.login('alice');
    const before = await s.state();
    for (const [, method, pattern, auth, body] of routes) {
        assert.equal(auth, 'ADMIN', pattern);
        const url = pattern.replace(/\{\w+\}/g, 'alice');
        const value = body === 'NONE' ? undefined : {};
        for (let i = 0; i < 3; i++) refused(await s.send(method, url, value, s.bearer(token)), 403, 'permission_denied', url);
        refused(await s.send(method, url, value), 401, 'not_authenticated', url);
        refused(await s.send(method, url, value, s.bearer(`${token}x`)), 401, 'invalid_token', url);
    }
    const { audit: _audit, head: _head, ...unchanged } = await s.state();
    const { audit: _, head: __, ...was } = before;
    assert.deepEqual(unchanged, was);
    const { id } = await s.ask('user', 'show', 'alice');
    const denials = (await s.audit('permission_denied')).filter((r) => r.actor.includes(id));
    assert.ok(denials.every((r) => r.outcome === 'denied'));
    assert.equal(denials.length, new Set(routes.map((r) => r[2])).size, 'one for each target and minute, however often it is tried');
    assert.equal((await s.get('/admin/v1/users', admin)).status, 200);
    await ok('user', 'roles', 'alice', 'editor', 'admins');
    const more = (await s.login('alice')).access_token;
    assert.equal((await s.get('/admin/v1/users', more)).status, 200);
    await ok('user', 'roles', 'alice', 'editor');
    refused(await s.get('/admin/v1/users', more), 401, 'invalid_token', 'a role taken away ends the tokens that have it');
    const b = new Browser(s);
    await b.login('root');
    assert.equal((await b.get('/admin/v1/status')).status, 200);
    refused(await b.send('POST', '/admin/v1/users', { name: 'by-csrf' }), 403, 'csrf_failed');
    assert.equal((await b.act('POST', '/admin/v1/users', { name: 'by-cookie' })).status, 201);
});

test('the admin socket serves administration and health only, and no credential counts on it', async () => {
    for (const url of ['/auth/me', '/auth/login', '/auth/verify', '/.well-known/jwks.json']) refused(await s.admin('GET', url), 404, 'no_such_route', url);
    for (const url of ['/healthz', '/readyz', '/admin/v1/status']) assert.equal((await s.admin('GET', url)).status, 200, url);
    const headers = { ...s.bearer((await s.login('alice')).access_token) };
    assert.equal((await request(s.adminSocket, 'GET', '/admin/v1/status', { headers })).status, 200);
});

// A request on the socket from a process of another user.
function asUser(uid, socket) {
    const script = `require('http').get({ socketPath: ${JSON.stringify(socket)}, path: '/admin/v1/users' }, (r) => {
        let t = ''; r.on('data', (c) => { t += c; }); r.on('end', () => console.log(r.statusCode, t)); }).on('error', (e) => console.log(e.code));`;
    return new Promise((done, failed) => {
        const child = spawn(process.execPath, ['-e', script], { uid, gid: uid, cwd: '/', stdio: ['ignore', 'pipe', 'inherit'] });
        let out = '';
        child.on('error', failed);
        child.stdout.on('data', (c) => { out += c; });
        child.on('close', () => done(out.trim()));
    });
}

test('the socket has mode 0600 in a folder of 0700, and other users are refused even if those are opened', async (t) => {
    assert.equal(statSync(s.data).mode & 0o777, 0o700);
    assert.equal(statSync(s.adminSocket).mode & 0o777, 0o600);
    assert.ok(statSync(s.adminSocket).isSocket());
    if (process.getuid() !== 0) return t.skip('only root can become another user');
    for (const uid of [65534, 12345]) {
        try {
            assert.equal(await asUser(uid, s.adminSocket), 'EACCES');
            for (const f of [s.folder, s.data]) chmodSync(f, 0o755);
            assert.equal(await asUser(uid, s.adminSocket), 'EACCES');
            chmodSync(s.adminSocket, 0o666);
            assert.match(await asUser(uid, s.adminSocket), /^403 .*"code":"peer_refused"/);
        } catch (error) {
            if (error.code !== 'EPERM' && error.code !== 'EACCES') throw error;
            t.diagnostic(`NOT TESTED: ${error.message}`);
        } finally {
            chmodSync(s.adminSocket, 0o600);
            for (const f of [s.data, s.folder]) chmodSync(f, 0o700);
        }
    }
    return undefined;
});

test('names as people write them: spaces, quotes, percent, other scripts, emoji, 256 bytes', async () => {
    const names = ['mary ann', "o'brien", 'say "hi"', '100%', '%41', '%2e%2e', 'a&b=c?d#e', 'é', 'Ünïcödé', '李小龙', 'Ωmega', '😀', '👍🏽 ok', '<b>', '$(id)', '`id`', '; drop table users', "' or 1=1 --", '--',
        '-x', 'a:b', 'a,b', 'user@example.com', 'a+b', '*', '.', '...', '~', '[x]', '{y}', 'x'.repeat(256), 'é'.repeat(128), 'null', 'undefined', '__proto__', '0', 'true'];
    for (const name of names) {
        const r = await s.admin('POST', '/admin/v1/users', { name, password: PASSWORD });
        assert.equal(r.status, 201, `${name}: ${r.text}`);
        assert.equal(r.json.display, name);
        const reachable = name !== '.'; // no path segment may be that; the id reaches it
        const shown = await s.cli(['user', 'show', '--json', '--', reachable ? name : r.json.id]);
        assert.equal(shown.status, 0, `${name}: ${shown.stderr}`);
        assert.equal(JSON.parse(shown.stdout).id, r.json.id, name);
        const t = await s.login(name);
        const list = JSON.parse((await s.cli(['session', 'list', '--json', `--user=${name}`])).stdout);
        assert.deepEqual(list.map((x) => x.session_id), [t.session_id], name);
        assert.equal((await s.cli(['revoke', `--user=${name}`])).status, 0, name);
        refused(await s.get('/auth/me', t.access_token), 401, 'invalid_token', name);
        assert.equal((await s.cli(['user', 'delete', '--', r.json.id])).status, 0, name);
    }
});

test('one user, however the name is composed; the same looks in another script are another user', async () => {
    await s.addUser('Zoë');
    for (const same of ['zoë', 'ZOË', 'zoe\u0308', 'Ｚｏë']) assert.equal((await s.ask('user', 'show', same)).display, 'Zoë', same);
    await no('already_exists', 'user', 'add', 'ZOE\u0308', '--password-stdin');
    await s.addUser('zоë'); // a Cyrillic o
    assert.notEqual((await s.ask('user', 'show', 'zоë')).id, (await s.ask('user', 'show', 'zoë')).id);
});

test('names that are refused: too long, invisible, reordering, control characters; a slash only by id', async () => {
    const before = await s.state();
    for (const name of ['', ' a', 'a ', 'a\nb', 'a\tb', '\u0000', '\u001b[31mred', 'a\u0085b', 'a\u200db', 'a\u202eb', 'a\u2066b', '\ufeffa', 'a\u2028b', '\ue000', '\ufffe', 'x'.repeat(257), 'é'.repeat(129),
        '㍿'.repeat(100)]) { // 300 bytes
        const r = await s.admin('POST', '/admin/v1/users', { name });
        assert.equal(r.status, 400, `${JSON.stringify(name).slice(0, 40)}: ${r.text}`);
    }
    assert.deepEqual(await s.state(), before);
    for (const name of ['../../etc/passwd', 'a/b', 'a\\b', '..']) {
        const r = await s.admin('POST', '/admin/v1/users', { name });
        assert.equal(r.status, 201, r.text);
        assert.equal((await s.ask('user', 'show', r.json.id)).name, name);
        assert.notEqual((await s.cli(['user', 'show', name])).status, 0, 'never another path');
        assert.equal((await s.cli(['user', 'delete', r.json.id])).status, 0);
    }
});

test('what strangers wrote does not move the cursor of whoever lists it', async () => {
    await s.addUser('victor');
    refused(await s.post('/auth/login', { username: 'victor', password: PASSWORD, device: '\u001b[2J' }), 400, 'bad_value');
    await request(s.port, 'POST', '/auth/login', { headers: { 'content-type': 'application/json', 'user-agent': 'a\tb\x80\xff"<script>' },
        body: JSON.stringify({ username: 'victor', password: PASSWORD, device: 'd\u00e9vice "x"' }) });
    const text = await ok('session', 'list', '--user', 'victor') + await ok('audit', 'show');
    assert.doesNotMatch(text, /[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/);
    assert.equal((await s.ask('session', 'list', '--user', 'victor'))[0].device, 'd\u00e9vice "x"');
});

test('configuration: file, environment, --set, in this order; a bad file names its line', async () => {
    const file = path.join(s.folder, 'my.conf');
    const show = (env, ...args) => execFileSync(program, ['config', 'show', ...args], { env: { ...process.env, ...env }, cwd: s.folder }).toString();
    const grace = (text) => /^\s*(?:sessions\.)?grace\s*=?\s*(.*)$/m.exec(text)[1];
    writeFileSync(file, '[sessions]\ngrace = 7s\n');
    assert.match(grace(show({}, '--config', file)), /7s|7000/);
    assert.match(grace(show({ SALLYPORT_SESSIONS_GRACE: '8s' }, '--config', file)), /8s|8000/);
    assert.match(grace(show({ SALLYPORT_SESSIONS_GRACE: '8s' }, '--config', file, '--set', 'sessions.grace=9s')), /9s|9000/);
    for (const [bad, why] of [['[sessions]\ngrace = 7s\nnope = 1\n', /nope/], ['[nope]\na = 1\n', /nope/], ['[sessions]\ngrace = soon\n', /grace/], ['grace\n', /1|conf/], ['[sessions]\ngrace = 61s\n', /60000ms/]]) {
        writeFileSync(file, bad);
        const r = await s.cli(['config', 'show', '--config', file]);
        assert.equal(r.status, 2);
        assert.match(r.stderr, why);
    }
});
