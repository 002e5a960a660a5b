// A verifier of the revocation feed, written from docs/feed.md alone: none of its bytes come from the server's code. It keeps every
// event that it was sent, and checks each against the chain, the signatures and the order that are promised.
import assert from 'node:assert/strict';
import { createHash, createPublicKey, verify } from 'node:crypto';
import http from 'node:http';
import { request, slowness } from './harness.mjs';

const sha256 = (...parts) => createHash('sha256').update(Buffer.concat(parts)).digest();
const b64 = (text, n) => {
    const bytes = Buffer.from(text, 'base64url');
    assert.equal(bytes.toString('base64url'), text, 'canonical base64url');
    if (n !== undefined) assert.equal(bytes.length, n);
    return bytes;
};
const u = (n, bytes) => {
    const b = Buffer.alloc(8);
    b.writeBigUInt64BE(BigInt(n));
    return b.subarray(8 - bytes);
};
const label = (text) => Buffer.from(`sallyport feed ${text} 1\0`);
const withIssuer = (issuer) => Buffer.concat([u(Buffer.byteLength(issuer), 2), Buffer.from(issuer)]);

export const basic = (credential) => ({ authorization: `Basic ${Buffer.from(credential).toString('base64')}` });
export const thumbprint = (jwk) => sha256(Buffer.from(JSON.stringify({ crv: jwk.crv, kty: jwk.kty, x: jwk.x }))).toString('base64url');

function signed(jwk, text, signature) {
    assert.equal(jwk.kid, thumbprint(jwk));
    return verify(null, text, createPublicKey({ key: { kty: jwk.kty, crv: jwk.crv, x: jwk.x }, format: 'jwk' }), b64(signature, 64));
}

/* ---- the chain ---- */

export const chainStart = (epoch) => sha256(label('start'), b64(epoch, 16));

function entryOf(seq, event, data) {
    const what = event === 'revoke' ? ('jti' in data ? 1 : 2) : 'sub' in data ? 3 : 4;
    const id = Buffer.alloc(20);
    if (what !== 4) b64(data.jti ?? data.sid ?? data.sub, what === 2 ? 20 : 16).copy(id);
    return Buffer.concat([u(seq, 8), u(what, 1), id, u(data.epu ?? data.epg ?? 0, 4), u(data.until, 8)]);
}
export const chainLink = (head, seq, event, data) => sha256(label('chain'), head, entryOf(seq, event, data));

/* ---- fingerprints: SipHash-2-4 ---- */

const M = (1n << 64n) - 1n;
const rotl = (x, n) => ((x << n) | (x >> (64n - n))) & M;
export function fingerprint(key, kind, id) {
    const m = Buffer.concat([Buffer.from([kind]), id]);
    const [k0, k1] = [key.readBigUInt64LE(0), key.readBigUInt64LE(8)];
    let [v0, v1, v2, v3] = [k0 ^ 0x736f6d6570736575n, k1 ^ 0x646f72616e646f6dn, k0 ^ 0x6c7967656e657261n, k1 ^ 0x7465646279746573n];
    const round = () => {
        v0 = (v0 + v1) & M; v1 = rotl(v1, 13n) ^ v0; v0 = rotl(v0, 32n);
        v2 = (v2 + v3) & M; v3 = rotl(v3, 16n) ^ v2;
        v0 = (v0 + v3) & M; v3 = rotl(v3, 21n) ^ v0;
        v2 = (v2 + v1) & M; v1 = rotl(v1, 17n) ^ v2; v2 = rotl(v2, 32n);
    };
    const padded = Buffer.alloc((m.length + 8) & ~7);
    m.copy(padded);
    padded[padded.length - 1] = m.length & 255;
    for (let at = 0; at < padded.length; at += 8) {
        const word = padded.readBigUInt64LE(at);
        v3 ^= word; round(); round(); v0 ^= word;
    }
    v2 ^= 255n;
    for (let i = 0; i < 4; i++) round();
    const h = v0 ^ v1 ^ v2 ^ v3;
    return h === 0n ? 1n : h;
}

/* ---- the snapshot ---- */

