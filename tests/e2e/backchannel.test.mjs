// Back-channel logout: clients with a real receiver are told of each session of theirs that ends, whatever happens in between.
import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import path from 'node:path';
import { after, before, test } from 'node:test';

import { program, Server, sleep, temporaryFolder } from './harness.mjs';
import { addClient, basicAuth, CALLBACK, checkSignature, claims, header, ISSUER, pkce, post, random, Visitor } from './oauth.mjs';

const EVENT = 'http://schemas.openid.net/event/backchannel-logout';
const PATIENCE_MS = 60000; // what does not come by then does not come

// A client's own end. `behave(request)`: the status to answer with; undefined: no answer at all.
class Receiver {
    static async start({ tls, port = 0, host = '127.0.0.1' } = {}) {
        const r = new Receiver();
        r.received = [];
        r.behave = () => 200;
        r.waiting = [];
        const serve = (req, res) => {
            let body = '';
            req.on('data', (c) => { body += c; });
            req.on('end', () => {
                const one = { method: req.method, url: req.url, headers: req.headers, body, token: new URLSearchParams(body).get('logout_token') };
                r.received.push(one);
                const how = r.behave(one);
                if (how !== undefined) res.writeHead(how.status ?? how, { 'set-cookie': 'a=b', ...how.headers }).end(how.body);
                for (const wake of r.waiting.splice(0)) wake();
            });
        };
        r.server = tls ? https.createServer(tls, serve) : http.createServer(serve);
        r.server.on('tlsClientError', () => {});
        r.server.listen(port, host);
        await new Promise((done, failed) => r.server.once('listening', done).once('error', failed));
        r.port = r.server.address().port;
        return r;
    }

    // The first that fits; waits for it.
    async first(fits, note = '') {
        const late = AbortSignal.timeout(PATIENCE_MS);
        for (;;) {
            const found = this.received.find(fits);
            if (found) return found;
            await new Promise((done, failed) => {
                this.waiting.push(done);
                late.addEventListener('abort', () => failed(new Error(`nothing came ${note}: ${JSON.stringify(this.received.map((x) => claims(x.token)))}`)), { once: true });
            });
        }
    }

    of(sid) { return this.first((x) => claims(x.token).sid === sid, `for ${sid}`); }
    count(sid) { return this.received.filter((x) => claims(x.token).sid === sid).length; }

    stop() {
        const done = new Promise((gone) => this.server.close(gone));
        this.server.closeAllConnections();
        return done;
    }
}

async function eventually(what, look) {
    for (const end = Date.now() + PATIENCE_MS; Date.now() < end; await sleep(50)) if (await look()) return;
    assert.fail(`${what}: not in time`);
}

const register = (server, id, uri, ...more) => addClient(server, id, '--trusted', '--grant', 'authorization_code', '--grant', 'refresh_token',
    '--redirect-uri', CALLBACK, '--scope', 'openid', '--scope', 'offline_access', '--backchannel-logout-uri', uri, ...more);

// A session of the client, by the whole flow: {tokens, sid, sub, visitor}.
async function signIn(server, client, username, { visitor = new Visitor(server), scope = 'openid' } = {}) {
    const p = pkce();
    const params = { client_id: client.id, response_type: 'code', redirect_uri: CALLBACK, scope, state: random(), nonce: random(), code_challenge: p.challenge, code_challenge_method: 'S256' };
    const { code } = await visitor.signIn(params, username);
    const grant = { grant_type: 'authorization_code', code, code_verifier: p.verifier, redirect_uri: CALLBACK };
    const r = await post(server, '/oauth2/token', grant, basicAuth(client.id, client.secret));
    assert.equal(r.status, 200, r.text);
    const id = claims(r.json.id_token);
    return { tokens: r.json, sid: id.sid, sub: id.sub, visitor, grant };
}

