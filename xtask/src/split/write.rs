//! The two modules as bytes.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use wasm_encoder::reencode::{Error, Reencode};
use wasm_encoder::{
    CodeSection, ConstExpr, DataCountSection, DataSection, ElementSection, Elements, EntityType, ExportKind,
    ExportSection, Function, FunctionSection, GlobalSection, ImportSection, Instruction, MemorySection, StartSection,
    TableSection, TableType, TypeSection,
};
use wasmparser::ExternalKind;
use xxhash_rust::xxh64::xxh64;

use super::Parts;
use super::parse::Module;

/// Where the second module's imports come from: the exports of the main one.
const MAIN: &str = "m";

/// The import that puts the second module in place.
const MORE: (&str, &str) = ("host", "more");

/// The names under which both modules know what is shared and not a function. That of the table goes on with a hash:
/// parts of two builds do not fit together, and the browser says so.
const TABLE: &str = "t";
const GLOBAL: &str = "g";

/// What both modules agree on.
struct Plan<'a> {
    module: &'a Module<'a>,
    moves: &'a [bool],
    /// The slot of each function that is called across the border from the main module.
    slots: BTreeMap<usize, u32>,
    /// Slots that are empty before the second module fills them; the first tells whether it has.
    fresh: std::ops::Range<u32>,
    /// What the second module calls of the main one, and by which name.
    shared: BTreeMap<usize, String>,
    table: String,
    /// The type of a function that takes and returns nothing.
    plain: u32,
}

/// The numbers of functions in one of the modules.
struct Numbers(BTreeMap<usize, u32>);

/// A function that is in neither module.
#[derive(Debug, thiserror::Error)]
#[error("function {0} is not in this module")]
struct Elsewhere(u32);

impl Reencode for Numbers {
    type Error = Elsewhere;

    fn function_index(&mut self, function: u32) -> Result<u32, Error<Elsewhere>> {
        self.0.get(&(function as usize)).copied().ok_or(Error::UserError(Elsewhere(function)))
    }
}

pub fn parts(bytes: &[u8], module: &Module<'_>, moves: &[bool]) -> Result<Parts> {
    let mut plan = Plan::new(module, moves)?;
    let what_moves: Vec<u8> = moves.iter().map(|moves| u8::from(*moves)).collect();
    plan.table = format!("{TABLE}{:x}", xxh64(bytes, xxh64(&what_moves, 0)));
    Ok(Parts { main: plan.main()?, more: plan.more()? })
}

impl<'a> Plan<'a> {
    fn new(module: &'a Module<'a>, moves: &'a [bool]) -> Result<Self> {
        let mut called = BTreeSet::new();
        let mut shared = BTreeSet::new();
        for function in module.imported()..moves.len() {
            for callee in module.calls(function)? {
                match (moves[function], moves[callee]) {
                    (false, true) => called.insert(callee),
                    (true, false) => shared.insert(callee),
                    _ => false,
                };
            }
        }
        let first = u32::try_from(module.table.context("a module without a table")?.initial)?;
        let mut slots = BTreeMap::new();
        let mut end = first;
        for function in called {
            slots.insert(function, end);
            end += 1;
        }
        for (slot, function) in &module.slots {
            if moves[*function as usize] {
                // One that has a slot already, as a method of a trait object has, is called through that one.
                slots.entry(*function as usize).or_insert(*slot);
            }
        }
        let names = shared.into_iter().zip(0..).map(|(function, at)| (function, short(at))).collect();
        let is_plain = |of_type: &wasmparser::FuncType| of_type.params().is_empty() && of_type.results().is_empty();
        let plain = module.types.iter().position(is_plain).context("a module without a function of nothing")?;
        let plain = u32::try_from(plain)?;
        Ok(Self { module, moves, slots, fresh: first..end, shared: names, table: String::new(), plain })
    }

