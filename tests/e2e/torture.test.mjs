// One allocation of the running server fails, any one: whatever it was for, the server lives, each request has one answer, and what
// was acknowledged holds. The n-th allocation after a moment fails, for n along the whole of a small story.
// SP_TORTURE_STORIES=1000 makes every one of them fail.
import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import { closeSync, existsSync, openSync, readFileSync, readSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { test } from 'node:test';
import { PASSWORD, program, refused, Server, temporaryFolder } from './harness.mjs';

const library = path.join(process.env.SP_BUILD ?? path.dirname(program), 'tests/torture/failmalloc.so');
const skip = !existsSync(library) && 'sanitizers bring their own malloc; the build without them tests this';
const STORIES = Number(process.env.SP_TORTURE_STORIES ?? 60); // so many moments of a story, evenly spread from a random one
const FAR = 1 << 30;
const ANSWER_MS = 20000;

// What tests/torture/failmalloc.c shares with us.
class Fault {
    constructor(file) {
        writeFileSync(file, Buffer.alloc(32));
        this.fd = openSync(file, 'r+');
    }

    arm(n) {
        const b = Buffer.alloc(8);
        b.writeBigInt64LE(BigInt(n));
        writeSync(this.fd, b, 0, 8, 0);
    }

    read() {
        const b = Buffer.alloc(32);
        readSync(this.fd, b, 0, 32, 0);
        return { left: Number(b.readBigInt64LE(0)), hits: Number(b.readBigInt64LE(8)), caller: b.readBigUInt64LE(16), size: b.readBigUInt64LE(24) };
    }
}

// Everything that comes back until the peer closes: exactly one answer, or none at all (undefined) when the connection went away, as
// it may if it was for the connection that memory was missing.
function exchange(where, method, url, value, headers = {}) {
    const body = value === undefined ? '' : JSON.stringify(value);
    const type = value === undefined ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
    const lines = Object.entries({ host: 'localhost', connection: 'close', ...type, ...headers }).map(([k, v]) => `${k}: ${v}\r\n`);
    return new Promise((resolve, reject) => {
        const s = net.connect(typeof where === 'string' ? { path: where } : { host: '127.0.0.1', port: where });
        const chunks = [];
        const timer = setTimeout(() => { s.destroy(); reject(new Error(`no answer to ${method} ${url}, and no end`)); }, ANSWER_MS);
        s.on('connect', () => s.write(`${method} ${url} HTTP/1.1\r\n${lines.join('')}\r\n${body}`));
        s.on('data', (c) => chunks.push(c));
        s.on('error', () => {});
        s.on('close', () => {
            clearTimeout(timer);
            try {
                resolve(oneAnswer(Buffer.concat(chunks).toString(), `${method} ${url}`));
            } catch (error) {
                reject(error);
            }
        });
    });
}

function oneAnswer(text, what) {
    if (text === '') return undefined;
    const end = text.indexOf('\r\n\r\n');
    const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(text)?.[1]);
    assert.ok(end > 0 && status, `${what}: half an answer: ${text}`);
    const length = /^content-length: (\d+)\r?$/im.exec(text.slice(0, end + 2));
    const body = text.slice(end + 4);
    assert.equal(Buffer.byteLength(body), Number(length?.[1] ?? 0), `${what}: an answer cut short, or two: ${text}`);
    return { status, json: body && JSON.parse(body) };
}

class Story {
    constructor(server, fault, name) { Object.assign(this, { server, fault, name, unanswered: 0, refusals: 0, aborts: 0 }); }

    // Until it is acknowledged. Memory is missing once, so that the second time must do: `also` are answers to a repetition of what had
    // happened, though its answer was lost.
    async ask(what, status, send, also = []) {
        const before = this.fault.read().hits;
        let tries = 0;
        for (;; tries++) {
            const r = await send();
            if (r?.status === status || (tries && also.includes(r?.status))) return r;
            if (r) assert.ok(r.status === 500 || r.status === 503, `${what}: ${r.status} ${JSON.stringify(r.json)}; ${this.where()}`);
            if (r) this.refusals++;
            else this.unanswered++;
            if (!r) await this.reviveIfAborted();
            assert.ok(tries < 3, `${what}: refused again, though memory was missing ${this.fault.read().hits - before} times`);
        }
    }

    // The one end of the process that is meant: a change that is durable and for whose enforcement memory is missing. The next start
    // enforces it.
    async reviveIfAborted() {
        const s = this.server;
        const how = await Promise.race([s.exited, new Promise((done) => setTimeout(done, 100))]);
        if (!how) return;
        await s.closed;
        assert.equal(how.signal, 'SIGABRT', `${JSON.stringify(how)}\n${s.log}`);
        assert.match(s.log, /publish_failed/, s.log);
        this.aborts++;
        this.fault.arm(0);
        await s.spawn();
        if (this.ending) await this.isDead(this.ending);
    }