async function checkToken(server, client, session, token) {
    await checkSignature(server, token);
    const c = claims(token), now = Date.now() / 1000;
    assert.equal(header(token).typ, 'logout+jwt');
    assert.deepEqual(Object.keys(c).sort(), ['aud', 'events', 'exp', 'iat', 'iss', 'jti', 'sid', 'sub']);
    assert.deepEqual([c.iss, c.aud, c.sub, c.sid], [ISSUER, client.id, session.sub, session.sid]);
    assert.deepEqual(c.events, { [EVENT]: {} });
    assert.equal(c.exp - c.iat, 120);
    assert.ok(Math.abs(now - c.iat) < 120);
}

const metrics = async (server) => Object.fromEntries((await server.admin('GET', '/metrics')).text.split('\n').filter((l) => l.startsWith('sallyport_backchannel_')).map((l) => {
    const [name, value] = l.split(' ');
    return [name.replace('sallyport_backchannel_', ''), Number(value)];
}));
const records = async (server, client) => (await server.audit('logout_notified')).filter((r) => r.target === client.id);

let s, receiver, shop;
before(async () => {
    receiver = await Receiver.start();
    s = await Server.start({ 'sessions.grace': '0ms' }, { env: { http_proxy: 'http://127.0.0.1:1', HTTP_PROXY: 'http://127.0.0.1:1', ALL_PROXY: 'http://127.0.0.1:1' } });
    for (const name of ['alice', 'bob', 'carol']) await s.addUser(name);
    shop = await register(s, 'shop', `http://127.0.0.1:${receiver.port}/logout?of=shop`);
});
after(async () => {
    await s.stop();
    await receiver.stop();
});

const hasCurl = (server) => readFileSync(`/proc/${server.child.pid}/maps`, 'utf8').includes('libcurl');

test('the library that delivers is loaded when something is to be delivered, and not before', async () => {
    assert.equal(hasCurl(s), false);
    const session = await signIn(s, shop, 'alice');
    assert.equal(hasCurl(s), false);
    assert.equal((await post(s, '/oauth2/revoke', { token: session.tokens.refresh_token }, basicAuth(shop.id, shop.secret))).status, 200);
    await receiver.of(session.sid);
    assert.equal(hasCurl(s), true);
});

test('the message is a form with one token, and says no more than it has to', async () => {
    const session = await signIn(s, shop, 'alice');
    await post(s, '/oauth2/revoke', { token: session.tokens.refresh_token }, basicAuth(shop.id, shop.secret));
    const got = await receiver.of(session.sid);
    assert.deepEqual([got.method, got.url], ['POST', '/logout?of=shop']);
    assert.deepEqual([...new URLSearchParams(got.body).keys()], ['logout_token']);
    assert.deepEqual(Object.keys(got.headers).sort(), ['content-length', 'content-type', 'host', 'user-agent']);
    assert.equal(got.headers['content-type'], 'application/x-www-form-urlencoded');
    assert.match(got.headers['user-agent'], /^sallyport\/\d/);
    await checkToken(s, shop, session, got.token);
    // It is no access token, and no hint that somebody was signed in.
    assert.equal((await s.get('/auth/me', got.token)).status, 401);
});

// However a session ends, its client hears of it.
const ends = {
    'the client revokes its refresh token': async (x) => post(s, '/oauth2/revoke', { token: x.tokens.refresh_token }, basicAuth(shop.id, shop.secret)),
    'the person signs out at the server': async (x) => x.visitor.get(`/oauth2/logout?id_token_hint=${x.tokens.id_token}`),
    'an administrator ends it': async (x) => s.ask('session', 'revoke', x.sid),
    'an administrator revokes the user': async () => s.ask('revoke', '--user', 'bob'),
    'its refresh token is used again': async (x) => {
        const refresh = () => post(s, '/oauth2/token', { grant_type: 'refresh_token', refresh_token: x.tokens.refresh_token }, basicAuth(shop.id, shop.secret));
        assert.equal((await refresh()).status, 200);
        await sleep(20); // past the grace time, which is none
        assert.equal((await refresh()).status, 400);
    },
    'its code is redeemed again': async (x) => assert.equal((await post(s, '/oauth2/token', x.grant, basicAuth(shop.id, shop.secret))).status, 400),
    'the user is disabled': async () => {
        await s.cli(['user', 'disable', 'bob']);
        await s.cli(['user', 'enable', 'bob']);
    },
};
for (const [how, end] of Object.entries(ends)) {
    test(`told when ${how}`, async () => {
        const session = await signIn(s, shop, 'bob');
        assert.equal(receiver.count(session.sid), 0);
        await end(session);
        const got = await receiver.of(session.sid);
        await checkToken(s, shop, session, got.token);
    });
}

