import { defineConfig } from "vite";

const page = new URL("./page", import.meta.url).pathname;
const dist = new URL("./dist", import.meta.url).pathname;

/** The test page as a later release has it, which stores in another format. */
const nextFormat = {
  name: "next-format",
  transform(code, id) {
    if (!id.endsWith("/host/format.js")) return undefined;
    if (!code.includes("FORMAT = 1;")) throw new Error("the test page of a later release needs FORMAT = 1 to raise");
    return { code: code.replace("FORMAT = 1;", "FORMAT = 2;"), map: null };
  },
};

/** The test page's service worker, beside it: a module, and for Firefox a classic script. */
/** @returns {import("vite").UserConfig} */
const worker = (/** @type {"es" | "iife"} */ format) => ({
  root: page,
  build: {
    outDir: dist,
    emptyOutDir: false,
    target: "es2022",
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    rollupOptions: {
      input: `${page}/sw.js`,
      output: { format, entryFileNames: format === "es" ? "sw.js" : "sw-classic.js" },
    },
  },
  // A classic script has no `import.meta`: it carries the module inlined, and Vite says so at length.
  logLevel: format === "es" ? "warn" : "error",
});

/** `--mode next`: the later release, beside the other. `worker`, `classic`: the service worker. */
export default defineConfig(({ mode }) => {
  if (mode === "worker") return worker("es");
  if (mode === "classic") return worker("iife");
  const next = mode === "next";
  return {
    root: page,
    base: next ? "/next/" : "/",
    plugins: next ? [nextFormat] : [],
    build: { outDir: next ? `${dist}/next` : dist, emptyOutDir: true, target: "es2022" },
    logLevel: "warn",
  };
});
