//! The settings of a skeleton that have a column in rows of scores, for networks of any space.

use crate::{Error, Result};

/// The settings of a skeleton that several spaces share, and rows of scores have columns for.
///
/// As a request, `None` leaves a setting to the space ([`Architecture::network`](crate::Architecture::network)). As
/// an answer ([`Space::settings`](crate::Space::settings)), `None` is a setting that the space does not have.
///
/// ```
/// use naswot::{SkeletonSettings, Space};
///
/// let narrow = SkeletonSettings { stem: Some(4), ..SkeletonSettings::default() };
/// assert_eq!(Space::NasBench201.settings(&narrow), SkeletonSettings { stem: Some(4), cells: Some(5) });
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct SkeletonSettings {
    /// Channels behind the stem.
    pub stem: Option<usize>,
    /// Cells of a stack (a stage of NAS-Bench-201).
    pub cells: Option<usize>,
}

impl SkeletonSettings {
    /// Names of the columns. What stands in them may differ between spaces, as their defaults do.
    pub const COLUMNS: [&'static str; 2] = ["stem", "cells"];

    /// Each setting with the name of its column, in the order of columns.
    ///
    /// ```
    /// let settings = naswot::Space::NasBench101.settings(&Default::default());
    /// assert_eq!(settings.columns(), [("stem", Some(16)), ("cells", Some(3))]);
    /// ```
    pub fn columns(&self) -> [(&'static str, Option<usize>); 2] {
        let [stem, cells] = Self::COLUMNS;
        [(stem, self.stem), (cells, self.cells)]
    }
}

/// Checks that a number of a skeleton makes a network.
pub(super) fn within(name: &'static str, value: usize, most: usize) -> Result<()> {
    if (1..=most).contains(&value) {
        Ok(())
    } else {
        Err(Error::Setting { name, message: format!("{value} is not from 1 to {most}") })
    }
}