    fn main(&self) -> Result<Vec<u8>> {
        let Self { module, .. } = self;
        let staying: Vec<usize> = (module.imported()..self.moves.len()).filter(|at| !self.moves[*at]).collect();
        // Imports, `more`, what stays, the stubs, and at last what sees to it that the second module is there.
        let more = u32::try_from(module.imported())?;
        let mut numbers: BTreeMap<usize, u32> = (0..module.imported()).zip(0..).collect();
        numbers.extend(staying.iter().copied().zip(more + 1..));
        let first_stub = more + 1 + u32::try_from(staying.len())?;
        numbers.extend(self.slots.keys().copied().zip(first_stub..));
        let ensure = first_stub + u32::try_from(self.slots.len())?;
        let mut numbers = Numbers(numbers);

        let mut imports = ImportSection::new();
        for import in &module.imports {
            imports.import(import.module, import.name, numbers.entity_type(import.ty)?);
        }
        imports.import(MORE.0, MORE.1, EntityType::Function(self.plain));
        let mut functions = FunctionSection::new();
        let mut code = CodeSection::new();
        for function in &staying {
            functions.function(module.functions[*function]);
            numbers.parse_function_body(&mut code, module.bodies[function - module.imported()].clone())?;
        }
        for (function, slot) in &self.slots {
            functions.function(module.functions[*function]);
            code.function(&self.stub(*function, *slot, ensure)?);
        }
        functions.function(self.plain);
        code.function(&self.ensure(more)?);
        let filled = module.slots.iter().map(|(slot, function)| (*slot, *function as usize)).collect();
        let elements = elements(&filled, &mut numbers)?;
        let mut out = wasm_encoder::Module::new();
        out.section(&self.types()?).section(&imports).section(&functions).section(&self.table()?);
        out.section(&self.memory(&mut numbers)?).section(&self.globals(&mut numbers)?);
        out.section(&self.exports(&mut numbers)?);
        if let Some(start) = module.start {
            out.section(&StartSection { function_index: numbers.function_index(start)? });
        }
        out.section(&elements);
        if module.has_data_count {
            out.section(&DataCountSection { count: u32::try_from(module.data.len())? });
        }
        let mut data = DataSection::new();
        for piece in &module.data {
            numbers.parse_data(&mut data, piece.clone())?;
        }
        out.section(&code).section(&data);
        Ok(out.finish())
    }

    fn more(&self) -> Result<Vec<u8>> {
        let Self { module, .. } = self;
        let moving: Vec<usize> = (0..self.moves.len()).filter(|at| self.moves[*at]).collect();
        let mut numbers: BTreeMap<usize, u32> = self.shared.keys().copied().zip(0..).collect();
        numbers.extend(moving.iter().copied().zip(u32::try_from(self.shared.len())?..));
        let mut numbers = Numbers(numbers);

        let mut imports = ImportSection::new();
        let memory = module.memory.context("a module without a memory")?;
        imports.import(MAIN, "memory", EntityType::Memory(numbers.memory_type(memory)?));
        imports.import(MAIN, &self.table, EntityType::Table(self.table_type()?));
        for (at, global) in module.globals.iter().enumerate() {
            imports.import(MAIN, &format!("{GLOBAL}{at}"), EntityType::Global(numbers.global_type(global.ty)?));
        }
        for (function, name) in &self.shared {
            imports.import(MAIN, name, EntityType::Function(module.functions[*function]));
        }
        let mut functions = FunctionSection::new();
        let mut code = CodeSection::new();
        for function in &moving {
            functions.function(module.functions[*function]);
            numbers.parse_function_body(&mut code, module.bodies[function - module.imported()].clone())?;
        }
        let own = module.slots.iter().map(|(slot, function)| (*function as usize, *slot));
        let own = own.filter(|(function, _)| self.moves[*function]);
        let fresh =
            self.slots.iter().map(|(function, slot)| (*function, *slot)).filter(|(_, s)| self.fresh.contains(s));
        let filled: BTreeMap<u32, usize> = own.chain(fresh).map(|(function, slot)| (slot, function)).collect();
        let elements = elements(&filled, &mut numbers)?;
        let mut out = wasm_encoder::Module::new();
        out.section(&self.types()?).section(&imports).section(&functions).section(&elements).section(&code);
        Ok(out.finish())
    }

