//! What happened, in order, as bytes. The log is the database: every tab folds the same records to the same state.

pub mod adopt;
pub mod codec;
pub mod kept;
pub mod record;
