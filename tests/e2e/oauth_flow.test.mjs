// The flows of OAuth and OpenID Connect as clients and browsers go through them.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { PASSWORD, payload, request, Server } from './harness.mjs';
import { addClient, basicAuth, CALLBACK, checkSignature, claims, encode, header, ISSUER, Key, oauthRefused, pkce, post, random, readForm, sentBack, Visitor } from './oauth.mjs';

let s, shop, spa;
before(async () => {
    s = await Server.start();
    await s.cli(['role', 'set', 'reader', 'documents:read', 'documents:list']);
    await s.addUser('alice', ['reader']);
    await s.addUser('bob', []);
    shop = await addClient(s, 'shop', '--name', 'The <Shop>', '--grant', 'authorization_code', '--grant', 'refresh_token', '--grant', 'client_credentials', '--redirect-uri', CALLBACK,
        '--scope', 'openid', '--scope', 'profile', '--scope', 'offline_access', '--scope', 'documents:read', '--scope', 'documents:write',
        '--post-logout-redirect-uri', 'https://shop.example.test/bye', '--audience', ISSUER, '--audience', 'https://api.example.test');
    spa = await addClient(s, 'spa', '--public', '--trusted', '--grant', 'authorization_code', '--grant', 'refresh_token', '--redirect-uri', 'https://spa.example.test/cb', '--scope', 'openid', '--scope', 'documents:read');
});
after(() => s.stop());

function asks(more = {}) {
    const p = pkce();
    return { ...p, params: { client_id: 'shop', response_type: 'code', redirect_uri: CALLBACK, scope: 'openid profile documents:read', state: random(), nonce: random(),
        code_challenge: p.challenge, code_challenge_method: 'S256', ...more } };
}
const redeem = (code, verifier, more = {}, headers = basicAuth(shop.id, shop.secret)) =>
    post(s, '/oauth2/token', { grant_type: 'authorization_code', code, code_verifier: verifier, redirect_uri: CALLBACK, ...more }, headers);

test('login, consent, code, tokens, userinfo, refresh, introspection, revocation', async () => {
    const v = new Visitor(s);
    const { params, verifier } = asks();
    const login = await v.authorize(params);
    assert.equal(login.status, 200);
    assert.match(login.text, /The &lt;Shop&gt;/);
    assert.equal(readForm(login).action, '/oauth2/login');
    const consent = await v.login(login, 'alice');
    assert.equal(readForm(consent).action, '/oauth2/consent', consent.text);
    assert.match(consent.text, /documents:read/);
    assert.match(consent.headers['content-security-policy'], /form-action 'self' https:\/\/shop\.example\.test;/);
    const back = sentBack(await v.submit(consent, { decision: 'allow' }));
    assert.equal(back.kept, '1');
    assert.equal(back.state, params.state);
    assert.equal(back.iss, ISSUER);

    const r = await redeem(back.code, verifier);
    assert.equal(r.status, 200, r.text);
    assert.equal(r.headers['cache-control'], 'no-store');
    assert.equal(r.json.token_type, 'Bearer');
    assert.deepEqual(r.json.scope.split(' ').sort(), ['documents:read', 'openid', 'profile']);
    const access = claims(r.json.access_token), id = claims(r.json.id_token);
    assert.equal(header(r.json.access_token).typ, 'at+jwt');
    await checkSignature(s, r.json.access_token);
    await checkSignature(s, r.json.id_token);
    assert.equal(access.client_id, 'shop');
    assert.equal(access.iss, ISSUER);
    assert.deepEqual([id.iss, id.aud, id.sub, id.nonce, id.sid], [ISSUER, 'shop', access.sub, params.nonce, access.sid]);
    assert.equal(id.acr, 'urn:sallyport:acr:password');
    assert.deepEqual(id.amr, ['pwd']);

    const info = await s.get('/oauth2/userinfo', r.json.access_token);
    assert.equal(info.status, 200, info.text);
    assert.equal(info.json.sub, access.sub);
    assert.equal(info.json.preferred_username, 'alice');

    // Its scope limits it, and what a person does with the account is not for a client.
    assert.equal((await s.get('/auth/verify?permission=documents:read', r.json.access_token)).status, 204);
    const denied = await s.get('/auth/verify?permission=documents:list', r.json.access_token);
    assert.equal(denied.status, 403);
    assert.match(denied.headers['www-authenticate'], /error="insufficient_scope".*scope="documents:list"/);
    assert.equal((await s.get('/auth/sessions', r.json.access_token)).status, 403);
    assert.equal((await s.get('/auth/consents', r.json.access_token)).status, 403);

    const refreshed = await post(s, '/oauth2/token', { grant_type: 'refresh_token', refresh_token: r.json.refresh_token }, basicAuth(shop.id, shop.secret));
    assert.equal(refreshed.status, 200, refreshed.text);
    assert.notEqual(refreshed.json.refresh_token, r.json.refresh_token);

    const told = await post(s, '/oauth2/introspect', { token: refreshed.json.access_token }, basicAuth(shop.id, shop.secret));
    assert.equal(told.status, 200, told.text);
    assert.deepEqual([told.json.active, told.json.sub, told.json.client_id, told.json.username, told.json.token_type], [true, access.sub, 'shop', 'alice', 'Bearer']);
    assert.equal((await post(s, '/oauth2/introspect', { token: 'junk' }, basicAuth(shop.id, shop.secret))).text, '{"active":false}');

    const revoked = await post(s, '/oauth2/revoke', { token: refreshed.json.refresh_token }, basicAuth(shop.id, shop.secret));
    assert.deepEqual([revoked.status, revoked.text], [200, '{}']);
    assert.equal((await post(s, '/oauth2/introspect', { token: refreshed.json.access_token }, basicAuth(shop.id, shop.secret))).text, '{"active":false}');
    oauthRefused(await post(s, '/oauth2/token', { grant_type: 'refresh_token', refresh_token: refreshed.json.refresh_token }, basicAuth(shop.id, shop.secret)), 400, 'invalid_grant');
});

