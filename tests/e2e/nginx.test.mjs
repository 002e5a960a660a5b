// docs/proxies/nginx.conf as it stands there, but for its ports, in a real nginx between a client, Sallyport and an application.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { follow } from './feed.mjs';
import { Browser, freePort, ORIGIN, PASSWORD, Server, payload, request, sleep, temporaryFolder } from './harness.mjs';
import { addClient, basicAuth, CALLBACK, Key, pkce, post, Visitor } from './oauth.mjs';

const example = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../../docs/proxies/nginx.conf');
const nginx = ['/usr/sbin/nginx', 'nginx'].find((x) => !spawnSync(x, ['-v']).error);
let s, app, proxy, port, folder;

before(async () => {
    if (!nginx) return;
    s = await Server.start();
    await s.cli(['role', 'set', 'reader', 'documents:read']);
    await s.addUser('alice', ['reader']);
    app = http.createServer((req, res) => { // answers what it was sent
        res.setHeader('content-type', 'application/json');
        res.end(JSON.stringify({ headers: req.headers, raw: req.rawHeaders, method: req.method }));
    }).listen(0, '127.0.0.1');
    await new Promise((done) => app.once('listening', done));
    port = await freePort();
    folder = temporaryFolder('nginx');
    const replaced = readFileSync(example, 'utf8').replace('127.0.0.1:8420', `127.0.0.1:${s.port}`).replace('127.0.0.1:8080', `127.0.0.1:${app.address().port}`)
        .replace('listen 443;', `listen 127.0.0.1:${port};`)
        // As the page says of permissions: what else may be asked for stands in the query.
        .replace('    location / {', `    location /fresh { auth_request /_fresh; proxy_pass http://app; }
    location = /_fresh { internal; proxy_pass http://sallyport/auth/verify?max_age=3600&acr=urn:sallyport:acr:password; proxy_pass_request_body off; proxy_set_header Content-Length ""; }
    location /strong { auth_request /_strong; proxy_pass http://app; }
    location = /_strong { internal; proxy_pass http://sallyport/auth/verify?acr=urn:example:second-factor; proxy_pass_request_body off; proxy_set_header Content-Length ""; }
    location / {`);
    const temps = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((x) => `${x}_temp_path ${folder}/${x};`).join('\n');
    writeFileSync(path.join(folder, 'nginx.conf'), `${process.getuid() === 0 ? 'user root;\n' : ''}daemon off;\npid ${folder}/pid;\nerror_log stderr;
events {}\nhttp {\naccess_log off;\n${temps}\n${replaced}\n}\n`);
    proxy = spawn(nginx, ['-p', folder, '-e', 'stderr', '-c', path.join(folder, 'nginx.conf')], { stdio: ['ignore', 'inherit', 'inherit'] });
    process.on('exit', () => proxy.kill());
    for (let i = 0; i < 200; i++) {
        try { await request(port, 'GET', '/auth/me'); return; } catch { await sleep(25); }
    }
    throw new Error('nginx does not answer');
});

after(async () => {
    if (!nginx) return;
    proxy?.kill();
    app?.close();
    await s?.stop();
    if (folder) rmSync(folder, { recursive: true, force: true });
});

const through = (method, url, headers) => request(port, method, url, { headers });

test('who has no token does not reach the application', { skip: !nginx && 'nginx is not installed' }, async () => {
    assert.equal((await through('GET', '/', {})).status, 401);
    assert.equal((await through('GET', '/', { authorization: 'Bearer junk' })).status, 401);
    assert.equal((await through('GET', '/_may_pass', {})).status, 404);
});

