// The pages of a sign-in in a browser: Chromium, with a real application beside it.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import { createRequire } from 'node:module';
import path from 'node:path';
import { after, before, test } from 'node:test';

import { chromium } from 'playwright-core';

import { sleep, temporaryFolder } from '../e2e/harness.mjs';
import { addClient, API, PASSWORD, startServer } from './person.mjs';
import { startShop } from './shop.mjs';
import { listenSpa } from './spa.mjs';

const executablePath = [process.env.CHROMIUM, '/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find((p) => p && existsSync(p));
const skip = executablePath ? false : 'chromium is not installed (tools/install-deps check)';
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const shots = process.env.SP_SHOTS ?? 'screenshots';
const LAUNCH = { executablePath, chromiumSandbox: process.getuid() !== 0,
    args: ['--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'] };
// Of a request whose code nobody redeems.
const PARAMETERS = new URLSearchParams({ client_id: 'shop', response_type: 'code', scope: 'openid', state: 'a-state', code_challenge: 'x'.repeat(42) + 'A', code_challenge_method: 'S256' });
const NAME = 'The Corner Shop & Sons <Ltd>';

let s, shop, spa, browser;
before(async () => {
    if (skip) return;
    mkdirSync(shots, { recursive: true });
    spa = await listenSpa();
    s = await startServer({ 'server.cors_origins': spa.url });
    spa.issuer = s.issuer;
    const { secret } = await addClient(s, 'shop', '--name', NAME, '--grant', 'authorization_code', '--grant', 'refresh_token', '--redirect-uri', 'http://127.0.0.1/callback',
        '--post-logout-redirect-uri', 'http://127.0.0.1/bye', '--scope', 'openid', '--scope', 'profile', '--scope', 'offline_access', '--scope', 'documents:read', '--audience', API);
    await addClient(s, 'spa', '--public', '--grant', 'authorization_code', '--grant', 'refresh_token', '--redirect-uri', 'http://127.0.0.1/', '--redirect-uri', 'http://127.0.0.1/oidc',
        '--post-logout-redirect-uri', 'http://127.0.0.1/oidc', '--scope', 'openid', '--scope', 'profile');
    shop = await startShop(s.issuer, 'shop', secret);
    browser = await chromium.launch(LAUNCH);
});
after(async () => {
    await browser?.close();
    shop?.close();
    spa?.close();
    await s?.stop();
});

// A browser that nobody used before. What its pages break of their own policy is in page.broken.
async function open(t, options = {}) {
    const context = await browser.newContext({ viewport: { width: 1024, height: 768 }, ...options });
    t.after(() => context.close());
    return watch(await context.newPage());
}

function watch(page) {
    page.setDefaultTimeout(15000);
    page.broken = [];
    page.on('console', (m) => { if (['error', 'warning'].includes(m.type()) && !/status of 4\d\d/.test(m.text())) page.broken.push(m.text()); });
    page.on('pageerror', (e) => page.broken.push(String(e)));
    return page;
}

// Until what the browser says of it has arrived.
async function until(happened, what) {
    for (let i = 0; i < 500; i++) {
        if (happened()) return;
        await sleep(10);
    }
    assert.fail(what());
}

// A link or a button, and what comes of it.
async function press(page, what) {
    const loaded = page.waitForEvent('load');
    await page.click(what);
    await loaded;
}

const shot = (page, name) => page.screenshot({ path: path.join(shots, `${name}.png`), fullPage: true });
const at = (page, where) => assert.equal(page.url().split('?')[0], where);

// No violation that axe knows of, no word about a broken policy, nothing wider than the window.
async function accessible(page, name) {
    await shot(page, name);
    assert.deepEqual(page.broken, [], name);
    await page.evaluate(axe);
    const { violations } = await page.evaluate(() => window.axe.run());
    assert.deepEqual(violations.map((v) => `${v.id}: ${v.nodes.map((n) => n.html + n.failureSummary)}`), [], name);
    const [wide, room] = await page.evaluate(() => [document.documentElement.scrollWidth, window.innerWidth]);
    assert.ok(wide <= room, `${name}: ${wide} px in a window of ${room}`);
}

test('Chromium: wrong password, right one, consent, tokens, userinfo, sign-out', { skip }, async (t) => {
    const page = await open(t);
    await page.goto(shop.url);
    await press(page, 'text=Sign in');
    at(page, `${s.issuer}/oauth2/authorize`);
    assert.equal(await page.title(), 'Sign in');
    assert.ok((await page.textContent('main')).includes(NAME));
    await accessible(page, 'login');
    assert.deepEqual(await page.context().cookies(), []);

    await page.fill('#username', 'alice');
    await page.fill('#password', 'not the password');
    await press(page, 'button');
    assert.equal(await page.title(), 'Error: Sign in');
    assert.match(await page.textContent('[role=alert]'), /wrong/);
    assert.equal(await page.inputValue('#username'), 'alice');
    assert.equal(await page.inputValue('#password'), '');
    assert.equal(await page.evaluate(() => document.activeElement.id), 'password');
    await accessible(page, 'login-wrong');
    assert.deepEqual(await page.context().cookies(), []);

    await page.fill('#password', PASSWORD);
    await press(page, 'button');
    assert.equal(await page.title(), 'Allow access?');
    await accessible(page, 'consent');
    const cookies = await page.context().cookies();
    assert.deepEqual(cookies.map((c) => c.name).sort(), ['__Host-sp_device', '__Host-sp_sso']);
    for (const c of cookies) assert.deepEqual([c.httpOnly, c.secure, c.path, c.domain, ['Lax', 'Strict'].includes(c.sameSite)], [true, true, '/', '127.0.0.1', true], c.name);
    assert.equal(cookies.find((c) => c.name === '__Host-sp_sso').sameSite, 'Lax');
    assert.equal(await page.evaluate(() => document.cookie), '');

    await press(page, 'button[value=allow]');
    at(page, `${shop.url}/`);
    assert.equal(await page.textContent('#who'), 'alice');
    await page.goto(`${shop.url}/login`); // known, and allowed: no page in between
    at(page, `${shop.url}/`);
    await press(page, 'text=Sign out');
    at(page, `${shop.url}/bye`);
    assert.ok(!(await page.context().cookies()).some((c) => c.name === '__Host-sp_sso'));
    await page.goto(`${shop.url}/login`);
    assert.equal(await page.title(), 'Sign in');
    assert.deepEqual(page.broken, []);
});

test('Chromium: by keyboard alone; who says no is sent back', { skip }, async (t) => {
    const page = await open(t), focused = () => page.evaluate(() => document.activeElement.name || document.activeElement.textContent);
    const { keyboard } = page;
    await page.goto(`${shop.url}/login?prompt=consent`);
    assert.equal(await focused(), 'username');
    await keyboard.type('alice');
    await keyboard.press('Tab');
    assert.equal(await focused(), 'password');
    await keyboard.type(PASSWORD);
    await shot(page, 'login-focus');
    await keyboard.press('Enter');
    await page.waitForSelector('text=Allow access?');
    const order = [];
    for (let i = 0; i < 2; i++) {
        await keyboard.press('Tab');
        order.push(await page.evaluate(() => document.activeElement.textContent));
        const { outlineStyle, outlineWidth } = await page.evaluate(() => { const o = getComputedStyle(document.activeElement); return { outlineStyle: o.outlineStyle, outlineWidth: o.outlineWidth }; });
        assert.deepEqual([outlineStyle, outlineWidth], ['solid', '3px']);
    }
    assert.deepEqual(order, ['Allow', 'Do not allow']);
    await shot(page, 'consent-focus');
    await keyboard.press('Enter');
    await page.waitForURL(`${shop.url}/callback**`);
    assert.equal(await page.textContent('#error'), 'access_denied');
    await page.goto(`${s.issuer}/oauth2/logout`);
    assert.equal(await page.title(), 'Sign out?');
    await accessible(page, 'logout');
    await keyboard.press('Tab');
    await keyboard.press('Enter');
    await page.waitForSelector('text=You are signed out');
    await accessible(page, 'goodbye');
});

test('Chromium: without JavaScript', { skip }, async (t) => {
    const page = await open(t, { javaScriptEnabled: false });
    await page.goto(`${shop.url}/login?prompt=consent`);
    await page.fill('#username', 'alice');
    await page.fill('#password', PASSWORD);
    await press(page, 'button');
    await press(page, 'button[value=allow]');
    await page.waitForURL(`${shop.url}/`);
    await press(page, 'text=Sign out');
    at(page, `${shop.url}/bye`);
});

test('Chromium: 320 pixels wide and in the dark, with long names', { skip }, async (t) => {
    const page = await open(t, { viewport: { width: 320, height: 640 }, colorScheme: 'dark' });
    const scopes = Array.from({ length: 6 }, (_, i) => `a-rather-long-name-of-a-resource-${i}:and-what-is-done-with-it`);
    await s.cli(['role', 'set', 'much', ...scopes]);
    await s.addUser('somebody.with.a.very.long.name.indeed@department.of.long.names.example.test', ['much']);
    const { secret } = await addClient(s, 'a-client-whose-id-is-as-long-as-an-id-can-be-with-sixty-four-cha', '--name', 'Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft',
        '--grant', 'authorization_code', '--redirect-uri', 'http://127.0.0.1/callback', '--scope', 'openid', ...scopes.flatMap((w) => ['--scope', w]));
    const other = await startShop(s.issuer, 'a-client-whose-id-is-as-long-as-an-id-can-be-with-sixty-four-cha', secret, ['openid', ...scopes].join(' '));
    t.after(() => other.close());
    await page.goto(`${other.url}/login`);
    await accessible(page, 'dark-login');
    await page.fill('#username', 'somebody.with.a.very.long.name.indeed@department.of.long.names.example.test');
    await page.fill('#password', 'wrong');
    await press(page, 'button');
    await accessible(page, 'dark-login-wrong');
    await page.fill('#password', PASSWORD);
    await press(page, 'button');
    assert.equal(await page.title(), 'Allow access?');
    await accessible(page, 'dark-consent');
    await page.goto(`${s.issuer}/oauth2/logout`);
    await accessible(page, 'dark-logout');
    await page.goto(`${s.issuer}/oauth2/authorize?client_id=nobody&response_type=code`);
    await accessible(page, 'dark-error');
});

test('Chromium: what cannot be sent anywhere is said on a page, in plain words', { skip }, async (t) => {
    const page = await open(t);
    const r = await page.goto(`${s.issuer}/oauth2/authorize?client_id=shop&response_type=code&redirect_uri=${encodeURIComponent('https://evil.example/')}`);
    assert.equal(r.status(), 400);
    assert.equal(await page.title(), 'This did not work');
    await accessible(page, 'error');
});

test('Chromium: what gets into a page all the same does nothing there', { skip }, async (t) => {
    const page = await open(t);
    await page.goto(`${shop.url}/login`);
    await page.evaluate((elsewhere) => {
        const add = (name, more) => document.body.append(Object.assign(document.createElement(name), more));
        add('script', { textContent: 'window.ran = true' });
        add('img', { src: `${elsewhere}/x.png` });
        add('style', { textContent: 'main{display:none}' });
        add('form', { method: 'post', action: 'https://evil.example/', id: 'evil' });
        document.getElementById('evil').submit();
    }, shop.url);
    await until(() => page.broken.length >= 4, () => page.broken.join('\n'));
    assert.equal(await page.evaluate(() => window.ran), undefined);
    assert.ok(await page.isVisible('main'));
    at(page, `${s.issuer}/oauth2/authorize`);
});

// Until the page says what came of it.
async function result(page) {
    await page.fill('#username', 'alice');
    await page.fill('#password', PASSWORD);
    await press(page, 'button');
    if (await page.title() === 'Allow access?') await press(page, 'button[value=allow]');
    await page.waitForURL(`${spa.url}/**`);
    await page.waitForFunction(() => window.result);
    return page.evaluate(() => window.result);
}

test('Chromium: oauth4webapi in a page of another origin: a public client, bound to a key', { skip }, async (t) => {
    const page = await open(t);
    await page.goto(spa.url);
    assert.deepEqual(await result(page), { type: 'dpop', name: 'alice', ended: 'OAUTH_WWW_AUTHENTICATE_CHALLENGE' });
});

test('Chromium: oidc-client-ts in a page of another origin: sign-in, renewal, sign-out', { skip }, async (t) => {
    const page = await open(t);
    await page.goto(`${spa.url}/oidc`);
    assert.deepEqual(await result(page), { name: s.issuer, bound: 'DPoP', renewed: true });
    await page.goto(`${s.issuer}/oauth2/logout`);
    assert.equal(await page.title(), 'You are signed out');
});

test('Chromium: on to an app of its own scheme, and to an address that a policy cannot name', { skip }, async (t) => {
    const six = http.createServer((req, res) => res.end('here')).listen(0, '::1');
    const fault = await new Promise((done) => six.once('listening', done).once('error', done));
    if (fault) {
        t.skip(`no IPv6: ${fault.message}`);
        return;
    }
    t.after(() => { six.closeAllConnections(); six.close(); });
    const app = 'com.example.app:/callback', numbered = `http://[::1]:${six.address().port}/callback`;
    await addClient(s, 'native', '--public', '--grant', 'authorization_code', '--redirect-uri', app, '--redirect-uri', numbered, '--scope', 'openid');
    const page = await open(t), sent = [];
    page.on('response', (r) => { if (r.status() === 303) sent.push(r.headers().location); });
    const ask = (to) => page.goto(`${s.issuer}/oauth2/authorize?${PARAMETERS}&client_id=native&redirect_uri=${encodeURIComponent(to)}`.replace('client_id=shop&', ''));
    await ask(numbered);
    await page.fill('#username', 'alice');
    await page.fill('#password', PASSWORD);
    await press(page, 'button');
    await press(page, 'button[value=allow]');
    assert.equal(await page.textContent('body'), 'here');
    await ask(app);
    await page.click('button[value=allow]');
    await until(() => sent.at(-1).startsWith(`${app}?code=`), () => sent.join());
    await page.evaluate(() => document.title); // the browser has no such app, and stays
    assert.deepEqual(page.broken.filter((text) => /Content Security Policy/.test(text)), []);
});

test('Chromium: a browser that is told to keep no cookies', { skip }, async (t) => {
    const folder = temporaryFolder('cookieless');
    mkdirSync(path.join(folder, 'Default'));
    writeFileSync(path.join(folder, 'Default', 'Preferences'), JSON.stringify({ profile: { default_content_setting_values: { cookies: 2 } } }));
    const context = await chromium.launchPersistentContext(folder, LAUNCH);
    t.after(() => context.close());
    const page = watch(await context.newPage());
    await page.goto(`${shop.url}/login`);
    await page.fill('#username', 'alice');
    await page.fill('#password', PASSWORD);
    await press(page, 'button');
    assert.match(await page.textContent('[role=alert]'), /did not keep the sign-in. Allow cookies/);
    await accessible(page, 'login-cookieless');
});

test('Chromium: too many wrong passwords', { skip }, async (t) => {
    const strict = await startServer({ 'throttle.account_burst': '1' });
    t.after(() => strict.stop());
    await addClient(strict, 'shop', '--grant', 'authorization_code', '--redirect-uri', `${shop.url}/bye`, '--scope', 'openid');
    const page = await open(t);
    await page.goto(`${strict.issuer}/oauth2/authorize?${PARAMETERS}&redirect_uri=${encodeURIComponent(`${shop.url}/bye`)}`);
    for (let i = 0; i < 2; i++) {
        await page.fill('#username', 'alice');
        await page.fill('#password', 'wrong');
        await press(page, 'button');
        await page.waitForSelector('[role=alert]');
    }
    assert.match(await page.textContent('[role=alert]'), /too many attempts/);
    await accessible(page, 'login-throttled');
});

test('Chromium: over TLS', { skip }, async (t) => {
    const folder = temporaryFolder('browser'), file = (name) => path.join(folder, name);
    const made = spawnSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2', '-subj', '/CN=localhost',
        '-addext', 'subjectAltName=DNS:localhost', '-keyout', file('key.pem'), '-out', file('cert.pem')]);
    assert.equal(made.status, 0, String(made.stderr));
    const tls = await startServer({ 'server.tls_certificate': file('cert.pem'), 'server.tls_key': file('key.pem') });
    t.after(() => tls.stop());
    const issuer = tls.issuer.replace('http:', 'https:');
    await addClient(tls, 'shop', '--grant', 'authorization_code', '--redirect-uri', `${shop.url}/bye`, '--scope', 'openid', '--trusted');
    const page = await open(t, { ignoreHTTPSErrors: true });
    await page.goto(`${issuer}/oauth2/authorize?${PARAMETERS}&redirect_uri=${encodeURIComponent(`${shop.url}/bye`)}`);
    await page.fill('#username', 'alice');
    await page.fill('#password', PASSWORD);
    await press(page, 'button');
    await page.waitForURL(`${shop.url}/bye?**`);
    const back = new URL(page.url()).searchParams;
    assert.deepEqual([back.has('code'), back.get('iss'), back.get('state')], [true, issuer, 'a-state']);
    assert.ok((await page.context().cookies(issuer)).some((c) => c.name === '__Host-sp_sso' && c.secure));
    assert.deepEqual(page.broken, []);
});

