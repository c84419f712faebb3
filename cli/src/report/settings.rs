//! The settings that made the rows, and where they differ.

use std::collections::HashMap;

use super::networks::{Network, Networks};

/// Settings by what they are of: column and the name that a reader knows.
const GROUPS: [(&str, &[(&str, &str)]); 4] = [
    (
        "Images",
        &[
            ("data", "data"),
            ("batch_size", "images, N"),
            ("noise", "noise (standard deviation)"),
            ("batch_sha256", "SHA-256 of the batch"),
        ],
    ),
    (
        "Networks",
        &[("space", "search space"), ("stem", "channels of the stem"), ("cells", "cells of a stack")],
    ),
    (
        "Weights",
        &[
            ("initialiser", "initialiser"),
            ("seed", "seed"),
            ("repeats", "seeds scored"),
            ("weights_sha256", "SHA-256 of the checkpoint"),
        ],
    ),
    (
        "Computation",
        &[
            ("convention", "ReLUs counted by"),
            ("precision", "precision"),
            ("backend", "backend"),
            ("device", "device"),
            ("naswot_version", "naswot"),
        ],
    ),
];

/// Columns that may differ between rows whose scores can be compared.
const MAY_DIFFER: [&str; 3] = ["space", "backend", "device"];

/// What a setting is in all rows.
pub(super) struct Setting {
    pub(super) column: &'static str,
    pub(super) name: &'static str,
    /// Its values in the order of the rows, with the number of rows that have each.
    pub(super) values: Vec<(String, usize)>,
}

impl Setting {
    fn of<'a>(column: &'static str, name: &'static str, rows: impl Iterator<Item = &'a Network>) -> Self {
        let mut values: Vec<(String, usize)> = Vec::new();
        let mut places: HashMap<String, usize> = HashMap::new();
        for network in rows {
            let value = network.field(column).to_string();
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
        Setting { column, name, values }
    }

    /// The values as text; with the number of rows of each where there are several.
    pub(super) fn shown(&self) -> String {
        const MOST: usize = 4;
        let several = self.values.len() > 1;
        let one = |(value, rows): &(String, usize)| {
            if several { format!("{value} ({rows} rows)") } else { value.clone() }
        };
        let mut shown: Vec<String> = self.values.iter().take(MOST).map(one).collect();
        if self.values.len() > MOST {
            shown.push(format!("and {} more", self.values.len() - MOST));
        }
        shown.join(", ")
    }
}

/// All settings that the rows have, in groups.
pub(super) fn groups(networks: &Networks) -> Vec<(&'static str, Vec<Setting>)> {
    let of = |&(column, name): &(&'static str, &'static str)| Setting::of(column, name, networks.rows.iter());
    let group = |(title, columns): (&'static str, &[(&'static str, &'static str)])| {
        (title, columns.iter().map(of).filter(|setting| !setting.values.is_empty()).collect())
    };
    GROUPS.into_iter().map(group).collect()
}

/// The settings that differ between rows, so that their scores cannot be compared.
pub(super) fn mixed(networks: &Networks) -> Vec<Setting> {
    let columns = GROUPS.into_iter().flat_map(|(_, columns)| columns);
    let differ = |&(column, name): &(&'static str, &'static str)| {
        // Each space has cells of its own.
        let spaces =
            if column == "cells" { networks.spaces().into_iter().map(Some).collect() } else { vec![None] };
        spaces.into_iter().find_map(|space| {
            let rows = networks.rows.iter().filter(|network| space.is_none() || network.space() == space);
            let setting = Setting::of(column, name, rows);
            (setting.values.len() > 1).then_some(setting)
        })
    };
    columns.filter(|(column, _)| !MAY_DIFFER.contains(column)).filter_map(differ).collect()
}
