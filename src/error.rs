//! Failures as JavaScript sees them: an `Error` with `code`, `retryable`, `hint` and, where there is one, `path`.

use js_sys::Reflect;
use tidewire_core::error::{Code, CoreError};
use wasm_bindgen::JsValue;

/// The JavaScript `Error` of a refusal.
pub(crate) fn to_js(error: &CoreError) -> JsValue {
    let js = js_sys::Error::new(&error.message);
    js.set_name("ClientError");
    set(&js, "code", error.code.as_str().into());
    set(&js, "retryable", error.retryable().into());
    set(&js, "hint", (&*error.message).into());
    if let Some(path) = &error.path {
        set(&js, "path", path.as_str().into());
    }
    js.into()
}

fn set(error: &JsValue, name: &str, value: JsValue) {
    // It throws only for an object that cannot change; this one was just made.
    let _ = Reflect::set(error, &name.into(), &value);
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
    message.or_else(|| thrown.as_string()).unwrap_or_else(|| "something that is no error was thrown".to_owned())
}
