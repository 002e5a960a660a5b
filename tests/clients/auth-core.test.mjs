// Auth.js (@auth/core, which next-auth and the others are built on) with a provider that is nothing but an issuer.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { Auth } from '@auth/core';

import { addClient, listen, Person, startServer, stopAll, USUAL } from './person.mjs';

let s, shop;
before(async () => {
    s = await startServer();
    const uris = ['--redirect-uri', 'http://127.0.0.1/auth/callback/sallyport'];
    shop = await addClient(s, 'shop', ...USUAL, ...uris);
});
after(() => stopAll(s));

// What a framework's adapter does.
async function startApp(clientSecret) {
    const issuer = s.issuer, clientId = shop.id;
    const config = { basePath: '/auth', secret: 'of the application', trustHost: true, logger: { error: () => {}, warn: () => {} } };
    config.providers = [{
        id: 'sallyport', name: 'Sallyport', type: 'oidc', issuer, clientId, clientSecret,
        checks: ['pkce', 'state', 'nonce'], idToken: false,
    }];
    const app = await listen(async (req, res) => {
        const chunks = [];
        for await (const chunk of req) chunks.push(chunk);
        const r = await Auth(new Request(app.url + req.url, { method: req.method, headers: req.headers, body: chunks.length ? Buffer.concat(chunks) : undefined }), config);
        res.writeHead(r.status, [...r.headers].flat()).end(Buffer.from(await r.arrayBuffer()));
    });
    return app.url;
}

async function signIn(url, person) {
    const { csrfToken } = JSON.parse((await person.open(`${url}/auth/csrf`)).text);
    const body = new URLSearchParams({ csrfToken, callbackUrl: `${url}/auth/session` });
    const to = await person.fetch(`${url}/auth/signin/sallyport`, { method: 'POST', body });
    return person.signIn(to.headers.get('location'));
}

test('@auth/core: a person signs in', async () => {
    const url = await startApp(shop.secret), person = new Person();
    const page = await signIn(url, person);
    assert.equal(page.url, `${url}/auth/session`, page.status);
    assert.equal(JSON.parse(page.text).user.name, 'alice');
});

test('@auth/core: with a wrong secret nobody is signed in', async () => {
    const url = await startApp('wrong'), person = new Person();
    assert.match((await signIn(url, person)).url, /error/);
    assert.equal((await person.open(`${url}/auth/session`)).text, 'null');
});
