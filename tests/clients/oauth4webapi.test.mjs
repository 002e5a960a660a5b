// oauth4webapi: all that the server says of itself in its discovery document; DPoP with a nonce for each request.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import * as oauth from 'oauth4webapi';

import { addClient, API, BYE, CALLBACK, listen, Person, startServer, stopAll, USUAL } from './person.mjs';

const http = { [oauth.allowInsecureRequests]: true }; // the test server is on loopback, without TLS
const client = { client_id: 'shop' };
const person = new Person();
let s, api, issuer, as, secret, audience;
const auth = () => oauth.ClientSecretBasic(secret);

before(async () => {
    s = await startServer({ 'oauth.dpop_nonce': 'true' });
    issuer = new URL(s.issuer);
    audience = API;
    ({ secret } = await addClient(s, 'shop', ...USUAL));
    as = await oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, http));
    // A resource server: its requests as the standard's objects.
    api = await listen(async (req, res) => {
        const request = new Request(`${api.url}${req.url}`, { method: req.method, headers: req.headers });
        try {
            const claims = await oauth.validateJwtAccessToken(as, request, audience, http);
            res.end(JSON.stringify(claims));
        } catch { res.writeHead(401, { 'www-authenticate': 'DPoP' }).end(); }
    });
});
after(() => stopAll(s));

test('oauth4webapi: both discovery documents are taken, and say the same', async () => {
    const plain = await oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, { ...http, algorithm: 'oauth2' }));
    assert.deepEqual(plain, as);
    for (const end of ['authorization', 'token', 'pushed_authorization_request', 'revocation', 'introspection', 'userinfo', 'end_session']) assert.ok(as[`${end}_endpoint`], end);
});

// Once more when a nonce is asked for.
async function withNonce(request, process) {
    try {
        return await process(await request());
    } catch (error) {
        if (!oauth.isDPoPNonceError(error)) throw error;
        return process(await request());
    }
}

async function push(DPoP) {
    const state = oauth.generateRandomState(), nonce = oauth.generateRandomNonce(), code_verifier = oauth.generateRandomCodeVerifier();
    const parameters = { response_type: 'code', redirect_uri: CALLBACK, scope: 'openid profile documents:read', state, nonce,
        code_challenge: await oauth.calculatePKCECodeChallenge(code_verifier), code_challenge_method: 'S256' };
    const { request_uri } = await withNonce(() => oauth.pushedAuthorizationRequest(as, client, auth(), parameters, { ...http, DPoP }),
        (r) => oauth.processPushedAuthorizationResponse(as, client, r));
    const url = new URL(as.authorization_endpoint);
    url.search = new URLSearchParams({ client_id: client.client_id, request_uri });
    return { url, state, nonce, code_verifier };
}

async function signIn(DPoP) {
    const { url, state, nonce, code_verifier } = await push(DPoP);
    const params = oauth.validateAuthResponse(as, client, await person.signIn(url.href, CALLBACK), state); // checks iss
    return withNonce(() => oauth.authorizationCodeGrantRequest(as, client, auth(), params, CALLBACK, code_verifier, { ...http, DPoP }), async (r) => {
        const tokens = await oauth.processAuthorizationCodeResponse(as, client, r, { expectedNonce: nonce, requireIdToken: true });
        await oauth.validateApplicationLevelSignature(as, r, http);
        return tokens;
    });
}

async function introspect(token) {
    return { ...await oauth.processIntrospectionResponse(as, client, await oauth.introspectionRequest(as, client, auth(), token, http)) };
}

