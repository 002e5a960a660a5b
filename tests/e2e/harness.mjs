// Starts the real program on a private port with a fresh store, and speaks HTTP to it as plainly as possible, so that a test sees
// exactly what a client would. Used with node's own test runner; no packages.
import assert from 'node:assert/strict';
import { spawn, execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';

export const program = process.env.SALLYPORT ?? path.resolve('build/sallyport');
export const PASSWORD = 'correct horse battery';
const ANSWER_MS = 20000; // nothing here takes as long: a lost answer is a failure, not a hang
export const ORIGIN = 'https://app.example.test';
// A sanitized server is slower; what waits for time to pass does not care, what must be quick does.
export const slowness = Number(process.env.SP_SLOWNESS ?? 1);

// Whatever happens to the tests, no server and no folder of theirs outlives them: not of a server that refused to start either.
const alive = new Set(), folders = new Set();
process.on('exit', () => {
    for (const child of alive) child.kill('SIGKILL');
    for (const folder of folders) rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
});

export function temporaryFolder(what) {
    const folder = mkdtempSync(path.join(os.tmpdir(), `sallyport-${what}-`));
    folders.add(folder);
    return folder;
}

export async function freePort() {
    const s = net.createServer().listen(0, '127.0.0.1');
    await new Promise((done) => s.once('listening', done));
    const { port } = s.address();
    await new Promise((done) => s.close(done));
    return port;
}

// One request, one answer; no redirects, no cookie jar, no retries. `headers` may be an array [name, value, name, value] to repeat one.
// `where`: a port of the loopback, or the path of a Unix socket.
export function request(where, method, url, { headers = {}, body, agent } = {}) {
    return new Promise((resolve, reject) => {
        const to = typeof where === 'string' ? { socketPath: where } : { host: '127.0.0.1', port: where };
        const req = http.request({ ...to, method, path: url, headers, agent: agent ?? false, setHost: !Array.isArray(headers) });
        req.on('error', reject);
        req.setTimeout(ANSWER_MS, () => req.destroy(new Error(`no answer to ${method} ${url}`)));
        req.on('response', (res) => {
            const chunks = [];
            res.on('data', (c) => chunks.push(c));
            res.on('end', () => {
                const text = Buffer.concat(chunks).toString();
                let json;
                try { json = JSON.parse(text); } catch { json = undefined; }
                resolve({ status: res.statusCode, headers: res.headers, text, json, cookies: res.headers['set-cookie'] ?? [] });
            });
        });
        req.end(body);
    });
}

// Raw bytes out, everything back until the peer closes, which it does after every answer that is asked for here; or `ms` pass.
export function raw(port, bytes, ms = ANSWER_MS) {
    return new Promise((resolve) => {
        const s = net.connect(port, '127.0.0.1');
        const chunks = [];
        const timer = setTimeout(() => s.destroy(), ms);
        s.on('data', (c) => chunks.push(c));
        s.on('error', () => {});
        s.on('close', () => { clearTimeout(timer); resolve(Buffer.concat(chunks).toString('latin1')); });
        s.write(bytes);
    });
}

export class Server {
    // settings: {'tokens.access_ttl': '60s', ...}
    static async start(settings = {}, { data, env = {}, wrap = [] } = {}) {
        const s = new Server();
        s.own = data === undefined;
        s.folder = data ?? temporaryFolder('e2e');
        s.data = path.join(s.folder, 'data');
        s.settings = settings;
        s.env = env;
        s.wrap = wrap;
        await s.spawn();
        return s;
    }

    get adminSocket() { return path.join(this.data, 'admin.sock'); }

    // Another test may take the port between our asking for it and the server's binding it.
    async spawn() {
        for (let tries = 1; ; tries++) {
            this.port ??= await freePort();
            try {
                return await this.spawnOnce();
            } catch (error) {
                if (tries === 5 || !/127\.0\.0\.1:\d+: address already in use/.test(this.log)) throw error;
                this.port = undefined;
            }
        }
    }

    async spawnOnce() {
        const sets = Object.entries({
            'passwords.memory_kib': '8192', 'passwords.passes': '1', 'tokens.issuer': 'https://auth.example.test',
            'server.public_origins': ORIGIN, 'server.threads': process.env.SP_THREADS ?? '1',
            // Tests log in as fast as they can, all from one address; abuse.test.mjs sets its own.
            'throttle.account_burst': '1000000', 'throttle.address_burst': '1000000', ...this.settings,
        }).flatMap(([k, v]) => ['--set', `${k}=${v}`]);
        const words = [...this.wrap, program, '--data', this.data, 'serve', '--listen', `127.0.0.1:${this.port}`, ...sets];
        this.log = '';
        this.child = spawn(words[0], words.slice(1), { cwd: this.folder, stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...this.env } });
        const child = this.child;
        alive.add(child);
        let gone = false;
        this.exited = new Promise((done) => child.once('exit', (code, signal) => {
            gone = true;
            alive.delete(child);
            done({ code, signal });
        }));
        // Read to the end before anyone looks at the log.
        this.closed = new Promise((done) => child.once('close', done));
        child.once('error', (error) => { // not even begun
            gone = true;
            alive.delete(child);
            this.log += `${error}\n`;
        });
        for (const out of [child.stdout, child.stderr]) out.on('data', (c) => { this.log += c; });
        // Its own word first: somebody else may be answering at this port.
        for (let i = 0; i < 1500 * slowness; i++) {
            if (gone) {
                await this.closed;
                throw new Error(`the server did not start:\n${this.log}`);
            }
            try {
                if (this.log.includes('server_ready') && (await request(this.adminSocket, 'GET', '/readyz')).status === 200) return;
            } catch { /* not yet */ }
            await new Promise((done) => setTimeout(done, 10));
        }
        child.kill('SIGKILL');
        throw new Error(`the server is not ready:\n${this.log}`);
    }

    // Asked to stop, it must do so in order; a sanitizer's complaint (a leak, say) is a failure.
    async kill(signal = 'SIGKILL') {
        const asked = this.child.kill(signal); // false: it had gone before
        const how = await this.exited;
        if (asked && signal === 'SIGTERM') {
            await this.closed;
            assert.deepEqual(how, { code: 0, signal: null }, `the server did not stop in order:\n${this.log}`);
        }
        assert.doesNotMatch(this.log, /Sanitizer|runtime error:/);
        return how;
    }

    async restart(signal = 'SIGTERM') {
        await this.kill(signal);
        await this.spawn();
    }

    async stop() {
        const late = setTimeout(() => this.child.kill('SIGKILL'), 20000);
        const how = await this.kill('SIGTERM').finally(() => clearTimeout(late));
        if (this.own) rmSync(this.folder, { recursive: true, force: true });
        return how;
    }

    // The command line over the admin socket.
    cli(args, { input = '', json = false } = {}) {
        return new Promise((resolve, reject) => {
            const child = execFile(program, ['--data', this.data, ...args, ...(json ? ['--json'] : [])],
                { cwd: this.folder, maxBuffer: 1 << 26, timeout: ANSWER_MS }, (error, stdout, stderr) => {
                    const r = { status: error ? error.code : 0, stdout, stderr };
                    try {
                        if (json && r.status === 0) r.json = JSON.parse(stdout);
                        resolve(r);
                    } catch {
                        reject(new Error(`${args.join(' ')}: not JSON: ${stdout}`));
                    }
                });
            child.stdin.on('error', () => {}); // it may have refused without reading
            child.stdin.end(input);
        });
    }

    // The same with --json; a refusal is an error.
    async ask(...args) {
        const r = await this.cli(args, { json: true });
        if (r.status !== 0) throw new Error(`${args.join(' ')}: ${r.status} ${r.stderr}`);
        return r.json;
    }

    // A request on the admin socket.
    admin(method, url, value) {
        const body = value === undefined ? undefined : JSON.stringify(value);
        const headers = value === undefined ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
        return request(this.adminSocket, method, url, { headers, body });
    }

    // What the audit log holds of one action.
    async audit(action) { return (await this.ask('audit', 'show')).filter((r) => r.action === action); }

    // Everything that a refused request must leave alone.
    async state() {
        const [users, roles, sessions, keys, status] = await Promise.all([
            this.ask('user', 'list'), this.ask('role', 'list'), this.ask('session', 'list', '--ended'), this.ask('key', 'list'), this.ask('status')]);
        return { users, roles, sessions, keys, audit: status.audit_count, head: status.audit_head, revocations: status.revoke_seq };
    }

    async addUser(name, roles = [], password = PASSWORD) {
        const r = await this.cli(['user', 'add', name, '--password-stdin', ...roles.flatMap((x) => ['--role', x])], { input: `${password}\n` });
        if (r.status !== 0) throw new Error(`user add: ${r.stderr}`);
    }

    get(url, token, headers = {}) {
        return request(this.port, 'GET', url, { headers: token ? { authorization: `Bearer ${token}`, ...headers } : headers });
    }

    send(method, url, value, headers = {}) {
        const body = value === undefined ? undefined : JSON.stringify(value);
        const type = value === undefined ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
        return request(this.port, method, url, { headers: { ...type, ...headers }, body });
    }

    post(url, value, headers) { return this.send('POST', url, value, headers); }

    bearer(token) { return { authorization: `Bearer ${token}` }; }

    async login(username, more = {}) {
        const r = await this.post('/auth/login', { username, password: PASSWORD, ...more });
        if (r.status !== 200) throw new Error(`login: ${r.status} ${r.text}`);
        return r.json;
    }

    refresh(refresh_token, more = {}) { return this.post('/auth/refresh', { refresh_token, ...more }); }
}

