#!/usr/bin/env node
// Builds and tests plugins: types are checked, what is imported is put into one file, and an engine is put around it.
//
//   node sdk/tool.mjs build [ENTRY] [-o OUT] [--wit DIR] [--engine quickjs|full]     src/plugin.ts to plugin.wasm
//   node sdk/tool.mjs test [FILE…]                                                   test/*.test.ts, by `node --test`
//
// `--project FILE`: the settings of the type checker; without it the nearest `tsconfig.json`.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { parseArgs } from "node:util";

const require = createRequire(import.meta.url);
const sdk = dirname(fileURLToPath(import.meta.url));
const work = mkdtempSync(join(tmpdir(), "nozzle-plugin-"));
process.on("exit", () => rmSync(work, { recursive: true, force: true }));

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    out: { type: "string", short: "o", default: "plugin.wasm" },
    wit: { type: "string" },
    engine: { type: "string", default: "quickjs" },
    project: { type: "string", short: "p" },
  },
});
const [command, ...files] = positionals;
try {
  if (command === "build") await build(files[0] ?? "src/plugin.ts");
  else if (command === "test") await test(files);
  else fail("say `build` or `test`");
} catch (error) {
  // What esbuild and the type checker have to say, they have said.
  fail(error.message);
}

async function build(entry) {
  if (!existsSync(entry)) fail(`there is no \`${entry}\``);
  checkTypes([entry]);
  const world = await worldOf(entry);
  const wit = resolve(options.wit ?? "wit");
  if (!existsSync(join(wit, "worlds.wit"))) fail(`the contract is not in \`${wit}\`: name its folder with \`--wit\``);
  const source = await bundle(entryPoint(resolve(entry), world));
  const component = await componentize(source, wit, world);
  mkdirSync(dirname(resolve(options.out)), { recursive: true });
  writeFileSync(options.out, component);
  const size = (statSync(options.out).size / 1024 / 1024).toFixed(1);
  console.log(`${options.out}: world \`${world}\`, ${size} MB`);
}

async function test(files) {
  const all = files.length ? files : existsSync("test") ? readdirSync("test").filter((name) => name.endsWith(".test.ts")).map((name) => join("test", name)) : [];
  if (!all.length) fail("there are no tests in `test`");
  checkTypes(all);
  const { build } = await esbuild();
  await build({ entryPoints: all, bundle: true, platform: "node", format: "esm", outdir: work, outExtension: { ".js": ".mjs" }, sourcemap: "inline", logLevel: "error" });
  const bundles = readdirSync(work, { recursive: true }).map((name) => join(work, name)).filter((name) => name.endsWith(".mjs"));
  const { status } = spawnSync(process.execPath, ["--test", "--enable-source-maps", ...bundles], { stdio: "inherit" });
  process.exit(status ?? 1);
}

/** The nearest folder upwards from `folder` that has a file of this name. */
function nearest(name, folder) {
  const path = join(folder, name);
  if (existsSync(path)) return path;
  if (dirname(folder) === folder) fail(`there is no \`${name}\``);
  return nearest(name, dirname(folder));
}

/** Checks the projects of these files: those whose `tsconfig.json` is the nearest, or the one that was named. */
function checkTypes(files) {
  const projects = new Set(files.map((file) => options.project ?? nearest("tsconfig.json", dirname(resolve(file)))));
  const tsc = join(dirname(require.resolve("typescript/package.json")), "bin", "tsc");
  for (const project of projects) {
    const { status } = spawnSync(process.execPath, [tsc, "--noEmit", "--project", project], { stdio: "inherit" });
    if (status !== 0) fail("the types do not fit");
  }
}

/** A plugin that judges responses is built for `sink`, any other for `shaper`: its responses need no call. */
async function worldOf(entry) {
  const path = join(work, "plugin.mjs");
  const source = await bundle({ entryPoints: [resolve(entry)] });
  writeFileSync(path, source);
  const { default: plugin } = await import(pathToFileURL(path).href);
  if (typeof plugin?.connect !== "function") fail(`\`${entry}\` has no \`export default definePlugin({ … })\``);
  return plugin.handles ? "sink" : "shaper";
}

/** The component's exports: what the plugin defines, connected to the host. */
function entryPoint(entry, world) {
  const call = world === "sink";
  const contents = `
    import * as host from "nozzle:plugin/host@0.1.0";
    ${call ? 'import * as call from "nozzle:plugin/current-call@0.1.0";' : ""}
    import plugin from ${JSON.stringify(entry)};
    export const { shaping${call ? ", handling" : ""} } = plugin.connect(host${call ? ", call" : ""});
  `;
  return { stdin: { contents, resolveDir: dirname(entry), sourcefile: "component.js" } };
}

async function bundle(input) {
  const { build } = await esbuild();
  const { outputFiles } = await build({
    ...input,
    bundle: true,
    write: false,
    format: "esm",
    target: "es2023",
    charset: "utf8",
    external: ["nozzle:*", "wasi:*"],
    logLevel: "error",
  });
  return outputFiles[0].text;
}

async function esbuild() {
  return import("esbuild");
}

async function componentize(source, wit, world) {
  if (options.engine === "quickjs") {
    const { componentize } = await import("componentize-qjs");
    const { component } = await componentize({ witPath: wit, world, jsSource: source, sync: true });
    return component;
  }
  if (options.engine !== "full") fail("`--engine` is `quickjs` or `full`");
  const { componentize } = await import("@bytecodealliance/componentize-js").catch(() =>
    fail("the full engine is not installed: `npm install --save-dev @bytecodealliance/componentize-js@0.23.0 @bytecodealliance/preview2-shim@0.17.9`"),
  );
  const { component } = await componentize(source, { witPath: wit, worldName: world, disableFeatures: ["http", "fetch-event"] });
  return component;
}

function fail(message) {
  console.error(`error: ${message}`);
  process.exit(1);
}