test('Chromium: other origins can neither frame the pages nor post their forms nor read the answers', { skip }, async (t) => {
    const page = await open(t);
    await page.goto(shop.url);
    const login = `${s.issuer}/oauth2/authorize?client_id=shop&response_type=code`;
    // A frame that is refused has loaded too: an error page of the browser's.
    await page.evaluate((src) => new Promise((onload) => { document.body.append(Object.assign(document.createElement('iframe'), { src, onload })); }), login);
    assert.equal(page.frames().length, 2);
    assert.ok(!page.frames().some((f) => f.url().startsWith(`${s.issuer}/oauth2`)), page.frames().map((f) => f.url()).join());

    const reads = (url, init) => page.evaluate(([u, i]) => fetch(u, i).then((r) => r.status, () => 'refused'), [url, init]);
    assert.equal(await reads(`${s.issuer}/oauth2/token`, { method: 'POST', body: new URLSearchParams({ grant_type: 'refresh_token' }).toString(), headers: { 'content-type': 'application/x-www-form-urlencoded' } }), 'refused');
    assert.equal(await reads(`${s.issuer}/.well-known/openid-configuration`), 'refused');

    await page.evaluate((action) => {
        const form = Object.assign(document.createElement('form'), { method: 'post', action });
        for (const [name, value] of Object.entries({ request: 'x', username: 'alice', password: 'x' })) form.append(Object.assign(document.createElement('input'), { name, value }));
        document.body.append(form);
        form.submit();
    }, `${s.issuer}/oauth2/login`);
    await page.waitForSelector('text=This did not work');
    assert.match(await page.textContent('main'), /another site sent you/);
});
