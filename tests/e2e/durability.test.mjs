// Nothing acknowledged is lost: a client writes down what it was told, the server dies at any instruction or its disk fails, and
// afterwards everything told must hold. What was not answered may have happened or not, but wholly or not at all.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import crypto from 'node:crypto';
import { cpSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { PASSWORD, payload, refused, request, Server, sleep, temporaryFolder } from './harness.mjs';

const SESSIONS_MOST = 4; // of one person: few, so that each sees many changes
const pick = (list) => list[crypto.randomInt(list.length)];
const attempt = () => crypto.randomBytes(16).toString('base64url');

// One person with one request at a time, and the ledger of what the server acknowledged.
class Person {
    constructor(server, name) {
        Object.assign(this, { server, name, password: PASSWORD, old: undefined, live: [], dead: [], killedTokens: [], acknowledged: 0, refusedFor: 0, pending: undefined });
        this.counts = {};
    }

    login(password) { return this.server.post('/auth/login', { username: this.name, password }); }

    // Sends; true when it was acknowledged. 503 and silence leave `pending` behind, unless the server says that nothing changed.
    async ask(pending, send, status) {
        this.pending = pending;
        let r;
        try {
            r = await send();
        } catch {
            return undefined; // no answer
        }
        if (r.status === 503) {
            assert.ok(['store_unavailable', 'outcome_unknown', 'overloaded'].includes(r.json?.code), r.text);
            if (r.json.code !== 'outcome_unknown') this.pending = undefined;
            this.refusedFor++;
            return undefined;
        }
        assert.equal(r.status, status, `${pending.kind}: ${r.text}`);
        this.pending = undefined;
        this.acknowledged++;
        this.counts[pending.kind] = (this.counts[pending.kind] ?? 0) + 1;
        return r;
    }

    async logIn() {
        const r = await this.ask({ kind: 'login' }, () => this.login(this.password), 200);
        if (r) this.live.push({ id: r.json.session_id, access: r.json.access_token, refresh: r.json.refresh_token });
    }

    async refresh(session) {
        const mine = attempt();
        const r = await this.ask({ kind: 'refresh', session, attempt: mine }, () => this.server.refresh(session.refresh, { attempt: mine }), 200);
        if (r) Object.assign(session, { access: r.json.access_token, refresh: r.json.refresh_token });
    }

    bury(session) {
        this.live = this.live.filter((x) => x !== session);
        this.dead.push(session);
    }

    async end(session, kind, send, status) {
        if (await this.ask({ kind, session }, send, status)) this.bury(session);
    }

    async revokeToken(session) {
        const token = session.access;
        if (!await this.ask({ kind: 'jti' }, () => this.server.admin('POST', '/admin/v1/revocations', { jti: payload(token).jti }), 200)) return;
        this.killedTokens.push(token);
        session.access = undefined;
    }

    async changePassword(session) {
        const wanted = crypto.randomBytes(12).toString('hex');
        const body = { current_password: this.password, new_password: wanted };
        if (await this.ask({ kind: 'password', session, wanted }, () => this.server.post('/auth/password', body, this.server.bearer(session.access)), 204))
            this.passwordIs(wanted, session);
    }

    passwordIs(wanted, session) {
        this.old = this.password;
        this.password = wanted;
        for (const other of this.live.filter((x) => x !== session)) this.bury(other);
    }

    async step() {
        const session = this.live.length ? pick(this.live) : undefined;
        if (!session) return this.logIn();
        if (!session.access) return this.refresh(session);
        const { server: s } = this;
        switch (pick(['login', 'refresh', 'refresh', 'refresh', 'logout', 'logout', 'revoke', 'jti', 'password'])) {
        case 'login': return this.live.length < SESSIONS_MOST ? this.logIn() : this.refresh(session);
        case 'refresh': return this.refresh(session);
        case 'logout': return this.end(session, 'logout', () => s.post('/auth/logout', { refresh_token: session.refresh }), 204);
        case 'revoke': return this.end(session, 'revoke', () => s.admin('POST', '/admin/v1/revocations', { session: session.id }), 200);
        case 'jti': return this.revokeToken(session);
        default: return this.changePassword(session);
        }
    }

    async isAlive(session) {
        const me = session.access ? await this.server.get('/auth/me', session.access) : undefined;
        const r = await this.server.refresh(session.refresh, { attempt: session.attempt ?? attempt() });
        if (me) assert.equal(me.status, r.status, `half alive: ${me.text} / ${r.text}`);
        if (r.status === 200) Object.assign(session, { access: r.json.access_token, refresh: r.json.refresh_token, attempt: undefined });
        return r.status === 200;
    }

    // What was not answered: finds out which way it went.
    async settle() {
        const p = this.pending;
        this.pending = undefined;
        if (p?.kind === 'refresh') p.session.attempt = p.attempt; // the retry that the client would make
        if (p?.kind === 'logout' || p?.kind === 'revoke') {
            if (!await this.isAlive(p.session)) this.bury(p.session);
        }
        if (p?.kind === 'jti') for (const x of this.live) x.access = undefined; // one of them may be revoked
        if (p?.kind === 'password' && (await this.login(p.wanted)).status === 200) this.passwordIs(p.wanted, p.session);
    }

    async check() {
        await this.settle();
        for (const session of this.live) assert.ok(await this.isAlive(session), `a session of ${this.name} was lost`);
        for (const session of this.dead) assert.ok(!await this.isAlive(session), `an ended session of ${this.name} lives`);
        for (const token of this.killedTokens) refused(await this.server.get('/auth/me', token), 401, 'invalid_token');
        assert.equal((await this.login(this.password)).status, 200, 'the password that was acknowledged');
        if (this.old) assert.equal((await this.login(this.old)).status, 401, 'the password before it');
        this.dead = this.dead.slice(-20);
        this.killedTokens = this.killedTokens.slice(-20);
    }
}

const ACTIONS = { login: 'login', logout: 'logout', revoke: 'session_ended', jti: 'token_revoked', password: 'password_changed' };

class World {
    static async start(people, settings = {}) {
        const w = new World();
        w.server = await Server.start(settings);
        w.people = [];
        for (let i = 0; i < people; i++) {
            await w.server.addUser(`p${i}`);
            w.people.push(new Person(w.server, `p${i}`));
        }
        return w;
    }

    // Everyone acts until their request goes unanswered or `until()` says so.
    run(until) {
        return Promise.all(this.people.map(async (p) => {
            while (!until() && !p.pending) await p.step();
        }));
    }

    get acknowledged() { return this.people.reduce((n, p) => n + p.acknowledged, 0); }

    async check() {
        await Promise.all(this.people.map((p) => p.check()));
        const verify = await this.server.cli(['audit', 'verify']);
        assert.equal(verify.status, 0, verify.stdout);
        const records = await this.server.ask('audit', 'show');
        for (const [kind, action] of Object.entries(ACTIONS)) {
            const told = this.people.reduce((n, p) => n + (p.counts[kind] ?? 0), 0);
            assert.ok(records.filter((r) => r.action === action).length >= told, `${action}: fewer records than were acknowledged (${told})`);
        }
        const mine = records.filter((r) => ['refresh_reuse_detected', 'generation_impossible', 'store_rollback'].includes(r.action));
        assert.deepEqual(mine, [], 'nobody was honest and tripped');
    }

    async stop(t) {
        const how = await this.server.kill('SIGTERM');
        assert.deepEqual(how, { code: 0, signal: null });
        checkFile(t, this.server.data);
        rmSync(this.server.folder, { recursive: true, force: true });
    }
}

function checkFile(t, data) {
    const file = path.join(data, readdirSync(data).find((f) => f.endsWith('.db')));
    const r = spawnSync('sqlite3', [file, 'PRAGMA integrity_check; PRAGMA foreign_key_check;'], { encoding: 'utf8' });
    if (r.error) return t.diagnostic('NOT CHECKED: sqlite3 is not installed, so the file itself was not looked at');
    assert.equal(r.stdout.trim(), 'ok');
    return undefined;
}

test('SIGKILL under load, at random moments: all that was acknowledged holds', async (t) => {
    const w = await World.start(6);
    let rounds = 0;
    for (; rounds < 10 || (w.acknowledged <= 100 && rounds < 100); rounds++) {
        let over = false;
        const load = w.run(() => over);
        await sleep(crypto.randomInt(50, 500));
        await w.server.kill('SIGKILL');
        over = true;
        await load;
        await w.server.spawn();
        await w.check();
    }
    assert.ok(w.acknowledged > 100, `${w.acknowledged} changes`);
    t.diagnostic(`${w.acknowledged} acknowledged changes survived ${rounds} kills`);
    await w.stop(t);
});

// Why strace cannot be used here, or undefined. -D: the server stays our child, and strace is its observer.
function whyNoStrace() {
    const r = spawnSync('strace', ['-D', '-f', '-qq', '-o', '/dev/null', '-e', 'trace=pwrite64', 'true'], { encoding: 'utf8' });
    if (r.error) return 'strace is not installed';
    return r.status === 0 ? undefined : `strace cannot trace here: ${r.stderr.trim()}`;
}
const noStrace = whyNoStrace();
const skip = noStrace && `SKIPPED, FAULTS ARE NOT TESTED: ${noStrace}`;
const faulty = (call, fault) => ['strace', '-D', '-f', '-qq', '-o', '/dev/null', '-e', `trace=${call}`, '-e', `inject=${call}:${fault}`];

// A start that the fault hits may fail, with a sentence and status 1, and never by a crash.
async function spawnFaulty(server, wrap, mayDie) {
    server.wrap = wrap;
    try {
        await server.spawn();
        return true;
    } catch {
        const how = await server.exited;
        assert.deepEqual(how, mayDie ? { code: null, signal: 'SIGKILL' } : { code: 1, signal: null }, server.log);
        return false;
    } finally {
        server.wrap = [];
    }
}

test('killed at the Nth write or sync: all that was acknowledged holds', { skip }, async (t) => {
    const w = await World.start(1);
    const [p] = w.people;
    let hit = 0;
    const plans = [['pwrite64', [1, 3, 6, 7, 8, 9, 10, 12, 15, 21, 30]], ['fdatasync', [1, 2, 3, 4, 6, 9]]];
    for (const [call, moments] of plans) {
        for (const n of moments) {
            if (await spawnKilled(w.server, faulty(call, `signal=SIGKILL:when=${n}`))) {
                for (let i = 0; i < 60 && w.server.child.exitCode === null && w.server.child.signalCode === null && !p.pending; i++) await p.step();
                hit += w.server.child.signalCode === 'SIGKILL' || p.pending ? 1 : 0;
            } else {
                hit++;
            }
            await w.server.kill('SIGKILL');
            await w.server.spawn();
            await w.check();
        }
    }
    t.diagnostic(`${hit} of 17 moments were reached`);
    assert.ok(hit >= 12, `${hit}`);
    await w.stop(t);
});

async function spawnKilled(server, wrap) {
    await server.kill('SIGKILL');
    return spawnFaulty(server, wrap, true);
}

for (const [call, error] of [['pwrite64', 'EIO'], ['pwrite64', 'ENOSPC'], ['fdatasync', 'EIO']]) {
    test(`${call} fails with ${error} for a while: no 2xx for what was not stored, no crash, and service afterwards`, { skip }, async (t) => {
        const w = await World.start(2);
        let hit = 0;
        for (const [first, last] of call === 'pwrite64' ? [[8, 8], [9, 12], [14, 30], [21, 21]] : [[3, 3], [4, 8], [6, 6]]) {
            await w.server.kill('SIGTERM');
            const up = await spawnFaulty(w.server, faulty(call, `error=${error}:when=${first}..${last}`), false);
            if (!up) {
                hit++;
                await w.server.spawn();
                await w.check();
                continue;
            }
            const before = w.people.reduce((n, p) => n + p.refusedFor, 0);
            for (const p of w.people) {
                for (let i = 0; i < 40; i++) {
                    await p.step();
                    if (p.pending) await settled(p);
                }
            }
            hit += w.people.reduce((n, p) => n + p.refusedFor, 0) > before ? 1 : 0;
            assert.equal(w.server.child.exitCode, null, w.server.log);
            assert.equal(w.server.child.signalCode, null, w.server.log);
            await serviceAgain(w.server);
            await w.check();
            await w.server.restart('SIGKILL');
            await w.check();
        }
        t.diagnostic(`the fault was felt ${hit} times`);
        assert.ok(hit > 0);
        await w.stop(t);
    });
}

async function serviceAgain(server) {
    let r;
    for (let i = 0; i < 100; i++) {
        r = await server.admin('PUT', '/admin/v1/roles/probe', { permissions: ['probe:read'] });
        if (r.status === 204) return;
        await sleep(50);
    }
    assert.fail(`no service after the fault: ${r.text}`);
}

async function settled(person) {
    await serviceAgain(person.server);
    await person.settle();
}

// ---- a database put back ----

// Stops, keeps a copy of the data directory, runs `work`, stops, puts the copy back.
async function putBack(s, { withMark }, work) {
    await s.kill('SIGTERM');
    const copy = temporaryFolder('copy');
    cpSync(s.data, copy, { recursive: true, filter: (f) => !f.endsWith('.sock') });
    await s.spawn();
    await work();
    await s.kill('SIGTERM');
    const mark = readFileSync(path.join(s.data, 'boots'));
    rmSync(s.data, { recursive: true });
    cpSync(copy, s.data, { recursive: true });
    execFileSync('chmod', ['0700', s.data]);
    rmSync(copy, { recursive: true });
    if (!withMark) writeFileSync(path.join(s.data, 'boots'), mark);
    await s.spawn();
}

test('a database put back is noticed; a client that is ahead of it is healed once, and then works', async () => {
    const s = await Server.start({ 'sessions.grace': '100ms' });
    try {
        await s.addUser('alice');
        const a = await s.login('alice'), idle = await s.login('alice'), robbed = await s.login('alice');
        const status = await s.ask('status');
        let token = a.refresh_token, stolen = robbed.refresh_token;
        const more = async (t) => (await s.refresh(t)).json.refresh_token;
        await putBack(s, { withMark: false }, async () => {
            for (let i = 0; i < 5; i++) token = await more(token);
            for (let i = 0; i < 3; i++) stolen = await more(stolen);
        });
        assert.equal((await s.ask('status')).incarnation, status.incarnation + 1);
        assert.equal((await s.audit('store_rollback')).length, 1);
        const healed = await s.refresh(token);
        assert.equal(healed.status, 200, healed.text);
        assert.equal((await s.get('/auth/me', healed.json.access_token)).status, 200);
        assert.equal((await s.audit('store_rollback')).length, 2, 'one for the store, one for the session');
        assert.equal((await s.refresh(idle.refresh_token)).status, 200, 'who was not ahead notices nothing');
        let next = healed.json.refresh_token;
        for (let i = 0; i < 3; i++) next = await more(next);
        assert.ok(next);
        assert.equal((await s.audit('store_rollback')).length, 2, 'healed once');
        // The tripwire works as before: an older token of a healed session trips it.
        await sleep(200);
        refused(await s.refresh(token), 401, 'invalid_grant');
        refused(await s.refresh(next), 401, 'invalid_grant');
        assert.equal((await s.audit('refresh_reuse_detected')).length, 1);
        // A token ahead of the store whose secret does not lead there from the stored one is nobody's.
        const forged = Buffer.from(stolen.slice(5), 'base64url');
        forged[49] ^= 1;
        refused(await s.refresh(`sprt_${forged.toString('base64url')}`), 401, 'invalid_grant');
        assert.equal((await s.refresh(stolen)).status, 200);
        assert.equal((await s.cli(['audit', 'verify'])).status, 0);
    } finally {
        await s.stop();
    }
});

test('if the mark is put back with it, a client that is ahead trips: nothing tells it from a forger', async () => {
    const s = await Server.start();
    try {
        await s.addUser('alice');
        const a = await s.login('alice');
        let token = a.refresh_token;
        await putBack(s, { withMark: true }, async () => { token = (await s.refresh(token)).json.refresh_token; });
        assert.deepEqual(await s.audit('store_rollback'), []);
        refused(await s.refresh(token), 401, 'invalid_grant');
        assert.equal((await s.audit('generation_impossible')).length, 1);
        refused(await s.refresh(a.refresh_token), 401, 'invalid_grant');
    } finally {
        await s.stop();
    }
});

test('two servers cannot have one data directory, and one that dies leaves no lock behind', async () => {
    const s = await Server.start();
    try {
        await assert.rejects(Server.start({}, { data: s.folder }), /another server is using it/);
        assert.equal((await request(s.port, 'GET', '/readyz')).status, 200);
        await s.restart('SIGKILL');
        assert.ok(existsSync(s.adminSocket));
        assert.equal((await s.cli(['status'])).status, 0);
    } finally {
        await s.stop();
    }
});
