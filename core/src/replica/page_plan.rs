//! Which rows of which segments a first page may hold, by the columns of all segments and by the log. One pass over the
//! columns where each entity has one row, and nothing is put in order but what may be the page: the code that does this
//! runs for the first time then, and browsers begin slowly.

use crate::log::record::Record;
use crate::model::conflict::hash_of_entity;
use crate::model::edit::Edit;
use crate::query::ast::{Field, Query};
use crate::query::cell::Cell;
use crate::query::grid::Grid;
use crate::query::row::{Looking, sort};
use crate::replica::boot::Boot;
use crate::store::columns::{Columns, Seen, Stored, What};
use crate::store::directory::{columns_of, hash_of_number};

/// So many segments are read for a page at the most.
const SEGMENTS_MAX: usize = 96;
/// So many entities are read whole for it at the most.
const WHOLE_MAX: usize = 2_000;
/// Rows that are put in order in one go, at least.
const BLOCK: usize = 512;

/// What a page is made of.
#[derive(Debug)]
pub(crate) struct Plan {
    /// The entities that the answer is made of, by their hashes, in order.
    pub(crate) entities: Vec<u64>,
    /// How many rows match beside those.
    pub(crate) beyond: usize,
    /// The segments that have to be read, and which rows of them, in order.
    pub(crate) rows: Vec<(u64, Vec<usize>)>,
}

/// A row, by its place among the rows of all segments.
type Flat = usize;

/// The columns of every segment, with its key.
type Sheets<'a> = Vec<(u64, Columns<'a>)>;

/// What the log tells of: entities, and numbers of edits; by their hashes.
#[derive(Debug, Default)]
struct Told {
    entities: Vec<u64>,
    numbers: Vec<u64>,
}

/// Of one number, the row with the highest position.
struct OnEntity {
    number: u64,
    position: u64,
    what: What,
    about: u64,
    row: Flat,
}

/// What the rows say of an entity.
#[derive(Clone, Copy, Default)]
struct Known {
    about: u64,
    /// Position, row and kind of its newest document.
    document: Option<(u64, What, Flat)>,
    edit: Option<(What, Flat)>,
    /// There is more to it.
    mixed: bool,
}

/// Places in a list by hashes, which are spread evenly.
struct Index(Vec<u32>);

impl Index {
    fn new(count: usize) -> Self {
        Self(vec![0; (2 * count + 2).next_power_of_two()])
    }

    /// Where this hash stands in the list; `len`, and from now on there, if nowhere.
    #[expect(clippy::cast_possible_truncation, reason = "a part of a hash is a hash, and there are fewer rows")]
    fn find(&mut self, hash: u64, len: usize, is: &dyn Fn(usize) -> bool) -> usize {
        let mut at = hash as usize;
        loop {
            at &= self.0.len() - 1;
            match self.0.get_mut(at) {
                Some(place) if *place == 0 => {
                    *place = len as u32 + 1;
                    return len;
                }
                Some(place) if is(*place as usize - 1) => return *place as usize - 1,
                _ => at += 1,
            }
        }
    }
}

/// The entities of one collection, and the edits on them.
struct Entities {
    index: Index,
    list: Vec<Known>,
    numbers: Index,
    edits: Vec<OnEntity>,
}

/// Nothing where columns lack, or too much would have to be read.
pub(crate) fn plan(boot: &Boot, query: &Query) -> Option<Plan> {
    let told = told(boot)?;
    let sheets = sheets(boot)?;
    let count = boot.directories.values().map(|directory| usize::try_from(directory.rows).unwrap_or(0)).sum();
    let mut grid = Grid::of(&query.columns, count);
    let mut entities = Entities::read(&sheets, query, &mut grid, count, &told)?;
    let mut tight = vec![None; count];
    let mut chosen = entities.divide(&mut tight);
    let is_exact = chosen.is_empty();
    if chosen.len() > WHOLE_MAX {
        return None;
    }
    let (first, beyond) = first_rows(&grid, &tight, query)?;
    let mut wanted = first.clone();
    chosen.extend(first.iter().filter_map(|row| tight.get(*row).copied().flatten()));
    if !is_exact {
        entities.rows_of_others(&sheets, query.collection.as_str(), &mut wanted)?;
    }
    wanted.sort_unstable();
    chosen.sort_unstable();
    let rows = by_segment(boot, &wanted);
    (rows.len() <= SEGMENTS_MAX).then_some(Plan { entities: chosen, beyond, rows })
}

