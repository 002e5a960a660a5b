// What docs/standards.md promises and no other test has as its subject, at the real server.
import assert from 'node:assert/strict';
import net from 'node:net';
import { after, before, test } from 'node:test';

import { PASSWORD, request, Server, temporaryFolder } from './harness.mjs';
import { addClient, basicAuth, CALLBACK, claims, encode, header, ISSUER, Key, oauthRefused, pkce, post, random, readForm, sentBack, Visitor } from './oauth.mjs';
import { writeFileSync } from 'node:fs';
import path from 'node:path';

let s, shop, signer;
const key = new Key();
before(async () => {
    s = await Server.start();
    await s.cli(['role', 'set', 'reader', 'documents:read']);
    await s.addUser('alice', ['reader']);
    const options = ['--grant', 'authorization_code', '--grant', 'refresh_token', '--grant', 'client_credentials', '--redirect-uri', CALLBACK,
        '--post-logout-redirect-uri', 'https://shop.example.test/bye', '--scope', 'openid', '--scope', 'documents:read'];
    shop = await addClient(s, 'shop', '--trusted', ...options);
    await addClient(s, 'other', '--trusted', ...options);
    const jwks = path.join(temporaryFolder('jwks'), 'jwks.json');
    writeFileSync(jwks, JSON.stringify({ keys: [{ ...key.jwk, kid: 'k1' }] }));
    await s.cli(['client', 'add', 'signer', '--auth-method', 'private_key_jwt', '--jwks-file', jwks, ...options]);
});
after(() => s.stop());

const who = () => basicAuth(shop.id, shop.secret);
function asks(more = {}) {
    const p = pkce();
    return { verifier: p.verifier, params: { client_id: 'shop', response_type: 'code', redirect_uri: CALLBACK, scope: 'openid', state: 'x', nonce: 'n-0S6', code_challenge: p.challenge, code_challenge_method: 'S256', ...more } };
}
const redeem = (code, verifier, more = {}) => post(s, '/oauth2/token', { grant_type: 'authorization_code', code, code_verifier: verifier, redirect_uri: CALLBACK, ...more }, who());
async function tokens(more = {}, visitor = new Visitor(s)) {
    const { params, verifier } = asks(more);
    const r = await redeem((await visitor.signIn(params, 'alice')).code, verifier);
    assert.equal(r.status, 200, r.text);
    return r.json;
}

// Bytes in, bytes out: what no client library would send.
function raw(text) {
    return new Promise((resolve, reject) => {
        const socket = net.connect(s.port, '127.0.0.1', () => socket.end(text));
        const chunks = [];
        socket.on('data', (c) => chunks.push(c)).on('error', reject).on('end', () => resolve(Buffer.concat(chunks).toString()));
    });
}

// RFC 9126 section 2; RFC 7523 section 3 for the others
test('an assertion may be for the issuer, the token endpoint or the endpoint it is sent to', async () => {
    const type = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';
    const at = { '/oauth2/token': [{ grant_type: 'client_credentials' }, 200], '/oauth2/par': [asks({ client_id: 'signer' }).params, 201], '/oauth2/revoke': [{ token: 'x' }, 200], '/oauth2/introspect': [{ token: 'x' }, 200] };
    for (const [url, [fields, status]] of Object.entries(at)) {
        const ask = (aud) => post(s, url, { ...fields, client_assertion_type: type, client_assertion: key.assertion('signer', { aud, iat: Math.floor(Date.now() / 1000) + 5 }) }); // not from before the start, by any clock
        for (const aud of [ISSUER, `${ISSUER}/oauth2/token`, ISSUER + url, [ISSUER + url]]) {
            const r = await ask(aud);
            assert.equal(r.status, status, `${url} ${aud}: ${r.text}`);
        }
        for (const aud of ['https://other.example.test', `${ISSUER}/oauth2/userinfo`, `${ISSUER}/`, `${ISSUER}${url}/`]) oauthRefused(await ask(aud), 401, 'invalid_client', `${url} ${aud}`);
    }
});

