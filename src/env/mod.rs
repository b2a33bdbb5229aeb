//! What the browser knows of the world: clocks, chance, network, visibility.

pub(crate) mod online;
pub(crate) mod random;
pub(crate) mod time;
pub(crate) mod visibility;

use std::pin::Pin;

use wasm_bindgen::JsCast;
use wasm_bindgen::closure::Closure;
use wasm_bindgen_futures::spawn_local;
use web_sys::{AbortSignal, AddEventListenerOptions, Event, EventTarget};

/// Runs a future by itself. Boxed, so that the module holds the queue of tasks once and not once per future.
pub(crate) fn spawn(future: impl Future<Output = ()> + 'static) {
    let task: Pin<Box<dyn Future<Output = ()>>> = Box::pin(future);
    spawn_local(task);
}

/// Handlers of browser events. All end when the signal is aborted; the closures are freed with this.
#[derive(Default)]
pub(crate) struct Listeners(Vec<Closure<dyn FnMut(Event)>>);

impl Listeners {
    /// Calls `handler` at each event of that name until the signal is aborted.
    pub(crate) fn add(
        &mut self,
        target: &EventTarget,
        name: &str,
        signal: &AbortSignal,
        handler: impl FnMut(Event) + 'static,
    ) {
        let closure = Closure::<dyn FnMut(Event)>::new(handler);
        let options = AddEventListenerOptions::new();
        options.set_signal(signal);
        let callback = closure.as_ref().unchecked_ref();
        // It throws only for an aborted signal of another realm; then there is nothing to listen to.
        let _ = target.add_event_listener_with_callback_and_add_event_listener_options(name, callback, &options);
        self.0.push(closure);
    }
}
