import { defineConfig } from "vite";

export default defineConfig({
  root: new URL("./page", import.meta.url).pathname,
  build: { outDir: new URL("./dist", import.meta.url).pathname, emptyOutDir: true, target: "es2022" },
  logLevel: "warn",
});