/// Rows by segment, each by its place there.
fn by_segment(boot: &Boot, wanted: &[Flat]) -> Vec<(u64, Vec<usize>)> {
    let mut segments = Vec::new();
    let (mut first, mut from) = (0, 0);
    for (key, _) in &boot.records {
        let rows = boot.directories.get(key).map_or(0, |directory| usize::try_from(directory.rows).unwrap_or(0));
        let to = wanted.partition_point(|row| *row < first + rows);
        if let Some(here) = wanted.get(from..to).filter(|here| !here.is_empty()) {
            segments.push((*key, here.iter().map(|row| row - first).collect()));
        }
        (first, from) = (first + rows, to);
    }
    segments
}

/// What the log tells of. Nothing, if a record of it cannot be read, or changes how all edits show.
fn told(boot: &Boot) -> Option<Told> {
    let mut told = Told::default();
    for (key, bytes) in &boot.log {
        if *key <= boot.summary.upto {
            continue;
        }
        match Record::decode(bytes).ok()? {
            Record::Commit(commit) => {
                for raw in commit.mutations {
                    let edit = Edit::read(raw).ok()?;
                    told.entities.push(hash_of_entity(edit.collection.as_str(), edit.id.as_str()));
                }
            }
            Record::Changes(changes) => {
                if changes.settings.is_some() {
                    return None;
                }
                told.entities.extend(changes.rows.iter().map(|row| hash_of_entity(row.c.as_str(), row.id.as_str())));
            }
            Record::Acks(acks) if acks.verdicts.iter().any(|item| item.verdict.is_remap()) => return None,
            Record::Acks(acks) => told.numbers.extend(acks.verdicts.iter().map(|item| hash_of_number(item.n))),
            _ => {}
        }
    }
    Some(told)
}

fn sheets(boot: &Boot) -> Option<Sheets<'_>> {
    let mut sheets = Vec::with_capacity(boot.records.len());
    for (key, record) in &boot.records {
        sheets.push((*key, columns_of(record, boot.directories.get(key)?)?));
    }
    Some(sheets)
}

/// Shows every row with its place; of the rows of each segment nothing is left out.
fn each<'a>(sheets: &Sheets<'a>, then: &mut dyn FnMut(usize, Flat, Seen<'a>)) -> Option<()> {
    let mut row = 0;
    for (sheet, (_, columns)) in sheets.iter().enumerate() {
        columns.each(&mut |seen| {
            then(sheet, row, seen);
            row += 1;
        })?;
    }
    Some(())
}

impl Entities {
    /// Reads all rows, and puts the values of the collection's into the grid, each into the slot of its place.
    fn read(sheets: &Sheets<'_>, query: &Query, grid: &mut Grid, count: usize, told: &Told) -> Option<Self> {
        let collection = query.collection.as_str();
        let places = places(sheets, query)?;
        let (index, numbers) = (Index::new(count + told.entities.len()), Index::new(count));
        let (list, edits) = (Vec::with_capacity(count), Vec::new());
        let mut all = Self { index, list, numbers, edits };
        each(sheets, &mut |sheet, row, seen| {
            if seen.collection == collection && matches!(seen.what, What::Document | What::Insert) {
                put(grid, row, &seen, places.get(sheet).map_or(&[], Vec::as_slice));
            }
            match seen.what {
                What::Insert | What::Edit | What::Done => all.note_edit(row, &seen, collection),
                What::Conflict => all.entity(seen.about).mixed = true,
                what if seen.collection == collection => {
                    let known = all.entity(seen.about);
                    if known.document.is_none_or(|(position, ..)| position <= seen.position) {
                        known.document = Some((seen.position, what, row));
                    }
                }
                _ => {}
            }
        })?;
        let edits = std::mem::take(&mut all.edits);
        for edit in edits.iter().filter(|edit| edit.what != What::Done) {
            let known = all.entity(edit.about);
            known.mixed |= known.edit.is_some();
            known.edit = Some((edit.what, edit.row));
        }
        all.edits = edits;
        for about in &told.entities {
            all.entity(*about).mixed = true;
        }
        for number in &told.numbers {
            let len = all.edits.len();
            let at = all.numbers.find(*number, len, &|at| all.edits.get(at).is_some_and(|edit| edit.number == *number));
            if let Some(about) = all.edits.get(at).map(|edit| edit.about) {
                all.entity(about).mixed = true;
            }
        }
        Some(all)
    }

    /// Edits on other collections say no more than that their numbers are taken.
    fn note_edit(&mut self, row: Flat, seen: &Seen<'_>, collection: &str) {
        let edits = &self.edits;
        let is = |at: usize| edits.get(at).is_some_and(|edit: &OnEntity| edit.number == seen.number);
        let at = self.numbers.find(seen.number, edits.len(), &is);
        let what = if seen.collection == collection { seen.what } else { What::Done };
        let edit = OnEntity { number: seen.number, position: seen.position, what, about: seen.about, row };
        match self.edits.get_mut(at) {
            Some(known) if known.position <= edit.position => *known = edit,
            Some(_) => {}
            None => self.edits.push(edit),
        }
    }

