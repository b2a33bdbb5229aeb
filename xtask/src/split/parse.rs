//! A module as the splitter sees it: the format's sections, and what each function calls.

use anyhow::{Context, Result, bail};
use wasmparser::{
    Data, Element, ElementItems, ElementKind, Export, FuncType, FunctionBody, Global, Import, MemoryType, Name,
    Operator, Parser, Payload, TableType, TypeRef,
};

/// See the module's text. Only what the Rust compiler makes: one table, one memory, functions in elements.
#[derive(Debug, Default)]
pub struct Module<'a> {
    pub types: Vec<FuncType>,
    pub imports: Vec<Import<'a>>,
    /// The type of each function, imported ones first.
    pub functions: Vec<u32>,
    pub table: Option<TableType>,
    pub memory: Option<MemoryType>,
    pub globals: Vec<Global<'a>>,
    pub exports: Vec<Export<'a>>,
    pub start: Option<u32>,
    /// Slots of the table that are filled at the start, with the function of each.
    pub slots: Vec<(u32, u32)>,
    pub bodies: Vec<FunctionBody<'a>>,
    pub data: Vec<Data<'a>>,
    pub has_data_count: bool,
    /// The name of each function.
    pub names: Vec<String>,
}

impl<'a> Module<'a> {
    pub fn parse(bytes: &'a [u8]) -> Result<Self> {
        let mut module = Self::default();
        let mut names = Vec::new();
        for payload in Parser::new(0).parse_all(bytes) {
            match payload? {
                Payload::TypeSection(section) => {
                    for group in section.into_iter_err_on_gc_types() {
                        module.types.push(group?);
                    }
                }
                Payload::ImportSection(section) => {
                    for import in section.into_imports() {
                        let import = import?;
                        let TypeRef::Func(of_type) = import.ty else { bail!("`{}` is no function", import.name) };
                        module.functions.push(of_type);
                        module.imports.push(import);
                    }
                }
                Payload::FunctionSection(section) => {
                    for of_type in section {
                        module.functions.push(of_type?);
                    }
                }
                Payload::TableSection(section) => {
                    for table in section {
                        module.table = Some(table?.ty);
                    }
                }
                Payload::MemorySection(section) => {
                    for memory in section {
                        module.memory = Some(memory?);
                    }
                }
                Payload::GlobalSection(section) => module.globals = section.into_iter().collect::<Result<_, _>>()?,
                Payload::ExportSection(section) => module.exports = section.into_iter().collect::<Result<_, _>>()?,
                Payload::StartSection { func, .. } => module.start = Some(func),
                Payload::ElementSection(section) => {
                    for element in section {
                        module.fill(element?)?;
                    }
                }
                Payload::DataCountSection { .. } => module.has_data_count = true,
                Payload::DataSection(section) => module.data = section.into_iter().collect::<Result<_, _>>()?,
                Payload::CodeSectionEntry(body) => module.bodies.push(body),
                Payload::CustomSection(section) => {
                    if let wasmparser::KnownCustom::Name(reader) = section.as_known() {
                        names.extend(reader);
                    }
                }
                Payload::TagSection(_) => bail!("a module with tags cannot be split"),
                _ => {}
            }
        }
        module.names = vec![String::new(); module.functions.len()];
        for name in names {
            let Name::Function(map) = name? else { continue };
            for naming in map {
                let naming = naming?;
                let place = module.names.get_mut(naming.index as usize).context("a name of no function")?;
                *place = path(naming.name);
            }
        }
        Ok(module)
    }

    /// How many functions are imported.
    pub fn imported(&self) -> usize {
        self.imports.len()
    }

    /// The functions that a function calls or takes the address of.
    pub fn calls(&self, function: usize) -> Result<Vec<usize>> {
        let mut calls = Vec::new();
        let Some(body) = function.checked_sub(self.imported()).and_then(|at| self.bodies.get(at)) else {
            return Ok(calls);
        };
        for operator in body.get_operators_reader()? {
            match operator? {
                Operator::Call { function_index } => calls.push(function_index as usize),
                Operator::RefFunc { .. } | Operator::ReturnCall { .. } => {
                    bail!("a module with function references or tail calls cannot be split");
                }
                _ => {}
            }
        }
        Ok(calls)
    }

    fn fill(&mut self, element: Element<'a>) -> Result<()> {
        let ElementKind::Active { table_index: None | Some(0), offset_expr } = element.kind else {
            bail!("an element that does not fill the one table");
        };
        let Some(Ok(Operator::I32Const { value })) = offset_expr.get_operators_reader().into_iter().next() else {
            bail!("an element whose place is not known");
        };
        let ElementItems::Functions(functions) = element.items else { bail!("an element without functions") };
        for (slot, function) in (u32::try_from(value)?..).zip(functions) {
            self.slots.push((slot, function?));
        }
        Ok(())
    }
}

/// The Rust path in a function's name, without the crate `tidewire_core`, hashes of crates, and the brackets of an
/// `impl`: `<tidewire_core[b0]::replica::Replica>::open` is `replica::Replica::open`.
fn path(name: &str) -> String {
    let mut path = format!("{:#}", rustc_demangle::demangle(name));
    while let Some((before, rest)) = path.split_once('[') {
        match rest.split_once(']') {
            Some((hash, after)) if hash.bytes().all(|byte| byte.is_ascii_hexdigit()) && !hash.is_empty() => {
                path = format!("{before}{after}");
            }
            _ => break,
        }
    }
    if let Some(inner) = path.strip_prefix('<') {
        path = inner.replacen(">::", "::", 1);
    }
    path.strip_prefix("tidewire_core::").map_or(path.clone(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_what_the_source_says() {
        assert_eq!(path("<tidewire_core[be07d0accb64187d]::replica::Replica>::open"), "replica::Replica::open");
        assert_eq!(path("tidewire_core[be07d0accb64187d]::store::seal::rows"), "store::seal::rows");
        assert_eq!(path("tidewire_core::store::fold::forget::{closure#0}"), "store::fold::forget::{closure#0}");
        assert_eq!(path("client_make"), "client_make");
    }
}
