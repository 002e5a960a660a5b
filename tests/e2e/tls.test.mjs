// TLS on the listener, as curl, openssl and node's own client see it. Certificates are made here and thrown away.
import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { chmodSync, copyFileSync, rmSync, writeFileSync } from 'node:fs';
import https from 'node:https';
import net from 'node:net';
import path from 'node:path';
import tls from 'node:tls';
import { after, before, test } from 'node:test';
import { PASSWORD, program, raw, Server, sleep, slowness, temporaryFolder } from './harness.mjs';

const folder = temporaryFolder('tls');
const at = (name) => path.join(folder, name);
const openssl = (...args) => execFileSync('openssl', args, { stdio: ['ignore', 'pipe', 'ignore'] });

// A certificate that signs itself, so that a client can be told to trust exactly this one.
function certificate(name, { algorithm = ['ec', '-pkeyopt', 'ec_paramgen_curve:P-256'], days = '30' } = {}) {
    openssl('req', '-x509', '-newkey', ...algorithm, '-nodes', '-days', days, '-subj', `/CN=${name}`,
        '-addext', 'subjectAltName=IP:127.0.0.1', '-keyout', at(`${name}.key`), '-out', at(`${name}.crt`));
    chmodSync(at(`${name}.key`), 0o600);
}

const live = (name) => {
    copyFileSync(at(`${name}.crt`), at('live.crt'));
    copyFileSync(at(`${name}.key`), at('live.key'));
    chmodSync(at('live.key'), 0o600);
};
const settings = { 'server.tls_certificate': at('live.crt'), 'server.tls_key': at('live.key') };

let s;
before(async () => {
    certificate('first');
    certificate('second');
    certificate('rsa', { algorithm: ['rsa:2048'] });
    live('first');
    s = await Server.start(settings);
    await s.addUser('alice');
});
after(async () => {
    await s.stop();
    rmSync(folder, { recursive: true, force: true });
});

// What a command says, whatever its end.
const run = (command, args, input = '') => new Promise((done) => {
    const child = execFile(command, args, { timeout: 10000 }, (error, stdout, stderr) => done({ code: error ? error.code : 0, out: stdout + stderr }));
    child.stdin.on('error', () => {});
    child.stdin.end(input);
});
const s_client = (...args) => run('openssl', ['s_client', '-connect', `127.0.0.1:${s.port}`, ...args]);
const curl = (...args) => run('curl', ['-s', '-S', '--cacert', at('live.crt'), ...args]);
const url = (where) => `https://127.0.0.1:${s.port}${where}`;

// The name of the certificate that a new connection sees.
const seen = () => new Promise((done, failed) => {
    const c = tls.connect({ host: '127.0.0.1', port: s.port, rejectUnauthorized: false }, () => {
        done(c.getPeerCertificate().subject.CN);
        c.end();
    });
    c.on('error', failed);
});

async function reload(pattern) {
    const from = s.log.length;
    s.child.kill('SIGHUP');
    for (let i = 0; i < 500 && !pattern.test(s.log.slice(from)); i++) await sleep(10);
    assert.match(s.log.slice(from), pattern);
    return s.log.slice(from);
}

test('a client that trusts the certificate logs in, refreshes and is told who it is', async () => {
    const body = JSON.stringify({ username: 'alice', password: PASSWORD });
    const login = await curl('-H', 'Content-Type: application/json', '-d', body, url('/auth/login'));
    const token = JSON.parse(login.out);
    const me = await curl('-H', `Authorization: Bearer ${token.access_token}`, url('/auth/me'));
    assert.match(JSON.parse(me.out).sub, /^[\w-]{22}$/);
    const refresh = await curl('-H', 'Content-Type: application/json', '-d', JSON.stringify({ refresh_token: token.refresh_token }), url('/auth/refresh'));
    assert.ok(JSON.parse(refresh.out).access_token);
});

test('TLS 1.2 and 1.3 are spoken, 1.1 and 1.0 are not', async () => {
    assert.match((await s_client('-tls1_3')).out, /New, TLSv1\.3, Cipher is TLS_/);
    assert.match((await s_client('-tls1_2')).out, /New, TLSv1\.2, Cipher is ECDHE-ECDSA-/);
    for (const old of ['-tls1_1', '-tls1']) {
        // Level 0, or our own openssl would refuse before the server can.
        const r = await s_client(old, '-cipher', 'DEFAULT:@SECLEVEL=0');
        assert.match(r.out, /alert protocol version/);
        assert.match(r.out, /Cipher is \(NONE\)/);
    }
});

