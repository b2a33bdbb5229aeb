//! `cargo xtask sim`: the simulator, optimised.

use anyhow::{Context, Result};

use crate::workspace::Workspace;

/// Runs it with these words. Returns whether all was green.
pub fn run(workspace: &Workspace, words: &[&str]) -> Result<bool> {
    let mut command = workspace.cargo();
    command.args(["run", "--quiet", "--release", "-p", "tidewire-sim"]);
    if words.contains(&"--planted") {
        command.args(["--features", "planted"]);
    }
    command.arg("--").args(words);
    let status = command.status().context("cannot run the simulator")?;
    Ok(status.success())
}