// RFC 6750 section 3
test('a request for a resource that shows its token wrongly is told the schemes, and why', async () => {
    const { access_token } = await tokens();
    const challenge = (r, status, error) => {
        assert.equal(r.status, status, r.text);
        assert.match(r.headers['www-authenticate'], error ? new RegExp(`^Bearer realm="sallyport", error="${error}"`) : /^Bearer realm="sallyport"(, (?!error)|$)/);
    };
    challenge(await post(s, '/oauth2/userinfo', { access_token }, s.bearer(access_token)), 400, 'invalid_request');
    challenge(await request(s.port, 'GET', `/oauth2/userinfo?access_token=${access_token}`), 400, 'invalid_request');
    challenge(await post(s, '/oauth2/userinfo', `access_token=${access_token}&access_token=x`), 400, 'invalid_request');
    challenge(await s.get('/auth/me', undefined, { authorization: 'Bearer a b' }), 400, 'invalid_request');
    challenge(await s.get('/auth/me', access_token, { cookie: '__Host-sp_access=x' }), 400, 'invalid_request');
    challenge(await s.get('/auth/me'), 401);
    challenge(await s.get('/auth/me', 'junk'), 401, 'invalid_token');
    challenge(await s.get('/auth/verify?permission=nothing:here', access_token), 403, 'insufficient_scope');
});

// OWASP ASVS 3.2.1, 3.4.1, 3.4.3 to 3.4.6, 3.5.8
test('every answer says to browsers what they may do with it', async () => {
    const { access_token } = await tokens();
    const v = new Visitor(s);
    const answers = [await s.get('/auth/me', access_token), await s.get('/auth/me'), await s.get('/nowhere'), await s.get('/healthz'), await s.get('/.well-known/jwks.json'), await s.get('/.well-known/openid-configuration'),
        await s.get('/auth/verify', access_token), await request(s.port, 'OPTIONS', '/auth/me'), await request(s.port, 'PUT', '/auth/me'), await post(s, '/oauth2/token', {}), await v.authorize(asks().params),
        await v.authorize({ client_id: 'nobody' }), await request(s.port, 'POST', '/auth/login', { headers: { 'content-type': 'application/json' }, body: '{' })];
    for (const r of answers) {
        const h = r.headers, what = `${r.status} ${r.text.slice(0, 80)}`;
        assert.equal(h['x-content-type-options'], 'nosniff', what);
        assert.match(h['content-security-policy'], /^default-src 'none'; /, what);
        for (const directive of ["base-uri 'none'", "frame-ancestors 'none'"]) assert.ok(h['content-security-policy'].includes(directive), what);
        assert.match(h['referrer-policy'], /^(no-referrer|same-origin)$/, what);
        assert.equal(h['cross-origin-resource-policy'], 'same-origin', what);
        assert.match(h['strict-transport-security'], /^max-age=31536000$/, what);
    }
    for (const bytes of ['GET / HTTP/9.9\r\n\r\n', 'GARBAGE\r\n\r\n', 'GET /auth/me HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n']) {
        const text = await raw(bytes);
        assert.match(text, /^HTTP\/1\.1 [45]/);
        assert.match(text, /x-content-type-options: nosniff/i);
    }
});

// RFC 6797 section 7.2, and what a browser of a developer would keep for all of localhost
test('without an https issuer, or when it is switched off, nothing is said about HTTPS', async () => {
    const said = async (settings) => {
        const other = await Server.start(settings);
        try {
            return (await other.get('/healthz')).headers['strict-transport-security'];
        } finally { await other.stop(); }
    };
    for (const issuer of ['http://127.0.0.1:8420', 'https://localhost', 'https://localhost:8443/path', 'https://127.0.0.1:8443', 'https://[::1]'])
        assert.equal(await said({ 'tokens.issuer': issuer }), undefined, issuer);
    assert.equal(await said({ 'server.hsts_max_age': '0' }), undefined);
    assert.equal(await said({ 'tokens.issuer': 'https://localhost.example.test', 'server.hsts_max_age': '1d' }), 'max-age=86400');
});

// OpenID Connect Core sections 3.1.2.1 and 15.1
test('parameters of an authorization request that change nothing here are no error', async () => {
    const v = new Visitor(s);
    const back = await v.signIn(asks({ display: 'popup', ui_locales: 'fr-CA fr', claims_locales: 'fr', claims: '{"id_token":{"email":null}}', acr_values: 'urn:other urn:sallyport:acr:password', login_hint: 'alice', scope: 'openid email address phone', unknown: '1' }).params, 'alice');
    assert.ok(back.code);
    const posted = await v.post('/oauth2/authorize', asks().params);
    assert.ok(sentBack(posted).code, 'by POST too');
});

