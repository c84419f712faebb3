//! Search spaces: cell descriptions become [`Network`](crate::Network)s. The only place that knows of cells,
//! stacks and skeletons.

mod architecture;
pub mod nasbench101;
pub mod nasbench201;

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;

use rayon::prelude::*;

pub use architecture::Architecture;

use crate::{Error, Result};

/// A search space.
///
/// ```
/// use naswot::Space;
///
/// let space: Space = "nasbench201".parse()?;
/// assert_eq!(space, Space::NasBench201);
/// assert_eq!(space.to_string(), "nasbench201");
/// # Ok::<(), naswot::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Space {
    /// [`nasbench101`].
    NasBench101,
    /// [`nasbench201`].
    NasBench201,
}

impl Space {
    /// All search spaces.
    pub const ALL: [Space; 2] = [Space::NasBench101, Space::NasBench201];

    /// The space's name, as architecture files and the command line spell it.
    ///
    /// ```
    /// assert_eq!(naswot::Space::NasBench101.name(), "nasbench101");
    /// ```
    pub fn name(self) -> &'static str {
        match self {
            Space::NasBench101 => "nasbench101",
            Space::NasBench201 => "nasbench201",
        }
    }

    /// Cells of the space; of NAS-Bench-101 up to isomorphism.
    ///
    /// ```
    /// assert_eq!(naswot::Space::NasBench101.count(), 423_624);
    /// assert_eq!(naswot::Space::NasBench201.count(), 15_625);
    /// ```
    pub fn count(self) -> usize {
        match self {
            Space::NasBench101 => nasbench101::COUNT,
            Space::NasBench201 => nasbench201::COUNT,
        }
    }

    /// Cells of a stack (NAS-Bench-201: a stage) in the benchmark's networks.
    ///
    /// ```
    /// assert_eq!(naswot::Space::NasBench101.default_cells(), 3);
    /// assert_eq!(naswot::Space::NasBench201.default_cells(), 5);
    /// ```
    pub fn default_cells(self) -> usize {
        match self {
            Space::NasBench101 => nasbench101::Skeleton::default().cells,
            Space::NasBench201 => 5,
        }
    }

    /// Every architecture of the space, in the order of its enumeration ([`nasbench101::all`],
    /// [`nasbench201::all`]). Made one by one: none is kept.
    ///
    /// ```
    /// use naswot::Space;
    ///
    /// assert_eq!(Space::NasBench201.all().count(), Space::NasBench201.count());
    /// ```
    pub fn all(self) -> Box<dyn Iterator<Item = Architecture> + Send> {
        match self {
            Space::NasBench101 => Box::new(nasbench101::all().map(Architecture::from)),
            Space::NasBench201 => Box::new(nasbench201::all().map(Architecture::from)),
        }
    }

    /// `n` different architectures, drawn uniformly: the sample of a smaller `n` is the start of that of a larger
    /// one, and equal seeds make equal samples.
    ///
    /// ```
    /// use naswot::Space;
    ///
    /// let sample = Space::NasBench101.sample(10, 0)?;
    /// assert_eq!(Space::NasBench101.sample(3, 0)?, sample[..3]);
    /// # Ok::<(), naswot::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Setting`] when `n` is more than the space has.
    pub fn sample(self, n: usize, seed: u64) -> Result<Vec<Architecture>> {
        fn any<C: Into<Architecture>>(cells: Vec<C>) -> Vec<Architecture> {
            cells.into_iter().map(C::into).collect()
        }
        Ok(match self {
            Space::NasBench101 => any(nasbench101::sample(n, seed)?),
            Space::NasBench201 => any(nasbench201::sample(n, seed)?),
        })
    }

    /// Reads what [`Architecture::arch`] writes.
    ///
    /// ```
    /// use naswot::Space;
    ///
    /// assert_eq!(Space::NasBench101.parse_arch("010001000/0")?.arch(), "010001000/0");
    /// # Ok::<(), naswot::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Cell`].
    pub fn parse_arch(self, arch: &str) -> Result<Architecture> {
        match self {
            Space::NasBench101 => arch.parse().map(Architecture::NasBench101),
            Space::NasBench201 => arch.parse().map(Architecture::NasBench201),
        }
    }

    /// The architectures that ids ([`Architecture::id`]) or archs ([`Architecture::arch`]) name, in their order.
    ///
    /// A hash of NAS-Bench-101 does not tell its cell: the whole space is hashed for it, on all cores, which takes
    /// some 10 s of one.
    ///
    /// ```
    /// use naswot::Space;
    ///
    /// let found = Space::NasBench201.find(&["|none~0|+|none~0|none~1|+|none~0|none~1|skip_connect~2|", "x"]);
    /// assert!(found[0].is_ok() && found[1].is_err());
    /// ```
    ///
    /// # Errors
    /// Of each name by itself: [`Error::Cell`] where it is none of the space.
    pub fn find<S: AsRef<str>>(self, names: &[S]) -> Vec<Result<Architecture>> {
        let mut hashed: HashMap<&str, Option<Architecture>> = match self {
            Space::NasBench101 => {
                names.iter().map(S::as_ref).filter(is_hash).map(|name| (name, None)).collect()
            }
            Space::NasBench201 => HashMap::new(),
        };
        if !hashed.is_empty() {
            let all: Vec<Architecture> = self.all().collect();
            let of = |architecture: &Architecture| {
                let hash = architecture.id();
                hashed.contains_key(hash.as_str()).then_some((hash, *architecture))
            };
            let found: Vec<(String, Architecture)> = all.par_iter().filter_map(of).collect();
            for (hash, architecture) in found {
                if let Some(place) = hashed.get_mut(hash.as_str()) {
                    *place = Some(architecture);
                }
            }
        }
        let find = |name: &S| match hashed.get(name.as_ref()) {
            Some(Some(architecture)) => Ok(*architecture),
            Some(None) => {
                let message = format!("no cell of the space has the hash {}", name.as_ref());
                Err(Error::Cell { space: self.name(), message })
            }
            None => self.parse_arch(name.as_ref()),
        };
        names.iter().map(find).collect()
    }
}

impl fmt::Display for Space {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Space {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Space::ALL.into_iter().find(|space| space.name() == name).ok_or_else(|| {
            let known = Space::ALL.map(Space::name).join(", ");
            unreadable(format!("unknown space {} (known are {known})", quoted(name)))
        })
    }
}

/// Whether a name has the form of an MD5 hash.
fn is_hash(name: &&str) -> bool {
    name.len() == 32 && name.bytes().all(|byte| byte.is_ascii_hexdigit() && !byte.is_ascii_uppercase())
}

fn unreadable(message: String) -> Error {
    Error::Architecture { message }
}

/// A piece of input for a message: on one line, and cut where it is long.
fn quoted(text: &str) -> String {
    const MOST: usize = 100;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{:?}...", &text[..end]),
        None => format!("{text:?}"),
    }
}
