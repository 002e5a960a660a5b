// The program as a service: signals, socket activation, notifications, watchdog, reload, threads. manager.py plays systemd's part.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { program, PASSWORD, request, Server, sleep, slowness, temporaryFolder } from './harness.mjs';

const here = path.dirname(fileURLToPath(import.meta.url));
const cheap = { 'passwords.memory_kib': '8192', 'passwords.passes': '1', 'tokens.issuer': 'https://auth.example.test' };

class Manager {
    static async start(settings = {}, env = {}) {
        const m = new Manager();
        m.folder = temporaryFolder('service');
        m.data = path.join(m.folder, 'data');
        const sets = Object.entries({ ...cheap, ...settings }).flatMap(([k, v]) => ['--set', `${k}=${v}`]);
        m.child = spawn('python3', [path.join(here, 'manager.py'), program, '--data', m.data, 'serve', ...sets],
            { cwd: m.folder, stdio: ['pipe', 'pipe', 'pipe'], env: { ...process.env, ...env } });
        m.said = [];
        m.log = '';
        m.child.stderr.on('data', (c) => { m.log += c; });
        createInterface({ input: m.child.stdout }).on('line', (l) => m.said.push(JSON.parse(l)));
        ({ port: m.port, admin: m.admin } = await m.next((x) => 'port' in x));
        return m;
    }

    // The first thing from number `from` on that fits.
    async next(fits, from = 0, ms = 10000 * slowness) {
        for (const until = Date.now() + ms; Date.now() < until; await sleep(5)) {
            const found = this.said.slice(from).find(fits);
            if (found) return found;
        }
        throw new Error(`never heard it: ${JSON.stringify(this.said)}\n${this.log}`);
    }

    tell(words) {
        const from = this.said.length;
        this.child.stdin.write(`${words}\n`);
        return from;
    }

    notified(pattern, from) { return this.next((x) => pattern.test(x.notify ?? ''), from); }

    async up() {
        const from = this.tell('start');
        return (await this.notified(/^READY=1$/m, from)).notify;
    }

    async down() {
        return this.next((x) => 'ended' in x, this.tell('stop'));
    }

    async end() {
        this.child.stdin.end();
        await new Promise((done) => this.child.once('close', done));
        rmSync(this.folder, { recursive: true, force: true });
    }
}

async function withManager(settings, env, use) {
    const m = await Manager.start(settings, env);
    try { await use(m); } finally { await m.end(); }
}

// --- A person's terminal. ---

test('on a terminal it greets, and names itself as it was called; elsewhere standard output stays empty', async () => {
    const folder = temporaryFolder('greet'), link = path.join(folder, 'gate');
    symlinkSync(program, link);
    const words = [link, '--data', path.join(folder, 'data'), 'serve', '--listen', '127.0.0.1:0', '--set', 'log.format=json'];
    // In the other case the terminal is only the log's.
    for (const [terminal, how] of [[true, words], [false, ['sh', '-c', 'exec "$@" > out', 'sh', ...words]]]) {
        const child = spawn('python3', ['-c', 'import pty, sys; pty.spawn(sys.argv[1:])', ...how], { cwd: folder, stdio: ['pipe', 'pipe', 'ignore'] });
        let seen = '';
        child.stdout.on('data', (c) => { seen += c; });
        const gone = new Promise((done) => child.once('close', done));
        for (const until = Date.now() + 10000 * slowness; !/"server_ready"/.test(seen) || (terminal && !/session list/.test(seen)); await sleep(10))
            assert.ok(Date.now() < until, seen);
        child.stdin.write('\x03'); // Ctrl-C
        await gone;
        if (terminal) assert.ok(seen.includes(`  ${link} --data ${folder}/data user add alice`), seen);
        else assert.equal(readFileSync(path.join(folder, 'out'), 'utf8'), '');
    }
});

// --- The service manager's protocol. ---

