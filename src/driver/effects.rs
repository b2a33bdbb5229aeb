//! One effect per output. Each runs by itself and ends in an input; none of them decides anything.

use futures_channel::oneshot;
use tidewire_core::io::{Fetch, Input, Output, StoreOp, Token, TokenWhy};
use web_sys::AbortController;

use super::Driver;
use crate::env::{spawn, time};
use crate::net::{http, socket};
use crate::tabs::lock;

/// Store operations under way beyond which the body of an answer is not read on.
const STORES_AHEAD_MAX: u32 = 4;

impl Driver {
    pub(super) fn perform(&self, output: Output) {
        match output {
            Output::Store { token, op } => self.store(token, op),
            Output::Fetch { token, request } => self.fetch(token, request),
            Output::Abort { token } => {
                if let Some(request) = self.forget_request(token) {
                    request.abort();
                }
            }
            Output::SocketOpen { token } => self.open_socket(token),
            Output::SocketSend { token, text } => {
                if let Some((_, socket)) = self.socket.borrow().as_ref().filter(|(open, _)| *open == token) {
                    socket.send(&text);
                }
            }
            Output::SocketClose { token } => {
                let closed = self.socket.borrow_mut().take_if(|(open, _)| *open == token);
                drop(closed);
                self.later(Input::SocketClosed { token, code: socket::CODE_NORMAL });
            }
            Output::AskToken { why } => self.ask_token(why),
            Output::Broadcast(bytes) => {
                if let Some(channel) = &*self.channel.borrow() {
                    channel.send(&bytes);
                }
            }
            Output::RequestLock => {
                let tell = self.input_of(|news| match news {
                    lock::News::Held => Input::LockHeld,
                    lock::News::Lost => Input::LockLost,
                });
                self.lock.request(tell);
            }
            Output::ReleaseLock => self.lock.release(),
            Output::Wake { at_mono_ms } => {
                let wake = self.input_of(|()| Input::Wake);
                *self.wake.borrow_mut() = Some(time::at(at_mono_ms, move || wake(())));
            }
            Output::Event(event) => self.tell(event),
            _ => {}
        }
    }

    /// An input for after the output in hand.
    fn later(&self, input: Input) {
        self.inbox.borrow_mut().push_back(input);
    }

    fn store(&self, token: Token, op: StoreOp) {
        let Some(driver) = self.this.upgrade() else { return };
        self.stores_under_way.set(self.stores_under_way.get() + 1);
        spawn(async move {
            let result = driver.store.run(op).await;
            driver.stores_under_way.set(driver.stores_under_way.get() - 1);
            for waiting in driver.room.take() {
                let _ = waiting.send(());
            }
            driver.feed(Input::Stored { token, result });
        });
    }

    fn fetch(&self, token: Token, request: Fetch) {
        let Some(driver) = self.this.upgrade() else { return };
        let Ok(abort) = AbortController::new() else {
            return self.later(Input::NetFailed { token, message: "requests cannot be made here".to_owned() });
        };
        let signal = abort.signal();
        self.requests.borrow_mut().push((token, abort));
        let url = self.config.endpoint(&request.path);
        spawn(async move {
            let result = driver.exchange(token, http::send(&url, request, &signal).await).await;
            if driver.forget_request(token).is_some() {
                driver.feed(match result {
                    Ok(()) => Input::Finished { token },
                    Err(message) => Input::NetFailed { token, message },
                });
            }
        });
    }

    /// Takes a request off the list, unless it was aborted.
    fn forget_request(&self, token: Token) -> Option<AbortController> {
        let mut requests = self.requests.borrow_mut();
        let at = requests.iter().position(|(of, _)| *of == token)?;
        Some(requests.swap_remove(at).1)
    }

    async fn exchange(&self, token: Token, answer: Result<http::Answer, String>) -> Result<(), String> {
        let wanted = || self.requests.borrow().iter().any(|(of, _)| *of == token);
        let answer = answer?;
        let http::Head { status, retry_after_ms, json } = answer.head;
        if !wanted() {
            return Ok(());
        }
        self.feed(Input::Response { token, status, retry_after_ms, json });
        let mut pieces = answer.pieces();
        while wanted() {
            let Some(bytes) = pieces.next().await? else { break };
            if wanted() {
                self.feed(Input::Chunk { token, bytes });
                self.room().await;
            }
        }
        Ok(())
    }

    /// Ends when the store has caught up, so that a fast network does not fill the memory.
    async fn room(&self) {
        if self.stores_under_way.get() >= STORES_AHEAD_MAX {
            let (send, receive) = oneshot::channel();
            self.room.borrow_mut().push(send);
            // Dropped without a word only when everything ends.
            let _ = receive.await;
        }
    }

    fn open_socket(&self, token: Token) {
        let tell = self.input_of(move |news| match news {
            socket::News::Open => Input::SocketOpen { token },
            socket::News::Text(text) => Input::SocketMessage { token, text },
            socket::News::Closed(code) => Input::SocketClosed { token, code },
        });
        let opened = socket::Socket::open(&self.config.endpoint("live"), tell);
        drop(self.socket.replace(Some((token, opened))));
    }

    fn ask_token(&self, why: TokenWhy) {
        let Some(driver) = self.this.upgrade() else { return };
        // In a microtask: `auth` is the app's own function.
        spawn(async move {
            let result = driver.token(why).await;
            driver.feed(Input::Token { result });
        });
    }

    /// Asks the app for a token and remembers it.
    pub(crate) async fn token(&self, why: TokenWhy) -> Result<Option<String>, String> {
        let token = self.host.ask_token(why.as_str()).await?;
        self.token.borrow_mut().clone_from(&token);
        Ok(token)
    }

    /// The token that was given last.
    pub(crate) fn last_token(&self) -> Option<String> {
        self.token.borrow().clone()
    }
}
