// passport-oauth2 in an Express application: a person signs in, and is known by what /oauth2/userinfo says.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import express from 'express';
import session from 'express-session';
import passport from 'passport';
import OAuth2Strategy from 'passport-oauth2';

import { addClient, listen, Person, startServer, stopAll, USUAL } from './person.mjs';

let s, shop;
before(async () => {
    s = await startServer();
    shop = await addClient(s, 'shop', ...USUAL);
});
after(() => stopAll(s));

async function startApp(clientSecret) {
    const issuer = s.issuer, clientID = shop.id, app = express(), auth = new passport.Passport(), verify = (accessToken, refreshToken, profile, done) => done(null, profile);
    const running = await listen(app);
    const callbackURL = `${running.url}/callback`;
    const strategy = new OAuth2Strategy({
        authorizationURL: `${issuer}/oauth2/authorize`, tokenURL: `${issuer}/oauth2/token`, clientID, clientSecret, callbackURL,
        scope: ['openid', 'profile'], state: true, pkce: true,
    }, verify);
    strategy.userProfile = (accessToken, done) => {
        fetch(`${issuer}/oauth2/userinfo`, { headers: { authorization: `Bearer ${accessToken}` } })
            .then((r) => (r.ok ? r.json() : Promise.reject(new Error(`userinfo: ${r.status}`))))
            .then((profile) => done(null, profile), done);
    };
    auth.use(strategy);
    auth.serializeUser((user, done) => done(null, user));
    auth.deserializeUser((user, done) => done(null, user));
    app.use(session({ secret: 'of the application', resave: false, saveUninitialized: false }), auth.initialize(), auth.session());
    app.get('/login', auth.authenticate('oauth2'));
    app.get('/callback', auth.authenticate('oauth2', { failureRedirect: '/failed' }), (req, res) => res.redirect('/'));
    app.get('/', (req, res) => res.json(req.user ?? null));
    app.get('/failed', (req, res) => res.send('failed'));
    app.use((error, req, res, next) => { res.status(500).json({ name: error.name, code: error.code }); void next; });
    return running.url;
}

test('passport-oauth2: a person signs in', async () => {
    const url = await startApp(shop.secret), person = new Person();
    assert.equal((await person.open(url)).text, 'null');
    const home = await person.signIn(`${url}/login`);
    assert.deepEqual([home.status, JSON.parse(home.text).preferred_username], [200, 'alice'], home.text);
    assert.deepEqual(person.forms, ['/oauth2/login', '/oauth2/consent']);
    await person.open(`${url}/login`);
    assert.deepEqual(person.forms, ['/oauth2/login', '/oauth2/consent']); // known here, allowed there
});

test('passport-oauth2: with a wrong secret nobody is signed in', async () => {
    const url = await startApp('wrong'), person = new Person();
    const page = await person.signIn(`${url}/login`);
    assert.deepEqual([page.status, JSON.parse(page.text).code], [500, 'invalid_client'], page.text);
    assert.equal((await person.open(url)).text, 'null');
});
