/** What a bad network does to one request. */
import zlib from "node:zlib";

import { deferred } from "./until.mjs";

/** The server answers with this status; `body` is an error body of the protocol. */
export const answer =
  (status, code, headers = {}) =>
  (exchange) =>
    exchange.reply({
      status,
      headers: { "content-type": "application/json", ...headers },
      body: JSON.stringify({ code, message: `made up by the test: ${status}` }),
    });

/** A captive portal: 200, but a page. */
export const portal = (exchange) =>
  exchange.reply({
    status: 200,
    headers: { "content-type": "text/html" },
    body: "<html><body>Sign in to the Wi-Fi</body></html>",
  });

/** The request never reaches the server. */
export const lose = (exchange) => exchange.cut();

/** The server does the work; its answer is lost. */
export const loseAnswer = async (exchange) => {
  await exchange.forward();
  exchange.cut();
};

/** The server does the work; half of its answer arrives. */
export const loseHalfAnswer = async (exchange) => exchange.replyHalf(await exchange.forward());

/** The server does the work; half of its answer arrives, then nothing more. */
export const stall = async (exchange) => exchange.replyHalf(await exchange.forward(), { cut: false });

/** The answer arrives but for the lines of these entities. */
export const loseLines = (isLost) => async (exchange) => {
  const { status, headers, body } = await exchange.forward();
  const { "content-encoding": encoding, ...rest } = headers;
  const text = { br: zlib.brotliDecompressSync, gzip: zlib.gunzipSync }[encoding]?.(body) ?? body;
  const lines = text.toString("utf8").split("\n");
  const isChange = (line) => line.startsWith('{"id":');
  const kept = lines.filter((line) => !isChange(line) || !isLost(JSON.parse(line)));
  exchange.entry.lost = lines.length - kept.length;
  exchange.reply({ status, headers: rest, body: kept.join("\n") });
};

/** The request arrives twice; the second answer is the one that comes back. */
export const double = async (exchange) => {
  await exchange.forward();
  exchange.reply(await exchange.forward());
};

/** The request arrives twice at the same moment. */
export const doubleAtOnce = async (exchange) => {
  const [, second] = await Promise.all([exchange.forward(), exchange.forward()]);
  exchange.reply(second);
};

/** The request is taken aside: the client sees a failure, and it reaches the server when `release` is called. */
export function late() {
  const gate = deferred();
  const arrived = deferred();
  const fault = (exchange) => {
    exchange.cut();
    void gate.promise.then(() => exchange.forward()).then(arrived.resolve, arrived.reject);
  };
  const release = () => {
    gate.resolve();
    return arrived.promise;
  };
  return { fault, release };
}