test('the application learns who it is from Sallyport, whatever the client claims', { skip: !nginx && 'nginx is not installed' }, async () => {
    const t = await s.login('alice');
    const claims = payload(t.access_token);
    const r = await through('GET', '/documents', {
        authorization: `Bearer ${t.access_token}`, 'X-Auth-Subject': 'root', 'x-auth-roles': 'admin', X_Auth_Subject: 'root', 'X_Auth-Roles': 'admin', 'X-Auth-Scope': 'everything',
    });
    assert.equal(r.status, 200, r.text);
    const h = r.json.headers;
    assert.equal(h['x-auth-subject'], claims.sub);
    assert.equal(h['x-auth-session'], t.session_id);
    assert.equal(h['x-auth-roles'], 'reader');
    assert.equal(h['x-auth-scope'], '-');
    assert.match(h['x-auth-permissions'], /^documents[:%]/);
    const names = r.json.raw.filter((_, i) => i % 2 === 0).map((x) => x.toLowerCase().replaceAll('_', '-')).filter((x) => x.startsWith('x-auth-'));
    assert.equal(names.length, 7);
    assert.equal(new Set(names).size, 7);
});

test('the refresh cookie stays away from the application, and nothing else does', { skip: !nginx && 'nginx is not installed' }, async () => {
    const b = new Browser(s);
    await b.login('alice');
    const { '__Host-sp_access': access, '__Host-sp_refresh': refresh } = b.jar;
    for (const cookie of [`__Host-sp_refresh=${refresh}; __Host-sp_access=${access}; theme=dark`, `theme=dark; __Host-sp_refresh=${refresh}; __Host-sp_access=${access}`,
        `theme=dark; __Host-sp_access=${access}; __Host-sp_refresh=${refresh}`, `theme=dark;__Host-sp_refresh=${refresh};__Host-sp_access=${access}`]) {
        const r = await through('GET', '/', { cookie });
        assert.equal(r.status, 200, r.text);
        assert.ok(!r.text.includes(refresh), cookie);
        assert.ok(!r.text.includes('sp_refresh'), cookie);
        assert.ok(r.json.headers.cookie.includes('theme=dark') && r.json.headers.cookie.includes(access), r.json.headers.cookie);
    }
    assert.equal((await through('GET', '/', { cookie: `__Host-sp_access=${access}; __Host-sp_refresh=${refresh}; __Host-sp_refresh=${refresh}` })).status, 401);
});

test('the pages of a sign-in and the endpoints of OAuth go through, and their cookie goes no further', { skip: !nginx && 'nginx is not installed' }, async () => {
    await addClient(s, 'shop', '--trusted', '--public', '--grant', 'authorization_code', '--redirect-uri', CALLBACK, '--scope', 'openid');
    const { verifier, challenge } = pkce(), front = { port }, v = new Visitor(front);
    // As large as a request may be: what is sealed of it stands in a redirect.
    const { code } = await v.signIn({ client_id: 'shop', response_type: 'code', redirect_uri: CALLBACK, scope: 'openid', state: 's'.repeat(1024), nonce: 'n'.repeat(256), code_challenge: challenge, code_challenge_method: 'S256' }, 'alice');
    const r = await post(front, '/oauth2/token', { grant_type: 'authorization_code', client_id: 'shop', code, code_verifier: verifier, redirect_uri: CALLBACK });
    assert.equal(r.status, 200, r.text);
    assert.equal((await through('GET', '/oauth2/userinfo', { authorization: `Bearer ${r.json.access_token}` })).status, 200);
    assert.equal((await through('GET', '/.well-known/openid-configuration', {})).status, 200);
    const b = new Browser(s);
    await b.login('alice');
    for (const cookie of [`${b.cookieHeader}; ${v.cookieHeader}; theme=dark`, `${v.cookieHeader}; theme=dark; ${b.cookieHeader}`, `theme=dark; ${v.cookieHeader}; ${b.cookieHeader}`]) {
        const seen = (await through('GET', '/', { cookie })).json.headers.cookie;
        assert.ok(!seen.includes('sp_sso') && !seen.includes('sp_refresh') && !seen.includes(v.sso), seen);
        assert.ok(seen.includes('theme=dark') && seen.includes(b.access), seen);
    }
});

