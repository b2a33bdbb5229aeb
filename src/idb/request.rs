//! Requests and transactions of IndexedDB as futures. Nothing of Rust is called back: the handlers are a promise's own
//! functions, and what awaits it runs in a microtask of the event, while the transaction is still active.

use js_sys::{Object, Promise, Reflect};
use tidewire_core::io::Durability;
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{IdbDatabase, IdbKeyRange, IdbObjectStore, IdbRequest, IdbTransaction};

use super::connection::{Failure, Result};

#[wasm_bindgen]
extern "C" {
    /// A database or a transaction, for what web-sys does not have or keeps for older releases.
    type Raw;

    /// Begins a transaction; the option `durability` is why this stands here.
    #[wasm_bindgen(method, catch, js_name = transaction)]
    fn begin(
        this: &Raw,
        stores: &JsValue,
        mode: &str,
        options: &Object,
    ) -> std::result::Result<IdbTransaction, JsValue>;

    #[wasm_bindgen(method, catch)]
    fn commit(this: &Raw) -> std::result::Result<(), JsValue>;
}

/// A request that was sent. It is listened to from then on, so one that nobody awaits any more fails in silence.
pub(super) struct Reply {
    request: IdbRequest,
    done: JsFuture,
}

impl Reply {
    /// Listens to a request that was just made.
    pub(super) fn of(request: IdbRequest) -> Self {
        let done = Promise::new(&mut |resolve, reject| {
            request.set_onsuccess(Some(resolve.unchecked_ref()));
            request.set_onerror(Some(reject.unchecked_ref()));
        });
        Self { request, done: JsFuture::from(done) }
    }

    /// The result: `undefined` where there is none.
    pub(super) async fn value(self) -> Result<JsValue> {
        match self.done.await {
            Ok(_) => Ok(self.request.result()?),
            Err(_) => Err(self.request.error()?.map_or(Failure::Unknown, |error| Failure::from(JsValue::from(error)))),
        }
    }

    /// A number, where there is one.
    pub(super) async fn number(self) -> Result<Option<f64>> {
        Ok(self.value().await?.as_f64())
    }

    /// The key that a put chose.
    pub(super) async fn key(self) -> Result<u64> {
        Ok(self.number().await?.ok_or(Failure::Unknown)? as u64)
    }
}

/// A transaction. Dropping it before its end gives it up, all of it.
pub(super) struct Transaction {
    transaction: IdbTransaction,
    over: Option<JsFuture>,
}

impl Transaction {
    /// Begins to read.
    pub(super) fn reading(db: &IdbDatabase, stores: &[&str]) -> Result<Self> {
        Self::new(db, stores, "readonly", &Object::new())
    }

    /// Begins to write.
    pub(super) fn writing(db: &IdbDatabase, stores: &[&str], durability: Durability) -> Result<Self> {
        let durability = match durability {
            Durability::Strict => "strict",
            Durability::Relaxed => "relaxed",
        };
        let options = Object::new();
        Reflect::set(&options, &"durability".into(), &durability.into())?;
        Self::new(db, stores, "readwrite", &options)
    }

    fn new(db: &IdbDatabase, stores: &[&str], mode: &str, options: &Object) -> Result<Self> {
        let stores: js_sys::Array = stores.iter().map(|name| JsValue::from_str(name)).collect();
        // It throws only on a connection that is closed, and then nothing has been asked of it.
        let transaction = db.unchecked_ref::<Raw>().begin(&stores, mode, options).map_err(|_| Failure::Dead)?;
        let over = Promise::new(&mut |resolve, reject| {
            transaction.set_oncomplete(Some(resolve.unchecked_ref()));
            transaction.set_onabort(Some(reject.unchecked_ref()));
        });
        Ok(Self { transaction, over: Some(JsFuture::from(over)) })
    }

    pub(super) fn store(&self, name: &str) -> Result<IdbObjectStore> {
        Ok(self.transaction.object_store(name)?)
    }

    /// Commits at once, without a round trip for the requests before it, and waits until it is complete.
    pub(super) async fn commit(mut self) -> Result<()> {
        // Where it throws the transaction is over already, and its end says how.
        let _ = self.transaction.unchecked_ref::<Raw>().commit();
        let Some(over) = self.over.take() else { return Ok(()) };
        match over.await {
            Ok(_) => Ok(()),
            // The event says only "aborted"; the reason, such as a full quota, stands in the transaction.
            Err(_) => {
                Err(self.transaction.error().map_or(Failure::Unknown, |error| Failure::from(JsValue::from(error))))
            }
        }
    }

    /// Gives it up and waits until nothing of it is left.
    pub(super) async fn abort(mut self) -> Result<()> {
        self.transaction.abort()?;
        match self.over.take() {
            Some(over) => over.await.err().map(drop).ok_or(Failure::Unknown),
            None => Ok(()),
        }
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        if self.over.is_some() {
            // It throws only when it is over.
            let _ = self.transaction.abort();
        }
    }
}

/// A key as IndexedDB has it.
pub(super) fn key(key: u64) -> JsValue {
    JsValue::from_f64(key as f64)
}

/// All keys above `after`, and up to `upto` where that is given.
pub(super) fn above(after: u64, upto: Option<u64>) -> Result<IdbKeyRange> {
    Ok(match upto {
        Some(upto) => IdbKeyRange::bound_with_lower_open_and_upper_open(&key(after), &key(upto), true, false)?,
        None => IdbKeyRange::lower_bound_with_open(&key(after), true)?,
    })
}
