import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";
import { appShell } from "./build/app-shell.ts";
import { sampleData } from "./build/sample-data.ts";

// `npm run dev` serves the demo on its own port and hands API calls and the socket to a running server.
const server = process.env["TIDEWIRE_SERVER"] ?? "http://localhost:8787";

export default defineConfig({
  plugins: [react(), sampleData(), appShell()],
  build: { target: "es2022", assetsInlineLimit: 0 },
  server: { proxy: { "/api": { target: server, ws: true } } },
});
