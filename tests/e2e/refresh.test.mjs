// The tripwire from outside: what a thief does trips, what a network, a tab or a restart does never does.
// Idle and absolute expiry need at least a minute of real time here (sessions.idle_ttl and absolute_ttl begin at 60 s), so they are
// proved where the clock can be moved: tests/sim and the unit tests of the session machine.
import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import { after, before, test } from 'node:test';
import { PASSWORD, payload, refused, Server, sleep } from './harness.mjs';

const GRACE = 400;

let s, wide; // `wide`: the default grace time, in which this file's bursts fit whatever the machine does
before(async () => {
    [s, wide] = await Promise.all([Server.start({ 'sessions.grace': `${GRACE}ms` }), Server.start()]);
    for (const server of [s, wide]) {
        await server.addUser('alice');
        await server.addUser('bob');
    }
});
after(() => Promise.all([s.stop(), wide.stop()]));

const attempt = () => crypto.randomBytes(16).toString('base64url');
const graceOver = () => sleep(GRACE + 100);

async function rotated(server, token, more) {
    const r = await server.refresh(token, more);
    assert.equal(r.status, 200, r.text);
    return r.json;
}

async function causeOf(server, session, user = 'alice') {
    return (await server.ask('session', 'list', '--user', user, '--ended')).find((x) => x.session_id === session).cause;
}

test('attempt: a retry long after the grace time gets the same successor, as often as it is repeated', async () => {
    const a = await s.login('alice'), mine = attempt();
    const b = await rotated(s, a.refresh_token, { attempt: mine });
    await graceOver();
    for (let i = 0; i < 3; i++) assert.equal((await rotated(s, a.refresh_token, { attempt: mine })).refresh_token, b.refresh_token);
    await rotated(s, b.refresh_token, { attempt: attempt() });
});

test('attempt: another one, or none, trips after the grace time', async () => {
    for (const thief of [{ attempt: attempt() }, {}]) {
        const a = await s.login('alice');
        const b = await rotated(s, a.refresh_token, { attempt: attempt() });
        await graceOver();
        refused(await s.refresh(a.refresh_token, thief), 401, 'invalid_grant');
        refused(await s.refresh(b.refresh_token), 401, 'invalid_grant');
        assert.equal(await causeOf(s, a.session_id), 'reuse_detected');
    }
});

test('attempt: the rotation\'s own one trips too, once the successor has been used', async () => {
    const a = await s.login('alice'), mine = attempt();
    const b = await rotated(s, a.refresh_token, { attempt: mine });
    await rotated(s, b.refresh_token, { attempt: attempt() });
    await graceOver();
    refused(await s.refresh(a.refresh_token, { attempt: mine }), 401, 'invalid_grant');
    assert.equal(await causeOf(s, a.session_id), 'reuse_detected');
});

test('attempt: a malformed one is 400 and changes nothing', async () => {
    const a = await s.login('alice'), good = attempt();
    const before = await s.state();
    const bad = [['', 'bad_value'], ['abc', 'bad_value'], [good.slice(1), 'bad_value'], [`${good}A`, 'too_long'], [`${good}==`, 'too_long'],
        [`${good.slice(0, 21)}B`, 'bad_value'], [`${good.slice(0, 21)}+`, 'bad_value'], [`${good.slice(0, 21)} `, 'bad_value'],
        [null, 'wrong_type'], [7, 'wrong_type'], [{}, 'wrong_type'], [[good], 'wrong_type'], [true, 'wrong_type']];
    for (const [value, code] of bad) refused(await s.refresh(a.refresh_token, { attempt: value }), 400, code, JSON.stringify(value));
    assert.deepEqual(await s.state(), before);
    await rotated(s, a.refresh_token, { attempt: good });
});

test('fifty presentations of one token at once: one generation, one successor, fifty good access tokens', async () => {
    let token = (await wide.login('alice')).refresh_token, session;
    for (let round = 1; round <= 3; round++) {
        const answers = await Promise.all(Array.from({ length: 50 }, () => wide.refresh(token)));
        assert.deepEqual([...new Set(answers.map((r) => r.status))], [200]);
        const next = [...new Set(answers.map((r) => r.json.refresh_token))];
        assert.equal(next.length, 1);
        assert.equal(new Set(answers.map((r) => payload(r.json.access_token).jti)).size, 50);
        assert.equal((await wide.get('/auth/me', answers[49].json.access_token)).status, 200);
        [token] = next;
        session = answers[0].json.session_id;
        const row = (await wide.ask('session', 'list', '--user', 'alice')).find((x) => x.session_id === session);
        assert.equal(row.refreshes, round);
    }
    assert.deepEqual(await wide.audit('refresh_reuse_detected'), []);
});

