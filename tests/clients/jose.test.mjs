// jose: an API that checks access tokens and id_tokens with the published keys, and nothing else.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { createRemoteJWKSet, decodeJwt, jwtVerify } from 'jose';

import { addClient, API, listen, startServer, tokensOf, USUAL } from './person.mjs';

let s, issuer, shop, tokens;
before(async () => {
    s = await startServer();
    issuer = s.issuer;
    shop = await addClient(s, 'shop', ...USUAL);
    tokens = await tokensOf(s, shop);
});
after(() => s.stop());

test('jose: an access token (RFC 9068) and an id_token, each only as what it is', async () => {
    const audience = API;
    const keys = createRemoteJWKSet(new URL(`${issuer}/.well-known/jwks.json`));
    const check = (token) => jwtVerify(token, keys, { issuer, audience, typ: 'at+jwt' });

    const { payload, protectedHeader } = await check(tokens.access_token);
    assert.equal(protectedHeader.alg, 'ES256');
    assert.deepEqual([payload.client_id, payload.permissions, payload.scope.split(' ').includes('documents:read')], ['shop', ['documents:read'], true]);
    const id = await jwtVerify(tokens.id_token, keys, { issuer, audience: 'shop', typ: 'JWT' });
    assert.equal(id.payload.sub, payload.sub);

    await assert.rejects(check(tokens.id_token), { code: 'ERR_JWT_CLAIM_VALIDATION_FAILED' });
    await assert.rejects(jwtVerify(tokens.access_token, keys, { issuer, audience: 'https://other.example.test', typ: 'at+jwt' }), { claim: 'aud' });
    await assert.rejects(jwtVerify(tokens.access_token, keys, { issuer: 'https://other.example.test', audience, typ: 'at+jwt' }), { claim: 'iss' });
    await assert.rejects(check(tokens.access_token.replace(/\..*\./, (m) => m.replace(/.\.$/, (x) => (x[0] === 'A' ? 'Q.' : 'A.')))), { code: /JWS/ });
});

test('jose: a logout token, of a session that has ended (OpenID Connect Back-Channel Logout)', async () => {
    const received = [], clientId = 'listener';
    const receiver = await listen(async (req, res) => {
        const chunks = [];
        for await (const chunk of req) chunks.push(chunk);
        received.push(new URLSearchParams(String(Buffer.concat(chunks))).get('logout_token'));
        res.end();
        arrived();
    });
    let arrived;
    const comes = new Promise((done) => { arrived = done; });
    const listener = await addClient(s, clientId, ...USUAL, '--backchannel-logout-uri', `${receiver.url}/backchannel`);
    const { id_token } = await tokensOf(s, listener);
    await s.ask('session', 'revoke', decodeJwt(id_token).sid);
    await comes;
    receiver.close();
    const keys = createRemoteJWKSet(new URL(`${issuer}/.well-known/jwks.json`));

    const { payload } = await jwtVerify(received[0], keys, { issuer, audience: clientId, typ: 'logout+jwt', requiredClaims: ['sid', 'events', 'jti'] });
    assert.equal(payload.sid, decodeJwt(id_token).sid);
    await assert.rejects(jwtVerify(received[0], keys, { issuer, audience: 'shop', typ: 'logout+jwt' }), { claim: 'aud' });
    await assert.rejects(jwtVerify(id_token, keys, { issuer, audience: clientId, typ: 'logout+jwt' }), { claim: 'typ' });
});

test('jose: a new key is found when it comes', async () => {
    const keys = createRemoteJWKSet(new URL(`${issuer}/.well-known/jwks.json`), { cooldownDuration: 0 });
    await jwtVerify(tokens.access_token, keys, { issuer, audience: API });
    await s.ask('key', 'rotate', '--immediately');
    const fresh = await tokensOf(s, shop);
    await jwtVerify(fresh.access_token, keys, { issuer, audience: API });
    await jwtVerify(tokens.access_token, keys, { issuer, audience: API });
});