    where() {
        const f = this.fault.read();
        for (const line of readFileSync(`/proc/${this.server.child.pid}/maps`, 'utf8').split('\n')) {
            const [, from, to, at, file] = /^(\w+)-(\w+) \S+ (\w+) \S+ \d+\s+(\S+)/.exec(line) ?? [];
            if (file && f.caller >= BigInt(`0x${from}`) && f.caller < BigInt(`0x${to}`))
                return `${f.size} bytes missing at ${file}+0x${(f.caller - BigInt(`0x${from}`) + BigInt(`0x${at}`)).toString(16)}`;
        }
        return `${f.size} bytes missing at 0x${f.caller.toString(16)}`;
    }

    post(url, value, headers) { return exchange(this.server.port, 'POST', url, value, headers); }
    get(url, token) { return exchange(this.server.port, 'GET', url, undefined, { authorization: `Bearer ${token}` }); }
    admin(method, url, value) { return exchange(this.server.adminSocket, method, url, value); }

    async logIn() {
        const r = await this.ask('login', 200, () => this.post('/auth/login', { username: this.name, password: PASSWORD }));
        return { id: r.json.session_id, access: r.json.access_token, refresh: r.json.refresh_token };
    }

    async refreshed(session) {
        const attempt = crypto.randomBytes(16).toString('base64url');
        const r = await this.ask('refresh', 200, () => this.post('/auth/refresh', { refresh_token: session.refresh, attempt }));
        Object.assign(session, { access: r.json.access_token, refresh: r.json.refresh_token });
    }

    async isDead(session) {
        refused(await this.server.get('/auth/me', session.access), 401, 'invalid_token');
        refused(await this.server.refresh(session.refresh), 401, 'invalid_grant');
    }

    async end(session, what, status, send) {
        this.ending = session;
        await this.ask(what, status, send, [401, 404]);
        this.ending = undefined;
        this.ended.push(session);
    }

    async play() {
        this.ended = [];
        const a = await this.logIn(), b = await this.logIn();
        await this.refreshed(a);
        await this.ask('me', 200, () => this.get('/auth/me', a.access));
        await this.ask('sessions', 200, () => this.get('/auth/sessions', a.access));
        await this.ask('a role', 204, () => this.admin('PUT', '/admin/v1/roles/probe', { permissions: ['probe:read'] }));
        await this.end(b, 'revoke', 200, () => this.admin('POST', '/admin/v1/revocations', { session: b.id }));
        await this.end(a, 'logout', 204, () => this.post('/auth/logout', { refresh_token: a.refresh }));
    }

    // Without a fault: what was told holds.
    async check() {
        for (const session of this.ended) await this.isDead(session);
        const c = await this.server.login(this.name);
        assert.equal((await this.server.get('/auth/me', c.access_token)).status, 200);
        const r = await this.server.refresh(c.refresh_token);
        assert.equal(r.status, 200);
        assert.equal((await this.server.post('/auth/logout', { refresh_token: r.json.refresh_token })).status, 204);
    }
}

async function tortured(t, work) {
    const folder = temporaryFolder('torture');
    const fault = new Fault(path.join(folder, 'control'));
    const server = await Server.start({}, { env: { LD_PRELOAD: library, SP_FAILMALLOC: path.join(folder, 'control') } });
    try {
        await work(server, fault);
        fault.arm(0);
        await server.stop();
    } finally {
        server.child.kill('SIGKILL');
        closeSync(fault.fd);
        rmSync(folder, { recursive: true });
    }
}

test('the n-th allocation fails, for n along a story: no crash, one answer each, and what was told holds', { skip }, (t) => tortured(t, async (server, fault) => {
    await server.addUser('alice');
    const story = new Story(server, fault, 'alice');
    await story.play(); // what is allocated once and kept
    fault.arm(FAR);
    await story.play();
    const all = FAR - fault.read().left;
    const stride = Math.max(1, Math.floor(all / STORIES));
    const first = Number(process.env.SP_TORTURE_FIRST ?? 1 + crypto.randomInt(stride));
    t.diagnostic(`${all} allocations in a story; SP_TORTURE_FIRST=${first}, then every ${stride}th`);
    let hits = 0;
    for (let n = first; n <= all; n += stride) {
        fault.arm(n);
        const before = fault.read().hits;
        await story.play();
        fault.arm(0);
        hits += fault.read().hits - before;
        await story.check();
        assert.ok(server.child.exitCode === null && server.child.signalCode === null, `${n}: the server is gone\n${server.log}`);
    }
    t.diagnostic(`${hits} failures: ${story.refusals} answers of 500 or 503, ${story.unanswered} connections lost, ${story.aborts} aborts by design`);
    assert.ok(hits >= Math.min(STORIES, all) / 2, `${hits}`);
    const verify = await server.cli(['audit', 'verify']);
    assert.equal(verify.status, 0, verify.stdout);
}));
