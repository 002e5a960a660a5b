// Applications that are a page and nothing else: public clients in the browser, with tokens that are bound to a key that never leaves it.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';

import { listen } from './person.mjs';

const { resolve } = createRequire(import.meta.url);
const libraries = {
    '/oauth4webapi.js': readFileSync(resolve('oauth4webapi'), 'utf8'),
    '/oidc-client-ts.js': readFileSync(path.join(path.dirname(resolve('oidc-client-ts/package.json')), 'dist/browser/oidc-client-ts.min.js'), 'utf8'),
};

// These two run in the page. What came of it: window.result.
async function withOauth4webapi(issuerText) {
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

async function withOidcClient(authority) {
    const { oidc } = window; // of the script before
    const redirect_uri = location.origin + location.pathname, parameters = new URLSearchParams(location.search);
    const manager = new oidc.UserManager({
        authority, client_id: 'spa', redirect_uri, post_logout_redirect_uri: redirect_uri, scope: 'openid profile',
        dpop: { bind_authorization_code: true, store: new oidc.IndexedDbDPoPStore() },
    });
    if (parameters.has('code')) {
        const user = await manager.signinCallback(), bound = user.token_type;
        const fresh = await manager.signinSilent();
        sessionStorage.setItem('seen', JSON.stringify({ name: user.profile.sub === fresh.profile.sub && fresh.profile.iss, bound, renewed: fresh.access_token !== user.access_token }));
        await manager.signoutRedirect();
    } else if (sessionStorage.getItem('seen')) {
        window.result = JSON.parse(sessionStorage.getItem('seen'));
    } else {
        await manager.signinRedirect();
    }
}

// {url, close(), issuer: to be set}
export async function listenSpa() {
    const page = (begin, call) => `<!doctype html><title>spa</title>${begin}<script type="module">${call}
${call.name}(${JSON.stringify(spa.issuer)}).catch((e) => { window.result = { error: \`\${e} \${e.cause}\` }; });</script>`;
    const spa = await listen((req, res) => {
        const { pathname } = new URL(req.url, spa.url);
        if (libraries[pathname]) res.writeHead(200, { 'content-type': 'text/javascript' }).end(libraries[pathname]);
        else res.writeHead(200, { 'content-type': 'text/html' }).end(pathname === '/oidc' ? page('<script src="/oidc-client-ts.js"></script>', withOidcClient) : page('', withOauth4webapi));
    });
    return spa;
}
