import { defineConfig } from "vite";

const path = (relative) => new URL(relative, import.meta.url).pathname;

export default defineConfig({
  root: path("./page"),
  // The package as it is built in this repository; the peers come from this directory's own node_modules.
  resolve: { alias: [{ find: /^tidewire$/, replacement: path("../pkg/dist/index.js") }] },
  build: {
    outDir: path("./dist"),
    emptyOutDir: true,
    target: "esnext",
    assetsInlineLimit: 0,
    chunkSizeWarningLimit: 10_000,
  },
  worker: { format: "es" },
  logLevel: "error",
});
