//! The live channel: one WebSocket that carries text. The first message authenticates; that is the engine's business.

use std::cell::RefCell;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;

use futures_core::Stream;
use futures_sink::Sink;
use gloo_net::websocket::futures::WebSocket;
use gloo_net::websocket::{Message, State, WebSocketError};
use wasm_bindgen_futures::spawn_local;
use web_sys::Url;

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

type Shared = Rc<RefCell<Option<WebSocket>>>;

/// One connection. Dropping it closes it, silently.
pub(crate) struct Socket {
    /// Taken when this side closes, so that the reader then says nothing more.
    socket: Shared,
    _held: Option<trap::Held>,
}

impl Socket {
    /// Begins to connect; `tell` hears the rest. An address that cannot be used is a channel that closed.
    pub(crate) fn open(url: &str, tell: impl Fn(News) + 'static) -> Self {
        let raw = socket_url(url).and_then(|url| web_sys::WebSocket::new(&url).ok());
        let held = raw.as_ref().and_then(|raw| trap::hold_method(raw, "close"));
        let socket: Shared = Rc::new(RefCell::new(raw.and_then(|raw| WebSocket::try_from(raw).ok())));
        let shared = socket.clone();
        spawn_local(async move {
            if shared.borrow().is_none() {
                return tell(News::Closed(CODE_ABNORMAL));
            }
            read(&shared, &tell).await;
        });
        Self { socket, _held: held }
    }

    /// Sends a text message; a channel that is closing says so by itself.
    pub(crate) fn send(&self, text: String) {
        if let Some(socket) = self.socket.borrow_mut().as_mut() {
            let _ = Pin::new(socket).start_send(Message::Text(text));
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // Closes it; its reader is freed without another word.
        drop(self.socket.take());
    }
}

async fn read(socket: &Shared, tell: &impl Fn(News)) {
    let open = poll_fn(|context| match socket.borrow_mut().as_mut() {
        None => Poll::Ready(false),
        Some(socket) => {
            let ready = Pin::new(&mut *socket).poll_ready(context);
            ready.map(|_| matches!(socket.state(), State::Open))
        }
    });
    if open.await {
        tell(News::Open);
    }
    loop {
        let next = poll_fn(|context| match socket.borrow_mut().as_mut() {
            None => Poll::Ready(None),
            Some(socket) => Pin::new(socket).poll_next(context).map(Some),
        });
        match next.await {
            None => return,
            Some(Some(Ok(Message::Text(text)))) => tell(News::Text(text)),
            // The protocol has no binary messages; an error is followed by the close.
            Some(Some(
                Ok(Message::Bytes(_)) | Err(WebSocketError::ConnectionError | WebSocketError::MessageSendError(_)),
            )) => {}
            Some(Some(Err(WebSocketError::ConnectionClose(event)))) => return tell(News::Closed(event.code)),
            Some(Some(Err(_)) | None) => return tell(News::Closed(CODE_ABNORMAL)),
        }
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
