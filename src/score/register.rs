//! The register of scores: what each is called, and what it needs of a forward pass. A new score is a variant and an
//! entry here, and the stage that computes it.

use std::fmt;
use std::str::FromStr;

use crate::{Error, Result};

/// A score that one forward pass gives (in the field's words, a zero-cost proxy).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum ScoreKind {
    /// NASWOT, log |det K|.
    Nwot,
    /// Distinct patterns of activation over a few images.
    Swap,
    /// Sum of the least eigenvalues of channel correlations over convolutions and cells: MeCo (Jiang et al., "MeCo: Zero-Shot
    /// NAS with One Data and Single Forward Pass via Minimum Eigenvalue of Correlation", NeurIPS 2023).
    Meco,
    /// Sum of the entropies of the marks' spectra, the expressivity of AZ-NAS (Lee and Ham, "AZ-NAS: Assembling Zero-Cost
    /// Proxies for Network Architecture Search", CVPR 2024).
    Expressivity,
    /// Least growth of that entropy from one mark to the next, the progressivity of AZ-NAS.
    Progressivity,
}

/// A need of a score: what it reads of a forward pass. What no score that was asked for reads is neither planned nor
/// computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// The agreement matrix K.
    Agreement,
    /// The patterns of activation: columns of the code matrix.
    Patterns,
    /// Least eigenvalues of the channel correlations of convolutions and cells.
    Correlations,
    /// Eigenvalues of the channel covariances of marks.
    Spectra,
}

/// A line of the register.
struct Entry {
    kind: ScoreKind,
    name: &'static str,
    title: &'static str,
    doc: &'static str,
    needs: &'static [Need],
}

/// All scores, in the order in which lists and columns give them.
const REGISTER: [Entry; 5] = [
    Entry {
        kind: ScoreKind::Nwot,
        name: "nwot",
        title: "NASWOT",
        doc: "natural logarithm of the determinant of K, -inf where K is singular; higher is better",
        needs: &[Need::Agreement],
    },
    Entry {
        kind: ScoreKind::Swap,
        name: "swap",
        title: "SWAP",
        doc: "number of distinct activation patterns of the ReLU units over the first images; higher is better",
        needs: &[Need::Patterns],
    },
    Entry {
        kind: ScoreKind::Meco,
        name: "meco",
        title: "MeCo",
        doc: "sum of the least eigenvalues of the channel correlations of convolutions and cells; higher is better",
        needs: &[Need::Correlations],
    },
    Entry {
        kind: ScoreKind::Expressivity,
        name: "expressivity",
        title: "expressivity",
        doc: "sum of the entropies of the channel covariances' spectra at the stem and every cell, -inf where one is constant; higher is better",
        needs: &[Need::Spectra],
    },
    Entry {
        kind: ScoreKind::Progressivity,
        name: "progressivity",
        title: "progressivity",
        doc: "least growth of that entropy from the stem or a cell to the next cell, -inf where one is constant; higher is better",
        needs: &[Need::Spectra],
    },
];

impl ScoreKind {
    /// All scores, in the register's order.
    pub const ALL: &'static [ScoreKind] = &{
        let mut all = [ScoreKind::Nwot; REGISTER.len()];
        let mut position = 0;
        while position < all.len() {
            all[position] = REGISTER[position].kind;
            assert!(all[position] as usize == position, "entries stand in the order of the variants");
            position += 1;
        }
        all
    };

    fn entry(self) -> &'static Entry {
        &REGISTER[self as usize]
    }

    /// Its name in lists and, but for `nwot`, whose column is `score`, as a column.
    ///
    /// ```
    /// assert_eq!(naswot::ScoreKind::Swap.name(), "swap");
    /// ```
    pub fn name(self) -> &'static str {
        self.entry().name
    }

    /// Its name in tables and on axes.
    ///
    /// ```
    /// assert_eq!(naswot::ScoreKind::Nwot.title(), "NASWOT");
    /// ```
    pub fn title(self) -> &'static str {
        self.entry().title
    }

    /// What it is, in one sentence without a full stop.
    ///
    /// ```
    /// assert!(naswot::ScoreKind::Swap.doc().contains("patterns"));
    /// ```
    pub fn doc(self) -> &'static str {
        self.entry().doc
    }

    /// What it reads of a forward pass.
    pub(crate) fn needs(self) -> &'static [Need] {
        self.entry().needs
    }
}