test('only ephemeral key exchange with authenticated encryption is spoken', async () => {
    for (const weak of ['AES128-GCM-SHA256', 'ECDHE-ECDSA-AES128-SHA', 'ECDHE-ECDSA-AES256-SHA384', 'DHE-RSA-AES128-GCM-SHA256'])
        assert.match((await s_client('-tls1_2', '-cipher', `${weak}:@SECLEVEL=0`)).out, /Cipher is \(NONE\)/, weak);
    assert.match((await s_client('-tls1_3', '-groups', 'P-521')).out, /Cipher is \(NONE\)/);
    assert.match((await s_client('-tls1_3', '-groups', 'X25519')).out, /Server Temp Key: X25519/);
});

test('ALPN answers http/1.1, and a client that wants only h2 is refused', async () => {
    assert.match((await s_client('-alpn', 'h2,http/1.1')).out, /ALPN protocol: http\/1\.1/);
    assert.match((await s_client()).out, /No ALPN negotiated/);
    const h2 = await s_client('-alpn', 'h2');
    assert.match(h2.out, /alert no application protocol/);
    const v = await curl('--http2', '-o', '/dev/null', '-w', '%{http_version}', url('/healthz'));
    assert.equal(v.out, '1.1');
});

test('nothing is resumed and nobody renegotiates', async () => {
    for (const version of ['-tls1_2', '-tls1_3']) {
        const r = await run('openssl', ['s_client', '-connect', `127.0.0.1:${s.port}`, version, '-reconnect']);
        assert.doesNotMatch(r.out, /Reused,/);
    }
    const r = await run('sh', ['-c', `(sleep 0.2; echo R; sleep 2) | timeout 5 openssl s_client -connect 127.0.0.1:${s.port} -tls1_2`]);
    assert.match(r.out, /no renegotiation/);
});

test('plain HTTP to the port is told so, other bytes are not answered', async () => {
    const answer = await raw(s.port, 'GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n');
    assert.match(answer, /^HTTP\/1\.1 400 Bad Request\r\n/);
    assert.match(answer, /"code":"https_required"/);
    const junk = await raw(s.port, 'hello hello hello hello hello\r\n');
    assert.doesNotMatch(junk, /HTTP/);
    assert.equal((await curl(url('/healthz'))).code, 0);
});

test('a handshake that does not come forward is cut', async (t) => {
    const other = await Server.start({ ...settings, 'server.header_timeout': '700ms' });
    t.after(() => other.stop());
    for (const begin of ['', Buffer.from('160301', 'hex')]) {
        const c = net.connect(other.port, '127.0.0.1', () => begin.length && c.write(begin));
        c.on('error', () => {});
        const started = Date.now();
        await new Promise((done) => c.once('close', done));
        const took = Date.now() - started;
        assert.ok(took >= 600 && took < 5000 * slowness, `${took} ms`);
    }
});

test('requests in a row, large bodies and pipelines pass', async () => {
    const agent = new https.Agent({ keepAlive: true, maxSockets: 1, rejectUnauthorized: false });
    const ask = (method, where, body) => new Promise((done, failed) => {
        const req = https.request({ agent, host: '127.0.0.1', port: s.port, path: where, method, headers: body ? { 'content-type': 'application/json', 'content-length': body.length } : {} }, (res) => {
            res.resume().on('end', () => done(res.statusCode));
        });
        req.on('error', failed).end(body);
    });
    for (let i = 0; i < 20; i++) assert.equal(await ask('GET', '/readyz'), 200);
    assert.equal(await ask('POST', '/auth/login', Buffer.alloc(16 * 1024, 32)), 400);
    assert.equal(await ask('POST', '/auth/login', Buffer.alloc(64 * 1024, 32)), 413);
    agent.destroy();
    // More in one record than a request's buffer holds: what OpenSSL keeps must be asked for.
    const c = tls.connect({ host: '127.0.0.1', port: s.port, rejectUnauthorized: false });
    let got = '';
    c.on('data', (d) => { got += d; });
    await new Promise((done) => c.once('secureConnect', done));
    const one = `GET /healthz HTTP/1.1\r\nHost: a\r\nX-Pad: ${'a'.repeat(700)}\r\n\r\n`;
    c.write(one.repeat(200));
    for (let i = 0; i < 500 * slowness && got.split('HTTP/1.1 200').length < 201; i++) await sleep(10);
    assert.equal(got.split('HTTP/1.1 200').length, 201);
    c.destroy();
});