test('a second time nobody is asked: single sign-on, and consent is remembered', async () => {
    const v = new Visitor(s);
    await v.signIn(asks().params, 'alice');
    const { params, verifier } = asks();
    const back = sentBack(await v.authorize(params)); // no page in between
    assert.equal((await redeem(back.code, verifier)).status, 200);
    const none = sentBack(await v.authorize(asks({ prompt: 'none' }).params));
    assert.ok(none.code);
    assert.equal(readForm(await v.authorize(asks({ prompt: 'login' }).params)).action, '/oauth2/login');
    assert.equal(readForm(await v.authorize(asks({ prompt: 'consent' }).params)).action, '/oauth2/consent');
    const strangers = sentBack(await new Visitor(s).authorize(asks({ prompt: 'none' }).params));
    assert.equal(strangers.error, 'login_required');
    assert.equal(strangers.iss, ISSUER);
});

test('who says no, or types another password, gives nothing away', async () => {
    const v = new Visitor(s);
    const page = await v.authorize(asks({ scope: 'openid offline_access' }).params);
    const wrong = await v.login(page, 'alice', 'not the password');
    assert.equal(wrong.status, 400);
    assert.match(wrong.text, /role="alert"/);
    assert.match(wrong.text, /value="alice"/);
    assert.equal(v.sso, undefined);
    const unknown = await v.login(page, 'nobody', 'not the password');
    assert.equal(unknown.text.replace(/value="[^"]*"/g, ''), wrong.text.replace(/value="[^"]*"/g, ''));
    const consent = await v.login(wrong, 'alice');
    assert.equal(readForm(consent).action, '/oauth2/consent', consent.text);
    assert.equal(sentBack(await v.submit(consent, { decision: 'deny' })).error, 'access_denied');
});

test('a code is good once; the second use ends what the first gave', async () => {
    const v = new Visitor(s);
    const { params, verifier } = asks();
    const { code } = await v.signIn(params, 'alice');
    oauthRefused(await redeem(code, random(32)), 400, 'invalid_grant', 'verifier');
    oauthRefused(await redeem(code, verifier, { redirect_uri: 'https://shop.example.test/other' }), 400, 'invalid_grant', 'address');
    oauthRefused(await redeem(code, undefined), 400, 'invalid_request', 'no verifier');
    const first = await redeem(code, verifier);
    assert.equal(first.status, 200, first.text);
    oauthRefused(await redeem(code, verifier), 400, 'invalid_grant', 'again');
    oauthRefused(await post(s, '/oauth2/token', { grant_type: 'refresh_token', refresh_token: first.json.refresh_token }, basicAuth(shop.id, shop.secret)), 400, 'invalid_grant');
    assert.equal((await s.get('/oauth2/userinfo', first.json.access_token)).status, 401);
});

