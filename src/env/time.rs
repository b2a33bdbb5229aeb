//! Clocks, the one timer and a way to let the browser breathe.

use gloo_timers::callback::Timeout;
use js_sys::Promise;
use tidewire_core::io::Now;
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{MessageChannel, MessagePort};

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = performance, js_name = now)]
    fn performance_now() -> f64;
}

/// Browsers fire a longer timeout at once.
const TIMEOUT_MS_MAX: u64 = i32::MAX as u64;

/// Both clocks. `as` saturates: a clock before 1970 is 0.
pub(crate) fn now() -> Now {
    Now { wall_ms: js_sys::Date::now() as u64, mono_ms: performance_now() as u64 }
}

/// Calls back at a monotonic time, or early where that is farther away than a timer can wait; the engine then asks
/// again.
pub(crate) fn at(mono_ms: u64, callback: impl FnOnce() + 'static) -> Timeout {
    // One more: `now` rounds down, and a wake-up before its time would be asked for again at once.
    let delay = mono_ms.saturating_sub(now().mono_ms).saturating_add(1).min(TIMEOUT_MS_MAX);
    Timeout::new(delay as u32, callback)
}

/// Ends in a later task of the event loop, so that input and painting come between. A message, not a timer: timers
/// are held back to one a second in hidden tabs.
pub(crate) async fn breathe() {
    let Ok(channel) = MessageChannel::new() else { return };
    let port: MessagePort = channel.port1();
    let turn = Promise::new(&mut |resolve, _| port.set_onmessage(Some(resolve.unchecked_ref())));
    if channel.port2().post_message(&JsValue::NULL).is_ok() {
        // A promise that nothing rejects.
        let _ = JsFuture::from(turn).await;
    }
    channel.port1().close();
}