test('two devices of a user refresh together, twenty times, and neither is lost', async () => {
    const tokens = [(await wide.login('bob')).refresh_token, (await wide.login('bob')).refresh_token];
    for (let i = 0; i < 20; i++)
        await Promise.all(tokens.map(async (t, k) => { tokens[k] = (await rotated(wide, t)).refresh_token; }));
    assert.equal((await wide.ask('session', 'list', '--user', 'bob')).length, 2);
});

test('a burst of thieves after the grace time: all refused, one trip, one record', async () => {
    const a = await s.login('bob');
    const b = await rotated(s, a.refresh_token);
    await graceOver();
    const before = (await s.audit('refresh_reuse_detected')).length;
    const answers = await Promise.all(Array.from({ length: 20 }, () => s.refresh(a.refresh_token)));
    for (const r of answers) refused(r, 401, 'invalid_grant');
    assert.equal((await s.audit('refresh_reuse_detected')).length, before + 1);
    refused(await s.refresh(b.refresh_token), 401, 'invalid_grant');
});

test('superseded: a token rotated away just now is 409 and trips nothing; the fifth back is too old for that', async () => {
    const chain = [(await wide.login('alice')).refresh_token];
    for (let i = 0; i < 4; i++) chain.push((await rotated(wide, chain[i])).refresh_token);
    for (const old of chain.slice(0, 3)) refused(await wide.refresh(old), 409, 'refresh_superseded');
    assert.equal((await rotated(wide, chain[3])).refresh_token, chain[4], 'the one before is a retry');
    chain.push((await rotated(wide, chain[4])).refresh_token);
    refused(await wide.refresh(chain[1]), 409, 'refresh_superseded');
    refused(await wide.refresh(chain[0]), 401, 'invalid_grant'); // the row keeps the times of four rotations
    refused(await wide.refresh(chain[5]), 401, 'invalid_grant', 'tripped');
});

test('superseded is for the grace time only', async () => {
    const a = await s.login('alice');
    const b = await rotated(s, a.refresh_token);
    const c = await rotated(s, b.refresh_token);
    await graceOver();
    refused(await s.refresh(a.refresh_token), 401, 'invalid_grant');
    refused(await s.refresh(c.refresh_token), 401, 'invalid_grant');
});

test('grace 0: the second presentation trips at once, and policy `user` ends every session of the user', async () => {
    const t = await Server.start({ 'sessions.grace': '0', 'sessions.reuse_policy': 'user' });
    try {
        await t.addUser('alice');
        await t.addUser('bob');
        const a = await t.login('alice'), elsewhere = await t.login('alice'), other = await t.login('bob');
        await rotated(t, a.refresh_token);
        await sleep(20);
        refused(await t.refresh(a.refresh_token), 401, 'invalid_grant');
        for (const token of [a.access_token, elsewhere.access_token]) refused(await t.get('/auth/me', token), 401, 'invalid_token');
        refused(await t.refresh(elsewhere.refresh_token), 401, 'invalid_grant');
        assert.equal(await causeOf(t, a.session_id), 'reuse_detected');
        assert.equal(await causeOf(t, elsewhere.session_id), 'reuse_detected_elsewhere');
        assert.equal((await t.get('/auth/me', other.access_token)).status, 200);
        await rotated(t, other.refresh_token);
        assert.equal((await t.get('/auth/me', (await t.login('alice')).access_token)).status, 200, 'a login in the same second is not caught');
    } finally {
        await t.stop();
    }
});

test('policy `report` refuses and records, and leaves the session alone', async () => {
    const t = await Server.start({ 'sessions.grace': '0', 'sessions.reuse_policy': 'report' });
    try {
        await t.addUser('alice');
        const a = await t.login('alice');
        const b = await rotated(t, a.refresh_token);
        await sleep(20);
        for (let i = 0; i < 5; i++) refused(await t.refresh(a.refresh_token), 401, 'invalid_grant');
        assert.equal((await t.get('/auth/me', b.access_token)).status, 200);
        await rotated(t, b.refresh_token);
        const records = await t.audit('refresh_reuse_detected');
        assert.equal(records.length, 1, 'coalesced');
        assert.equal(records[0].outcome, 'alarm');
    } finally {
        await t.stop();
    }
});

test('expiries: the answer tells the nearer one; rotating never moves the absolute one; shorter ones are refused as configuration', async () => {
    const t = await Server.start({ 'sessions.idle_ttl': '1h', 'sessions.absolute_ttl': '1h' });
    try {
        await t.addUser('alice');
        let a = await t.login('alice');
        assert.ok(a.refresh_expires_in <= 3600 && a.refresh_expires_in > 3590);
        const until = Date.now() + a.refresh_expires_in * 1000;
        await sleep(1100);
        a = await rotated(t, a.refresh_token);
        assert.ok(Date.now() + a.refresh_expires_in * 1000 < until + 999);
        for (const key of ['sessions.idle_ttl', 'sessions.absolute_ttl']) {
            const r = await t.cli(['config', 'show', '--set', `${key}=59s`]);
            assert.equal(r.status, 2);
            assert.match(r.stderr, new RegExp(`${key} = "59s".*60s`));
        }
    } finally {
        await t.stop();
    }
});

