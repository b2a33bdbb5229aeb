//! One module becomes two: the main one, which every page loads at its start, and the second one, which comes behind.
//!
//! The functions that [`MOVED`](list::MOVED) names, and what only they call, stand in the second module. It imports the
//! main one's memory, table and functions, and fills its own into slots of the table. Where the main module calls one
//! of them there is a stub, which calls through the slot; while the slot is empty it first calls the import `more`,
//! which throws.
//!
//! What a function does never depends on where it stands.

mod graph;
pub mod list;
mod parse;
mod write;

use anyhow::{Result, bail};

pub use parse::Module;

/// The two modules.
#[derive(Debug)]
pub struct Parts {
    pub main: Vec<u8>,
    pub more: Vec<u8>,
}

/// Splits a module whose functions have names.
pub fn split(bytes: &[u8], moved: &[&str]) -> Result<Parts> {
    let module = Module::parse(bytes)?;
    let moves = graph::moves(&module, moved)?;
    if !moves.iter().any(|moves| *moves) {
        bail!("nothing moves into the second module: is `moved` right?");
    }
    write::parts(bytes, &module, &moves)
}

#[cfg(test)]
mod tests {
    use wasm_encoder::{
        CodeSection, ConstExpr, ElementSection, Elements, EntityType, ExportKind, ExportSection, Function,
        FunctionSection, GlobalSection, GlobalType, ImportSection, Instruction, MemorySection, MemoryType, NameMap,
        NameSection, RefType, TableSection, TableType, TypeSection, ValType,
    };
    use wasmparser::{ExternalKind, Parser, Payload};

    use super::*;

    /// `run` calls `rare::one` and `plain::two`; `rare::one` calls `only::three` and `plain::two`; `rare::four` is
    /// called through the table alone, and all but `run` take a number and return it.
    fn module() -> Vec<u8> {
        module_with("rare::four")
    }

