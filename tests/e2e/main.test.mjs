// The main job: log in, refresh, trip, revoke.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { payload, SECRETS, Server, sleep } from './harness.mjs';

let s;
before(async () => {
    s = await Server.start({ 'sessions.grace': '300ms' });
    await s.cli(['role', 'set', 'editor', 'documents:read', 'drafts:*']);
    await s.addUser('alice', ['editor']);
    await s.addUser('bob');
});
after(() => s.stop());

test('login gives an RFC 9068 access token, a refresh token and the session', async () => {
    const r = await s.post('/auth/login', { username: 'Alice', password: 'correct horse battery', device: 'laptop' });
    assert.equal(r.status, 200);
    assert.equal(r.headers['cache-control'], 'no-store');
    assert.deepEqual(Object.keys(r.json).sort(), ['access_token', 'expires_in', 'refresh_expires_in', 'refresh_token', 'session_id', 'token_type']);
    assert.equal(r.json.token_type, 'Bearer');
    assert.equal(r.json.expires_in, 900);
    const header = JSON.parse(Buffer.from(r.json.access_token.split('.')[0], 'base64url'));
    assert.equal(header.typ, 'at+jwt');
    assert.equal(header.alg, 'ES256');
    const claims = payload(r.json.access_token);
    for (const name of ['iss', 'sub', 'aud', 'client_id', 'iat', 'exp', 'jti', 'sid', 'auth_time', 'amr', 'roles', 'permissions', 'epu', 'epg'])
        assert.ok(name in claims, name);
    assert.equal(claims.sid, r.json.session_id);
    assert.deepEqual(claims.permissions, ['documents:read', 'drafts:*']);
});

test('unknown user and wrong password get the same answer', async () => {
    const wrong = await s.post('/auth/login', { username: 'alice', password: 'incorrect horse' });
    const unknown = await s.post('/auth/login', { username: 'nobody', password: 'incorrect horse' });
    assert.equal(wrong.status, 401);
    assert.equal(wrong.json.code, 'invalid_credentials');
    assert.equal(unknown.status, 401);
    assert.deepEqual(unknown.json, wrong.json);
});

test('refresh rotates; a retry within the grace time gets the same successor', async (t) => {
    const wide = await Server.start(); // the default grace time: no machine is so slow
    t.after(() => wide.stop());
    await wide.addUser('alice');
    const a = await wide.login('alice');
    const b = await wide.refresh(a.refresh_token);
    const again = await wide.refresh(a.refresh_token);
    assert.equal(b.status, 200);
    assert.notEqual(b.json.refresh_token, a.refresh_token);
    assert.equal(again.status, 200);
    assert.equal(again.json.refresh_token, b.json.refresh_token);
});

test('a replay after the grace time trips: the family dies and its access tokens with it', async () => {
    const a = await s.login('alice');
    const b = (await s.refresh(a.refresh_token)).json;
    await sleep(400);
    const replay = await s.refresh(a.refresh_token);
    assert.equal(replay.status, 401);
    assert.equal(replay.json.code, 'invalid_grant');
    assert.equal((await s.refresh(b.refresh_token)).status, 401);
    assert.equal((await s.get('/auth/me', b.access_token)).status, 401);
    assert.equal((await s.get('/auth/me', a.access_token)).status, 401);
    const sessions = (await s.cli(['session', 'list', '--user', 'alice', '--ended'], { json: true })).json;
    assert.equal(sessions.find((x) => x.session_id === a.session_id).cause, 'reuse_detected');
});

test('logout is idempotent, takes any generation, and is enforced at once', async () => {
    const a = await s.login('alice');
    const b = (await s.refresh(a.refresh_token)).json;
    await sleep(400);
    assert.equal((await s.post('/auth/logout', { refresh_token: a.refresh_token })).status, 204);
    assert.equal((await s.get('/auth/me', b.access_token)).status, 401);
    assert.equal((await s.refresh(b.refresh_token)).status, 401);
    assert.equal((await s.post('/auth/logout', { refresh_token: a.refresh_token })).status, 204);
    assert.equal((await s.post('/auth/logout', undefined, s.bearer(b.access_token))).status, 204);
});

