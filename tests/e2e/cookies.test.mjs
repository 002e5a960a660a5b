// Cookie mode: what browsers carry, and what other sites' pages must not be able to do with it.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Browser, cookie, ORIGIN, PASSWORD, payload, refused, request, SECRETS, Server } from './harness.mjs';

const ACCESS = '__Host-sp_access', REFRESH = '__Host-sp_refresh';
const NO_SESSION = Buffer.alloc(20, 7).toString('base64url'); // ending it is 404, so a request that gets there changes nothing

let s;
before(async () => {
    s = await Server.start();
    await s.ask('role', 'set', 'editor', 'documents:read');
    // Together more than a cookie holds.
    await s.ask('role', 'set', 'wide', ...Array.from({ length: 60 }, (_, i) => `${'area'.repeat(12)}${i}:write`));
    await s.addUser('alice', ['editor']);
    await s.addUser('bob');
    await s.addUser('wanda', ['wide']);
});
after(() => s.stop());

async function loggedIn(name = 'alice') {
    const b = new Browser(s);
    await b.login(name);
    return b;
}

function expired(r) {
    assert.deepEqual(r.cookies.map((l) => l.split(';')[0]).sort(), [`${ACCESS}=`, `${REFRESH}=`]);
    for (const line of r.cookies) assert.match(line, /; Path=\/; Max-Age=0; HttpOnly; Secure; SameSite=(Lax|Strict)$/);
}

test('login sets its __Host- cookies with exactly these attributes, and no token in the body', async () => {
    const b = new Browser(s);
    const r = await b.login('alice', { device: 'browser' });
    assert.deepEqual(Object.keys(r.json).sort(), ['csrf_token', 'expires_in', 'refresh_expires_in', 'session_id']);
    assert.doesNotMatch(r.text, SECRETS);
    assert.equal(r.headers['cache-control'], 'no-store');
    assert.equal(r.cookies.length, 3);
    const [access, refresh, device] = r.cookies;
    assert.match(access, /^__Host-sp_access=[\w-]+\.[\w-]+\.[\w-]+; Path=\/; Max-Age=900; HttpOnly; Secure; SameSite=Lax$/);
    assert.match(refresh, /^__Host-sp_refresh=sprt_[\w-]{67}; Path=\/; Max-Age=604800; HttpOnly; Secure; SameSite=Strict$/);
    assert.match(device, /^__Host-sp_device=[\w-]{98}; Path=\/; Max-Age=31536000; HttpOnly; Secure; SameSite=Strict$/);
    assert.equal(payload(b.access).sid, r.json.session_id);
    assert.match(r.json.csrf_token, /^[\w-]{43}$/);
});

test('token mode sets no cookie, with or without an Origin', async () => {
    for (const headers of [{}, { origin: ORIGIN }, { origin: 'https://elsewhere.example' }]) {
        const r = await s.post('/auth/login', { username: 'alice', password: PASSWORD }, headers);
        assert.equal(r.status, 200);
        assert.deepEqual(r.cookies, []);
    }
});

test('me, sessions and verify answer by cookie; me shows the same CSRF token', async () => {
    const b = await loggedIn();
    const csrf = b.csrf;
    const me = await b.get('/auth/me');
    assert.equal(me.status, 200);
    assert.equal(me.json.csrf_token, csrf);
    assert.deepEqual(me.json.permissions, ['documents:read']);
    const list = await b.get('/auth/sessions');
    const own = list.json.sessions.find((x) => x.current);
    assert.equal(own.session_id, b.session);
    assert.equal(own.mode, 'cookie');
    assert.equal((await s.get('/auth/me', (await s.login('alice')).access_token)).json.csrf_token, undefined, 'not by Bearer');
    // Reading needs no Origin: following a link into the application finds the session.
    assert.equal((await request(s.port, 'GET', '/auth/me', { headers: { cookie: b.cookieHeader } })).status, 200);
});

