//! The live channel: one WebSocket that carries text. The first message authenticates; that is the engine's business.

use wasm_bindgen::JsCast;
use web_sys::{AbortController, CloseEvent, MessageEvent, Url, WebSocket};

use crate::env::{Listeners, spawn};
use crate::trap;

/// The connection broke, or never came about (RFC 6455, 7.1.5).
pub(crate) const CODE_ABNORMAL: u16 = 1006;
/// Closed on purpose.
pub(crate) const CODE_NORMAL: u16 = 1000;

/// What happens on the channel.
pub(crate) enum News {
    Open,
    Text(String),
    Closed(u16),
}

/// One connection. Dropping it closes it, silently.
pub(crate) struct Socket(Option<Connected>);

struct Connected {
    socket: WebSocket,
    /// Ends the listening, so that a socket that this side closes says nothing more.
    events: AbortController,
    _listeners: Listeners,
    _held: Option<trap::Held>,
}

impl Socket {
    /// Begins to connect; `tell` hears the rest. An address that cannot be used is a channel that closed.
    pub(crate) fn open(url: &str, tell: impl Fn(News) + Clone + 'static) -> Self {
        let connected = Connected::begin(url, tell.clone());
        if connected.is_none() {
            // Not from inside the call that asked for it.
            spawn(async move { tell(News::Closed(CODE_ABNORMAL)) });
        }
        Self(connected)
    }

    /// Sends a text message; a channel that is closing says so by itself.
    pub(crate) fn send(&self, text: &str) {
        if let Some(connected) = &self.0 {
            let _ = connected.socket.send_with_str(text);
        }
    }
}

impl Connected {
    fn begin(url: &str, tell: impl Fn(News) + Clone + 'static) -> Option<Self> {
        let socket = WebSocket::new(&socket_url(url)?).ok()?;
        let events = AbortController::new().ok()?;
        let mut listeners = Listeners::default();
        // An error is followed by the close, and says nothing that the close does not.
        for name in ["open", "message", "close"] {
            let tell = tell.clone();
            listeners.add(&socket, name, &events.signal(), move |event| {
                if let Some(closed) = event.dyn_ref::<CloseEvent>() {
                    tell(News::Closed(closed.code()));
                } else if let Some(message) = event.dyn_ref::<MessageEvent>() {
                    // The protocol has no binary messages.
                    message.data().as_string().map(News::Text).into_iter().for_each(&tell);
                } else {
                    tell(News::Open);
                }
            });
        }
        let held = trap::hold_method(&socket, "close");
        Some(Self { socket, events, _listeners: listeners, _held: held })
    }
}

impl Drop for Connected {
    fn drop(&mut self) {
        self.events.abort();
        // It throws only for a code or a reason, and there is none.
        let _ = self.socket.close();
    }
}

/// The same address with `ws` for `http`; one without a host is taken from the page.
fn socket_url(url: &str) -> Option<String> {
    let base = web_sys::window().and_then(|window| window.location().href().ok());
    let url = match base {
        Some(base) => Url::new_with_base(url, &base).ok()?,
        None => Url::new(url).ok()?,
    };
    match url.protocol().as_str() {
        "http:" => url.set_protocol("ws:"),
        "https:" => url.set_protocol("wss:"),
        _ => {}
    }
    Some(url.href())
}
