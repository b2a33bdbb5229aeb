//! Where things are: the repository, cargo's target directory, the tools of `node_modules`.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// The repository that this tool was built in.
pub struct Workspace {
    root: PathBuf,
}

impl Workspace {
    /// Finds the repository from the place of this crate.
    pub fn find() -> Result<Self> {
        let manifest = std::env::var_os("CARGO_MANIFEST_DIR").context("run me as `cargo xtask …`")?;
        let root = Path::new(&manifest).parent().context("xtask has no parent directory")?;
        Ok(Self { root: root.to_path_buf() })
    }

    /// The top of the repository.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// A path below the top, such as `pkg/dist`.
    pub fn path(&self, relative: &str) -> PathBuf {
        self.root.join(relative)
    }

    /// A cargo command that runs at the top.
    pub fn cargo(&self) -> Command {
        let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        command.current_dir(&self.root);
        command
    }

    /// Cargo's target directory, wherever the user's settings put it.
    pub fn target_dir(&self) -> Result<PathBuf> {
        let json = output(self.cargo().args(["metadata", "--no-deps", "--offline", "--format-version", "1"]))?;
        let metadata: serde_json::Value = serde_json::from_str(&json).context("cargo metadata is not JSON")?;
        let dir = metadata["target_directory"].as_str().context("cargo metadata names no target directory")?;
        Ok(PathBuf::from(dir))
    }

    /// Has the sources of the standard library. A toolchain that was there before does not get the components that
    /// `rust-toolchain.toml` names.
    pub fn have_std_sources(&self) -> Result<()> {
        let sysroot = output(Command::new("rustc").current_dir(&self.root).args(["--print", "sysroot"]))?;
        if Path::new(sysroot.trim()).join("lib/rustlib/src/rust/library/Cargo.lock").exists() {
            return Ok(());
        }
        run(Command::new("rustup").current_dir(&self.root).args(["component", "add", "rust-src"]))
    }

    /// Wasm-opt of the npm package `binaryen`.
    pub fn wasm_opt(&self) -> Result<PathBuf> {
        let path = self.path("node_modules/.bin/wasm-opt");
        if !path.exists() {
            bail!("wasm-opt is missing: run `npm ci`");
        }
        Ok(path)
    }
}

/// Runs a command with its output on the screen; fails if it fails.
pub fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot start {}", name(command)))?;
    if !status.success() {
        bail!("{} failed ({status})", name(command));
    }
    Ok(())
}

/// Runs a command and returns what it printed; its errors go to the screen.
pub fn output(command: &mut Command) -> Result<String> {
    let out = command.stderr(Stdio::inherit()).output().with_context(|| format!("cannot start {}", name(command)))?;
    if !out.status.success() {
        bail!("{} failed ({})", name(command), out.status);
    }
    String::from_utf8(out.stdout).context("output is not UTF-8")
}

fn name(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
}
