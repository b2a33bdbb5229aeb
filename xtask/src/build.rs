//! `cargo xtask build`: the root crate as the files that the npm package loads.
//!
//! Writes `pkg/dist/tidewire.wasm` and `pkg/dist/wasm-inline.js`, the same bytes as base64 in a chunk of its own
//! (house recipe for bundlers that lose the `.wasm` file). The bindings are `pkg/src/wasm/bindings.ts`, not those that
//! `wasm-bindgen` would generate; they hold no address of the module: `pkg/src/wasm/load.ts` finds the bytes, so that
//! no bundler picks up a second copy.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use wasm_bindgen_cli_support::Bindgen;

use crate::inputs::Stamp;
use crate::order::named_by_likeness;
use crate::split::list::MOVED;
use crate::split::{Parts, split};
use crate::workspace::{self, Workspace};

/// What the module is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Small and fast: profile `wasm`, then wasm-opt.
    Release,
    /// Quick to build, with names in stack traces.
    Dev,
}

/// Features are named one by one: with `--all-features` Chromium refuses the module.
///
/// `--low-memory-unused`: the bottom of the memory is the end of the stack, so an access that leaves it wraps around
/// and traps instead of reaching there. Without `local-cse` the module is larger, but smaller to download.
///
/// What comes before the first `-Oz`, and the second one, find the same code written in fewer ways (0004).
const PASSES: [&str; 6] = [
    "--flatten",
    "--rereloop",
    "-Oz",
    "-Oz",
    "--skip-pass=local-cse",
    // A function with one caller stays a function: one with hundreds of locals compresses worse (0004).
    "--one-caller-inline-max-function-size=100",
];

/// Functions stand in the order of their names ([`named_by_likeness`]), and the module is written as after `-Oz`.
const ORDER: [&str; 4] = ["--reorder-functions-by-name", "--optimize-level=2", "--shrink-level=2", "--strip-debug"];

/// What the module is, and may be.
const FEATURES: [&str; 7] = [
    "--low-memory-unused",
    "--enable-bulk-memory",
    "--enable-nontrapping-float-to-int",
    "--enable-reference-types",
    "--enable-multivalue",
    "--enable-sign-ext",
    "--enable-mutable-globals",
];

/// Everything that decides what the module holds.
const INPUTS: [&str; 12] = [
    "Cargo.toml",
    "Cargo.lock",
    "rust-toolchain.toml",
    ".cargo/config.toml",
    "core/Cargo.toml",
    "core/src",
    "src",
    "xtask/Cargo.toml",
    "xtask/src/build.rs",
    "xtask/src/order.rs",
    "xtask/src/split",
    "node_modules/binaryen/package.json",
];

const OUTPUTS: [&str; 4] = ["tidewire.wasm", "tidewire-more.wasm", "wasm-inline.js", "wasm-inline.d.ts"];

/// The one module that imports come from: `pkg/src/wasm/bindings.ts`.
const HOST: &str = "host";

/// What the bindings call of the module, besides its own `client_…`.
const RUNTIME: [&str; 3] = ["memory", "malloc", "free"];

/// Builds unless the outputs are those of the present inputs.
pub fn run(workspace: &Workspace, mode: Mode) -> Result<()> {
    let dist = workspace.path("pkg/dist");
    let stamp = Stamp::of(workspace.root(), &dist, &INPUTS, mode.profile())?;
    if stamp.is_fresh(&OUTPUTS) {
        println!("wasm: up to date");
        return Ok(());
    }
    let start = Instant::now();
    fs::create_dir_all(&dist)?;
    let bound = bind(&compile(workspace, mode, "tidewire")?, &dist)?;
    let parts = optimize(workspace, mode, &bound, &dist)?;
    fs::remove_file(&bound)?;
    check_imports(&parts.main)?;
    fs::write(dist.join("tidewire.wasm"), &parts.main)?;
    fs::write(dist.join("tidewire-more.wasm"), &parts.more)?;
    write_inline(&dist, &parts)?;
    stamp.write()?;
    let took = start.elapsed().as_secs_f32();
    println!("wasm: {} and {} bytes in {took:.1} s", parts.main.len(), parts.more.len());
    Ok(())
}

