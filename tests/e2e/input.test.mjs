// Bad input on every route of routes.def: a precise refusal with a stable code, never a 5xx, and nothing changed.
import assert from 'node:assert/strict';
import { execSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import net from 'node:net';
import { after, before, test } from 'node:test';
import { basic } from './feed.mjs';
import { ORIGIN, PASSWORD, raw, refused, request, Server, sleep, slowness } from './harness.mjs';
import { oauthRefused } from './oauth.mjs';

const BODY_MAX = 16 * 1024;
const SID = Buffer.alloc(20, 9).toString('base64url');
const SEGMENTS = { user: 'nobody-here', sid: SID, role: 'no-such-role', kid: 'no-such-key' };

const text = readFileSync(new URL('../../src/http/routes.def', import.meta.url), 'utf8');
const routes = [...text.matchAll(/^R\((\w+), "([^"]+)", (\w+), (\w+), (\w+), (\w+),\s+"([^"]*)"\)/gm)].map((m) => ({
    method: m[1], path: m[2].replace(/\{(\w+)\}/g, (_, name) => SEGMENTS[name] ?? 'x'), pattern: m[2], name: m[3], auth: m[4], body: m[5],
    parameters: m[7].split(' ').filter(Boolean) }));
const json = routes.filter((r) => r.body.startsWith('JSON')); // forms: oauth_input.test.mjs

// The fields of each body: L label, M label or empty, T text, B flag, W words, C count, with the most bytes where that is worth a try; `!`: required.
const CLIENT = {
    name: 'M128', feed: 'B', auth_method: 'L64', grants: 'W', scopes: 'W', audiences: 'W', redirect_uris: 'W', post_logout_redirect_uris: 'W',
    backchannel_logout_uri: 'M512', jwks: 'J', rotate_refresh: 'B', trusted: 'B', require_par: 'B', require_dpop: 'B',
};
const FIELDS = {
    login: { 'username!': 'L256', 'password!': 'T1024', device: 'L128', mode: 'L16', device_token: 'M98' },
    register: { 'username!': 'L256', 'password!': 'T1024', device: 'L128', mode: 'L16', device_token: 'M98' },
    refresh: { refresh_token: 'L', attempt: 'L22' },
    logout: { refresh_token: 'L' },
    password: { 'current_password!': 'T1024', 'new_password!': 'T1024' },
    admin_user_add: { 'name!': 'L256', password: 'T1024', roles: 'W' },
    admin_user_roles: { 'roles!': 'W' },
    admin_user_password: { 'password!': 'T1024' },
    admin_role_set: { 'permissions!': 'W' },
    admin_revoke: { jti: 'L64', session: 'L64', user: 'L256', everyone: 'B' },
    admin_session_add: { 'subject!': 'L', roles: 'W', scope: 'L', amr: 'W', device: 'L128', mode: 'L16', auth_time: 'C' },
    admin_audit_prune: { 'count!': 'C', 'time_ms!': 'C', 'head!': 'L64', 'mac!': 'L64' },
    admin_backup_start: { 'file!': 'L' },
    admin_client_add: { 'client_id!': 'L64', client_secret: 'T128', ...CLIENT },
    admin_client_set: { version: 'C', ...CLIENT },
    admin_client_rotate: { overlap_s: 'C', client_secret: 'T128' },
    feed_nonce: { 'nonce!': 'L22' },
    feed_ack: { 'verifier!': 'L64', 'epoch!': 'L22', 'seq!': 'C', 'roles!': 'L43', 'keys!': 'L43', 'max_staleness_s!': 'C', leaving: 'B' },
    admin_key_rotate: { use: 'L16', immediately: 'B' },
};
const GOOD = { L: 'x', M: '', T: 'x', B: false, W: [], C: 1, J: {} };

let s, token, service;
before(async () => {
    s = await Server.start({ 'registration.enabled': 'true' }); // or its route is not there
    await s.ask('role', 'set', 'admin', 'sallyport:admin');
    await s.addUser('root', ['admin']);
    token = (await s.login('root')).access_token;
    service = (await s.cli(['client', 'add', 'service', '--feed'])).stdout.trim();
});
after(() => s.stop());

// The same refusal in the words of the route: a problem, an error of OAuth, or a page.
function refusedBy(route, r, status, code, note) {
    if (['CLIENT', 'TOKEN'].includes(route.auth)) {
        oauthRefused(r, status, 'invalid_request', note);
    } else if (route.auth === 'PAGE') {
        assert.equal(r.status, status, note);
        assert.match(r.text, /<h1>This did not work<\/h1>/, note);
    } else {
        refused(r, status, code, note);
    }
}

// `work` leaves everything as it was.
async function harmless(work) {
    const was = await s.state();
    await work();
    assert.deepEqual(await s.state(), was);
    assert.equal((await s.get('/auth/me', token)).status, 200);
}

function send(route, { path = route.path, headers = {}, body, method = route.method } = {}) {
    const bytes = body === undefined ? undefined : Buffer.from(body);
    const length = bytes === undefined ? {} : { 'content-length': bytes.length };
    const who = route.auth === 'FEED' ? basic(service) : s.bearer(token);
    return request(s.port, method, path, { headers: { ...who, ...length, ...headers }, body: bytes });
}
const sendJson = (route, body) => send(route, { headers: { 'content-type': 'application/json' }, body });

test('the table of routes was read', () => {
    assert.ok(routes.length >= 30, `${routes.length}`);
    assert.equal(routes.length, (text.match(/^R\(/gm) ?? []).length);
});

test('methods that a path does not offer are 405 with the exact Allow; OPTIONS is 204 with it', async () => {
    await harmless(async () => {
        for (const { pattern, path } of routes) {
            const here = routes.filter((r) => new RegExp(`^${r.pattern.replace(/\{\w+\}/g, '[^/]+').replace(/\./g, '\\.')}$`).test(path));
            const offered = here.map((r) => r.method).flatMap((m) => (m === 'GET' ? ['GET', 'HEAD'] : [m]));
            const allow = [...offered, 'OPTIONS'].sort();
            for (const method of ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'PURGE', 'TRACE', 'PROPFIND', 'OPTIONS']) {
                if (offered.includes(method)) continue;
                const r = await send(here[0], { method, path });
                assert.deepEqual(r.headers.allow.split(', ').sort(), allow, `${method} ${pattern}`);
                if (method === 'OPTIONS') assert.equal(r.status, 204);
                else if (method === 'HEAD') assert.equal(r.status, 405);
                else refusedBy(here[0], r, 405, 'method_not_allowed', `${method} ${pattern}`);
            }
        }
    });
});

test('HEAD answers like GET, without the body', async () => {
    for (const route of routes.filter((r) => r.method === 'GET' && !r.pattern.startsWith('/feed'))) { // those are streams
        const [get, head] = [await send(route), await send(route, { method: 'HEAD' })];
        assert.equal(head.status, get.status, route.pattern);
        assert.equal(head.text, '');
        assert.equal(head.headers['content-type'], get.headers['content-type']);
    }
});

test('unknown, repeated, empty and badly encoded query parameters', async () => {
    await harmless(async () => {
        for (const route of routes.filter((r) => r.auth !== 'PAGE' || r.method !== 'GET')) { // those ignore what they do not know
            const body = route.body === 'NONE' ? {} : { headers: { 'content-type': 'application/json' }, body: '{}' };
            const query = (q, code) => send(route, { path: `${route.path}?${q}`, ...body }).then((r) => refusedBy(route, r, 400, code, `${route.pattern}?${q}`));
            await query('nope=1', 'unknown_parameter');
            await query('__proto__=1', 'unknown_parameter');
            for (const q of ['&', '=', '=1', 'x', '%', 'a=1;b=2'.replace('a=1;', '&&')]) await query(q, 'bad_parameter');
            for (const p of route.parameters) {
                await query(`${p}=1&${p}=1`, 'duplicate_parameter');
                await query(`${p}=1&nope=1`, 'unknown_parameter');
                await query(`${p.toUpperCase()}=1`, 'unknown_parameter');
                await query(`${p}%20=1`, 'unknown_parameter');
                for (const v of ['', '%', '%0', '%zz', '%00', '%0A', '%c3%a9', '%C3%28', '%C0%AF', '%ED%A0%80', 'a+b', 'a=b', 'a;b', '"', '<', '%41', '%5C'])
                    await query(`${p}=${v}`, 'bad_parameter');
            }
        }
    });
});

test('parameters of lists: values that are none', async () => {
    const list = (q, code = 'bad_parameter') => s.get(`/admin/v1/${q}`, token).then((r) => refused(r, 400, code, q));
    for (const path of ['users', 'sessions', 'audit']) {
        for (const v of ['0', '-1', '201', '1.5', '1e2', '0x10', '%201', 'ten', '18446744073709551616', '9'.repeat(40)]) await list(`${path}?limit=${v}`);
        assert.equal((await s.get(`/admin/v1/${path}?limit=200`, token)).status, 200);
    }
    await list('audit?after=-1');
    await list('audit?after=18446744073709551616');
    await list('sessions?ended=yes');
    for (const path of ['users', 'sessions']) {
        for (const v of ['x', 'A'.repeat(300), '....', SID]) {
            const r = await s.get(`/admin/v1/${path}?after=${v}`, token);
            assert.ok(r.status === 200 || r.status === 400, `${path} ${v} ${r.text}`);
        }
    }
    assert.ok([404, 414].includes((await s.get(`/admin/v1/sessions?user=${'a'.repeat(4000)}`, token)).status));
    refused(await s.get('/admin/v1/sessions?user=nobody-here', token), 404, 'not_found');
});

test('paths that only look like ours', async () => {
    const get = (path) => s.get(path, token);
    for (const path of ['/auth/../auth/me', '/auth/./me', '/..', '/auth/%6De', '/%61uth/me', '/auth/%2e%2e/auth/me', '/auth/me%2F', '/auth%2Fme', '/auth/me%00',
        '/auth/me%', '/auth/me%2', '/auth/me%zz', '/auth\\me', '/auth/me%5C', '/auth/me%0D%0A', '/auth/me"', '/auth/<me>', '/auth/me|', '/auth/m^e', '/auth/me`',
        '/admin/v1/users/%c3%a9', '/admin/v1/users/%C3%28', '/admin/v1/users/%C0%AF', '/admin/v1/users/%ED%A0%80', '/admin/v1/users/a%2Fb', '/admin/v1/users/..',
        '/admin/v1/users/%E2%80', '/admin/v1/users/%7F'])
        refused(await get(path), 400, 'bad_path', path);
    for (const path of ['/', '/auth', '/auth/', '/auth//me', '//auth/me', '/auth/me/', '/AUTH/ME', '/auth/Me', '/auth/me;x=1', '/auth/me%20', '/auth/mea', '/auth/m',
        '/auth/me/x', '/admin', '/admin/v1', '/admin/v1/users/', '/admin/v1/users//disable', '/admin/v2/users', '/.well-known/', '/.git/config', '/index.php', '/feed%20'])
        refused(await get(path), 404, 'no_such_route', path);
    for (const path of ['/admin/v1/users/%C3%A9', '/admin/v1/users/%22', '/admin/v1/users/%25', '/admin/v1/users/a%20b', "/admin/v1/users/';--", '/admin/v1/users/...'])
        refused(await get(path), 404, 'not_found', path);
    const answer = await raw(s.port, `GET /auth/me#fragment HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\nConnection: close\r\n\r\n`);
    assert.match(answer, /^HTTP\/1\.1 (200|400) /);
});

test('a body where none belongs', async () => {
    await harmless(async () => {
        for (const route of routes.filter((r) => r.body === 'NONE'))
            for (const type of ['application/json', 'text/plain'])
                refusedBy(route, await send(route, { headers: { 'content-type': type }, body: '{}' }), 400, 'body_not_allowed', `${route.method} ${route.pattern}`);
    });
});

test('media types: exactly JSON in UTF-8, not compressed', async () => {
    await harmless(async () => {
        for (const route of json) {
            for (const type of [undefined, '', 'text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x', 'application/json; charset=utf-16',
                'application/json; charset=iso-8859-1', 'application/json;', 'application/json; charset=utf-8; x=1', 'application/json, application/json',
                'application/problem+json', 'application/jsonx', 'application/ json', 'json', '*/*'])
                refused(await send(route, { headers: type === undefined ? {} : { 'content-type': type }, body: '{}' }), 415, 'unsupported_media_type', `${route.pattern} ${type}`);
            for (const coding of ['gzip', 'br', 'identity, gzip', 'x'])
                refused(await send(route, { headers: { 'content-type': 'application/json', 'content-encoding': coding }, body: '{}' }), 415, 'unsupported_media_type', coding);
            for (const type of ['application/json', 'Application/JSON', 'application/json;charset=UTF-8', 'application/json ; charset="utf-8"'])
                refused(await send(route, { headers: { 'content-type': type }, body: '{' }), 400, 'malformed_json', `${route.pattern} ${type}`);
        }
    });
});

test('bodies that are not one JSON object', async () => {
    const bytes = (...parts) => Buffer.concat(parts.map((p) => (typeof p === 'string' ? Buffer.from(p) : Buffer.from(p))));
    const malformed = [' ', '{', '}', '{}{}', '{} x', '[', 'nul', 'undefined', "{'a':1}", '{"a":1,}', '{a:1}', '{"a"}', '{"a":}', '\ufeff{}', '{"a":NaN}', '{"a":Infinity}',
        '{"a":01}', '{"a":+1}', '{"a":.5}', '{"a":1.}', '{"a":1e}', '{"a":1e999}', `{"a":${'9'.repeat(400)}}`, '{"a":-}', '{"a":"\\x"}', '{"a":"\\u00"}', '{"a":"\\u0000"}',
        '{"\\u0000":1}', '{"a":"\\ud800"}', '{"a":"\\udc00\\ud800"}', '{"a":"\n"}', '{"a":1}//', '{/**/}', '{"a":"', '['.repeat(8000), '{"a":'.repeat(3000), '\0', '{}\0',
        bytes('{"a":"', [0xff], '"}'), bytes('{"a":"', [0xc0, 0x80], '"}'), bytes('{"a":"', [0xed, 0xa0, 0x80], '"}'), bytes('{"a":"', [0xf4, 0x90, 0x80, 0x80], '"}'),
        bytes('{"a":"', [0xc3], '"}'), bytes('{"', [0xfe], '":1}'), bytes('{"a":"', [0], '"}'), bytes([0xff, 0xfe, 0x7b, 0, 0x7d, 0]), bytes([0, 0x7b, 0, 0x7d])];
    await harmless(async () => {
        for (const route of json) {
            for (const body of malformed) refused(await sendJson(route, body), 400, 'malformed_json', `${route.pattern} ${body.toString('latin1').slice(0, 60)}`);
            if (route.body === 'JSON') refused(await sendJson(route, ''), 400, 'malformed_json', `${route.pattern}: empty`);
            for (const body of ['[]', '"x"', '1', 'null', 'true', '[{}]', '1e2']) refused(await sendJson(route, body), 400, 'not_an_object', `${route.pattern} ${body}`);
            const nope = await sendJson(route, '{"nope":1}');
            refused(nope, 400, 'unknown_field', route.pattern);
            assert.equal(nope.json.detail, 'nope', route.pattern);
            for (const name of ['__proto__', 'constructor', '', 'Password', 'username ', 'usern\\u0430me', 'x'.repeat(10000)])
                refused(await sendJson(route, `{"${name}":"x"}`), 400, 'unknown_field', `${route.pattern} ${name.slice(0, 20)}`);
            refused(await sendJson(route, '{"x":1,"x":1}'), 400, 'duplicate_field', route.pattern);
            refused(await sendJson(route, '{"x":1,"\\u0078":1}'), 400, 'duplicate_field', route.pattern);
            refused(await sendJson(route, `{"nope":${'['.repeat(1000)}${']'.repeat(1000)}}`), 400, 'unknown_field', 'deep but whole');
        }
    });
});

test('fields: repeated, of another type, empty, too long, with control characters, missing', async (t) => {
    await harmless(async () => {
        for (const route of json) {
            if (!FIELDS[route.name]) t.diagnostic(`NOT TESTED: the fields of ${route.name} are not listed in this file`);
            const fields = Object.entries(FIELDS[route.name] ?? {})
                .map(([name, type]) => ({ name: name.replace('!', ''), required: name.endsWith('!'), type: type[0], max: Number(type.slice(1)) }));
            // Everything else as it should be, so that the field alone is the fault.
            const body = (name, value) => JSON.stringify({ ...Object.fromEntries(fields.filter((f) => f.required).map((f) => [f.name, GOOD[f.type]])), [name]: value });
            const check = async (f, value, code) => {
                const r = await sendJson(route, body(f.name, value));
                refused(r, 400, code, `${route.pattern} ${f.name}=${JSON.stringify(value).slice(0, 40)}`);
                assert.equal(r.json.detail, f.name);
            };
            for (const f of fields) {
                const others = { L: [1, null, true, [], {}, ['x'], 1e300], M: [1, null, true, [], {}], T: [1, null, false, [], {}], B: [0, 1, null, 'true', [], {}], W: ['x', 1, null, true, {}, [1], [null], [['x']]], C: ['1', null, true, [], {}, 1.5], J: ['{}', 1, null, true, [], [{}]] };
                for (const value of others[f.type]) await check(f, value, 'wrong_type');
                refused(await sendJson(route, `{"${f.name}":${JSON.stringify(GOOD[f.type])},"${f.name}":${JSON.stringify(GOOD[f.type])}}`), 400, 'duplicate_field', f.name);
                if ('LT'.includes(f.type)) await check(f, '', 'bad_value');
                if (f.max) await check(f, 'a'.repeat(f.max + 1), 'too_long');
                if (f.max) await check(f, 'é'.repeat(f.max / 2 + 1), 'too_long');
                if ('LM'.includes(f.type)) for (const c of ['\u0001', 'a\nb', 'a\u007fb', '\u009b', 'a\tb']) await check(f, c, 'bad_value');
                if (f.type === 'W') for (const c of [[''], ['a b'], ['a', 'a'], ['é'], ['"'], ['\\'], ['a\n']]) await check(f, c, 'bad_value');
                if (f.type === 'W') await check(f, Array.from({ length: 1500 }, (_, i) => `r${i}`), 'too_long');
                if (f.required) {
                    const without = JSON.parse(body('zz', 1));
                    delete without.zz;
                    delete without[f.name];
                    const r = await sendJson(route, JSON.stringify(without));
                    refused(r, 400, 'missing_field', `${route.pattern} ${f.name}`);
                    assert.equal(r.json.detail, f.name);
                }
            }
        }
    });
});

test('what the types allow and the meaning does not', async () => {
    const post = (url, body) => s.post(url, body, s.bearer(token));
    await harmless(async () => {
        refused(await post('/auth/login', { username: 'root', password: PASSWORD, mode: 'Cookie' }), 400, 'bad_value');
        refused(await post('/auth/refresh', {}), 401, 'not_authenticated');
        refused(await s.post('/auth/logout', {}), 401, 'not_authenticated');
        for (const body of [{}, { everyone: false }, { jti: 'x', user: 'root' }, { everyone: true, user: 'root' }])
            refused(await post('/admin/v1/revocations', body), 400, 'invalid_request', JSON.stringify(body));
        refused(await post('/admin/v1/revocations', { session: 'x' }), 400, 'invalid_request');
        for (const body of [{ session: SID }, { user: 'nobody-here' }]) refused(await post('/admin/v1/revocations', body), 404, 'not_found', JSON.stringify(body));
        for (const jti of ['x', 'A'.repeat(21), 'A'.repeat(23), `${'A'.repeat(21)}B`, '../..', SID]) refused(await post('/admin/v1/revocations', { jti }), 400, 'invalid_request', jti);
        refused(await post('/admin/v1/keys/rotate', { use: 'audit' }), 400, 'bad_value');
        refused(await s.send('DELETE', '/auth/sessions/x', undefined, s.bearer(token)), 404, 'not_found');
        refused(await s.send('DELETE', `/auth/sessions/${SID}A`, undefined, s.bearer(token)), 404, 'not_found');
        for (const name of [' a', 'a ', '\u200da', 'a\u202eb', '\ufeffa', '\u2028']) {
            const r = await post('/admin/v1/users', { name });
            assert.equal(r.status, 400, JSON.stringify(name));
        }
        refused(await post('/admin/v1/users', { name: 'ROOT' }), 409, 'already_exists');
        refused(await post('/admin/v1/users', { name: 'short', password: 'seven77' }), 422, 'password_rejected');
        refused(await post('/admin/v1/users', { name: 'samesame', password: 'SameSame' }), 422, 'password_rejected');
    });
});

test('permissions of a role: segments of letters, digits and . _ -, and a * only as the last', async () => {
    const set = (permissions) => s.send('PUT', '/admin/v1/roles/probe', { permissions }, s.bearer(token));
    await harmless(async () => {
        for (const bad of [':', 'a:', ':b', 'a::b', 'a*:b', 'a:*:b', '*:a', '**', 'a:**', 'a:b*', 'a/b', 'a:b!', "a:b'", 'a:b;', 'a,b', `a:${'b'.repeat(127)}`])
            refused(await set([bad]), 400, 'invalid_request', bad);
        refused(await set(['a:b', 'a:']), 400, 'invalid_request', 'one of two');
    });
    const good = ['*', 'A.b_c-9:d', 'a', 'a:*', 'a:b', 'a:b:c:*', `a:${'b'.repeat(126)}`];
    assert.equal((await set([...good].reverse())).status, 204);
    assert.deepEqual((await s.ask('role', 'list')).find((r) => r.name === 'probe').permissions, good);
    assert.equal((await s.send('DELETE', '/admin/v1/roles/probe', undefined, s.bearer(token))).status, 204);
});

test('bodies over 16 KiB are 413, announced or chunked; one byte less is read', async () => {
    await harmless(async () => {
        for (const route of json) {
            const filled = (n) => `{"nope":"${'x'.repeat(n - 11)}"}`;
            assert.equal(filled(BODY_MAX).length, BODY_MAX);
            refused(await sendJson(route, filled(BODY_MAX)), 400, 'unknown_field', route.pattern);
            const head = `${route.method} ${route.path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n`;
            assert.match(await raw(s.port, `${head}Content-Length: ${BODY_MAX + 1}\r\n\r\n{`), /^HTTP\/1\.1 413 .*"code":"body_too_large"/s, 'before it is sent');
            assert.match(await raw(s.port, `${head}Content-Length: 99999999999\r\n\r\n`), /^HTTP\/1\.1 413 /);
            const chunk = `1000\r\n${'x'.repeat(4096)}\r\n`;
            assert.match(await raw(s.port, `${head}Transfer-Encoding: chunked\r\n\r\n${chunk.repeat(5)}0\r\n\r\n`), /^HTTP\/1\.1 413 /);
        }
    });
});

test('headers that decide must not come twice', async () => {
    await harmless(async () => {
        for (const route of routes) {
            const body = route.body === 'NONE' ? undefined : '{"nope":1}';
            const basic = ['host', 'x', ...(body ? ['content-length', `${body.length}`] : [])];
            for (const [name, a, b] of [['authorization', `Bearer ${token}`, `Bearer ${token}`], ['authorization', `Bearer ${token}`, 'Bearer x'], ['origin', ORIGIN, ORIGIN],
                ['sec-fetch-site', 'same-origin', 'cross-site'], ['x-csrf-token', 'a', 'b'], ['content-type', 'application/json', 'application/json'],
                ['Content-Encoding', 'identity', 'identity']]) {
                const auth = name === 'authorization' ? [] : ['authorization', `Bearer ${token}`];
                const r = await request(s.port, route.method, route.path, { headers: [...basic, ...auth, name, a, name.toUpperCase(), b], body });
                refusedBy(route, r, 400, 'repeated_header', `${route.pattern} ${name}`);
            }
        }
    });
});

test('credentials that are none', async () => {
    await harmless(async () => {
        for (const route of routes.filter((r) => r.auth === 'USER' || r.auth === 'ADMIN')) {
            const body = route.body === 'NONE' ? {} : { headers: { 'content-type': 'application/json' }, body: '{}' };
            const as = (authorization) => send(route, { ...body, headers: { ...body.headers, authorization } });
            refused(await request(s.port, route.method, route.path), 401, 'not_authenticated', route.pattern);
            for (const bad of ['Bearer x', `Bearer ${token}x`, `Bearer ${token.slice(0, -1)}`, `Bearer ${'a'.repeat(8000)}`, 'Bearer ..', `Bearer ${token.split('.').slice(0, 2).join('.')}.`])
                refused(await as(bad), 401, 'invalid_token', `${route.pattern} ${bad.slice(0, 30)}`);
            for (const bad of ['', 'Bearer', 'Bearer ', ' ', `Bearer ${token} ${token}`, `Bearer ${token},`, 'Bearer =', 'Bearer "x"', token])
                refused(await as(bad), 400, 'malformed_authorization', `${route.pattern} ${bad.slice(0, 30)}`);
            for (const bad of ['Basic cm9vdDpyb290', `DPoP ${token}`, `Bearer\t${token}`, `Token ${token}`]) {
                const r = await as(bad);
                assert.ok(r.status === 401 || r.status === 400, r.text);
            }
        }
        assert.equal((await s.get('/auth/me', undefined, { authorization: `bEARER  ${token}` })).status, 200);
    });
});

// [what is sent, the statuses that may answer]. 501 and 505 are the RFC's words for what a server does not speak.
const framing = (h, body = '') => `POST /auth/refresh HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n${h}\r\n\r\n${body}`;
const wire = [
    ['two Hosts', 'GET /healthz HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n', 400], ['no Host', 'GET /healthz HTTP/1.1\r\n\r\n', 400],
    ['a Host with a path', 'GET /healthz HTTP/1.1\r\nHost: a/b\r\n\r\n', 400], ['a Host with a space', 'GET /healthz HTTP/1.1\r\nHost: a b\r\n\r\n', 400],
    ['CL and TE', framing('Content-Length: 2\r\nTransfer-Encoding: chunked', '0\r\n\r\n'), 400], ['TE and CL', framing('Transfer-Encoding: chunked\r\nContent-Length: 2', '0\r\n\r\n'), 400],
    ['CL twice', framing('Content-Length: 2\r\nContent-Length: 2', '{}'), 400], ['CL that differ', framing('Content-Length: 2\r\nContent-Length: 3', '{} '), 400],
    ['a list of CL', framing('Content-Length: 2, 2', '{}'), 400], ['CL +2', framing('Content-Length: +2', '{}'), 400], ['CL -1', framing('Content-Length: -1'), 400],
    ['CL 0x2', framing('Content-Length: 0x2', '{}'), 400], ['CL 2^64', framing('Content-Length: 18446744073709551616'), 400], ['CL empty', framing('Content-Length:'), 400],
    ['CL_', framing('Content_Length: 2', '{}'), 400], ['TE twice', framing('Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked', '0\r\n\r\n'), 400],
    ['chunked twice', framing('Transfer-Encoding: chunked, chunked', '0\r\n\r\n'), 400, 501], ['TE unknown', framing('Transfer-Encoding: xchunked'), 400, 501],
    ['TE without chunked', framing('Transfer-Encoding: gzip'), 400, 501], ['TE with a tab', framing('Transfer-Encoding:\tchunked\x0b', '0\r\n\r\n'), 400, 501],
    ['TE in 1.0', 'POST /auth/refresh HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n', 400], ['chunk size of letters', framing('Transfer-Encoding: chunked', 'xyz\r\n{}\r\n'), 400],
    ['chunk size overflow', framing('Transfer-Encoding: chunked', 'fffffffffffffffff\r\n'), 400, 413], ['chunk too short', framing('Transfer-Encoding: chunked', '1\r\n{}\r\n0\r\n\r\n'), 400],
    ['chunk with bare LF', framing('Transfer-Encoding: chunked', '2\n{}\n0\n\n'), 400], ['negative chunk', framing('Transfer-Encoding: chunked', '-2\r\n{}\r\n'), 400],
    ['space before colon', 'GET /healthz HTTP/1.1\r\nHost : a\r\n\r\n', 400], ['folded header', 'GET /healthz HTTP/1.1\r\nHost: a\r\n b\r\n\r\n', 400],
    ['no colon', 'GET /healthz HTTP/1.1\r\nHost: a\r\nnonsense\r\n\r\n', 400], ['empty name', 'GET /healthz HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n', 400],
    ['bare LF', 'GET /healthz HTTP/1.1\nHost: a\n\n', 400], ['bare CR', 'GET /healthz HTTP/1.1\r\nHost: a\rb\r\n\r\n', 400], ['NUL', 'GET /healthz HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n', 400],
    ['DEL', 'GET /healthz HTTP/1.1\r\nHost: a\r\nX: a\x7fb\r\n\r\n', 400], ['two spaces', 'GET  /healthz HTTP/1.1\r\nHost: a\r\n\r\n', 400],
    ['a tab', 'GET\t/healthz HTTP/1.1\r\nHost: a\r\n\r\n', 400], ['HTTP/0.9', 'GET /healthz\r\n\r\n', 400], ['lower-case method', 'get /healthz HTTP/1.1\r\nHost: a\r\n\r\n', 400, 501],
    ['HTTP/1.2', 'GET /healthz HTTP/1.2\r\nHost: a\r\n\r\n', 505, 400], ['HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 400, 501, 505], ['http/1.1', 'GET /healthz http/1.1\r\nHost: a\r\n\r\n', 400],
    ['CONNECT', 'CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n', 400, 501], ['a TLS greeting', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n', 400],
    ['a long target', `GET /${'a'.repeat(9000)} HTTP/1.1\r\nHost: a\r\n\r\n`, 414], ['many headers', `GET /healthz HTTP/1.1\r\nHost: a\r\n${'X: y\r\n'.repeat(120)}\r\n`, 431],
    ['large headers', `GET /healthz HTTP/1.1\r\nHost: a\r\nX: ${'y'.repeat(20000)}\r\n\r\n`, 431], ['an expectation', framing('Expect: the-unexpected\r\nContent-Length: 2', '{}'), 417],
    ['a target with a space', 'GET /healthz x HTTP/1.1\r\nHost: a\r\n\r\n', 400], ['a relative target', 'GET healthz HTTP/1.1\r\nHost: a\r\n\r\n', 400],
    ['control characters in the target', 'GET /health\x01z HTTP/1.1\r\nHost: a\r\n\r\n', 400], ['* for GET', 'GET * HTTP/1.1\r\nHost: a\r\n\r\n', 400, 404],
];

test('framing that two parsers could read differently: one refusal, and what follows is never a request', async () => {
    const smuggled = 'GET /healthz HTTP/1.1\r\nHost: smuggled\r\n\r\n';
    await harmless(async () => {
        await Promise.all(wire.map(async ([what, bytes, ...statuses]) => {
            const answer = await raw(s.port, Buffer.from(bytes + smuggled, 'latin1'));
            const status = Number(/^HTTP\/1\.1 (\d+)/.exec(answer)?.[1]);
            assert.ok(statuses.includes(status), `${what}: ${answer.slice(0, 300)}`);
            assert.equal(answer.match(/HTTP\/1\.1 \d/g).length, 1, `${what}: ${answer}`);
            assert.doesNotMatch(answer, /alive/, what);
            assert.match(answer, /\r\nContent-Type: application\/problem\+json\r\n/, what);
            assert.match(JSON.parse(answer.slice(answer.indexOf('\r\n\r\n') + 4)).code, /^[a-z_]+$/, what);
            assert.match(answer, /\r\nConnection: close\r\n/, what);
        }));
    });
});

test('bytes split at every place are the same request', async () => {
    const bytes = 'GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n';
    const c = net.connect(s.port, '127.0.0.1').setNoDelay(true);
    let answer = '';
    c.on('data', (d) => { answer += d; });
    for (const b of bytes) {
        c.write(b);
        await new Promise((done) => setImmediate(done));
    }
    await new Promise((done) => c.once('close', done));
    assert.match(answer, /^HTTP\/1\.1 200 .*"alive"/s);
});

test('a truncated body does nothing', async () => {
    await harmless(async () => {
        const body = JSON.stringify({ name: 'never', password: PASSWORD });
        const head = `POST /admin/v1/users HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\nContent-Type: application/json\r\nContent-Length: ${body.length + 1}\r\n\r\n`;
        const c = net.connect(s.port, '127.0.0.1');
        let answer = '';
        c.on('data', (d) => { answer += d; });
        c.end(head + body); // one byte is missing, and none will come
        await new Promise((done) => c.once('close', done));
        assert.doesNotMatch(answer, /^HTTP\/1\.1 2/);
    });
});

// ---- slow and many ----

// Milliseconds until the server ends the connection, and what it said.
function untilClosed(port, write) {
    return new Promise((done) => {
        const begin = Date.now(), c = net.connect(port, '127.0.0.1');
        let answer = '', timer;
        c.on('data', (d) => { answer += d; });
        c.on('error', () => {});
        c.on('close', () => {
            clearInterval(timer);
            done({ ms: Date.now() - begin, answer });
        });
        c.on('connect', () => { timer = write(c); });
    });
}

test('slow senders are cut at the deadline, however they drip; the idle are closed without a word', async () => {
    const t = await Server.start({ 'server.header_timeout': '300ms', 'server.body_timeout': '300ms', 'server.idle_timeout': '400ms' });
    try {
        const drip = (text) => (c) => {
            let i = 0;
            return setInterval(() => c.write(text[i++ % text.length]), 50);
        };
        const head = 'POST /auth/refresh HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n';
        const [half, dripped, halfBody, drippedBody, chunks, idle, kept] = await Promise.all([
            untilClosed(t.port, (c) => { c.write('GET /healthz HT'); }),
            untilClosed(t.port, (c) => { c.write('GET /healthz HTTP/1.1\r\n'); return drip('X: y\r\n')(c); }),
            untilClosed(t.port, (c) => { c.write(`${head}{`); }),
            untilClosed(t.port, (c) => { c.write(head); return drip(' ')(c); }),
            untilClosed(t.port, (c) => { c.write(head.replace('Content-Length: 100', 'Transfer-Encoding: chunked')); return setInterval(() => c.write('1\r\n \r\n'), 50); }),
            untilClosed(t.port, () => undefined),
            untilClosed(t.port, (c) => { c.write('GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n'); }),
        ]);
        for (const r of [half, dripped, halfBody, drippedBody, chunks]) {
            assert.match(r.answer, /^HTTP\/1\.1 408 .*application\/problem\+json.*"code":"request_timeout"/s);
            assert.ok(r.ms >= 250 && r.ms < 4000 * slowness, `${r.ms} ms`);
        }
        assert.equal(idle.answer, '');
        assert.ok(idle.ms >= 350 && idle.ms < 4000 * slowness, `${idle.ms} ms`);
        assert.match(kept.answer, /^HTTP\/1\.1 200 /);
        assert.ok(kept.ms < 4000 * slowness);
    } finally {
        await t.stop();
    }
});

test('two thousand idle and half-open connections do not keep others waiting', async (t) => {
    const limit = Number(execSync('ulimit -Hn', { shell: '/bin/sh' }).toString().trim()) || 1e6;
    const n = Math.min(2000, Math.floor(limit / 4));
    if (n < 2000) t.diagnostic(`only ${n}: the limit of open files is ${limit}`);
    const crowd = [];
    for (let i = 0; i < n; i++) {
        const c = net.connect(s.port, '127.0.0.1');
        c.on('error', () => {});
        crowd.push(c);
        if (i % 2) c.write('GET /auth/me HTTP/1.1\r\nHost: x\r\n');
        if (i % 100 === 99) await new Promise((done) => c.once('connect', done));
    }
    for (let i = 0; i < 200 && crowd.some((c) => c.readyState === 'opening'); i++) await sleep(10);
    assert.ok(crowd.filter((c) => c.readyState === 'open').length >= n - 5);
    const begin = Date.now();
    for (let i = 0; i < 100; i++) assert.equal((await s.get('/auth/me', token)).status, 200);
    assert.ok(Date.now() - begin < 3000 * slowness, `${Date.now() - begin} ms for 100 requests`);
    for (const c of crowd) c.destroy();
    assert.equal((await s.get('/readyz')).status, 200);
});

test('over server.connections_max the rest waits or is closed, and service goes on when there is room', async () => {
    const t = await Server.start({ 'server.connections_max': '20' });
    try {
        const crowd = Array.from({ length: 40 }, () => net.connect(t.port, '127.0.0.1').on('error', () => {}));
        await sleep(200);
        for (const c of crowd) c.destroy();
        await sleep(100);
        assert.equal((await t.get('/readyz')).status, 200);
    } finally {
        await t.stop();
    }
});