for (const kind of ['path', 'abstract']) {
    test(`the manager hears of ready, reloading and stopping (${kind} socket)`, () => withManager({}, kind === 'path' ? {} : { MANAGER_ABSTRACT: '1' }, async (m) => {
        assert.match(await m.up(), new RegExp(`^READY=1\nSTATUS=Serving on 127\\.0\\.0\\.1:${m.port}$`));
        const from = m.tell('signal SIGHUP');
        const { notify } = await m.notified(/^RELOADING=1$/m, from);
        const us = Number(/^MONOTONIC_USEC=(\d+)$/m.exec(notify)[1]);
        const now = Number(process.hrtime.bigint() / 1000n);
        assert.ok(us <= now && us > now - 20e6, 'CLOCK_MONOTONIC in microseconds');
        await m.notified(/^READY=1$/m, from);
        const end = m.tell('stop');
        await m.notified(/^STOPPING=1$/m, end);
        assert.equal((await m.next((x) => 'ended' in x, end)).ended, 0);
        assert.ok(!m.said.some((x) => /WATCHDOG/.test(x.notify ?? '')), 'nobody asked for it');
    }));
}

test('an inherited socket is served, and the address of server.listen is left alone', () => withManager({ 'server.listen': '127.0.0.1:1' }, {}, async (m) => {
    await m.up();
    assert.equal((await request(m.port, 'GET', '/readyz')).status, 200);
    assert.equal((await request(path.join(m.data, 'admin.sock'), 'GET', '/readyz')).status, 200);
}));

test('several sockets are inherited, the admin socket by its name', () => withManager({}, { MANAGER_SOCKETS: 'tcp admin' }, async (m) => {
    await m.up();
    assert.equal((await request(m.port, 'GET', '/readyz')).status, 200);
    assert.equal((await request(m.admin, 'GET', '/admin/v1/status')).status, 200);
    assert.ok(!existsSync(path.join(m.data, 'admin.sock')));
}));

for (const [kinds, why] of [['udp', 'no stream'], ['other', 'a Unix socket of another name']]) {
    test(`an inherited descriptor that is ${why} is refused`, () => withManager({}, { MANAGER_SOCKETS: kinds }, async (m) => {
        const end = await m.next((x) => 'ended' in x, m.tell('start'));
        assert.equal(end.ended, 1);
        assert.match(m.log, /inherited descriptor 3 .*: expected a listening TCP socket/);
    }));
}

test('sockets for another process are not taken', async () => {
    const s = await Server.start({}, { env: { LISTEN_PID: '1', LISTEN_FDS: '1' } });
    assert.equal((await s.stop()).code, 0);
});

// Fresh connections without pause; what each of them met.
function hammer(port, workers) {
    const met = { ok: 0, refused: 0, broken: [] };
    let going = true;
    const one = () => new Promise((done) => {
        const req = http.get({ host: '127.0.0.1', port, path: '/healthz', agent: false }, (res) => {
            res.resume();
            res.on('end', () => { met.ok += res.statusCode === 200; done(); });
        });
        req.on('error', (e) => {
            if (e.code === 'ECONNREFUSED') met.refused++;
            else met.broken.push(e.code);
            done();
        });
    });
    const all = Array.from({ length: workers }, async () => { while (going) { await one(); await sleep(2); } });
    return { met, stop: async () => { going = false; await Promise.all(all); } };
}

for (const threads of ['1', '3']) {
    test(`a restart refuses no connection and breaks no request (${threads} threads)`, () => withManager({ 'server.threads': threads }, {}, async (m) => {
        await m.up();
        const h = hammer(m.port, 8);
        const ends = [];
        try {
            for (let i = 0; i < 4; i++) {
                await sleep(150);
                ends.push((await m.down()).ended);
                await m.up();
            }
            await sleep(100);
        } finally {
            await h.stop();
        }
        const { met } = h;
        assert.deepEqual(ends, [0, 0, 0, 0]);
        assert.equal(met.refused, 0);
        assert.deepEqual(met.broken, []);
        assert.ok(met.ok > 100, `${met.ok} requests`);
    }));
}