export function readSnapshot(bytes, issuer, keys) {
    assert.equal(bytes.subarray(0, 8).toString('latin1'), 'SPFEED1\n');
    const s = { epoch: bytes.subarray(8, 24).toString('base64url'), seq: Number(bytes.readBigUInt64BE(24)), head: bytes.subarray(32, 64),
        time: Number(bytes.readBigUInt64BE(64)), key: bytes.subarray(72, 88), epg: bytes.readUInt32BE(88), entries: new Map(), users: new Map() };
    let at = 92;
    for (let kind; (kind = bytes[at]) !== 0;) {
        const count = bytes.readUInt32BE(at + 1);
        assert.ok((kind === 1 || kind === 2) && count >= 1 && count <= 65536);
        at += 5;
        for (let i = 0; i < count; i++, at += kind === 1 ? 12 : 28) {
            if (kind === 1) s.entries.set(bytes.readBigUInt64BE(at), bytes.readUInt32BE(at + 8));
            else s.users.set(bytes.subarray(at, at + 16).toString('base64url'), { epu: bytes.readUInt32BE(at + 16), until: Number(bytes.readBigUInt64BE(at + 20)) });
        }
    }
    at++;
    assert.equal(bytes.length, at + 32 + 64, 'nothing behind the trailer');
    const kid = bytes.subarray(at, at + 32).toString('base64url');
    const text = Buffer.concat([label('snapshot'), withIssuer(issuer), sha256(bytes.subarray(0, at))]);
    assert.ok(signed(keys.find((k) => k.kid === kid), text, bytes.subarray(at + 32).toString('base64url')), 'signature of the snapshot');
    return s;
}

export function verifySuccession(issuer, s, keys) {
    const text = Buffer.concat([label('key'), withIssuer(issuer), b64(s.kid, 32), b64(s.by, 32)]);
    return signed(keys.find((k) => k.kid === s.by), text, s.signature);
}

export function verifyNonce(issuer, a, keys) {
    const text = Buffer.concat([label('nonce'), withIssuer(issuer), b64(a.epoch, 16), b64(a.node, 16), u(a.boot_ms, 8), b64(a.nonce, 16)]);
    return signed(keys.find((k) => k.kid === a.kid), text, a.signature);
}

/* ---- the follower ---- */

const connected = new Set();
// For afterEach: a test that failed midway leaves nobody behind for whom the next one would wait.
export async function dismiss() {
    for (const f of connected) await f.leave();
    connected.clear();
}

export class Follower {
    // `from`: {epoch, seq, head} to go on from. `acks`: after each piece that was applied, "I enforce everything up to here".
    constructor(server, credential, { name, from, acks = false, staleness = 30, headers = {} } = {}) {
        Object.assign(this, { server, credential, name, from, acks, staleness, headers });
        Object.assign(this, { events: [], revoked: [], beats: [], resets: [], texts: {}, digests: {}, waiters: new Set(), rest: '', open: false, acked: 0 });
        this.head = from?.head;
        this.seq = from?.seq;
        this.epoch = from?.epoch;
        connected.add(this);
        this.feedKeys = new Map((from?.feedKeys ?? []).map((k) => [k.kid, k]));
    }

    get position() { return { epoch: this.epoch, seq: this.seq, head: this.head, feedKeys: [...this.feedKeys.values()] }; }

    // Resolves when the answer's headers are there.
    connect() {
        const headers = { ...basic(this.credential), ...this.headers };
        if (this.from) headers['last-event-id'] = `${this.from.epoch}:${this.from.seq}`;
        const path = this.name ? `/feed?verifier=${this.name}` : '/feed';
        return new Promise((resolve, reject) => {
            this.req = http.request({ host: '127.0.0.1', port: this.server.port, path, headers, agent: false }, (res) => {
                this.res = res;
                this.open = true;
                assert.equal(res.statusCode, 200);
                assert.equal(res.headers['content-type'], 'text/event-stream');
                res.setEncoding('utf8');
                res.on('data', (text) => { try { this.take(text); } catch (error) { this.fail(error); } });
                res.on('error', () => {}); // cut: `close` follows
                res.on('close', () => { this.open = false; this.look(); });
                resolve(this);
            });
            this.req.on('error', reject);
            this.req.end();
        });
    }

    close() {
        connected.delete(this);
        this.req?.destroy();
    }

    async leave() {
        if (this.name && this.inForce) await this.ack({ leaving: true }).catch(() => {}); // the server may have gone
        this.close();
    }

    fail(error) {
        this.failure ??= error;
        this.close();
        this.look();
    }

    take(text) {
        this.rest += text;
        for (let end; (end = this.rest.indexOf('\n\n')) >= 0;) {
            const lines = this.rest.slice(0, end).split('\n');
            this.rest = this.rest.slice(end + 2);
            const e = {};
            for (const line of lines) {
                const [, name, value] = /^(event|id|data): (.*)$/.exec(line) ?? assert.fail(`not a line of ours: ${line}`);
                assert.ok(!(name in e), `two ${name}`);
                e[name] = value;
            }
            this.event(e);
        }
        if (this.acks && this.inForce) this.acknowledge().catch((error) => this.fail(error));
        this.look();
    }

    event({ event, id, data }) {
        const value = JSON.parse(data);
        this.events.push({ event, id, value });
        const first = this.events.length === 1;
        assert.equal(event === 'hello', first, 'hello comes first, and once');
        assert.equal(id !== undefined, event === 'revoke' || event === 'epoch');
        ({ hello: () => this.hello(value), reset: () => this.reset(value), roles: () => this.document('roles', data), keys: () => this.document('keys', data),
            revoke: () => this.revocation(event, id, value), epoch: () => this.revocation(event, id, value), beat: () => this.beat(value) })[event]();
    }

