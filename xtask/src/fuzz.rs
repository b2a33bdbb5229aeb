//! `cargo xtask fuzz`: the fuzz targets, optimised and with the checks of a debug build.

use anyhow::{Context, Result};

use crate::workspace::Workspace;

/// Runs them with these words. Returns whether all was green.
pub fn run(workspace: &Workspace, words: &[&str]) -> Result<bool> {
    let mut command = workspace.cargo();
    command.args(["run", "--quiet", "--profile", "fuzz", "-p", "tidewire-fuzz", "--"]).args(words);
    let status = command.status().context("cannot run the fuzz targets")?;
    Ok(status.success())
}
