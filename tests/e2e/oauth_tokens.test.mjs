// What the token endpoint depends on the configuration, the client's options and a restart for.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { PASSWORD, payload, Server } from './harness.mjs';
import { addClient, basicAuth, CALLBACK, Key, oauthRefused, pkce, post, Visitor } from './oauth.mjs';

async function shopAt(s, ...more) {
    await s.cli(['role', 'set', 'reader', 'documents:read', 'sallyport:admin']);
    await s.addUser('alice', ['reader']);
    return addClient(s, 'shop', '--trusted', '--grant', 'authorization_code', '--grant', 'refresh_token', '--grant', 'client_credentials', '--redirect-uri', CALLBACK,
        '--scope', 'openid', '--scope', 'documents:read', ...more);
}

// A session of the client, by way of the pages.
async function session(s, shop) {
    const p = pkce();
    const back = await new Visitor(s).signIn({ client_id: 'shop', response_type: 'code', redirect_uri: CALLBACK, scope: 'openid documents:read',
        code_challenge: p.challenge, code_challenge_method: 'S256' }, 'alice');
    const r = await post(s, '/oauth2/token', { grant_type: 'authorization_code', code: back.code, code_verifier: p.verifier, redirect_uri: CALLBACK }, basicAuth(shop.id, shop.secret));
    assert.equal(r.status, 200, r.text);
    return r.json;
}
const refresh = (s, shop, refresh_token) => post(s, '/oauth2/token', { grant_type: 'refresh_token', refresh_token }, basicAuth(shop.id, shop.secret));

// As far ahead as clocks may be: so it cannot be from before the server's start, for which a nonce would be asked in any case.
const fromNowOn = () => ({ iat: Math.floor(Date.now() / 1000) + 5 });
const ownToken = (s, shop, key, nonce) => post(s, '/oauth2/token', { grant_type: 'client_credentials' },
    { ...basicAuth(shop.id, shop.secret), dpop: key.proof('POST', '/oauth2/token', { nonce, ...fromNowOn() }) });

test('with oauth.dpop_nonce no proof is taken without a nonce', async () => {
    const s = await Server.start({ 'oauth.dpop_nonce': 'true' });
    try {
        const shop = await shopAt(s), key = new Key();
        const ask = (nonce) => ownToken(s, shop, key, nonce);
        const first = await ask();
        oauthRefused(first, 400, 'use_dpop_nonce');
        assert.match(first.headers['dpop-nonce'], /^[A-Za-z0-9_-]{22}$/);
        const second = await ask(first.headers['dpop-nonce']);
        assert.deepEqual([second.status, second.json.token_type], [200, 'DPoP'], second.text);
        assert.equal(payload(second.json.access_token).cnf.jkt, key.thumbprint);
        const login = await s.post('/auth/login', { username: 'alice', password: PASSWORD }, { dpop: key.proof('POST', '/auth/login', fromNowOn()) });
        assert.ok(login.headers['dpop-nonce'], login.text);
        assert.equal(login.status, 401);
        assert.equal((await s.post('/auth/login', { username: 'alice', password: PASSWORD })).status, 200); // and without any it is as ever
    } finally { await s.stop(); }
});

test('a client made with --no-rotate keeps its refresh token, through a restart', async () => {
    const s = await Server.start();
    try {
        const shop = await shopAt(s, '--no-rotate');
        assert.equal((await ownToken(s, shop, new Key())).status, 200); // no nonce is asked for by default
        const t = await session(s, shop);
        for (let i = 0; i < 3; i++) {
            const r = await refresh(s, shop, t.refresh_token);
            assert.equal(r.status, 200, r.text);
            assert.ok(r.json.refresh_token === undefined || r.json.refresh_token === t.refresh_token);
        }
        await s.restart();
        assert.equal((await refresh(s, shop, t.refresh_token)).status, 200);
        assert.equal((await s.audit('refresh_reuse_detected')).length, 0);
        assert.equal((await post(s, '/oauth2/revoke', { token: t.refresh_token }, basicAuth(shop.id, shop.secret))).status, 200);
        oauthRefused(await refresh(s, shop, t.refresh_token), 400, 'invalid_grant');
    } finally { await s.stop(); }
});

test('a token of a client cannot look after the account of its user, nor do what its scope does not name', async () => {
    const s = await Server.start();
    try {
        const shop = await shopAt(s);
        const { access_token: token } = await session(s, shop);
        const denied = (r) => assert.deepEqual([r.status, r.json?.code], [403, 'permission_denied'], r.text);
        denied(await s.get('/auth/sessions', token));
        denied(await s.post('/auth/logout-all', undefined, s.bearer(token)));
        denied(await s.post('/auth/password', { current_password: PASSWORD, new_password: 'another long enough one' }, s.bearer(token)));
        denied(await s.get('/admin/v1/users', token)); // alice may, this token may not
        assert.equal((await s.get('/auth/me', token)).status, 200);
        assert.equal((await s.get('/auth/verify?permission=documents:read', token)).status, 204);
        assert.equal((await s.post('/auth/login', { username: 'alice', password: PASSWORD })).status, 200); // the password is as it was
    } finally { await s.stop(); }
});

test('codes that come back are counted, and on record', async () => {
    const s = await Server.start();
    try {
        const shop = await shopAt(s), p = pkce();
        const back = await new Visitor(s).signIn({ client_id: 'shop', response_type: 'code', redirect_uri: CALLBACK, scope: 'openid',
            code_challenge: p.challenge, code_challenge_method: 'S256' }, 'alice');
        const redeem = () => post(s, '/oauth2/token', { grant_type: 'authorization_code', code: back.code, code_verifier: p.verifier, redirect_uri: CALLBACK }, basicAuth(shop.id, shop.secret));
        assert.equal((await redeem()).status, 200);
        oauthRefused(await redeem(), 400, 'invalid_grant');
        const [record] = await s.audit('code_replayed');
        assert.equal(record.outcome, 'alarm');
        const metrics = (await s.admin('GET', '/metrics')).text;
        assert.match(metrics, /^sallyport_oauth_codes_redeemed_total 1$/m);
        assert.match(metrics, /^sallyport_oauth_code_replays_total 1$/m);
    } finally { await s.stop(); }
});
