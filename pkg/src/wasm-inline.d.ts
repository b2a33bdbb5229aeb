// The module's two parts as base64, made by `cargo xtask build` and loaded only where no file is found.
export declare const main: string;
export declare const more: string;