    hello(v) {
        assert.equal(v.issuer, this.server.settings['tokens.issuer'] ?? 'https://auth.example.test');
        this.issuer = v.issuer;
        this.node = v.node;
        this.epoch ??= v.epoch;
        if (!this.from && v.seq === 0) this.head = chainStart(v.epoch);
    }

    // Whoever needs to be complete would take the snapshot now; we only note where the next event is.
    reset(v) {
        assert.ok(['epoch', 'backlog', 'ahead'].includes(v.reason));
        this.resets.push(v.reason);
        this.epoch = this.events[0].value.epoch;
        this.seq = this.head = undefined;
    }

    document(name, data) {
        this.texts[name] = JSON.parse(data);
        this.digests[name] = createHash('sha256').update(data).digest('base64url');
        // The first ones are believed, as after GET /feed/keys over TLS; later ones only under a signature of one that is known.
        if (name === 'keys' && this.feedKeys.size === 0) for (const k of this.texts.keys.feed_keys) this.feedKeys.set(k.kid, k);
    }

    revocation(event, id, value) {
        const [epoch, seq] = [id.slice(0, 22), Number(id.slice(23))];
        assert.equal(epoch, this.epoch);
        if (this.seq !== undefined) assert.equal(seq, this.seq + 1, 'no gap, nothing twice');
        if (this.head) this.head = chainLink(this.head, seq, event, value);
        this.seq = seq;
        this.revoked.push(value);
    }

    beat(v) {
        const text = Buffer.concat([label('beat'), withIssuer(this.issuer), b64(this.epoch, 16), b64(v.node, 16), u(v.boot_ms, 8), u(v.seq, 8), b64(v.head, 32),
            b64(v.roles, 32), b64(v.keys, 32)]);
        assert.ok(this.feedKeys.has(v.kid), 'a beat is signed by a key that was announced');
        assert.ok(signed(this.feedKeys.get(v.kid), text, v.signature), 'signature of the beat');
        assert.equal(v.node, this.node);
        if (this.seq !== undefined) assert.equal(v.seq, this.seq, 'a beat follows every revocation up to its seq, and none beyond');
        if (this.head) assert.equal(v.head, this.head.toString('base64url'), 'the chain');
        assert.equal(v.roles, this.digests.roles);
        assert.equal(v.keys, this.digests.keys);
        if (this.beats.length > 0) assert.ok(v.boot_ms >= this.beats.at(-1).boot_ms);
        for (const k of this.texts.keys.feed_keys) this.feedKeys.set(k.kid, k);
        this.seq ??= v.seq;
        this.head ??= b64(v.head, 32);
        this.beats.push(v);
        this.inForce = { roles: v.roles, keys: v.keys };
    }

    // One at a time; what happens meanwhile goes into the next one.
    async acknowledge() {
        const now = `${this.seq} ${this.inForce.roles} ${this.inForce.keys}`;
        if (this.acking || this.lastAck === now) return undefined;
        this.acking = true;
        try {
            const r = await this.ack();
            assert.equal(r.status, 204, r.text);
            this.lastAck = now;
            this.acked++;
        } finally { this.acking = false; }
        this.look();
        return this.open ? this.acknowledge() : undefined;
    }

    ack(more = {}) {
        const body = JSON.stringify({ verifier: this.name, epoch: this.epoch, seq: this.seq, ...this.inForce,
            max_staleness_s: this.staleness, ...more });
        return request(this.server.port, 'POST', '/feed/ack', { headers: { ...basic(this.credential), 'content-type': 'application/json' }, body });
    }

    look() {
        for (const w of [...this.waiters]) w();
    }

    // Until `ready` holds.
    until(ready, what = String(ready), ms = 15000 * slowness) {
        return new Promise((resolve, reject) => {
            const done = (error) => {
                clearTimeout(timer);
                this.waiters.delete(check);
                if (error) reject(error);
                else resolve(this);
            };
            const check = () => {
                if (this.failure) done(this.failure);
                else if (ready(this)) done();
            };
            const timer = setTimeout(() => done(new Error(`${what}: never came; ${this.events.length} events, seq ${this.seq}, open ${this.open}`)), ms);
            this.waiters.add(check);
            check();
        });
    }

    untilBeat(ready = () => true) {
        const from = this.beats.length;
        return this.until(() => this.beats.slice(from).some(ready), `a beat: ${ready}`);
    }
    untilSeq(seq) { return this.until(() => this.seq >= seq && this.beats.at(-1)?.seq >= seq, `seq ${seq} and its beat`); }
    untilCut() { return this.until(() => !this.open, 'the end of the stream'); }
}

export async function follow(server, credential, opts) {
    const f = await new Follower(server, credential, opts).connect();
    return f.until(() => f.beats.length > 0, 'the first beat');
}
