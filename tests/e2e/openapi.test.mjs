// docs/openapi.yaml and the server say the same: every documented answer of every operation is driven and checked against its schema; a route
// that is not documented, a status or a code that is not, and a documented answer that never came are failures. (`default`, the server's
// own failures, is checked when it comes and not demanded.)
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { basic, follow } from './feed.mjs';
import { Browser, PASSWORD, Server, payload, request } from './harness.mjs';
import { addClient, basicAuth, CALLBACK, encode, pkce, readForm, Visitor } from './oauth.mjs';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
const doc = JSON.parse(execFileSync('python3', ['-c', 'import json,sys,yaml; json.dump(yaml.safe_load(open(sys.argv[1])), sys.stdout)',
    path.join(root, 'docs/openapi.yaml')], { encoding: 'utf8' }));

// As much of JSON Schema as the file uses; a keyword that is not known here is an error in the file.
const known = new Set(['type', 'enum', 'const', 'pattern', 'minLength', 'maxLength', 'minimum', 'maximum', 'items', 'uniqueItems', 'properties', 'required',
    'additionalProperties', 'oneOf', 'allOf', '$ref', 'description', 'default', 'format']);
const deref = (s) => s.$ref ? deref(s.$ref.slice(2).split('/').reduce((o, k) => o[k], doc)) : s;
const typeOf = (v) => v === null ? 'null' : Array.isArray(v) ? 'array' : Number.isInteger(v) ? 'integer' : typeof v;
function check(schema, v, at) {
    const s = deref(schema);
    for (const k of Object.keys(s)) assert.ok(known.has(k), `${at}: unknown keyword ${k}`);
    if (s.type) assert.ok([s.type].flat().includes(typeOf(v)), `${at}: ${typeOf(v)} is not ${s.type}`);
    if (s.enum) assert.ok(s.enum.includes(v), `${at}: ${v} is not among ${s.enum}`);
    if ('const' in s) assert.equal(v, s.const, at);
    if (s.pattern) assert.match(v, new RegExp(s.pattern, 'u'), at);
    if (s.minLength !== undefined) assert.ok(v.length >= s.minLength, at);
    if (s.minimum !== undefined) assert.ok(v >= s.minimum, at);
    if (s.items) v.forEach((x, i) => check(s.items, x, `${at}[${i}]`));
    for (const name of s.required ?? []) assert.ok(name in v, `${at}: ${name} is missing`);
    if (s.properties) for (const [k, x] of Object.entries(v ?? {})) {
        if (s.properties[k]) check(s.properties[k], x, `${at}.${k}`);
        else assert.ok(s.additionalProperties !== false, `${at}.${k} is not documented`);
    }
    for (const each of s.allOf ?? []) check(each, v, at);
    if (s.oneOf) assert.equal(s.oneOf.filter((each) => { try { check(each, v, at); return true; } catch { return false; } }).length, 1, `${at}: not exactly one of`);
}

const operations = new Map();
for (const [where, item] of Object.entries(doc.paths))
    for (const [method, op] of Object.entries(item)) operations.set(op.operationId, { ...op, where, method: method.toUpperCase() });

const came = new Map(); // "login 200" -> how often
let s, admin, user, service;

// One request of an operation, its answer checked. `on`: 'socket', or the public listener.
async function ask(id, { params = {}, query = '', body, headers = {}, token, on, raw } = {}) {
    const op = operations.get(id);
    const url = op.where.replace(/\{(\w+)\}/g, (_, name) => encodeURIComponent(params[name])) + (query && `?${query}`);
    const text = raw ?? (body === undefined ? undefined : JSON.stringify(body));
    const type = text === undefined ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) };
    const r = await request(on === 'socket' ? s.adminSocket : s.port, op.method, url,
        { headers: { ...type, ...(token ? { authorization: `Bearer ${token}` } : {}), ...headers }, body: text });
    conforms(id, r);
    return r;
}

