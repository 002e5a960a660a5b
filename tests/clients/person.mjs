// What the tests of this folder share: a server whose issuer is where it listens, and a person with a browser that has no JavaScript.
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import http from 'node:http';
import path from 'node:path';

import { PASSWORD, Server } from '../e2e/harness.mjs';

export { addClient } from '../e2e/oauth.mjs';
export { PASSWORD };

export const API = 'https://api.example.test'; // the audience of the tokens
export const CALLBACK = 'http://127.0.0.1/callback'; // with any port (RFC 8252 7.3)
export const BYE = 'http://127.0.0.1/bye';

// alice may read documents.
export async function startServer(settings = {}) {
    const server = await Server.start({ 'tokens.issuer': '', 'server.public_origins': '', ...settings });
    server.issuer = `http://127.0.0.1:${server.port}`;
    server.file = (name, value) => { // JSON for the command line
        writeFileSync(path.join(server.folder, name), JSON.stringify(value));
        return path.join(server.folder, name);
    };
    await server.cli(['role', 'set', 'reader', 'documents:read']);
    await server.addUser('alice', ['reader']);
    return server;
}

// What most clients here are registered with.
export const USUAL = ['--grant', 'authorization_code', '--grant', 'refresh_token', '--grant', 'client_credentials', '--redirect-uri', CALLBACK,
    '--post-logout-redirect-uri', BYE, '--scope', 'openid', '--scope', 'profile', '--scope', 'documents:read', '--audience', API];

const listening = new Set();

// An http server on a port of its own: {url, close()}.
export async function listen(handler) {
    const server = http.createServer(handler).listen(0, '127.0.0.1');
    listening.add(server);
    await new Promise((done) => server.once('listening', done));
    return { url: `http://127.0.0.1:${server.address().port}`, close: () => close(server) };
}

function close(server) {
    listening.delete(server);
    server.closeAllConnections();
    server.close();
}

// Ours, and all that listen() has made.
export function stopAll(server) {
    for (const other of listening) close(other);
    return server.stop();
}

const entities = { '&amp;': '&', '&lt;': '<', '&gt;': '>', '&#34;': '"', '&#39;': "'" };
const unescape = (text) => text.replace(/&(amp|lt|gt|#34|#39);/g, (m) => entities[m]);

function readForm(page) {
    const form = /<form\b[^>]*method="post"[^>]*action="([^"]*)"[^>]*>([\s\S]*?)<\/form>/.exec(page.text);
    if (!form) return undefined;
    const fields = {};
    for (const [tag] of form[2].matchAll(/<input\b[^>]*>/g)) fields[/\bname="([^"]*)"/.exec(tag)[1]] = unescape(/\bvalue="([^"]*)"/.exec(tag)?.[1] ?? '');
    return { action: new URL(unescape(form[1]), page.url).href, fields };
}

// Keeps cookies for each origin, follows redirects, fills in the server's forms.
export class Person {
    constructor(username = 'alice', password = PASSWORD) {
        this.username = username;
        this.password = password;
        this.jars = new Map();
        this.forms = []; // those that were filled in
    }

    async fetch(url, init = {}) {
        const { origin } = new URL(url);
        if (!this.jars.has(origin)) this.jars.set(origin, new Map());
        const jar = this.jars.get(origin);
        const cookie = [...jar].map(([name, value]) => `${name}=${value}`).join('; ');
        const r = await fetch(url, { ...init, redirect: 'manual', headers: { ...init.headers, ...(cookie ? { cookie } : {}) } });
        for (const line of r.headers.getSetCookie()) {
            const [, name, value] = /^([^=]+)=([^;]*)/.exec(line);
            if (/Max-Age=0(;|$)/i.test(line)) jar.delete(name);
            else jar.set(name, value);
        }
        return { status: r.status, headers: r.headers, url, text: await r.text() };
    }

    // Until a page comes, or an address that begins with `until`, which is not asked for.
    async open(url, until, init) {
        for (let hops = 0; hops < 12; hops++) {
            if (until && url.startsWith(until)) return { url };
            const r = await this.fetch(url, init);
            const to = r.headers.get('location');
            if (!to) return r;
            init = undefined;
            url = new URL(to, url).href;
        }
        throw new Error(`redirects without end at ${url}`);
    }

    submit(page, more, until) {
        const form = readForm(page);
        assert.ok(form, `no form: ${page.status} ${page.text}`);
        this.forms.push(new URL(form.action).pathname);
        return this.open(form.action, until, { method: 'POST', body: new URLSearchParams({ ...form.fields, ...more }), headers: { origin: new URL(page.url).origin } });
    }

    // Signs in and allows where asked; the URL to which the browser is sent, or the page behind it.
    async signIn(url, until) {
        let page = await this.open(url, until);
        for (let steps = 0; steps < 3 && page.text !== undefined; steps++) {
            const action = readForm(page)?.action ?? '';
            if (action.endsWith('/oauth2/login')) page = await this.submit(page, { username: this.username, password: this.password }, until);
            else if (action.endsWith('/oauth2/consent')) page = await this.submit(page, { decision: 'allow' }, until);
            else break;
        }
        if (until) assert.ok(page.url.startsWith(until), `${page.status} ${page.text}`);
        return until ? new URL(page.url) : page;
    }
}

// The tokens of a sign-in at a confidential client, for tests of those who only check them.
export async function tokensOf(server, client, person = new Person()) {
    const verifier = randomBytes(32).toString('base64url');
    const url = new URL(`${server.issuer}/oauth2/authorize`);
    url.search = new URLSearchParams({ client_id: client.id, response_type: 'code', redirect_uri: CALLBACK, scope: 'openid profile documents:read', state: 'x',
        code_challenge: createHash('sha256').update(verifier).digest('base64url'), code_challenge_method: 'S256' });
    const code = (await person.signIn(url.href, CALLBACK)).searchParams.get('code');
    const body = new URLSearchParams({ grant_type: 'authorization_code', code, redirect_uri: CALLBACK, code_verifier: verifier, client_id: client.id, client_secret: client.secret });
    const r = await fetch(`${server.issuer}/oauth2/token`, { method: 'POST', body });
    assert.equal(r.status, 200);
    return r.json();
}
