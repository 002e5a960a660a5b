// What a patient attacker tried, and what must not work: each of these did once.
import assert from 'node:assert/strict';
import { copyFileSync, readdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { payload, Server, sleep } from './harness.mjs';

// Inside the grace time a thief's copy of a refresh token is as good as the client's. So nobody who holds an access token may learn
// that the client has refreshed while that window is still open: then he would always be in it, and never trip.
test('own sessions do not tell when a refresh happened while its retry window is open', async (t) => {
    const s = await Server.start({ 'sessions.grace': '1s' });
    t.after(() => s.stop());
    await s.addUser('alice');
    const a = await s.login('alice');
    const shown = async () => {
        const r = await s.get('/auth/sessions', a.access_token);
        assert.equal(r.status, 200);
        return JSON.stringify(r.json.sessions);
    };
    const before = await shown();
    await sleep(50);
    const b = await s.refresh(a.refresh_token);
    assert.equal(b.status, 200);
    assert.equal(await shown(), before, 'nothing shows the refresh');
    assert.equal((await s.refresh(a.refresh_token)).status, 200);
    assert.equal(await shown(), before, 'nor its retry');
});

// An older copy of the database comes back, and epochs of users and of everyone would be given a second time: a token with the first
// one's number would then survive the second revocation.
test('after a rollback, revoking everyone revokes tokens that were issued in the lost time, too', async (t) => {
    const s = await Server.start();
    t.after(() => s.stop());
    await s.addUser('alice');
    const honest = await s.login('alice');
    await s.kill('SIGTERM');
    const old = path.join(s.folder, 'old.db');
    copyFileSync(path.join(s.data, 'sallyport.db'), old);
    await s.spawn();
    for (let i = 0; i < 3; i++) await s.ask('revoke', '--user', 'alice');
    await s.ask('revoke', '--everyone');
    await s.ask('revoke', '--everyone');
    const lost = await s.login('alice');
    assert.equal(payload(lost.access_token).epg, 2);
    await s.kill('SIGTERM');
    for (const name of readdirSync(s.data)) if (name.startsWith('sallyport.db')) rmSync(path.join(s.data, name));
    copyFileSync(old, path.join(s.data, 'sallyport.db'));
    await s.spawn();
    assert.equal((await s.audit('store_rollback')).length, 1);
    assert.equal((await s.refresh(honest.refresh_token)).status, 200, 'sessions live on');
    await s.ask('revoke', '--everyone');
    assert.equal((await s.get('/auth/me', lost.access_token)).status, 401, 'revoked means revoked');
});