function conforms(id, r) {
    const op = operations.get(id);
    const what = `${id} ${r.status} ${r.text.slice(0, 200)}`;
    const answer = op.responses[r.status] ?? (r.status >= 500 ? op.responses.default : undefined);
    assert.ok(answer, `not documented: ${what}`);
    const { content, headers = {} } = deref(answer);
    for (const [name, h] of Object.entries(headers)) if (h.required) assert.ok(r.headers[name.toLowerCase()]?.length > 0, `${name}: ${what}`);
    assert.ok(r.headers['x-request-id'] && r.headers['cache-control'], what);
    if (!content) assert.equal(r.text, '', what);
    else {
        const type = r.headers['content-type'].split(';')[0];
        assert.ok(content[type], `${type}: ${what}`);
        if (['application/json', 'application/problem+json'].includes(type)) check(content[type].schema, r.json, what);
    }
    came.set(`${id} ${r.status}`, (came.get(`${id} ${r.status}`) ?? 0) + 1);
}

async function expect(status, id, how) {
    const r = await ask(id, how);
    assert.equal(r.status, status, `${id}: ${r.text}`);
    return r;
}

before(async () => {
    s = await Server.start({ 'registration.enabled': 'true', 'throttle.account_burst': '4', 'throttle.account_refill': '1h', 'throttle.register_burst': '6', 'throttle.register_refill': '1h' });
    await s.cli(['role', 'set', 'boss', 'sallyport:admin']);
    await s.cli(['role', 'set', 'reader', 'documents:read']);
    for (const [name, roles] of [['root', ['boss']], ['alice', ['reader']]]) await s.addUser(name, roles);
    admin = (await s.login('root')).access_token;
    user = (await s.login('alice')).access_token;
    service = (await s.cli(['client', 'add', 'service', '--feed'])).stdout.trim();
});
after(async () => { await s?.stop(); });

test('every route is documented, and nothing else is', () => {
    const rows = [...readFileSync(path.join(root, 'src/http/routes.def'), 'utf8').matchAll(/^R\((\w+), "([^"]+)", \w+, (\w+), (\w+), \w+, "([^"]*)"\)/gm)];
    assert.ok(rows.length > 30);
    const documented = new Map([...operations.values()].map((op) => [`${op.method} ${op.where}`, op]));
    assert.deepEqual([...documented.keys()].sort(), rows.map((r) => `${r[1]} ${r[2]}`).sort());
    for (const [, method, where, auth, body, parameters] of rows) {
        const op = documented.get(`${method} ${where}`);
        const names = (op.parameters ?? []).map(deref);
        assert.deepEqual(names.filter((p) => p.in === 'query').map((p) => p.name).sort(), parameters.split(' ').filter(Boolean).sort(), where);
        assert.deepEqual(names.filter((p) => p.in === 'path').map((p) => p.name), [...where.matchAll(/\{(\w+)\}/g)].map((m) => m[1]), where);
        assert.equal(op.requestBody === undefined, body === 'NONE', where);
        if (op.requestBody) assert.equal(op.requestBody.required === true, !body.endsWith('_OPTIONAL'), where);
        if (op.requestBody) assert.deepEqual(Object.keys(op.requestBody.content), [body.startsWith('FORM') ? 'application/x-www-form-urlencoded' : 'application/json'], where);
        const schemes = (op.security ?? []).flatMap((x) => Object.keys(x));
        if (auth === 'ADMIN' || auth === 'METRICS') assert.deepEqual(schemes, ['bearer', 'dpop', 'cookie', 'socket'], where);
        if (auth === 'FEED') assert.deepEqual(schemes, ['service'], where);
        if (auth === 'USER') assert.deepEqual(schemes, ['bearer', 'dpop', 'cookie'], where);
        if (auth === 'CLIENT') assert.deepEqual(schemes, ['client'], where);
        if (auth === 'TOKEN') assert.deepEqual(schemes, ['bearer', 'dpop'], where);
        if (auth === 'PAGE') assert.deepEqual(schemes, [], where);
    }
});

