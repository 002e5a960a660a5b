// @fastify/jwt with keys from the JWKS (get-jwks).
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import fastifyJwt from '@fastify/jwt';
import Fastify from 'fastify';
import buildGetJwks from 'get-jwks';

import { addClient, API, startServer, tokensOf, USUAL } from './person.mjs';

let s, issuer, tokens;
before(async () => {
    s = await startServer();
    issuer = s.issuer;
    tokens = await tokensOf(s, await addClient(s, 'shop', ...USUAL));
});
after(() => s.stop());

test('@fastify/jwt: an access token opens; an id_token, a damaged token and one for somebody else do not', async () => {
    const build = async (audience) => {
        const fastify = Fastify();
        const jwks = buildGetJwks({ issuersWhitelist: [issuer] });
        await fastify.register(fastifyJwt, {
            decode: { complete: true },
            secret: (request, { header }) => jwks.getPublicKey({ kid: header.kid, alg: header.alg, domain: issuer }),
            verify: { algorithms: ['ES256'], allowedIss: issuer, allowedAud: audience, checkTyp: 'at+jwt' },
        });
        fastify.addHook('onRequest', (request, reply) => request.jwtVerify().catch((error) => reply.code(401).send(error)));
        fastify.get('/', (request) => request.user);
        return fastify;
    };
    const fastify = await build(API), other = await build('https://other.example.test');
    const ask = (api, token) => api.inject({ url: '/', headers: { authorization: `Bearer ${token}` } });
    const r = await ask(fastify, tokens.access_token);
    assert.equal(r.statusCode, 200, r.body);
    assert.equal(r.json().client_id, 'shop');
    for (const [api, token] of [[fastify, tokens.id_token], [fastify, tokens.access_token.replace(/.{8}$/, 'AAAAAAAA')], [other, tokens.access_token], [fastify, 'junk']])
        assert.equal((await ask(api, token)).statusCode, 401);
    await Promise.all([fastify.close(), other.close()]);
});
