//! The settings that made the rows, and where they differ.

use std::collections::HashMap;

use super::networks::{NetworkRow, Networks};
use crate::columns::{COLUMNS, Column, Compare, Group, Role};

/// The values of a setting in all rows.
pub(super) struct SettingValues {
    pub(super) column: &'static Column,
    /// Its values in the order of the rows, with the number of rows that have each.
    pub(super) values: Vec<(String, usize)>,
}

impl SettingValues {
    fn of<'a>(column: &'static Column, rows: impl Iterator<Item = &'a NetworkRow>) -> Self {
        let mut values: Vec<(String, usize)> = Vec::new();
        let mut places: HashMap<String, usize> = HashMap::new();
        for network in rows {
            let value = network.row.field(column.name).to_string();
            // A line that could not be read has no space and no cells; no seed is in a checkpoint's weights.
            if value.is_empty() {
                continue;
            }
            let place = *places.entry(value).or_insert_with_key(|value| {
                values.push((value.clone(), 0));
                values.len() - 1
            });
            values[place].1 += 1;
        }
        SettingValues { column, values }
    }

    /// The values as text; with the number of rows of each where there are several.
    pub(super) fn shown(&self) -> String {
        const MOST: usize = 4;
        let several = self.values.len() > 1;
        let one = |(value, rows): &(String, usize)| {
            let what = if *rows == 1 { "row" } else { "rows" };
            if several { format!("{value} ({rows} {what})") } else { value.clone() }
        };
        let mut shown: Vec<String> = self.values.iter().take(MOST).map(one).collect();
        if self.values.len() > MOST {
            shown.push(format!("and {} more", self.values.len() - MOST));
        }
        shown.join(", ")
    }
}

/// What differs from checkpoint to checkpoint of a trace, and is no setting of it.
fn is_of_checkpoint(networks: &Networks, column: &Column) -> bool {
    networks.trace.is_some() && column.name == "weights_sha256"
}

/// All settings that the rows have, in groups.
pub(super) fn groups(networks: &Networks) -> Vec<(&'static str, Vec<SettingValues>)> {
    let group = |group: Group| {
        let of_it =
            |column: &&Column| matches!(column.role, Role::Setting(of) | Role::Free(of) if of == group);
        let settings = COLUMNS.iter().filter(of_it).filter(|column| !is_of_checkpoint(networks, column));
        let settings = settings.map(|column| SettingValues::of(column, networks.rows.iter()));
        (group.name(), settings.filter(|setting| !setting.values.is_empty()).collect())
    };
    Group::ALL.map(group).into()
}

/// The settings that differ between rows, so that their scores cannot be compared.
pub(super) fn mixed(networks: &Networks) -> Vec<SettingValues> {
    let differs = |column: &'static Column| {
        let spaces = match column.compare {
            Compare::Never | Compare::Place | Compare::Run => return None,
            Compare::Space => networks.spaces().into_iter().map(Some).collect(),
            Compare::All => vec![None],
        };
        spaces.into_iter().find_map(|space| {
            let rows = networks.rows.iter().filter(|network| space.is_none() || network.space() == space);
            Some(SettingValues::of(column, rows)).filter(|setting| setting.values.len() > 1)
        })
    };
    COLUMNS.iter().filter(|column| !is_of_checkpoint(networks, column)).filter_map(differs).collect()
}
