// What a patient attacker tried, and what must not work: each of these did once.
import assert from 'node:assert/strict';
import { copyFileSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import path from 'node:path';
import { test } from 'node:test';
import { payload, request, Server, sleep } from './harness.mjs';

// Inside the grace time a thief's copy of a refresh token is as good as the client's. So nobody who holds an access token may learn
// that the client has refreshed while that window is still open: then he would always be in it, and never trip.
test('own sessions do not tell when a refresh happened while its retry window is open', async (t) => {
    const s = await Server.start({ 'sessions.grace': '60s' });
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

test('the server leaves no core file with keys in it', async (t) => {
    const s = await Server.start({}, { wrap: ['sh', '-c', 'ulimit -c "$(ulimit -Hc)"; exec "$@"', 'sh'] });
    t.after(() => s.stop());
    assert.match(readFileSync(`/proc/${s.child.pid}/limits`, 'utf8'), /^Max core file size +0 +0 /m);
});

// The trip is decided on what was read, and then written. A thief who refreshes without a pause always got in between.
test('a thief who refreshes without a pause cannot outrun the trip', async (t) => {
    const s = await Server.start({ 'sessions.grace': '0' });
    t.after(() => s.stop());
    await s.addUser('alice');
    const agent = new http.Agent({ keepAlive: true });
    t.after(() => agent.destroy());
    const refresh = (refresh_token) => {
        const body = JSON.stringify({ refresh_token });
        const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
        return request(s.port, 'POST', '/auth/refresh', { headers, body, agent });
    };
    for (let i = 0; i < 12; i++) {
        const stolen = (await s.login('alice')).refresh_token;
        let told = false, rotated;
        const was = new Promise((done) => { rotated = done; });
        const thief = (async () => {
            for (let token = stolen; ;) {
                const late = told; // it began when the honest client had its answer
                const r = await refresh(token);
                if (r.status !== 200) return 'out';
                if (late) return 'still in';
                token = r.json.refresh_token;
                rotated();
            }
        })();
        await was;
        await sleep(50 + 3 * i);
        const honest = await refresh(stolen);
        told = true;
        assert.equal(await thief, 'out');
        assert.equal(honest.json.code, 'invalid_grant');
    }
});

test('one address cannot take all connections, when it is limited', async (t) => {
    const s = await Server.start({ 'server.connections_max': '40', 'server.connections_per_address': '20' });
    const slow = Array.from({ length: 60 }, () => {
        const c = net.connect({ port: s.port, host: '127.0.0.1', localAddress: '127.0.0.2' });
        c.on('error', () => {});
        c.write('GET /healthz HTTP/1.1\r\nX: ');
        return c;
    });
    t.after(() => { // in this order, or the stop would wait for them as long as it may
        slow.forEach((c) => c.destroy());
        return s.stop();
    });
    await sleep(300);
    assert.equal((await s.get('/healthz')).status, 200);
});
