// jwks-rsa, with express-jwt and with passport-jwt; the server signs with RS256, as APIs of this kind mostly expect.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import express from 'express';
import { expressjwt } from 'express-jwt';
import jwksRsa from 'jwks-rsa';
import passport from 'passport';
import { ExtractJwt, Strategy as JwtStrategy } from 'passport-jwt';

import { addClient, API, listen, startServer, tokensOf, USUAL } from './person.mjs';

let s, issuer, shop, tokens;
const audience = API;
before(async () => {
    s = await startServer({ 'tokens.alg': 'RS256' });
    issuer = s.issuer;
    shop = await addClient(s, 'shop', ...USUAL);
    tokens = await tokensOf(s, shop);
});
after(() => s.stop());

async function statuses(app, ...list) {
    app.get('/', (req, res) => res.json(req.auth ?? req.user));
    app.use((error, req, res, next) => { res.status(error.status ?? 500).end(); void next; });
    const api = await listen(app);
    try {
        const answers = await Promise.all(list.map((token) => fetch(api.url, { headers: { authorization: `Bearer ${token}` } })));
        assert.equal((await answers[0].json()).client_id, 'shop');
        return answers.map((r) => r.status);
    } finally { api.close(); }
}
// The id_token is another's: its audience is the client.
const damaged = () => tokens.access_token.replace(/.{8}$/, 'AAAAAAAA');

test('jwks-rsa: express-jwt', async () => {
    const app = express();
    app.use(expressjwt({
        secret: jwksRsa.expressJwtSecret({ jwksUri: `${issuer}/.well-known/jwks.json`, cache: true, rateLimit: true }),
        issuer, audience, algorithms: ['RS256'],
    }));
    assert.deepEqual(await statuses(app, tokens.access_token, tokens.id_token, damaged(), 'junk'), [200, 401, 401, 401]);
});

test('jwks-rsa: passport-jwt', async () => {
    const app = express(), auth = new passport.Passport();
    auth.use(new JwtStrategy({
        secretOrKeyProvider: jwksRsa.passportJwtSecret({ jwksUri: `${issuer}/.well-known/jwks.json`, cache: true, rateLimit: true }),
        jwtFromRequest: ExtractJwt.fromAuthHeaderAsBearerToken(), issuer, audience, algorithms: ['RS256'],
    }, (claims, done) => done(null, claims)));
    app.use(auth.authenticate('jwt', { session: false }));
    assert.deepEqual(await statuses(app, tokens.access_token, tokens.id_token, damaged(), 'junk'), [200, 401, 401, 401]);
});

test('jwks-rsa: express-jwt with the default, ES256', async () => {
    const es = await startServer();
    try {
        const token = (await tokensOf(es, await addClient(es, 'shop', ...USUAL))).access_token;
        const app = express();
        app.use(expressjwt({ secret: jwksRsa.expressJwtSecret({ jwksUri: `${es.issuer}/.well-known/jwks.json` }), issuer: es.issuer, audience, algorithms: ['ES256'] }));
        assert.deepEqual(await statuses(app, token, tokens.access_token), [200, 401]);
    } finally { await es.stop(); }
});
