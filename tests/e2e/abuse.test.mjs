// Guessing, spraying, locking others out, spoofed addresses, weak passwords, registration: the real program and what it answers.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Browser, cookie, PASSWORD, refused, SECRETS, Server, slowness } from './harness.mjs';

const DEVICE = '__Host-sp_device';
const BURST = 5;
// What the harness sets generously, as a deployment would have it, only smaller.
const strict = { 'throttle.account_burst': `${BURST}`, 'throttle.account_refill': '1h', 'throttle.address_burst': '1000' };

async function withServer(settings, work, users = ['alice', 'bob']) {
    const s = await Server.start(settings);
    try {
        for (const name of users) await s.addUser(name);
        await work(s);
    } finally {
        await s.stop();
    }
}

// Another tag: the last 32 of its 43 characters, so that no tag is like it by chance.
const forged = (device) => device.slice(0, -32) + 'A'.repeat(32);
const tryLogin = (s, username, password = PASSWORD, headers = {}, more = {}) => s.post('/auth/login', { username, password, ...more }, headers);

// Records of refusals are written on the side: the answer does not wait for them.
async function recorded(s, action, n) {
    let records = [];
    for (let i = 0; i < 100 && records.length < n; i++) {
        if (i > 0) await new Promise((done) => setTimeout(done, 20));
        records = await s.audit(action);
    }
    assert.equal(records.length, n, action);
}

function throttled(r) {
    refused(r, 429, 'too_many_attempts');
    assert.match(r.headers['retry-after'], /^[1-9]\d*$/);
}

// ---- throttling ----

test('guesses at an account end in 429 with Retry-After, the same for a name that nobody has', async () => {
    await withServer(strict, async (s) => {
        const last = {};
        for (const name of ['alice', 'nobody']) {
            for (let i = 0; i < BURST; i++) refused(await tryLogin(s, name, `wrong ${i}`), 401, 'invalid_credentials');
            last[name] = await tryLogin(s, name);
            throttled(last[name]);
        }
        assert.deepEqual(last.alice.json, last.nobody.json);
        const rest = (r) => Object.entries(r.headers).filter(([k]) => !['date', 'x-request-id', 'retry-after'].includes(k));
        assert.deepEqual(rest(last.alice), rest(last.nobody));
        assert.ok(Math.abs(last.alice.headers['retry-after'] - last.nobody.headers['retry-after']) <= 60, 'it is time, not the name');
        assert.equal((await tryLogin(s, 'bob')).status, 200, 'others are served');
        await recorded(s, 'login_throttled', 2); // one of alice, one of nobody in particular
        assert.match(s.log, /login_throttled/);
        assert.doesNotMatch(s.log, /correct horse|wrong \d/);
    });
});

test('a stranger cannot lock out a browser that has logged in before', async () => {
    await withServer(strict, async (s) => {
        const home = new Browser(s), elsewhere = new Browser(s);
        await home.login('alice');
        const device = home.jar[DEVICE];
        await home.act('POST', '/auth/logout');
        assert.equal(home.jar[DEVICE], device, 'logging out does not forget the device');
        for (let i = 0; i < 2 * BURST; i++) await tryLogin(s, 'alice', `wrong ${i}`);
        throttled(await elsewhere.send('POST', '/auth/login', { username: 'alice', password: PASSWORD, mode: 'cookie' }));
        await home.login('alice');
        // The same cookie is worth nothing for another account, changed, twice, or in the wrong place.
        for (let i = 0; i < BURST; i++) await tryLogin(s, 'bob', `wrong ${i}`);
        const as = (value, username = 'alice') => s.post('/auth/login', { username, password: PASSWORD, mode: 'cookie' },
            { origin: 'https://app.example.test', cookie: value });
        throttled(await as(`${DEVICE}=${device}`, 'bob'));
        throttled(await as(`${DEVICE}=${forged(device)}`));
        throttled(await as(`${DEVICE}=${device}; ${DEVICE}=${device}`));
        throttled(await as(`sp_device=${device}`));
        throttled(await tryLogin(s, 'alice', PASSWORD, { cookie: `${DEVICE}=${device}` }), 'no cookie counts in token mode');
        assert.equal((await as(`${DEVICE}=${device}`)).status, 200);
        // And it is no credential.
        refused(await s.get('/auth/me', undefined, { cookie: `${DEVICE}=${device}` }), 401, 'not_authenticated');
    });
});

