//! The Web Lock that makes one tab the leader. It is held by a promise that resolves when the tab lets go; a closed
//! or crashed tab lets go by itself. A stolen lock is reported as lost; the engine's fence keeps that safe.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use js_sys::{Function, Object, Promise, Reflect};
use wasm_bindgen::closure::Closure;
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::AbortController;

use crate::env::spawn;
use crate::trap;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = ["navigator", "locks"], js_name = request, catch)]
    fn request_lock(name: &str, options: &Object, callback: &Function) -> Result<Promise, JsValue>;
}

/// News of the lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum News {
    Held,
    Lost,
}

/// One request for the lock, from asking to letting go.
struct Request {
    /// Ends the waiting.
    cancel: AbortController,
    /// Lets go of what is held.
    release: Function,
    /// Whether this side ended it.
    given_back: Rc<Cell<bool>>,
    /// Whether it is over, by whoever's doing.
    ended: Rc<Cell<bool>>,
    _held: [Option<trap::Held>; 2],
}

/// The lock of one store.
pub(crate) struct Lock {
    name: String,
    /// A store in memory is this tab's alone.
    private: bool,
    request: RefCell<Option<Request>>,
}

impl Lock {
    pub(crate) fn new(name: &str, private: bool) -> Self {
        Self { name: format!("tidewire:{name}"), private, request: RefCell::new(None) }
    }

    /// Asks for it. Where there are no locks (an insecure context, an old browser) every tab leads: the fence keeps
    /// the log right, and only requests are doubled.
    pub(crate) fn request(&self, tell: impl Fn(News) + Clone + 'static) {
        if self.request.borrow().as_ref().is_some_and(|request| !request.ended.get()) {
            return;
        }
        match self.ask(tell.clone()) {
            Some(request) => *self.request.borrow_mut() = Some(request),
            None => tell(News::Held),
        }
    }

    fn ask(&self, tell: impl Fn(News) + Clone + 'static) -> Option<Request> {
        if self.private {
            return None;
        }
        let cancel = AbortController::new().ok()?;
        let mut release = None;
        let until_released = Promise::new(&mut |resolve, _| release = Some(resolve));
        let release = release?;
        let options = Object::new();
        Reflect::set(&options, &"signal".into(), &cancel.signal()).ok()?;
        let given_back = Rc::new(Cell::new(false));
        let held = Rc::new(Cell::new(false));
        let granted = {
            let (tell, held, given_back) = (tell.clone(), held.clone(), given_back.clone());
            Closure::once_into_js(move |_lock: JsValue| -> Promise {
                if !given_back.get() {
                    held.set(true);
                    // Not from inside the browser's callback: it must return the promise whatever the engine does.
                    spawn(async move { tell(News::Held) });
                }
                until_released
            })
        };
        let ended = request_lock(&self.name, &options, granted.as_ref().unchecked_ref()).ok()?;
        let (ended_by_us, over) = (given_back.clone(), Rc::new(Cell::new(false)));
        let is_over = over.clone();
        spawn(async move {
            // Rejected when cancelled (then it was not held) or stolen.
            let _ = JsFuture::from(ended).await;
            is_over.set(true);
            if held.get() && !ended_by_us.get() {
                tell(News::Lost);
            }
        });
        let held = [Some(trap::hold(release.clone())), trap::hold_method(&cancel, "abort")];
        Some(Request { cancel, release, given_back, ended: over, _held: held })
    }

    /// Lets go, or stops waiting.
    pub(crate) fn release(&self) {
        if let Some(request) = self.request.take() {
            request.given_back.set(true);
            request.cancel.abort();
            // A resolve function does not throw.
            let _ = request.release.call0(&JsValue::UNDEFINED);
        }
    }
}
