//! A query as the face sends it: plain data, so that its canonical JSON is its identity. Read once into the form in
//! which it is answered: each field that it looks at has a column.

use std::cmp::Ordering;

use crate::error::{Code, CoreError};
use crate::ids::CollectionName;
use crate::json::{self, Fields, JsonLimits, Map, Value};
use crate::model::path::Path;
use crate::query::cell::compare;
use crate::small::search;

/// Which entities, in which order, how many.
#[derive(Debug)]
pub struct Query {
    /// The collection.
    pub collection: CollectionName,
    /// Which; all if left out.
    pub filter: Option<Filter>,
    /// Columns; ties go by id.
    pub order: Vec<(usize, Direction)>,
    /// At most so many.
    pub limit: Option<usize>,
    /// After leaving out so many.
    pub offset: usize,
    /// Only what comes after these sort keys and this id: the `next` of the page before.
    pub after: Option<(Vec<Value>, String)>,
    /// Whether a live answer tells how many match in all, and where the next page starts.
    pub page: bool,
    /// A number, or one of each group, instead of rows.
    pub fold: Option<Fold>,
    /// What it looks at.
    pub columns: Columns,
}

/// What a query looks at.
#[derive(Debug, Default)]
pub struct Columns {
    /// The fields; their places are their numbers.
    pub fields: Vec<Field>,
}

/// What is made of all rows that match, or of those of each group.
#[derive(Debug, Clone, Copy)]
pub struct Fold {
    /// What.
    pub what: What,
    /// Of which column; `None` only for [`What::Count`].
    pub of: Option<usize>,
    /// The column whose value names the group; `None`: all rows are one.
    pub by: Option<usize>,
}

/// What is made of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// How many there are.
    Count,
    /// The sum of the numbers: exact, and rounded once.
    Sum,
    /// That sum by their count; null if there are none.
    Avg,
    /// The first in the order of values that is not null.
    Min,
    /// The last one.
    Max,
}

/// A condition.
#[derive(Debug)]
pub enum Filter {
    /// All of them.
    And(Vec<Filter>),
    /// One of them.
    Or(Vec<Filter>),
    /// Not this.
    Not(Box<Filter>),
    /// A column against a value.
    Is {
        /// Which column.
        column: usize,
        /// How.
        op: Op,
        /// The value; the list of `in` is sorted.
        value: Value,
    },
}

/// What a query can look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Field {
    /// A field of the document.
    Path(Path),
    /// The id.
    Id,
    /// The confirmed revision.
    Rev,
    /// When it last changed.
    UpdatedAt,
    /// Pending, synced, conflict or failed.
    Status,
}

impl Field {
    fn parse(text: &str) -> Result<Self, CoreError> {
        Ok(match text {
            "$id" => Self::Id,
            "$rev" => Self::Rev,
            "$updatedAt" => Self::UpdatedAt,
            "$status" => Self::Status,
            _ => Self::Path(Path::parse(text)?),
        })
    }
}

/// Ascending or descending.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Nulls first.
    Asc,
    /// Nulls last.
    Desc,
}

/// A comparison. Null equals missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    /// Deep equality.
    Eq,
    /// Not equal.
    Ne,
    /// Greater, of the same type.
    Gt,
    /// Greater or equal, of the same type.
    Gte,
    /// Less, of the same type.
    Lt,
    /// Less or equal, of the same type.
    Lte,
    /// Equal to one of a list.
    In,
    /// An array with the item, or a string with the part.
    Contains,
    /// A string that begins so.
    StartsWith,
}

impl Columns {
    fn add(&mut self, text: &str) -> Result<usize, CoreError> {
        let field = Field::parse(text)?;
        if let Some(column) = self.fields.iter().position(|known| *known == field) {
            return Ok(column);
        }
        self.fields.push(field);
        Ok(self.fields.len() - 1)
    }
}

impl Query {
    /// Reads a query.
    ///
    /// # Errors
    /// `bad-query` with what is wrong.
    pub fn parse(json: &str) -> Result<Self, CoreError> {
        Self::read(&json::parse(json.as_bytes(), JsonLimits::MESSAGE).map_err(bad_query)?)
    }

    /// Reads a query.
    ///
    /// # Errors
    /// `bad-query` with what is wrong.
    pub fn read(value: &Value) -> Result<Self, CoreError> {
        Self::read_parts(value).map_err(bad_query)
    }