test('a client that does not read holds up nobody but itself', async () => {
    const c = tls.connect({ host: '127.0.0.1', port: s.port, rejectUnauthorized: false });
    await new Promise((done) => c.once('secureConnect', done));
    const wanted = 40000; // answers of 150 bytes or so: more than both sockets hold
    c.pause();
    c.write('GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n'.repeat(wanted));
    await sleep(300);
    for (let i = 0; i < 5; i++) assert.equal((await curl('-o', '/dev/null', '-w', '%{http_code}', url('/readyz'))).out, '200');
    let answers = 0, tail = '';
    c.on('data', (d) => {
        const text = tail + d.toString('latin1');
        const found = text.split('HTTP/1.1 200 OK').length - 1;
        answers += found;
        tail = text.slice(-14);
    });
    c.resume();
    for (let i = 0; i < 2000 * slowness && answers < wanted; i++) await sleep(10);
    assert.equal(answers, wanted);
    c.destroy();
});

test('SIGHUP swaps the certificate for new connections and leaves the open ones alone', async () => {
    assert.equal(await seen(), 'first');
    const open = tls.connect({ host: '127.0.0.1', port: s.port, rejectUnauthorized: false });
    let got = '';
    open.on('data', (d) => { got += d; });
    await new Promise((done) => open.once('secureConnect', done));
    live('second');
    await reload(/tls_certificate_loaded/);
    assert.equal(await seen(), 'second');
    open.write('GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
    await new Promise((done) => open.once('close', done));
    assert.match(got, /^HTTP\/1\.1 200/);
    live('rsa'); // of another kind
    await reload(/tls_certificate_loaded/);
    assert.equal(await seen(), 'rsa');
    assert.match((await s_client('-tls1_2')).out, /Cipher is ECDHE-RSA-/);
});

test('a reload that would be refused at the start changes nothing and says the same', async () => {
    live('first');
    await reload(/tls_certificate_loaded/);
    const bad = {
        'does not belong to': () => copyFileSync(at('second.key'), at('live.key')),
        'expected a private key in PEM': () => writeFileSync(at('live.key'), 'nothing', { mode: 0o600 }),
        'must not read it': () => chmodSync(at('live.key'), 0o644),
        'expected certificates in PEM': () => writeFileSync(at('live.crt'), 'nothing'),
        'cannot be read': () => rmSync(at('live.crt')),
    };
    for (const [words, spoil] of Object.entries(bad)) {
        live('first');
        spoil();
        const log = await reload(/config_refused/);
        assert.match(log, new RegExp(words));
        assert.equal(await seen(), 'first');
        const check = await run(program, ['config', 'check', ...Object.entries(settings).flatMap(([k, v]) => ['--set', `${k}=${v}`])]);
        assert.equal(check.code, 2);
        assert.match(check.out, new RegExp(words));
        await assert.rejects(Server.start(settings), new RegExp(words));
    }
    live('first');
});

test('a certificate out of its time, or a key with a passphrase, is refused', async () => {
    const refuses = async (words) => assert.rejects(Server.start(settings), new RegExp(words));
    openssl('req', '-new', '-key', at('first.key'), '-subj', '/CN=late', '-out', at('late.csr'));
    openssl('x509', '-req', '-in', at('late.csr'), '-signkey', at('first.key'), '-days', '-1', '-out', at('late.crt'));
    live('first');
    copyFileSync(at('late.crt'), at('live.crt'));
    await refuses('expired at 20');
    live('first');
    openssl('ec', '-in', at('first.key'), '-aes128', '-passout', 'pass:secret', '-out', at('live.key'));
    chmodSync(at('live.key'), 0o600);
    await refuses('without a passphrase');
    live('first');
});

test('a certificate that will expire soon is warned of, once', async () => {
    certificate('short', { days: '13' });
    live('short');
    const other = await Server.start(settings);
    live('first');
    for (let i = 0; i < 1000 && !/tls_certificate_expires/.test(other.log); i++) await sleep(10);
    await sleep(1200);
    assert.equal(other.log.split('tls_certificate_expires').length, 2);
    assert.doesNotMatch(s.log, /tls_certificate_expires/);
    await other.stop();
});

test('a certificate without a key is refused, and the issuer is https', async () => {
    await assert.rejects(Server.start({ 'server.tls_certificate': at('first.crt') }), /expected both or none/);
    const show = await run(program, ['config', 'show', ...Object.entries(settings).flatMap(([k, v]) => ['--set', `${k}=${v}`])]);
    assert.match(show.out, /tokens\.issuer = https:\/\/127\.0\.0\.1:8420 /);
});

test('stopping does not wait for a slow handshake', async () => {
    const other = await Server.start(settings);
    const c = net.connect(other.port, '127.0.0.1');
    c.on('error', () => {});
    await new Promise((done) => c.once('connect', done));
    const started = Date.now();
    assert.deepEqual(await other.stop(), { code: 0, signal: null });
    assert.ok(Date.now() - started < 4000);
});
