// simple-oauth2: client credentials, and the authorization code.
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { after, before, test } from 'node:test';

import { AuthorizationCode, ClientCredentials } from 'simple-oauth2';

import { addClient, API, CALLBACK, Person, startServer, USUAL } from './person.mjs';

let s, config, machine;
before(async () => {
    s = await startServer();
    const issuer = s.issuer, { id, secret } = await addClient(s, 'shop', ...USUAL);
    machine = { client: { id, secret }, auth: { tokenHost: issuer, tokenPath: '/oauth2/token' } };
    config = {
        client: { id, secret },
        auth: { tokenHost: issuer, tokenPath: '/oauth2/token', authorizePath: '/oauth2/authorize', revokePath: '/oauth2/revoke' },
    };
});
after(() => s.stop());

test('simple-oauth2: client credentials; a wrong secret', async () => {
    const { token } = await new ClientCredentials(machine).getToken({ scope: 'documents:read', resource: API });
    assert.deepEqual([token.token_type, token.scope, token.refresh_token], ['Bearer', 'documents:read', undefined]);
    await assert.rejects(new ClientCredentials({ ...machine, client: { ...machine.client, secret: 'wrong' } }).getToken({}),
        (e) => e.output.statusCode === 401 && e.data.payload.error === 'invalid_client');
});

test('simple-oauth2: the authorization code with PKCE, refresh, revocation', async () => {
    const redirect_uri = CALLBACK, client = new AuthorizationCode(config);
    const code_verifier = randomBytes(32).toString('base64url'), state = randomBytes(16).toString('base64url');
    const code_challenge = createHash('sha256').update(code_verifier).digest('base64url');
    const url = client.authorizeURL({ redirect_uri, scope: 'openid profile documents:read', state, code_challenge, code_challenge_method: 'S256' });
    const back = (await new Person().signIn(url, CALLBACK)).searchParams;
    assert.equal(back.get('state'), state);
    const first = await client.getToken({ code: back.get('code'), redirect_uri, code_verifier });
    const second = await first.refresh();
    assert.notEqual(second.token.refresh_token, first.token.refresh_token);
    const info = (token) => fetch(`${s.issuer}/oauth2/userinfo`, { headers: { authorization: `Bearer ${token.token.access_token}` } });
    assert.equal((await (await info(second)).json()).preferred_username, 'alice');
    await second.revoke('refresh_token');
    assert.equal((await info(second)).status, 401);
    await assert.rejects(second.refresh(), (e) => e.data.payload.error === 'invalid_grant');
    await assert.rejects(client.getToken({ code: back.get('code'), redirect_uri, code_verifier }), (e) => e.data.payload.error === 'invalid_grant');
});

test('simple-oauth2: a secret of one\'s own with other characters than letters and digits', async () => {
    const client = { id: 'special', secret: 'a+b%2Bc:d/e=f&g"h\'i!j~k*l(m)n%zz' };
    const r = await s.cli(['client', 'add', client.id, ...USUAL, '--secret-stdin'], { input: `${client.secret}\n` });
    assert.equal(r.status, 0, r.stderr);
    const ask = (options) => new ClientCredentials({ ...machine, client, options }).getToken({});
    assert.equal((await ask()).token.token_type, 'Bearer');
    await ask({ authorizationMethod: 'body' });
    await assert.rejects(ask({ credentialsEncodingMode: 'loose' }), (e) => e.data.payload.error === 'invalid_client'); // not as RFC 6749 section 2.3.1 wants it
});