test('pushed requests', async () => {
    const { params, verifier } = asks();
    const pushed = await post(s, '/oauth2/par', params, basicAuth(shop.id, shop.secret));
    assert.equal(pushed.status, 201, pushed.text);
    assert.match(pushed.json.request_uri, /^urn:ietf:params:oauth:request_uri:/);
    const back = await new Visitor(s).signIn({ client_id: 'shop', request_uri: pushed.json.request_uri }, 'alice');
    assert.equal((await redeem(back.code, verifier)).status, 200);
    oauthRefused(await post(s, '/oauth2/par', { ...params, redirect_uri: 'https://evil.example' }, basicAuth(shop.id, shop.secret)), 400, 'invalid_request');
    oauthRefused(await post(s, '/oauth2/par', params, basicAuth(shop.id, 'wrong')), 401, 'invalid_client');
});

test('client credentials', async () => {
    const r = await post(s, '/oauth2/token', { grant_type: 'client_credentials', scope: 'documents:read' }, basicAuth(shop.id, shop.secret));
    assert.equal(r.status, 200, r.text);
    assert.deepEqual([r.json.refresh_token, r.json.id_token, r.json.scope], [undefined, undefined, 'documents:read']);
    assert.equal(claims(r.json.access_token).sub, 'shop');
    const verified = await s.get('/auth/verify?permission=documents:read', r.json.access_token);
    assert.equal(verified.status, 204, verified.text);
    assert.deepEqual([verified.headers['x-auth-subject'], verified.headers['x-auth-session']], ['shop', '-']);
    assert.equal((await s.get('/auth/verify?permission=documents:write', r.json.access_token)).status, 403);
    const me = await s.get('/auth/me', r.json.access_token);
    assert.deepEqual([me.json.sub, me.json.session_id], ['shop', null]);
    oauthRefused(await post(s, '/oauth2/token', { grant_type: 'client_credentials', scope: 'documents:list' }, basicAuth(shop.id, shop.secret)), 400, 'invalid_scope');
    const elsewhere = await post(s, '/oauth2/token', { grant_type: 'client_credentials', resource: 'https://api.example.test' }, basicAuth(shop.id, shop.secret));
    assert.equal(claims(elsewhere.json.access_token).aud, 'https://api.example.test');
    oauthRefused(await post(s, '/oauth2/token', { grant_type: 'client_credentials', resource: 'https://other.example' }, basicAuth(shop.id, shop.secret)), 400, 'invalid_target');
});