test('the watchdog is fed while everything moves', () => withManager({ 'server.threads': '2' }, { MANAGER_WATCHDOG_USEC: '300000' }, async (m) => {
    await m.up();
    const from = m.said.length, began = Date.now();
    const fed = () => m.said.slice(from).filter((x) => x.notify === 'WATCHDOG=1').length;
    await m.next(() => fed() >= 8, from);
    // Every 100 ms, a third of what is allowed; it may be late, never early. What we were slow to read of before is not of this time.
    assert.ok(fed() <= 2 + (Date.now() - began) / 75, `${fed()} times in ${Date.now() - began} ms`);
}));

// --- Stopping. ---

test('SIGTERM ends within five seconds whatever clients and the hash queue do', async () => {
    const s = await Server.start({ 'passwords.memory_kib': '65536', 'passwords.passes': '60', 'passwords.threads': '1', 'server.header_timeout': '60s', 'server.body_timeout': '60s' });
    const stuck = [];
    const connect = (bytes) => {
        const c = net.connect(s.port, '127.0.0.1', () => bytes && c.write(bytes));
        c.on('error', () => {});
        stuck.push(c);
    };
    for (let i = 0; i < 5; i++) {
        connect('');
        connect('GET / HT');
        connect('POST /auth/login HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{');
    }
    const body = JSON.stringify({ username: 'nobody', password: PASSWORD });
    for (let i = 0; i < 20; i++) connect(`POST /auth/login HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
    await sleep(300);
    const started = Date.now();
    s.child.kill('SIGTERM');
    await s.exited;
    const took = Date.now() - started;
    for (const c of stuck) c.destroy();
    assert.ok(took < 5000 + 200 * slowness, `${took} ms`); // our own noticing included
    await s.stop();
});

test('a second signal ends at once', async () => {
    const s = await Server.start({ 'server.header_timeout': '60s', 'server.threads': '1' });
    const c = net.connect(s.port, '127.0.0.1');
    c.on('error', () => {});
    await new Promise((done) => c.once('connect', () => c.write('GET / HT', done)));
    await s.get('/healthz'); // who comes later is accepted later: the other one is in
    s.child.kill('SIGTERM');
    for (let i = 0; i < 200 && !/server_stopping/.test(s.log); i++) await sleep(5);
    const started = Date.now();
    s.child.kill('SIGTERM');
    assert.deepEqual(await s.exited, { code: 1, signal: null });
    assert.ok(Date.now() - started < 500 * slowness);
    await s.stop();
});

test('what is in flight when SIGTERM comes is answered', async () => {
    // A hash that takes so long that most are still in flight when all have come.
    const s = await Server.start({ 'server.threads': '3', 'passwords.memory_kib': '32768' });
    await s.addUser('alice');
    const come = async () => [...(await s.admin('GET', '/metrics')).text.matchAll(/^sallyport_password_hash(?:_active|_queue|es_total) (\d+)$/gm)]
        .reduce((n, m) => n + Number(m[1]), 0);
    const before = await come();
    const logins = Array.from({ length: 12 }, () => s.post('/auth/login', { username: 'alice', password: PASSWORD }));
    for (let i = 0; i < 1000 && await come() < before + 12; i++) await sleep(1);
    s.child.kill('SIGTERM');
    for (const r of await Promise.all(logins)) assert.equal(r.status, 200);
    assert.deepEqual(await s.exited, { code: 0, signal: null });
    await s.stop();
});

// --- Reload. ---

async function withFile(text, use) {
    const folder = temporaryFolder('conf');
    const file = path.join(folder, 'sallyport.conf');
    const write = (t) => writeFileSync(file, t);
    write(text);
    const s = await Server.start({}, { env: { SALLYPORT_CONFIG: file } });
    try { await use(s, write, file); } finally {
        await s.stop();
        rmSync(folder, { recursive: true, force: true });
    }
}

async function reload(s, pattern) {
    const from = s.log.length;
    s.child.kill('SIGHUP');
    for (let i = 0; i < 500 && !pattern.test(s.log.slice(from)); i++) await sleep(10);
    assert.match(s.log.slice(from), pattern);
    return s.log.slice(from);
}

// The record follows the log's line.
async function audited(s, n) {
    for (const until = Date.now() + 10000; ; await sleep(10)) {
        const records = await s.audit('config_reloaded');
        if (records.length >= n) return records;
        assert.ok(Date.now() < until, 'no record');
    }
}

test('SIGHUP takes log.level and names what needs a restart', () => withFile('[log]\nlevel = info\n', async (s, write) => {
    write('[log]\nlevel = debug\n[tokens]\naccess_ttl = 5m\n[sessions]\ngrace = 2s\n');
    const log = await reload(s, /config_needs_restart/);
    assert.match(log, /"event":"config_reloaded","changed":"log\.level"/);
    assert.match(log, /"keys":"tokens\.access_ttl sessions\.grace"/);
    const [record] = await audited(s, 1);
    assert.deepEqual([record.outcome, record.actor, record.body.detail],
        ['ok', 'system', { changed: 'log.level', needs_restart: 'tokens.access_ttl sessions.grace' }]);
    write('[log]\nlevel = error\n[tokens]\naccess_ttl = 900s\n');
    s.child.kill('SIGHUP');
    await audited(s, 2);
    const from = s.log.length;
    await s.get('/readyz');
    await sleep(50);
    assert.equal(s.log.slice(from), '');
}));

test('a bad file changes nothing and is complained of as at the start', () => withFile('[log]\nlevel = info\n', async (s, write, file) => {
    write('[log]\nlevel = debug\nformat = plain\ncolour = red\n');
    const log = await reload(s, /config_refused/);
    const { error } = JSON.parse(log.split('\n').find((l) => l.includes('config_refused')));
    assert.match(error, /:4: unknown key "log\.colour"/);
    const [record] = await audited(s, 1);
    assert.equal(record.outcome, 'failed');
    assert.doesNotMatch(JSON.stringify(record), /colour/);
    let check;
    try { execFileSync(program, ['config', 'check', '--config', file], { stdio: 'pipe' }); } catch (e) { check = e; }
    assert.equal(check.status, 2);
    assert.equal(String(check.stderr), `sallyport: ${error}\n`);
    const from = s.log.length;
    await s.get('/readyz');
    write('[log]\nlevel = info\n');
    assert.match(await reload(s, /config_reloaded/), /"changed":""/);
    assert.doesNotMatch(s.log.slice(from), /"level":"debug"/);
    assert.match(String(execFileSync(program, ['config', 'check', '--config', file])), /valid/);
}));

test('many reloads in a row come to an end', () => withFile('', async (s) => {
    for (let i = 0; i < 50; i++) s.child.kill('SIGHUP');
    await reload(s, /config_reloaded/);
    assert.equal((await s.get('/readyz')).status, 200);
}));

// --- Threads, size, packaging. ---

test('several threads serve one store', async () => {
    const s = await Server.start({ 'server.threads': '4' });
    await s.addUser('alice');
    const all = await Promise.all(Array.from({ length: 24 }, () => s.login('alice')));
    assert.equal((await s.post('/auth/logout-all', undefined, s.bearer(all[0].access_token))).status, 200);
    for (const t of all) assert.equal((await s.get('/auth/me', t.access_token)).status, 401);
    assert.equal((await s.stop()).code, 0);
});

test('the unit files are well-formed', (t) => {
    const units = ['sallyport.service', 'sallyport.socket'].map((f) => path.join(here, '../../packaging/systemd', f));
    const folder = temporaryFolder('units');
    try {
        execFileSync('systemd-analyze', ['--version'], { stdio: 'ignore' });
    } catch {
        t.skip('systemd-analyze is not installed');
        return;
    }
    try {
        // The program stands where it was built, not where the package puts it.
        for (const u of units) writeFileSync(path.join(folder, path.basename(u)), readFileSync(u, 'utf8').replaceAll('/usr/bin/sallyport', program));
        const args = ['verify', '--man=no', ...units.map((u) => path.join(folder, path.basename(u)))];
        const r = execFileSync('sh', ['-c', 'systemd-analyze "$@" 2>&1 || echo FAILED', 'sh', ...args]).toString();
        assert.equal(r, '');
    } finally {
        rmSync(folder, { recursive: true, force: true });
    }
});
