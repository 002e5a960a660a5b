// express-openid-connect: a whole application behind a sign-in, and signing out at both.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import express from 'express';
import oidc from 'express-openid-connect';

import { addClient, listen, Person, startServer, stopAll, USUAL } from './person.mjs';

const { auth } = oidc;
let s, shop;
before(async () => {
    s = await startServer();
    shop = await addClient(s, 'shop', ...USUAL);
});
after(() => stopAll(s));

async function startApp(clientSecret) {
    const app = express(), running = await listen(app);
    const issuerBaseURL = s.issuer, baseURL = running.url, clientID = shop.id, secret = 'of the application, for its cookie';
    app.get('/bye', (req, res) => res.send('bye'));
    app.use(auth({
        issuerBaseURL, baseURL, clientID, clientSecret, secret, idTokenSigningAlg: 'ES256', idpLogout: true,
        authorizationParams: { response_type: 'code', scope: 'openid profile' }, routes: { postLogoutRedirect: '/bye' },
    }));
    app.get('/', async (req, res) => res.json(await req.oidc.fetchUserInfo()));
    app.use((error, req, res, next) => { res.status(error.status ?? 500).json({ error: error.error }); void next; });
    return running.url;
}

test('express-openid-connect: a person signs in and out', async () => {
    const url = await startApp(shop.secret), person = new Person();
    assert.equal(JSON.parse((await person.signIn(`${url}/`)).text).preferred_username, 'alice');
    assert.equal((await person.open(`${url}/logout`)).text, 'bye');
    assert.match((await person.open(`${url}/`)).text, /<h1>Sign in</);
});

test('express-openid-connect: with a wrong secret nobody is signed in', async () => {
    const url = await startApp('wrong'), person = new Person();
    assert.equal((await person.signIn(`${url}/`)).status, 400);
    assert.equal((await person.open(`${url}/`)).status, 400); // known at the server by now
});
