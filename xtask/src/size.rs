//! `cargo xtask size`: the room that each crate takes in the browser module.
//!
//! Measures a module that was built and optimised like the shipped one but kept its function names. Functions of
//! the standard library that were made for one of our types count for the standard library, as their names say.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context, Result};
use wasmparser::{KnownCustom, Name, Parser, Payload};

use crate::build;
use crate::workspace::Workspace;

/// How the result is printed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Text,
    Json,
    /// The functions that take most room instead of the crates.
    Functions,
}

/// Bytes by owner, before compression.
#[derive(Debug, Default, PartialEq, Eq)]
struct Room {
    /// Code, by crate; our own crates by module.
    code: BTreeMap<String, usize>,
    /// What is not code: constants, tables, types, exports.
    data: usize,
    rest: usize,
    /// Code by function; copies of a generic function for several types together.
    functions: BTreeMap<String, Copies>,
}

/// All copies of one function.
#[derive(Debug, Default, PartialEq, Eq)]
struct Copies {
    count: usize,
    bytes: usize,
}

/// How many functions `--functions` shows.
const FUNCTIONS_SHOWN: usize = 100;

/// Builds, measures and prints.
pub fn run(workspace: &Workspace, format: Format) -> Result<()> {
    let dir = workspace.path("target/wasm-size");
    fs::create_dir_all(&dir)?;
    let module = build::named_module(workspace, &dir)?;
    let bytes = fs::read(&module).with_context(|| format!("cannot read {}", module.display()))?;
    let room = measure(&bytes)?;
    match format {
        Format::Text => print_table(&room),
        Format::Functions => print_functions(&room),
        Format::Json => println!("{}", serde_json::json!({"code": room.code, "data": room.data, "rest": room.rest})),
    }
    Ok(())
}

fn print_table(room: &Room) {
    let code: usize = room.code.values().sum();
    let total = (code + room.data + room.rest).max(1);
    let mut rows: Vec<(&str, usize)> = room.code.iter().map(|(owner, bytes)| (owner.as_str(), *bytes)).collect();
    rows.push(("(data)", room.data));
    rows.push(("(tables, types, exports)", room.rest));
    rows.sort_by_key(|(_, bytes)| std::cmp::Reverse(*bytes));
    for (owner, bytes) in rows {
        let tenths = bytes * 1000 / total;
        println!("{bytes:>9}  {:>3}.{} %  {owner}", tenths / 10, tenths % 10);
    }
    println!("{total:>9}         bytes in all, before compression");
}

fn print_functions(room: &Room) {
    let mut rows: Vec<(&String, &Copies)> = room.functions.iter().collect();
    rows.sort_by_key(|(_, copies)| std::cmp::Reverse(copies.bytes));
    for (name, copies) in rows.into_iter().take(FUNCTIONS_SHOWN) {
        println!("{:>9}  {:>4} ×  {name}", copies.bytes, copies.count);
    }
}

fn measure(module: &[u8]) -> Result<Room> {
    let mut room = Room::default();
    let mut names = BTreeMap::new();
    let mut bodies = Vec::new();
    let mut imported = 0usize;
    for payload in Parser::new(0).parse_all(module) {
        match payload? {
            Payload::ImportSection(section) => {
                room.rest += section.range().len();
                imported = section
                    .into_imports()
                    .filter(|import| import.as_ref().is_ok_and(|i| matches!(i.ty, wasmparser::TypeRef::Func(_))))
                    .count();
            }
            Payload::CodeSectionStart { .. } => {}
            Payload::CodeSectionEntry(body) => bodies.push(body.range().len()),
            Payload::DataSection(section) => room.data += section.range().len(),
            Payload::CustomSection(section) => {
                if let KnownCustom::Name(reader) = section.as_known() {
                    names = function_names(reader)?;
                }
            }
            other => room.rest += other.as_section().map_or(0, |(_, range)| range.len()),
        }
    }
    for (at, bytes) in bodies.into_iter().enumerate() {
        let name = names.get(&(imported + at)).map_or("(no name)", String::as_str);
        *room.code.entry(owner(name)).or_default() += bytes;
        let copies = room.functions.entry(without_types(name)).or_default();
        copies.count += 1;
        copies.bytes += bytes;
    }
    Ok(room)
}

fn function_names(reader: wasmparser::NameSectionReader<'_>) -> Result<BTreeMap<usize, String>> {
    let mut names = BTreeMap::new();
    for subsection in reader {
        if let Name::Function(map) = subsection? {
            for naming in map {
                let naming = naming?;
                names.insert(naming.index as usize, format!("{:#}", rustc_demangle::demangle(naming.name)));
            }
        }
    }
    Ok(names)
}