test('logout-all ends every session of the user and of nobody else', async () => {
    const a = await s.login('alice'), b = await s.login('alice'), other = await s.login('bob');
    const r = await s.post('/auth/logout-all', undefined, s.bearer(a.access_token));
    assert.equal(r.status, 200);
    assert.ok(r.json.sessions_ended >= 2);
    for (const t of [a, b]) {
        assert.equal((await s.get('/auth/me', t.access_token)).status, 401);
        assert.equal((await s.refresh(t.refresh_token)).status, 401);
    }
    assert.equal((await s.get('/auth/me', other.access_token)).status, 200);
    assert.equal((await s.get('/auth/me', (await s.login('alice')).access_token)).status, 200, 'a login in the same second is not caught');
});

test('a user sees and ends own sessions; another user cannot', async () => {
    const a = await s.login('alice', { device: 'phone' }), b = await s.login('alice', { device: 'tv' }), thief = await s.login('bob');
    const list = (await s.get('/auth/sessions', a.access_token)).json;
    assert.ok(list.sessions.find((x) => x.session_id === a.session_id).current);
    assert.equal(list.sessions.find((x) => x.session_id === b.session_id).device, 'tv');
    assert.equal((await s.send('DELETE', `/auth/sessions/${b.session_id}`, undefined, s.bearer(thief.access_token))).status, 404);
    assert.equal((await s.get('/auth/me', b.access_token)).status, 200);
    assert.equal((await s.send('DELETE', `/auth/sessions/${b.session_id}`, undefined, s.bearer(a.access_token))).status, 204);
    assert.equal((await s.get('/auth/me', b.access_token)).status, 401);
    assert.equal((await s.refresh(b.refresh_token)).status, 401);
    assert.equal((await s.get('/auth/me', a.access_token)).status, 200);
});

test('password change ends the other sessions and the old password', async () => {
    await s.addUser('carol');
    const a = await s.login('carol'), b = await s.login('carol');
    const change = (current, wanted) => s.post('/auth/password', { current_password: current, new_password: wanted }, s.bearer(a.access_token));
    assert.equal((await change('not the password', 'a new password')).status, 401);
    assert.equal((await change('correct horse battery', 'short')).status, 422);
    assert.equal((await change('correct horse battery', 'a new password')).status, 204);
    assert.equal((await s.get('/auth/me', a.access_token)).status, 200);
    assert.equal((await s.get('/auth/me', b.access_token)).status, 401);
    assert.equal((await s.refresh(b.refresh_token)).status, 401);
    assert.equal((await s.post('/auth/login', { username: 'carol', password: 'correct horse battery' })).status, 401);
    assert.equal((await s.post('/auth/login', { username: 'carol', password: 'a new password' })).status, 200);
});

test('forward-auth answers 204 with every header, 401 and 403', async () => {
    const a = await s.login('alice');
    const ok = await s.get('/auth/verify?permission=drafts:write', a.access_token);
    assert.equal(ok.status, 204);
    for (const name of ['subject', 'session', 'roles', 'permissions', 'scope', 'client', 'expires'])
        assert.ok(ok.headers[`x-auth-${name}`]?.length > 0, name);
    assert.equal((await s.get('/auth/verify?permission=documents:write', a.access_token)).status, 403);
    const none = await s.get('/auth/verify');
    assert.equal(none.status, 401);
    assert.match(none.headers['www-authenticate'], /^Bearer/);
});

test('a changed role counts in the next access token, and for the server at once', async () => {
    await s.cli(['role', 'set', 'temp', 'things:read']);
    await s.addUser('dave', ['temp']);
    const a = await s.login('dave');
    await s.cli(['role', 'set', 'temp', 'things:write']);
    assert.equal((await s.get('/auth/verify?permission=things:write', a.access_token)).status, 204);
    assert.equal((await s.get('/auth/verify?permission=things:read', a.access_token)).status, 403);
    const b = (await s.refresh(a.refresh_token)).json;
    assert.deepEqual(payload(b.access_token).permissions, ['things:write']);
});

