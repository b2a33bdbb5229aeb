// The steps of `npm test`, in order: what each runs (`long` besides, in long campaigns), and which parts must be built
// before it.
import { parts } from "./parts.mjs";

const [serverBinary] = parts["server-debug"].outputs;

/** `npm run` of a workspace's own script, if it has one. */
const workspace = (name, script) => ["npm", "run", "--silent", "--if-present", script, "--workspace", name];
const clippy = (...which) => ["cargo", "clippy", ...which, "--", "--deny", "warnings"];

export const steps = [
  {
    name: "scripts",
    label: "tests of these scripts",
    commands: [["node", "--test", "scripts/lib/", "bench/lib/"]],
    parts: [],
  },
  { name: "fmt", label: "rustfmt", commands: [["cargo", "fmt", "--all", "--check"]], parts: [] },
  { name: "tidy", label: "house rules", commands: [["cargo", "xtask", "tidy"]], parts: [] },
  {
    name: "clippy",
    label: "clippy",
    commands: [
      clippy("--workspace", "--all-targets"),
      clippy("--package", "tidewire", "--target", "wasm32-unknown-unknown"),
    ],
    parts: [],
  },
  {
    name: "rustdoc",
    label: "Rust documentation",
    commands: [["cargo", "doc", "--workspace", "--no-deps"]],
    parts: [],
    env: { RUSTDOCFLAGS: "--deny warnings" },
  },
  {
    name: "rust",
    label: "Rust tests",
    commands: [["cargo", "test", "--workspace", "--no-fail-fast"]],
    // Another build of them: the bugs that only they find.
    long: [
      ["cargo", "test", "-p", "tidewire-core", "--features", "planted", "--test", "laws", "--test", "rules", "planted"],
    ],
    parts: [],
  },
  {
    name: "sim",
    label: "simulator, 5,000 seeds",
    commands: [
      ["cargo", "xtask", "sim", "--seeds", "5000"],
      ["cargo", "xtask", "sim", "--wasm", "--seeds", "20"],
    ],
    parts: [],
  },
  {
    name: "fuzz",
    label: "fuzz targets, 15 s",
    commands: [["cargo", "xtask", "fuzz", "--seconds", "15"]],
    parts: [],
  },
  {
    name: "work",
    label: "instructions and bytes",
    commands: [["cargo", "xtask", "work"]],
    parts: [],
    tools: ["valgrind"],
    // The counts are those of this machine code.
    only: "linux x64",
  },
  {
    name: "types",
    label: "tsc --strict",
    commands: ["pkg", "www", "tests"].map((name) => workspace(name, "typecheck")),
    parts: ["packages", "wasm", "pkg"],
  },
  {
    name: "unit",
    label: "TypeScript tests",
    commands: ["pkg", "www"].map((name) => workspace(name, "test")),
    parts: ["packages", "wasm", "kit", "pkg"],
  },
  {
    name: "browsers",
    label: "browser tests",
    commands: [workspace("tests", "test")],
    parts: ["packages", "wasm", "pkg", "demo", "server-debug"],
    env: { TIDEWIRE_SERVER: serverBinary },
  },
  {
    name: "size",
    label: "download size",
    commands: [["node", "scripts/size.mjs"]],
    parts: ["packages", "wasm", "pkg"],
  },
];
