//! Failures as JavaScript sees them: an `Error` with `code`, `retryable`, `hint` and, where there is one, `path`.

use js_sys::{Object, Reflect};
use serde::Serialize;
use tidewire_core::error::{Code, CoreError};
use wasm_bindgen::{JsCast, JsValue};

/// What an error carries beside its message.
#[derive(Serialize)]
struct Fields<'a> {
    code: &'a str,
    retryable: bool,
    hint: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<&'a str>,
}

/// The JavaScript `Error` of a refusal.
pub(crate) fn to_js(error: &CoreError) -> JsValue {
    let js = js_sys::Error::new(&error.message);
    js.set_name("ClientError");
    let fields = Fields {
        code: error.code.as_str(),
        retryable: error.retryable(),
        hint: &error.message,
        path: error.path.as_deref(),
    };
    if let Ok(fields) = serde_wasm_bindgen::to_value(&fields) {
        Object::assign(&js, fields.unchecked_ref());
    }
    js.into()
}

/// The error of every call that comes before `open()` or after `close()`.
pub(crate) fn closed() -> CoreError {
    CoreError::new(Code::Closed, "this database is not open: call `openDb` again")
}

/// The error of every call into an instance that a trap has left unusable.
pub(crate) fn lost() -> CoreError {
    let message = crate::trap::message().unwrap_or_else(|| "the module failed before".to_owned());
    CoreError::new(Code::Internal, message)
}

/// What a thrown JavaScript value says.
pub(crate) fn text_of(thrown: &JsValue) -> String {
    let message = Reflect::get(thrown, &"message".into()).ok().and_then(|message| message.as_string());
    message.or_else(|| thrown.as_string()).unwrap_or_else(|| format!("{thrown:?}"))
}