test('in token mode who asks for a device token gets one, and the answer of others is as it was', async () => {
    await withServer(strict, async (s) => {
        assert.equal('device_token' in (await s.login('alice')), false);
        const { device_token: device } = await s.login('alice', { device_token: '' });
        assert.match(device, /^[\w-]{98}$/);
        for (let i = 0; i < BURST; i++) await tryLogin(s, 'alice', `wrong ${i}`);
        throttled(await tryLogin(s, 'alice'));
        throttled(await tryLogin(s, 'alice', PASSWORD, {}, { device_token: forged(device) }));
        assert.match((await s.login('alice', { device_token: device })).device_token, /^[\w-]{98}$/);
        refused(await tryLogin(s, 'alice', PASSWORD, {}, { device_token: 'x'.repeat(99) }), 400, 'too_long');
        refused(await tryLogin(s, 'alice', PASSWORD, {}, { device_token: 7 }), 400, 'wrong_type');
    });
});

test('what was taken comes back with time, and is not taken by those who know the password', async () => {
    await withServer({ ...strict, 'throttle.account_refill': '1s' }, async (s) => {
        for (let i = 0; i < 3 * BURST; i++) await s.login('alice');
        for (let i = 0; i < BURST; i++) await tryLogin(s, 'alice', 'wrong');
        let r = await tryLogin(s, 'alice');
        for (let i = 0; i < 50 && r.status === 429; i++) {
            await new Promise((done) => setTimeout(done, 100));
            r = await tryLogin(s, 'alice');
        }
        assert.equal(r.status, 200);
    });
});

test('a spray over many names from one address is bounded', async () => {
    await withServer({ 'throttle.address_burst': '10', 'throttle.address_refill': '1h' }, async (s) => {
        const statuses = [];
        for (let i = 0; i < 15; i++) statuses.push((await tryLogin(s, `user${i}`, 'Summer2026!')).status);
        assert.deepEqual(statuses, [...Array(10).fill(401), ...Array(5).fill(429)]);
        throttled(await tryLogin(s, 'alice'));
    });
});

test('many guesses at the same time are no more guesses', async () => {
    await withServer(strict, async (s) => {
        const all = await Promise.all(Array.from({ length: 40 }, (_, i) => tryLogin(s, 'alice', `wrong ${i}`)));
        assert.equal(all.filter((r) => r.status === 401).length, BURST);
        assert.equal(all.filter((r) => r.status === 429).length, 40 - BURST);
    });
});

test('a stolen session cannot guess the current password', async () => {
    await withServer(strict, async (s) => {
        const { access_token: token } = await s.login('alice');
        const change = (current) => s.post('/auth/password', { current_password: current, new_password: 'a new password' }, s.bearer(token));
        for (let i = 0; i < BURST; i++) refused(await change(`wrong ${i}`), 401, 'invalid_credentials');
        throttled(await change(PASSWORD));
        await recorded(s, 'password_change_throttled', 1);
        assert.equal((await tryLogin(s, 'alice')).status, 200, 'the login has a bucket of its own');
    });
});

// ---- answers and their time ----

