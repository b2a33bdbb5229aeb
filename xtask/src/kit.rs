//! `cargo xtask kit`: the crate `tidewire-testing` as the files that the test kit loads.
//!
//! Writes `pkg/dist/testing/authority.js` and `authority_bg.wasm`. No app loads them, so the bindings are those that
//! `wasm-bindgen` generates, and size hardly matters.

use std::fs;
use std::time::Instant;

use anyhow::{Context, Result};
use wasm_bindgen_cli_support::Bindgen;

use crate::build::{Mode, compile, wasm_opt};
use crate::inputs::Stamp;
use crate::workspace::Workspace;

/// Everything that decides what the module holds.
const INPUTS: [&str; 9] = [
    "Cargo.toml",
    "Cargo.lock",
    "rust-toolchain.toml",
    ".cargo/config.toml",
    "core/Cargo.toml",
    "core/src",
    "testing",
    "xtask/src/build.rs",
    "xtask/src/kit.rs",
];

const OUTPUTS: [&str; 2] = ["authority.js", "authority_bg.wasm"];

/// Builds unless the outputs are those of the present inputs.
pub fn run(workspace: &Workspace, mode: Mode) -> Result<()> {
    let dist = workspace.path("pkg/dist/testing");
    let stamp = Stamp::of(workspace.root(), &dist, &INPUTS, mode.profile())?;
    if stamp.is_fresh(&OUTPUTS) {
        println!("test kit: up to date");
        return Ok(());
    }
    let start = Instant::now();
    fs::create_dir_all(&dist)?;
    Bindgen::new()
        .input_path(compile(workspace, mode, "tidewire-testing")?)
        .out_name("authority")
        .web(true)?
        .typescript(false)
        .remove_producers_section(true)
        .generate(&dist)
        .context("wasm-bindgen failed: is the crate `wasm-bindgen` at the version that xtask/Cargo.toml names?")?;
    let module = dist.join("authority_bg.wasm");
    if mode == Mode::Release {
        wasm_opt(workspace, &["-O2", "--strip-debug"], &module, &module)?;
    }
    stamp.write()?;
    println!("test kit: {} bytes in {:.1} s", fs::metadata(module)?.len(), start.elapsed().as_secs_f32());
    Ok(())
}
