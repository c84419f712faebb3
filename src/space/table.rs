//! The table of search spaces: one row a space. All that goes by space is made from it.

use std::fmt;
use std::str::FromStr;

use super::definition::Definition;
use super::skeleton::SkeletonSettings;
use super::text::{quoted, unreadable};
use super::value::{Object, Value};
use super::{nasbench101, nasbench201};
use crate::{Error, Result};

/// Makes of the rows, each a variant and the type of the space's architectures, the enums of spaces and architectures,
/// and the two macros that go from a value of these to the space's [`Definition`].
macro_rules! spaces {
    ($($(#[$doc:meta])* $space:ident($cell:ty),)+) => {
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
            $($(#[$doc])* $space,)+
        }

        impl Space {
            /// All search spaces.
            pub const ALL: [Space; [$(Space::$space),+].len()] = [$(Space::$space),+];
        }

        /// An architecture of any search space.
        ///
        /// As a line of an architecture file:
        ///
        /// ```text
        /// {"space":"nasbench101","adjacency":[[0,1],[0,0]],"ops":["input","output"]}
        /// {"space":"nasbench201","arch":"|none~0|+|none~0|none~1|+|nor_conv_3x3~0|none~1|none~2|"}
        /// ```
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Architecture {
            $($(#[$doc])* $space($cell),)+
        }

        impl Architecture {
            /// The space that the architecture belongs to.
            ///
            /// ```
            /// use naswot::{Architecture, Space, nasbench201};
            ///
            /// let cell = nasbench201::sample(1, 0)?[0];
            /// assert_eq!(Architecture::from(cell).space(), Space::NasBench201);
            /// # Ok::<(), naswot::Error>(())
            /// ```
            pub fn space(&self) -> Space {
                match self {
                    $(Architecture::$space(_) => Space::$space,)+
                }
            }
        }

        $(impl From<$cell> for Architecture {
            fn from(cell: $cell) -> Self {
                Architecture::$space(cell)
            }
        })+

        /// Evaluates an expression in which a name stands for the type of a space's architectures.
        macro_rules! with_type {
            ($value:expr, $name:ident => $body:expr) => {
                match $value {
                    $(Space::$space => {
                        type $name = $cell;
                        $body
                    })+
                }
            };
        }

        /// Evaluates an expression in which a name stands for a reference to what an architecture holds, of the type
        /// that its space has.
        macro_rules! with_cell {
            ($value:expr, $name:ident => $body:expr) => {
                match $value {
                    $($crate::Architecture::$space($name) => $body,)+
                }
            };
        }
        pub(crate) use with_cell;
    };
}

spaces! {
    /// [`nasbench101`].
    NasBench101(nasbench101::Cell),
    /// [`nasbench201`].
    NasBench201(nasbench201::Cell),
}

impl Space {
    /// The space's name, as architecture files and the command line spell it.
    ///
    /// ```
    /// assert_eq!(naswot::Space::NasBench101.name(), "nasbench101");
    /// ```
    pub fn name(self) -> &'static str {
        with_type!(self, Cell => Cell::NAME)
    }

    /// The space's name in literature.
    ///
    /// ```
    /// assert_eq!(naswot::Space::NasBench101.title(), "NAS-Bench-101");
    /// ```
    pub fn title(self) -> &'static str {
        with_type!(self, Cell => Cell::TITLE)
    }

    /// Number of architectures of the space; of NAS-Bench-101 up to isomorphism.
    ///
    /// ```
    /// assert_eq!(naswot::Space::NasBench101.count()?, 423_624);
    /// assert_eq!(naswot::Space::NasBench201.count()?, 15_625);
    /// # Ok::<(), naswot::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Setting`] where there is no end of them.
    pub fn count(self) -> Result<usize> {
        let message = || format!("there is no end of the networks of {self}, so they cannot be counted");
        with_type!(self, Cell => Cell::COUNT)
            .ok_or_else(|| Error::Setting { name: "space", message: message() })
    }

    /// Whether the benchmark knows the space's architectures by a hash, which is then their
    /// [`id`](Architecture::id).
    ///
    /// ```
    /// use naswot::Space;
    ///
    /// assert!(Space::NasBench101.has_hashes() && !Space::NasBench201.has_hashes());
    /// ```
    pub fn has_hashes(self) -> bool {
        with_type!(self, Cell => Cell::HASHED)
    }

    /// The settings that a network of the space has when some are asked for: those, and the space's defaults for the
    /// others. A setting that the space does not have is none, asked for or not.
    ///
    /// ```
    /// use naswot::{SkeletonSettings, Space};
    ///
    /// let settings = Space::NasBench101.settings(&SkeletonSettings::default());
    /// assert_eq!(settings, SkeletonSettings { stem: Some(16), cells: Some(3) });
    /// ```
    pub fn settings(self, asked: &SkeletonSettings) -> SkeletonSettings {
        with_type!(self, Cell => Cell::settings(&Cell::skeleton(asked)))
    }

    /// The number that heights and widths of images have to be divisible by, for the networks of the space's default skeleton:
    /// each halves them a few times, and no pool leaves pixels out.
    ///
    /// ```
    /// assert_eq!(naswot::Space::NasBench101.size_divisor(), 4);
    /// ```
    pub fn size_divisor(self) -> usize {
        with_type!(self, Cell => Cell::size_divisor(&Default::default()))
    }

    /// Every architecture of the space, in the order of its enumeration ([`nasbench101::all`],
    /// [`nasbench201::all`]). Made one by one: none is kept.
    ///
    /// ```
    /// use naswot::Space;
    ///
    /// assert_eq!(Space::NasBench201.all()?.count(), Space::NasBench201.count()?);
    /// # Ok::<(), naswot::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Setting`] where they are too many to go through.
    pub fn all(self) -> Result<Box<dyn Iterator<Item = Architecture> + Send>> {
        let message = || format!("{self} has too many networks to go through all of them; draw a sample");
        with_type!(self, Cell => match Cell::all() {
            Some(all) => Ok(Box::new(all.map(Architecture::from))),
            None => Err(Error::Setting { name: "space", message: message() }),
        })
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
        with_type!(self, Cell => Ok(Cell::sample(n, seed)?.into_iter().map(Architecture::from).collect()))
    }

    /// Reads an architecture of the space: what [`Architecture::arch`] writes, or the same cell as other tools write it, with
    /// blanks, in quotes, as a list, tuple or dictionary. docs/output.md has all notations.
    ///
    /// ```
    /// use naswot::Space;
    ///
    /// assert_eq!(Space::NasBench101.parse_arch("010001000/0")?.arch(), "010001000/0");
    /// let tuple = Space::NasBench201.parse_arch("(4, 0, 3, 1, 4, 3)")?;
    /// assert!(tuple.arch().starts_with("|avg_pool_3x3~0|+|skip_connect~0|none~1|+|"));
    /// # Ok::<(), naswot::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Cell`], or [`Error::Architecture`] of a list that is broken.
    pub fn parse_arch(self, arch: &str) -> Result<Architecture> {
        self.read(&Value::of_text(arch)?)
    }

    /// The space whose cells have the form of a word; none where the word looks like a path or anything else.
    ///
    /// ```
    /// use naswot::Space;
    ///
    /// assert_eq!(Space::of_arch("0100/"), Some(Space::NasBench101));
    /// assert_eq!(Space::of_arch("scores.csv"), None);
    /// ```
    pub fn of_arch(word: &str) -> Option<Self> {
        let value = Value::of_text(word).ok()?;
        Space::ALL.into_iter().find(|space| space.has_form(&value))
    }

    /// The architectures that the lines of a list name, in their order: by id ([`Architecture::id`]), or as
    /// [`parse_arch`](Space::parse_arch) reads them. Of NAS-Bench-201 a number is the benchmark's own.
    ///
    /// A hash of NAS-Bench-101 does not tell its cell: the whole space is hashed for the first one, on all cores, which
    /// takes some 10 s of one.
    ///
    /// ```
    /// use naswot::Space;
    ///
    /// let found = Space::NasBench201.find(&["|none~0|+|none~0|none~1|+|none~0|none~1|skip_connect~2|", "12804", "x"]);
    /// assert!(found[0].is_ok() && found[1].is_ok() && found[2].is_err());
    /// ```
    ///
    /// # Errors
    /// Of each name by itself: [`Error::Cell`] where it is none of the space.
    pub fn find<S: AsRef<str>>(self, names: &[S]) -> Vec<Result<Architecture>> {
        let find = |name: &S| {
            let value = Value::of_text(name.as_ref())?;
            with_type!(self, Cell => Cell::from_listed(&value).map(Architecture::from))
        };
        names.iter().map(find).collect()
    }

    /// Reads a value that is known to be an architecture of the space, whose name it may have.
    pub(super) fn read(self, value: &Value) -> Result<Architecture> {
        if let Value::Object(object) = value
            && let Some(space) = object.text("space")?
            && space.parse::<Space>()? != self
        {
            return Err(unreadable(format!("is of the space {}, not of {self}", quoted(space))));
        }
        with_type!(self, Cell => Cell::from_value(value).map(Architecture::from))
    }

    /// Whether a value has the form of an architecture of the space.
    pub(super) fn has_form(self, value: &Value) -> bool {
        with_type!(self, Cell => Cell::has_form(value))
    }

    /// The name that rows of the space have for what a value tells.
    pub(super) fn name_in_rows(self, value: &Value) -> Option<String> {
        with_type!(self, Cell => Cell::name_in_rows(value))
    }

    /// Reads a line of an architecture file that is known to be of the space.
    pub(super) fn read_line(self, line: &Object) -> Result<Architecture> {
        with_type!(self, Cell => Cell::from_object(line).map(Architecture::from))
    }

    /// Whether a name is the space's, in any spelling.
    fn is_called(self, name: &str) -> bool {
        let letters: String = name.chars().filter(|c| c.is_alphanumeric()).collect();
        let letters = letters.to_ascii_lowercase();
        with_type!(self, Cell => Cell::NAME == letters || Cell::ALIASES.contains(&letters.as_str()))
    }
}

impl fmt::Display for Space {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Space {
    type Err = Error;

    /// Reads a name, in capitals or not, with signs between its parts or not: `NAS-Bench-201`, `nb201`.
    fn from_str(name: &str) -> Result<Self> {
        Space::ALL.into_iter().find(|space| space.is_called(name)).ok_or_else(|| {
            let known = Space::ALL.map(Space::name).join(", ");
            unreadable(format!("unknown space {} (known are {known})", quoted(name)))
        })
    }
}
