//! What moves: what a tab needs only once it leads, what the app asks for by a command, what is rare in a log, and what
//! is done about a field that two have changed.

/// Paths of functions, types and modules of `core`.
pub const MOVED: [&str; 21] = [
    "alloc::rc::Rc<wasm_bindgen::__rt::WasmRefCell<tidewire::client::Client>>::drop_slow",
    "engine::Engine::command",
    "engine::Engine::export",
    "engine::Engine::undo",
    "merge::arrays::",
    "merge::weave::Weave::give_back",
    "model::verdict::Overwritten",
    "replica::Replica::advance_network",
    "replica::Replica::hear_network",
    "replica::Replica::log_emptied",
    "replica::Replica::next_slice",
    "replica::Replica::start_seal",
    "replica::Replica::store_replaced",
    "replica::Replica::touch_everything",
    "replica::Replica::upkeep_done",
    "store::conflicts::blind",
    "store::fold::confirm_conflict",
    "store::fold::fold_rare",
    "store::fold::forget",
    "store::fold::forget_all_but",
    "store::journal::requeue",
];