    fn read_parts(value: &Value) -> Result<Self, CoreError> {
        const KNOWN: [&str; 10] =
            ["c", "where", "orderBy", "limit", "offset", "after", "page", "fold", "groupBy", "watch"];
        let fields = Fields::of(value)?;
        let unknown = |map: &Map| map.keys().any(|key| !KNOWN.contains(&key.as_str()));
        if value.as_object().is_some_and(unknown) {
            return Err(CoreError::new(Code::BadQuery, "no query has this field"));
        }
        let mut columns = Columns::default();
        let limit = if fields.get("limit").is_some() { Some(fields.size_or("limit", 0)?) } else { None };
        let mut order = Vec::new();
        for part in fields.list("orderBy", |part| json::list(part, json::text))? {
            let direction = match part.get(1).copied() {
                Some("asc") => Direction::Asc,
                Some("desc") => Direction::Desc,
                _ => {
                    return Err(CoreError::new(Code::BadQuery, "`orderBy` is a list of `[field, \"asc\" | \"desc\"]`"));
                }
            };
            order.push((columns.add(part.first().copied().unwrap_or_default())?, direction));
        }
        let filter = fields.opt("where", |filter| Filter::read(filter, &mut columns))?;
        let mut fold = None;
        if let Some(parts) = fields.opt("fold", |parts| json::list(parts, json::text))? {
            let what = What::parse(parts.first().copied().unwrap_or_default())?;
            let of = if what == What::Count { None } else { Some(parts.get(1).copied().unwrap_or_default()) };
            let of = of.map(|path| columns.add(path)).transpose()?;
            let by = fields.opt("groupBy", json::text)?.map(|path| columns.add(path)).transpose()?;
            fold = Some(Fold { what, of, by });
        }
        let after = fields.opt("after", json::text)?.map(|after| read_page(after, order.len())).transpose()?;
        Ok(Self {
            collection: CollectionName::read(fields.need("c")?)?,
            filter,
            order,
            limit,
            offset: fields.size_or("offset", 0)?,
            after,
            page: fields.flag("page")?,
            fold,
            columns,
        })
    }
}

impl Query {
    /// Shows every text that a field is compared with, to be given another.
    pub fn each_text(&mut self, then: &mut dyn FnMut(&Field, &mut Value)) {
        if let Some(filter) = &mut self.filter {
            filter.each_text(&self.columns, then);
        }
    }
}

/// The sort keys and the id of the last row of a page.
fn read_page(after: &str, keys: usize) -> Result<(Vec<Value>, String), CoreError> {
    if let Ok(Value::Array(mut parts)) = json::parse(after.as_bytes(), JsonLimits::MESSAGE) {
        match (parts.pop(), parts.pop(), parts.pop()) {
            (Some(Value::String(id)), Some(Value::Array(values)), None) if values.len() == keys => {
                return Ok((values, id));
            }
            _ => {}
        }
    }
    Err(CoreError::new(Code::BadQuery, "`after` is the `next` of an earlier page"))
}

#[cold]
fn bad_query(error: CoreError) -> CoreError {
    error.within(Code::BadQuery, "this query cannot be read")
}

impl Filter {
    /// Its depth is bounded by that of the text.
    fn read(value: &Value, columns: &mut Columns) -> Result<Self, CoreError> {
        let fields = Fields::of(value)?;
        if let Some(parts) = fields.get("and") {
            return Ok(Self::And(Self::read_all(parts, columns)?));
        }
        if let Some(parts) = fields.get("or") {
            return Ok(Self::Or(Self::read_all(parts, columns)?));
        }
        if let Some(part) = fields.get("not") {
            return Ok(Self::Not(Box::new(Self::read(part, columns)?)));
        }
        let column = columns.add(fields.text("path")?)?;
        let op = Op::parse(fields.text("op")?)?;
        let value = fields.need("value")?;
        let value = if op == Op::In { sorted(json::list(value, Ok)?) } else { value.clone() };
        Ok(Self::Is { column, op, value })
    }

    fn each_text(&mut self, columns: &Columns, then: &mut dyn FnMut(&Field, &mut Value)) {
        match self {
            Self::And(parts) | Self::Or(parts) => parts.iter_mut().for_each(|part| part.each_text(columns, then)),
            Self::Not(part) => part.each_text(columns, then),
            Self::Is { column, value, .. } => {
                let Some(field) = columns.fields.get(*column) else { return };
                match value {
                    Value::String(_) => then(field, value),
                    Value::Array(items) => {
                        items.iter_mut().for_each(|item| then(field, item));
                        *value = sorted(items.iter().collect());
                    }
                    _ => {}
                }
            }
        }
    }

    fn read_all(parts: &Value, columns: &mut Columns) -> Result<Vec<Self>, CoreError> {
        let mut all = Vec::new();
        for part in json::list(parts, Ok)? {
            all.push(Self::read(part, columns)?);
        }
        Ok(all)
    }
}

/// The values in order, each once. Lists that come sorted, as those of the face do, take no time.
fn sorted(items: Vec<&Value>) -> Value {
    let mut list: Vec<Value> = Vec::new();
    for item in items {
        let found = search(list.len(), &mut |at| list.get(at).map_or(Ordering::Greater, |known| compare(known, item)));
        if let Err(at) = found {
            list.insert(at, item.clone());
        }
    }
    Value::Array(list)
}

impl What {
    fn parse(text: &str) -> Result<Self, CoreError> {
        Ok(match text {
            "count" => Self::Count,
            "sum" => Self::Sum,
            "avg" => Self::Avg,
            "min" => Self::Min,
            "max" => Self::Max,
            _ => return Err(CoreError::new(Code::BadQuery, "`fold` is count, sum, avg, min or max")),
        })
    }
}

impl Op {
    fn parse(text: &str) -> Result<Self, CoreError> {
        Ok(match text {
            "eq" => Self::Eq,
            "ne" => Self::Ne,
            "gt" => Self::Gt,
            "gte" => Self::Gte,
            "lt" => Self::Lt,
            "lte" => Self::Lte,
            "in" => Self::In,
            "contains" => Self::Contains,
            "startsWith" => Self::StartsWith,
            _ => return Err(CoreError::new(Code::BadQuery, format!("there is no comparison `{text}`"))),
        })
    }
}