test('windows that were open when the server died reopen when it is back', async () => {
    const t = await Server.start({ 'sessions.grace': '1500ms' });
    try {
        await t.addUser('alice');
        const a = await t.login('alice');
        const b = await rotated(t, a.refresh_token);
        await t.kill();
        await sleep(1600); // longer than the grace time: the client could not have retried in between
        await t.spawn();
        assert.equal((await rotated(t, a.refresh_token)).refresh_token, b.refresh_token);
        await rotated(t, b.refresh_token);
        assert.deepEqual(await t.audit('refresh_reuse_detected'), []);
    } finally {
        await t.stop();
    }
});

test('a window that was over before the server died stays over', async () => {
    const t = await Server.start({ 'sessions.grace': '100ms' });
    try {
        await t.addUser('alice');
        const a = await t.login('alice');
        await rotated(t, a.refresh_token);
        await sleep(1900); // a proof of life in between: it is written every second while it matters
        await t.restart('SIGKILL');
        refused(await t.refresh(a.refresh_token), 401, 'invalid_grant');
        assert.equal(await causeOf(t, a.session_id), 'reuse_detected');
    } finally {
        await t.stop();
    }
});

test('junk of every shape is refused, and trips nobody\'s session', async () => {
    const a = await wide.login('alice'), other = await wide.login('bob');
    const token = a.refresh_token, bytes = Buffer.from(token.slice(5), 'base64url');
    assert.equal(bytes.length, 50);
    const before = await wide.state();
    const text = (b) => `sprt_${b.toString('base64url')}`;
    const junk = ['x', 'sprt_', 'sprt', token.slice(5), `SPRT_${token.slice(5)}`, `sprt-${token.slice(5)}`, `sprt_sprt_${token.slice(5)}`, ` ${token}`, `${token} `,
        `${token}=`, `${token}==`, `${token}A`, token.slice(0, -1), token.slice(0, 20), token + token, `${token}.${token}`, a.access_token,
        'sprt_' + 'A'.repeat(67), 'sprt_' + '_'.repeat(67), text(crypto.randomBytes(50)), text(Buffer.concat([bytes, Buffer.alloc(1)])), text(bytes.subarray(0, 49)),
        bytes.toString('hex'), `sprt_${bytes.toString('hex')}`, 'é'.repeat(30), 'sprt_' + '€'.repeat(20), 'A'.repeat(12000),
        // the last character carries two bits that belong to nothing
        ...['A', 'Q', 'g', 'w', 'B', 'C', 'D'].map((c) => token.slice(0, -1) + c).filter((t) => t !== token)];
    for (let i = 0; i < bytes.length; i++) { // every byte of a good one
        const flipped = Buffer.from(bytes);
        flipped[i] ^= 1 << (i % 8);
        junk.push(text(flipped));
    }
    const spliced = Buffer.from(bytes); // the other session's id under this one's tag and secret, and the other way round
    const others = Buffer.from(other.refresh_token.slice(5), 'base64url');
    others.copy(spliced, 2, 2, 22);
    junk.push(text(spliced), text(Buffer.concat([others.subarray(0, 34), bytes.subarray(34)])), text(Buffer.concat([bytes.subarray(0, 34), others.subarray(34)])));
    const later = Buffer.from(bytes);
    later.writeUInt32BE(1, 22);
    junk.push(text(later));
    for (const t of junk) {
        const r = await wide.refresh(t);
        refused(r, 401, 'invalid_grant', t.slice(0, 80));
        refused(await wide.post('/auth/logout', { refresh_token: t }), 401, 'invalid_grant', t.slice(0, 80));
    }
    assert.deepEqual(await wide.state(), before);
    await rotated(wide, token);
    await rotated(wide, other.refresh_token);
});

test('a session that is over stays over, whatever is presented', async () => {
    const a = await s.login('alice');
    const b = await rotated(s, a.refresh_token);
    assert.equal((await s.post('/auth/logout', { refresh_token: b.refresh_token })).status, 204);
    for (const t of [a, b]) {
        refused(await s.refresh(t.refresh_token), 401, 'invalid_grant');
        refused(await s.get('/auth/me', t.access_token), 401, 'invalid_token');
    }
    assert.equal(await causeOf(s, a.session_id), 'logout', 'a late replay does not change the cause');
    assert.equal((await s.post('/auth/login', { username: 'alice', password: PASSWORD })).status, 200);
});
