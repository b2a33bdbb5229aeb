/**
 * The test kit: a server in this process, devices around it, and a clock. Tests of an app go offline, lose answers and
 * make conflicts with it, without a browser, a server process or waiting.
 *
 * The server is the real authority, compiled to WebAssembly, over a store in memory; the devices are the real SDK. What
 * is not real is the network, the disk and the time. It is no part of any app: import it in tests only.
 *
 *     const server = await createTestServer({ collections });
 *     const phone = server.device("phone", { user: "ada" });
 *     const db = phone.open({ name: "app", collections });
 *     phone.offline();
 *     await db.todos.insert({ title: "Milk" });
 *     phone.online();
 *     await server.settled();
 *     server.rows("todos"); // [{ id, title: "Milk" }]
 *     await server.close();
 *
 * Invariant: the same test gives the same result each time.
 */
export type { TestClock } from "./clock.js";
export type { StoredRow, TestEdit, TestRefusal, TestRequest, TestRules } from "./desk.js";
export type { TestDevice } from "./device.js";
export type { Faults, Refusal, Traffic } from "./faults.js";
export { createTestServer, type TestServer, type TestServerOptions, type Snapshot } from "./server.js";
