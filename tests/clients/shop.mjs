// A small web application that signs people in with openid-client; its pages are as plain as can be.
import * as client from 'openid-client';

import { listen } from './person.mjs';

const escape = (text) => String(text).replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`);
const page = (title, body) => `<!doctype html><html lang="en"><title>${title}</title><main><h1>${title}</h1>${body}</main></html>`;

// {url, close(), last: what the last sign-in gave}
export async function startShop(issuer, id, secret, scope = 'openid profile documents:read') {
    const config = await client.discovery(new URL(issuer), id, secret, undefined, { execute: [client.allowInsecureRequests] });
    const begun = new Map(); // state -> what its answer is held against
    const routes = {
        '/': (url, send) => send(200, page('The shop', shop.last ? `<p id="who">${escape(shop.last.info.preferred_username)}</p><a href="/logout">Sign out</a>` : '<a href="/login">Sign in</a>')),
        '/login': async (url, send) => {
            const verifier = client.randomPKCECodeVerifier(), state = client.randomState(), nonce = client.randomNonce();
            begun.set(state, { verifier, nonce });
            send(303, client.buildAuthorizationUrl(config, { redirect_uri: `${shop.url}/callback`, scope, state, nonce,
                code_challenge: await client.calculatePKCECodeChallenge(verifier), code_challenge_method: 'S256', ...Object.fromEntries(url.searchParams) }).href);
        },
        '/callback': async (url, send) => {
            const state = url.searchParams.get('state'), { verifier, nonce } = begun.get(state);
            begun.delete(state);
            const tokens = await client.authorizationCodeGrant(config, url, { pkceCodeVerifier: verifier, expectedState: state, expectedNonce: nonce, idTokenExpected: true });
            shop.last = { tokens, info: await client.fetchUserInfo(config, tokens.access_token, tokens.claims().sub) };
            send(303, '/');
        },
        '/logout': (url, send) => {
            const { tokens } = shop.last;
            shop.last = undefined;
            send(303, client.buildEndSessionUrl(config, { id_token_hint: tokens.id_token, post_logout_redirect_uri: `${shop.url}/bye` }).href);
        },
        '/bye': (url, send) => send(200, page('Goodbye', '<p>Come again.</p>')),
    };
    const shop = await listen(async (req, res) => {
        const url = new URL(req.url, shop.url);
        const send = (status, text) => (status === 303 ? res.writeHead(303, { location: text }).end() : res.writeHead(status, { 'content-type': 'text/html; charset=utf-8' }).end(text));
        try {
            await (routes[url.pathname] ?? ((u, answer) => answer(404, page('Not here', ''))))(url, send);
        } catch (error) { send(400, page('It did not work', `<p id="error">${escape(error.error ?? error.message)}</p>`)); }
    });
    return shop;
}