// OpenID Connect Core section 12.2
test('an id_token of a refresh is of the same person, client and login, and has no nonce', async () => {
    const first = await tokens();
    const r = await post(s, '/oauth2/token', { grant_type: 'refresh_token', refresh_token: first.refresh_token }, who());
    assert.equal(r.status, 200, r.text);
    const a = claims(first.id_token), b = claims(r.json.id_token);
    assert.deepEqual([b.iss, b.sub, b.aud, b.auth_time, b.sid, b.acr, b.nonce], [a.iss, a.sub, a.aud, a.auth_time, a.sid, a.acr, undefined]);
    assert.equal(a.nonce, 'n-0S6');
    assert.deepEqual(Object.keys(header(r.json.id_token)).sort(), ['alg', 'kid', 'typ']);
    assert.ok(b.iat >= a.iat && b.exp > b.iat);
});

// RFC 8414 section 2, OpenID Connect Discovery section 3
test('discovery has every required member, and none that is empty', async () => {
    const { json } = await s.get('/.well-known/openid-configuration');
    for (const name of ['issuer', 'authorization_endpoint', 'token_endpoint', 'jwks_uri', 'response_types_supported', 'subject_types_supported', 'id_token_signing_alg_values_supported', 'userinfo_endpoint', 'scopes_supported',
        'token_endpoint_auth_signing_alg_values_supported', 'revocation_endpoint_auth_signing_alg_values_supported', 'introspection_endpoint_auth_signing_alg_values_supported', 'code_challenge_methods_supported',
        'dpop_signing_alg_values_supported', 'pushed_authorization_request_endpoint', 'end_session_endpoint', 'acr_values_supported', 'backchannel_logout_supported', 'backchannel_logout_session_supported']) assert.ok(name in json, name);
    for (const [name, value] of Object.entries(json)) {
        assert.ok(value !== null && value !== '' && !(Array.isArray(value) && value.length === 0), name);
        if (/signing_alg_values/.test(name)) assert.ok(!value.some((alg) => alg === 'none' || alg.startsWith('HS')), name);
        if (/_endpoint$|_uri$/.test(name)) assert.ok(value.startsWith(`${ISSUER}/`) && !value.includes('#'), name);
    }
    assert.deepEqual([json.authorization_response_iss_parameter_supported, json.code_challenge_methods_supported, json.response_types_supported], [true, ['S256'], ['code']]);
});

// RFC 7009 section 2.1, RFC 7662 section 2.1
test('a hint about the kind of a token may be wrong', async () => {
    const { access_token, refresh_token } = await tokens();
    const ask = (url, token, token_type_hint) => post(s, url, { token, token_type_hint }, who());
    for (const [token, hint] of [[access_token, 'refresh_token'], [refresh_token, 'access_token'], [refresh_token, 'something']])
        assert.equal((await ask('/oauth2/introspect', token, hint)).json.active, true, hint);
    for (const [token, hint] of [[access_token, 'refresh_token'], [refresh_token, 'access_token']]) {
        assert.equal((await ask('/oauth2/revoke', token, hint)).status, 200);
        assert.equal((await ask('/oauth2/introspect', token)).json.active, false, hint);
    }
});

// RFC 9470 section 6.2
test('introspection tells when and how the person logged in', async () => {
    const { access_token } = await tokens();
    const { json, headers } = await post(s, '/oauth2/introspect', { token: access_token }, who());
    assert.equal(headers['cache-control'], 'no-store');
    const c = claims(access_token);
    assert.deepEqual([json.auth_time, json.acr, json.amr], [c.auth_time, 'urn:sallyport:acr:password', ['pwd']]);
    assert.ok(Math.abs(c.auth_time - Date.now() / 1000) < 600);
});

