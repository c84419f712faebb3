//! Settings that all rows of one run have in common.

use std::collections::HashMap;

use crate::old_rows::OldRow;
use crate::rows::{COLUMNS, Row, field};

/// Columns behind `batch_size` that are no settings of the whole run: cells have a default of their space.
const OWN: [&str; 3] = ["cells", "device", "score_sd"];

/// The settings that all rows must have: those of the first one.
#[derive(Default)]
pub(crate) struct SettingsOfAll {
    first: Option<Vec<(&'static str, String)>>,
    /// Cells of a stack by space.
    cells: HashMap<String, String>,
}

impl SettingsOfAll {
    /// Compares a row with those before it; the error says what differs.
    pub(crate) fn compare(&mut self, row: &OldRow) -> Result<(), String> {
        let field = |column| row.field(column).to_owned();
        self.differs(&field)?;
        self.cells.entry(field("space")).or_insert_with(|| field("cells"));
        self.first.get_or_insert_with(|| settings().map(|column| (column, field(column))).collect());
        Ok(())
    }

    /// Compares what a new run would write.
    pub(crate) fn compare_new(&self, row: &Row) -> Result<(), String> {
        self.differs(&|column| field(row, column).to_string())
    }

    fn differs(&self, field: &dyn Fn(&'static str) -> String) -> Result<(), String> {
        let (space, cells) = (field("space"), field("cells"));
        // A line that could not be read has neither.
        if let Some(first) = self.cells.get(&space).filter(|first| !space.is_empty() && **first != cells) {
            return Err(format!("cells is {cells}, but {first} in an earlier row"));
        }
        for (column, first) in self.first.iter().flatten() {
            let found = field(column);
            if *first != found {
                let shown = |text: &str| if text.is_empty() { "nothing".to_owned() } else { text.to_owned() };
                return Err(format!("{column} is {}, but {} in the first row", shown(&found), shown(first)));
            }
        }
        Ok(())
    }
}

fn settings() -> impl Iterator<Item = &'static str> {
    COLUMNS.into_iter().skip_while(|column| *column != "batch_size").filter(|column| !OWN.contains(column))
}
