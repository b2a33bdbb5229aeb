//! No dead Rust file: each one is named by a `mod` of its parent.

use super::Finding;
use super::lex::{Language, split};

/// Checks the modules of every `src` directory. `read` gives the text of a path that exists.
pub fn check<'a>(paths: &[&str], read: impl Fn(&str) -> Option<&'a str>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for path in paths.iter().filter(|path| path.ends_with(".rs")) {
        let Some((parents, name)) = parents(path) else { continue };
        let declared = |parent: &String| read(parent).is_some_and(|text| declares(text, &name));
        if !parents.iter().any(declared) {
            findings.push(Finding::new(path, 1, format!("dead file: no `mod {name};` in {}", parents.join(" or "))));
        }
    }
    findings
}

/// The files which may declare the module of a path, and its name. None for crate roots and files outside `src`.
fn parents(path: &str) -> Option<(Vec<String>, String)> {
    let (root, inside) = match path.strip_prefix("src/") {
        Some(inside) => ("src", inside),
        None => path.split_once("/src/").map(|(package, inside)| (&path[..package.len() + 4], inside))?,
    };
    let inside = inside.strip_suffix("/mod.rs").or(inside.strip_suffix(".rs"))?;
    if inside == "lib" || inside == "main" || inside.starts_with("bin/") {
        return None;
    }
    Some(match inside.rsplit_once('/') {
        None => (vec![format!("{root}/lib.rs"), format!("{root}/main.rs")], inside.to_owned()),
        Some((above, name)) => (vec![format!("{root}/{above}/mod.rs"), format!("{root}/{above}.rs")], name.to_owned()),
    })
}

fn declares(text: &str, name: &str) -> bool {
    let wanted = format!("mod {name};");
    split(text, Language::Rust).code.lines().any(|line| {
        line.trim_end()
            .strip_suffix(&wanted)
            .is_some_and(|before| before.is_empty() || before.ends_with([' ', ']', ')']))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dead(files: &[(&str, &'static str)]) -> Vec<String> {
        let paths: Vec<&str> = files.iter().map(|(path, _)| *path).collect();
        let read = |path: &str| files.iter().find(|(other, _)| *other == path).map(|(_, text)| *text);
        check(&paths, read).into_iter().map(|finding| finding.path).collect()
    }

    #[test]
    fn declared_files_pass() {
        let files = [
            ("core/src/lib.rs", "mod a;\n#[cfg(test)] pub(crate) mod b;"),
            ("core/src/a.rs", "pub mod c;"),
            ("core/src/a/c.rs", ""),
            ("core/src/b/mod.rs", ""),
            ("src/lib.rs", ""),
            ("core/tests/codes.rs", ""),
        ];
        assert!(dead(&files).is_empty());
    }

    #[test]
    fn dead_files_fire() {
        assert_eq!(dead(&[("src/lib.rs", "// mod a;\nmod ba;"), ("src/a.rs", ""), ("src/ba.rs", "")]), ["src/a.rs"]);
        assert_eq!(dead(&[("server/src/main.rs", ""), ("server/src/http/push.rs", "")]), ["server/src/http/push.rs"]);
    }
}
