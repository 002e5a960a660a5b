// express-oauth2-jwt-bearer, strict: it takes only what is an access token by RFC 9068, and checks DPoP itself.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import express from 'express';
import { auth, requiredScopes } from 'express-oauth2-jwt-bearer';
import * as oauth from 'oauth4webapi';

import { addClient, API, listen, startServer, stopAll, tokensOf, USUAL } from './person.mjs';

let s, shop, api, tokens;
before(async () => {
    s = await startServer();
    shop = await addClient(s, 'shop', ...USUAL);
    tokens = await tokensOf(s, shop);
    const issuerBaseURL = s.issuer, audience = API;
    const app = express();
    app.use(auth({ issuerBaseURL, audience, strict: true, dpop: { enabled: true } }));
    app.get('/documents', requiredScopes('documents:read'), (req, res) => res.json(req.auth.payload));
    app.delete('/documents', requiredScopes('documents:write'), (req, res) => res.json({}));
    app.use((error, req, res, next) => { res.status(error.status ?? 500).set(error.headers).json({ error: error.code }); void next; });
    api = await listen(app);
});
after(() => stopAll(s));

const ask = (token, method = 'GET') => fetch(`${api.url}/documents`, { method, headers: { authorization: `Bearer ${token}` } });

test('express-oauth2-jwt-bearer: an access token opens, a scope that it has not does not', async () => {
    const r = await ask(tokens.access_token);
    assert.equal(r.status, 200);
    assert.equal((await r.json()).client_id, 'shop');
    const denied = await ask(tokens.access_token, 'DELETE');
    assert.deepEqual([denied.status, (await denied.json()).error], [403, 'insufficient_scope']);
});

test('express-oauth2-jwt-bearer: an id_token, and a token for somebody else, are refused', async () => {
    await s.cli(['client', 'add', 'other', '--grant', 'client_credentials', '--audience', 'https://other.example.test']);
    const other = (await s.ask('client', 'rotate-secret', 'other')).client_secret;
    const body = new URLSearchParams({ grant_type: 'client_credentials', client_id: 'other', client_secret: other });
    const elsewhere = await (await fetch(`${s.issuer}/oauth2/token`, { method: 'POST', body })).json();
    for (const token of [tokens.id_token, elsewhere.access_token, 'junk']) {
        const r = await ask(token);
        assert.deepEqual([r.status, (await r.json()).error], [401, 'invalid_token']);
    }
});

test('express-oauth2-jwt-bearer: a token that is bound to a key (DPoP)', async () => {
    const client = { client_id: 'shop' }, http = { [oauth.allowInsecureRequests]: true };
    const as = await oauth.processDiscoveryResponse(new URL(s.issuer), await oauth.discoveryRequest(new URL(s.issuer), http));
    const DPoP = oauth.DPoP(client, await oauth.generateKeyPair('ES256'));
    const grant = async () => oauth.processClientCredentialsResponse(as, client,
        await oauth.clientCredentialsGrantRequest(as, client, oauth.ClientSecretBasic(shop.secret), { scope: 'documents:read' }, { ...http, DPoP }));
    const { access_token } = await grant().catch((error) => (oauth.isDPoPNonceError(error) ? grant() : Promise.reject(error)));
    const target = new URL(`${api.url}/documents`);
    assert.equal((await oauth.protectedResourceRequest(access_token, 'GET', target, undefined, undefined, { ...http, DPoP })).status, 200);
    const stranger = oauth.DPoP(client, await oauth.generateKeyPair('ES256'));
    await assert.rejects(oauth.protectedResourceRequest(access_token, 'GET', target, undefined, undefined, { ...http, DPoP: stranger }), { code: oauth.WWW_AUTHENTICATE_CHALLENGE, status: 401 });
    assert.equal((await ask(access_token)).status, 401);
});
