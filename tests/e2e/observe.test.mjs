// What the running server says of itself: metrics, log lines, health; and sessions for applications that check their people themselves.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import net from 'node:net';
import { test } from 'node:test';

import { freePort, PASSWORD, Server, payload, refused, request, sleep } from './harness.mjs';

// Strict on purpose: each family is announced once (HELP, then TYPE), its samples follow it and nothing comes twice.
function parse(text) {
    assert.ok(text.endsWith('\n'));
    const families = new Map(), samples = new Map();
    let family;
    for (const line of text.slice(0, -1).split('\n')) {
        let m;
        if ((m = /^# HELP ([a-z_]+) \S.*$/.exec(line))) {
            assert.ok(!families.has(m[1]), line);
            family = { name: m[1] };
            families.set(m[1], family);
        } else if ((m = /^# TYPE ([a-z_]+) (counter|gauge|histogram)$/.exec(line))) {
            assert.equal(m[1], family.name);
            assert.equal(family.type, undefined);
            family.type = m[2];
            assert.equal(m[2] === 'counter', m[1].endsWith('_total'), `${m[1]}: counters, and only they, end in _total`);
        } else {
            m = /^([a-z_]+)(\{([a-z_]+="[^"\\\n]*",?)+\})? ([0-9]+(\.[0-9]+)?)$/.exec(line);
            assert.ok(m, `not a sample: ${line}`);
            const allowed = family.type === 'histogram' ? ['_bucket', '_sum', '_count'].map((x) => family.name + x) : [family.name];
            assert.ok(allowed.includes(m[1]), `${line} in ${family.name}`);
            assert.ok(!samples.has(m[1] + (m[2] ?? '')), `twice: ${line}`);
            samples.set(m[1] + (m[2] ?? ''), Number(m[4]));
        }
    }
    for (const f of families.values()) assert.ok(f.type, f.name);
    return samples;
}

async function scrape(where) {
    const r = await request(where, 'GET', '/metrics');
    assert.equal(r.status, 200, r.text);
    assert.equal(r.headers['content-type'], 'text/plain; version=0.0.4; charset=utf-8');
    return parse(r.text);
}

test('metrics count what happened', async () => {
    const s = await Server.start({ 'sessions.grace': '0' });
    try {
        await s.addUser('alice');
        const first = await s.login('alice');
        await s.post('/auth/login', { username: 'alice', password: 'wrong password' });
        const second = (await s.refresh(first.refresh_token)).json;
        await s.get('/auth/me', second.access_token);
        await s.get('/auth/me', second.access_token);
        await s.get('/nowhere');
        await s.refresh((await s.refresh(second.refresh_token)).json.refresh_token);
        assert.equal((await s.refresh(first.refresh_token)).status, 401);
        const m = await scrape(s.adminSocket);
        const is = (name, n) => assert.equal(m.get(name), n, name);
        is('sallyport_build_info{version="0.1.0",store="sqlite"}', 1);
        is('sallyport_logins_total{result="ok"}', 1);
        is('sallyport_logins_total{result="failed"}', 1);
        is('sallyport_refreshes_total{result="rotated"}', 3);
        is('sallyport_tripwires_total', 1);
        is('sallyport_revocation_entries', 1);
        is('sallyport_http_requests_total{method="POST",route="/auth/login",status="2xx"}', 1);
        is('sallyport_http_requests_total{method="POST",route="/auth/login",status="4xx"}', 1);
        is('sallyport_http_requests_total{method="GET",route="/auth/me",status="2xx"}', 2);
        is('sallyport_http_requests_total{method="other",route="none",status="4xx"}', 1);
        is('sallyport_http_request_duration_seconds_count{method="POST",route="/auth/refresh"}', 4);
        is('sallyport_http_request_duration_seconds_bucket{method="POST",route="/auth/refresh",le="+Inf"}', 4);
        is('sallyport_ready', 1);
        is('sallyport_password_hash_active', 0);
        is('sallyport_keys{use="access",state="signing"}', 1);
        assert.ok(m.get('sallyport_password_hashes_total') >= 3);
        assert.ok(m.get('sallyport_verifier_cache_hits_total') >= 1);
        assert.ok(m.get('sallyport_store_transaction_duration_seconds_count') > 0);
        assert.equal(m.get('sallyport_store_batch_change_sets_count'), m.get('sallyport_store_transaction_duration_seconds_count'));
        assert.ok(m.get('sallyport_audit_records') >= 4);
        assert.ok(m.get('sallyport_http_connections_open') >= 1);
        assert.ok(m.get('process_resident_memory_bytes') > 1 << 20);
        assert.ok(m.get('process_open_fds') > 3);
        assert.ok(Math.abs(m.get('process_start_time_seconds') - Date.now() / 1000) < 60);
    } finally { await s.stop(); }
});

test('metrics are for who may see them: a permission, or a listener of their own', async () => {
    const port = await freePort();
    const s = await Server.start({ 'server.metrics_listen': `127.0.0.1:${port}` });
    try {
        await s.cli(['role', 'set', 'watcher', 'sallyport:metrics']);
        await s.addUser('prometheus', ['watcher']);
        await s.addUser('alice');
        refused(await s.get('/metrics'), 401, 'not_authenticated');
        refused(await s.get('/metrics', (await s.login('alice')).access_token), 403, 'permission_denied');
        const token = (await s.login('prometheus')).access_token;
        const r = await s.get('/metrics', token);
        assert.equal(r.status, 200);
        parse(r.text);
        refused(await s.get('/admin/v1/users', token), 403, 'permission_denied');
        await scrape(port);
        assert.equal((await request(port, 'GET', '/healthz')).status, 200);
        refused(await request(port, 'GET', '/auth/me', { headers: s.bearer(token) }), 404, 'no_such_route');
    } finally { await s.stop(); }
});

test('several loops are one set of numbers, while all of them count and are scraped', async () => {
    const s = await Server.start({ 'server.threads': '3' });
    try {
        const name = 'sallyport_http_requests_total{method="GET",route="/healthz",status="2xx"}';
        await s.cli(['role', 'set', 'watcher', 'sallyport:metrics']);
        await s.addUser('prometheus', ['watcher']);
        const token = (await s.login('prometheus')).access_token;
        const before = (await scrape(s.adminSocket)).get(name) ?? 0;
        await Promise.all(Array.from({ length: 60 }, (_, i) => i % 4 ? s.get('/healthz') : s.get('/metrics', token).then((r) => parse(r.text))));
        assert.equal((await scrape(s.adminSocket)).get(name), before + 45);
    } finally { await s.stop(); }
});

test('promtool agrees with the format', { skip: spawnSync('promtool', ['--version']).error ? 'promtool is not installed' : false }, async () => {
    const s = await Server.start();
    try {
        await s.addUser('alice');
        await s.login('alice');
        const { text } = await request(s.adminSocket, 'GET', '/metrics');
        const r = spawnSync('promtool', ['check', 'metrics'], { input: text });
        assert.equal(r.status, 0, String(r.stderr));
    } finally { await s.stop(); }
});

test('each request is one line of JSON with its trace, and no secret is in the log', async () => {
    const s = await Server.start({ 'log.requests': 'info', 'log.format': 'json', 'log.level': 'debug' });
    try {
        await s.addUser('alice');
        const t = await s.login('alice');
        const trace = '4bf92f3577b34da6a3ce929d0e0e4736';
        const r = await s.get('/auth/me', t.access_token, { traceparent: `00-${trace}-00f067aa0ba902b7-01` });
        await s.get('/auth/me', t.access_token, { traceparent: '00-zz' });
        await s.refresh(t.refresh_token);
        await s.get(`/nowhere/${t.refresh_token}?q=${t.access_token}`);
        await s.stop();
        const lines = s.log.split('\n').filter((l) => l.startsWith('{')).map((l) => JSON.parse(l));
        const mine = lines.find((l) => l.request_id === r.headers['x-request-id']);
        assert.deepEqual([mine.event, mine.level, mine.trace_id, mine.method, mine.route, mine.status, mine.address],
            ['http_request', 'info', trace, 'GET', '/auth/me', 200, '127.0.0.1']);
        assert.ok(Number.isInteger(mine.us));
        assert.equal(lines.filter((l) => l.route === '/auth/me' && l.trace_id === '-').length, 1);
        for (const secret of [PASSWORD, t.access_token, t.refresh_token]) assert.ok(!s.log.includes(secret));
        for (const event of ['server_ready', 'server_stopping', 'server_stopped']) assert.ok(lines.some((l) => l.event === event), event);
    } finally { if (s.child.exitCode === null) await s.stop(); }
});

test('requests are silent by default, failures of ours are not', async () => {
    const s = await Server.start({ 'log.format': 'json' });
    try {
        await s.get('/auth/me');
        assert.ok(!s.log.includes('http_request'));
    } finally { await s.stop(); }
});

test('readyz tells the truth about the store, and healthz about the process', { skip: spawnSync('prlimit', ['--version']).error ? 'prlimit is not installed' : false }, async () => {
    const s = await Server.start({ 'log.format': 'json' });
    try {
        await s.addUser('alice');
        const limit = (bytes) => spawnSync('prlimit', ['--pid', String(s.child.pid), `--fsize=${bytes}:unlimited`]);
        assert.equal(limit(4096).status, 0);
        const failed = await s.post('/auth/login', { username: 'alice', password: PASSWORD });
        assert.equal(failed.status, 503);
        assert.match(failed.json.code, /^(store_unavailable|outcome_unknown)$/);
        refused(await s.get('/readyz'), 503, 'not_ready');
        assert.equal((await s.get('/healthz')).status, 200);
        const down = await scrape(s.adminSocket);
        assert.equal(down.get('sallyport_ready'), 0);
        assert.ok(down.get('sallyport_store_failures_total{outcome="unchanged"}') + down.get('sallyport_store_failures_total{outcome="unknown"}') > 0);
        assert.ok(s.log.includes('"event":"http_request"'), 'a failure of ours is in the log');
        limit('unlimited');
        for (let i = 0; i < 200 && (await s.get('/readyz')).status !== 200; i++) await sleep(50);
        assert.equal((await s.get('/readyz')).status, 200);
        await s.login('alice');
    } finally { await s.stop(); }
});

test('a server that stops is not ready', async () => {
    const s = await Server.start({ 'server.threads': '1' });
    const socket = net.connect(s.port, '127.0.0.1');
    let answer = '';
    const closed = new Promise((done) => socket.once('close', done));
    socket.on('data', (c) => { answer += c; });
    socket.on('error', () => {});
    await new Promise((done) => socket.once('connect', () => socket.write('GET /readyz HTTP/1.1\r\n', done)));
    await s.get('/healthz'); // who comes later is accepted later: the other one is in
    s.child.kill('SIGTERM');
    for (let i = 0; i < 1000 && !s.log.includes('server_stopping'); i++) await sleep(10);
    await sleep(20); // the loops are told right after the log
    socket.write('Host: x\r\n\r\n');
    await closed;
    assert.match(answer, /^HTTP\/1\.1 503 /);
    assert.equal((await s.exited).code, 0);
    await s.stop();
});

test('an application that checks passwords itself gets sessions', async () => {
    const s = await Server.start();
    try {
        await s.cli(['role', 'set', 'customer', 'cart:read', 'cart:write']);
        const made = await s.admin('POST', '/admin/v1/sessions', { subject: 'shop/7', roles: ['customer'], scope: 'cart:read', amr: ['pwd', 'otp'], device: 'till' });
        assert.equal(made.status, 201, made.text);
        assert.equal(made.headers['cache-control'], 'no-store');
        const claims = payload(made.json.access_token);
        assert.equal(claims.sub, made.json.user_id);
        assert.deepEqual(claims.amr, ['pwd', 'otp']);
        assert.equal(claims.scope, 'cart:read'); // and no more, whatever the roles grant
        assert.deepEqual(claims.permissions, ['cart:read']);
        assert.equal((await s.get('/auth/verify?permission=cart:read', made.json.access_token)).status, 204);
        assert.equal((await s.get('/auth/verify?permission=cart:write', made.json.access_token)).status, 403);
        const next = (await s.refresh(made.json.refresh_token)).json;
        assert.equal((await s.ask('session', 'list', '--user', 'ext:shop/7')).length, 1);
        refused(await s.post('/auth/login', { username: 'ext:shop/7', password: PASSWORD }), 401, 'invalid_credentials');
        refused(await s.admin('POST', '/admin/v1/users', { name: 'EXT:shop/7' }), 400, 'invalid_request');
        const again = JSON.parse((await s.cli(['session', 'add', 'shop/7', '--device', 'web'])).stdout);
        assert.equal(again.user_id, made.json.user_id);
        const all = await s.post('/auth/logout-all', undefined, s.bearer(again.access_token));
        assert.equal(all.json.sessions_ended, 2);
        refused(await s.get('/auth/me', next.access_token), 401, 'invalid_token');
        assert.equal((await s.audit('session_created')).length, 2);
    } finally { await s.stop(); }
});
