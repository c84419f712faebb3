//! Who is told of what a pickle holds while it is read.

use super::store::Value;

/// What becomes of the containers of a pickle, each by the text that its place in a dictionary is named by.
pub trait Visitor {
    /// What becomes of a container under a key.
    fn treatment(&self, key: &str) -> Treatment;

    /// Takes an entry of a container whose treatment is [`Treatment::EntryByEntry`]. The error says what is wrong with it.
    ///
    /// # Errors
    /// What the reader of the pickle is to say.
    fn entry(&mut self, key: Value<'_>, value: Value<'_>) -> Result<(), String>;
}

/// The treatment of a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Treatment {
    /// Its content is kept.
    Keep,
    /// Its content is dropped as it is read.
    Drop,
    /// Its entries are handed over as they are read, and dropped then, with all that they hold.
    EntryByEntry,
}
