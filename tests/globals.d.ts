/** What the pages of these tests put on `window`: see `page/main.js` and `suites/storage.test.mjs`. */
interface Window {
  /** Set by a test whose page must store nothing from then on. */
  dead?: boolean;
  /** Rows of any shape are written and read: these tests are about sync. */
  tw: any;
  fault: any;
  /** The demo's own. */
  tidewire: any;
  /** How far the wall clock is off, in `suites/surroundings.test.mjs`. */
  jump?: number;
  jump?: number;
}
