//! The order of modules in `core`: a module may import only modules listed above it.
//!
//! The table is the architecture. A new module gets its place here, in the change that adds it.

use super::Finding;
use super::lex::line_of;

/// From the bottom (imports nothing) to the top.
pub const MODULES: [&str; 22] = [
    "planted",
    "error",
    "limits",
    "small",
    "table",
    "json",
    "io",
    "ids",
    "clock",
    "model",
    "diff",
    "merge",
    "log",
    "store",
    "queue",
    "view",
    "query",
    "health",
    "protocol",
    "authority",
    "replica",
    "engine",
];

/// Checks one file of `core/src`. `inside` is its path below that directory; `code` its code view.
pub fn check(path: &str, inside: &str, code: &str) -> Vec<Finding> {
    let own = inside.split('/').next().unwrap_or(inside).trim_end_matches(".rs");
    if own == "lib" {
        return Vec::new();
    }
    let Some(own_rank) = rank(own) else {
        let message = format!("module `{own}` has no place in the order of core: add it to xtask/src/tidy/order.rs");
        return vec![Finding::new(path, 1, message)];
    };
    let is_top = !inside.contains('/');
    imports(code, is_top)
        .into_iter()
        .filter_map(|(offset, name)| {
            let message = match rank(&name) {
                Some(other) if other <= own_rank => return None,
                Some(_) => format!("`{own}` may not import `{name}`: it stands below it in the order of core"),
                None => format!("`crate::{name}`: import it from its own module"),
            };
            Some(Finding::new(path, line_of(code, offset), message))
        })
        .collect()
}

fn rank(module: &str) -> Option<usize> {
    MODULES.iter().position(|name| *name == module)
}

/// Offsets and names of the modules that a file names by `crate::…`, and by `super::…` where that is the same.
fn imports(code: &str, is_top: bool) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (at, prefix) in code.match_indices("crate::") {
        let names = first_names(&code[at + prefix.len()..]);
        found.extend(names.into_iter().map(|name| (at, name)));
    }
    if is_top {
        for (at, prefix) in code.match_indices("super::") {
            let names = first_names(&code[at + prefix.len()..]);
            found.extend(names.into_iter().filter(|name| rank(name).is_some()).map(|name| (at, name)));
        }
    }
    found
}

/// `a::b` names `a`; `{a::b, c::{d, e}}` names `a` and `c`.
fn first_names(path: &str) -> Vec<String> {
    let path = path.trim_start();
    let Some(list) = path.strip_prefix('{') else {
        let name: String = path.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
        return if name.is_empty() { Vec::new() } else { vec![name] };
    };
    let mut names = Vec::new();
    let mut depth = 0i32;
    let mut fresh = true;
    for (at, c) in list.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => fresh = true,
            c if fresh && !c.is_whitespace() => {
                names.extend(first_names(&list[at..]));
                fresh = false;
            }
            _ => {}
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(inside: &str, code: &str) -> usize {
        check("x.rs", inside, code).len()
    }

    #[test]
    fn imports_from_below_pass() {
        assert_eq!(
            count("merge/policy.rs", "use crate::model::Path;\nuse crate::{error::E, merge::{text, union}};"),
            0
        );
        assert_eq!(count("view.rs", "use super::*;\nfn f(x: crate::log::Record) {}"), 0);
        assert_eq!(count("lib.rs", "pub use crate::engine::Engine;"), 0);
    }

    #[test]
    fn imports_from_above_fire() {
        assert_eq!(count("model/path.rs", "use crate::diff::Change;"), 1);
        assert_eq!(count("ids.rs", "use crate::{error::E, model::{a, b}, engine};"), 2);
        assert_eq!(count("ids.rs", "fn f() { crate::engine::g() }"), 1);
        assert_eq!(count("ids.rs", "use super::model::Path;"), 1);
    }

    #[test]
    fn tests_obey_the_order_too() {
        assert_eq!(count("log/codec.rs", "#[cfg(test)]\nmod tests { use crate::replica::State; }"), 1);
    }

    #[test]
    fn unknown_modules_and_root_re_exports_fire() {
        assert_eq!(count("helpers.rs", ""), 1);
        assert_eq!(count("view.rs", "use crate::CoreError;"), 1);
    }

    #[test]
    fn the_finding_names_the_line() {
        assert_eq!(check("x.rs", "ids.rs", "\n\nuse crate::engine::Engine;")[0].line, 3);
    }
}