/// The crate that a function's name begins with; of our own crates the module too.
fn owner(name: &str) -> String {
    let path = name.trim_start_matches(['<', '&', '*', '(', '[']);
    let path = ["dyn ", "mut ", "const "].iter().fold(path, |path, word| path.strip_prefix(word).unwrap_or(path));
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let first = path.split(|c| !is_part(c)).next().unwrap_or_default();
    let rest = without_hash(&path[first.len()..]);
    let Some(module) = rest.strip_prefix("::") else {
        // `<u32 as serde::Serialize>` belongs to the trait's crate, `<str>::find` to the standard library.
        return match rest.strip_prefix(" as ") {
            Some(of_trait) => owner(of_trait),
            None if name.starts_with('<') => "std".to_owned(),
            None => "(exports and runtime)".to_owned(),
        };
    };
    let module = module.split(|c| !is_part(c)).next().unwrap_or_default();
    match first {
        "tidewire" | "tidewire_core" if module.starts_with(|c: char| c.is_ascii_lowercase()) => {
            format!("{first}::{module}")
        }
        "alloc" | "core" | "std" | "__rustc" => "std".to_owned(),
        "" => "(exports and runtime)".to_owned(),
        other => other.to_owned(),
    }
}

/// The name without type arguments, hashes and numbers: the same for all copies of a generic function.
fn without_types(name: &str) -> String {
    let mut kept = String::new();
    let mut depth = 0usize;
    let leading = name.len() - name.trim_start_matches('<').len();
    for (at, c) in name.char_indices() {
        match c {
            '<' if at >= leading => depth += 1,
            '[' => depth += 1,
            ']' => depth = depth.saturating_sub(1),
            '>' if depth > 0 => depth -= 1,
            _ if depth == 0 => kept.push(c),
            _ => {}
        }
    }
    let hash = kept.rfind("::h").filter(|at| kept[at + 3..].bytes().all(|b| b.is_ascii_hexdigit()));
    hash.map_or(kept.clone(), |at| kept[..at].to_owned())
}

/// Mangled names say which build of a crate is meant: `core[c5930c85a12de822]::fmt::write`.
fn without_hash(rest: &str) -> &str {
    let hash = rest.strip_prefix('[').and_then(|rest| rest.split_once(']'));
    hash.filter(|(digits, _)| digits.bytes().all(|b| b.is_ascii_hexdigit())).map_or(rest, |(_, rest)| rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_belong_to_the_crate_of_their_name() {
        assert_eq!(owner("tidewire_core::log::codec::decode"), "tidewire_core::log");
        assert_eq!(owner("<tidewire_core::ids::Rev as core::fmt::Debug>::fmt"), "tidewire_core::ids");
        assert_eq!(owner("<&mut serde_json::de::Deserializer<R>>::parse"), "serde_json");
        assert_eq!(owner("core::fmt::write"), "std");
        assert_eq!(owner("<alloc::vec::Vec<T> as Clone>::clone"), "std");
        assert_eq!(owner("core[c5930c85a12de822]::fmt::write"), "std");
        assert_eq!(owner("<dlmalloc[e24a27700634d609]::dlmalloc::Dlmalloc<S>>::malloc"), "dlmalloc");
        assert_eq!(owner("<f64 as zmij::private::Sealed>::write"), "zmij");
        assert_eq!(owner("<char>::escape_debug_ext"), "std");
        assert_eq!(owner("__wbindgen_malloc"), "(exports and runtime)");
        assert_eq!(owner("client_handle externref shim"), "(exports and runtime)");
    }

    #[test]
    fn copies_of_a_generic_function_have_one_name() {
        let name = "<alloc[c5930c85a12de822]::vec::Vec<u8> as core::clone::Clone>::clone";
        assert_eq!(without_types(name), "<alloc::vec::Vec as core::clone::Clone>::clone");
        assert_eq!(without_types("a::b::<c::D>::e::h7d4548078c57e20e"), "a::b::::e");
    }

    #[test]
    fn a_module_is_measured_by_section() {
        // One function `a::b` of three bytes: (module (func (nop))), with a name section.
        let mut module = b"\0asm\x01\0\0\0".to_vec();
        module.extend(b"\x01\x04\x01\x60\0\0"); // types
        module.extend(b"\x03\x02\x01\0"); // functions
        module.extend(b"\x0a\x05\x01\x03\0\x01\x0b"); // code
        module.extend(b"\0\x0e\x04name\x01\x07\x01\0\x04a::b"); // names
        let room = measure(&module).expect("a valid module");
        assert_eq!(room.code.get("a"), Some(&3));
        assert_eq!(room.functions.get("a::b"), Some(&Copies { count: 1, bytes: 3 }));
        assert_eq!(room.data, 0);
        assert_eq!(room.rest, 6);
    }
}
