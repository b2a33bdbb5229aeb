//! Which functions move: those that are named, and those that only they call.

use anyhow::{Result, bail};
use wasmparser::ExternalKind;

use super::parse::Module;

/// For each function, whether it moves.
pub fn moves(module: &Module<'_>, named: &[&str]) -> Result<Vec<bool>> {
    let mut seeds = vec![false; module.functions.len()];
    for name in named {
        let mut found = false;
        for (function, path) in module.names.iter().enumerate().skip(module.imported()) {
            if is_of(path, name) {
                found = true;
                seeds[function] = true;
            }
        }
        if !found {
            bail!("no function is called `{name}`: the compiler put it into its callers, or the list is out of date");
        }
    }
    let mut stays = vec![false; seeds.len()];
    let exported = module.exports.iter().filter(|export| export.kind == ExternalKind::Func).map(|export| export.index);
    let filled = module.slots.iter().map(|(_, function)| *function);
    let mut next: Vec<usize> = exported.chain(module.start).map(|function| function as usize).collect();
    if let Some(function) = next.iter().find(|function| seeds[**function]) {
        bail!("`{}` is exported and cannot move", module.names[*function]);
    }
    next.extend(filled.map(|function| function as usize));
    next.extend(0..module.imported());
    while let Some(function) = next.pop() {
        if !seeds[function] && !std::mem::replace(&mut stays[function], true) {
            next.extend(module.calls(function)?);
        }
    }
    let stayers = || module.names.iter().zip(&stays).filter(|(_, stays)| **stays).map(|(path, _)| path);
    for (maker, name) in named.iter().filter_map(|name| Some((name.split_once("::{closure")?.0, name))) {
        if stayers().any(|path| is_of(path, maker)) {
            bail!("`{name}` cannot move: `{maker}` stays, which makes it");
        }
    }
    Ok(stays.into_iter().map(|stays| !stays).collect())
}

/// Whether a path is the named one, or lies in it. A closure moves only by who calls it, or if the list names it: of
/// equal ones the compiler keeps one, under any of their names, for all who call them.
fn is_of(path: &str, name: &str) -> bool {
    (name.contains("{closure") || !path.contains("{closure"))
        && path
            .strip_prefix(name)
            .is_some_and(|rest| rest.is_empty() || name.ends_with("::") || rest.starts_with([':', '<', ' ', '#']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stands_for_all_that_lies_in_it() {
        assert!(is_of("store::seal::rows", "store::seal::"));
        assert!(is_of("store::seal::rows", "store::seal::rows"));
        assert!(!is_of("store::seal::rows::{closure#0}", "store::seal::rows"));
        assert!(is_of("store::seal::rows::{closure#0}", "store::seal::rows::{closure"));
        assert!(is_of("log::record::Adopt as serde::Serialize>::serialize", "log::record::Adopt"));
        assert!(!is_of("store::seal::rows_of", "store::seal::rows"));
    }
}
