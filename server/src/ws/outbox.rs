//! What waits to be sent on one socket: bounded in bytes, so that a reader that does not read costs a fixed amount.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tidewire_core::json;

use axum::extract::ws::{CloseFrame, Message, WebSocket};
use futures_util::SinkExt;
use futures_util::stream::SplitSink;
use tidewire_core::limits::SEND_BUFFER_BYTES_MAX;
use tidewire_core::protocol::message::ServerMessage;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// The sending half of a socket.
pub(super) struct Outbox {
    queue: mpsc::UnboundedSender<Message>,
    waiting: Arc<AtomicUsize>,
    writer: JoinHandle<()>,
}

/// More waits than the buffer holds.
#[derive(Debug)]
pub(super) struct Full;

impl Outbox {
    pub(super) fn start(mut sink: SplitSink<WebSocket, Message>) -> Self {
        let (queue, mut messages) = mpsc::unbounded_channel::<Message>();
        let waiting = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&waiting);
        let writer = tokio::spawn(async move {
            while let Some(message) = messages.recv().await {
                let length = length_of(&message);
                if sink.send(message).await.is_err() {
                    return;
                }
                counted.fetch_sub(length, Ordering::Relaxed);
            }
        });
        Self { queue, waiting, writer }
    }

    pub(super) fn send(&self, message: &ServerMessage) -> Result<(), Full> {
        // Our own messages always serialize: their keys are text and their documents are JSON already.
        let text = json::to_text(message);
        self.send_text(text)
    }

    pub(super) fn send_text(&self, text: String) -> Result<(), Full> {
        if self.waiting.load(Ordering::Relaxed) + text.len() > SEND_BUFFER_BYTES_MAX {
            return Err(Full);
        }
        self.waiting.fetch_add(text.len(), Ordering::Relaxed);
        // If the writer is gone the socket is, and the session hears of it.
        let _ = self.queue.send(Message::Text(text.into()));
        Ok(())
    }

    /// Sends what waits, then the close. A reader that does not take it in time is cut off.
    pub(super) async fn close(mut self, code: u16, reason: &'static str, patience: Duration) {
        let _ = self.queue.send(Message::Close(Some(CloseFrame { code, reason: reason.into() })));
        drop(self.queue);
        if tokio::time::timeout(patience, &mut self.writer).await.is_err() {
            self.writer.abort();
        }
    }
}

fn length_of(message: &Message) -> usize {
    match message {
        Message::Text(text) => text.len(),
        _ => 0,
    }
}
