// Documents whose figures are computed: what stands in the page is what would be computed now.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
const copy = mkdtempSync(path.join(os.tmpdir(), 'sallyport-docs-'));
after(() => rmSync(copy, { recursive: true }));

const check = (folder) => spawnSync('python3', [path.join(folder, 'bench/scale.py'), '--check'], { encoding: 'utf8', timeout: 20000 });

test('docs/scale.md has what bench/scale.py computes from its constants', () => {
    const r = check(root);
    assert.equal(r.status, 0, r.stderr);
});

test('a figure that is not computed, or no figures at all, do not pass', () => {
    for (const file of ['bench/scale.py', 'docs/scale.md']) cpSync(path.join(root, file), path.join(copy, file));
    assert.equal(check(copy).status, 0);
    const page = readFileSync(path.join(root, 'docs/scale.md'), 'utf8');
    for (const altered of [page.replace('| 4,167 /s |', '| 4,168 /s |'), page.replace('<!-- computed -->', '')]) {
        assert.notEqual(altered, page);
        writeFileSync(path.join(copy, 'docs/scale.md'), altered);
        const r = check(copy);
        assert.equal(r.status, 1);
        assert.match(r.stderr, /docs\/scale\.md/);
    }
});