    /// The same, with another name for what is called through the table alone.
    fn module_with(last: &str) -> Vec<u8> {
        let names = ["log", "run", "<tidewire_core[0a]::rare>::one", "plain::two", "only::three", last];
        let mut types = TypeSection::new();
        types.ty().function([], []);
        types.ty().function([ValType::I32], [ValType::I32]);
        let mut imports = ImportSection::new();
        imports.import("host", "log", EntityType::Function(0));
        let mut functions = FunctionSection::new();
        [0, 1, 1, 1, 1].into_iter().for_each(|of_type| {
            functions.function(of_type);
        });
        let limits =
            TableType { element_type: RefType::FUNCREF, minimum: 2, maximum: Some(2), table64: false, shared: false };
        let (mut tables, mut memories, mut globals) = (TableSection::new(), MemorySection::new(), GlobalSection::new());
        tables.table(limits);
        memories.memory(MemoryType { minimum: 1, maximum: None, memory64: false, shared: false, page_size_log2: None });
        let stack = GlobalType { val_type: ValType::I32, mutable: true, shared: false };
        globals.global(stack, &ConstExpr::i32_const(16));
        let mut exports = ExportSection::new();
        exports.export("memory", ExportKind::Memory, 0).export("run", ExportKind::Func, 1);
        let mut elements = ElementSection::new();
        elements.active(None, &ConstExpr::i32_const(1), Elements::Functions((&[5][..]).into()));
        let mut code = CodeSection::new();
        let number = Instruction::LocalGet(0);
        let bodies: [&[Instruction<'_>]; 5] = [
            &[Instruction::I32Const(1), Instruction::Call(2), Instruction::Call(3), Instruction::Drop],
            &[number.clone(), Instruction::Call(4), Instruction::Call(3)],
            &[number.clone(), Instruction::GlobalGet(0), Instruction::I32Add],
            &[Instruction::Call(0), number.clone()],
            &[number],
        ];
        for body in bodies {
            let mut function = Function::new([]);
            body.iter().chain([&Instruction::End]).for_each(|instruction| {
                function.instruction(instruction);
            });
            code.function(&function);
        }
        let (mut section, mut map) = (NameSection::new(), NameMap::new());
        (0..).zip(names).for_each(|(at, name)| map.append(at, name));
        section.functions(&map);
        let mut out = wasm_encoder::Module::new();
        out.section(&types).section(&imports).section(&functions).section(&tables).section(&memories);
        out.section(&globals).section(&exports).section(&elements).section(&code).section(&section);
        out.finish()
    }

    /// How many functions a module has of its own.
    fn own_functions(module: &[u8]) -> usize {
        let code = |payload: &Payload<'_>| matches!(payload, Payload::CodeSectionEntry(_));
        Parser::new(0).parse_all(module).filter(|payload| code(payload.as_ref().unwrap())).count()
    }

    /// What a module imports.
    fn imports(module: &[u8]) -> Vec<(&str, ExternalKind)> {
        let mut imports = Vec::new();
        for payload in Parser::new(0).parse_all(module) {
            let Payload::ImportSection(section) = payload.unwrap() else { continue };
            imports.extend(section.into_imports().map(|import| import.unwrap()).map(|import| {
                let kind = match import.ty {
                    wasmparser::TypeRef::Func(_) => ExternalKind::Func,
                    wasmparser::TypeRef::Table(_) => ExternalKind::Table,
                    wasmparser::TypeRef::Memory(_) => ExternalKind::Memory,
                    _ => ExternalKind::Global,
                };
                (import.name, kind)
            }));
        }
        imports
    }

    #[test]
    fn what_is_named_and_what_only_it_calls_moves() {
        let Parts { main, more } = split(&module(), &["rare::"]).unwrap();
        assert!(wasmparser::validate(&main).is_ok() && wasmparser::validate(&more).is_ok());
        // `run`, `plain::two`, a stub for each of the two that are called from outside, and what fetches the rest.
        assert_eq!(own_functions(&main), 5);
        assert_eq!(own_functions(&more), 3);
    }

    #[test]
    fn the_second_module_takes_what_the_first_one_gives_and_fills_its_slots() {
        let Parts { main, more } = split(&module(), &["rare::"]).unwrap();
        let (main, more) = (Module::parse(&main).unwrap(), imports(&more));
        let given: Vec<(&str, ExternalKind)> = main.exports.iter().map(|export| (export.name, export.kind)).collect();
        for import in &more {
            assert!(given.contains(import), "{import:?}");
        }
        let functions = more.iter().filter(|(_, kind)| *kind == ExternalKind::Func).count();
        // `plain::two` and `log`.
        assert_eq!(functions, 2);
        // One slot was there, and holds a stub; one is new, and empty until the second module fills it.
        assert_eq!(main.slots.iter().map(|(slot, _)| *slot).collect::<Vec<_>>(), [1]);
        assert_eq!(main.table.unwrap().initial, 3);
    }

    #[test]
    fn a_list_that_is_out_of_date_is_refused() {
        let gone = split(&module(), &["rare::", "gone::"]).unwrap_err();
        assert!(gone.to_string().contains("`gone::`"), "{gone}");
        assert!(split(&module(), &["run"]).unwrap_err().to_string().contains("exported"));
        assert!(split(&module(), &[]).is_err());
    }

    #[test]
    fn a_closure_moves_with_its_maker_if_it_is_named() {
        let moved =
            |last: &str, named: &[&str]| split(&module_with(last), named).map(|parts| own_functions(&parts.more));
        let ours = "<tidewire_core[0a]::rare>::one::{closure#0}";
        assert_eq!(moved(ours, &["rare::"]).unwrap(), 2);
        assert_eq!(moved(ours, &["rare::", "rare::one::{closure"]).unwrap(), 3);
        let refused = moved("plain::two::{closure#0}", &["rare::", "plain::two::{closure"]).unwrap_err();
        assert!(refused.to_string().contains("`plain::two` stays"), "{refused}");
    }

    #[test]
    fn parts_of_two_builds_have_no_name_in_common_for_the_table() {
        let table = |moved: &[&str]| {
            let main = split(&module(), moved).unwrap().main;
            let main = Module::parse(&main).unwrap();
            let table = main.exports.iter().find(|export| export.kind == ExternalKind::Table);
            table.unwrap().name.to_owned()
        };
        assert_ne!(table(&["rare::"]), table(&["rare::one"]));
    }
}