test('unknown, disabled, without a password and wrong password: one answer, one cost', async () => {
    await withServer({}, async (s) => {
        await s.addUser('gone');
        await s.cli(['user', 'disable', 'gone']);
        assert.equal((await s.admin('POST', '/admin/v1/users', { name: 'keyless' })).status, 201);
        const cases = ['alice', 'nobody', 'gone', 'keyless'];
        const took = Object.fromEntries(cases.map((c) => [c, []]));
        const bodies = new Set();
        for (let round = 0; round < 31; round++) {
            for (const name of cases) {
                const begin = process.hrtime.bigint();
                const r = await tryLogin(s, name, name === 'gone' ? PASSWORD : 'wrong password');
                took[name].push(Number(process.hrtime.bigint() - begin) / 1e6);
                refused(r, 401, 'invalid_credentials');
                bodies.add(r.text);
            }
        }
        assert.equal(bodies.size, 1);
        const median = Object.fromEntries(cases.map((c) => [c, took[c].sort((a, b) => a - b)[15]]));
        // A login that skipped the hash would be ten times as fast; whoever else uses the machine does not move a median that far.
        const fastest = Math.min(...Object.values(median)), slowest = Math.max(...Object.values(median));
        assert.ok(slowest < 2 * fastest + 2 * slowness, JSON.stringify(median));
    });
});

// ---- addresses ----

const lastAddress = async (s) => (await s.ask('session', 'list')).map((x) => x.address);

test('X-Forwarded-For is nothing to a server that trusts no proxy', async () => {
    await withServer({ 'throttle.address_burst': '5', 'throttle.address_refill': '1h' }, async (s) => {
        await tryLogin(s, 'alice', PASSWORD, { 'x-forwarded-for': '203.0.113.1' });
        assert.deepEqual(await lastAddress(s), ['127.0.0.1']);
        for (let i = 0; i < 5; i++) await tryLogin(s, `user${i}`, 'wrong', { 'x-forwarded-for': `203.0.113.${i}` });
        throttled(await tryLogin(s, 'alice', PASSWORD, { 'x-forwarded-for': '203.0.113.77' }));
    });
});

test('behind a trusted proxy the client is the rightmost address that is no proxy, whatever it claims', async () => {
    await withServer({ 'server.trusted_proxies': '127.0.0.0/8, 10.0.0.0/8', 'throttle.address_burst': '5', 'throttle.address_refill': '1h' }, async (s) => {
        const cases = [
            ['203.0.113.1', '203.0.113.1'], ['198.51.100.9, 203.0.113.2', '203.0.113.2'], ['203.0.113.3, 10.1.2.3', '203.0.113.3'],
            ['10.6.6.6, 203.0.113.4', '203.0.113.4'], ['garbage, 203.0.113.5', '203.0.113.5'], ['::ffff:203.0.113.6', '203.0.113.6'],
            ['2001:DB8::0:7', '2001:db8::7'], ['203.0.113.8, garbage', '127.0.0.1'], ['203.0.113.9:443', '127.0.0.1'],
        ];
        for (const [header, expected] of cases) {
            const r = await tryLogin(s, 'alice', PASSWORD, { 'x-forwarded-for': header });
            assert.equal(r.status, 200, header);
            const list = await s.get('/auth/sessions', r.json.access_token);
            assert.equal(list.json.sessions.find((x) => x.current).address, expected, header);
        }
        // Nor does a client become the proxy by sending more lines than anyone reads.
        const lines = [...Array.from({ length: 40 }, (_, i) => `198.51.100.${i}`), '203.0.113.50'];
        const many = await tryLogin(s, 'alice', PASSWORD, { 'x-forwarded-for': lines });
        assert.equal(many.status, 200);
        assert.ok((await lastAddress(s)).includes('203.0.113.50'), 'the last line counts');
        // A client that writes a new address each time is still one client.
        for (let i = 0; i < 5; i++) await tryLogin(s, `user${i}`, 'wrong', { 'x-forwarded-for': `198.51.100.${i}, 203.0.113.99` });
        throttled(await tryLogin(s, 'alice', PASSWORD, { 'x-forwarded-for': '198.51.100.77, 203.0.113.99' }));
        assert.equal((await tryLogin(s, 'alice', PASSWORD, { 'x-forwarded-for': '203.0.113.100' })).status, 200);
        for (let i = 0; i < 5; i++) await tryLogin(s, `v6user${i}`, 'wrong', { 'x-forwarded-for': `2001:db8:1:1::${i}` });
        throttled(await tryLogin(s, 'alice', PASSWORD, { 'x-forwarded-for': '2001:db8:1:1:ffff::1' }));
        assert.equal((await tryLogin(s, 'alice', PASSWORD, { 'x-forwarded-for': '2001:db8:1:2::1' })).status, 200);
    });
});

