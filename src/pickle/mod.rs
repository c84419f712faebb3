//! Python's pickles of plain values and NumPy's arrays, read without Python, in protocols 2 to 5.
//!
//! Nothing that a pickle names is run: of the callables, those that make ordered dictionaries, text of other encodings and
//! NumPy's arrays, types and scalars are known, and every other one is an error. Values that a pickle refers to more than once
//! are kept once, and never unfolded, so what is kept grows as the file does, and at most to a limit that the caller sets.
//! The operations are those that the documentation of Python's `pickletools` lists.

mod callable;
mod machine;
mod numpy;
mod operation;
mod store;
mod visitor;

use std::io::BufRead;

pub use store::{Array, Value};
pub use visitor::{Treatment, Visitor};

use machine::Machine;
use store::{Store, Stored};

/// The first byte of a pickle from protocol 2 on.
pub const PROTOCOL: u8 = 0x80;

/// What a pickle holds.
pub struct Pickle {
    store: Store,
    root: Stored,
}

/// Why a pickle cannot be read.
#[derive(Debug)]
pub struct Broken {
    /// Bytes before the operation that cannot be carried out.
    pub position: u64,
    /// What is wrong there.
    pub message: String,
}

/// Keeps all.
struct Everything;

impl Visitor for Everything {
    fn treatment(&self, _: &str) -> Treatment {
        Treatment::Keep
    }

    fn entry(&mut self, _: Value<'_>, _: Value<'_>) -> Result<(), String> {
        Ok(())
    }
}

impl Pickle {
    /// Reads a pickle, of which at most `limit` bytes are kept at a time.
    ///
    /// # Errors
    /// [`Broken`] for what is no pickle of plain values and arrays, and for one that needs more.
    pub fn read(from: impl BufRead, limit: usize) -> Result<Self, Broken> {
        Self::visit(from, limit, &mut Everything)
    }

    /// Reads a pickle as [`read`](Self::read) does, and treats its containers as a visitor says.
    ///
    /// # Errors
    /// As [`read`](Self::read), and what the visitor says of an entry.
    pub fn visit(from: impl BufRead, limit: usize, visitor: &mut dyn Visitor) -> Result<Self, Broken> {
        let mut machine = Machine::new(from, limit, visitor);
        match machine.run() {
            Ok(root) => Ok(Pickle { store: machine.into_store(), root }),
            Err(message) => Err(Broken { position: machine.start(), message }),
        }
    }

    /// The value.
    pub fn value(&self) -> Value<'_> {
        self.store.value(self.root)
    }
}

#[cfg(test)]
mod tests;
