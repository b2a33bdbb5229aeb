/** Sensitive fields: what an edit comes to that gives back what the app has read, through the whole face. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { settled } from "./fake.mjs";
import { openGuarded } from "./guarded.mjs";

const STORED = { name: "Ada", b: 0, address: { city: "Oslo" } };
const PERSON = { ...STORED, ssn: "1", address: { city: "Oslo", street: "a" } };

/** A database with one person; `secret`: what `aside` has of it. */
async function openPerson(t, { secret, stored = STORED } = {}) {
  const opened = await openGuarded(t, ({ main, aside }, which) => {
    main.entities.set("people/p", stored);
    if (secret && which === 1) aside.entities.set("people/p", secret);
  });
  const [{ main, aside }] = opened.made;
  const codes = [];
  const told = (write) => void write.catch(({ code }) => codes.push(code));
  return { ...opened, main, aside, codes, told, arrived: () => opened.arrive("p", PERSON) };
}

/** What patches do; the core drops what stays the same. */
const edits = ({ ops }) => ops.map(({ op, set = {}, unset = [] }) => [op, changed(set), unset]);
const changed = (set) => Object.fromEntries(Object.entries(set).filter(([at, value]) => STORED[at.slice(1)] !== value));

test("a row that was read while fields were missing removes none of them when it is given back", async (t) => {
  const { db, main, aside, told, arrived } = await openPerson(t);
  const row = await db.people.get("p");
  assert.deepEqual(row.$missing, ["ssn", "address.street"]);
  arrived();
  told(db.people.upsert({ ...row, name: "Eda" }));
  told(db.people.update("p", { ...row, name: "Bo" }));
  told(db.people.update("p", { ...row, address: undefined }));
  told(db.people.upsert({ ...row, ssn: "2" }));
  await settled();
  assert.deepEqual(edits(main), [
    ["patch", { "/name": "Eda" }, []],
    ["patch", { "/name": "Bo" }, []],
    ["patch", {}, ["/address/city"]],
  ]);
  assert.deepEqual(edits(aside), [["patch", { "/ssn": "2" }, []]]);
});

test("nor does such a row when it decides a conflict", async (t) => {
  const { db, main, aside, told, arrived } = await openPerson(t);
  const about = { c: "people", e: "p", path: "/name", state: "open", own: true, at: 1 };
  main.conflicts = [{ id: "1-1-1", ...about, base: "A", yours: "Ada", kept: "Eve" }];
  const row = await db.people.get("p");
  const [conflict] = await db.sync.conflicts.get();
  arrived();
  told(conflict.keep({ ...row, name: "Eda" }));
  await settled();
  assert.deepEqual(edits(main), [["patch", { "/name": "Eda" }, []]]);
  assert.deepEqual([main.ops[0].resolves, aside.ops], [["1-1-1"], []]);
});

test("an object that is set over one with missing fields changes what it shows of it alone", async (t) => {
  const { db, main, aside, codes, told, arrived } = await openPerson(t);
  const row = await db.people.get("p");
  told(db.people.update("p", { address: { ...row.address, city: "Bergen" } }));
  told(db.people.update("p", row));
  // What may be in a parent that is dropped nobody here has seen.
  told(db.people.update("p", { address: undefined }));
  told(db.people.update("p", { address: "Oslo" }));
  told(db.people.update("p", (draft) => void delete draft.address));
  told(db.people.upsert({ id: "p", name: "Ada", b: 0 }));
  await settled();
  assert.deepEqual(codes, Array(4).fill("sensitive-offline"));
  assert.deepEqual(edits(main), [
    ["patch", { "/address/city": "Bergen" }, []],
    ["patch", {}, []],
  ]);
  // To name the field itself is to know what one does.
  told(db.people.update("p", { ssn: undefined }));
  await settled();
  assert.deepEqual(edits(aside), [["patch", {}, ["/ssn"]]]);
  arrived();
  assert.equal((await db.people.get("p")).ssn, "1");
});

