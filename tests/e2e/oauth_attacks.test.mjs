// Attacks on the OAuth face, by those who stand around it: a client against another, a stranger with something that he found, a second person at the same browser.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';

import { PASSWORD, raw, request, Server, sleep } from './harness.mjs';
import { addClient, basicAuth, CALLBACK, claims, encode, ISSUER, Key, oauthRefused, pkce, post, random, readForm, sentBack, Visitor } from './oauth.mjs';

const BYE = 'https://shop.example.test/bye';
let s, shop, twin, spa;
before(async () => {
    s = await Server.start({ 'server.threads': '2' });
    await s.cli(['role', 'set', 'reader', 'documents:read']);
    await s.cli(['role', 'set', 'chief', 'sallyport:admin', 'documents:read']);
    for (const [name, roles] of [['alice', ['reader']], ['bob', ['reader']], ['root', ['chief']]]) await s.addUser(name, roles);
    const options = ['--grant', 'authorization_code', '--grant', 'refresh_token', '--redirect-uri', CALLBACK, '--scope', 'openid', '--scope', 'profile', '--scope', 'documents:read', '--scope', 'offline_access',
        '--post-logout-redirect-uri', BYE, '--audience', 'https://one.example.test', '--audience', 'https://two.example.test'];
    shop = await addClient(s, 'shop', '--trusted', ...options);
    twin = await addClient(s, 'twin', ...options);
    spa = await addClient(s, 'spa', '--public', '--trusted', ...options.slice(0, -4));
});
after(() => s.stop());

function asks(client_id = 'shop', more = {}) {
    const p = pkce();
    return { verifier: p.verifier, params: { client_id, response_type: 'code', redirect_uri: CALLBACK, scope: 'openid documents:read', state: random(), nonce: random(), code_challenge: p.challenge, code_challenge_method: 'S256', ...more } };
}
const redeem = (code, verifier, client = shop, more = {}) =>
    post(s, '/oauth2/token', { grant_type: 'authorization_code', code, code_verifier: verifier, redirect_uri: CALLBACK, ...more }, client.secret ? basicAuth(client.id, client.secret) : {});
const refresh = (token, client = shop, more = {}) => post(s, '/oauth2/token', { grant_type: 'refresh_token', refresh_token: token, ...more }, basicAuth(client.id, client.secret));
async function tokens(visitor, user, client = shop, more = {}) {
    const { params, verifier } = asks(client.id, more);
    const { code } = await visitor.signIn(params, user);
    const r = await redeem(code, verifier, client, client.secret ? {} : { client_id: client.id });
    assert.equal(r.status, 200, r.text);
    return r.json;
}

test('of fifty who redeem one code at once one gets tokens, and does not keep them', async () => {
    const { params, verifier } = asks();
    const { code } = await new Visitor(s).signIn(params, 'alice');
    const all = await Promise.all(Array.from({ length: 50 }, () => redeem(code, verifier)));
    const won = all.filter((r) => r.status === 200);
    assert.ok(won.length <= 1, `${won.length} got tokens`);
    for (const r of all) if (r.status !== 200) oauthRefused(r, 400, 'invalid_grant');
    for (const r of won) {
        oauthRefused(await refresh(r.json.refresh_token), 400, 'invalid_grant');
        assert.equal((await s.get('/oauth2/userinfo', r.json.access_token)).status, 401);
    }
});

