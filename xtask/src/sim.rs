//! `cargo xtask sim`: the simulator, optimised.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::workspace::{self, Workspace};

const WASM: &str = "wasm32-wasip1";

/// Runs it with these words. Returns whether all was green.
pub fn run(workspace: &Workspace, words: &[&str]) -> Result<bool> {
    if words.contains(&"--wasm") {
        return same_in_wasm(workspace, words);
    }
    let status = native(workspace, words).status().context("cannot run the simulator")?;
    Ok(status.success())
}

fn native(workspace: &Workspace, words: &[&str]) -> Command {
    let mut command = workspace.cargo();
    command.args(["run", "--quiet", "--release", "-p", "tidewire-sim"]);
    if words.contains(&"--planted") {
        command.args(["--features", "planted"]);
    }
    command.arg("--").args(words);
    command
}

/// The same seeds twice natively and once in WebAssembly: every event has to be the same.
fn same_in_wasm(workspace: &Workspace, words: &[&str]) -> Result<bool> {
    let words: Vec<&str> = words.iter().copied().filter(|word| *word != "--wasm").collect();
    let module = wasm_module(workspace)?;
    let first = trace_hash(&mut native(workspace, &words))?;
    let second = trace_hash(&mut native(workspace, &words))?;
    let in_wasm = trace_hash(Command::new("node").arg(workspace.path("sim/wasi.mjs")).arg(module).args(&words))?;
    println!("trace hash {first}, again {second}, in WebAssembly {in_wasm}");
    Ok(first == second && first == in_wasm)
}

/// Builds the simulator as a module for Node's WASI.
fn wasm_module(workspace: &Workspace) -> Result<PathBuf> {
    let mut cargo = workspace.cargo();
    cargo.args(["build", "--quiet", "--release", "-p", "tidewire-sim", "--target", WASM]);
    workspace::run(&mut cargo)?;
    Ok(workspace.target_dir()?.join(WASM).join("release").join("tidewire-sim.wasm"))
}

/// What a campaign says of all its events.
fn trace_hash(command: &mut Command) -> Result<String> {
    let text = workspace::output(command)?;
    let Some((_, rest)) = text.split_once("trace hash ") else { bail!("no trace hash in:\n{text}") };
    Ok(rest.chars().take_while(char::is_ascii_hexdigit).collect())
}
