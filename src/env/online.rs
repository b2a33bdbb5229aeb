//! Whether the browser believes that there is a network.

use web_sys::AbortSignal;

use super::Listeners;

/// What the browser says now; `true` where it says nothing.
pub(crate) fn is_online() -> bool {
    web_sys::window().is_none_or(|window| window.navigator().on_line())
}

/// Calls back with each change.
pub(crate) fn listen(listeners: &mut Listeners, signal: &AbortSignal, changed: impl Fn(bool) + Clone + 'static) {
    let Some(window) = web_sys::window() else { return };
    let went_offline = changed.clone();
    listeners.add(&window, "online", signal, move |_| changed(true));
    listeners.add(&window, "offline", signal, move |_| went_offline(false));
}