test('by cookie, what changes something must come from our own pages', { skip: !nginx && 'nginx is not installed' }, async () => {
    const b = new Browser(s);
    await b.login('alice');
    const cookie = b.cookieHeader;
    assert.equal((await through('POST', '/', { cookie })).status, 403);
    assert.equal((await through('POST', '/', { cookie, 'X-Forwarded-Method': 'GET', 'X-Original-Method': 'GET' })).status, 403);
    assert.equal((await through('POST', '/', { cookie, origin: 'https://evil.example' })).status, 403);
    assert.equal((await through('POST', '/', { cookie, origin: ORIGIN })).status, 200);
    assert.equal((await through('GET', '/', { cookie, origin: 'https://evil.example' })).status, 200);
});

test('a session that was ended is out at the next request', { skip: !nginx && 'nginx is not installed' }, async () => {
    const t = await s.login('alice');
    assert.equal((await through('GET', '/', { authorization: `Bearer ${t.access_token}` })).status, 200);
    await s.post('/auth/logout', { refresh_token: t.refresh_token });
    assert.equal((await through('GET', '/', { authorization: `Bearer ${t.access_token}` })).status, 401);
});

test('the feed passes at once, event by event, and goes on where it stopped', { skip: !nginx && 'nginx is not installed' }, async () => {
    const credential = (await s.cli(['client', 'add', 'watcher', '--feed'])).stdout.trim();
    const there = { port, settings: s.settings };
    const f = await follow(there, credential, { name: 'behind-nginx', acks: true });
    await f.until(() => f.acked > 0);
    const sid = (await s.login('alice')).session_id;
    const r = await s.ask('session', 'revoke', sid, '--wait', '10s');
    assert.deepEqual([r.verifiers, r.confirmed], [1, 1]);
    assert.equal(f.revoked.at(-1).sid, sid);
    await f.untilBeat();
    f.close();
    const again = (await s.login('alice')).session_id;
    await s.ask('session', 'revoke', again);
    const g = await follow(there, credential, { from: f.position });
    assert.deepEqual(g.revoked.map((x) => x.sid), [again]);
    g.close();
});

test('a fresher or stronger login is asked for in the words of RFC 9470, which reach the client', { skip: !nginx && 'nginx is not installed' }, async () => {
    const { access_token } = await s.login('alice');
    const get = (url, token) => through('GET', url, { authorization: `Bearer ${token}` });
    assert.equal((await get('/fresh', access_token)).status, 200);
    const weak = await get('/strong', access_token);
    assert.equal(weak.status, 401);
    assert.match(weak.headers['www-authenticate'], /error="insufficient_user_authentication".*acr_values="urn:example:second-factor"/);
    // A client that acts for itself has no login at all.
    const { secret } = await addClient(s, 'job', '--grant', 'client_credentials');
    const job = (await post(s, '/oauth2/token', { grant_type: 'client_credentials' }, basicAuth('job', secret))).json.access_token;
    assert.equal((await get('/', job)).status, 200);
    assert.equal((await get('/fresh', job)).status, 401);
});

test('a token that is bound to a key does not pass as if it were not', { skip: !nginx && 'nginx is not installed' }, async () => {
    const key = new Key();
    const login = (nonce) => s.post('/auth/login', { username: 'alice', password: PASSWORD }, { dpop: key.proof('POST', '/auth/login', { nonce }) });
    let r = await login();
    if (r.headers['dpop-nonce']) r = await login(r.headers['dpop-nonce']);
    const token = r.json.access_token;
    for (const headers of [{ authorization: `Bearer ${token}` }, { authorization: `DPoP ${token}` }, { authorization: `DPoP ${token}`, dpop: key.proof('GET', '/documents', { token }) }]) {
        const refused = await through('GET', '/documents', headers);
        assert.equal(refused.status, 401);
        assert.match(refused.headers['www-authenticate'], /DPoP/);
    }
});
