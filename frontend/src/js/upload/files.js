/* What was picked or dropped, folders included, as {file, path}. */

const IGNORED = /(^|\/)(\.|__MACOSX\/|Thumbs\.db$|DICOMDIR$)/i;

const entryFile = (entry) => new Promise((resolve, reject) => entry.file(resolve, reject));

async function children(entry) {
  const reader = entry.createReader();
  const all = [];
  for (;;) {
    // A reader answers at most 100 entries a call, and none when it is through.
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) return all;
    all.push(...some);
  }
}

async function walk(entry) {
  if (entry.isFile) return [{ file: await entryFile(entry), path: entry.fullPath.replace(/^\//, "") }];
  return (await Promise.all((await children(entry)).map(walk))).flat();
}

const wanted = ({ path }) => !IGNORED.test(path);

export async function dropped(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.length) return picked(transfer.files);
  return (await Promise.all(entries.map(walk))).flat().filter(wanted);
}

export function picked(files) {
  return [...files]
    .map((file) => ({ file, path: file.webkitRelativePath || file.name }))
    .filter(wanted);
}

export const isZip = ({ path }) => path.toLowerCase().endsWith(".zip");
