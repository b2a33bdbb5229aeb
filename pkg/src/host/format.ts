/**
 * The storage format of this release: a part of the database's name. A release that stores something in another way
 * raises it; `move.ts` then carries the data over, and what this release cannot read any more is changed there.
 */
export const FORMAT: number = 1;
