//! Whether the page can be seen. A page that was frozen or in the back-forward cache says "visible" again when it
//! returns.

use web_sys::{AbortSignal, VisibilityState};

use super::Listeners;

/// Whether the page is shown; `true` where there is no page.
pub(crate) fn is_visible() -> bool {
    let document = web_sys::window().and_then(|window| window.document());
    document.is_none_or(|document| document.visibility_state() == VisibilityState::Visible)
}

/// Calls back at each change, and when the page comes back from where no event reached it.
pub(crate) fn listen(listeners: &mut Listeners, signal: &AbortSignal, changed: impl Fn(bool) + Clone + 'static) {
    let Some(window) = web_sys::window() else { return };
    if let Some(document) = window.document() {
        for name in ["visibilitychange", "resume"] {
            let changed = changed.clone();
            listeners.add(&document, name, signal, move |_| changed(is_visible()));
        }
    }
    listeners.add(&window, "pageshow", signal, move |_| changed(is_visible()));
}
