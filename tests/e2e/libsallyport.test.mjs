// libsallyport as a service's author meets it: header, pkg-config, shared and static, the example, and `sallyport verify --feed`.
import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { chmodSync, existsSync, readFileSync, realpathSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { freePort, PASSWORD, program, request, Server, sleep, temporaryFolder } from './harness.mjs';
import { addClient, basicAuth, Key, post } from './oauth.mjs';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
const build = path.dirname(realpathSync(program));
const library = path.join(build, 'include/libsallyport.so.0');
const archive = path.join(build, 'include/libsallyport.a');
const ISSUER = 'https://auth.example.test';
const folder = temporaryFolder('library');
const at = (name) => path.join(folder, name);
const header = path.join(root, 'include/sallyport/verify.h');
const golden = readFileSync(path.join(root, 'tools/libsallyport.symbols'), 'utf8').trim().split('\n');

const has = (tool) => spawnSync(tool, ['--version'], { stdio: 'ignore' }).status === 0;
const defined = (...args) => execFileSync('nm', ['--defined-only', '-P', ...args], { encoding: 'utf8', maxBuffer: 1 << 26 }).trim().split('\n')
    .map((l) => l.split(' ')).filter(([, kind]) => 'TDBRVW'.includes(kind)).map(([name]) => name).filter((n) => !n.startsWith('__')).sort();
// A library with a sanitizer in it cannot be linked into a plain program.
const isPlain = existsSync(library) &&
    !/__[at]san_|__ubsan_/.test(execFileSync('nm', ['-D', library], { encoding: 'utf8', maxBuffer: 1 << 26 }));
const plain = { skip: isPlain ? false : 'the library was built with a sanitizer' };
const config = (...args) => execFileSync('pkg-config', args, {
    encoding: 'utf8', env: { ...process.env, PKG_CONFIG_PATH: path.join(build, 'meson-uninstalled') },
}).trim().split(/\s+/);
const compile = (...args) => execFileSync('cc', ['-std=c11', '-Wall', '-Wextra', '-Werror', '-pedantic', ...args], { stdio: ['ignore', 'ignore', 'pipe'] });

let s, credential;
before(async () => {
    s = await Server.start();
    await s.cli(['role', 'set', 'editor', 'documents:read', 'drafts:*']);
    await s.cli(['role', 'set', 'guest', 'drafts:read']);
    await s.addUser('alice', ['editor']);
    await s.addUser('bob', ['guest']);
    credential = await credentialOf(s);
});
after(() => s.stop());

async function credentialOf(server) {
    const r = await server.cli(['client', 'add', 'watcher', '--feed']);
    assert.equal(r.status, 0, r.stderr);
    const file = at(`credential-${server.port}`);
    writeFileSync(file, r.stdout, { mode: 0o600 });
    return file;
}
// A service counts when it has acknowledged, which follows what it says on its standard error.
async function confirms(server) {
    for (const until = Date.now() + 20000; Date.now() < until; await sleep(20))
        if ((await server.ask('verifiers')).some((v) => v.live && v.connected)) return;
    assert.fail('no service has acknowledged');
}
const login = async (username) => (await s.post('/auth/login', { username, password: 'correct horse battery' })).json.access_token;
const logout = (token, prefer) => s.post('/auth/logout', {}, { authorization: `Bearer ${token}`, ...(prefer ? { prefer } : {}) });

test('the header is C11, C17 and C++, alone and pedantic', () => {
    const file = at('header.c');
    writeFileSync(file, '#include <sallyport/verify.h>\n#include <sallyport/verify.h>\nint main(void) {\n    struct sp_options o = SP_OPTIONS_INIT;\n'
        + '    struct sp_request r = SP_REQUEST_INIT;\n    struct sp_stats s = SP_STATS_INIT;\n    return (int)(o.size + r.size + s.size + sizeof o.issuer == 0);\n}\n');
    const flags = ['-fsyntax-only', '-Wall', '-Wextra', '-pedantic-errors', '-Werror', `-I${root}/include`];
    for (const std of ['c11', 'c17']) execFileSync('cc', [`-std=${std}`, ...flags, file]);
    for (const cxx of ['g++', 'clang++'].filter(has)) execFileSync(cxx, ['-x', 'c++', '-std=c++17', ...flags, file]);
    assert.deepEqual([...readFileSync(header, 'utf8').matchAll(/^#include <(.*)>$/gm)].map((m) => m[1]), ['stddef.h', 'stdint.h']);
});

test('what docs/verify.md shows in C compiles as it stands', () => {
    const blocks = [...readFileSync(path.join(root, 'docs/verify.md'), 'utf8').matchAll(/^```c\n(.*?)^```$/gms)].map((m) => m[1]);
    assert.ok(blocks.length >= 2);
    const file = at('docs.c');
    writeFileSync(file, '#include <poll.h>\n#include <sallyport/verify.h>\n#include <stdio.h>\n#include <string.h>\n'
        + 'int serve(struct sp_string subject);\nint status(int code);\nconst char *field(const char *name);\n'
        + 'void set_field(const char *name, const char *value);\n'
        + blocks.map((b, i) => `int block${i}(struct sp_options options, struct sallyport *sp, const char *token);\n`
            + `int block${i}(struct sp_options options, struct sallyport *sp, const char *token) {\n`
            + `    (void)options, (void)sp, (void)token;\n    {\n${b}    }\n    return 0;\n}\n`).join(''));
    execFileSync('cc', ['-std=c11', '-fsyntax-only', '-Wall', '-Wextra', '-Werror', `-I${root}/include`, file]);
});

test('shared and static library have exactly the public names', plain, () => {
    assert.deepEqual(defined('-D', library), golden);
    if (existsSync(archive)) assert.deepEqual(defined('-g', archive), golden);
    const declared = [...readFileSync(header, 'utf8').matchAll(/^SP_API [^(]*?(sp_\w+)\(/gms)].map((m) => m[1]).sort();
    assert.deepEqual(declared, golden);
});

// Waits until the child has said so, now or earlier, or fails with what it said.
function says(child, pattern) {
    if (child.log === undefined) {
        child.log = '';
        for (const stream of [child.stderr, child.stdout]) stream.on('data', (c) => { child.log += c; child.emit('said'); });
    }
    return new Promise((done, failed) => {
        const late = setTimeout(() => failed(new Error(`not said: ${pattern}\n${child.log}`)), 20000);
        const look = () => {
            if (!pattern.test(child.log)) return;
            clearTimeout(late);
            child.off('said', look);
            done();
        };
        child.on('said', look);
        child.on('exit', (code) => failed(new Error(`exit ${code}\n${child.log}`)));
        look();
    });
}

test('the example is built by pkg-config alone, and a logout reaches it within the answer', plain, async (t) => {
    const source = path.join(root, 'examples/c/guarded.c');
    assert.ok(readFileSync(source, 'utf8').split('\n').length <= 61, 'at most 60 lines');
    compile(source, '-o', at('guarded'), ...config('--cflags', '--libs', 'sallyport'), '-levent');
    const env = { ...process.env, LD_LIBRARY_PATH: path.dirname(library) };
    const usage = spawnSync(at('guarded'), [], { encoding: 'utf8', env });
    assert.equal(usage.status, 2);
    assert.match(usage.stderr, /usage: guarded PORT SERVER/);
    const taken = spawnSync(at('guarded'), [String(s.port), `http://127.0.0.1:${s.port}`, ISSUER, ISSUER, credential], { encoding: 'utf8', env });
    assert.equal(taken.status, 1);
    assert.match(taken.stderr, /port \d+: Address already in use/);
    const port = await freePort();
    const guarded = spawn(at('guarded'), [String(port), `http://127.0.0.1:${s.port}`, ISSUER, ISSUER, credential], { env });
    t.after(() => guarded.kill());
    await says(guarded, /fresh/);
    await confirms(s);
    const ask = async (token) => (await request(port, 'GET', '/', { headers: token ? { authorization: `Bearer ${token}` } : {} })).status;
    const alice = await login('alice'), bob = await login('bob');
    assert.equal(await ask(alice), 200);
    assert.equal(await ask(bob), 403);
    assert.equal(await ask(), 401);
    assert.equal(await ask(`${alice}x`), 401);
    const r = await logout(alice, 'wait=10');
    assert.equal(r.status, 200, r.text);
    assert.ok(r.json.verifiers >= 1 && r.json.confirmed === r.json.verifiers, r.text);
    assert.equal(await ask(alice), 401);
    await s.cli(['role', 'set', 'guest', 'documents:read']); // bob's token knows nothing of it; the role table does
    for (const until = Date.now() + 20000; await ask(bob) !== 200;) assert.ok(Date.now() < until, 'a changed role is seen without a new token');
});

test('a service follows its server over kills, and forgets nothing', plain, async (t) => {
    if (!existsSync(at('guarded'))) return t.skip('the example was not built');
    const own = await Server.start();
    t.after(() => own.stop());
    await own.cli(['role', 'set', 'editor', 'documents:read']);
    await own.addUser('carol', ['editor']);
    const file = await credentialOf(own), port = await freePort();
    const guarded = spawn(at('guarded'), [String(port), `http://127.0.0.1:${own.port}`, ISSUER, ISSUER, file],
        { env: { ...process.env, LD_LIBRARY_PATH: path.dirname(library) } });
    t.after(() => guarded.kill());
    await says(guarded, /fresh/);
    await confirms(own);
    const enter = async () => (await own.post('/auth/login', { username: 'carol', password: 'correct horse battery' })).json.access_token;
    const leave = (token) => own.post('/auth/logout', {}, { authorization: `Bearer ${token}`, prefer: 'wait=10' });
    const ask = async (token) => (await request(port, 'GET', '/', { headers: { authorization: `Bearer ${token}` } })).status;
    const gone = await enter();
    assert.equal((await leave(gone)).json.confirmed, 1);
    for (let times = 2; times <= 4; times++) {
        await own.restart('SIGKILL');
        await says(guarded, new RegExp(`(connected[^]*){${times}}`));
        await confirms(own);
        const token = await enter();
        assert.equal(await ask(token), 200);
        assert.equal(await ask(gone), 401);
        const r = await leave(token);
        assert.equal(r.json.confirmed, 1, r.text);
        assert.equal(await ask(token), 401);
    }
});

// tests/e2e/prover.c: a line in, a line out.
class Prover {
    constructor(t, needNonce) {
        this.child = spawn(at('prover'), [`http://127.0.0.1:${s.port}`, ISSUER, credential, needNonce ? '1' : '0'],
            { stdio: ['pipe', 'pipe', 'inherit'], env: { ...process.env, LD_LIBRARY_PATH: path.dirname(library) } });
        t.after(() => this.child.kill());
        this.lines = createInterface({ input: this.child.stdout })[Symbol.asyncIterator]();
    }

    async ask({ scheme = 'DPoP', method = 'GET', url = `${ISSUER}/orders`, token, proof, permission = 'documents:read' }) {
        this.child.stdin.write(`${[scheme, method, url, token, proof ?? '-', permission].join(' ')}\n`);
        const [verdict, fault, permits, who, nonce] = (await this.lines.next()).value.split(' ');
        this.nonce = nonce;
        return { said: [verdict, fault, permits, who].join(' ') };
    }

    async says(question, answer) { assert.equal((await this.ask(question)).said, answer); }
}
const buildProver = () => compile(path.join(root, 'tests/e2e/prover.c'), '-D_GNU_SOURCE', '-o', at('prover'), ...config('--cflags', '--libs', 'sallyport'));

test('a token that is bound to a key passes at a service with a proof, once', plain, async (t) => {
    buildProver();
    const key = new Key(), service = new Prover(t, false);
    const enter = (nonce) => s.post('/auth/login', { username: 'alice', password: PASSWORD }, { dpop: key.proof('POST', '/auth/login', { nonce }) });
    let r = await enter();
    if (r.headers['dpop-nonce'] && r.status !== 200) r = await enter(r.headers['dpop-nonce']);
    assert.equal(r.status, 200, r.text);
    const token = r.json.access_token, proof = key.proof('GET', '/orders', { token });
    await service.says({ token, proof }, 'accepted ok permits user');
    await service.says({ token, proof }, 'bad_proof replayed - -');
    await service.says({ token, proof: key.proof('GET', '/orders', { token }), url: `${ISSUER.toUpperCase().replace('HTTPS', 'https')}:443/orders?page=2` },
        'accepted ok permits user');
    await service.says({ token }, 'proof_required missing - -');
    await service.says({ token, scheme: 'Bearer', proof: key.proof('GET', '/orders', { token }) }, 'proof_required ok - -');
    await service.says({ token, proof: new Key().proof('GET', '/orders', { token }) }, 'bad_proof wrong_key - -');
    await service.says({ token, proof: key.proof('GET', '/orders') }, 'bad_proof wrong_token - -');
    await service.says({ token, proof: key.proof('POST', '/orders', { token }) }, 'bad_proof wrong_method - -');
    await service.says({ token, proof: key.proof('GET', '/other', { token }) }, 'bad_proof wrong_url - -');
    await service.says({ token: await login('alice'), proof }, 'bad_proof unbound_token - -');

    const strict = new Prover(t, true), asked = key.proof('GET', '/orders', { token });
    await strict.says({ token, proof: asked }, 'nonce_required nonce_required - -');
    await strict.says({ token, proof: key.proof('GET', '/orders', { token, nonce: strict.nonce }) }, 'accepted ok permits user');
    await service.says({ token, proof: asked }, 'accepted ok permits user'); // another process: it has not seen it
});

test("a client's own token is permitted what its scope says, until the client is disabled", plain, async (t) => {
    buildProver();
    const service = new Prover(t, false), scheme = 'Bearer';
    const client = await addClient(s, 'reports', '--grant', 'client_credentials', '--scope', 'documents:read', '--scope', 'drafts:*');
    const obtain = (scope) => post(s, '/oauth2/token', { grant_type: 'client_credentials', scope }, basicAuth(client.id, client.secret));
    const all = (await obtain()).json.access_token, some = await obtain('drafts:*');
    assert.equal(some.status, 200, some.text);
    await service.says({ scheme, token: all }, 'accepted ok permits client');
    await service.says({ scheme, token: some.json.access_token }, 'accepted ok forbids client');
    await service.says({ scheme, token: some.json.access_token, permission: 'drafts:read' }, 'accepted ok permits client');
    await service.says({ scheme, token: all, permission: 'documents:write' }, 'accepted ok forbids client');
    assert.equal((await s.cli(['client', 'disable', 'reports'])).status, 0);
    for (let i = 0; (await service.ask({ scheme, token: all })).said !== 'revoked ok - -'; i++) assert.ok(i < 100000, 'is told to services');
    assert.equal((await s.cli(['client', 'enable', 'reports'])).status, 0);
    await service.says({ scheme, token: all }, 'revoked ok - -');
});

test('the archive links into a program with names like ours', plain, (t) => {
    if (!existsSync(archive)) return t.skip('no archive in this build');
    const file = at('clash.c');
    writeFileSync(file, '#include <sallyport/verify.h>\nint sp_buf_init(void);\nint sp_buf_init(void) { return 7; }\nint sp_follower_new;\n'
        + 'int main(void) {\n    struct sp_options o = SP_OPTIONS_INIT;\n    struct sallyport *sp;\n'
        + '    return sp_open(&o, &sp) == SP_OPEN_BAD_OPTION && sp_buf_init() == 7 ? 0 : 1;\n}\n');
    compile(file, '-o', at('clash'), `-I${root}/include`, archive, '-lcurl', '-lcrypto', '-lsodium', '-pthread');
    execFileSync(at('clash'));
});

test('what is installed is enough', plain, (t) => {
    const dest = at('dest');
    const r = spawnSync('meson', ['install', '-C', build, '--no-rebuild', '--destdir', dest], { encoding: 'utf8' });
    if (r.error || /not.*built|does not exist|No such file/.test(r.stderr + r.stdout)) return t.skip('not everything was built here');
    assert.equal(r.status, 0, r.stderr);
    const found = execFileSync('find', [dest, '-name', 'sallyport.pc'], { encoding: 'utf8' }).trim();
    const flags = execFileSync('pkg-config', ['--cflags', '--libs', 'sallyport'], {
        encoding: 'utf8', env: { ...process.env, PKG_CONFIG_PATH: path.dirname(found), PKG_CONFIG_SYSROOT_DIR: dest },
    }).trim().split(/\s+/);
    compile(at('header.c'), '-o', at('installed'), ...flags);
    const lib = path.join(path.dirname(found), '..', 'libsallyport.so.0');
    assert.match(execFileSync('readelf', ['-d', lib], { encoding: 'utf8' }), /SONAME.*\[libsallyport\.so\.0\]/);
    const installed = execFileSync('find', [dest, '-name', 'sallyport', '-type', 'f', '-perm', '-u+x'], { encoding: 'utf8' }).trim();
    const v = spawnSync(installed, ['verify', '--feed', 'http://127.0.0.1:1/?', '--credential-file', credential], { encoding: 'utf8', input: '' });
    assert.match(v.stderr, /feed_url/, 'the installed program finds the installed library');
});

// `sallyport verify --feed`

const verify = (args, input) => spawnSync(program, ['verify', ...args], { encoding: 'utf8', input, timeout: 60000 });
const follow = (port = s.port, scheme = 'http') => ['--feed', `${scheme}://127.0.0.1:${port}`, '--iss', ISSUER];

test('verify --feed tells revoked from good, and gives the claims as they were signed', async () => {
    const good = await login('alice'), gone = await login('alice');
    await logout(gone);
    const r = verify([...follow(), '--credential-file', credential], `${good}\n${gone}\njunk\n${good.slice(0, -4)}AAAA\n`);
    assert.equal(r.status, 0, r.stderr);
    const lines = r.stdout.trim().split('\n');
    assert.equal(lines.length, 4);
    assert.deepEqual(JSON.parse(lines[0].replace(/^ok /, '')), JSON.parse(Buffer.from(good.split('.')[1], 'base64url')));
    assert.deepEqual(lines.slice(1), ['reject revoked', 'reject malformed', 'reject bad_signature']);
    const b64 = verify([...follow(), '--credential-file', credential, '--b64', '--alg', 'ES256'], `${Buffer.from(good).toString('base64')}\n`);
    assert.match(b64.stdout, /^ok \{/);
    assert.equal(verify([...follow(), '--credential-file', credential, '--aud', 'https://elsewhere.example'], good).stdout, 'reject bad_audience\n');
});

test('verify --feed refuses a key that is not the pinned one', async () => {
    const keys = (await request(s.port, 'GET', '/feed/keys', { headers: { authorization: `Basic ${Buffer.from(readFileSync(credential, 'utf8').trim()).toString('base64')}` } })).json;
    const good = await login('alice');
    assert.match(verify([...follow(), '--credential-file', credential, '--feed-key', keys.keys[0].kid], good).stdout, /^ok /);
    const r = verify([...follow(), '--credential-file', credential, '--feed-key', 'A'.repeat(43)], good);
    assert.equal(r.status, 3);
    assert.match(r.stderr, /untrusted/);
});

test('verify --feed says why it cannot', () => {
    const wrong = at('wrong');
    writeFileSync(wrong, 'watcher:spcs_wrong\n', { mode: 0o600 });
    const denied = verify([...follow(), '--credential-file', wrong], '');
    assert.equal(denied.status, 3);
    assert.match(denied.stderr, /denied/);
    assert.doesNotMatch(denied.stderr, /spcs_wrong/);
    for (const args of [follow(), [...follow(), '--credential-file', credential, '--jwks', 'x'], [...follow(), '--credential-file', credential, '--raw'],
        ['--jwks', 'x', '--ca-file', 'y'], [...follow(), '--credential-file', credential, '--alg', 'HS256'], []]) {
        const r = verify(args, '');
        assert.equal(r.status, 2, `${args.join(' ')}: ${r.stderr}`);
    }
    const plainHttp = verify(['--feed', 'http://id.example.com', '--credential-file', credential], '');
    assert.equal(plainHttp.status, 1);
    assert.match(plainHttp.stderr, /https is required/);
});

test('verify --feed with the wrong issuer names the issuer instead of trying again', () => {
    const r = verify(['--feed', `http://127.0.0.1:${s.port}`, '--iss', 'https://other.example', '--credential-file', credential], '');
    assert.equal(r.status, 1, r.stderr);
    assert.match(r.stderr, /wrong_issuer.* https:\/\/other\.example; --iss is the server's tokens\.issuer/);
    assert.doesNotMatch(r.stderr, /cannot be followed/);
});

test('TLS: the right authority, another one, and none', async (t) => {
    const openssl = (...args) => execFileSync('openssl', args, { stdio: ['ignore', 'pipe', 'ignore'] });
    for (const name of ['right', 'other']) {
        openssl('req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '30', '-subj', `/CN=${name}`,
            '-addext', 'subjectAltName=IP:127.0.0.1', '-keyout', at(`${name}.key`), '-out', at(`${name}.crt`));
        chmodSync(at(`${name}.key`), 0o600);
    }
    const secure = await Server.start({ 'server.tls_certificate': at('right.crt'), 'server.tls_key': at('right.key') });
    t.after(() => secure.stop());
    const args = [...follow(secure.port, 'https'), '--credential-file', await credentialOf(secure)];
    const right = verify([...args, '--ca-file', at('right.crt')], 'junk\n');
    assert.equal(right.stdout, 'reject malformed\n', right.stderr);
    for (const trust of [['--ca-file', at('other.crt')], []]) {
        const r = verify([...args, ...trust], 'junk\n');
        assert.equal(r.status, 3);
        assert.equal(r.stdout, '');
        assert.match(r.stderr, /certificate/i);
    }
});