// RFC 9068 sections 2.1 and 2.2
test('an access token of each grant has the claims of the profile', async () => {
    const first = await tokens({ scope: 'openid documents:read' });
    const refreshed = (await post(s, '/oauth2/token', { grant_type: 'refresh_token', refresh_token: first.refresh_token }, who())).json;
    const own = (await post(s, '/oauth2/token', { grant_type: 'client_credentials', scope: 'documents:read' }, who())).json;
    for (const t of [first, refreshed, own]) {
        const c = claims(t.access_token);
        assert.equal(header(t.access_token).typ, 'at+jwt');
        assert.notEqual(header(t.access_token).alg, 'none');
        for (const name of ['iss', 'exp', 'aud', 'sub', 'client_id', 'iat', 'jti', 'scope']) assert.ok(name in c, name);
        assert.equal(c.exp - c.iat, t.expires_in);
        assert.equal(c.client_id, 'shop');
        assert.equal(c.scope, t.scope);
    }
    const a = claims(first.access_token), b = claims(refreshed.access_token);
    assert.deepEqual([b.sub, b.auth_time, b.acr, b.amr, b.scope], [a.sub, a.auth_time, a.acr, a.amr, a.scope]);
    assert.notEqual(a.jti, b.jti);
    assert.equal(claims(own.access_token).sub, 'shop');
    assert.equal(claims(own.access_token).auth_time, undefined);
});

// RFC 9126 sections 2.1 and 4, RFC 9449 section 10.1
test('a pushed request has no request_uri in it, one key, and beats what the browser says besides', async () => {
    const { params, verifier } = asks();
    const push = (more, headers = {}) => post(s, '/oauth2/par', { ...params, ...more }, { ...who(), ...headers });
    const pushed = await push({}), uri = pushed.json.request_uri;
    assert.deepEqual([pushed.status, pushed.headers['cache-control'], pushed.json.expires_in], [201, 'no-store', 90]);
    oauthRefused(await push({ request_uri: uri }), 400, 'invalid_request');
    const proof = async (nonce) => push({ dpop_jkt: new Key().thumbprint }, { dpop: key.proof('POST', '/oauth2/par', { nonce }) });
    let r = await proof();
    if (r.headers['dpop-nonce']) r = await proof(r.headers['dpop-nonce']);
    oauthRefused(r, 400, 'invalid_dpop_proof');
    assert.equal((await new Visitor(s).authorize({ client_id: 'other', request_uri: uri })).status, 400, 'another client');
    const back = await new Visitor(s).signIn({ client_id: 'shop', request_uri: uri, state: 'changed', scope: 'documents:read', redirect_uri: 'https://evil.example/' }, 'alice');
    assert.equal(back.state, 'x');
    assert.equal((await redeem(back.code, verifier)).json.scope, 'openid');
});

// RFC 6749 section 10.2, RFC 8252 section 8.6, OWASP ASVS 10.7.1
test('a public client whose address any program can take is asked for each time; one on the web is remembered', async () => {
    const native = ['com.example.app:/cb', 'http://127.0.0.1/cb'], web = 'https://app.example.test/cb';
    await addClient(s, 'app', '--public', '--grant', 'authorization_code', '--scope', 'openid', ...[...native, web].flatMap((uri) => ['--redirect-uri', uri]));
    const v = new Visitor(s);
    const login = await v.authorize(asks({ client_id: 'app', redirect_uri: web }).params);
    const consent = await v.login(login, 'alice');
    assert.equal(readForm(consent).action, '/oauth2/consent');
    assert.ok(sentBack(await v.submit(consent, { decision: 'allow' }), web).code);
    assert.ok(sentBack(await v.authorize(asks({ client_id: 'app', redirect_uri: web }).params), web).code, 'remembered');
    for (const redirect_uri of [...native, 'http://127.0.0.1:49152/cb']) {
        for (let i = 0; i < 2; i++) {
            const page = await v.authorize(asks({ client_id: 'app', redirect_uri }).params);
            assert.equal(readForm(page)?.action, '/oauth2/consent', redirect_uri);
            const back = await v.submit(page, { decision: 'allow' });
            assert.equal(back.status, 303);
            assert.ok(back.headers.location.startsWith(`${redirect_uri}?code=`), back.headers.location);
        }
        const silent = await v.authorize(asks({ client_id: 'app', redirect_uri, prompt: 'none' }).params);
        assert.match(silent.headers.location, /[?&]error=consent_required&/);
    }
});

// RFC 9700 section 4.12
test('a browser that has posted a password is sent on by 303, which forgets the body', async () => {
    const v = new Visitor(s);
    const form = readForm(await v.authorize(asks().params));
    const r = await post(s, form.action, { ...form.fields, username: 'alice', password: PASSWORD }, { origin: ISSUER });
    assert.equal(r.status, 303);
    assert.equal(r.text, '');
    assert.ok(!r.headers.location.includes('correct'));
});

