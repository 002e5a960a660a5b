// Everything at the same time, on several threads: what one request at a time cannot show. Made for the build with ThreadSanitizer
// (`tools/check tsan`), where a race is a report on stderr and a failed end; good anywhere, since under load the promises hold too.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, copyFileSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import net from 'node:net';
import path from 'node:path';
import tls from 'node:tls';
import { test } from 'node:test';
import { follow } from './feed.mjs';
import { Browser, PASSWORD, payload, request, SECRETS, Server, sleep, slowness, temporaryFolder } from './harness.mjs';

const LOAD_MS = slowness >= 10 ? 12000 : 6000; // ThreadSanitizer: long enough that every turn comes
const USERS = 8;
const GRACE = '200ms', GRACE_OVER_MS = 300;
const SETTINGS = {
    'server.threads': '3', 'passwords.threads': '2', 'passwords.queue': '1000', 'sessions.grace': GRACE, 'sessions.max_per_user': '1000',
    'audit.refresh': 'true', 'keys.announce': '0s', 'log.requests': 'info', 'server.header_timeout': '1s', 'server.body_timeout': '1s',
};

class Load {
    constructor(s) {
        this.s = s;
        this.agent = new http.Agent({ keepAlive: true });
        this.stopped = false;
        this.answers = {}; // by status
        this.turns = {}; // by actor
    }

    // One request on a connection that is kept; an error of ours is an error of the test.
    async send(method, url, value, headers = {}) {
        const body = value === undefined ? undefined : JSON.stringify(value);
        const type = value === undefined ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
        const options = { headers: { ...type, ...headers }, body, agent: this.agent };
        // A kept connection may end just as we use it; that request was not looked at, and another connection is a right of clients.
        const r = await request(this.s.port, method, url, options).catch(() => request(this.s.port, method, url, { ...options, agent: undefined }));
        this.answers[r.status] = (this.answers[r.status] ?? 0) + 1;
        assert.ok(r.status < 500, `${method} ${url}: ${r.status} ${r.text}`);
        return r;
    }

    post(url, value, headers) { return this.send('POST', url, value, headers); }
    me(token) { return this.send('GET', '/auth/me', undefined, this.s.bearer(token)); }
    refresh(token, more = {}) { return this.post('/auth/refresh', { refresh_token: token, ...more }); }

    // undefined: the user is disabled at the moment.
    async login(name, more = {}) {
        const r = await this.post('/auth/login', { username: name, password: PASSWORD, ...more });
        if (r.status === 401) return undefined;
        assert.equal(r.status, 200, r.text);
        return r.json;
    }

    actor(name, turn) {
        this.turns[name] = 0;
        const run = async () => {
            for (let i = 0; !this.stopped; i++) {
                await turn(i);
                this.turns[name]++;
                await sleep(1);
            }
        };
        // One that fails ends all, and is the one that is told.
        return run().catch((error) => {
            this.stopped = true;
            this.failure ??= error;
        });
    }
}

const someone = () => `user${Math.floor(Math.random() * USERS)}`;
const dead = async (l, t) => {
    assert.equal((await l.me(t.access_token)).status, 401, 'the access token');
    assert.equal((await l.refresh(t.refresh_token)).json?.code, 'invalid_grant', 'the refresh token');
};

// --- Clients. ---

// A chain, with what clients do beside; ended in one of the ways that there are.
async function client(l) {
    let t = await l.login(someone(), { device: 'phone' });
    for (let i = 0; t !== undefined && i < 8; i++) {
        const attempt = Buffer.alloc(16, Math.random() * 256).toString('base64url');
        const [a, b] = await Promise.all([l.refresh(t.refresh_token, { attempt }), l.refresh(t.refresh_token, { attempt }), l.me(t.access_token)]);
        if (a.status === 200 && b.status === 200) assert.equal(a.json.refresh_token, b.json.refresh_token);
        if (a.status !== 200) return; // somebody has ended it
        t = a.json;
        await l.send('GET', '/auth/verify?permission=documents:read', undefined, l.s.bearer(t.access_token));
    }
    if (t === undefined) return;
    const end = Math.random();
    if (end < 0.4) {
        assert.equal((await l.post('/auth/logout', { refresh_token: t.refresh_token })).status, 204);
    } else if (end < 0.5) {
        if ((await l.post('/auth/logout-all', undefined, l.s.bearer(t.access_token))).status !== 200) return;
    } else if (end < 0.7) {
        const sessions = await l.send('GET', '/auth/sessions', undefined, l.s.bearer(t.access_token));
        if (sessions.status !== 200) return;
        if ((await l.send('DELETE', `/auth/sessions/${t.session_id}`, undefined, l.s.bearer(t.access_token))).status !== 204) return;
    } else return;
    await dead(l, t);
}

