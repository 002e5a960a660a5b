// openid-client: the same flows as with oauth4webapi, in its words.
import assert from 'node:assert/strict';
import { request } from 'node:http';
import { after, before, test } from 'node:test';

import * as client from 'openid-client';

import { addClient, API, BYE, CALLBACK, listen, Person, startServer, USUAL } from './person.mjs';

const http = [undefined, { execute: [client.allowInsecureRequests] }]; // the test server is on loopback, without TLS
const redirect_uri = CALLBACK, clientId = 'shop';
let s, issuer, config, clientSecret;

before(async () => {
    s = await startServer();
    issuer = s.issuer;
    ({ secret: clientSecret } = await addClient(s, 'shop', ...USUAL));
    await addClient(s, 'spa', '--public', ...USUAL.filter((word, i) => word !== 'client_credentials' && USUAL[i + 1] !== 'client_credentials'));
    config = await client.discovery(new URL(issuer), clientId, clientSecret, ...http);
});
after(() => s.stop());

test('openid-client: a confidential client: code, userinfo, refresh, introspection, revocation, sign-out', async () => {
    client.enableNonRepudiationChecks(config); // the id_token's signature too
    const person = new Person();

    const code_verifier = client.randomPKCECodeVerifier(), state = client.randomState(), nonce = client.randomNonce();
    const url = client.buildAuthorizationUrl(config, {
        redirect_uri, scope: 'openid profile documents:read', state, nonce,
        code_challenge: await client.calculatePKCECodeChallenge(code_verifier), code_challenge_method: 'S256',
    });
    const currentUrl = await person.signIn(url.href, CALLBACK);
    const tokens = await client.authorizationCodeGrant(config, currentUrl, {
        pkceCodeVerifier: code_verifier, expectedState: state, expectedNonce: nonce, idTokenExpected: true,
    });

    const { sub } = tokens.claims();
    assert.deepEqual(tokens.scope.split(' ').sort(), ['documents:read', 'openid', 'profile']);
    assert.equal((await client.fetchUserInfo(config, tokens.access_token, sub)).preferred_username, 'alice');
    const fresh = await client.refreshTokenGrant(config, tokens.refresh_token);
    assert.equal(fresh.claims()?.sub ?? sub, sub);
    assert.equal((await client.tokenIntrospection(config, fresh.access_token)).username, 'alice');
    await client.tokenRevocation(config, fresh.refresh_token);
    assert.equal((await client.tokenIntrospection(config, fresh.access_token)).active, false);
    await assert.rejects(client.fetchUserInfo(config, fresh.access_token, sub), { code: 'OAUTH_WWW_AUTHENTICATE_CHALLENGE' });
    await assert.rejects(client.refreshTokenGrant(config, fresh.refresh_token), { error: 'invalid_grant' });
    const end = client.buildEndSessionUrl(config, { id_token_hint: tokens.id_token, post_logout_redirect_uri: BYE, state: 'kept' });
    assert.equal((await person.open(end.href, BYE)).url, `${BYE}?state=kept`);
});

test('openid-client: a public client: pushed request, and all that it gets is bound to a key', async () => {
    const spa = await client.discovery(new URL(issuer), 'spa', undefined, client.None(), http[1]);
    const DPoP = client.getDPoPHandle(spa, await client.randomDPoPKeyPair('ES256'));
    const pkceCodeVerifier = client.randomPKCECodeVerifier();
    const url = await client.buildAuthorizationUrlWithPAR(spa, { redirect_uri, scope: 'openid profile', code_challenge_method: 'S256',
        code_challenge: await client.calculatePKCECodeChallenge(pkceCodeVerifier) }, { DPoP });
    const tokens = await client.authorizationCodeGrant(spa, await new Person().signIn(url.href, CALLBACK), { pkceCodeVerifier }, undefined, { DPoP });
    const stranger = client.getDPoPHandle(spa, await client.randomDPoPKeyPair('ES256'));
    assert.equal(tokens.token_type, 'dpop');
    const { sub } = tokens.claims();
    assert.equal((await client.fetchUserInfo(spa, tokens.access_token, sub, { DPoP })).sub, sub);
    await assert.rejects(client.fetchUserInfo(spa, tokens.access_token, sub, { DPoP: stranger }), { code: 'OAUTH_WWW_AUTHENTICATE_CHALLENGE' });
    await assert.rejects(client.refreshTokenGrant(spa, tokens.refresh_token, undefined, { DPoP: stranger }), { error: 'invalid_grant' });
    assert.equal((await client.refreshTokenGrant(spa, tokens.refresh_token, undefined, { DPoP })).token_type, 'dpop');
});

test('openid-client: client credentials for one resource; another resource, a wrong secret', async () => {
    const tokens = await client.clientCredentialsGrant(config, { scope: 'documents:read', resource: API });
    assert.equal(tokens.expires_in, 900);
    await assert.rejects(client.clientCredentialsGrant(config, { resource: 'https://elsewhere.example.test' }), { error: 'invalid_target' });
    const wrong = await client.discovery(new URL(issuer), 'shop', 'wrong', ...http);
    await assert.rejects(client.clientCredentialsGrant(wrong), { error: 'invalid_client' });
});

