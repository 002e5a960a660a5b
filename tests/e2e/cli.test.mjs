// The command line itself: help, exit codes, and the documents that are made from its tables.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { program, Server, slowness } from './harness.mjs';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
const run = (...args) => {
    const r = spawnSync(program, args, { encoding: 'utf8', timeout: 20000 });
    return { status: r.status, stdout: r.stdout, stderr: r.stderr };
};
// What a clone has is what the program says.
const same = (file, ...args) => {
    const r = run(...args);
    assert.equal(r.status, 0);
    assert.equal(readFileSync(path.join(root, file), 'utf8'), r.stdout, `make it anew: sallyport ${args.join(' ')} > ${file}`);
};

let s;
before(async () => { s = await Server.start(); });
after(() => s.stop());

const commands = run('help', '--markdown').stdout.match(/^## `(.+)`$/gm).map((l) => /^## `([a-z -]+?)(?: [A-Z[-].*)?`$/.exec(l)?.[1] ?? l.slice(4, -1));

test('documents are made from the tables', () => {
    same('docs/cli.md', 'help', '--markdown');
    same('docs/configuration.md', 'config', 'doc');
    same('docs/man/sallyport.1', 'man');
});

test('every command has help that ends well, and is in the list', () => {
    const list = run('--help').stdout;
    assert.equal(run('help').stdout, list);
    assert.ok(commands.length > 30);
    for (const c of commands) {
        const name = c.replace(/ bash$/, '');
        const r = run(...name.split(' '), '--help');
        assert.equal(r.status, 0, `${name}: ${r.stderr}`);
        assert.ok(r.stdout.length > 50, name);
        assert.ok(list.includes(name), name);
    }
});

test('help is where people look for it', () => {
    for (const args of [['client', '--help'], ['client', '-h'], ['help', 'client']]) {
        const r = run(...args);
        assert.equal(r.status, 0, args.join(' '));
        assert.match(r.stdout, /client rotate-secret NAME/);
        assert.doesNotMatch(r.stdout, /user add/);
    }
    assert.deepEqual(run('client'), { status: 2, stdout: '', stderr: run('client', '--help').stdout });
    assert.equal(run('-h').stdout, run('--help').stdout);
    assert.equal(run('help', 'user', 'add').stdout, run('user', 'add', '-h').stdout);
    assert.equal(run('--version').stdout, run('version').stdout);
    assert.equal(run('user', 'add', '--version').stdout, run('version').stdout);
});

test('what is wrong with a line is named, and what may have been meant', () => {
    for (const [says, ...args] of [
        [/unknown option --rolle; did you mean --role\?/, 'user', 'add', 'x', '--rolle', 'y'], [/unknown option -x\n/, 'audit', 'tail', '-x'],
        [/unknown option --secret\n/, 'user', 'add', 'x', '--secret=abc'], [/--role needs a value/, 'user', 'add', 'x', '--role'],
        [/--user is given twice/, 'session', 'list', '--user', 'a', '--user', 'b'], [/--ended takes no value/, 'session', 'list', '--ended=1'],
        [/--data needs a value/, '--data'], [/unknown command "user lst"; did you mean "user list"\?/, 'user', 'lst'],
        [/did you mean "status"\?/, 'stauts'], [/did you mean "user"\?/, 'usr'], [/did you mean "client add"\?/, 'clent', 'add', 'x'],
        [/unknown command "completely other"\n/, 'completely', 'other'], [/unknown command "user rm"\n/, 'user', 'rm', 'bob'], [/unknown command "x{90}/, 'x'.repeat(500)],
        [/not within it/, 'user', '--json', 'list'], [/unknown command "nosuch"\n/, 'help', 'nosuch']]) {
        const r = run(...args);
        assert.equal(r.status, 2, args.join(' '));
        assert.match(r.stderr, says);
    }
});

test('wrong usage is 2 and says so; no server is 3', () => {
    for (const args of [[], ['nonsense'], ['user'], ['user', 'add'], ['user', 'list', 'extra'], ['user', 'list', '--no-such'], ['audit', 'tail', '-x'],
        ['audit', 'tail', '--n', '3'], ['audit', 'tail', '-n'], ['audit', 'show', '-user', 'a'], ['--data'], ['completion', 'fish'], ['session', 'list', '--ended=1']]) {
        const r = run(...args);
        assert.equal(r.status, 2, args.join(' '));
        assert.ok(r.stderr.length > 0, args.join(' '));
    }
    for (const args of [['status'], ['user', 'list'], ['backup', '/tmp/x'], ['audit', 'verify'], ['audit', 'export']]) {
        const r = run('--data', '/does/not/exist', ...args);
        assert.equal(r.status, 3, args.join(' '));
    }
});

test('what keeps a server from starting is said as the system says it', async () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'sp-cli-'));
    const address = `127.0.0.1:${s.port}`;
    const refused = (says, ...args) => {
        const r = run(...args);
        assert.ok(r.status === 1 || r.status === 2, `${args}: ${r.status}`);
        assert.match(r.stderr, says, args.join(' '));
    };
    refused(/address already in use.*server\.listen/, '--data', path.join(folder, 'd'), 'serve', '--listen', address);
    refused(/address already in use.*server\.metrics_listen/, '--data', path.join(folder, 'd'), 'serve', '--listen', '127.0.0.1:0', '--set', `server.metrics_listen=${address}`);
    refused(/a\/b\/c: No such file or directory/, '--data', path.join(folder, 'a/b/c'), 'serve', '--listen', '127.0.0.1:0');
    for (const listen of ['127.0.0.1', ':8520', '0.0.0.0:99999'])
        for (const command of ['serve', 'config check', 'doctor'])
            refused(/server\.listen = .*expected HOST:PORT/, '--data', path.join(folder, 'd'), ...command.split(' '), '--set', `server.listen=${listen}`);
    rmSync(folder, { recursive: true });
});

