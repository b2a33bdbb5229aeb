//! What happens when this module itself fails: a panic, a stack overflow, no memory.
//!
//! With `panic = "abort"` a panic traps, and whatever was borrowed stays borrowed: the instance is lost and the
//! TypeScript face makes a fresh one from the log. So that the lost instance does not keep the leader's lock, a
//! socket or the database, each of these registers here how it is let go; the functions are plain JavaScript and
//! touch no Rust state.

use std::cell::{Cell, RefCell};

use js_sys::{Array, Function, Reflect};
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast, JsValue};

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_name = queueMicrotask)]
    fn queue_microtask(callback: &JsValue);
}

thread_local! {
    static HELD: RefCell<Vec<(u32, Function)>> = const { RefCell::new(Vec::new()) };
    static WATCHERS: RefCell<Vec<(u32, Function)>> = const { RefCell::new(Vec::new()) };
    static NEXT: Cell<u32> = const { Cell::new(0) };
    static MESSAGE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Something that a lost instance must let go. Dropping it says that it was let go in the ordinary way.
pub(crate) struct Held(u32);

/// Registers how to let something go.
pub(crate) fn hold(release: Function) -> Held {
    Held(register(&HELD, release))
}

/// Registers a function that gets a JSON array of events when the instance is lost.
pub(crate) fn watch(tell: Function) -> Held {
    Held(register(&WATCHERS, tell))
}

/// Registers a method of a JavaScript object as the way to let it go.
pub(crate) fn hold_method(object: &JsValue, name: &str) -> Option<Held> {
    let method = Reflect::get(object, &name.into()).ok()?.dyn_into::<Function>().ok()?;
    Some(hold(method.bind0(object)))
}

fn register(list: &'static std::thread::LocalKey<RefCell<Vec<(u32, Function)>>>, function: Function) -> u32 {
    let id = NEXT.get();
    NEXT.set(id.wrapping_add(1));
    list.with_borrow_mut(|list| list.push((id, function)));
    id
}

impl Drop for Held {
    fn drop(&mut self) {
        HELD.with_borrow_mut(|list| list.retain(|(id, _)| *id != self.0));
        WATCHERS.with_borrow_mut(|list| list.retain(|(id, _)| *id != self.0));
    }
}

/// Makes a panic leave its message behind and let everything go. Only in development builds: in a release a panic is a
/// trap that runs no hook, and the face calls [`abandon`].
pub(crate) fn install() {
    if cfg!(debug_assertions) {
        std::panic::set_hook(Box::new(|info| lost(&info.to_string())));
    }
}

/// What made this instance unusable, once it is.
pub(crate) fn message() -> Option<String> {
    MESSAGE.with_borrow(Clone::clone)
}

/// Marks the instance as lost, lets everything go and tells the face, which then runs on a fresh instance.
pub(crate) fn lost(message: &str) {
    if self::message().is_some() {
        return;
    }
    MESSAGE.set(Some(message.to_owned()));
    release_all();
    let event = serde_json::json!([{ "type": "watchdog", "code": "internal", "message": message }]).to_string();
    let watchers = WATCHERS.with_borrow(|list| list.iter().map(|(_, tell)| tell.clone()).collect::<Vec<_>>());
    for tell in watchers {
        // In a task of its own: the face throws this instance away when it hears of it.
        queue_microtask(&tell.bind1(&JsValue::UNDEFINED, &event.clone().into()));
    }
}

fn release_all() {
    for (_, release) in HELD.take() {
        // A failure to let one go must not keep the others.
        let _ = release.apply(&JsValue::UNDEFINED, &Array::new());
    }
}

/// Lets go of the locks, sockets and databases of this instance and says what went wrong in it. For the face, after a
/// trap that left no message (a stack overflow); it touches nothing that the trap may have left half done.
#[wasm_bindgen]
pub fn abandon() -> Option<String> {
    release_all();
    message()
}
