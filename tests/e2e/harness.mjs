// Starts the real program on a private port with a fresh store, and speaks HTTP to it as plainly as possible, so that a test sees
// exactly what a client would. Used with node's own test runner; no packages.
import { spawn, execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';

export const program = process.env.SALLYPORT ?? path.resolve('build/sallyport');
export const PASSWORD = 'correct horse battery';

async function freePort() {
    const s = net.createServer().listen(0, '127.0.0.1');
    await new Promise((done) => s.once('listening', done));
    const { port } = s.address();
    await new Promise((done) => s.close(done));
    return port;
}

// One request, one answer; no redirects, no cookie jar, no retries. `headers` may be an array [name, value, name, value] to repeat one.
export function request(port, method, url, { headers = {}, body, agent } = {}) {
    return new Promise((resolve, reject) => {
        const req = http.request({ host: '127.0.0.1', port, method, path: url, headers, agent: agent ?? false, setHost: !Array.isArray(headers) });
        req.on('error', reject);
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

// Raw bytes out, everything back until the peer closes or `ms` pass.
export function raw(port, bytes, ms = 2000) {
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
        s.folder = data ?? mkdtempSync(path.join(os.tmpdir(), 'sallyport-e2e-'));
        s.data = path.join(s.folder, 'data');
        s.settings = settings;
        s.env = env;
        s.wrap = wrap;
        s.port = await freePort();
        await s.spawn();
        return s;
    }

    async spawn() {
        const sets = Object.entries({
            'passwords.memory_kib': '8192', 'passwords.passes': '1', 'tokens.issuer': 'https://auth.example.test',
            'server.public_origins': 'https://app.example.test', ...this.settings,
        }).flatMap(([k, v]) => ['--set', `${k}=${v}`]);
        const words = [...this.wrap, program, '--data', this.data, 'serve', '--listen', `127.0.0.1:${this.port}`, ...sets];
        this.log = '';
        this.child = spawn(words[0], words.slice(1), { cwd: this.folder, stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...this.env } });
        this.exited = new Promise((done) => this.child.once('exit', (code, signal) => done({ code, signal })));
        for (const out of [this.child.stdout, this.child.stderr]) out.on('data', (c) => { this.log += c; });
        let gone = false;
        this.exited.then(() => { gone = true; });
        for (let i = 0; i < 1000; i++) {
            if (gone) throw new Error(`the server did not start:\n${this.log}`);
            try {
                if ((await request(this.port, 'GET', '/readyz')).status === 200) return;
            } catch { /* not listening yet */ }
            await new Promise((done) => setTimeout(done, 20));
        }
        throw new Error(`the server is not ready:\n${this.log}`);
    }

    async restart(signal = 'SIGTERM') {
        this.child.kill(signal);
        await this.exited;
        await this.spawn();
    }

    async stop() {
        this.child.kill('SIGTERM');
        const how = await this.exited;
        if (this.own) rmSync(this.folder, { recursive: true, force: true });
        return how;
    }

    // The command line over the admin socket.
    cli(args, { input = '', json = false } = {}) {
        return new Promise((resolve) => {
            const child = execFile(program, ['--data', this.data, ...args, ...(json ? ['--json'] : [])],
                { cwd: this.folder, maxBuffer: 1 << 26 }, (error, stdout, stderr) => {
                    resolve({ status: error ? error.code : 0, stdout, stderr, json: json && stdout ? JSON.parse(stdout) : undefined });
                });
            child.stdin.end(input);
        });
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

// The value of a cookie in a list of Set-Cookie lines.
export function cookie(lines, name) {
    const line = lines.find((l) => l.startsWith(`${name}=`));
    return line?.slice(name.length + 1).split(';')[0];
}

export function payload(token) {
    return JSON.parse(Buffer.from(token.split('.')[1], 'base64url').toString());
}

export const sleep = (ms) => new Promise((done) => setTimeout(done, ms));