// As much of a browser as matters here: it keeps our cookies and says where its page comes from.
export class Browser {
    constructor(server) {
        this.server = server;
        this.jar = {};
    }

    get cookieHeader() { return Object.entries(this.jar).map(([k, v]) => `${k}=${v}`).join('; '); }
    get access() { return this.jar['__Host-sp_access']; }
    get refreshToken() { return this.jar['__Host-sp_refresh']; }

    // Headers of a page of ours; null takes one away.
    headers(more = {}) {
        const all = { origin: ORIGIN, 'sec-fetch-site': 'same-origin', ...(this.cookieHeader ? { cookie: this.cookieHeader } : {}), ...more };
        return Object.fromEntries(Object.entries(all).filter(([, v]) => v !== null));
    }

    async send(method, url, value, headers = {}) {
        const r = await this.server.send(method, url, value, this.headers(headers));
        for (const line of r.cookies) {
            const [, name, v] = /^([^=]+)=([^;]*)/.exec(line);
            if (/Max-Age=0(;|$)/.test(line)) delete this.jar[name];
            else this.jar[name] = v;
        }
        if (r.json?.csrf_token) this.csrf = r.json.csrf_token;
        return r;
    }

    get(url, headers) { return this.send('GET', url, undefined, headers); }
    // With the CSRF token.
    act(method, url, value, headers = {}) { return this.send(method, url, value, { 'x-csrf-token': this.csrf, ...headers }); }
    refresh(headers) { return this.send('POST', '/auth/refresh', {}, headers); }