// One request that gets as far as looking for the session when its page may act: 404, and nothing changes.
test('CSRF matrix: a change needs the session\'s token and the Origin rule, whatever else is sent', async () => {
    const b = await loggedIn(), other = await loggedIn(), stranger = await loggedIn('bob');
    const flipped = (b.csrf[0] === 'A' ? 'B' : 'A') + b.csrf.slice(1);
    const tokens = [[b.csrf, true], [null, false], ['', false], [flipped, false], [b.csrf.slice(0, -1), false], [`${b.csrf}A`, false],
        [other.csrf, false], [stranger.csrf, false], [b.access.slice(-43), false]];
    const origins = [[ORIGIN, true], [null, undefined], ['null', false], ['', false], ['https://elsewhere.example', false], [`${ORIGIN}/`, false],
        [`${ORIGIN}.elsewhere.example`, false], [ORIGIN.replace('https', 'http'), false], [`${ORIGIN}:443`, false], [ORIGIN.toUpperCase(), false],
        [`${ORIGIN} https://elsewhere.example`, false]];
    const sites = [['same-origin', true], [null, undefined], ['same-site', false], ['cross-site', false], ['none', false], ['Same-Origin', false], ['', false]];
    const before = await s.state();
    let passed = 0;
    for (const [token, tokenGood] of tokens) {
        for (const [origin, originGood] of origins) {
            for (const [site, siteGood] of sites) {
                const r = await b.send('DELETE', `/auth/sessions/${NO_SESSION}`, undefined, { 'x-csrf-token': token, origin, 'sec-fetch-site': site });
                const ruled = originGood !== false && siteGood !== false && (originGood || siteGood);
                const note = JSON.stringify({ token, origin, site });
                if (!ruled) refused(r, 403, 'origin_refused', note);
                else if (!tokenGood) refused(r, 403, 'csrf_failed', note);
                else refused(r, 404, 'not_found', note);
                passed += ruled && tokenGood ? 1 : 0;
            }
        }
    }
    assert.equal(passed, 3); // both headers; either alone
    assert.deepEqual(await s.state(), before);
});

test('every route that changes something by cookie refuses without token and without Origin', async () => {
    const b = await loggedIn('bob');
    const routes = [['POST', '/auth/logout', {}], ['POST', '/auth/logout-all'], ['DELETE', `/auth/sessions/${b.session}`],
        ['POST', '/auth/password', { current_password: PASSWORD, new_password: 'another password' }],
        ['POST', '/admin/v1/users', { name: 'mallory' }], ['POST', '/admin/v1/revocations', { everyone: true }],
        ['PUT', '/admin/v1/roles/editor', { permissions: ['sallyport:admin'] }], ['POST', '/admin/v1/keys/rotate', {}]];
    const before = await s.state();
    for (const [method, url, body] of routes) {
        refused(await b.send(method, url, body), 403, 'csrf_failed', url);
        refused(await b.act(method, url, body, { origin: null, 'sec-fetch-site': null }), 403, 'origin_refused', url);
        refused(await b.act(method, url, body, { origin: 'https://elsewhere.example', 'sec-fetch-site': 'cross-site' }), 403, 'origin_refused', url);
        // Host and X-Forwarded-* are whatever the sender likes.
        const lies = { origin: null, 'sec-fetch-site': null, host: 'app.example.test', 'x-forwarded-host': 'app.example.test',
            'x-forwarded-proto': 'https', referer: `${ORIGIN}/page` };
        refused(await b.act(method, url, body, lies), 403, 'origin_refused', url);
    }
    assert.deepEqual(await s.state(), before);
    refused(await b.act('POST', '/admin/v1/users', { name: 'mallory' }), 403, 'permission_denied', 'meant, but not allowed');
});

test('login in cookie mode obeys the Origin rule and takes JSON only', async () => {
    const login = (headers, body = JSON.stringify({ username: 'alice', password: PASSWORD, mode: 'cookie' })) =>
        request(s.port, 'POST', '/auth/login', { headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body), ...headers }, body });
    const before = await s.state();
    for (const headers of [{}, { origin: 'null' }, { origin: 'https://elsewhere.example' }, { origin: ORIGIN, 'sec-fetch-site': 'cross-site' },
        { 'sec-fetch-site': 'none' }, { referer: `${ORIGIN}/` }]) {
        const r = await login(headers);
        refused(r, 403, 'origin_refused', JSON.stringify(headers));
        assert.deepEqual(r.cookies, []);
    }
    // What a form or a simple request of another site can send.
    for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x', 'text/plain; charset=application/json',
        'text/json', 'application/json; charset=utf-16', 'application/jsonp'])
        refused(await login({ origin: ORIGIN, 'content-type': type }), 415, 'unsupported_media_type', type);
    assert.deepEqual(await s.state(), before);
    assert.equal((await login({ origin: ORIGIN })).status, 200);
    assert.equal((await login({ 'sec-fetch-site': 'same-origin' })).status, 200);
});

