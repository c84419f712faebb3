//! Settings that all rows of one run have in common.

use std::collections::HashMap;

use crate::columns::Compare;
use crate::rows::Row;
use crate::text::shortened;

/// The settings that all rows must have: those of the first one, or of the first of its space.
#[derive(Default)]
pub(crate) struct SharedSettings {
    first: Option<Row>,
    of_space: HashMap<String, Row>,
}

impl SharedSettings {
    /// Compares a row with those before it, and remembers it; the error says what differs.
    pub(crate) fn add(&mut self, row: &Row) -> Result<(), String> {
        self.compare(row)?;
        if self.first.is_none() {
            self.first = Some(row.clone());
        }
        // A line that could not be read has no space, and none of its settings.
        let space = row.text("space");
        if !space.is_empty() && !self.of_space.contains_key(space) {
            self.of_space.insert(space.to_owned(), row.clone());
        }
        Ok(())
    }

    /// Compares a row with those that were added.
    pub(crate) fn compare(&self, row: &Row) -> Result<(), String> {
        for (i, (column, found)) in row.iter().enumerate() {
            let (first, place) = match column.compare {
                Compare::Never | Compare::Place => continue,
                Compare::Space => (self.of_space.get(row.text("space")), "in an earlier row"),
                Compare::Run | Compare::All => (self.first.as_ref(), "in the first row"),
            };
            if let Some(first) = first.map(|first| &first.fields()[i]).filter(|first| *first != found) {
                let [found, first] = [found, first].map(|field| shortened(&field.to_string()));
                return Err(format!("{} is {found}, but {first} {place}", column.name));
            }
        }
        Ok(())
    }
}
