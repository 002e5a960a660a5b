// What tests of OAuth share: forms, clients, PKCE, proofs of possession, and as much of a browser as goes through the pages of a sign-in.
import assert from 'node:assert/strict';
import { createHash, createPublicKey, generateKeyPairSync, randomBytes, sign, verify } from 'node:crypto';

import { PASSWORD, request } from './harness.mjs';

export const ISSUER = 'https://auth.example.test'; // the harness's
export const CALLBACK = 'https://shop.example.test/callback?kept=1';
export const random = (n = 24) => randomBytes(n).toString('base64url');
const sha256 = (text) => createHash('sha256').update(text).digest('base64url');
const json = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');

// {a: 1, b: [2, 3], c: undefined} -> "a=1&b=2&b=3"
export function encode(fields) {
    const p = new URLSearchParams();
    for (const [name, value] of Object.entries(fields)) for (const v of [value].flat()) if (v !== undefined) p.append(name, v);
    return p.toString();
}

// A form, as an object or as text.
export function post(server, url, fields, headers = {}) {
    const body = typeof fields === 'string' ? fields : encode(fields);
    const type = { 'content-type': 'application/x-www-form-urlencoded', 'content-length': Buffer.byteLength(body) };
    if (Array.isArray(headers)) return request(server.port, 'POST', url, { headers: [...Object.entries(type).flat(), 'host', 'x', ...headers], body });
    return request(server.port, 'POST', url, { headers: { ...type, ...headers }, body });
}

// RFC 6749 2.3.1: both parts are form-encoded before they are joined.
export function basicAuth(id, secret) {
    const part = (s) => new URLSearchParams({ '': s }).toString().slice(1);
    return { authorization: `Basic ${Buffer.from(`${part(id)}:${part(secret)}`).toString('base64')}` };
}

// A client as the command line makes it: {id, secret}.
export async function addClient(server, id, ...options) {
    const r = await server.cli(['client', 'add', ...options, id]);
    assert.equal(r.status, 0, r.stderr);
    const line = r.stdout.trim().split('\n').find((l) => l.startsWith(`${id}:`));
    return { id, secret: line?.slice(id.length + 1) };
}

export function pkce() {
    const verifier = random(32);
    return { verifier, challenge: sha256(verifier) };
}

// ---- JSON Web Tokens ----

export const header = (token) => JSON.parse(Buffer.from(token.split('.')[0], 'base64url'));
export const claims = (token) => JSON.parse(Buffer.from(token.split('.')[1], 'base64url'));

// Signed by a key of the server's JWKS; ES256, which is the default.
export async function checkSignature(server, token) {
    const jwks = (await request(server.port, 'GET', '/.well-known/jwks.json')).json.keys;
    const jwk = jwks.find((k) => k.kid === header(token).kid);
    assert.ok(jwk && jwk.use === 'sig' && jwk.alg === header(token).alg, 'its key is published');
    const [h, p, s] = token.split('.');
    const key = { key: createPublicKey({ key: jwk, format: 'jwk' }), dsaEncoding: 'ieee-p1363' };
    assert.ok(verify('sha256', Buffer.from(`${h}.${p}`), key, Buffer.from(s, 'base64url')));
}

// A key of ES256 with what is made of it.
export class Key {
    constructor() {
        const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
        this.private = privateKey;
        const { crv, kty, x, y } = publicKey.export({ format: 'jwk' });
        this.jwk = { crv, kty, x, y };
        this.thumbprint = sha256(JSON.stringify(this.jwk));
    }

    jwt(head, payload) {
        const text = `${json({ alg: 'ES256', ...head })}.${json(payload)}`;
        return `${text}.${sign('sha256', Buffer.from(text), { key: this.private, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`;
    }

    // RFC 9449; `token`: the access token that goes with it.
    proof(method, path, { token, nonce, ...more } = {}) {
        return this.jwt({ typ: 'dpop+jwt', jwk: this.jwk }, { jti: random(), htm: method, htu: ISSUER + path, iat: Math.floor(Date.now() / 1000),
            ...(token ? { ath: sha256(token) } : {}), ...(nonce ? { nonce } : {}), ...more });
    }

