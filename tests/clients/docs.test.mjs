// What docs/oauth.md says of these clients is what the tests run.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const root = process.env.SP_ROOT, here = path.dirname(fileURLToPath(import.meta.url));
const section = readFileSync(path.join(root, 'docs/oauth.md'), 'utf8').split('\n## Clients that were tried\n')[1]?.split('\n## ')[0];
const { dependencies } = JSON.parse(readFileSync(path.join(root, 'tests/clients/package.json'), 'utf8'));

// `http` is how these tests say that their server has no TLS. Nobody else has to.
const plain = (text) => text.split('\n').map((line) => line.trim().replaceAll('...http, ', '').replace(/, (\.\.\.)?http\b(?!\[)/g, '')).filter(Boolean).join('\n');
const tests = readdirSync(here).filter((name) => name.endsWith('.mjs') && name !== 'docs.test.mjs');

test('docs: the versions are those of package.json', () => {
    const rows = [...section.matchAll(/^\| \[([^\]]+)\][^|]*\| ([^ ]+) \|/gm)];
    assert.ok(rows.length >= 12);
    for (const [, name, version] of rows) assert.equal(version, dependencies[name], name);
});

test('docs: the code is the code of the tests', () => {
    const sources = tests.map((name) => plain(readFileSync(path.join(here, name), 'utf8')));
    const blocks = [...section.matchAll(/^```js\n([\s\S]*?)^```$/gm)].map((m) => plain(m[1]));
    assert.ok(blocks.length >= 12);
    for (const block of blocks) assert.ok(sources.some((text) => `\n${text}\n`.includes(`\n${block}\n`)), block);
});
