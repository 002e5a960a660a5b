// Bad input at /oauth2: a precise refusal in the words of OAuth, never a 5xx, never a redirect to an address that nobody registered; and what the answers say to
// browsers: CORS, and the headers of the pages.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { ORIGIN, PASSWORD, request, Server } from './harness.mjs';
import { addClient, basicAuth, CALLBACK, encode, ISSUER, Key, oauthRefused, pkce, post, random, readForm, sentBack, Visitor } from './oauth.mjs';

const SPA = 'https://spa.example.test';
let s, shop, other, token;
before(async () => {
    s = await Server.start({ 'server.cors_origins': `${SPA} https://second.example.test` });
    await s.cli(['role', 'set', 'reader', 'documents:read']);
    await s.addUser('alice', ['reader']);
    const options = ['--grant', 'authorization_code', '--grant', 'refresh_token', '--grant', 'client_credentials', '--redirect-uri', CALLBACK, '--scope', 'openid', '--scope', 'documents:read'];
    shop = await addClient(s, 'shop', '--trusted', ...options);
    other = await addClient(s, 'other', ...options);
    token = (await s.login('alice')).access_token;
});
after(() => s.stop());

const who = () => basicAuth(shop.id, shop.secret);
function authorization(more = {}) {
    const p = pkce();
    return { verifier: p.verifier, params: { client_id: 'shop', response_type: 'code', redirect_uri: CALLBACK, scope: 'openid', state: 'x', code_challenge: p.challenge, code_challenge_method: 'S256', ...more } };
}
async function tokens() {
    const { params, verifier } = authorization();
    const { code } = await new Visitor(s).signIn(params, 'alice');
    const r = await post(s, '/oauth2/token', { grant_type: 'authorization_code', code, code_verifier: verifier, redirect_uri: CALLBACK }, who());
    assert.equal(r.status, 200, r.text);
    return r.json;
}

// What each endpoint takes, as it would be good.
const forms = {
    '/oauth2/token': { good: { grant_type: 'client_credentials', scope: 'documents:read' }, required: ['grant_type'], also: ['code', 'redirect_uri', 'code_verifier', 'refresh_token', 'attempt', 'client_id', 'client_secret', 'client_assertion', 'client_assertion_type'] },
    '/oauth2/revoke': { good: { token: 'x', token_type_hint: 'access_token' }, required: ['token'], also: ['client_id', 'client_secret'] },
    '/oauth2/introspect': { good: { token: 'x', token_type_hint: 'access_token' }, required: ['token'], also: ['client_id', 'client_secret'] },
    '/oauth2/par': { good: authorization().params, required: ['response_type', 'code_challenge'], also: ['response_mode', 'nonce', 'prompt', 'max_age', 'acr_values', 'login_hint', 'id_token_hint', 'dpop_jkt', 'request', 'request_uri', 'registration'] },
};

test('each parameter missing, empty, repeated, too long, badly encoded', async () => {
    for (const [url, { good, required, also }] of Object.entries(forms)) {
        const status = url === '/oauth2/par' ? 201 : 200;
        assert.equal((await post(s, url, good, who())).status, status, url);
        assert.equal((await post(s, url, { ...good, unknown: ['1', '2'], utm_source: '' }, who())).status, status, `${url}: unknown ones are ignored`);
        for (const name of required) {
            oauthRefused(await post(s, url, { ...good, [name]: undefined }, who()), 400, 'invalid_request', `${url} without ${name}`);
            oauthRefused(await post(s, url, { ...good, [name]: '' }, who()), 400, 'invalid_request', `${url} empty ${name}`);
        }
        for (const name of [...Object.keys(good), ...also]) {
            for (const twice of [`${name}=1&${name}=1`, `${name}=1&${name}=`, `${name}=1&%${name.charCodeAt(0).toString(16)}${name.slice(1)}=2`])
                oauthRefused(await post(s, url, twice, who()), 400, 'invalid_request', `${url} ${twice}`);
            for (const v of ['%', '%4', '%zz', '%00', '%C3%28', '%ED%A0%80', '\u00fc', ' ', '%0A', '%7F'])
                oauthRefused(await post(s, url, `${name}=${v}`, who()), 400, 'invalid_request', `${url} ${name}=${v}`);
            const long = await post(s, url, { ...good, [name]: 'a'.repeat(15000) }, who());
            assert.ok(long.status < 500, `${url} long ${name}: ${long.status}`);
            if (name in good && name !== 'token_type_hint') assert.ok([200, 400].includes(long.status) && (long.json?.error || long.json?.active === false || url.endsWith('revoke')), `${url} long ${name}: ${long.text}`);
        }
        oauthRefused(await post(s, url, 'a=1&'.repeat(65), who()), 400, 'invalid_request', `${url}: many`);
        assert.equal((await post(s, url, `x=${'a'.repeat(17000)}`, who())).status, 413);
    }
});