// OWASP ASVS 7.4.4
test('who finds somebody else signed in gets out by a link, and the next one in by a password', async () => {
    await s.addUser('bob');
    const v = new Visitor(s);
    await v.signIn(asks().params, 'alice');
    const page = await v.authorize(asks({ prompt: 'consent', client_id: 'app', redirect_uri: 'https://app.example.test/cb' }).params);
    const link = /<a href="(\w+)">Sign out<\/a>/.exec(page.text)[1];
    const done = await v.submit(await v.get(`/oauth2/${link}`));
    assert.match(done.text, /You are signed out/);
    assert.equal(v.sso, undefined);
    assert.ok((await v.signIn(asks().params, 'bob')).code);
});

// RP-Initiated Logout sections 2 and 3
test('signing out by POST is as by GET; a hint of another client is a question; an address without a client leads nowhere', async () => {
    const v = new Visitor(s);
    const { id_token } = await tokens({}, v);
    const bye = 'https://shop.example.test/bye';
    assert.equal(readForm(await v.get(`/oauth2/logout?${encode({ id_token_hint: id_token, client_id: 'other' })}`)).action, '/oauth2/logout');
    assert.equal(readForm(await v.get(`/oauth2/logout?${encode({ id_token_hint: `${id_token.slice(0, -4)}AAAA` })}`)).action, '/oauth2/logout');
    const stays = await v.submit(await v.get(`/oauth2/logout?${encode({ post_logout_redirect_uri: bye })}`));
    assert.deepEqual([stays.status, stays.headers.location], [200, undefined]);
    await v.signIn(asks().params, 'alice');
    const out = await v.post('/oauth2/logout', { id_token_hint: (await tokens({}, v)).id_token, post_logout_redirect_uri: bye, state: 'y z' });
    assert.deepEqual(sentBack(out, bye), { state: 'y z' });
    assert.equal(v.sso, undefined);
});

// RFC 9449 sections 5, 7.1 and 8
test('DPoP: what a server answers to a proof that is missing, wrong or without its nonce', async () => {
    const demanding = await Server.start({ 'oauth.dpop_nonce': 'true' });
    try {
        const c = await addClient(demanding, 'job', '--grant', 'client_credentials', '--require-dpop', '--scope', 'documents:read');
        const ask = (dpop) => post(demanding, '/oauth2/token', { grant_type: 'client_credentials' }, { ...basicAuth(c.id, c.secret), ...(dpop ? { dpop } : {}) });
        oauthRefused(await ask(), 400, 'invalid_dpop_proof');
        oauthRefused(await ask('junk'), 400, 'invalid_dpop_proof');
        const without = await ask(key.proof('POST', '/oauth2/token'));
        oauthRefused(without, 400, 'use_dpop_nonce');
        const nonce = without.headers['dpop-nonce'];
        assert.match(nonce, /^[\x21\x23-\x5b\x5d-\x7e]+$/);
        oauthRefused(await ask(key.proof('POST', '/oauth2/token', { nonce: 'A'.repeat(nonce.length) })), 400, 'use_dpop_nonce');
        const proof = key.proof('POST', '/oauth2/token', { nonce });
        const good = await ask(proof);
        assert.deepEqual([good.status, good.json?.token_type, claims(good.json.access_token).cnf], [200, 'DPoP', { jkt: key.thumbprint }]);
        oauthRefused(await ask(proof), 400, 'invalid_dpop_proof', 'again');
        const bare = await demanding.get('/auth/me', good.json.access_token);
        assert.equal(bare.status, 401);
        assert.match(bare.headers['www-authenticate'], /DPoP realm="sallyport".*algs="[^"]*ES256/);
        const told = await post(demanding, '/oauth2/introspect', { token: good.json.access_token }, basicAuth(c.id, c.secret));
        assert.deepEqual([told.json.active, told.json.token_type, told.json.cnf], [true, 'DPoP', { jkt: key.thumbprint }]);
    } finally { await demanding.stop(); }
});

// OWASP ASVS 6.3.2
test('a new server knows nobody', async () => {
    const fresh = await Server.start();
    try {
        assert.deepEqual(await fresh.ask('user', 'list'), []);
        assert.deepEqual(await fresh.ask('client', 'list'), []);
        for (const username of ['admin', 'root', 'sallyport', 'sa']) assert.equal((await fresh.post('/auth/login', { username, password: username })).status, 401);
    } finally { await fresh.stop(); }
});
