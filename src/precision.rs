//! Number formats that backends compute in.

use std::fmt;
use std::str::FromStr;

use crate::{Error, Result};

/// Number formats of activations and products.
///
/// ```
/// use naswot::Precision;
/// assert_eq!("f64".parse::<Precision>()?, Precision::F64);
/// # Ok::<(), naswot::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Precision {
    /// The fastest that has been shown good enough on the device.
    #[default]
    Auto,
    /// Single precision.
    F32,
    /// Double precision, on the CPU: the reference.
    F64,
}

impl Precision {
    /// All precisions, `auto` first.
    pub const ALL: [Precision; 3] = [Precision::Auto, Precision::F32, Precision::F64];

    /// The precision's name, as the command line spells it.
    ///
    /// ```
    /// assert_eq!(naswot::Precision::F32.name(), "f32");
    /// ```
    pub fn name(self) -> &'static str {
        match self {
            Precision::Auto => "auto",
            Precision::F32 => "f32",
            Precision::F64 => "f64",
        }
    }
}

impl serde::Serialize for Precision {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Precision {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Precision::ALL.into_iter().find(|precision| precision.name() == text).ok_or_else(|| {
            let message = format!("`{text}` is none of {}", Precision::ALL.map(Precision::name).join(", "));
            Error::Setting { name: "precision", message }
        })
    }
}
