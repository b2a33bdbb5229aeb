/** What `cargo xtask kit` writes into `dist/testing`: the crate `tidewire-testing` (`testing/src`). */

/** Called by the module. */
export interface Rules {
  refuse(edit: string): string | undefined;
  readers(entity: string): string | undefined;
}

export class Authority {
  static make(settings: string, relations: string, rules: Rules): Authority | undefined;
  answer(user: string, path: string, body: string, nowMs: number): string;
  subscribe(socket: number, user: string, auth: string, nowMs: number): string;
  unsubscribe(socket: number): void;
  frame(socket: number): string | undefined;
  seq(socket: number): number;
  newest(): number;
  rows(collection: string): string;
  back_up(): number;
  restore(backup: number): boolean;
  clear(): void;
  prune(): void;
  changePolicy(): void;
  free(): void;
}

export default function init(options: { module_or_path: WebAssembly.Module }): Promise<unknown>;