test('a public client binds what it gets to a key (DPoP)', async () => {
    const p = pkce(), key = new Key(), cb = 'https://spa.example.test/cb';
    const v = new Visitor(s);
    let r = await v.authorize({ client_id: 'spa', response_type: 'code', redirect_uri: cb, scope: 'openid documents:read', code_challenge: p.challenge, code_challenge_method: 'S256' });
    const back = sentBack(await v.login(r, 'alice'), cb); // trusted: nobody is asked
    const ask = async (fields, by = key) => { // right after a start a nonce is asked for
        const path = '/oauth2/token';
        const a = await post(s, path, { client_id: 'spa', ...fields }, { dpop: by.proof('POST', path) });
        if (a.json?.error !== 'use_dpop_nonce') return a;
        return post(s, path, { client_id: 'spa', ...fields }, { dpop: by.proof('POST', path, { nonce: a.headers['dpop-nonce'] }) });
    };
    r = await ask({ grant_type: 'authorization_code', code: back.code, code_verifier: p.verifier, redirect_uri: cb });
    assert.equal(r.status, 200, r.text);
    assert.equal(r.json.token_type, 'DPoP');
    const token = r.json.access_token;
    assert.equal(claims(token).cnf.jkt, key.thumbprint);
    const get = (url, proof, scheme = 'DPoP') => request(s.port, 'GET', url, { headers: { authorization: `${scheme} ${token}`, ...(proof ? { dpop: proof } : {}) } });
    for (const url of ['/auth/me', '/oauth2/userinfo', '/auth/verify?permission=documents:read']) {
        const path = url.split('?')[0];
        let a = await get(url, key.proof('GET', path, { token }));
        if (a.status === 401 && a.headers['dpop-nonce']) a = await get(url, key.proof('GET', path, { token, nonce: a.headers['dpop-nonce'] }));
        assert.ok([200, 204].includes(a.status), `${url} ${a.status} ${a.text}`);
        for (const bad of [await get(url), await get(url, key.proof('GET', path, { token }), 'Bearer'), await get(url, new Key().proof('GET', path, { token })),
            await get(url, key.proof('POST', path, { token })), await get(url, key.proof('GET', '/elsewhere', { token })), await get(url, key.proof('GET', path))]) {
            assert.equal(bad.status, 401, `${url} ${bad.text}`);
            assert.match(bad.headers['www-authenticate'], /error="\w+".*DPoP realm="sallyport"|DPoP realm="sallyport", error="/);
        }
    }
    const refresh = { grant_type: 'refresh_token', refresh_token: r.json.refresh_token };
    oauthRefused(await ask(refresh, new Key()), 400, 'invalid_grant');
    oauthRefused(await post(s, '/oauth2/token', { client_id: 'spa', ...refresh }), 400, 'invalid_grant');
    assert.equal((await ask(refresh)).status, 200);
});

test('signing out: with a hint at once, without one after a question; what came of the sign-in ends', async () => {
    const v = new Visitor(s);
    const { params, verifier } = asks();
    const tokens = (await redeem((await v.signIn(params, 'alice')).code, verifier)).json;
    const page = await v.get('/oauth2/logout?client_id=shop&post_logout_redirect_uri=https%3A%2F%2Fshop.example.test%2Fbye&state=x');
    assert.equal(readForm(page).action, '/oauth2/logout');
    assert.ok(v.sso);
    const out = await v.submit(page);
    assert.deepEqual(sentBack(out, 'https://shop.example.test/bye'), { state: 'x' });
    assert.equal(v.sso, undefined);
    oauthRefused(await post(s, '/oauth2/token', { grant_type: 'refresh_token', refresh_token: tokens.refresh_token }, basicAuth(shop.id, shop.secret)), 400, 'invalid_grant');

    const again = asks();
    const t2 = (await redeem((await v.signIn(again.params, 'alice')).code, again.verifier)).json;
    const evil = await v.get(`/oauth2/logout?${encode({ id_token_hint: t2.id_token, post_logout_redirect_uri: 'https://evil.example/' })}`);
    assert.equal(evil.status, 200);
    assert.match(evil.text, /You are signed out/);
    assert.equal(v.sso, undefined);
});

test('a person sees what was allowed, and takes it back', async () => {
    const v = new Visitor(s);
    const { params, verifier } = asks();
    const tokens = (await redeem((await v.signIn(params, 'bob')).code, verifier)).json;
    const own = (await s.login('bob')).access_token;
    const list = await s.get('/auth/consents', own);
    assert.equal(list.status, 200);
    assert.deepEqual(list.json.consents.map((c) => c.client_id), ['shop']);
    assert.deepEqual([...list.json.consents[0].scope].sort(), ['openid', 'profile']); // bob has no permissions
    assert.equal((await s.send('DELETE', '/auth/consents/shop', undefined, s.bearer(own))).status, 204);
    assert.equal((await s.send('DELETE', '/auth/consents/shop', undefined, s.bearer(own))).status, 404);
    assert.deepEqual((await s.get('/auth/consents', own)).json.consents, []);
    oauthRefused(await post(s, '/oauth2/token', { grant_type: 'refresh_token', refresh_token: tokens.refresh_token }, basicAuth(shop.id, shop.secret)), 400, 'invalid_grant');
    assert.equal(readForm(await v.authorize(asks().params)).action, '/oauth2/consent');
});

test('a session of /auth/login can be bound to a key', async () => {
    const key = new Key();
    const login = async (nonce) => s.post('/auth/login', { username: 'alice', password: PASSWORD }, { dpop: key.proof('POST', '/auth/login', { nonce }) });
    let r = await login();
    if (r.headers['dpop-nonce']) r = await login(r.headers['dpop-nonce']);
    assert.equal(r.status, 200, r.text);
    assert.equal(r.json.token_type, 'DPoP');
    assert.equal(payload(r.json.access_token).cnf.jkt, key.thumbprint);
    assert.equal((await s.get('/auth/me', r.json.access_token)).json.code, 'invalid_dpop_proof');
    assert.equal((await s.refresh(r.json.refresh_token)).status, 401);
    const refresh = (nonce) => s.post('/auth/refresh', { refresh_token: r.json.refresh_token }, { dpop: key.proof('POST', '/auth/refresh', { nonce }) });
    let refreshed = await refresh();
    if (refreshed.headers['dpop-nonce']) refreshed = await refresh(refreshed.headers['dpop-nonce']);
    assert.equal(refreshed.status, 200, refreshed.text);
    const bad = await s.post('/auth/login', { username: 'alice', password: PASSWORD }, { dpop: 'junk' });
    assert.deepEqual([bad.status, bad.json.code], [401, 'invalid_dpop_proof']);
});

test('a proxy asks for a recent login (RFC 9470)', async () => {
    const { access_token } = await s.login('alice');
    assert.equal((await s.get('/auth/verify?max_age=3600', access_token)).status, 204);
    const weak = await s.get('/auth/verify?acr=urn:example:second-factor', access_token);
    assert.equal(weak.status, 401);
    assert.match(weak.headers['www-authenticate'], /error="insufficient_user_authentication".*acr_values="urn:example:second-factor"/);
});