test('what is redeemed while it is being ended does not outlive the end', async () => {
    const options = ['--trusted', '--grant', 'authorization_code', '--grant', 'refresh_token', '--redirect-uri', CALLBACK, '--scope', 'openid', '--scope', 'offline_access'];
    const cli = async (...args) => assert.equal((await s.cli(args)).status, 0, args.join(' '));
    const fleeting = { ...await addClient(s, 'fleeting', ...options) };
    const ways = [
        async (v) => assert.equal((await v.submit(await v.get('/oauth2/logout'))).status, 200), // last: no offline_access
        async () => { await cli('client', 'disable', 'fleeting'); await cli('client', 'enable', 'fleeting'); },
        async () => { await cli('client', 'delete', 'fleeting'); Object.assign(fleeting, await addClient(s, 'fleeting', ...options)); },
        async () => { await cli('user', 'disable', 'alice'); await cli('user', 'enable', 'alice'); },
        async () => cli('revoke', '--everyone'),
    ];
    for (const end of [...ways, ...ways]) {
        const v = new Visitor(s), codes = [];
        for (let i = 0; i < 6; i++) {
            const { params, verifier } = asks('fleeting', { scope: end === ways[0] ? 'openid' : 'openid offline_access' });
            codes.push([(await v.signIn(params, 'alice')).code, verifier]);
        }
        const known = { ...fleeting };
        const ending = end(v);
        const all = await Promise.all(codes.map(async ([code, verifier], i) => { await sleep(2 * i); return redeem(code, verifier, known); }));
        await ending;
        const won = all.filter((r) => r.status === 200);
        for (const r of all) if (r.status !== 200) assert.ok(['invalid_grant', 'invalid_client'].includes(r.json?.error), `${r.status} ${r.text}`);
        // A client's sessions are ended one after the other, in the background.
        for (const r of won) for (let tries = 0; (await s.get('/oauth2/userinfo', r.json.access_token)).status !== 401; tries++) {
            assert.ok(tries < 250, 'its access token lives on');
            await sleep(20);
        }
        for (const r of won) oauthRefused(await refresh(r.json.refresh_token, fleeting), 400, 'invalid_grant');
    }
});

