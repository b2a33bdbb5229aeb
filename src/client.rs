//! The one exported class. Every method parses nothing, decides nothing and returns or throws what the engine said.

use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;

use js_sys::{Function, Promise, Reflect};
use tidewire_core::engine::Engine;
use tidewire_core::error::{Code, CoreError};
use tidewire_core::io::Now;
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::{JsFuture, future_to_promise};

use crate::driver::Driver;
use crate::error;
use crate::net::entity;
use crate::trap;

#[wasm_bindgen]
extern "C" {
    /// What the TypeScript face offers to the client.
    #[wasm_bindgen(typescript_type = "Host")]
    #[derive(Clone)]
    pub type Host;

    #[wasm_bindgen(method, catch, js_name = event)]
    fn call_event(this: &Host, json: &str) -> Result<(), JsValue>;

    #[wasm_bindgen(method, catch, js_name = token)]
    fn call_token(this: &Host, why: &str) -> Result<JsValue, JsValue>;
}

#[wasm_bindgen(typescript_custom_section)]
const HOST: &str = r#"
/** What the client needs of its owner. */
export interface Host {
  /** A batch of events, as a JSON array. Never called while a method of the client is on the stack. */
  event(json: string): void;
  /** A token for the server, or null when signed out. */
  token(why: "start" | "expiring" | "rejected"): Promise<string | null>;
}
"#;

impl Host {
    pub(crate) fn event(&self, json: &str) -> Result<(), JsValue> {
        self.call_event(json)
    }

    /// The function `event` with its receiver, for when this instance can make no calls any more.
    pub(crate) fn event_function(&self) -> Option<Function> {
        let function = Reflect::get(self, &"event".into()).ok()?.dyn_into::<Function>().ok()?;
        Some(function.bind0(self))
    }

    pub(crate) async fn ask_token(&self, why: &str) -> Result<Option<String>, String> {
        let token = self.call_token(why).map_err(|thrown| error::text_of(&thrown))?;
        let token = JsFuture::from(Promise::resolve(&token)).await.map_err(|thrown| error::text_of(&thrown))?;
        Ok(token.as_string().filter(|token| !token.is_empty()))
    }
}

/// A database, seen from JavaScript. All structured data crosses as JSON text.
#[wasm_bindgen]
pub struct Client {
    config: String,
    host: Host,
    phase: Rc<RefCell<Phase>>,
}

/// A client is opened once and closed once.
#[derive(Default)]
enum Phase {
    #[default]
    New,
    Opening,
    Open(Rc<Driver>),
    Closed,
}

#[wasm_bindgen]
impl Client {
    /// Takes the settings; `open` does the rest.
    #[wasm_bindgen(constructor)]
    pub fn new(config: String, host: Host) -> Self {
        Self { config, host, phase: Rc::default() }
    }