test('signing out ends the sessions of all clients but those that may stay offline, and tells each client its own', async () => {
    const other = await register(s, 'other', `http://127.0.0.1:${receiver.port}/logout?of=other`);
    const here = await signIn(s, shop, 'carol');
    const { visitor } = here;
    const there = await signIn(s, other, 'carol', { visitor });
    const stays = await signIn(s, other, 'carol', { visitor, scope: 'openid offline_access' });
    await visitor.get(`/oauth2/logout?id_token_hint=${here.tokens.id_token}`);
    for (const [client, session] of [[shop, here], [other, there]]) {
        const got = await receiver.of(session.sid);
        assert.equal(got.url, `/logout?of=${client.id}`);
        await checkToken(s, client, session, got.token);
    }
    assert.equal(receiver.count(stays.sid), 0);
    await s.ask('session', 'revoke', stays.sid);
    await receiver.of(stays.sid);
});

test('what was delivered is on record with client, session and tries, and counted', async () => {
    const session = await signIn(s, shop, 'alice');
    await s.ask('session', 'revoke', session.sid);
    await receiver.of(session.sid);
    await eventually('the record', async () => (await records(s, shop)).some((r) => JSON.stringify(r).includes(session.sid)));
    const record = (await records(s, shop)).find((r) => JSON.stringify(r).includes(session.sid));
    assert.equal(record.outcome, 'ok');
    assert.deepEqual(record.body.detail, { client: 'shop', tries: 1 });
    const m = await metrics(s);
    assert.ok(m['logouts_total{result="delivered"}'] >= 10);
    assert.equal(m.waiting, 0);
});

test('a 400 is the end of it, and a redirect leads nowhere', async () => {
    const refusing = await Receiver.start(), elsewhere = await Receiver.start();
    refusing.behave = () => 400;
    const grumpy = await register(s, 'grumpy', `http://127.0.0.1:${refusing.port}/`);
    let session = await signIn(s, grumpy, 'alice');
    await s.ask('session', 'revoke', session.sid);
    await eventually('the record', async () => (await records(s, grumpy)).length === 1);
    const [record] = await records(s, grumpy);
    assert.deepEqual([record.outcome, record.body.detail], ['failed', { client: 'grumpy', tries: 1, reason: 'refused' }]);

    refusing.behave = () => ({ status: 307, headers: { location: `http://127.0.0.1:${elsewhere.port}/` } });
    session = await signIn(s, grumpy, 'alice');
    await s.ask('session', 'revoke', session.sid);
    await refusing.of(session.sid);
    refusing.behave = () => 204;
    await eventually('the second try', async () => refusing.count(session.sid) === 2);
    assert.equal(elsewhere.received.length, 0);
    assert.ok((await metrics(s)).failed_tries_total >= 1);
    assert.deepEqual(refusing.received.filter((x) => x.headers.cookie), []);
    await Promise.all([refusing.stop(), elsewhere.stop()]);
});

test('an endless answer and one that never comes hold up nobody else', async () => {
    const slow = await Receiver.start();
    slow.behave = () => undefined;
    const sleepy = await register(s, 'sleepy', `http://127.0.0.1:${slow.port}/`);
    const stuck = await signIn(s, sleepy, 'alice');
    await s.ask('session', 'revoke', stuck.sid);
    await slow.of(stuck.sid);
    const session = await signIn(s, shop, 'alice');
    await s.ask('session', 'revoke', session.sid);
    await receiver.of(session.sid);
    assert.equal(slow.count(stuck.sid), 1);
    slow.behave = () => ({ status: 200, body: Buffer.alloc(1 << 20) });
    await eventually('the second try', async () => slow.count(stuck.sid) === 2);
    await eventually('its success', async () => (await records(s, sleepy)).length === 1); // the status was there before the flood
    await slow.stop();
});

