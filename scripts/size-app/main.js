// The smallest honest app: one database that syncs, one write, one live query. No framework, no validation library.
import { openDb } from "tidewire";

const anything = { "~standard": { version: 1, vendor: "size-app", validate: (value) => ({ value }) } };
const db = openDb({ name: "size", url: location.origin, auth: () => "token", collections: { items: anything } });

db.items.where({ done: false }).orderBy("title").subscribe((rows) => {
  document.title = String(rows.length);
});
db.sync.status.subscribe((status) => {
  document.body.dataset.state = status.state;
});
document.body.addEventListener("click", () => db.items.insert({ title: "New", done: false }));