test('a proxy that is no address stops the start and says so', async () => {
    for (const bad of ['proxy.example', '10.0.0.1/8', '10.0.0.0/33'])
        await assert.rejects(Server.start({ 'server.trusted_proxies': bad }), /server\.trusted_proxies.*expected an address/);
});

// ---- passwords ----

let s;
before(async () => {
    s = await Server.start({ 'registration.enabled': 'true', 'registration.default_roles': 'reader', 'throttle.register_burst': '1000' });
    await s.cli(['role', 'set', 'reader', 'documents:read']);
    await s.addUser('alice');
});
after(() => s.stop());

const weak = [['seven c', 'too_short'], ['ääääää', 'too_short'], ['password', 'common'], ['Password1', 'common'], ['P@ssw0rd!', 'common'],
    ['elephant', 'common'], ['12345678', 'too_simple'], ['qwertyuiop', 'too_simple'], ['aaaaaaaaaa', 'too_simple']];

test('guessable passwords are refused with a reason, by every way to set one', async () => {
    const { access_token: token } = await s.login('alice');
    for (const [password, reason] of weak) {
        const ways = {
            change: await s.post('/auth/password', { current_password: PASSWORD, new_password: password }, s.bearer(token)),
            register: await s.post('/auth/register', { username: 'weakling', password }),
            add: await s.admin('POST', '/admin/v1/users', { name: 'weakling', password }),
            set: await s.admin('PUT', '/admin/v1/users/alice/password', { password }),
        };
        for (const [way, r] of Object.entries(ways)) {
            refused(r, 422, 'password_rejected', `${way} ${password}`);
            assert.equal(r.json.reason, reason, `${way} ${password}`);
        }
        const cli = await s.cli(['user', 'add', 'weakling', '--password-stdin'], { input: `${password}\n` });
        assert.notEqual(cli.status, 0);
        assert.ok(cli.stderr.includes(`: ${reason} (password_rejected)`), cli.stderr);
    }
    assert.equal((await s.admin('GET', '/admin/v1/users/weakling')).status, 404);
    assert.equal((await s.get('/auth/me', token)).status, 200);
});

test('the name is no password, and length alone makes a good one', async () => {
    const named = await s.post('/auth/register', { username: 'Grace Hopper', password: 'grace HOPPER' });
    refused(named, 422, 'password_rejected');
    assert.equal(named.json.reason, 'is_user_name');
    const good = ['eight ch', 'all lower case and no digit', 'correct horse battery staple '.repeat(30), 'пароль который никто не знает', '🐎🔋📎🔒🐎🔋📎🌍'];
    for (const [i, password] of good.entries()) {
        const r = await s.post('/auth/register', { username: `good${i}`, password });
        assert.equal(r.status, 201, `${password} ${r.text}`);
        assert.equal((await tryLogin(s, `good${i}`, password)).status, 200);
    }
    refused(await s.post('/auth/register', { username: 'toolong', password: 'ab cd'.repeat(300) }), 400, 'too_long');
});