test('every code is documented, and nothing else is', () => {
    const of = (file, re) => [...readFileSync(path.join(root, file), 'utf8').matchAll(re)].map((m) => m[1]);
    const codes = new Set([...of('src/http/problems.def', /^X\(\w+, \d+, "(\w+)"/gm), ...of('src/core/outcomes.def', /^X\(\w+, \d+, "(\w+)"/gm),
        ...of('src/http/json_in.c', /\[SP_JSON_IN_\w+\] = \{"(\w+)"/g)]);
    codes.delete('ok');
    assert.deepEqual([...new Set(doc.components.schemas.Problem.properties.code.enum)].sort(), [...codes].sort());
    const errors = new Set(of('src/core/oauth_errors.def', /^X\(\w+, \d+, "(\w+)"/gm));
    assert.deepEqual([...doc.components.schemas.OAuthError.properties.error.enum].sort(), [...errors].sort());
});

test('the common refusals of every operation', async () => {
    for (const [id, op] of operations) {
        const params = { sid: 'x', user: 'alice', role: 'reader', kid: 'x', client: 'x' };
        if (id === 'authorizeLogout') continue; // takes anything, and shows a page
        await expect(400, id, { params, query: 'surely_not_known=1' });
        const secured = op.security !== undefined && op.operationId !== 'register' && !op.tags.includes('oauth'); // those: below
        const body = op.requestBody ? {} : undefined;
        if (op.responses[401] && secured) await expect(401, id, { params, body });
        const isAdmin = op.security?.some((x) => x.socket) ?? false;
        if (isAdmin) await expect(403, id, { params, token: user });
        const isService = op.security?.some((x) => x.service) ?? false;
        if (op.responses[415]) {
            await expect(415, id, { params, raw: 'a=b', headers: { 'content-type': 'application/x-www-form-urlencoded', ...(isService ? basic(service) : {}) }, token: isService ? undefined : isAdmin ? admin : user });
        }
        if (isAdmin && params && op.responses[404] && !['roleDelete', 'keyRevoke', 'adminSessionEnd'].includes(id) && /\{user\}/.test(op.where)) {
            const bodies = { userRoles: { roles: [] }, userPassword: { password: 'long and winding road' } };
            await expect(404, id, { params: { user: 'nobody' }, token: admin, body: bodies[id] });
        }
    }
});

test('what applications do', async () => {
    const login = await expect(200, 'login', { body: { username: 'alice', password: PASSWORD, device: 'd', device_token: '' } });
    await expect(401, 'login', { body: { username: 'alice', password: 'no' } });
    await expect(403, 'login', { body: { username: 'alice', password: PASSWORD, mode: 'cookie' } });
    let r;
    for (let i = 0; i < 8; i++) r = await ask('login', { body: { username: 'mallory', password: 'no' } });
    assert.equal(r.status, 429);
    await expect(201, 'register', { body: { username: 'zoe', password: 'long and winding road' } });
    await expect(409, 'register', { body: { username: 'zoe', password: 'long and winding road' } });
    await expect(422, 'register', { body: { username: 'yves', password: 'short' } });
    await expect(403, 'register', { body: { username: 'xeno', password: 'long and winding road', mode: 'cookie' } });
    for (let i = 0; i < 8; i++) r = await ask('register', { body: { username: `many${i}`, password: 'long and winding road' } });
    assert.equal(r.status, 429);
    const first = login.json.refresh_token;
    const second = (await expect(200, 'refresh', { body: { refresh_token: first } })).json;
    const third = (await expect(200, 'refresh', { body: { refresh_token: second.refresh_token } })).json;
    await expect(409, 'refresh', { body: { refresh_token: first } });
    await expect(401, 'refresh', { body: { refresh_token: 'sprt_junk' } });
    const b = new Browser(s);
    conforms('login', await b.login('alice'));
    await expect(403, 'refresh', { body: {}, headers: { cookie: b.cookieHeader } });
    conforms('refresh', await b.refresh());
    for (const id of ['logout', 'logoutAll', 'password', 'sessionEnd'])
        await expect(403, id, { params: { sid: b.session }, headers: { cookie: b.cookieHeader, origin: 'https://evil.example' }, body: id === 'password' ? {} : undefined });
    conforms('me', await b.get('/auth/me'));
    await expect(200, 'me', { token: third.access_token });
    await expect(204, 'verify', { token: third.access_token, query: 'permission=documents:read' });
    await expect(403, 'verify', { token: third.access_token, query: 'permission=documents:write' });
    await expect(200, 'sessions', { token: third.access_token });
    await expect(404, 'sessionEnd', { token: third.access_token, params: { sid: 'x' } });
    await expect(204, 'sessionEnd', { token: third.access_token, params: { sid: b.session } });
    const other = (await s.login('alice')).access_token;
    await expect(422, 'password', { token: other, body: { current_password: PASSWORD, new_password: 'short' } });
    await expect(204, 'password', { token: other, body: { current_password: PASSWORD, new_password: 'long and winding road' } });
    for (let i = 0; i < 8; i++) r = await ask('password', { token: other, body: { current_password: 'no no no no', new_password: 'long and winding road' } });
    assert.equal(r.status, 429);
    await expect(204, 'logout', { token: other });
    const last = (await s.post('/auth/login', { username: 'zoe', password: 'long and winding road' })).json;
    await expect(200, 'logoutAll', { token: last.access_token });
    await expect(200, 'jwks');
    await expect(200, 'healthz');
    await expect(200, 'readyz');
});

// A form; `headers` as they are.
async function fill(status, id, fields, headers = {}) {
    const body = encode(fields);
    const r = await request(s.port, 'POST', operations.get(id).where, { headers: { 'content-type': 'application/x-www-form-urlencoded', 'content-length': body.length, ...headers }, body });
    conforms(id, r);
    assert.equal(r.status, status, `${id}: ${r.text}`);
    return r;
}

test('what clients of OAuth and their people do', async () => {
    const shop = await addClient(s, 'shop', '--grant', 'authorization_code', '--grant', 'refresh_token', '--grant', 'client_credentials', '--redirect-uri', CALLBACK, '--scope', 'openid', '--scope', 'profile', '--scope', 'documents:read',
        '--post-logout-redirect-uri', 'https://shop.example.test/bye');
    await s.addUser('oscar', ['reader']);
    const who = basicAuth(shop.id, shop.secret), wrong = basicAuth(shop.id, 'wrong'), v = new Visitor(s);
    const { verifier, challenge } = pkce();
    const params = { client_id: 'shop', response_type: 'code', redirect_uri: CALLBACK, scope: 'openid profile documents:read', nonce: 'n', code_challenge: challenge, code_challenge_method: 'S256' };
    const page = { origin: v.origin, 'sec-fetch-site': 'same-origin' };
    const get = async (status, id, query) => {
        const r = await request(s.port, 'GET', `${operations.get(id).where}?${encode(query)}`, { headers: v.headers() });
        conforms(id, r);
        assert.equal(r.status, status, r.text);
        return v.keep(r);
    };
    for (const id of ['oauthToken', 'oauthIntrospect', 'oauthRevoke', 'oauthPar']) {
        await fill(401, id, { token: 'x', ...params, grant_type: 'client_credentials' }, wrong);
        await fill(400, id, {}, who);
    }
    await fill(200, 'oauthToken', { grant_type: 'client_credentials' }, who);
    await fill(201, 'oauthPar', params, who);

    const login = await get(200, 'authorize', params);
    await fill(200, 'authorizePost', params);
    await fill(400, 'authorizePost', {});
    const typed = { ...readForm(login).fields, username: 'oscar', password: PASSWORD };
    await fill(403, 'authorizeLogin', typed);
    await fill(400, 'authorizeLogin', { ...typed, password: 'wrong' }, page);
    let r;
    for (let i = 0; i < 8; i++) r = await request(s.port, 'POST', '/oauth2/login', { headers: { ...page, 'content-type': 'application/x-www-form-urlencoded' }, body: encode({ ...typed, username: 'trudy', password: 'x' }) });
    conforms('authorizeLogin', r);
    v.keep(await fill(303, 'authorizeLogin', typed, page));
    const consent = await get(200, 'authorize', params);
    const answer = { ...readForm(consent).fields, decision: 'allow' };
    await fill(403, 'authorizeConsent', answer, v.headers());
    await fill(400, 'authorizeConsent', { ...answer, decision: '' }, v.headers(page));
    await fill(303, 'authorizeConsent', answer, page); // without the cookie: to the login
    const { searchParams } = new URL((await fill(303, 'authorizeConsent', answer, v.headers(page))).headers.location);
    await get(303, 'authorize', params);
    await fill(303, 'authorizePost', params, v.headers());

    const tokens = (await fill(200, 'oauthToken', { grant_type: 'authorization_code', code: searchParams.get('code'), code_verifier: verifier, redirect_uri: CALLBACK }, who)).json;
    const own = (await s.login('oscar')).access_token;
    for (const token of [tokens.access_token, tokens.refresh_token, 'junk']) await fill(200, 'oauthIntrospect', { token }, who);
    for (const id of ['userinfoGet', 'userinfoPost']) {
        await expect(200, id, { token: tokens.access_token });
        await expect(401, id, { token: 'junk' });
        await expect(401, id);
        await expect(403, id, { token: own });
    }
    await expect(403, 'sessions', { token: tokens.access_token });
    await expect(403, 'consents', { token: tokens.access_token });
    await expect(200, 'consents', { token: own });
    await expect(403, 'consentEnd', { params: { client: 'shop' }, token: tokens.access_token });
    await expect(204, 'consentEnd', { params: { client: 'shop' }, token: own });
    await expect(404, 'consentEnd', { params: { client: 'shop' }, token: own });
    await fill(200, 'oauthRevoke', { token: tokens.refresh_token }, who);

    const question = await get(200, 'authorizeLogout', {});
    await get(400, 'authorizeLogout', { state: ['1', '2'] });
    await fill(400, 'authorizeLogoutPost', { state: ['1', '2'] });
    await fill(200, 'authorizeLogoutPost', {});
    await fill(403, 'authorizeLogoutPost', readForm(question).fields, v.headers());
    const bye = { client_id: 'shop', post_logout_redirect_uri: 'https://shop.example.test/bye' };
    await fill(303, 'authorizeLogoutPost', readForm(await get(200, 'authorizeLogout', bye)).fields, v.headers(page));
    delete v.jar['__Host-sp_sso'];
    await get(303, 'authorizeLogout', bye);
    await expect(200, 'openidConfiguration');
    await expect(200, 'authorizationServer');
});

test('where nobody may register there is no such route', async () => {
    const other = await Server.start();
    try {
        conforms('register', await other.post('/auth/register', { username: 'zoe', password: 'long and winding road' }));
    } finally { await other.stop(); }
});

test('without a key that others can check there is no OpenID Connect', async () => {
    const other = await Server.start({ 'tokens.alg': 'HS256' });
    try {
        conforms('openidConfiguration', await other.get('/.well-known/openid-configuration'));
    } finally { await other.stop(); }
});

test('what administrators do', async () => {
    const on = { on: 'socket' };
    await expect(200, 'metrics', on);
    await expect(201, 'userAdd', { ...on, body: { name: 'carol', password: 'long and winding road', roles: ['reader'] } });
    await expect(409, 'userAdd', { ...on, body: { name: 'carol' } });
    await expect(422, 'userAdd', { ...on, body: { name: 'dave', roles: ['nobody-made-this'] } });
    await expect(200, 'users', { ...on, query: 'limit=1' });
    const carol = { ...on, params: { user: 'carol' } };
    await expect(200, 'user', carol);
    await expect(200, 'userRoles', { ...carol, body: { roles: [] } });
    await expect(422, 'userRoles', { ...carol, body: { roles: ['nobody-made-this'] } });
    await expect(200, 'userPassword', { ...carol, body: { password: 'another winding road' } });
    await expect(422, 'userPassword', { ...carol, body: { password: 'short' } });
    await expect(200, 'userDisable', carol);
    await expect(200, 'userEnable', carol);
    await expect(200, 'userErase', carol); // and forgets her
    await expect(201, 'userAdd', { ...on, body: { name: 'carol' } });
    await expect(200, 'userDelete', carol);
    const made = (await expect(201, 'sessionAdd', { ...on, body: { subject: 'shop/7', roles: ['reader'], amr: ['pwd'], auth_time: 1 } })).json;
    await expect(422, 'sessionAdd', { ...on, body: { subject: '7', roles: ['nobody-made-this'] } });
    await expect(200, 'userDisable', { ...on, params: { user: made.user_id } });
    await expect(409, 'sessionAdd', { ...on, body: { subject: 'shop/7' } });
    await expect(200, 'adminSessions', { ...on, query: 'ended=true' });
    await expect(404, 'adminSessions', { ...on, query: 'user=nobody' });
    await expect(204, 'roleSet', { ...on, params: { role: 'temp' }, body: { permissions: ['a:b'] } });
    await expect(200, 'roles', on);
    await expect(204, 'roleDelete', { ...on, params: { role: 'temp' } });
    await expect(404, 'roleDelete', { ...on, params: { role: 'temp' } });
    const live = await s.login('root');
    await expect(200, 'revoke', { ...on, body: { jti: payload(live.access_token).jti } });
    await expect(404, 'revoke', { ...on, body: { user: 'nobody' } });
    await expect(204, 'adminSessionEnd', { ...on, params: { sid: live.session_id } });
    await expect(404, 'adminSessionEnd', { ...on, params: { sid: 'A'.repeat(27) } });
    const keys = (await expect(200, 'keyRotate', on)).json.keys;
    await expect(200, 'keys', on);
    await expect(404, 'keyRevoke', { ...on, params: { kid: 'nobody' } });
    await expect(204, 'keyRevoke', { ...on, params: { kid: keys.find((k) => k.use === 'access' && k.state === 'announced').kid } });
    const orders = { ...on, params: { client: 'orders' } }, nobody = { ...on, params: { client: 'nobody' } };
    await expect(201, 'clientAdd', { ...on, body: { client_id: 'orders', feed: true } });
    await expect(409, 'clientAdd', { ...on, body: { client_id: 'orders', feed: true } });
    await expect(400, 'clientAdd', { ...on, body: { client_id: 'web', grants: ['authorization_code'] } });
    await expect(201, 'clientAdd', { ...on, body: { client_id: 'web', auth_method: 'none', grants: ['authorization_code'], redirect_uris: ['https://app.example/cb'] } });
    await expect(200, 'clientSet', { ...orders, body: { version: 1, feed: true, scopes: ['orders:read'] } });
    await expect(400, 'clientSet', { ...orders, body: { grants: ['password'] } });
    await expect(409, 'clientSet', { ...orders, body: { version: 1 } });
    await expect(404, 'clientSet', { ...nobody, body: {} });
    await expect(200, 'clientRotateSecret', { ...orders, body: { overlap_s: 60 } });
    await expect(200, 'clientRotateSecret', orders);
    await expect(200, 'client', orders);
    await expect(200, 'clients', { ...on, query: 'limit=1' });
    await expect(204, 'clientDisable', orders);
    await expect(204, 'clientEnable', orders);
    await expect(204, 'clientDelete', orders);
    for (const id of ['client', 'clientRotateSecret', 'clientDisable', 'clientEnable', 'clientDelete']) await expect(404, id, nobody);
    await expect(200, 'audit', { ...on, query: 'limit=200' });
    await expect(404, 'audit', { ...on, query: 'user=nobody' });
    await expect(200, 'auditVerify', on);
    const checkpoint = async () => {
        const { issuer, ...members } = (await expect(200, 'auditCheckpoint', on)).json;
        assert.ok(issuer);
        return members;
    };
    const c = await checkpoint();
    await expect(200, 'auditPrune', { ...on, body: c });
    await expect(400, 'auditPrune', { ...on, body: { ...c, count: 1 } });
    await expect(200, 'auditVerify', { ...on, query: `checkpoint_count=${c.count}&checkpoint_time=${c.time_ms}&checkpoint_head=${c.head}&checkpoint_mac=${c.mac}` });
    const later = await checkpoint();
    execFileSync('sqlite3', ['-cmd', '.timeout 10000', path.join(s.data, 'sallyport.db'), `delete from audit where seq = ${later.count}`]);
    await expect(409, 'auditPrune', { ...on, body: later }); // somebody has meddled with the log
    await expect(200, 'backup', on);
    await expect(202, 'backupStart', { ...on, body: { file: path.join(s.folder, 'copy.db') } });
    await expect(200, 'backup', on);
    await expect(200, 'status', on);
});

test('what services do, and receipts', async () => {
    const mine = { headers: basic(service) }, on = { on: 'socket' };
    const plain = (await expect(201, 'clientAdd', { ...on, body: { client_id: 'plain', feed: false } })).json;
    for (const id of ['feed', 'feedSnapshot', 'feedKeys', 'feedNonce', 'feedAck'])
        await expect(403, id, { headers: basic(`plain:${plain.client_secret}`), body: operations.get(id).requestBody ? {} : undefined });
    await expect(400, 'feed', { headers: { ...basic(service), 'last-event-id': 'x' } });
    await expect(400, 'feed', { ...mine, query: 'verifier=a%20b' });
    const f = await follow(s, service, { name: 'w', acks: true });
    await f.until(() => f.acked > 0);
    conforms('feed', { status: f.res.statusCode, headers: f.res.headers, text: '' });
    await expect(200, 'feedSnapshot', mine);
    await expect(200, 'feedKeys', mine);
    await expect(200, 'feedNonce', { ...mine, body: { nonce: 'A'.repeat(22) } });
    const ack = { epoch: f.epoch, seq: f.seq, ...f.inForce, max_staleness_s: 30 };
    await expect(204, 'feedAck', { ...mine, body: { verifier: 'other', ...ack } });
    await expect(409, 'feedAck', { ...mine, body: { verifier: 'other', ...ack, seq: f.seq + 1000 } });
    await expect(200, 'verifiers', { ...on, query: 'limit=1' });
    await expect(204, 'feedAck', { ...mine, body: { verifier: 'other', ...ack, leaving: true } });
    const prefer = { prefer: 'wait=5' };
    const receipt = async (id, how = {}) => {
        const r = await expect(200, id, { ...how, headers: { ...prefer, ...how.headers } });
        assert.deepEqual([r.json.verifiers, r.json.confirmed, r.headers['preference-applied']], [1, 1, 'wait=5'], id);
    };
    await s.addUser('paula', ['reader']);
    const login = () => s.login('paula');
    const token = async () => ({ token: (await login()).access_token });
    await receipt('logout', await token());
    await receipt('logoutAll', await token());
    const two = await login();
    await receipt('sessionEnd', { token: two.access_token, params: { sid: two.session_id } });
    await receipt('adminSessionEnd', { ...on, params: { sid: (await login()).session_id } });
    await new Visitor(s).signIn({ client_id: 'shop', response_type: 'code', redirect_uri: CALLBACK, scope: 'openid', code_challenge: pkce().challenge, code_challenge_method: 'S256' }, 'paula');
    await receipt('consentEnd', { ...await token(), params: { client: 'shop' } });
    await receipt('revoke', { ...on, body: { jti: 'A'.repeat(22) } });
    await receipt('password', { ...await token(), body: { current_password: PASSWORD, new_password: 'long and winding road' } });
    const paula = { ...on, params: { user: 'paula' } };
    await receipt('userRoles', { ...paula, body: { roles: [] } });
    await receipt('userPassword', { ...paula, body: { password: PASSWORD } });
    await receipt('userDisable', paula);
    await receipt('userEnable', paula);
    await receipt('userDelete', paula);
    f.close();
});

test('a registry of verifiers that is full refuses one more', async () => {
    const agent = new http.Agent({ keepAlive: true, maxSockets: 16 });
    const { feed_epoch: epoch, revoke_seq: seq } = (await s.ask('status'));
    const ack = (verifier) => ({ verifier, epoch, seq, roles: 'A'.repeat(43), keys: 'A'.repeat(43), max_staleness_s: 3600 });
    const send = (verifier) => request(s.port, 'POST', '/feed/ack', { headers: { ...basic(service), 'content-type': 'application/json' }, body: JSON.stringify(ack(verifier)), agent });
    await Promise.all(Array.from({ length: 4096 }, (_, i) => send(`v${i}`)));
    await expect(503, 'feedAck', { headers: basic(service), body: ack('one-more') });
    agent.destroy();
});

test('every documented answer came', () => {
    const wanted = [...operations].flatMap(([id, op]) => Object.keys(op.responses).filter((x) => x !== 'default').map((x) => `${id} ${x}`));
    const elsewhere = new Set(['readyz 503']); // a store that is down: observe.test.mjs
    assert.deepEqual(wanted.filter((x) => !came.has(x) && !elsewhere.has(x)), []);
});