// Tabs of a browser, which share a jar.
async function browser(l) {
    const b = new Browser({ send: (...words) => l.send(...words) });
    const login = await b.send('POST', '/auth/login', { username: someone(), password: PASSWORD, mode: 'cookie' });
    if (login.status === 401) return;
    for (let i = 0; i < 4; i++) {
        const tabs = await Promise.all([b.refresh(), b.refresh(), b.get('/auth/me'), b.get('/auth/sessions')]);
        if (tabs.some((r) => r.status !== 200)) return;
        const evil = await l.post('/auth/refresh', {}, { cookie: b.cookieHeader, origin: 'https://elsewhere.example', 'sec-fetch-site': 'cross-site' });
        assert.equal(evil.status, 403);
    }
    const held = { access_token: b.access, refresh_token: b.refreshToken };
    const out = await b.act('POST', '/auth/logout');
    if (out.status !== 204) return;
    assert.equal((await l.me(held.access_token)).status, 401);
}

async function thief(l) {
    const t = await l.login(someone());
    if (t === undefined) return;
    const next = await l.refresh(t.refresh_token);
    if (next.status !== 200) return;
    await sleep(GRACE_OVER_MS);
    const replay = await l.refresh(t.refresh_token);
    assert.equal(replay.status, 401);
    await dead(l, next.json);
}

async function changesPassword(l, i) {
    const name = `changer${i % 2}`, wanted = `another password ${i}`;
    const t = await l.login(name);
    assert.ok(t !== undefined);
    const change = (current, next) => l.post('/auth/password', { current_password: current, new_password: next }, l.s.bearer(t.access_token));
    const first = await change(PASSWORD, wanted), second = await change(wanted, PASSWORD);
    // 401: everyone has been revoked meanwhile.
    for (const r of [first, second]) assert.ok([204, 401].includes(r.status), r.text);
    if (second.status !== 204) await tell(l, 'PUT', `/admin/v1/users/${name}/password`, { password: PASSWORD });
}

// --- Those who do not behave. ---

