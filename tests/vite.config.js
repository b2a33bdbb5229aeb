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

/** `--mode next`: the later release, beside the other. */
export default defineConfig(({ mode }) => {
  const next = mode === "next";
  return {
    root: page,
    base: next ? "/next/" : "/",
    plugins: next ? [nextFormat] : [],
    build: { outDir: next ? `${dist}/next` : dist, emptyOutDir: true, target: "es2022" },
    logLevel: "warn",
  };
});