test('a receiver that is down is told when it is back', async () => {
    const first = await Receiver.start();
    const client = await register(s, 'flaky', `http://127.0.0.1:${first.port}/`);
    const sessions = [];
    for (let i = 0; i < 3; i++) sessions.push(await signIn(s, client, 'alice'));
    await first.stop();
    for (const { sid } of sessions) await s.ask('session', 'revoke', sid);
    await eventually('a failure', async () => s.log.includes('logout_not_delivered') && (await metrics(s)).waiting === 3);
    const back = await Receiver.start({ port: first.port });
    for (const session of sessions) await checkToken(s, client, session, (await back.of(session.sid)).token);
    await eventually('nothing waits', async () => (await metrics(s)).waiting === 0);
    assert.equal((await records(s, client)).filter((r) => r.outcome === 'ok').length, 3);
    await back.stop();
});

for (const signal of ['SIGKILL', 'SIGTERM']) {
    test(`${signal} between the end and the delivery loses nothing`, async (t) => {
        t.after(() => { receiver.behave = () => 200; });
        const session = await signIn(s, shop, 'alice');
        receiver.behave = () => undefined;
        await s.ask('session', 'revoke', session.sid);
        await receiver.of(session.sid);
        await s.kill(signal);
        const lost = receiver.count(session.sid);
        receiver.behave = () => 200;
        await s.spawn();
        await eventually('the delivery', async () => receiver.count(session.sid) > lost);
        await eventually('the record', async () => (await records(s, shop)).some((r) => JSON.stringify(r).includes(session.sid)));
        await checkToken(s, shop, session, receiver.received.findLast((x) => claims(x.token).sid === session.sid).token);
    });
}

test('a client that is deleted before its turn is not told', async () => {
    const gone = await Receiver.start();
    const client = await register(s, 'leaver', `http://127.0.0.1:${gone.port}/`);
    const session = await signIn(s, client, 'alice');
    assert.equal((await s.cli(['client', 'delete', 'leaver'])).status, 0);
    await eventually('the record', async () => (await records(s, client)).length === 1);
    const [record] = await records(s, client);
    assert.equal(record.outcome, 'failed');
    assert.equal(record.body.detail.reason, 'client_gone');
    assert.equal(gone.count(session.sid), 0);
    await gone.stop();
});

// ---- TLS ----

function makeCertificates(folder) {
    const openssl = (...args) => execFileSync('openssl', args, { stdio: ['ignore', 'pipe', 'ignore'], cwd: folder });
    const authority = (name) => openssl('req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2', '-subj', `/CN=${name}`, '-keyout', `${name}.key`, '-out', `${name}.crt`);
    authority('ours');
    authority('theirs');
    for (const [file, by, name] of [['good', 'ours', 'localhost'], ['misnamed', 'ours', 'elsewhere.example'], ['foreign', 'theirs', 'localhost']]) {
        openssl('req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-subj', `/CN=${name}`, '-keyout', `${file}.key`, '-out', `${file}.csr`);
        writeFileSync(path.join(folder, `${file}.ext`), `subjectAltName=DNS:${name}\n`);
        openssl('x509', '-req', '-in', `${file}.csr`, '-CA', `${by}.crt`, '-CAkey', `${by}.key`, '-CAcreateserial', '-days', '2', '-extfile', `${file}.ext`, '-out', `${file}.crt`);
    }
    return (file) => ({ cert: readFileSync(path.join(folder, `${file}.crt`)), key: readFileSync(path.join(folder, `${file}.key`)) });
}