    /// Calls through the slot, once it is filled.
    fn stub(&self, function: usize, slot: u32, ensure: u32) -> Result<Function> {
        let type_index = self.module.functions[function];
        let mut stub = Function::new([]);
        stub.instruction(&Instruction::Call(ensure));
        for (at, _) in (0..).zip(self.module.types[type_index as usize].params()) {
            stub.instruction(&Instruction::LocalGet(at));
        }
        stub.instruction(&Instruction::I32Const(i32::try_from(slot)?));
        stub.instruction(&Instruction::CallIndirect { type_index, table_index: 0 });
        stub.instruction(&Instruction::End);
        Ok(stub)
    }

    fn ensure(&self, more: u32) -> Result<Function> {
        let mut ensure = Function::new([]);
        ensure.instruction(&Instruction::I32Const(i32::try_from(self.fresh.start)?));
        ensure.instruction(&Instruction::TableGet(0));
        ensure.instruction(&Instruction::RefIsNull);
        ensure.instruction(&Instruction::If(wasm_encoder::BlockType::Empty));
        ensure.instruction(&Instruction::Call(more));
        ensure.instruction(&Instruction::End);
        ensure.instruction(&Instruction::End);
        Ok(ensure)
    }

    fn types(&self) -> Result<TypeSection> {
        let mut types = TypeSection::new();
        let mut numbers = Numbers(BTreeMap::new());
        for of_type in &self.module.types {
            types.ty().func_type(&numbers.func_type(of_type.clone())?);
        }
        Ok(types)
    }

    fn table_type(&self) -> Result<TableType> {
        let mut table = self.module.table.context("a module without a table")?;
        table.initial = u64::from(self.fresh.end);
        table.maximum = table.maximum.map(|_| u64::from(self.fresh.end));
        Ok(Numbers(BTreeMap::new()).table_type(table)?)
    }

    fn table(&self) -> Result<TableSection> {
        let mut tables = TableSection::new();
        tables.table(self.table_type()?);
        Ok(tables)
    }

    fn memory(&self, numbers: &mut Numbers) -> Result<MemorySection> {
        let mut memories = MemorySection::new();
        memories.memory(numbers.memory_type(self.module.memory.context("a module without a memory")?)?);
        Ok(memories)
    }

    fn globals(&self, numbers: &mut Numbers) -> Result<GlobalSection> {
        let mut globals = GlobalSection::new();
        for global in &self.module.globals {
            numbers.parse_global(&mut globals, global.clone())?;
        }
        Ok(globals)
    }

    fn exports(&self, numbers: &mut Numbers) -> Result<ExportSection> {
        let mut exports = ExportSection::new();
        for export in &self.module.exports {
            if export.kind == ExternalKind::Func || export.name == "memory" {
                numbers.parse_export(&mut exports, *export)?;
            }
        }
        exports.export(&self.table, ExportKind::Table, 0);
        for at in 0..u32::try_from(self.module.globals.len())? {
            exports.export(&format!("{GLOBAL}{at}"), ExportKind::Global, at);
        }
        for (function, name) in &self.shared {
            exports.export(name, ExportKind::Func, numbers.function_index(u32::try_from(*function)?)?);
        }
        Ok(exports)
    }
}

/// Fills slots with functions: one element for those that follow each other.
fn elements(filled: &BTreeMap<u32, usize>, numbers: &mut Numbers) -> Result<ElementSection> {
    let mut runs: Vec<(u32, Vec<u32>)> = Vec::new();
    for (slot, function) in filled {
        let function = numbers.function_index(u32::try_from(*function)?)?;
        match runs.last_mut() {
            Some((first, run)) if *first as usize + run.len() == *slot as usize => run.push(function),
            _ => runs.push((*slot, vec![function])),
        }
    }
    let mut elements = ElementSection::new();
    for (slot, run) in runs {
        elements.active(None, &ConstExpr::i32_const(i32::try_from(slot)?), Elements::Functions(run.into()));
    }
    Ok(elements)
}

/// A name that no other export has: those begin with a letter.
fn short(at: usize) -> String {
    format!("{at}")
}