test('no text that the server has sealed, signed or made is good in the place of another', async () => {
    const v = new Visitor(s);
    const { params, verifier } = asks('twin', { prompt: 'consent' });
    const login = await v.authorize(params);
    const consent = await v.login(login, 'alice');
    const back = sentBack(await v.submit(consent, { decision: 'allow' }));
    const t = await tokens(v, 'alice');
    const par = await post(s, '/oauth2/par', asks('shop').params, basicAuth(shop.id, shop.secret));
    const logout = readForm(await v.get('/oauth2/logout')).fields;
    const device = (await s.login('alice', { device_token: undefined }));
    const texts = { code: back.code, page: readForm(login).fields.request, consent: readForm(consent).fields.request, csrf: readForm(consent).fields.csrf, logout: logout.request, sso: v.sso, par: par.json.request_uri.split(':').pop(),
        access: t.access_token, id: t.id_token, refresh: t.refresh_token, first: device.access_token };
    const client = basicAuth(twin.id, twin.secret);
    for (const [kind, text] of Object.entries(texts)) {
        if (kind !== 'code') oauthRefused(await post(s, '/oauth2/token', { grant_type: 'authorization_code', code: text, code_verifier: verifier, redirect_uri: CALLBACK }, client), 400, 'invalid_grant', kind);
        oauthRefused(await post(s, '/oauth2/token', { grant_type: 'refresh_token', refresh_token: text }, client), 400, 'invalid_grant', kind); // t.refresh is another client's
        oauthRefused(await post(s, '/oauth2/token', { grant_type: 'client_credentials', client_assertion: text, client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer' }), 401, 'invalid_client', kind);
        if (!['access', 'first'].includes(kind)) {
            assert.equal((await s.get('/auth/verify', text)).status, 401, kind);
            assert.equal((await s.get('/oauth2/userinfo', text)).status, 401, kind);
        }
        if (!['page', 'consent', 'par'].includes(kind)) {
            const r = await v.get(`/oauth2/authorize?${encode({ client_id: 'twin', request_uri: `urn:ietf:params:oauth:request_uri:${text}` })}`);
            assert.deepEqual([r.status, r.headers.location], [400, undefined], kind);
        }
        if (!['page', 'consent'].includes(kind)) {
            const r = await new Visitor(s).post('/oauth2/login', { request: text, username: 'alice', password: PASSWORD });
            assert.deepEqual([r.status, r.cookies], [400, []], kind);
        }
        if (kind !== 'sso') assert.equal(readForm(await request(s.port, 'GET', `/oauth2/authorize?${encode(params)}`, { headers: { cookie: `__Host-sp_sso=${text}` } }))?.action, '/oauth2/login', kind);
        for (const name of ['__Host-sp_access', '__Host-sp_refresh'])
            if (kind !== 'access' && kind !== 'first') assert.equal((await request(s.port, 'GET', '/auth/me', { headers: { cookie: `${name}=${text}` } })).status, 401, kind);
        assert.equal((await s.refresh(text)).status, 401, kind);
        // As a hint only an id_token of the same person signs out without a question.
        if (kind !== 'id') assert.equal(readForm(await v.get(`/oauth2/logout?${encode({ id_token_hint: text })}`))?.action, '/oauth2/logout', kind);
        // A logout page's request is no consent, nor the other way round.
        if (kind !== 'consent') assert.equal((await v.post('/oauth2/consent', { request: text, csrf: readForm(consent).fields.csrf, decision: 'allow' })).headers.location?.includes('code='), undefined, kind);
        if (kind !== 'logout') assert.equal(readForm(await v.post('/oauth2/logout', { request: text, csrf: logout.csrf }))?.action, '/oauth2/logout', kind);
    }
    oauthRefused(await post(s, '/oauth2/token', { grant_type: 'authorization_code', code: back.code, code_verifier: verifier, redirect_uri: CALLBACK }, basicAuth(shop.id, shop.secret)), 400, 'invalid_grant');
    assert.equal((await redeem(back.code, verifier, twin)).status, 200, 'and after all that it is still good where it belongs');
    assert.equal((await refresh(t.refresh_token)).status, 200, 'and this one too');
});

test('what a refresh asks for is within what was allowed', async () => {
    const v = new Visitor(s);
    const t = await tokens(v, 'alice', shop, { scope: 'openid documents:read', resource: 'https://one.example.test' });
    assert.equal(claims(t.access_token).aud, 'https://one.example.test');
    oauthRefused(await refresh(t.refresh_token, shop, { scope: 'openid profile' }), 400, 'invalid_scope');
    oauthRefused(await refresh(t.refresh_token, shop, { scope: 'openid documents:read offline_access' }), 400, 'invalid_scope');
    oauthRefused(await refresh(t.refresh_token, shop, { resource: 'https://two.example.test' }), 400, 'invalid_target');
    oauthRefused(await refresh(t.refresh_token, shop, { resource: ISSUER }), 400, 'invalid_target');
    const r = await refresh(t.refresh_token, shop, { scope: 'openid' });
    assert.deepEqual([r.status, r.json.scope], [200, 'openid'], 'and none of it has cost the token');
    const { params, verifier } = asks('shop', { resource: 'https://one.example.test' });
    const { code } = await v.signIn(params, 'alice');
    oauthRefused(await redeem(code, verifier, shop, { resource: 'https://two.example.test' }), 400, 'invalid_target');
    assert.equal((await redeem(code, verifier)).status, 200);
});

test('a client of an administrator administers nothing unless it may by its own scope', async () => {
    const t = await tokens(new Visitor(s), 'root');
    assert.equal((await s.get('/admin/v1/users', t.access_token)).status, 401, 'another audience');
    const plain = await addClient(s, 'plain', '--trusted', '--grant', 'authorization_code', '--redirect-uri', CALLBACK, '--scope', 'openid', '--scope', 'documents:read');
    const ours = await tokens(new Visitor(s), 'root', plain);
    assert.equal((await s.get('/admin/v1/users', ours.access_token)).status, 403);
    assert.equal((await s.get('/metrics', ours.access_token)).status, 403);
    for (const [method, url, body] of [['GET', '/auth/sessions'], ['POST', '/auth/logout-all'], ['POST', '/auth/password', { current_password: PASSWORD, new_password: 'another good password' }], ['GET', '/auth/consents'], ['DELETE', `/auth/sessions/${claims(ours.access_token).sid}`]])
        assert.equal((await s.send(method, url, body, s.bearer(ours.access_token))).status, 403, url);
    const greedy = await new Visitor(s).authorize(asks('plain', { scope: 'openid sallyport:admin' }).params);
    assert.equal(sentBack(greedy).error, 'invalid_scope');
    // One that may ask for it gets it from those who have it, and from nobody else.
    const chief = await addClient(s, 'chief', '--trusted', '--grant', 'authorization_code', '--redirect-uri', CALLBACK, '--scope', 'openid', '--scope', 'sallyport:admin', '--scope', 'sallyport:*');
    const low = await tokens(new Visitor(s), 'alice', chief, { scope: 'openid sallyport:admin sallyport:*' });
    assert.equal(low.scope, 'openid');
    assert.equal((await s.get('/admin/v1/users', low.access_token)).status, 403);
    const high = await tokens(new Visitor(s), 'root', chief, { scope: 'openid sallyport:admin sallyport:*' });
    assert.equal(high.scope, 'openid sallyport:admin');
    assert.equal((await s.get('/admin/v1/users', high.access_token)).status, 200);
    await s.cli(['user', 'set-roles', 'root', 'reader']);
});

test('two persons at one browser: the second one allows nothing on the page of the first', async () => {
    const v = new Visitor(s);
    const page = await v.login(await v.authorize(asks('twin', { prompt: 'consent' }).params), 'alice');
    assert.equal(readForm(page).action, '/oauth2/consent');
    const other = await v.login(await v.authorize(asks('shop', { prompt: 'login' }).params), 'bob');
    assert.ok(sentBack(other).code);
    const r = await v.submit(page, { decision: 'allow' });
    assert.equal(readForm(r)?.action, '/oauth2/consent', 'bob is asked himself');
    assert.match(r.text, /bob/);
    assert.doesNotMatch(r.text, /alice/);
    // And the other way round: bob's token does not fit alice's page, nor hers his.
    const alice = new Visitor(s);
    const hers = await alice.login(await alice.authorize(asks('twin', { prompt: 'consent' }).params), 'alice');
    const mixed = await alice.submit(hers, { csrf: readForm(r).fields.csrf, decision: 'allow' });
    assert.equal(readForm(mixed)?.action, '/oauth2/consent');
    const swapped = await alice.post('/oauth2/consent', { ...readForm(r).fields, decision: 'allow' });
    assert.equal(readForm(swapped)?.action, '/oauth2/consent');
});

test('nobody is signed out by another person\'s page, hint or link', async () => {
    const alice = new Visitor(s), mallory = new Visitor(s);
    await tokens(alice, 'alice');
    const his = await tokens(mallory, 'bob');
    const page = readForm(await mallory.get('/oauth2/logout')).fields;
    const is = async (what) => assert.ok(sentBack(await alice.authorize(asks().params)).code, what);
    assert.equal(readForm(await alice.post('/oauth2/logout', page))?.action, '/oauth2/logout');
    await is('page');
    assert.equal(readForm(await alice.get(`/oauth2/logout?${encode({ id_token_hint: his.id_token, post_logout_redirect_uri: BYE })}`))?.action, '/oauth2/logout');
    await is('hint');
    assert.equal(readForm(await alice.get(`/oauth2/logout?${encode({ client_id: 'shop', post_logout_redirect_uri: BYE, request: page.request, csrf: page.csrf })}`))?.action, '/oauth2/logout');
    await is('link');
    const own = readForm(await alice.get('/oauth2/logout')).fields;
    assert.equal((await alice.post('/oauth2/logout', own, { origin: 'https://evil.example' })).status, 403);
    assert.equal((await alice.post('/oauth2/logout', own, { origin: 'null' })).status, 403);
    await is('another site');
    // Nowhere but to addresses of the client.
    for (const to of ['https://evil.example/', `${BYE}@evil.example`, `${BYE}/../x`, 'javascript:alert(1)', `${BYE}%0d%0aSet-Cookie:x=1`, CALLBACK, `https://evil.example\\@shop.example.test/bye`]) {
        const r = await new Visitor(s).get(`/oauth2/logout?${encode({ client_id: 'shop', post_logout_redirect_uri: to })}`);
        assert.deepEqual([r.status, r.headers.location], [200, undefined], to);
    }
});

test('addresses that only look registered lead nowhere', async () => {
    await addClient(s, 'native', '--public', '--grant', 'authorization_code', '--redirect-uri', 'http://127.0.0.1/cb', '--redirect-uri', 'http://localhost/cb', '--redirect-uri', 'com.example.app:/cb', '--scope', 'openid');
    const go = (redirect_uri) => new Visitor(s).authorize(asks('native', { redirect_uri, prompt: 'none' }).params);
    for (const good of ['http://127.0.0.1/cb', 'http://127.0.0.1:49152/cb', 'com.example.app:/cb', 'http://localhost/cb']) assert.equal((await go(good)).status, 303, good);
    for (const bad of ['http://127.0.0.1:80@evil.example/cb', 'http://127.0.0.1:0/cb', 'http://127.0.0.1:65536/cb', 'http://127.0.0.1:/cb', 'http://127.0.0.1:8080', 'http://127.0.0.1:8080/cb/', 'http://127.0.0.1:8080/cb?x', 'http://127.0.0.1.evil.example/cb', 'http://127.1:80/cb',
        'http://[::1]:80/cb', 'http://0x7f000001/cb', 'https://127.0.0.1:80/cb', 'http://localhost:80/cb', 'http://LOCALHOST/cb', 'http://127.0.0.1:8080\\@evil.example/cb', 'http://127.0.0.1:8080/cb%0d%0aX: 1', 'http://127.0.0.1:8080/cb\r\nX: 1', 'com.example.app://evil.example/cb', 'com.example.app:/cb#x', 'COM.example.app:/cb',
        'http://127.0.0.1:8080/cb ', '\u0000http://127.0.0.1/cb', 'http://127.0.0.1:８０/cb', 'http://127。0。0。1/cb', 'com.example.app:/cb/../evil']) {
        const r = await go(bad);
        assert.deepEqual([r.status, r.headers.location], [400, undefined], bad);
    }
    // What an address may be registered as.
    for (const uri of ['http://evil.example/cb', 'https://*.example.test/', 'https://x@y.example/', 'javascript:alert(1)', 'data:text/html,x', 'https://a.example/#f', 'myapp:/cb', 'https:///cb', 'file:///etc/passwd', 'http://127.0.0.1.nip.io/'])
        assert.notEqual((await s.cli(['client', 'add', '--public', '--grant', 'authorization_code', '--redirect-uri', uri, 'bad'])).status, 0, uri);
});

test('a client is not made under a name that means somebody else', async () => {
    const sub = claims((await tokens(new Visitor(s), 'alice')).access_token).sub;
    for (const id of ['sallyport', sub, 'A'.repeat(22), '', ' ', 'a b', 'a:b', '../x', 'ä', 'a'.repeat(200)])
        assert.notEqual((await s.cli(['client', 'add', '--grant', 'client_credentials', id])).status, 0, JSON.stringify(id));
});

// Its tokens would be those of the person's own sessions, with the account to look after.
test('the server does not take the id of a client for its own sessions', async () => {
    const own = await Server.start();
    try {
        await addClient(own, 'shop', '--grant', 'client_credentials');
        own.settings = { 'tokens.client_id': 'shop' };
        await assert.rejects(own.restart(), /the server did not start[\s\S]*tokens\.client_id/);
        own.settings = {};
        await own.spawn();
    } finally {
        await own.stop();
    }
});

test('forms that try the parser: refused in words, never a 5xx, never both meanings', async () => {
    const good = { grant_type: 'refresh_token', refresh_token: 'x' };
    const auth = basicAuth(shop.id, shop.secret);
    const bodies = ['grant_type=refresh%00_token', 'grant_type=%C0%AF', 'grant_type=%ED%A0%80', 'grant_type=%', 'grant_type=%4', 'grant_type=%zz', '%67rant_type=refresh_token&grant_type=client_credentials', 'grant_type=refresh_token&grant_type=', 'grant_type=refresh_token;refresh_token=x', '&&&&', '=', '==',
        `${'a=1&'.repeat(4000)}${encode(good)}`, `grant_type=${'a'.repeat(16000)}`, '\u0000', 'grant_type\u0000=refresh_token', `${encode(good)}&${'resource=x&'.repeat(100)}`, `${encode(good)}&client_id=twin`, `${encode(good)}&client_secret=${encodeURIComponent(shop.secret)}`, `${encode(good)}&client_assertion=a.b.c`];
    for (const body of bodies) {
        const r = await post(s, '/oauth2/token', body, auth);
        assert.ok([400, 401, 413].includes(r.status), `${body.slice(0, 60)} ${r.status} ${r.text}`);
        assert.ok(r.json?.error, body.slice(0, 60));
    }
    assert.equal((await post(s, '/oauth2/token', { ...good, Grant_Type: 'client_credentials', GRANT_TYPE: 'x' }, auth)).json.error, 'invalid_grant', 'other names are other parameters');
    for (const type of ['application/json', 'text/plain', 'multipart/form-data; boundary=x', 'application/x-www-form-urlencoded; charset=utf-16', 'application/x-www-form-urlencoded, application/json', ''])
        assert.ok([400, 415].includes((await post(s, '/oauth2/token', encode(good), { ...auth, 'content-type': type })).status), type);
    for (const basic of ['shop:%', 'shop:\u00ff', ':', 'shop', '', 'shop:\u0000', `shop:${'a'.repeat(4000)}`, 'sh%6Fp%00:x', '%zz:%zz'])
        oauthRefused(await post(s, '/oauth2/token', good, { authorization: `Basic ${Buffer.from(basic, 'latin1').toString('base64')}` }), 401, 'invalid_client', basic.slice(0, 20));
    for (const value of ['Basic', 'Basic ', 'Basic !!!!', 'Bearer x', 'Digest x', 'Basic c2hvcA', `Basic ${'A'.repeat(7000)}`]) {
        const r = await post(s, '/oauth2/token', good, { authorization: value });
        assert.ok([400, 401, 431].includes(r.status), `${value.slice(0, 20)} ${r.status}`);
    }
    const text = encode(good);
    const chunked = await raw(s.port, `POST /oauth2/token HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/x-www-form-urlencoded\r\nTransfer-Encoding: chunked\r\n${Object.entries(auth).map(([k, v]) => `${k}: ${v}\r\n`).join('')}\r\n${text.length.toString(16)}\r\n${text}\r\n0\r\n\r\n`);
    assert.match(chunked, /^HTTP\/1\.1 4\d\d /);
    const both = await raw(s.port, `POST /oauth2/token HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`);
    assert.match(both, /^HTTP\/1\.1 400 /);
});

test('the login page does not tell who exists', async () => {
    const page = await new Visitor(s).authorize(asks().params);
    const answers = [];
    for (const username of ['alice', 'nobody-at-all', 'a"><script>x', ' alice', '\u202ealice']) {
        const r = await new Visitor(s).submit(page, { username, password: 'wrong' });
        assert.equal(r.status, 400, username);
        assert.doesNotMatch(r.text, /<script>/);
        answers.push(r.text.replace(/ value="[^"]*"/g, ''));
    }
    assert.equal(new Set(answers).size, 1);
    const hinted = async (login_hint) => (await new Visitor(s).authorize(asks('shop', { login_hint }).params)).text.replace(/ value="[^"]*"/g, '');
    assert.equal(await hinted('alice'), await hinted('nobody-at-all'));
});

test('a client that signs a person in again and again takes nobody else\'s place', async () => {
    await s.addUser('carol', ['reader']);
    const phone = await s.login('carol');
    const v = new Visitor(s);
    await tokens(v, 'carol', spa);
    for (let i = 0; i < 110; i++) await tokens(v, 'carol', spa);
    assert.equal((await s.refresh(phone.refresh_token)).status, 200, 'the phone stays');
    assert.ok(sentBack(await v.authorize(asks().params)).code, 'and the sign-in');
});

test('what is secret stands in no log and no audit record', async () => {
    const v = new Visitor(s), key = new Key();
    const { params, verifier } = asks('twin', { login_hint: 'alice', prompt: 'consent' });
    const login = await v.authorize(params);
    await v.login(login, 'alice', 'a wrong password of hers');
    const consent = await v.login(login, 'alice');
    const back = sentBack(await v.submit(consent, { decision: 'allow' }));
    const r = await redeem(back.code, verifier, twin);
    const proof = key.proof('POST', '/oauth2/token');
    await post(s, '/oauth2/token', { grant_type: 'refresh_token', refresh_token: r.json.refresh_token }, { ...basicAuth(twin.id, twin.secret), dpop: proof });
    await redeem(back.code, verifier, twin); // a replay
    await post(s, '/oauth2/token', { grant_type: 'client_credentials', client_id: twin.secret, client_secret: 'guessed-secret-of-twin' });
    const par = await post(s, '/oauth2/par', asks('shop').params, basicAuth(shop.id, shop.secret));
    await new Visitor(s).get(`/oauth2/authorize?${encode({ client_id: 'shop', request_uri: par.json.request_uri })}`);
    await v.get(`/oauth2/logout?${encode({ id_token_hint: r.json.id_token })}`);
    const secrets = { password: PASSWORD, wrong: 'a wrong password of hers', code: back.code, verifier, secret: twin.secret, guessed: 'guessed-secret-of-twin', access: r.json.access_token, refresh: r.json.refresh_token, id: r.json.id_token, sso: v.sso ?? 'none-was-left', proof, par: par.json.request_uri,
        request: readForm(login).fields.request, csrf: readForm(consent).fields.csrf, state: params.state, nonce: params.nonce };
    const audit = JSON.stringify(await s.ask('audit', 'show'));
    for (const [what, text] of Object.entries(secrets)) {
        assert.ok(!s.log.includes(text), `${what} is in the log`);
        assert.ok(!audit.includes(text), `${what} is in the audit log`);
    }
    const kept = Object.entries(secrets).filter(([what]) => !['state', 'nonce'].includes(what));
    for (const name of readdirSync(s.data, { recursive: true })) {
        let bytes;
        try { bytes = readFileSync(path.join(s.data, name), 'latin1'); } catch { continue; } // a socket, a folder
        for (const [what, text] of kept) assert.ok(!bytes.includes(text), `${what} is in ${name}`);
    }
});
