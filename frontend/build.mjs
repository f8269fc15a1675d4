/*
 * Builds the pages' scripts and styles into ../static_build with stable names:
 * the static files storage of the server adds the content hashes.
 */
import { cp, mkdir, readdir, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const source = join(here, "src");
const target = join(here, "..", "static_build");
// Built aside and moved into place, so that a failed build leaves the last good one standing.
const fresh = `${target}.new`;

const named = async (folder, ending) =>
  (await readdir(join(source, folder)))
    .filter((name) => name.endsWith(ending))
    .map((name) => join(source, folder, name));

await rm(fresh, { recursive: true, force: true });
await mkdir(fresh, { recursive: true });
await build({
  entryPoints: [
    ...["app", "reading", "painting", "reading_home", "measuring", "comparing", "upload", "inbox", "design", "results", "results_panels", "passkeys"].map((page) => join(source, "js", `${page}.js`)),
    ...(await named("css", ".css")),
  ],
  outdir: fresh,
  outbase: source,
  bundle: true,
  minify: true,
  format: "esm",
  target: ["chrome111", "firefox115", "safari16.4"],
  legalComments: "linked",
  // Node built-ins that some packages name for their Node builds only.
  external: ["fs", "path", "node:*"],
  define: { "process.env.NODE_ENV": '"production"', global: "globalThis" },
  logLevel: "warning",
});
await cp(join(source, "img"), join(fresh, "img"), { recursive: true });
await rm(target, { recursive: true, force: true });
await rename(fresh, target);