test('refresh by cookie obeys the Origin rule, takes JSON only, and answers with a CSRF token', async () => {
    const b = await loggedIn();
    for (const headers of [{ origin: null, 'sec-fetch-site': null }, { origin: 'https://elsewhere.example' }, { 'sec-fetch-site': 'same-site' }]) {
        const r = await b.refresh(headers);
        refused(r, 403, 'origin_refused', JSON.stringify(headers));
        assert.deepEqual(r.cookies, [], 'another site\'s page cannot log the visitor out either');
    }
    refused(await b.refresh({ 'content-type': 'text/plain' }), 415, 'unsupported_media_type');
    refused(await b.send('POST', '/auth/refresh', undefined), 415, 'unsupported_media_type');
    const old = { ...b.jar };
    const r = await b.refresh(); // after a reload: no token to show
    assert.equal(r.status, 200);
    assert.deepEqual(Object.keys(r.json).sort(), ['csrf_token', 'expires_in', 'refresh_expires_in', 'session_id']);
    assert.equal(r.cookies.length, 2);
    assert.notEqual(b.refreshToken, old[REFRESH]);
    assert.equal((await b.get('/auth/me')).json.csrf_token, r.json.csrf_token);
});

test('Bearer beside a cookie of ours is 400 on every route that reads credentials', async () => {
    const b = await loggedIn(), t = await s.login('alice');
    const before = await s.state();
    const both = (name) => ({ ...b.headers({ cookie: `${name}=${b.jar[name]}` }), ...s.bearer(t.access_token), 'x-csrf-token': b.csrf });
    for (const name of [ACCESS, REFRESH]) {
        for (const [method, url, body] of [['GET', '/auth/me'], ['GET', '/auth/sessions'], ['GET', '/auth/verify'], ['POST', '/auth/refresh', {}],
            ['POST', '/auth/logout', {}], ['POST', '/auth/logout-all'], ['DELETE', `/auth/sessions/${b.session}`],
            ['POST', '/auth/password', { current_password: PASSWORD, new_password: 'another password' }], ['GET', '/admin/v1/users']])
            refused(await s.send(method, url, body, both(name)), 400, 'ambiguous_credentials', `${url} ${name}`);
    }
    // Another application's cookie is none of ours; neither is one that merely looks like it.
    for (const theirs of ['theme=dark', `sp_access=${b.access}`, `__host-sp_access=${b.access}`, `X__Host-sp_access=${b.access}`,
        `theme="; __Secure-sp_access=${b.access}`])
        assert.equal((await s.get('/auth/me', t.access_token, { cookie: theirs })).status, 200, theirs);
    refused(await b.send('POST', '/auth/refresh', { refresh_token: t.refresh_token }), 400, 'ambiguous_credentials', 'cookie and body');
    refused(await b.act('POST', '/auth/logout', { refresh_token: t.refresh_token }), 400, 'ambiguous_credentials', 'cookie and body');
    assert.deepEqual(await s.state(), before);
});

test('a repeated cookie of ours is expired and refused, in one header or in two', async () => {
    const b = await loggedIn(), planted = await loggedIn('bob');
    const good = b.access, bad = planted.access;
    const before = await s.state();
    const lists = [
        ['cookie', `${ACCESS}=${good}; ${ACCESS}=${bad}`],
        ['cookie', `${ACCESS}=${bad}; theme=dark; ${ACCESS}=${good}`],
        ['cookie', `${ACCESS}=${good}`, 'cookie', `${ACCESS}=${good}`],
        ['cookie', `${ACCESS}=; ${ACCESS}=${good}`],
        ['cookie', `${ACCESS}=${good}; ${REFRESH}=${b.refreshToken}; ${REFRESH}=${planted.refreshToken}`],
    ];
    for (const list of lists) {
        for (const url of ['/auth/me', '/auth/verify', '/auth/sessions']) {
            const r = await request(s.port, 'GET', url, { headers: ['host', 'app.example.test', 'origin', ORIGIN, ...list] });
            refused(r, 401, 'repeated_cookie', url);
            expired(r);
        }
        const r = await request(s.port, 'POST', '/auth/refresh',
            { headers: ['host', 'app.example.test', 'origin', ORIGIN, 'content-type', 'application/json', 'content-length', '2', ...list], body: '{}' });
        refused(r, 401, 'repeated_cookie', 'refresh');
        expired(r);
    }
    assert.deepEqual(await s.state(), before);
    assert.equal((await b.get('/auth/me')).status, 200);
});