    async login(username, more = {}) {
        const r = await this.send('POST', '/auth/login', { username, password: PASSWORD, mode: 'cookie', ...more });
        if (r.status !== 200) throw new Error(`login: ${r.status} ${r.text}`);
        this.session = r.json.session_id;
        return r;
    }
}

// The answer is RFC 9457's, with our stable code.
export function refused(r, status, code, note) {
    const what = `${note ?? ''} ${r.status} ${r.text}`;
    assert.equal(r.status, status, what);
    assert.equal(r.headers['content-type'], 'application/problem+json', what);
    assert.equal(r.json?.code, code, what);
    assert.equal(r.json.status, status, what);
    assert.ok(r.json.title.length > 0, what);
    assert.equal(r.headers['cache-control'], 'no-store', what);
    const challenged = status === 401 || ['permission_denied', 'malformed_authorization', 'ambiguous_credentials'].includes(code);
    assert.equal(r.headers['www-authenticate'] !== undefined, challenged, what);
}

// The value of a cookie in a list of Set-Cookie lines.
export function cookie(lines, name) {
    const line = lines.find((l) => l.startsWith(`${name}=`));
    return line?.slice(name.length + 1).split(';')[0];
}

export function payload(token) {
    return JSON.parse(Buffer.from(token.split('.')[1], 'base64url').toString());
}

// A refresh token or a JSON Web Token in any text. Not its three first letters alone: among random ids they stand by chance, too.
export const SECRETS = /sprt_|eyJ[\w-]*\./;

export const sleep = (ms) => new Promise((done) => setTimeout(done, ms));
