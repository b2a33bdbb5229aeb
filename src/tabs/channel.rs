//! Bytes to and from the other tabs. Messages are hints: a lost one costs time, never data.

use js_sys::Uint8Array;
use wasm_bindgen::JsCast;
use web_sys::{AbortSignal, BroadcastChannel, MessageEvent};

use crate::convert::own_bytes;
use crate::env::Listeners;
use crate::trap;

/// The channel of one store.
pub(crate) struct Channel {
    channel: BroadcastChannel,
    _held: Option<trap::Held>,
}

impl Channel {
    /// Joins; `None` where the browser has none, and then the tabs meet in the log alone.
    pub(crate) fn join(
        name: &str,
        listeners: &mut Listeners,
        signal: &AbortSignal,
        received: impl Fn(Vec<u8>) + 'static,
    ) -> Option<Self> {
        let channel = BroadcastChannel::new(&format!("tidewire:{name}")).ok()?;
        listeners.add(&channel, "message", signal, move |event| {
            let data = event.dyn_into::<MessageEvent>().map(|event| event.data());
            if let Ok(Ok(bytes)) = data.map(JsCast::dyn_into::<Uint8Array>) {
                received(bytes.to_vec());
            }
        });
        let held = trap::hold_method(&channel, "close");
        Some(Self { channel, _held: held })
    }

    /// Says something to all other tabs.
    pub(crate) fn send(&self, bytes: &[u8]) {
        // It throws only when closed; a message is a hint.
        let _ = self.channel.post_message(&own_bytes(bytes));
    }

    pub(crate) fn leave(&self) {
        self.channel.close();
    }
}