test('oauth4webapi: PAR, code, PKCE, DPoP with nonces, id_token, userinfo, refresh, introspection, revocation, sign-out', async () => {
    const DPoP = oauth.DPoP(client, await oauth.generateKeyPair('ES256'));
    const tokens = await signIn(DPoP);
    assert.equal(tokens.token_type, 'dpop');
    const { sub, acr, amr } = oauth.getValidatedIdTokenClaims(tokens);
    assert.deepEqual([acr, amr], ['urn:sallyport:acr:password', ['pwd']]);

    const info = await withNonce(() => oauth.userInfoRequest(as, client, tokens.access_token, { ...http, DPoP }), (r) => oauth.processUserInfoResponse(as, client, sub, r));
    assert.equal(info.preferred_username, 'alice');

    const ask = (key, token) => oauth.protectedResourceRequest(token, 'GET', new URL(`${api.url}/documents`), undefined, undefined, { ...http, DPoP: key });
    const claims = await (await ask(DPoP, tokens.access_token)).json();
    assert.deepEqual([claims.sub, claims.client_id, claims.aud, claims.scope.split(' ').includes('documents:read')], [sub, 'shop', API, true]);

    const fresh = await withNonce(() => oauth.refreshTokenGrantRequest(as, client, auth(), tokens.refresh_token, { ...http, DPoP }),
        (r) => oauth.processRefreshTokenResponse(as, client, r));
    assert.notEqual(fresh.refresh_token, tokens.refresh_token);
    assert.equal((await introspect(fresh.access_token)).cnf.jkt, await DPoP.calculateThumbprint());
    await oauth.processRevocationResponse(await oauth.revocationRequest(as, client, auth(), fresh.refresh_token, http));
    assert.deepEqual(await introspect(fresh.access_token), { active: false });

    const end = new URL(as.end_session_endpoint);
    end.search = new URLSearchParams({ id_token_hint: tokens.id_token, post_logout_redirect_uri: BYE, state: 'kept' });
    assert.equal((await person.open(end.href, BYE)).url, `${BYE}?state=kept`);
});

test('oauth4webapi: a bound token is nothing with another key, or none', async () => {
    const DPoP = oauth.DPoP(client, await oauth.generateKeyPair('ES256')), stranger = oauth.DPoP(client, await oauth.generateKeyPair('ES256'));
    const { access_token } = await signIn(DPoP);
    for (const key of [stranger, undefined]) {
        await assert.rejects(withNonce(() => oauth.userInfoRequest(as, client, access_token, { ...http, DPoP: key }), (r) => oauth.processUserInfoResponse(as, client, oauth.skipSubjectCheck, r)),
            { code: oauth.WWW_AUTHENTICATE_CHALLENGE });
        await assert.rejects(oauth.protectedResourceRequest(access_token, 'GET', new URL(api.url), undefined, undefined, { ...http, DPoP: key }), { code: oauth.WWW_AUTHENTICATE_CHALLENGE });
    }
});

test('oauth4webapi: client credentials; a wrong secret', async () => {
    const grant = async (how) => oauth.processClientCredentialsResponse(as, client, await oauth.clientCredentialsGrantRequest(as, client, how, { scope: 'documents:read' }, http));
    for (const how of [oauth.ClientSecretBasic(secret), oauth.ClientSecretPost(secret)]) assert.equal((await grant(how)).scope, 'documents:read');
    for (const how of [oauth.ClientSecretPost('wrong'), oauth.None()]) await assert.rejects(grant(how), { error: 'invalid_client', status: 401 });
    // Who showed it in the header is told of the scheme (RFC 6749 section 5.2).
    await assert.rejects(grant(oauth.ClientSecretBasic('wrong')), (e) => e.code === oauth.WWW_AUTHENTICATE_CHALLENGE && e.cause[0].scheme === 'basic');
});

test('oauth4webapi: a private key instead of a secret (RFC 7523)', async () => {
    const keys = await oauth.generateKeyPair('ES256', { extractable: true });
    await s.cli(['client', 'add', 'machine', '--auth-method', 'private_key_jwt', '--jwks-file', s.file('machine.jwk', { ...await crypto.subtle.exportKey('jwk', keys.publicKey), kid: 'one' }),
        '--grant', 'client_credentials', '--scope', 'documents:read', '--audience', API]);
    const machine = { client_id: 'machine', [oauth.clockSkew]: 5 }; // what was made before the server's start, with a clock five seconds ahead, is refused
    const grant = async (key) => oauth.processClientCredentialsResponse(as, machine,
        await oauth.clientCredentialsGrantRequest(as, machine, oauth.PrivateKeyJwt({ key: key.privateKey, kid: 'one' }), { scope: 'documents:read' }, http));
    assert.equal((await grant(keys)).token_type, 'bearer');
    await assert.rejects(grant(await oauth.generateKeyPair('ES256')), { error: 'invalid_client' });
});
