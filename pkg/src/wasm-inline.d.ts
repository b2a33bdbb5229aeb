/** The module's bytes as base64, in a chunk that is only fetched when the `.wasm` file is not found. */
declare const base64: string;
export default base64;
