// An application that is a page and nothing else: oauth4webapi in the browser, a public client, tokens bound to a key that never leaves it.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

import { listen } from './person.mjs';

const library = readFileSync(createRequire(import.meta.url).resolve('oauth4webapi'), 'utf8');

// Runs in the page. What came of it: window.result.
async function run(issuerText) {
    const oauth = await import('/oauth4webapi.js');
    const http = { [oauth.allowInsecureRequests]: true }, client = { client_id: 'spa' }, issuer = new URL(issuerText), redirect_uri = location.origin + location.pathname;
    const as = await oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, http));
    if (!location.search) {
        const verifier = oauth.generateRandomCodeVerifier(), state = oauth.generateRandomState();
        sessionStorage.setItem('verifier', verifier);
        sessionStorage.setItem('state', state);
        const url = new URL(as.authorization_endpoint);
        url.search = new URLSearchParams({ client_id: 'spa', response_type: 'code', redirect_uri, scope: 'openid profile', state,
            code_challenge: await oauth.calculatePKCECodeChallenge(verifier), code_challenge_method: 'S256' });
        location.assign(url);
        return;
    }
    const DPoP = oauth.DPoP(client, await oauth.generateKeyPair('ES256'));
    const withNonce = async (request, process) => {
        try {
            return await process(await request());
        } catch (error) {
            if (!oauth.isDPoPNonceError(error)) throw error;
            return process(await request());
        }
    };
    const params = oauth.validateAuthResponse(as, client, new URL(location.href), sessionStorage.getItem('state'));
    const tokens = await withNonce(() => oauth.authorizationCodeGrantRequest(as, client, oauth.None(), params, redirect_uri, sessionStorage.getItem('verifier'), { ...http, DPoP }),
        (r) => oauth.processAuthorizationCodeResponse(as, client, r));
    const fresh = await withNonce(() => oauth.refreshTokenGrantRequest(as, client, oauth.None(), tokens.refresh_token, { ...http, DPoP }), (r) => oauth.processRefreshTokenResponse(as, client, r));
    const who = () => withNonce(() => oauth.userInfoRequest(as, client, fresh.access_token, { ...http, DPoP }),
        (r) => oauth.processUserInfoResponse(as, client, oauth.getValidatedIdTokenClaims(tokens).sub, r));
    const info = await who();
    await oauth.processRevocationResponse(await oauth.revocationRequest(as, client, oauth.None(), fresh.refresh_token, http));
    const ended = await who().then(() => 'still good', (error) => error.code);
    window.result = { type: tokens.token_type, name: info.preferred_username, ended };
}

// {url, close(), issuer: to be set}
export async function listenSpa() {
    const spa = await listen((req, res) => {
        if (req.url === '/oauth4webapi.js') res.writeHead(200, { 'content-type': 'text/javascript' }).end(library);
        else res.writeHead(200, { 'content-type': 'text/html' }).end(`<!doctype html><title>spa</title><script type="module">${run}\nrun(${JSON.stringify(spa.issuer)}).catch((e) => { window.result = { error: \`\${e} \${e.cause}\` }; });</script>`);
    });
    return spa;
}