test('tabs: forty refreshes by cookie at once are one generation, and no trip', async () => {
    const b = await loggedIn();
    for (let round = 0; round < 2; round++) {
        const answers = await Promise.all(Array.from({ length: 40 }, () =>
            request(s.port, 'POST', '/auth/refresh', { headers: b.headers({ 'content-type': 'application/json', 'content-length': 2 }), body: '{}' })));
        assert.deepEqual([...new Set(answers.map((r) => r.status))], [200]);
        const next = new Set(answers.map((r) => cookie(r.cookies, REFRESH)));
        assert.equal(next.size, 1);
        assert.equal(next.has(b.refreshToken), round === 1, 'rotated once; a later tab within the grace time gets the same one');
        b.jar[REFRESH] = [...next][0];
    }
    const row = (await s.ask('session', 'list', '--user', 'alice')).find((x) => x.session_id === b.session);
    assert.equal(row.refreshes, 1);
    assert.deepEqual(await s.audit('refresh_reuse_detected'), []);
    assert.equal((await b.refresh()).status, 200);
});

test('a refresh token keeps to its mode: refused and audited, without a trip', async () => {
    const b = await loggedIn(), t = await s.login('alice');
    refused(await s.refresh(b.refreshToken), 401, 'invalid_grant', 'of a cookie, in a body');
    const crossed = await s.send('POST', '/auth/refresh', {}, b.headers({ cookie: `${REFRESH}=${t.refresh_token}` }));
    refused(crossed, 401, 'invalid_grant', 'of a body, in a cookie');
    expired(crossed);
    assert.equal((await b.refresh()).status, 200);
    assert.equal((await s.refresh(t.refresh_token)).status, 200);
    assert.ok((await s.audit('client_mismatch')).length >= 1);
    assert.deepEqual(await s.audit('refresh_reuse_detected'), []);
});

test('forward authentication by cookie: an unsafe or unknown forwarded method obeys the Origin rule', async () => {
    const b = await loggedIn(), t = await s.login('alice');
    const verify = (headers) => request(s.port, 'GET', '/auth/verify', { headers: { cookie: b.cookieHeader, ...headers } });
    const method = (m) => ({ 'x-forwarded-method': m });
    for (const m of ['GET', 'HEAD', 'OPTIONS']) assert.equal((await verify(method(m))).status, 204, m);
    assert.equal((await verify({ 'x-original-method': 'GET' })).status, 204);
    for (const headers of [method('POST'), method('DELETE'), method('PUT'), method('get'), method('BREW'), method(''), method('GET, POST'), {},
        { 'x-original-method': 'POST' }, { 'x-forwarded-method': 'GET', 'x-original-method': 'GET' }, { 'x-forwarded-method': 'GET', 'x-original-method': 'POST' }]) {
        refused(await verify(headers), 403, 'origin_refused', JSON.stringify(headers));
        refused(await verify({ ...headers, origin: 'https://elsewhere.example' }), 403, 'origin_refused', JSON.stringify(headers));
        assert.equal((await verify({ ...headers, origin: ORIGIN })).status, 204);
    }
    const twice = ['host', 'x', 'cookie', b.cookieHeader, 'x-forwarded-method', 'GET', 'x-forwarded-method', 'GET'];
    refused(await request(s.port, 'GET', '/auth/verify', { headers: twice }), 403, 'origin_refused', 'twice');
    assert.equal((await s.get('/auth/verify', t.access_token, method('POST'))).status, 204, 'no browser sends Bearer by itself');
});

