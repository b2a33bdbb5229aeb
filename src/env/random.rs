//! Chance, from the browser's generator.

use js_sys::Uint8Array;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = crypto, js_name = getRandomValues, catch)]
    fn get_random_values(bytes: &Uint8Array) -> Result<(), JsValue>;
}

/// Sixteen random bytes: the engine's only entropy.
pub(crate) fn entropy() -> Result<[u8; 16], JsValue> {
    let bytes = Uint8Array::new_with_length(16);
    get_random_values(&bytes)?;
    let mut entropy = [0; 16];
    bytes.copy_to(&mut entropy);
    Ok(entropy)
}