    // RFC 7523
    assertion(client, more = {}) {
        const now = Math.floor(Date.now() / 1000);
        return this.jwt({ typ: 'JWT', kid: 'k1' }, { iss: client, sub: client, aud: ISSUER, jti: random(), iat: now, exp: now + 60, ...more });
    }
}

// ---- a browser ----

const entities = { '&amp;': '&', '&lt;': '<', '&gt;': '>', '&#34;': '"', '&#39;': "'" };
export const unescape = (text) => text.replace(/&(amp|lt|gt|#34|#39);/g, (m) => entities[m]);

// The one form of a page: where it goes, and what it would send.
export function readForm(r) {
    const form = /<form method="post" action="(\w+)">([\s\S]*?)<\/form>/.exec(r.text);
    if (!form) return undefined;
    const fields = {};
    for (const [tag] of form[2].matchAll(/<input\b[^>]*>/g)) {
        const name = /\bname="([^"]*)"/.exec(tag)[1];
        fields[name] = unescape(/\bvalue="([^"]*)"/.exec(tag)?.[1] ?? '');
    }
    return { action: `/oauth2/${form[1]}`, fields };
}

// Keeps cookies, stops at each page and at the first address that is not the server's.
export class Visitor {
    constructor(server, { origin = ISSUER } = {}) {
        this.server = server;
        this.origin = origin;
        this.jar = {};
    }

    get cookieHeader() { return Object.entries(this.jar).map(([k, v]) => `${k}=${v}`).join('; '); }
    get sso() { return this.jar['__Host-sp_sso']; }

    keep(r) {
        for (const line of r.cookies) {
            const [, name, v] = /^([^=]+)=([^;]*)/.exec(line);
            assert.match(line, /; Path=\/;.*HttpOnly; Secure; SameSite=(Lax|Strict)$/);
            if (/Max-Age=0(;|$)/.test(line)) delete this.jar[name];
            else this.jar[name] = v;
        }
        return r;
    }

    headers(more) { return { ...(this.cookieHeader ? { cookie: this.cookieHeader } : {}), ...more }; }

    async get(url) { return this.follow(this.keep(await request(this.server.port, 'GET', url, { headers: this.headers() }))); }

    async post(url, fields, headers = {}) {
        return this.follow(this.keep(await post(this.server, url, fields, this.headers({ origin: this.origin, 'sec-fetch-site': 'same-origin', ...headers }))));
    }

    // Redirects within the server are followed; one that leads away is the answer.
    async follow(r) {
        if (r.status !== 303 || !r.headers.location.startsWith(`${ISSUER}/`)) return r;
        return this.get(r.headers.location.slice(ISSUER.length));
    }

    // Sends the page's form with these fields filled in.
    submit(page, more = {}, headers = {}) {
        const form = readForm(page);
        assert.ok(form, `no form: ${page.status} ${page.text}`);
        return this.post(form.action, { ...form.fields, ...more }, headers);
    }

    authorize(params) { return this.get(`/oauth2/authorize?${encode(params)}`); }
    login(page, username, password = PASSWORD) { return this.submit(page, { username, password }); }

    // All of it: logs in and allows where asked. What the client is sent back.
    async signIn(params, username) {
        let r = await this.authorize(params);
        if (readForm(r)?.action === '/oauth2/login') r = await this.login(r, username);
        if (readForm(r)?.action === '/oauth2/consent') r = await this.submit(r, { decision: 'allow' });
        return sentBack(r);
    }
}

// The parameters of a redirect to the client.
export function sentBack(r, to = CALLBACK) {
    assert.equal(r.status, 303, r.text);
    const url = new URL(r.headers.location);
    assert.equal(url.origin + url.pathname, new URL(to).origin + new URL(to).pathname, r.headers.location);
    return Object.fromEntries(url.searchParams);
}

// RFC 6749 5.2
export function oauthRefused(r, status, error, note = '') {
    const what = `${note} ${r.status} ${r.text}`;
    assert.equal(r.status, status, what);
    assert.match(r.headers['content-type'], /^application\/json/, what);
    assert.equal(r.json?.error, error, what);
    assert.deepEqual(Object.keys(r.json).filter((k) => !['error', 'error_description'].includes(k)), [], what);
    assert.equal(r.headers['cache-control'], 'no-store', what);
    assert.equal(r.headers.pragma, 'no-cache', what);
}