test('revocation by token, session, user and everyone', async () => {
    const a = await s.login('alice'), b = await s.login('alice'), c = await s.login('bob');
    assert.equal((await s.cli(['revoke', '--jti', payload(a.access_token).jti])).status, 0);
    assert.equal((await s.get('/auth/me', a.access_token)).status, 401);
    const a2 = (await s.refresh(a.refresh_token)).json;
    assert.equal((await s.get('/auth/me', a2.access_token)).status, 200, 'one token, not its session');
    assert.equal((await s.cli(['revoke', '--session', a.session_id])).status, 0);
    assert.equal((await s.get('/auth/me', a2.access_token)).status, 401);
    assert.equal((await s.get('/auth/me', b.access_token)).status, 200);
    assert.equal((await s.cli(['revoke', '--user', 'alice'])).status, 0);
    assert.equal((await s.get('/auth/me', b.access_token)).status, 401);
    assert.equal((await s.refresh(b.refresh_token)).status, 401);
    assert.equal((await s.get('/auth/me', c.access_token)).status, 200);
    assert.equal((await s.cli(['revoke', '--everyone'])).status, 0);
    assert.equal((await s.get('/auth/me', c.access_token)).status, 401);
    assert.equal((await s.refresh(c.refresh_token)).status, 401);
    const d = await s.login('alice');
    assert.equal((await s.get('/auth/me', d.access_token)).status, 200);
});

test('what was revoked stays revoked after kill -9 and a restart; what lived lives', async () => {
    const dead = await s.login('alice'), alive = await s.login('bob'), token = await s.login('bob');
    await s.post('/auth/logout', { refresh_token: dead.refresh_token });
    await s.cli(['revoke', '--jti', payload(token.access_token).jti]);
    await s.restart('SIGKILL');
    assert.equal((await s.get('/auth/me', dead.access_token)).status, 401);
    assert.equal((await s.refresh(dead.refresh_token)).status, 401);
    assert.equal((await s.get('/auth/me', token.access_token)).status, 401);
    assert.equal((await s.get('/auth/me', alive.access_token)).status, 200);
    assert.equal((await s.refresh(alive.refresh_token)).status, 200);
});

test('a disabled user is out at once and cannot come back until enabled', async () => {
    await s.addUser('erin');
    const a = await s.login('erin');
    assert.equal((await s.cli(['user', 'disable', 'erin'])).status, 0);
    assert.equal((await s.get('/auth/me', a.access_token)).status, 401);
    assert.equal((await s.refresh(a.refresh_token)).status, 401);
    const r = await s.post('/auth/login', { username: 'erin', password: 'correct horse battery' });
    assert.equal(r.json.code, 'invalid_credentials');
    assert.equal((await s.cli(['user', 'enable', 'erin'])).status, 0);
    await s.login('erin');
});

test('the audit log has what happened, without secrets, and proves itself', async () => {
    const show = await s.cli(['audit', 'show'], { json: true });
    const actions = new Set(show.json.map((r) => r.action));
    for (const action of ['user_added', 'role_set', 'login', 'login_failed', 'logout', 'logout_all', 'refresh_reuse_detected',
        'password_changed', 'token_revoked', 'user_revoked', 'everyone_revoked', 'permission_denied'])
        assert.ok(actions.has(action), `${action} is missing in ${[...actions]}`);
    for (const secret of [SECRETS, /correct horse/]) assert.doesNotMatch(show.stdout, secret);
    const verify = await s.cli(['audit', 'verify']);
    assert.equal(verify.status, 0, verify.stdout);
});

test('the server stops by SIGTERM within five seconds and says nothing secret in its log', async () => {
    const t = await Server.start();
    await t.addUser('zoe');
    const a = await t.login('zoe');
    await t.refresh(a.refresh_token);
    const begin = Date.now();
    const how = await t.stop();
    assert.deepEqual(how, { code: 0, signal: null });
    assert.ok(Date.now() - begin < 5000);
    for (const secret of [SECRETS, /correct horse/]) assert.doesNotMatch(t.log, secret);
});
