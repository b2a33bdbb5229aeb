/** A server of the test kit for one test. */
import { createTestServer } from "../dist/testing/index.js";

/** A server that is closed after the test. */
export async function serverFor(t, options) {
  const server = await createTestServer(options);
  t.after(() => server.close());
  return server;
}

export const titles = (rows) => rows.map((row) => row.title).sort();