test('other media types, methods and places for parameters', async () => {
    for (const [url, { good }] of Object.entries(forms)) {
        const json = JSON.stringify(good);
        for (const [type, body] of [['application/json', json], ['text/plain', encode(good)], ['multipart/form-data; boundary=x', '--x--'], ['application/x-www-form-urlencoded; charset=utf-16', encode(good)], ['', encode(good)]]) {
            const headers = { ...who(), 'content-length': Buffer.byteLength(body), ...(type ? { 'content-type': type } : {}) };
            oauthRefused(await request(s.port, 'POST', url, { headers, body }), 400, 'invalid_request', `${url} ${type}`);
        }
        oauthRefused(await post(s, `${url}?${encode(good)}`, '', who()), 400, 'invalid_request', `${url} query`);
        oauthRefused(await post(s, `${url}?client_secret=x`, good, who()), 400, 'invalid_request', `${url} query`);
        oauthRefused(await request(s.port, 'GET', url, { headers: who() }), 405, 'invalid_request', `GET ${url}`);
        oauthRefused(await request(s.port, 'PUT', url, { headers: who() }), 405, 'invalid_request', `PUT ${url}`);
    }
});

test('a client authenticates in one way, and in its own', async () => {
    const ask = (fields, headers) => post(s, '/oauth2/token', { grant_type: 'client_credentials', ...fields }, headers);
    for (const [fields, headers] of [[{}, who()], [{ client_id: 'shop' }, who()], [{ client_id: shop.id, client_secret: shop.secret }, {}]])
        assert.equal((await ask(fields, headers)).status, 200);
    const escaped = `${encodeURIComponent('shop').replace('o', '%6F')}:${shop.secret.replace(/_/g, '%5f')}`;
    assert.equal((await ask({}, { authorization: `basic ${Buffer.from(escaped).toString('base64')}` })).status, 200, 'form-encoded');
    for (const [fields, headers] of [[{ client_secret: shop.secret }, who()], [{ client_id: shop.id, client_secret: shop.secret }, who()], [{ client_id: 'other' }, who()], [{ client_secret: shop.secret }, {}],
        [{ client_assertion: 'a.b.c' }, {}], [{ client_assertion_type: 'x' }, {}], [{ client_assertion: 'a.b.c', client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer', client_secret: 'x', client_id: 'shop' }, {}]])
        oauthRefused(await ask(fields, headers), 400, 'invalid_request', JSON.stringify(fields));
    for (const authorization of [basicAuth('shop', 'wrong').authorization, basicAuth('nobody', 'x').authorization, basicAuth('shop', '').authorization, 'Basic !', 'Basic', 'Bearer x', `Basic ${Buffer.from('shop').toString('base64')}`]) {
        const r = await ask({}, { authorization });
        oauthRefused(r, 401, 'invalid_client', authorization);
        assert.match(r.headers['www-authenticate'], /^Basic realm="/);
    }
    for (const fields of [{ client_id: 'shop', client_secret: 'wrong' }, { client_id: 'shop' }, { client_id: 'nobody' }, { client_assertion: 'a.b.c', client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer' }]) {
        const r = await ask(fields, {});
        oauthRefused(r, 401, 'invalid_client', JSON.stringify(fields));
        assert.equal(r.headers['www-authenticate'], undefined);
    }
    assert.equal((await post(s, '/oauth2/token', { grant_type: 'client_credentials' }, ['authorization', who().authorization, 'authorization', who().authorization])).json.error, 'invalid_request');
    for (const grant_type of ['password', 'urn:ietf:params:oauth:grant-type:device_code', 'AUTHORIZATION_CODE']) {
        const r = await ask({ grant_type }, who());
        oauthRefused(r, 400, 'unsupported_grant_type');
        assert.equal(r.json.error_description, 'supported are authorization_code, refresh_token and client_credentials');
    }
    const scope = await ask({ grant_type: 'client_credentials', scope: 'nobody:knows' }, who());
    oauthRefused(scope, 400, 'invalid_scope');
    assert.ok(!scope.text.includes('nobody') && scope.json.error_description.includes('scopes of the client'), scope.text);
});

test('what belongs to another client is worth nothing', async () => {
    const mine = await tokens();
    const theirs = basicAuth(other.id, other.secret);
    oauthRefused(await post(s, '/oauth2/token', { grant_type: 'refresh_token', refresh_token: mine.refresh_token }, theirs), 400, 'invalid_grant');
    assert.equal((await post(s, '/oauth2/introspect', { token: mine.refresh_token }, theirs)).text, '{"active":false}');
    assert.equal((await post(s, '/oauth2/revoke', { token: mine.refresh_token }, theirs)).status, 200);
    assert.equal((await post(s, '/oauth2/introspect', { token: mine.refresh_token }, who())).json.active, true, 'not revoked');
    const { params, verifier } = authorization();
    const { code } = await new Visitor(s).signIn(params, 'alice');
    oauthRefused(await post(s, '/oauth2/token', { grant_type: 'authorization_code', code, code_verifier: verifier, redirect_uri: CALLBACK }, theirs), 400, 'invalid_grant');
    const first = await s.login('alice'); // of /auth, and no client's
    oauthRefused(await post(s, '/oauth2/token', { grant_type: 'refresh_token', refresh_token: first.refresh_token }, who()), 400, 'invalid_grant');
    assert.equal((await s.refresh(first.refresh_token)).status, 200);
    assert.equal((await s.refresh(mine.refresh_token)).status, 401);
});

test('userinfo', async () => {
    const { access_token } = await tokens();
    const ask = (headers, method = 'GET', url = '/oauth2/userinfo') => request(s.port, method, url, { headers });
    assert.equal((await ask(s.bearer(access_token))).status, 200);
    assert.equal((await ask(s.bearer(access_token), 'POST')).status, 200);
    assert.equal((await post(s, '/oauth2/userinfo', { access_token })).status, 200);
    oauthRefused(await post(s, '/oauth2/userinfo', { access_token }, s.bearer(access_token)), 400, 'invalid_request');
    oauthRefused(await ask({}, 'GET', `/oauth2/userinfo?access_token=${access_token}`), 400, 'invalid_request');
    const none = await ask({});
    assert.equal(none.status, 401);
    assert.doesNotMatch(none.headers['www-authenticate'], /error=/);
    const junk = await ask(s.bearer('junk'));
    oauthRefused(junk, 401, 'invalid_token');
    assert.match(junk.headers['www-authenticate'], /^Bearer realm="sallyport", error="invalid_token"/);
    const unasked = await ask(s.bearer(token)); // a session of /auth: no openid
    oauthRefused(unasked, 403, 'insufficient_scope');
    assert.match(unasked.headers['www-authenticate'], /scope="openid"/);
    oauthRefused(await ask(who()), 401, 'invalid_request');
    const twice = new Key();
    oauthRefused(await request(s.port, 'GET', '/oauth2/userinfo', { headers: ['host', 'x', 'authorization', `DPoP ${access_token}`, 'dpop', twice.proof('GET', '/oauth2/userinfo'), 'dpop', 'x'] }), 401, 'invalid_dpop_proof');
});

test('nobody is sent to an address that its client has not registered', async () => {
    const page = async (params, what) => {
        const r = await new Visitor(s).authorize(params);
        assert.equal(r.status, 400, `${what} ${r.headers.location} ${r.text}`);
        assert.equal(r.headers.location, undefined);
        assert.match(r.text, /This did not work/);
        assert.ok(r.text.includes(r.headers['x-request-id']));
        return r;
    };
    const { params } = authorization();
    for (const redirect_uri of ['https://evil.example/', 'https://shop.example.test/callback', `${CALLBACK}&more=1`, `${CALLBACK}#x`, 'https://shop.example.test/callback?kept=1 ', 'HTTPS://shop.example.test/callback?kept=1', 'https://shop.example.test:443/callback?kept=1',
        'https://shop.example.test/x/../callback?kept=1', 'javascript:alert(1)', '//evil.example', `${ISSUER}/oauth2/authorize`])
        await page({ ...params, redirect_uri }, redirect_uri);
    await page({ ...params, client_id: 'nobody' }, 'client');
    assert.match((await page({ ...params, client_id: undefined }, 'no client')).text, /client_id is missing/);
    assert.match((await page({ request_uri: 'urn:ietf:params:oauth:request_uri:junk' }, 'no client')).text, /client_id is missing/);
    await page({ ...params, redirect_uri: [CALLBACK, CALLBACK] }, 'twice');
    await page({ ...params, client_id: ['shop', 'shop'] }, 'client twice');
    await page({ ...params, state: ['1', '2'] }, 'state twice');
    await page({ client_id: 'shop', request_uri: 'urn:ietf:params:oauth:request_uri:junk' }, 'request_uri');
    // What else is wrong, the client is told.
    for (const [more, error] of [[{ response_type: 'token' }, 'unsupported_response_type'], [{ response_type: undefined }, 'invalid_request'], [{ code_challenge: undefined }, 'invalid_request'], [{ code_challenge_method: 'plain' }, 'invalid_request'],
        [{ code_challenge: 'short' }, 'invalid_request'], [{ scope: 'openid unknown' }, 'invalid_scope'], [{ resource: 'https://other.example' }, 'invalid_target'], [{ request: 'a.b.c' }, 'request_not_supported'], [{ request_uri: 'https://evil.example/r.jwt' }, 'request_uri_not_supported'], [{ registration: '{}' }, 'registration_not_supported'],
        [{ prompt: 'none' }, 'login_required'], [{ prompt: 'none login' }, 'invalid_request'], [{ max_age: '-1' }, 'invalid_request'], [{ response_mode: 'fragment' }, 'invalid_request']]) {
        const back = sentBack(await new Visitor(s).authorize({ ...params, ...more }));
        assert.deepEqual([back.error, back.state, back.iss, back.code], [error, 'x', ISSUER, undefined], JSON.stringify(more));
    }
});

test('what the pages post is theirs alone', async () => {
    const { params } = authorization({ client_id: 'other' });
    const v = new Visitor(s);
    const login = await v.authorize(params);
    for (const origin of ['https://evil.example', 'null', ISSUER.replace('https', 'http'), `${ISSUER}:443`, CALLBACK.slice(0, 25)]) {
        const r = await new Visitor(s, { origin }).submit(login, { username: 'alice', password: PASSWORD });
        assert.deepEqual([r.status, r.cookies], [403, []], origin);
    }
    assert.equal((await post(s, '/oauth2/login', readForm(login).fields)).status, 403, 'no origin');
    assert.equal((await v.submit(login, { username: 'alice', password: PASSWORD }, { 'sec-fetch-site': 'cross-site' })).status, 403);
    for (const more of [{ request: '' }, { request: 'junk' }, { request: readForm(login).fields.request.slice(1) }, { username: 'a'.repeat(300) }, { password: 'a'.repeat(2000) }, { username: ['a', 'b'] }]) {
        const r = await new Visitor(s).submit(login, { username: 'alice', password: PASSWORD, ...more });
        assert.equal(r.status, 400, JSON.stringify(more));
        assert.match(r.text, /This did not work/);
    }
    assert.equal((await new Visitor(s).submit(login, { username: '', password: '' })).status, 400);
    const consent = await v.login(login, 'alice');
    const { fields } = readForm(consent);
    for (const more of [{ csrf: '' }, { csrf: 'A'.repeat(43) }, { request: '' }, { request: readForm(login).fields.request }, { decision: '' }, { decision: 'yes' }]) {
        const r = await v.post('/oauth2/consent', { ...fields, decision: 'allow', ...more });
        assert.notEqual(r.status, 303, JSON.stringify(more));
        assert.ok(r.status < 500);
    }
    const stranger = new Visitor(s);
    assert.notEqual((await stranger.post('/oauth2/consent', { ...fields, decision: 'allow' })).status, 303, 'without the sign-in');
    assert.equal((await v.post('/oauth2/consent', { ...fields, decision: 'allow' }, { origin: 'https://evil.example' })).status, 403);
    assert.ok(sentBack(await v.submit(consent, { decision: 'allow' })).code);
    for (const method of ['GET', 'PUT', 'DELETE']) {
        const r = await request(s.port, method, '/oauth2/login');
        assert.deepEqual([r.status, r.headers['content-type']], [405, 'text/html; charset=utf-8']);
    }
});

test('a sign-in cookie that is none of ours, or comes twice, is expired and means nobody', async () => {
    const v = new Visitor(s);
    await v.signIn(authorization().params, 'alice');
    const good = `__Host-sp_sso=${v.sso}`;
    const url = `/oauth2/authorize?${encode(authorization().params)}`;
    const ask = (cookie) => request(s.port, 'GET', url, { headers: { cookie } });
    assert.equal((await ask(good)).status, 303);
    for (const cookie of [`${good}; ${good}`, `${good}; __Host-sp_sso=x`, '__Host-sp_sso=junk', `__Host-sp_sso=${v.sso.slice(0, -20)}${'A'.repeat(20)}`, '__Host-sp_sso=']) {
        const r = await ask(cookie);
        assert.equal(readForm(r)?.action, '/oauth2/login', cookie);
        if (cookie !== '__Host-sp_sso=') assert.match(r.cookies.join(), /__Host-sp_sso=; Path=\/; Max-Age=0/, cookie);
    }
    // It is good for nothing else.
    assert.equal((await request(s.port, 'GET', '/auth/me', { headers: { cookie: good } })).status, 401);
    assert.equal((await request(s.port, 'GET', '/auth/me', { headers: { cookie: `__Host-sp_access=${v.sso}` } })).status, 401);
    const sessions = (await s.get('/auth/sessions', token)).json.sessions;
    assert.ok(sessions.some((x) => x.device === 'browser sign-in'));
});

test('the headers of every page', async () => {
    const v = new Visitor(s);
    const pages = [await v.authorize(authorization({ client_id: 'other', prompt: 'consent' }).params)];
    pages.push(await v.login(pages[0], 'alice', 'wrong'));
    pages.push(await v.login(pages[0], 'alice'));
    pages.push(await v.get('/oauth2/logout'));
    pages.push(await v.submit(pages[3]));
    pages.push(await v.authorize({ client_id: 'nobody' }));
    assert.deepEqual(pages.map((r) => /<h1>(.*)<\/h1>/.exec(r.text)[1]), ['Sign in', 'Sign in', 'Allow access?', 'Sign out?', 'You are signed out', 'This did not work']);
    for (const r of pages) {
        const h = r.headers;
        assert.match(h['content-security-policy'], /^default-src 'none'; style-src 'sha256-[A-Za-z0-9+/]{43}='; form-action 'self'( https:\/\/shop\.example\.test)?; base-uri 'none'; frame-ancestors 'none'$/);
        assert.deepEqual([h['content-type'], h['x-frame-options'], h['referrer-policy'], h['cache-control'], h['x-content-type-options'], h['cross-origin-opener-policy']],
            ['text/html; charset=utf-8', 'DENY', 'same-origin', 'no-store', 'nosniff', 'same-origin']);
        assert.ok(h['permissions-policy']);
        assert.equal(h['access-control-allow-origin'], undefined);
        assert.doesNotMatch(r.text, /<script|javascript:|\son\w+=|<img|<link|https?:\/\/(?!shop)/);
        assert.match(r.text, /^<!doctype html>\n<html lang="en">/);
        assert.equal(r.text.match(/<h1>/g).length, 1);
        for (const [, id] of r.text.matchAll(/<input id="(\w+)"/g)) assert.ok(r.text.includes(`<label for="${id}">`), id);
    }
});

test('discovery tells what is there', async () => {
    const r = await request(s.port, 'GET', '/.well-known/openid-configuration');
    assert.equal(r.status, 200);
    assert.match(r.headers['cache-control'], /^public, max-age=\d+$/);
    assert.deepEqual((await request(s.port, 'GET', '/.well-known/oauth-authorization-server')).json, r.json);
    assert.equal(r.json.issuer, ISSUER);
    assert.deepEqual(r.json.id_token_signing_alg_values_supported, ['ES256']);
    for (const [name, url] of Object.entries(r.json)) {
        if (!/_endpoint$|_uri$/.test(name)) continue;
        const path = url.slice(ISSUER.length);
        assert.equal((await request(s.port, 'OPTIONS', path)).status, 204, name);
        assert.notEqual((await request(s.port, 'GET', path)).status, 404, name);
    }
    const jwks = await request(s.port, 'GET', r.json.jwks_uri.slice(ISSUER.length));
    for (const k of jwks.json.keys) assert.ok(k.kid && k.use === 'sig' && k.alg === 'ES256' && k.d === undefined);
    const hs = await Server.start({ 'tokens.alg': 'HS256' });
    try {
        assert.equal((await hs.get('/.well-known/openid-configuration')).status, 404);
        const without = (await hs.get('/.well-known/oauth-authorization-server')).json;
        assert.deepEqual(Object.keys(without).filter((k) => /id_token|userinfo|end_session|backchannel|claims|subject/.test(k)), []);
    } finally { await hs.stop(); }
    const below = await Server.start({ 'tokens.issuer': `${ISSUER}/tenants/one` });
    try {
        for (const path of ['/.well-known/oauth-authorization-server/tenants/one', '/.well-known/openid-configuration'])
            assert.equal((await below.get(path)).json.issuer, `${ISSUER}/tenants/one`);
        assert.equal((await below.get('/.well-known/oauth-authorization-server/tenants')).status, 404);
    } finally { await below.stop(); }
});

test('CORS: who is listed may read, with a token of his own; nobody else, and nothing with cookies', async () => {
    const cors = (r) => Object.keys(r.headers).filter((k) => k.startsWith('access-control-')).sort();
    const shared = [['GET', '/auth/me'], ['GET', '/.well-known/openid-configuration'], ['GET', '/.well-known/jwks.json'], ['GET', '/oauth2/userinfo'], ['POST', '/oauth2/token'], ['POST', '/oauth2/revoke'], ['POST', '/oauth2/introspect'], ['POST', '/oauth2/par'], ['POST', '/auth/login'], ['DELETE', '/auth/sessions/x']];
    for (const [method, url] of shared) {
        for (const origin of [SPA, 'https://second.example.test']) {
            const r = await request(s.port, method, url, { headers: { origin } });
            assert.deepEqual(cors(r), ['access-control-allow-origin', 'access-control-expose-headers'], `${method} ${url}`);
            assert.deepEqual([r.headers['access-control-allow-origin'], r.headers.vary], [origin, 'Origin']);
            const p = await request(s.port, 'OPTIONS', url, { headers: { origin, 'access-control-request-method': method, 'access-control-request-headers': 'authorization, x-evil' } });
            assert.equal(p.status, 204);
            assert.equal(p.headers['access-control-allow-origin'], origin);
            assert.ok(p.headers['access-control-allow-methods'].split(', ').includes(method));
            assert.equal(p.headers['access-control-allow-headers'], 'Authorization, Content-Type, DPoP, Prefer');
            assert.match(p.headers['access-control-max-age'], /^\d+$/);
        }
        for (const origin of ['https://evil.example', 'null', ORIGIN, ISSUER, `${SPA}.evil.example`, `${SPA}:443`, SPA.toUpperCase(), `${SPA}/`, '*']) {
            for (const how of [{}, { 'access-control-request-method': method }]) {
                const r = await request(s.port, how['access-control-request-method'] ? 'OPTIONS' : method, url, { headers: { origin, ...how } });
                assert.deepEqual(cors(r), [], `${origin} ${url}`);
                assert.equal(r.headers.vary, 'Origin');
            }
        }
        assert.equal((await request(s.port, method, url)).headers.vary, 'Origin', 'or a cache mixes answers');
    }
    for (const [method, url] of [['GET', '/oauth2/authorize'], ['POST', '/oauth2/login'], ['POST', '/oauth2/consent'], ['GET', '/oauth2/logout'], ['GET', '/admin/v1/users'], ['GET', '/healthz'], ['GET', '/feed'], ['GET', '/nowhere']])
        for (const m of [method, 'OPTIONS']) assert.deepEqual(cors(await request(s.port, m, url, { headers: { origin: SPA, 'access-control-request-method': method } })), [], url);
    const without = await Server.start();
    try {
        assert.deepEqual(cors(await without.get('/auth/me', undefined, { origin: SPA })), []);
    } finally { await without.stop(); }
});

test('origins are held to their form by the configuration', async () => {
    for (const bad of ['*', 'null', `${SPA}/`, `${SPA}/path`, 'spa.example.test', 'ftp://x']) {
        await assert.rejects(Server.start({ 'server.cors_origins': bad }), /server\.cors_origins/, bad);
    }
});

test('the login page is throttled as the API is', async () => {
    const t = await Server.start({ 'throttle.account_burst': '2', 'throttle.account_refill': '1h' });
    try {
        await t.addUser('alice');
        await addClient(t, 'shop', '--grant', 'authorization_code', '--redirect-uri', CALLBACK, '--scope', 'openid');
        const v = new Visitor(t);
        const page = await v.authorize(authorization().params);
        let r;
        for (let i = 0; i < 4; i++) r = await v.login(page, 'alice', 'wrong');
        assert.equal(r.status, 429);
        assert.match(r.headers['retry-after'], /^\d+$/);
        assert.match(r.text, /There were too many attempts/);
        assert.equal((await v.login(page, 'alice')).status, 429, 'the right one too');
    } finally { await t.stop(); }
});