// Leaves at a moment of its own: in the header, in the body, after the whole request, in the middle of a pipeline.
function abandons(l) {
    const body = JSON.stringify({ username: someone(), password: PASSWORD });
    const whole = `POST /auth/login HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
    const bytes = whole.repeat(3);
    return new Promise((done) => {
        const c = net.connect(l.s.port, '127.0.0.1');
        c.on('error', () => {});
        c.on('close', done);
        c.on('connect', () => {
            c.write(bytes.slice(0, 1 + Math.floor(Math.random() * bytes.length)));
            setTimeout(() => (Math.random() < 0.5 ? c.resetAndDestroy?.() ?? c.destroy() : c.destroy()), Math.random() * 20);
        });
    });
}

// Stays until the server has enough of it.
function dawdles(l) {
    return new Promise((done) => {
        const c = net.connect(l.s.port, '127.0.0.1');
        c.on('error', () => {});
        c.on('close', done);
        c.on('data', () => {});
        c.on('connect', () => c.write('GET /healthz HTTP/1.1\r\nHo'));
        setTimeout(() => c.destroy(), 3000);
    });
}

// --- Operators. ---

async function tell(l, method, url, value, also) {
    const r = await l.s.admin(method, url, value);
    assert.ok(r.status < 300 || r.status === also, `${method} ${url}: ${r.status} ${r.text}`);
}

// Revoked means revoked, whatever else goes on.
async function ends(l, method, url, value) {
    const name = someone(), t = await l.login(name);
    if (t === undefined) return;
    await tell(l, method, url(name, t), value?.(name, t), 404); // 404: somebody was quicker
    await dead(l, t);
}

const TURNS_OF_ADMIN = [
    (l) => tell(l, 'PUT', '/admin/v1/roles/editor', { permissions: ['documents:read', `things:${Math.random() < 0.5 ? 'a' : 'b'}`] }),
    (l) => tell(l, 'PUT', `/admin/v1/users/${someone()}/roles`, { roles: Math.random() < 0.5 ? ['editor'] : [] }),
    (l) => ends(l, 'DELETE', (name, t) => `/admin/v1/sessions/${t.session_id}`),
    (l) => ends(l, 'POST', () => '/admin/v1/revocations', (name, t) => ({ session: t.session_id })),
    (l) => ends(l, 'POST', () => '/admin/v1/revocations', (user) => ({ user })),
    (l) => ends(l, 'POST', () => '/admin/v1/revocations', () => ({ everyone: true })),
    async (l) => {
        const t = await l.login(someone());
        if (t === undefined) return;
        await tell(l, 'POST', '/admin/v1/revocations', { jti: payload(t.access_token).jti });
        assert.equal((await l.me(t.access_token)).status, 401);
    },
    async (l) => {
        const name = someone(), t = await l.login(name);
        await tell(l, 'POST', `/admin/v1/users/${name}/disable`);
        if (t !== undefined) await dead(l, t);
        await tell(l, 'POST', `/admin/v1/users/${name}/enable`);
    },
    (l, i) => tell(l, 'POST', '/admin/v1/keys/rotate', { use: i % 2 ? 'access' : 'refresh', immediately: i % 3 === 0 }),
    async (l, i) => {
        const name = `guest${i}`;
        await tell(l, 'POST', '/admin/v1/users', { name, password: PASSWORD, roles: ['editor'] });
        const t = await l.login(name);
        await tell(l, 'POST', `/admin/v1/users/${name}/erase`);
        await dead(l, t);
    },
];

async function administers(l, i) {
    await TURNS_OF_ADMIN[i % TURNS_OF_ADMIN.length](l, i);
}

async function looks(l) {
    const all = await Promise.all(['/admin/v1/status', '/admin/v1/users', '/admin/v1/sessions', '/admin/v1/audit', '/admin/v1/keys', '/admin/v1/backup', '/metrics', '/readyz']
        .map((url) => request(l.s.adminSocket, 'GET', url)));
    for (const r of all) assert.equal(r.status, 200, r.text);
    assert.equal((await l.send('GET', '/.well-known/jwks.json')).status, 200);
}

async function verifiesAudit(l) {
    const r = await l.s.cli(['audit', 'verify']);
    assert.equal(r.status, 0, r.stdout + r.stderr);
}

async function backsUp(l, i) {
    const file = path.join(l.s.folder, `load-${i}.backup`);
    assert.equal((await l.s.ask('backup', file)).state, 'done');
    rmSync(file);
}

// Comes, hears a beat, and goes in the middle of something.
async function follows(l) {
    const f = await follow(l.s, l.credential);
    await sleep(Math.random() * 300);
    f.close();
}

// --- The whole. ---

async function start(context) {
    const folder = temporaryFolder('load');
    const config = path.join(folder, 'sallyport.conf');
    writeFileSync(config, '');
    const s = await Server.start(SETTINGS, { env: { SALLYPORT_CONFIG: config } });
    context.after(async () => {
        await s.stop();
        rmSync(folder, { recursive: true, force: true });
    });
    await s.ask('role', 'set', 'editor', 'documents:read');
    for (let i = 0; i < USERS; i++) await s.addUser(`user${i}`, ['editor']);
    for (const name of ['changer0', 'changer1']) await s.addUser(name);
    return { s, config };
}

async function reloads(l, config, i) {
    writeFileSync(config, `[log]\nlevel = ${i % 2 ? 'info' : 'debug'}\n`);
    l.s.child.kill('SIGHUP');
    await sleep(100);
}

function begin(l, config) {
    return [
        ...Array.from({ length: 6 }, () => l.actor('client', () => client(l))),
        ...Array.from({ length: 3 }, () => l.actor('browser', () => browser(l))),
        ...Array.from({ length: 2 }, () => l.actor('thief', () => thief(l))),
        l.actor('changes password', (i) => changesPassword(l, i)),
        ...Array.from({ length: 2 }, () => l.actor('abandons', () => abandons(l))),
        l.actor('dawdles', () => dawdles(l)),
        l.actor('administers', (i) => administers(l, i)),
        l.actor('looks', () => looks(l)),
        ...Array.from({ length: 2 }, () => l.actor('follows', () => follows(l))),
        l.actor('verifies the audit log', () => verifiesAudit(l)),
        l.actor('backs up', (i) => backsUp(l, i)),
        l.actor('reloads', (i) => reloads(l, config, i)),
    ];
}

test('everything at once, on three threads: nobody is told a lie, nothing is a 5xx, and the audit log holds', { timeout: 120000 }, async (context) => {
    const { s, config } = await start(context);
    const l = new Load(s);
    // Verifiers that stay, and others (an actor) that come and go: every event of theirs fits the chain (feed.mjs).
    const client = await s.cli(['client', 'add', 'watcher', '--feed']);
    assert.equal(client.status, 0, client.stderr);
    l.credential = client.stdout.trim();
    const verifiers = await Promise.all(['one', 'two', 'three'].map((name) => follow(s, l.credential, { name, acks: true })));
    const actors = begin(l, config);
    const over = setTimeout(() => { l.stopped = true; }, LOAD_MS);
    await Promise.all(actors);
    clearTimeout(over);
    l.agent.destroy();
    const { exitCode, signalCode } = s.child;
    assert.deepEqual({ exitCode, signalCode }, { exitCode: null, signalCode: null }, `the server has gone:\n${s.log.slice(-4000)}`);
    if (l.failure !== undefined) throw l.failure;
    for (const [name, turns] of Object.entries(l.turns)) assert.ok(turns > 0, `nobody ${name}`);
    context.diagnostic(`${JSON.stringify(l.turns)} ${JSON.stringify(l.answers)}`);
    await verifiesAudit(l);
    const { revoke_seq: last } = await s.ask('status');
    for (const v of verifiers) {
        await v.untilSeq(last);
        v.close();
    }
    for (const secret of [SECRETS, /correct horse|another password/]) assert.doesNotMatch(s.log, secret);
});

test('SIGTERM in the middle of it: who was answered was answered, and the end is in order', { timeout: 120000 }, async (context) => {
    const { s } = await start(context);
    let stopping = false, over = false;
    const acknowledged = [], work = async () => {
        while (!over) {
            try {
                const t = await s.login(someone());
                const r = await s.post('/auth/logout', { refresh_token: t.refresh_token });
                if (r.status === 204) acknowledged.push(t);
            } catch (error) {
                if (stopping) return; // nobody listens any more, or 503
                throw error;
            }
        }
    };
    const workers = Array.from({ length: 8 }, work);
    const file = path.join(s.folder, 'last.backup');
    for (let i = 0; i < 500 || (acknowledged.length === 0 && i < 20000); i += 50) await sleep(50);
    s.admin('POST', '/admin/v1/backup', { file }).catch(() => {});
    s.admin('GET', '/admin/v1/audit/verify').catch(() => {});
    stopping = true;
    await s.restart('SIGTERM');
    over = true;
    await Promise.all(workers);
    assert.ok(acknowledged.length > 0);
    for (const t of acknowledged.slice(-20)) {
        assert.equal((await s.get('/auth/me', t.access_token)).status, 401);
        assert.equal((await s.refresh(t.refresh_token)).status, 401);
    }
});

test('TLS on three threads, with the certificate changed all the while: no handshake and no request fails', { timeout: 120000 }, async (context) => {
    const folder = temporaryFolder('load-tls');
    const at = (name) => path.join(folder, name);
    for (const name of ['first', 'second']) {
        execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '30', '-subj', `/CN=${name}`,
            '-keyout', at(`${name}.key`), '-out', at(`${name}.crt`)], { stdio: 'ignore' });
    }
    const live = (name) => {
        for (const kind of ['crt', 'key']) copyFileSync(at(`${name}.${kind}`), at(`live.${kind}`));
        chmodSync(at('live.key'), 0o600);
    };
    live('first');
    const s = await Server.start({ ...SETTINGS, 'server.tls_certificate': at('live.crt'), 'server.tls_key': at('live.key') });
    context.after(async () => {
        await s.stop();
        rmSync(folder, { recursive: true, force: true });
    });
    const l = new Load(s), seen = new Set();
    // A connection of its own each time, which is asked a few times.
    const visits = async () => {
        const agent = new https.Agent({ keepAlive: true, maxSockets: 1, rejectUnauthorized: false });
        for (let i = 0; i < 5; i++) {
            const status = await new Promise((done, failed) => {
                https.get({ agent, host: '127.0.0.1', port: s.port, path: '/readyz' }, (res) => {
                    seen.add(res.socket.getPeerCertificate().subject?.CN);
                    res.resume().on('end', () => done(res.statusCode));
                }).on('error', failed);
            });
            assert.equal(status, 200);
        }
        agent.destroy();
    };
    const leaves = () => new Promise((done) => {
        const c = tls.connect({ host: '127.0.0.1', port: s.port, rejectUnauthorized: false });
        c.on('error', () => {});
        c.on('close', done);
        setTimeout(() => c.destroy(), Math.random() * 5);
    });
    const changes = async (i) => {
        live(i % 2 ? 'first' : 'second');
        s.child.kill('SIGHUP');
        await sleep(30);
    };
    const actors = [...Array.from({ length: 4 }, () => l.actor('visits', visits)), l.actor('leaves', leaves), l.actor('changes', changes)];
    await sleep(2000);
    l.stopped = true;
    await Promise.all(actors);
    if (l.failure !== undefined) throw l.failure;
    context.diagnostic(JSON.stringify(l.turns));
    assert.deepEqual([...seen].filter(Boolean).sort(), ['first', 'second']);
});