test('over HTTPS: the authority of oauth.backchannel_ca_file and the name of the address decide', async () => {
    const folder = temporaryFolder('backchannel');
    const tls = makeCertificates(folder);
    const receivers = {}, clients = {}, sessions = {};
    const server = await Server.start({ 'oauth.backchannel_ca_file': path.join(folder, 'ours.crt') });
    await server.addUser('alice');
    for (const name of ['foreign', 'misnamed', 'good']) {
        receivers[name] = await Receiver.start({ tls: tls(name), host: 'localhost' });
        clients[name] = await register(server, name, `https://localhost:${receivers[name].port}/`);
        sessions[name] = await signIn(server, clients[name], 'alice');
        await server.ask('session', 'revoke', sessions[name].sid);
    }
    await checkToken(server, clients.good, sessions.good, (await receivers.good.of(sessions.good.sid)).token);
    await eventually('two failures', async () => (await metrics(server)).failed_tries_total >= 2);
    await eventually('the record', async () => (await server.audit('logout_notified')).length > 0);
    assert.equal(receivers.foreign.received.length + receivers.misnamed.received.length, 0);
    assert.deepEqual((await server.audit('logout_notified')).map((r) => [r.target, r.outcome]), [['good', 'ok']]);

    // Without the setting the system's authorities decide, who know nothing of ours.
    server.settings = {};
    await server.restart();
    const session = await signIn(server, clients.good, 'alice');
    await server.ask('session', 'revoke', session.sid);
    await eventually('a failure', async () => /logout_not_delivered.*"client":"good"/.test(server.log));
    assert.equal(receivers.good.count(session.sid), 0);
    await server.stop();
    for (const r of Object.values(receivers)) await r.stop();
});

// ---- without ----

test('without libcurl logouts wait, doctor says so, and they are delivered once it is there', async () => {
    const folder = temporaryFolder('no-curl');
    mkdirSync(path.join(folder, 'lib'));
    writeFileSync(path.join(folder, 'lib', 'libcurl.so.4'), 'not a library');
    const without = { LD_LIBRARY_PATH: path.join(folder, 'lib') };
    const server = await Server.start({}, { env: without });
    await server.addUser('alice');
    // It exits with 1 when it finds something, and says what all the same.
    const asked = (env) => new Promise((resolve) => {
        execFile(program, ['--data', server.data, 'doctor', '--json'], { env: { ...process.env, ...env } },
            (error, stdout) => resolve(JSON.parse(stdout).checks.find((c) => c.check === 'back-channel').result));
    });
    assert.equal(await asked(without), 'ok'); // nobody asks for it
    const client = await register(server, 'shop', `http://127.0.0.1:${receiver.port}/`);
    assert.deepEqual([await asked(without), await asked({})], ['fail', 'ok']);
    assert.equal(await asked({ SALLYPORT_OAUTH_BACKCHANNEL_CA_FILE: path.join(folder, 'none.pem') }), 'fail');
    const session = await signIn(server, client, 'alice');
    await server.ask('session', 'revoke', session.sid);
    await eventually('the warning', async () => server.log.includes('delivery_impossible'));
    assert.deepEqual([(await metrics(server)).waiting, (await metrics(server)).failed_tries_total], [1, 0]);
    server.env = {};
    await server.restart();
    await checkToken(server, client, session, (await receiver.of(session.sid)).token);
    await server.stop();
});

test('with HS256 nobody could check a logout token: an address for them is refused', async () => {
    const server = await Server.start({ 'tokens.alg': 'HS256' });
    const r = await server.cli(['client', 'add', '--public', '--grant', 'authorization_code', '--redirect-uri', CALLBACK, '--backchannel-logout-uri', 'https://shop.example.test/', 'shop']);
    assert.notEqual(r.status, 0);
    assert.match(r.stderr, /backchannel_needs_openid|HS256/);
    await server.stop();
});

test('an address that is not TLS or loopback is refused', async () => {
    for (const uri of ['http://shop.example.test/', 'http://127.0.0.1.example.test/', 'ftp://127.0.0.1/', 'file:///etc/passwd', 'https://u:p@shop.example.test/']) {
        const r = await s.cli(['client', 'add', '--public', '--grant', 'authorization_code', '--redirect-uri', CALLBACK, '--backchannel-logout-uri', uri, 'nope']);
        assert.notEqual(r.status, 0, uri);
    }
});