/// Builds the module into `dir` like the shipped one, but with the names of its functions.
pub fn named_module(workspace: &Workspace, dir: &Path) -> Result<PathBuf> {
    let bound = bind(&compile(workspace, Mode::Release, "tidewire")?, dir)?;
    let module = dir.join("named.wasm");
    wasm_opt(workspace, &[&PASSES[..], &["--debuginfo"]].concat(), &bound, &module)?;
    Ok(module)
}

/// Compiles a crate and returns the raw module. It is not stripped yet: wasm-bindgen reads in a custom section
/// which features the module uses.
pub fn compile(workspace: &Workspace, mode: Mode, package: &str) -> Result<PathBuf> {
    let mut cargo = workspace.cargo();
    cargo
        .args(["build", "--package", package, "--lib", "--target", "wasm32-unknown-unknown"])
        .args(["--profile", mode.profile()]);
    let mut flags = path_flags(workspace);
    if mode == Mode::Release {
        // A panic is a trap without text, and the standard library is built for size: a third less to download. Both
        // are unstable flags of the pinned toolchain (docs/decisions/0004).
        workspace.have_std_sources()?;
        cargo.args(["-Zbuild-std=std,panic_abort", "-Zbuild-std-features=optimize_for_size"]);
        cargo.env("RUSTC_BOOTSTRAP", "1");
        flags.push_str(" -Zunstable-options -Cpanic=immediate-abort -Zlocation-detail=none -Zfmt-debug=none");
        // Loops keep one counter and compute addresses from it: fewer locals, less code, and as fast (0004).
        flags.push_str(" -Cllvm-args=-disable-lsr");
    }
    cargo.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS", flags);
    workspace::run(&mut cargo)?;
    let file = format!("{}.wasm", package.replace('-', "_"));
    Ok(workspace.target_dir()?.join("wasm32-unknown-unknown").join(mode.output_dir()).join(file))
}

/// Panic messages name source files; the module must not name the builder's directories.
fn path_flags(workspace: &Workspace) -> String {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| std::env::var_os("HOME").map(|dir| Path::new(&dir).join(".cargo")));
    let mut flags = format!("--remap-path-prefix={}=tidewire", workspace.root().display());
    let Some(home) = home else { return flags };
    flags.push_str(&format!(" --remap-path-prefix={}=cargo", home.display()));
    for registry in fs::read_dir(home.join("registry/src")).into_iter().flatten().flatten() {
        flags.push_str(&format!(" --remap-path-prefix={}=crates", registry.path().display()));
    }
    flags
}

/// Ends the crossing that the macros of `wasm-bindgen` began; returns the path of the bound, not yet optimised module.
/// Imports and exports get the names that the Rust code has for them, and what only generated bindings use goes.
fn bind(raw: &Path, out: &Path) -> Result<PathBuf> {
    let mut output = Bindgen::new()
        .input_path(raw)
        .web(true)?
        .typescript(false)
        .remove_producers_section(true)
        .generate_output()
        .context("wasm-bindgen failed: is the crate `wasm-bindgen` at the version that xtask/Cargo.toml names?")?;
    let module = output.wasm_mut();
    for import in module.imports.iter_mut() {
        if import.module == "./tidewire_bg.js" {
            import.module = HOST.to_owned();
            import.name = own_name(&import.name).to_owned();
        }
    }
    let mut unused = Vec::new();
    for export in module.exports.iter_mut() {
        export.name = own_name(&export.name).to_owned();
        if !RUNTIME.contains(&export.name.as_str()) && !export.name.starts_with("client_") {
            unused.push(export.id());
        }
    }
    unused.into_iter().for_each(|export| module.exports.delete(export));
    let bound = out.join("bound.wasm");
    fs::write(&bound, module.emit_wasm())?;
    Ok(bound)
}

