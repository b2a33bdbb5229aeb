//! A query as the face sends it: plain data, so that its canonical JSON is its identity.

use crate::error::{Code, CoreError};
use crate::ids::CollectionName;
use crate::json::{self, Fields, JsonLimits, Map, Value};
use crate::model::path::Path;

/// Which entities, in which order, how many.
#[derive(Debug, Clone)]
pub struct Query {
    /// The collection.
    pub collection: CollectionName,
    /// Which; all if left out.
    pub filter: Option<Filter>,
    /// Ties go by id.
    pub order: Vec<(Field, Direction)>,
    /// At most so many.
    pub limit: Option<usize>,
    /// After leaving out so many.
    pub offset: usize,
    /// The `next` of the page before.
    pub after: Option<String>,
}

/// A condition.
#[derive(Debug, Clone)]
pub enum Filter {
    /// All of them.
    And {
        /// The parts.
        and: Vec<Filter>,
    },
    /// One of them.
    Or {
        /// The parts.
        or: Vec<Filter>,
    },
    /// Not this.
    Not {
        /// The part.
        not: Box<Filter>,
    },
    /// A field against a value.
    Field {
        /// Which field.
        path: Field,
        /// How.
        op: Op,
        /// The value.
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

impl Query {
    /// Reads a query.
    ///
    /// # Errors
    /// `bad-query` with what is wrong.
    pub fn parse(json: &str) -> Result<Self, CoreError> {
        let bad = |error: CoreError| error.within(Code::BadQuery, "this query cannot be read");
        let value = json::parse(json.as_bytes(), JsonLimits::MESSAGE).map_err(bad)?;
        Self::read(&value).map_err(bad)
    }

    fn read(value: &Value) -> Result<Self, CoreError> {
        const KNOWN: [&str; 6] = ["c", "where", "orderBy", "limit", "offset", "after"];
        let fields = Fields::of(value)?;
        if let Some(key) = value
            .as_object()
            .into_iter()
            .flat_map(Map::iter)
            .map(|(key, _)| key)
            .find(|key| !KNOWN.contains(&key.as_str()))
        {
            return Err(CoreError::new(Code::BadQuery, format!("unknown field `{key}`")));
        }
        let limit = if fields.get("limit").is_some() { Some(fields.size_or("limit", 0)?) } else { None };
        Ok(Self {
            collection: CollectionName::read(fields.need("c")?)?,
            filter: fields.opt("where", Filter::read)?,
            order: fields.list("orderBy", read_order)?,
            limit,
            offset: fields.size_or("offset", 0)?,
            after: fields.opt("after", json::text)?.map(str::to_owned),
        })
    }
}

impl Filter {
    /// Its depth is bounded by that of the text.
    fn read(value: &Value) -> Result<Self, CoreError> {
        let fields = Fields::of(value)?;
        if let Some(parts) = fields.get("and") {
            return Ok(Self::And { and: json::list(parts, Self::read)? });
        }
        if let Some(parts) = fields.get("or") {
            return Ok(Self::Or { or: json::list(parts, Self::read)? });
        }
        if let Some(part) = fields.get("not") {
            return Ok(Self::Not { not: Box::new(Self::read(part)?) });
        }
        Ok(Self::Field {
            path: Field::parse(fields.text("path")?)?,
            op: Op::parse(fields.text("op")?)?,
            value: fields.need("value")?.clone(),
        })
    }
}

fn read_order(value: &Value) -> Result<(Field, Direction), CoreError> {
    let parts = json::list(value, json::text)?;
    let direction = match parts.get(1).copied() {
        Some("asc") => Direction::Asc,
        Some("desc") => Direction::Desc,
        _ => return Err(CoreError::new(Code::BadQuery, "`orderBy` is a list of `[field, \"asc\" | \"desc\"]`")),
    };
    Ok((Field::parse(parts.first().copied().unwrap_or_default())?, direction))
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