test('openid-client: a private key instead of a secret (RFC 7523)', async () => {
    const { publicKey, privateKey } = await crypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, ['sign', 'verify']);
    const file = s.file('keys.jwks', { keys: [{ ...await crypto.subtle.exportKey('jwk', publicKey), kid: 'one' }] });
    await addClient(s, 'machine', '--auth-method', 'private_key_jwt', '--jwks-file', file, '--grant', 'client_credentials', '--scope', 'documents:read', '--audience', API);
    const by = (key) => client.discovery(new URL(issuer), 'machine', { [client.clockSkew]: 5 }, client.PrivateKeyJwt({ key, kid: 'one' }), http[1]);
    assert.equal((await client.clientCredentialsGrant(await by(privateKey), { scope: 'documents:read' })).scope, 'documents:read');
    const other = await crypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, ['sign', 'verify']);
    await assert.rejects(client.clientCredentialsGrant(await by(other.privateKey)), { error: 'invalid_client' });
});

test('openid-client: who does not allow it is sent back with access_denied; an answer of another issuer is not taken', async () => {
    const url = client.buildAuthorizationUrl(config, { redirect_uri, scope: 'openid', code_challenge: await client.calculatePKCECodeChallenge('x'.repeat(43)), code_challenge_method: 'S256',
        prompt: 'login consent', state: 's' });
    const person = new Person();
    const consent = await person.submit(await person.open(url.href), { username: person.username, password: person.password }, CALLBACK);
    const back = new URL((await person.submit(consent, { decision: 'deny' }, CALLBACK)).url);
    await assert.rejects(client.authorizationCodeGrant(config, back, { expectedState: 's', pkceCodeVerifier: 'x'.repeat(43) }), { error: 'access_denied' });
    back.searchParams.set('iss', 'https://mixed-up.example.test');
    await assert.rejects(client.authorizationCodeGrant(config, back, { expectedState: 's', pkceCodeVerifier: 'x'.repeat(43) }), (e) => e.code === 'OAUTH_INVALID_RESPONSE' && /"iss"/.test(e.cause.message));
});

// A whole sign-in; the claims of the id_token.
async function signIn(configuration, person, more = {}, checks = {}) {
    const pkceCodeVerifier = client.randomPKCECodeVerifier();
    const url = client.buildAuthorizationUrl(configuration, { redirect_uri, scope: 'openid profile', code_challenge: await client.calculatePKCECodeChallenge(pkceCodeVerifier),
        code_challenge_method: 'S256', ...more });
    const tokens = await client.authorizationCodeGrant(configuration, await person.signIn(url.href, CALLBACK), { pkceCodeVerifier, idTokenExpected: true, ...checks });
    return { ...tokens.claims(), name: (await client.fetchUserInfo(configuration, tokens.access_token, tokens.claims().sub)).preferred_username };
}

test('openid-client: max_age and prompt make a person sign in again; the id_token says when', async () => {
    const person = new Person();
    const first = await signIn(config, person, { max_age: '3600' }, { maxAge: 3600 });
    assert.ok(Math.abs(first.auth_time - Date.now() / 1000) < 60);
    const logins = () => person.forms.filter((f) => f === '/oauth2/login').length;
    assert.equal(logins(), 1);
    await signIn(config, person, { max_age: '3600' }, { maxAge: 3600 });
    assert.equal(logins(), 1);
    for (const more of [{ prompt: 'login' }, { prompt: 'select_account' }, { max_age: '0' }]) await signIn(config, person, more);
    assert.equal(logins(), 4);
    await assert.rejects(signIn(config, new Person(), { prompt: 'none' }), { error: 'login_required' });
    await assert.rejects(signIn(config, person, { acr_values: 'urn:example:second-factor' }), { error: 'unmet_authentication_requirements' });
});

for (const alg of ['RS256', 'PS256', 'EdDSA']) {
    test(`openid-client: tokens that are signed with ${alg}`, async (t) => {
        const other = await startServer({ 'tokens.alg': alg });
        t.after(() => other.stop());
        const { secret } = await addClient(other, clientId, ...USUAL);
        const configuration = await client.discovery(new URL(other.issuer), clientId, secret, ...http);
        client.enableNonRepudiationChecks(configuration);
        assert.equal((await signIn(configuration, new Person())).name, 'alice');
    });
}

test('openid-client: with HS256 there is OAuth without OpenID Connect', async (t) => {
    const other = await startServer({ 'tokens.alg': 'HS256' });
    t.after(() => other.stop());
    const { secret } = await addClient(other, clientId, ...USUAL);
    await assert.rejects(client.discovery(new URL(other.issuer), clientId, secret, ...http));
    const configuration = await client.discovery(new URL(other.issuer), clientId, secret, undefined, { ...http[1], algorithm: 'oauth2' });
    assert.equal((await client.clientCredentialsGrant(configuration, { scope: 'documents:read' })).scope, 'documents:read');
    await assert.rejects(signIn(configuration, new Person()), { error: 'invalid_scope' });
});

test('openid-client: an issuer with a path, behind a proxy that takes it off', async (t) => {
    const proxy = await listen((req, res) => { // as docs/oauth.md asks
        const to = request({ host: '127.0.0.1', port: other.port, method: req.method, path: req.url.replace(/^\/sso\//, '/'), headers: req.headers }, (r) => { res.writeHead(r.statusCode, r.rawHeaders); r.pipe(res); });
        req.pipe(to);
    });
    t.after(() => proxy.close());
    const path = `${proxy.url}/sso`;
    const other = await startServer({ 'tokens.issuer': path });
    t.after(() => other.stop());
    const { secret } = await addClient(other, clientId, ...USUAL);
    for (const algorithm of ['oidc', 'oauth2']) {
        const configuration = await client.discovery(new URL(path), clientId, secret, undefined, { ...http[1], algorithm });
        assert.equal(configuration.serverMetadata().token_endpoint, `${path}/oauth2/token`);
        const person = new Person();
        assert.equal((await signIn(configuration, person)).name, 'alice');
        assert.equal(person.forms[0], '/sso/oauth2/login');
    }
});