impl fmt::Display for ScoreKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for ScoreKind {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::ALL.iter().copied().find(|kind| kind.name() == text).ok_or_else(|| {
            let names: Vec<&str> = Self::ALL.iter().map(|kind| kind.name()).collect();
            Error::Setting { name: "scores", message: format!("`{text}` is none of {}", names.join(", ")) }
        })
    }
}

/// A set of scores. NASWOT's is in every set.
///
/// ```
/// use naswot::{ScoreKind, Scores};
///
/// let scores: Scores = "swap".parse()?;
/// assert!(scores.contains(ScoreKind::Nwot));
/// assert_eq!(scores.to_string(), "nwot,swap");
/// assert_eq!(Scores::default().to_string(), "nwot");
/// assert!("nwot,synflow".parse::<Scores>().is_err());
/// # Ok::<(), naswot::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Scores {
    /// Whether each score is in it, in the register's order.
    contained: [bool; REGISTER.len()],
}

impl Scores {
    /// Every score of the register.
    ///
    /// ```
    /// use naswot::{ScoreKind, Scores};
    /// assert!(Scores::all().iter().eq(ScoreKind::ALL.iter().copied()));
    /// ```
    pub fn all() -> Self {
        ScoreKind::ALL.iter().copied().collect()
    }

    /// Those that every backend computes: scores of features need the processor so far.
    #[doc(hidden)]
    pub fn everywhere() -> Self {
        let of_features = |need: &Need| matches!(need, Need::Correlations | Need::Spectra);
        ScoreKind::ALL.iter().copied().filter(|kind| !kind.needs().iter().any(of_features)).collect()
    }

    /// Whether a score is in it.
    ///
    /// ```
    /// use naswot::{ScoreKind, Scores};
    /// assert!(!Scores::default().contains(ScoreKind::Swap));
    /// ```
    pub fn contains(&self, kind: ScoreKind) -> bool {
        self.contained[kind as usize]
    }

    /// Its scores, in the register's order.
    ///
    /// ```
    /// use naswot::{ScoreKind, Scores};
    /// let scores: Scores = [ScoreKind::Swap].into_iter().collect();
    /// assert!(scores.iter().eq([ScoreKind::Nwot, ScoreKind::Swap]));
    /// ```
    pub fn iter(&self) -> impl Iterator<Item = ScoreKind> + use<> {
        let contained = self.contained;
        ScoreKind::ALL.iter().copied().filter(move |&kind| contained[kind as usize])
    }

    /// Whether one of its scores needs something.
    pub(crate) fn need(&self, need: Need) -> bool {
        self.iter().any(|kind| kind.needs().contains(&need))
    }
}

impl Default for Scores {
    /// NASWOT's alone.
    fn default() -> Self {
        std::iter::empty().collect()
    }
}

impl FromIterator<ScoreKind> for Scores {
    fn from_iter<I: IntoIterator<Item = ScoreKind>>(kinds: I) -> Self {
        let mut contained = [false; REGISTER.len()];
        contained[ScoreKind::Nwot as usize] = true;
        kinds.into_iter().for_each(|kind| contained[kind as usize] = true);
        Scores { contained }
    }
}

impl FromStr for Scores {
    type Err = Error;

    /// Names with commas between them, in any order.
    fn from_str(text: &str) -> Result<Self> {
        text.split(',').map(|name| name.trim().parse()).collect()
    }
}

impl fmt::Display for Scores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, kind) in self.iter().enumerate() {
            write!(f, "{}{kind}", if position > 0 { "," } else { "" })?;
        }
        Ok(())
    }
}

impl fmt::Debug for Scores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Scores({self})")
    }
}

impl serde::Serialize for Scores {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_score_is_found_by_its_name() {
        for &kind in ScoreKind::ALL {
            assert_eq!(kind.name().parse::<ScoreKind>().unwrap(), kind);
        }
    }

    #[test]
    fn a_list_is_a_set_in_the_order_of_the_register() {
        for (list, set) in [("nwot", "nwot"), ("swap", "nwot,swap"), ("swap, nwot,swap", "nwot,swap")] {
            assert_eq!(list.parse::<Scores>().unwrap().to_string(), set);
        }
        for (list, message) in [
            ("", "scores: `` is none of nwot, swap, "),
            ("nwot,Swap", "scores: `Swap` is none of nwot, swap, "),
        ] {
            assert!(list.parse::<Scores>().unwrap_err().to_string().starts_with(message));
        }
    }

    #[test]
    fn what_nobody_asked_for_is_not_needed() {
        assert!(Scores::default().need(Need::Agreement) && !Scores::default().need(Need::Patterns));
        assert!("swap".parse::<Scores>().unwrap().need(Need::Patterns));
    }
}