test('every listing speaks JSON, and a session list names its users', async () => {
    await s.addUser('Ann');
    await s.addUser('ben');
    await s.login('ann');
    await s.login('ann');
    await s.login('ben');
    for (const args of [['user', 'list'], ['role', 'list'], ['session', 'list'], ['key', 'list'], ['audit', 'show']])
        assert.ok(Array.isArray(await s.ask(...args)), args.join(' '));
    const names = (await s.ask('session', 'list')).map((x) => x.username).sort();
    assert.deepEqual(names, ['Ann', 'Ann', 'ben']);
    await s.cli(['user', 'delete', 'ben']);
    const left = await s.ask('session', 'list', '--ended');
    assert.deepEqual(left.map((x) => x.username).sort(), ['Ann', 'Ann', null], 'who is gone has no name');
});

test('a refused value comes with what is allowed', async () => {
    const says = async (pattern, ...args) => assert.match((await s.cli(args)).stderr, pattern, args.join(' '));
    await says(/"openid profile": one word each; repeat --scope/, 'client', 'set', 'web', '--scope', 'openid profile');
    await says(/not a permission: "bad perm"; one word each, such as documents:read/, 'role', 'set', 'x', 'bad perm');
    await says(/--use is access, refresh or feed, not "foo"/, 'key', 'rotate', '--use', 'foo');
    await says(/"yesterday" is not a time: RFC 3339/, 'audit', 'show', '--since', 'yesterday');
    await says(/No such role: "nosuch" \(unknown_role\)/, 'user', 'add', 'dora', '--no-password', '--role', 'nosuch');
    await says(/not a session id: "xyz"/, 'session', 'revoke', 'xyz');
    await says(/not a jti: "foo"/, 'revoke', '--jti', 'foo');
    await s.login('ann');
    const [one] = await s.ask('session', 'list');
    assert.equal((await s.cli(['revoke', '--session', one.session_id])).stdout, 'revoked; 1 session ended\n');
});

test('a password in argv is refused', async () => {
    const r = await s.cli(['user', 'add', 'carl', '--password', 'secret secret']);
    assert.equal(r.status, 2);
});

test('RSA keys are made without holding up the loop', { timeout: 60000 }, async () => {
    const t = await Server.start({ 'tokens.alg': 'RS256' });
    let slowest = 0, stop = false;
    const pings = (async () => {
        while (!stop) {
            const begin = performance.now();
            assert.equal((await t.get('/healthz')).status, 200);
            slowest = Math.max(slowest, performance.now() - begin);
        }
    })();
    for (let i = 0; i < 4; i++) assert.equal((await t.cli(['key', 'rotate', '--immediately'])).status, 0);
    stop = true;
    await pings;
    await t.stop();
    // A key takes from 100 ms to seconds; the threads of the pool share the machine, so some slack.
    assert.ok(slowest < 1000 * slowness, `${slowest} ms`);
});

test('bash completes commands and options', (context) => {
    const bash = spawnSync('bash', ['--norc', '-c', `
        source <("$0" completion bash)
        complete_of() { COMP_WORDS=("$@"); COMP_CWORD=$((\${#COMP_WORDS[@]} - 1)); COMPREPLY=(); _sallyport; echo "\${COMPREPLY[*]}"; }
        complete_of sallyport us
        complete_of sallyport user e
        complete_of sallyport audit tail --f
        complete_of sallyport --data /x audit ver
        complete_of sallyport verify --j
    `, program], { encoding: 'utf8' });
    if (bash.error) return context.skip('no bash');
    const lines = bash.stdout.trimEnd().split('\n').map((l) => [...new Set(l.split(' '))].sort().join(' '));
    assert.deepEqual(lines, ['user', 'enable erase', '--follow', 'verify', '--json --jwks'], bash.stderr);
});
