// The programs of others that the tests drive, browsers above all, and how to get them. TIDEWIRE_BROWSERS names fewer.
import { existsSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { ask, environment, start } from "./shell.mjs";

const cargoBin = join(process.env.CARGO_HOME ?? join(homedir(), ".cargo"), "bin");
const onPath = (name) => environment.PATH.split(":").some((dir) => existsSync(join(dir, name)));

/** What each browser needs: programs, the Debian packages that hold them, crates that cargo installs. */
const NEEDS = {
  chromium: { programs: ["chromium"], packages: ["chromium"], crates: [] },
  firefox: { programs: ["firefox-esr", "geckodriver"], packages: ["firefox-esr"], crates: ["geckodriver"] },
  webkit: { programs: ["WebKitWebDriver", "Xvfb"], packages: ["webkit2gtk-driver", "xvfb", "xauth"], crates: [] },
};

/** Programs that a step needs. */
const TOOLS = { valgrind: { programs: ["valgrind"], packages: ["valgrind"], crates: [] } };

const needsOf = (name) => NEEDS[name] ?? TOOLS[name];

/** The browsers that must run, and the names in TIDEWIRE_BROWSERS that are none. */
export function wantedBrowsers(setting = process.env.TIDEWIRE_BROWSERS) {
  const all = Object.keys(NEEDS);
  if (setting === undefined || setting.trim() === "") return { wanted: all, left: [], unknown: [] };
  const named = setting.split(",").map((name) => name.trim());
  return {
    wanted: all.filter((name) => named.includes(name)),
    left: all.filter((name) => !named.includes(name)),
    unknown: named.filter((name) => !all.includes(name)),
  };
}

/** Programs of a browser or a tool that are not on this machine. */
export function missingPrograms(name) {
  return needsOf(name).programs.filter((name) => !onPath(name) && !existsSync(join(cargoBin, name)));
}

/** What a person would type to get a browser or a tool. */
export function howToGet(name) {
  const { packages, crates } = needsOf(name);
  const apt = `apt-get install ${packages.join(" ")}`;
  return [apt, ...crates.map((crate) => `cargo install ${crate} --locked`)].join(" && ");
}

/** Installs what is missing where it may: apt as root, cargo as anyone. */
export async function install(names, onText) {
  const lacking = names.filter((name) => missingPrograms(name).length > 0);
  const packages = lacking.flatMap((name) => needsOf(name).packages);
  const crates = lacking.flatMap((name) => needsOf(name).crates).filter((name) => !onPath(name));
  if (packages.length > 0 && process.getuid?.() === 0 && ask(["apt-get", "--version"]) !== undefined) {
    const env = { DEBIAN_FRONTEND: "noninteractive" };
    await start(["apt-get", "update"], { onText, env }).done;
    await start(["apt-get", "install", "--yes", "--no-install-recommends", ...packages], { onText, env }).done;
  }
  for (const name of crates) await start(["cargo", "install", name, "--locked"], { onText }).done;
  return lacking.length > 0;
}
