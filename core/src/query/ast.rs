//! A query as the face sends it: plain data, so that its canonical JSON is its identity.

use serde::Deserialize;
use serde_json::Value;

use crate::error::{Code, CoreError};
use crate::ids::CollectionName;
use crate::limits::DEPTH_MAX;
use crate::model::path::Path;

/// Which entities, in which order, how many.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Query {
    /// The collection.
    #[serde(rename = "c")]
    pub collection: CollectionName,
    /// Which; all if left out.
    #[serde(default, rename = "where")]
    pub filter: Option<Filter>,
    /// Ties go by id.
    #[serde(default, rename = "orderBy")]
    pub order: Vec<(Field, Direction)>,
    /// At most so many.
    #[serde(default)]
    pub limit: Option<usize>,
    /// After leaving out so many.
    #[serde(default)]
    pub offset: usize,
    /// The `next` of the page before.
    #[serde(default)]
    pub after: Option<String>,
}

/// A condition.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
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
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
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

impl TryFrom<String> for Field {
    type Error = CoreError;
    fn try_from(text: String) -> Result<Self, CoreError> {
        Ok(match text.as_str() {
            "$id" => Self::Id,
            "$rev" => Self::Rev,
            "$updatedAt" => Self::UpdatedAt,
            "$status" => Self::Status,
            _ => Self::Path(Path::parse(&text)?),
        })
    }
}

/// Ascending or descending.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// Nulls first.
    Asc,
    /// Nulls last.
    Desc,
}

/// A comparison. Null equals missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
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
        let query: Self = serde_json::from_str(json)
            .map_err(|error| CoreError::new(Code::BadQuery, format!("this query cannot be read: {error}")))?;
        match &query.filter {
            Some(filter) if depth(filter) > DEPTH_MAX => {
                Err(CoreError::new(Code::BadQuery, "this query is nested too deep"))
            }
            _ => Ok(query),
        }
    }
}

fn depth(filter: &Filter) -> usize {
    match filter {
        Filter::And { and: parts } | Filter::Or { or: parts } => 1 + parts.iter().map(depth).max().unwrap_or(0),
        Filter::Not { not } => 1 + depth(not),
        Filter::Field { .. } => 1,
    }
}