test('an access cookie over 3,800 bytes leaves the permissions out; the server knows them all the same', async () => {
    const b = await loggedIn('wanda'), t = await s.login('wanda');
    assert.equal(payload(t.access_token).permissions.length, 60);
    assert.ok(t.access_token.length > 3800);
    assert.ok(b.access.length <= 3800);
    assert.equal('permissions' in payload(b.access), false);
    assert.deepEqual(payload(b.access).roles, ['wide']);
    assert.equal((await b.get('/auth/me')).json.permissions.length, 60);
    const get = { 'x-forwarded-method': 'GET' };
    assert.equal((await b.get(`/auth/verify?permission=${'area'.repeat(12)}59:write`, get)).status, 204);
    refused(await b.get(`/auth/verify?permission=${'area'.repeat(12)}60:write`, get), 403, 'permission_denied');
    assert.equal('permissions' in payload((await loggedIn()).access), true);
});

test('logout by cookie ends the session, expires the cookies and is idempotent', async () => {
    const b = await loggedIn(), kept = { ...b.jar };
    refused(await b.send('POST', '/auth/logout', {}), 403, 'csrf_failed');
    refused(await b.act('POST', '/auth/logout', {}, { 'x-csrf-token': (await loggedIn('bob')).csrf }), 403, 'csrf_failed', 'another session\'s');
    const r = await b.act('POST', '/auth/logout');
    assert.equal(r.status, 204);
    expired(r);
    assert.deepEqual(b.jar, { '__Host-sp_device': kept['__Host-sp_device'] }, 'the device is still the one that it was');
    b.jar = { ...kept };
    refused(await b.get('/auth/me'), 401, 'invalid_token');
    const late = await b.refresh();
    refused(late, 401, 'invalid_grant');
    expired(late);
    b.jar = { ...kept };
    assert.equal((await b.act('POST', '/auth/logout', {})).status, 204);
});

test('logout with the refresh cookie alone, and with the access cookie alone', async () => {
    for (const name of [REFRESH, ACCESS]) {
        const b = await loggedIn(), kept = { ...b.jar };
        b.jar = { [name]: kept[name] };
        const r = await b.act('POST', '/auth/logout');
        assert.equal(r.status, 204, name);
        expired(r);
        b.jar = kept;
        refused(await b.get('/auth/me'), 401, 'invalid_token', name);
    }
});

test('a change of password by cookie keeps this session and ends the others', async () => {
    await s.addUser('paula');
    const b = await loggedIn('paula'), other = await loggedIn('paula');
    const change = (headers) => b.act('POST', '/auth/password', { current_password: PASSWORD, new_password: 'a newer password' }, headers);
    refused(await change({ 'x-csrf-token': other.csrf }), 403, 'csrf_failed');
    assert.equal((await change()).status, 204);
    assert.equal((await b.get('/auth/me')).status, 200);
    assert.equal((await b.refresh()).status, 200);
    refused(await other.get('/auth/me'), 401, 'invalid_token');
    refused(await other.refresh(), 401, 'invalid_grant');
});

test('logout-all and ending one\'s own session by cookie expire the cookies', async () => {
    const b = await loggedIn('bob'), other = await loggedIn('bob');
    const r = await b.act('DELETE', `/auth/sessions/${other.session}`);
    assert.equal(r.status, 204);
    assert.deepEqual(r.cookies, [], 'somebody else\'s end leaves ours alone');
    assert.equal((await b.get('/auth/me')).status, 200);
    const own = await b.act('DELETE', `/auth/sessions/${b.session}`);
    assert.equal(own.status, 204);
    expired(own);
    const c = await loggedIn('bob');
    const all = await c.act('POST', '/auth/logout-all');
    assert.equal(all.status, 200);
    assert.ok(all.json.sessions_ended >= 1);
    expired(all);
});

test('a junk cookie is refused and says nothing about sessions; a junk refresh cookie is expired', async () => {
    const b = new Browser(s);
    for (const junk of ['', 'x', 'eyJhbGciOiJub25lIn0.e30.', 'a'.repeat(7000), '"quoted"']) {
        b.jar = { [ACCESS]: junk };
        const r = await b.get('/auth/me');
        refused(r, 401, junk === '' ? 'not_authenticated' : 'invalid_token', junk);
        b.jar = { [REFRESH]: junk };
        const f = await b.refresh();
        refused(f, 401, junk === '' ? 'not_authenticated' : 'invalid_grant', junk);
        if (junk !== '') expired(f);
    }
});