test("what an app may not have seen is not removed by an object or a row without it", async (t) => {
  const { db, main, aside, codes, told, arrived } = await openPerson(t);
  const { id, name, b, address } = await db.people.get("p");
  arrived();
  told(db.people.update("p", { address: { ...address, city: "Bergen" } }));
  told(db.people.upsert({ id, name, b, address: { ...address, street: "a" } }));
  await settled();
  assert.deepEqual([codes, main.ops, aside.ops], [Array(2).fill("bad-mutation"), [], []]);
  told(db.people.update("p", { "address.street": undefined }));
  told(db.people.update("p", (draft) => void delete draft.ssn));
  await settled();
  assert.deepEqual(edits(aside), [
    ["patch", {}, ["/address/street"]],
    ["patch", {}, ["/ssn"]],
  ]);
  assert.equal(codes.length, 2);
});

test("a row that was always known is edited as it is given, and what stays the same is not written", async (t) => {
  const { db, main, aside, told } = await openPerson(t, { secret: PERSON });
  const row = await db.people.get("p");
  told(db.people.update("p", { ...row, name: "Eda" }));
  told(db.people.upsert({ ...row, address: { ...row.address, city: "Bergen" } }));
  await settled();
  assert.deepEqual(edits(main), [
    ["patch", { "/name": "Eda" }, []],
    ["patch", { "/address/city": "Bergen" }, []],
  ]);
  told(db.people.upsert({ ...row, ssn: undefined }));
  told(db.people.update("p", { address: { city: "Oslo" } }));
  told(db.people.update("p", { address: undefined }));
  await settled();
  assert.deepEqual(
    edits(aside),
    ["/ssn", "/address/street", "/address"].map((path) => ["patch", {}, [path]]),
  );
});

test("what only this device knows takes no connection, and parents are made without what may be in them", async (t) => {
  const { db, main, aside, told } = await openPerson(t, { stored: { ...STORED, $rev: 0 } });
  told(db.people.update("p", { address: undefined }));
  told(db.people.upsert({ id: "p", name: "Ada" }));
  await settled();
  assert.deepEqual([main.ops.length, aside.ops], [2, []]);
  const other = await openPerson(t, { stored: { name: "Ada" } });
  other.told(other.db.people.update("p", { address: { city: "Oslo" } }));
  await settled();
  assert.deepEqual(edits(other.main), [["patch", { "/address/city": "Oslo" }, []]]);
});

test("a transaction may take a field back to where it was", async (t) => {
  const { db, main, told } = await openPerson(t, { secret: PERSON });
  told(
    db.transaction((tx) => {
      tx.people.update("p", { b: 5 });
      tx.people.update("p", (draft) => void (draft.b = 0));
      tx.people.upsert({ ...PERSON, id: "p", b: 7 });
      tx.people.upsert({ ...PERSON, id: "p" });
    }),
  );
  await settled();
  assert.deepEqual(
    main.ops.map(({ set }) => set),
    [5, 0, 7, 0].map((b) => ({ "/b": b })),
  );
});

test("a write that comes again after a trap is what it was", async (t) => {
  const writes = [
    (db) => db.people.update("p", (draft) => void (draft.name = "Eda")),
    (db) => db.people.upsert({ ...PERSON, id: "p", name: "Eda" }),
  ];
  for (const write of writes) {
    const { db, made, main, codes, told } = await openPerson(t, { secret: PERSON });
    main.write = () => {
      throw new WebAssembly.RuntimeError("unreachable");
    };
    told(write(db));
    await settled();
    const [, again] = made;
    assert.deepEqual([codes, again.aside.ops], [[], []]);
    assert.deepEqual(edits(again.main), [["patch", { "/name": "Eda" }, []]]);
  }
});

test("an array where the object with a field may be is a field like it", async (t) => {
  const address = [{ street: "a" }];
  const { db, main, aside, codes, told, arrive } = await openPerson(t, { stored: { name: "Ada", b: 0 } });
  const row = await db.people.get("p");
  arrive("p", { name: "Ada", b: 0, address });
  assert.deepEqual((await db.people.get("p")).address, address);
  told(db.people.upsert({ ...row, name: "Eda" }));
  told(db.people.upsert({ id: "p", name: "Eda", b: 0 }));
  await settled();
  assert.deepEqual([edits(main), codes], [[["patch", { "/name": "Eda" }, []]], ["bad-mutation"]]);
  told(db.people.update("p", { address: [] }));
  told(db.people.insert({ id: "q", name: "Bo", address }));
  await settled();
  assert.deepEqual([main.ops.length, aside.ops.map(({ op, set }) => [op, set])], [
    1,
    [
      ["patch", { "/address": [] }],
      ["insert", undefined],
    ],
  ]);
});