test('a missing dictionary is said at the start and in the status', async () => {
    assert.equal((await s.ask('status')).password_dictionary, true);
    assert.doesNotMatch(s.log, /password_dictionary_missing/);
    await withServer({ 'passwords.dictionary': '/nonexistent/dict' }, async (bare) => {
        assert.match(bare.log, /password_dictionary_missing/);
        assert.equal((await bare.ask('status')).password_dictionary, false);
        await bare.addUser('carol', [], 'elephant');
        const r = await bare.cli(['user', 'add', 'dave', '--password-stdin'], { input: '12345678\n' });
        assert.notEqual(r.status, 0, 'what needs no list is still refused');
    });
});

// ---- registration ----

test('who registers is logged in, with the default roles, and on record', async () => {
    const r = await s.post('/auth/register', { username: 'Heidi', password: PASSWORD, device: 'phone' });
    assert.equal(r.status, 201);
    assert.deepEqual(Object.keys(r.json).sort(), ['access_token', 'expires_in', 'refresh_expires_in', 'refresh_token', 'session_id', 'token_type']);
    const me = await s.get('/auth/me', r.json.access_token);
    assert.deepEqual(me.json.permissions, ['documents:read']);
    assert.equal((await s.get('/auth/sessions', r.json.access_token)).json.sessions[0].device, 'phone');
    assert.equal((await s.refresh(r.json.refresh_token)).status, 200);
    assert.ok((await s.audit('user_registered')).length > 0);
    refused(await s.post('/auth/register', { username: 'HEIDI', password: 'another good one' }), 409, 'already_exists');
    await recorded(s, 'registration_failed', 1);
    assert.equal((await tryLogin(s, 'heidi')).status, 200, 'the first one stays');
});

test('registration by cookie obeys the Origin rule and keeps tokens out of the body', async () => {
    const b = new Browser(s);
    const value = { username: 'ivan', password: PASSWORD, mode: 'cookie' };
    refused(await b.send('POST', '/auth/register', value, { origin: 'https://elsewhere.example' }), 403, 'origin_refused');
    refused(await b.send('POST', '/auth/register', value, { origin: null, 'sec-fetch-site': null }), 403, 'origin_refused');
    const r = await b.send('POST', '/auth/register', value);
    assert.equal(r.status, 201);
    assert.doesNotMatch(r.text, SECRETS);
    assert.match(cookie(r.cookies, DEVICE), /^[\w-]{98}$/);
    assert.equal((await b.get('/auth/me')).status, 200);
});

test('registration refuses what it does not know and names that hide something', async () => {
    const bad = [{ username: 'judy' }, { username: 'judy', password: PASSWORD, roles: ['admin'] }, { username: ' judy', password: PASSWORD },
        { username: 'ju\u202edy', password: PASSWORD }, { username: '', password: PASSWORD }, { username: 'judy', password: PASSWORD, mode: 'both' }];
    for (const value of bad) assert.equal((await s.post('/auth/register', value)).status, 400, JSON.stringify(value));
    assert.equal((await s.admin('GET', '/admin/v1/users/judy')).status, 404);
});

test('switched off, registration is not there at all; switched on, it is bounded', async () => {
    await withServer({}, async (off) => {
        const value = { username: 'mallory', password: PASSWORD };
        refused(await off.post('/auth/register', value), 404, 'no_such_route');
        refused(await off.get('/auth/register'), 404, 'no_such_route');
        refused(await off.send('OPTIONS', '/auth/register'), 404, 'no_such_route');
        assert.equal((await off.admin('GET', '/admin/v1/users/mallory')).status, 404);
    });
    await withServer({ 'registration.enabled': 'true', 'throttle.register_burst': '3', 'throttle.register_refill': '1h' }, async (on) => {
        const statuses = [];
        for (const username of ['a', 'alice', 'b', 'c', 'd']) statuses.push((await on.post('/auth/register', { username, password: PASSWORD })).status);
        assert.deepEqual(statuses, [201, 409, 201, 429, 429]);
        throttled(await on.post('/auth/register', { username: 'e', password: PASSWORD }));
        await recorded(on, 'registration_throttled', 1);
        assert.equal((await tryLogin(on, 'alice')).status, 200);
    });
});
