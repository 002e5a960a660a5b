// Documents that could go wrong by themselves: figures that are computed are those that would be computed now, and what docs/standards.md
// says is shown by a test is.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
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

// ---- docs/standards.md ----

const STATES = ['yes', 'doc', 'operator', 'partly', 'no', 'n/a'];
const sources = new Map();
function source(file) {
    if (!sources.has(file)) sources.set(file, existsSync(file) ? readFileSync(file, 'utf8').replaceAll("\\'", "'") : '');
    return sources.get(file);
}

// A test of that very name, which is run: in C a function that a table of tests names as well.
function hasTest(file, name) {
    const text = source(path.join(root, 'tests', file));
    if (file.endsWith('.mjs')) return ["'", '"', '`'].some((quote) => text.includes(`test(${quote}${name}${quote}`));
    return text.includes(`void ${name}(void **`) && text.match(new RegExp(`\\b${name}\\b`, 'g')).length > 1;
}

const slug = (heading) => heading.toLowerCase().replace(/[^\w\- ]/g, '').replaceAll(' ', '-');
function hasPlace(link) {
    const [file, anchor] = link.split('#');
    const text = source(path.join(root, 'docs', file));
    return text !== '' && (anchor === undefined || [...text.matchAll(/^#+ (.*)$/gm)].some(([, heading]) => slug(heading) === anchor));
}

const rowsOf = (page) => page.split('\n').filter((l) => l.startsWith('| ') && !l.startsWith('| § |')).map((line) => {
    const cells = line.split('|').slice(1, -1).map((c) => c.trim());
    return { line, n: cells.length, section: cells[0], asked: cells[1], state: cells[2], how: cells[3], shown: cells[4] ?? '' };
});

function faultOf(row) {
    const tests = [...row.shown.matchAll(/`([^`:]+): ([^`]+)`/g)], links = [...row.shown.matchAll(/\]\(([^)]+)\)/g)];
    const rest = row.shown.replace(/`[^`:]+: [^`]+`|\[[^\]]*\]\([^)]+\)/g, '').replace(/[, ]/g, '');
    if (row.n !== 5 || rest !== '' || row.section === '' || row.asked === '') return 'is not of the form of the others';
    if (!STATES.includes(row.state)) return `has no such state: ${row.state}`;
    if (row.state === 'yes' && tests.length === 0) return 'is shown by no test';
    if (row.state === 'doc' && links.length === 0) return 'names no document';
    if (!['yes', 'doc', 'n/a'].includes(row.state) && row.how === '') return 'gives no reason';
    for (const [, file, name] of tests) if (!hasTest(file, name)) return `names a test that is not there: ${file}: ${name}`;
    for (const [, link] of links) if (!hasPlace(link)) return `leads nowhere: ${link}`;
    return undefined;
}

const counted = (rows) => `Of ${rows.length} rows: ${STATES.map((s) => `${rows.filter((r) => r.state === s).length} ${s}`).join(', ')}.`;
function faults(page) {
    const rows = rowsOf(page);
    const found = rows.map((r) => [r, faultOf(r)]).filter(([, f]) => f).map(([r, f]) => `${f}\n    ${r.line}`);
    if (!page.includes(counted(rows))) found.push(`the count is: ${counted(rows)}`);
    return found;
}
const standards = () => readFileSync(path.join(root, 'docs/standards.md'), 'utf8');

test('every test that docs/standards.md names exists, and every requirement is shown or explained', () => {
    const page = standards();
    assert.ok(rowsOf(page).length > 200);
    assert.equal(faults(page).join('\n'), '');
});

test('a test that went away, a row without one, a reason left out and a wrong count are found', () => {
    const page = standards();
    const altered = (from, to) => {
        const other = page.replace(from, to);
        assert.notEqual(other, page, `${from}`);
        return faults(other);
    };
    assert.match(altered('second_use_ends_what_the_first_gave', 'second_use_ends_what_the_first').join(), /not there/);
    assert.match(altered('a code is good once; the second use', 'a code is good once, the second use').join(), /not there/);
    assert.match(altered('sim/test_app_code.c', 'sim/test_app_codes.c').join(), /not there/);
    assert.match(altered(/\| yes \| (.*) \| `.*\n/, '| yes | $1 | |\n').join(), /no test/);
    assert.match(altered(/\| no \| .* \|.*\|\n/, '| no | | |\n').join(), /no reason|form/);
    assert.match(altered('(oauth.md#clients)', '(oauth.md#customers)').join(), /nowhere/);
    assert.match(altered('| yes |', '| maybe |').join(), /no such state/);
    assert.match(altered('| yes |', '| partly |').join(), /the count is/);
});