    fn entity(&mut self, about: u64) -> &mut Known {
        let list = &self.list;
        let at = self.index.find(about, list.len(), &|at| list.get(at).is_some_and(|known| known.about == about));
        if at == self.list.len() {
            self.list.push(Known { about, ..Known::default() });
        }
        #[expect(clippy::indexing_slicing, reason = "it was just put there")]
        &mut self.list[at]
    }

    /// The entities that have to be read whole. Of the others one row says all there is: `tight` has them at its place.
    fn divide(&mut self, tight: &mut [Option<u64>]) -> Vec<u64> {
        let mut whole = Vec::new();
        for known in &mut self.list {
            let document = known.document.map(|(_, what, row)| (what, row));
            match (document, known.edit) {
                _ if known.mixed => whole.push(known.about),
                (Some((What::NoDocument, _)), None) => {}
                (Some((What::Document, row)), None)
                | (None | Some((What::NoDocument, _)), Some((What::Insert, row))) => {
                    tight.get_mut(row).into_iter().for_each(|place| *place = Some(known.about));
                }
                _ => {
                    known.mixed = true;
                    whole.push(known.about);
                }
            }
        }
        whole
    }

    /// The rows of entities that have to be read whole. Of a number only the newest row is.
    fn rows_of_others(&mut self, sheets: &Sheets<'_>, collection: &str, wanted: &mut Vec<Flat>) -> Option<()> {
        for edit in std::mem::take(&mut self.edits) {
            if edit.what != What::Done && self.entity(edit.about).mixed {
                wanted.push(edit.row);
            }
        }
        each(sheets, &mut |_, row, seen| {
            let is_document = matches!(seen.what, What::Document | What::Opaque | What::NoDocument);
            let is_about = seen.what == What::Conflict || is_document && seen.collection == collection;
            if is_about && self.entity(seen.about).mixed {
                wanted.push(row);
            }
        })
    }
}

/// Where the columns of the query stand in each segment.
fn places(sheets: &Sheets<'_>, query: &Query) -> Option<Vec<Vec<usize>>> {
    let mut places = Vec::with_capacity(sheets.len());
    for (_, columns) in sheets {
        let mut of_sheet = Vec::with_capacity(query.columns.fields.len());
        for field in &query.columns.fields {
            let Field::Path(path) = field else { return None };
            of_sheet.push(columns.place(query.collection.as_str(), path.as_str())?);
        }
        places.push(of_sheet);
    }
    Some(places)
}

/// The rows that may be the first of those that match, and how many others match.
fn first_rows(grid: &Grid, tight: &[Option<u64>], query: &Query) -> Option<(Vec<Flat>, usize)> {
    let looking = Looking::new(query, grid);
    // One more tells whether there is a next page.
    let wanted = query.offset.saturating_add(query.limit?).saturating_add(1);
    let (mut matching, mut all, mut many) = (Vec::new(), 0, wanted.saturating_mul(2).saturating_add(BLOCK));
    let mut last = None;
    looking.each(&mut |mut slots| {
        slots.retain(|slot| tight.get(*slot).is_some_and(Option::is_some));
        all += slots.len();
        if let Some(last) = last {
            looking.leave_out_clearly_behind(last, &mut slots);
        }
        matching.append(&mut slots);
        if matching.len() > many {
            last = cut(&mut matching, &looking, wanted);
            many = many.max(2 * matching.len());
        }
    });
    cut(&mut matching, &looking, wanted);
    let beyond = all - matching.len();
    Some((matching, beyond))
}

/// Keeps the first ones in order, and all that are like the last of them: which of those comes first is up to their
/// ids.
fn cut(slots: &mut Vec<usize>, looking: &Looking<'_>, count: usize) -> Option<usize> {
    sort(slots, &|a, b| looking.compare(a, b));
    let last = *slots.get(count.checked_sub(1)?)?;
    slots.truncate(slots.partition_point(|slot| looking.compare(*slot, last).is_le()));
    Some(last)
}

fn put(grid: &mut Grid, slot: usize, row: &Seen<'_>, places: &[usize]) {
    row.each_cell(&mut |place, stored| {
        for (column, wanted) in places.iter().enumerate() {
            if *wanted == place {
                let mut put = |cell: Cell<'_>| grid.put_cell(slot, column, cell);
                match stored {
                    Stored::Null => put(Cell::Null),
                    Stored::Bool(yes) => put(Cell::Bool(yes)),
                    Stored::Number(number) => put(Cell::Number(number)),
                    Stored::Json(text) => Cell::read(text, &mut put),
                }
            }
        }
    });
}
