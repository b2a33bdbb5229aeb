//! `cargo xtask tidy`: the house rules that a tool can check.
//!
//! Each rule is a pure function from text to findings, with a test that shows that it fires. This file only reads
//! the tree and prints.

mod errors;
mod files;
mod functions;
mod lex;
mod order;
mod provoked;
mod reach;

use std::fs;

use anyhow::{Context, Result};

use crate::inputs::files_below;
use crate::workspace::{Workspace, output};
use lex::{Language, split};

/// What core may never depend on: it decides, it does not touch the world.
const NOT_IN_CORE: [&str; 5] = ["getrandom", "js-sys", "tokio", "wasm-bindgen", "web-sys"];

/// One broken rule.
#[derive(Debug)]
pub struct Finding {
    path: String,
    line: usize,
    message: String,
}

impl Finding {
    fn new(path: &str, line: usize, message: String) -> Self {
        Self { path: path.to_owned(), line, message }
    }
}

/// A file of the tree.
struct Source {
    path: String,
    text: String,
}

/// Checks everything; prints what is wrong; says whether all is well.
pub fn run(workspace: &Workspace) -> Result<bool> {
    let sources = read(workspace)?;
    let mut findings: Vec<Finding> = sources.iter().flat_map(check_file).collect();
    findings.extend(check_errors(&sources));
    let paths: Vec<&str> = sources.iter().map(|source| source.path.as_str()).collect();
    findings.extend(reach::check(&paths, |path| find(&sources, path)));
    findings.extend(check_core_tree(workspace)?);
    for finding in &findings {
        println!("{}:{}: {}", finding.path, finding.line, finding.message);
    }
    println!("tidy: {} files, {} findings", sources.len(), findings.len());
    Ok(findings.is_empty())
}

fn read(workspace: &Workspace) -> Result<Vec<Source>> {
    let mut sources = Vec::new();
    for file in files_below(workspace.root())? {
        let path = file.strip_prefix(workspace.root()).unwrap_or(&file).to_string_lossy().replace('\\', "/");
        if language(&path).is_some() || path.ends_with(".md") {
            let text = fs::read_to_string(&file).with_context(|| format!("cannot read {path}"))?;
            sources.push(Source { path, text });
        }
    }
    Ok(sources)
}

fn language(path: &str) -> Option<Language> {
    match path.rsplit('.').next()? {
        "rs" => Some(Language::Rust),
        "ts" | "tsx" | "js" | "jsx" | "mjs" => Some(Language::Script),
        _ => None,
    }
}

fn find<'a>(sources: &'a [Source], path: &str) -> Option<&'a str> {
    sources.iter().find(|source| source.path == path).map(|source| source.text.as_str())
}

fn check_file(source: &Source) -> Vec<Finding> {
    let Source { path, text } = source;
    let Some(language) = language(path) else {
        return files::markdown(path, text);
    };
    let views = split(text, language);
    let mut findings = files::sizes(path, text, &views, language);
    findings.extend(files::leftovers(path, &views, language));
    if let Some(inside) = path.strip_prefix("core/src/") {
        findings.extend(order::check(path, inside, &views.code));
    }
    findings
}

fn check_errors(sources: &[Source]) -> Vec<Finding> {
    let made: Vec<_> = errors::SOURCES.into_iter().filter_map(|path| Some((path, find(sources, path)?))).collect();
    let tests = sources.iter().filter(|source| provoked::is_test(&source.path)).map(|source| source.text.as_str());
    let mut findings = errors::check(&made, find(sources, errors::DOCUMENT).unwrap_or_default());
    findings.extend(provoked::check(&errors::made(&made), &tests.collect::<Vec<_>>()));
    findings
}

fn check_core_tree(workspace: &Workspace) -> Result<Vec<Finding>> {
    let arguments = ["tree", "--package", "tidewire-core", "--edges", "normal", "--target", "all", "--prefix", "none"];
    Ok(impure(&output(workspace.cargo().args(arguments))?))
}

/// Crates of a `cargo tree` that core may not have.
fn impure(tree: &str) -> Vec<Finding> {
    let crates = tree.lines().filter_map(|line| line.split_whitespace().next());
    let banned = crates.filter(|name| NOT_IN_CORE.contains(name));
    banned.map(|name| Finding::new("core/Cargo.toml", 1, format!("core depends on `{name}`"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn core_may_not_touch_the_world() {
        assert!(impure("tidewire-core v0.1.0\nserde v1.0.0\n").is_empty());
        assert_eq!(impure("tidewire-core v0.1.0\ngetrandom v0.3.0\nweb-sys v0.3.0\n").len(), 2);
    }

    #[test]
    fn files_are_read_by_their_language() {
        let bad = |path: &str, text: &str| check_file(&Source { path: path.to_owned(), text: text.to_owned() }).len();
        assert_eq!(bad("core/src/ids.rs", "use crate::engine::Engine;"), 1);
        assert_eq!(bad("pkg/src/db.tsx", "// FIXME"), 1);
        assert_eq!(bad("docs/A.md", "no title"), 1);
    }
}