/// A name without what `wasm-bindgen` puts around it: its prefixes and a hash.
fn own_name(name: &str) -> &str {
    let name = match name.rsplit_once('_') {
        Some((name, hash)) if hash.len() == 16 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()) => name,
        _ => name,
    };
    let name = name.strip_prefix("__wbg_").unwrap_or(name);
    name.strip_prefix("__wbindgen_").unwrap_or(name)
}

/// The two modules (`crate::split`). The first passes see the module whole; names say afterwards what moves.
fn optimize(workspace: &Workspace, mode: Mode, bound: &Path, dir: &Path) -> Result<Parts> {
    if mode == Mode::Dev {
        return split(&fs::read(bound)?, &MOVED);
    }
    let scratch = dir.join("scratch.wasm");
    wasm_opt(workspace, &[&PASSES[..], &["--debuginfo"]].concat(), bound, &scratch)?;
    let Parts { main, more } = split(&fs::read(&scratch)?, &MOVED)?;
    let ordered = |part: &[u8]| {
        fs::write(bound, named_by_likeness(part)?)?;
        wasm_opt(workspace, &ORDER, bound, &scratch)?;
        fs::read(&scratch).context("wasm-opt wrote nothing")
    };
    let parts = Parts { main: ordered(&main)?, more: ordered(&more)? };
    fs::remove_file(&scratch)?;
    Ok(parts)
}

pub fn wasm_opt(workspace: &Workspace, flags: &[&str], from: &Path, to: &Path) -> Result<()> {
    let mut command = std::process::Command::new(workspace.wasm_opt()?);
    workspace::run(command.args(FEATURES).args(flags).arg(from).arg("-o").arg(to))
}

/// A crate that believes it runs on a C library imports what no browser has.
fn check_imports(module: &[u8]) -> Result<()> {
    for payload in wasmparser::Parser::new(0).parse_all(module) {
        if let wasmparser::Payload::ImportSection(section) = payload? {
            for import in section.into_imports() {
                let import = import?;
                if import.module != HOST {
                    let (from, name) = (import.module, import.name);
                    bail!("the module imports `{name}` from `{from}`: a crate of it is not made for browsers");
                }
            }
        }
    }
    Ok(())
}

fn write_inline(dist: &Path, parts: &Parts) -> Result<()> {
    let [main, more] = [&parts.main, &parts.more].map(|part| BASE64.encode(part));
    let text = format!("export const main = \"{main}\";\nexport const more = \"{more}\";\n");
    fs::write(dist.join("wasm-inline.js"), text)?;
    fs::write(
        dist.join("wasm-inline.d.ts"),
        "export declare const main: string;\nexport declare const more: string;\n",
    )?;
    Ok(())
}

impl Mode {
    pub fn profile(self) -> &'static str {
        match self {
            Mode::Release => "wasm",
            Mode::Dev => "dev",
        }
    }

    fn output_dir(self) -> &'static str {
        match self {
            Mode::Release => "wasm",
            Mode::Dev => "debug",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A module with one import of the function `f`.
    fn importing(module: &str) -> Vec<u8> {
        let mut bytes = b"\0asm\x01\0\0\0\x01\x04\x01\x60\0\0\x02".to_vec();
        bytes.extend([u8::try_from(module.len()).unwrap() + 6, 1, u8::try_from(module.len()).unwrap()]);
        bytes.extend(module.as_bytes());
        bytes.extend(b"\x01f\0\0");
        bytes
    }

    #[test]
    fn names_lose_what_the_generator_puts_around_them() {
        assert_eq!(own_name("__wbg_readLog_649467e213ac5b82"), "readLog");
        assert_eq!(own_name("__wbg___wbindgen_throw_4c88d8bf264fd984"), "throw");
        assert_eq!(own_name("__wbindgen_malloc"), "malloc");
        assert_eq!(own_name("__wbg_client_free"), "client_free");
        assert_eq!(own_name("client_call"), "client_call");
    }

    #[test]
    fn imports_that_no_browser_has_are_refused() {
        assert!(check_imports(&importing(HOST)).is_ok());
        assert!(check_imports(&importing("env")).is_err());
    }
}
