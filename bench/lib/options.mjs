/** The words after `npm run bench --`. */
import { SIZES } from "./sessions.mjs";

const USAGE = `npm run bench -- [options]
  --quick          small sizes, one round: a check that every adapter is correct; without the curves of growth
  --only <words>   adapters, sessions or figures, by name, with commas
  --without <list> sessions to leave out, such as curve: the costs at 10,000 to 300,000 documents
  --rounds <n>     how often each is measured (5)
  --slow-once <s>  what took a library longer than so many seconds is measured in the first round only
  --sizes <list>   other sizes, as large=10000,huge=20000,each=500,patched=5000
  --out <dir>      where the results go
  --continue       adds to what is there: more rounds, sessions or libraries of the same commit and the same sizes`;

/** What to run, or `problem`. */
export function optionsOf(words, { adapters, sessions }) {
  const found = { quick: false, only: [], without: [], rounds: undefined, sizes: {}, out: undefined };
  found.slowOnce = Infinity;
  found.continues = false;
  for (let at = 0; at < words.length; at += 1) {
    const value = words[at + 1];
    if (words[at] === "--quick") found.quick = true;
    else if (words[at] === "--continue") found.continues = true;
    else if (words[at] === "--only" && value) found.only.push(...words[(at += 1)].split(","));
    else if (words[at] === "--without" && value) found.without.push(...words[(at += 1)].split(","));
    else if (words[at] === "--rounds" && /^\d+$/.test(value ?? "")) found.rounds = Number(words[(at += 1)]);
    else if (words[at] === "--sizes" && /^(\w+=\d+,?)+$/.test(value ?? "")) found.sizes = pairs(words[(at += 1)]);
    else if (words[at] === "--slow-once" && /^\d+$/.test(value ?? "")) found.slowOnce = Number(words[(at += 1)]);
    else if (words[at] === "--out" && value) found.out = words[(at += 1)];
    else return { problem: USAGE };
  }
  const known = (word) => adapters.includes(word) || Object.keys(sessions).includes(word) || owner(sessions, word);
  const unknown = [
    ...found.only.filter((word) => !known(word)),
    ...found.without.filter((word) => !Object.keys(sessions).includes(word)),
  ];
  if (unknown.length > 0) return { problem: unknownWords(unknown, adapters, sessions) };
  const named = found.only.filter((word) => adapters.includes(word));
  const chosen = found.only.filter((word) => !adapters.includes(word)).map((word) => owner(sessions, word) ?? word);
  const left = [...found.without, ...(found.quick && !chosen.includes("curve") ? ["curve"] : [])];
  const wanted = (name) => (chosen.length === 0 || chosen.includes(name)) && !left.includes(name);
  const sizes = { ...(found.quick ? SIZES.quick : SIZES.full), ...found.sizes };
  return {
    adapters: adapters.filter((name) => named.length === 0 || named.includes(name)),
    sessions: Object.keys(sessions).filter(wanted),
    sizes: { ...sizes, rounds: found.rounds ?? sizes.rounds },
    quick: found.quick,
    slowOnce: found.slowOnce,
    continues: found.continues,
    whole: !found.quick && found.only.length + found.without.length === 0 && Object.keys(found.sizes).length === 0,
    out: found.out,
  };
}

const pairs = (text) =>
  Object.fromEntries(text.split(",").map((one) => [one.split("=")[0], Number(one.split("=")[1])]));

/** The session that measures a figure. */
function owner(sessions, figure) {
  return Object.keys(sessions).find((name) => sessions[name].figures.includes(figure));
}

function unknownWords(words, adapters, sessions) {
  const figures = Object.values(sessions).flatMap((session) => session.figures);
  const list = (title, names) => `${title}: ${names.join(", ")}`;
  const lists = [list("Adapters", adapters), list("Sessions", Object.keys(sessions)), list("Figures", figures)];
  return [`Nothing is called ${words.join(", ")}.`, ...lists].join("\n");
}