    /// Opens the store and folds the log; afterwards everything else works.
    #[wasm_bindgen(unchecked_return_type = "Promise<string>")]
    pub fn open(&self) -> Promise {
        let (config, host, phase) = (self.config.clone(), self.host.clone(), self.phase.clone());
        promise(Box::pin(async move {
            if !matches!(&*phase.borrow(), Phase::New) {
                return Err(CoreError::new(Code::Closed, "a client is opened once: make a new one"));
            }
            phase.replace(Phase::Opening);
            let opened = Driver::open(&config, host).await;
            if matches!(&*phase.borrow(), Phase::Closed) {
                // Closed while it opened.
                if let Ok(driver) = opened {
                    driver.close().await;
                }
                return Err(error::closed());
            }
            let driver = opened.inspect_err(|_| drop(phase.replace(Phase::Closed)))?;
            let about = format!(r#"{{"storage":"{}"}}"#, driver.storage().as_str());
            phase.replace(Phase::Open(driver));
            Ok(about.into())
        }))
    }

    /// Accepts a write: visible at once, durable later (event `durable`).
    pub fn write(&self, request: &str) -> Result<String, JsValue> {
        self.call(|engine, now| engine.write(now, request))
    }

    /// Takes back what a write changed, as a new write.
    pub fn undo(&self, write: f64) -> Result<String, JsValue> {
        self.call(|engine, now| engine.undo(now, write as u64))
    }

    /// A row, or nothing.
    pub fn row(&self, collection: &str, id: &str) -> Result<Option<String>, JsValue> {
        self.call(|engine, _| engine.row(collection, id))
    }

    /// Rows by a JSON array of ids, in its order, with null for what is not there.
    pub fn rows(&self, collection: &str, ids: &str) -> Result<String, JsValue> {
        self.call(|engine, _| engine.rows(collection, ids))
    }

    /// The ids that answer a query.
    pub fn query(&self, request: &str) -> Result<String, JsValue> {
        self.call(|engine, _| engine.query(request))
    }

    /// `status`, `queue`, `health`, `metrics` or `conflicts`.
    pub fn view(&self, what: &str) -> Result<String, JsValue> {
        let view = self.call(|engine, now| engine.view(now, what))?;
        let storage = self.driver().map(|driver| driver.storage());
        match (what, storage, view.strip_prefix('{')) {
            // Both name the store, which the engine does not know.
            ("status" | "health", Ok(storage), Some(rest)) => {
                Ok(format!(r#"{{"storage":"{}",{rest}"#, storage.as_str()))
            }
            _ => Ok(view),
        }
    }

    /// Pause, resume, now, and what can be done with a failed mutation.
    pub fn command(&self, request: &str) -> Result<String, JsValue> {
        self.call(|engine, now| engine.command(now, request))
    }

    /// Everything, as JSON.
    #[wasm_bindgen(js_name = exportData)]
    pub fn export_data(&self) -> Result<String, JsValue> {
        self.call(|engine, _| engine.export())
    }

    /// Reads one entity from the server, whether it is replicated or not.
    #[wasm_bindgen(js_name = fetchEntity, unchecked_return_type = "Promise<string | undefined>")]
    pub fn fetch_entity(&self, collection: String, id: String) -> Promise {
        let driver = self.driver();
        promise(Box::pin(async move { entity::fetch(&*driver?, &collection, &id).await.map(JsValue::from) }))
    }

    /// Waits for what is being stored and lets everything go. Closing twice is allowed.
    #[wasm_bindgen(unchecked_return_type = "Promise<void>")]
    pub fn close(&self) -> Promise {
        let phase = self.phase.replace(Phase::Closed);
        promise(Box::pin(async move {
            if let Phase::Open(driver) = phase {
                driver.close().await;
            }
            Ok(JsValue::UNDEFINED)
        }))
    }

    /// Closes, and deletes the store.
    #[wasm_bindgen(unchecked_return_type = "Promise<void>")]
    pub fn erase(&self) -> Promise {
        let driver = self.driver();
        self.phase.replace(Phase::Closed);
        promise(Box::pin(async move { driver?.erase().await.map(|()| JsValue::UNDEFINED) }))
    }

    fn driver(&self) -> Result<Rc<Driver>, CoreError> {
        if trap::message().is_some() {
            return Err(error::lost());
        }
        match &*self.phase.borrow() {
            Phase::Open(driver) => Ok(driver.clone()),
            _ => Err(error::closed()),
        }
    }

    fn call<T>(&self, call: impl FnOnce(&mut Engine, Now) -> Result<T, CoreError>) -> Result<T, JsValue> {
        let result = self.driver().and_then(|driver| driver.with(call)?);
        result.map_err(|error| error::to_js(&error))
    }
}

/// Boxed, so that the module holds the way from a future to a promise once and not once per export.
fn promise(future: Pin<Box<dyn Future<Output = Result<JsValue, CoreError>>>>) -> Promise {
    future_to_promise(async move { future.await.map_err(|error| error::to_js(&error)) })
}
