// @badgateway/oauth2-client: finds the endpoints by itself (RFC 8414).
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { generateCodeVerifier, OAuth2Client } from '@badgateway/oauth2-client';

import { addClient, API, CALLBACK, Person, startServer, USUAL } from './person.mjs';

let s, shop, client;
before(async () => {
    s = await startServer();
    shop = await addClient(s, 'shop', ...USUAL);
    const issuer = s.issuer;
    const clientId = shop.id, clientSecret = shop.secret;
    client = new OAuth2Client({ server: issuer, clientId, clientSecret });
});
after(() => s.stop());

test('@badgateway/oauth2-client: client credentials, introspection, a wrong secret', async () => {
    const token = await client.clientCredentials({ scope: ['documents:read'], resource: API });
    const told = await client.introspect(token);
    assert.deepEqual([told.active, told.client_id, told.aud, told.scope], [true, 'shop', API, 'documents:read']);
    const wrong = new OAuth2Client({ server: s.issuer, clientId: 'shop', clientSecret: 'wrong' });
    await assert.rejects(wrong.clientCredentials(), { oauth2Code: 'invalid_client', httpCode: 401 });
});

test('@badgateway/oauth2-client: the authorization code with PKCE, refresh, revocation', async () => {
    const redirectUri = CALLBACK, codeVerifier = await generateCodeVerifier(), state = 'x'.repeat(16);
    const url = await client.authorizationCode.getAuthorizeUri({ redirectUri, state, codeVerifier, scope: ['openid', 'profile'] });
    const back = await new Person().signIn(url, CALLBACK);
    const first = await client.authorizationCode.getTokenFromCodeRedirect(back.href, { redirectUri, state, codeVerifier });
    assert.ok(first.idToken);
    const second = await client.refreshToken(first);
    assert.equal((await client.introspect(second)).username, 'alice');
    await client.revoke(second, 'refresh_token');
    assert.equal((await client.introspect(second)).active, false);
    await assert.rejects(client.refreshToken(second), { oauth2Code: 'invalid_grant' });
});
