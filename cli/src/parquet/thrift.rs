//! Thrift's compact protocol, as far as it takes to look at a structure before a library makes room for what it claims:
//! <https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md>.

use std::io::Read;

/// Deepest nesting of structures and lists that is gone through; Parquet's have less than ten levels.
const DEEPEST: usize = 32;

/// The type of a field or element, as the protocol numbers them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    True,
    False,
    Byte,
    Integer,
    Double,
    Binary,
    List,
    Map,
    Struct,
    Uuid,
}

impl Kind {
    /// Refuses a kind that a field of the format does not have: the library reads fields as if they had their own.
    pub(super) fn must_be(self, own: Kind) -> Result<(), String> {
        match self == own {
            true => Ok(()),
            false => Err(format!("is damaged: a field of its metadata is {self:?}, not {own:?}")),
        }
    }

    fn of(number: u8) -> Result<Self, String> {
        Ok(match number {
            1 => Kind::True,
            2 => Kind::False,
            3 => Kind::Byte,
            4..=6 => Kind::Integer,
            7 => Kind::Double,
            8 => Kind::Binary,
            9 | 10 => Kind::List,
            11 => Kind::Map,
            12 => Kind::Struct,
            13 => Kind::Uuid,
            _ => return Err(format!("has a field of type {number}, which there is not")),
        })
    }
}

/// A reader of structures, which keeps none of them.
pub(super) struct Compact<R> {
    reader: R,
    /// Number of bytes that have been read.
    pub(super) read: u64,
    depth: usize,
}

impl<R: Read> Compact<R> {
    pub(super) fn new(reader: R) -> Self {
        Compact { reader, read: 0, depth: 0 }
    }

    /// Goes through a structure. The visitor is told of each field, and says whether it has read it; others are passed over.
    pub(super) fn structure(
        &mut self,
        mut visit: impl FnMut(&mut Self, i64, Kind) -> Result<bool, String>,
    ) -> Result<(), String> {
        self.deeper(|this| {
            let mut field = 0;
            loop {
                let head = this.byte()?;
                if head == 0 {
                    return Ok(());
                }
                field = match head >> 4 {
                    0 => this.integer()?,
                    step => field + i64::from(step),
                };
                let kind = Kind::of(head & 0xf)?;
                if !visit(this, field, kind)? {
                    this.skip(kind, false)?;
                }
            }
        })
    }

    /// Goes through a list, given its length first and then each of its elements.
    pub(super) fn list(
        &mut self,
        most: u64,
        mut element: impl FnMut(&mut Self, Kind) -> Result<(), String>,
    ) -> Result<(), String> {
        let head = self.byte()?;
        let length = if head >> 4 == 15 { self.varint()? } else { u64::from(head >> 4) };
        if length > most {
            return Err(format!("has a list of {length} elements, over the limit of {most}"));
        }
        let kind = Kind::of(head & 0xf)?;
        self.deeper(|this| (0..length).try_for_each(|_| element(this, kind)))
    }

    /// Reads an integer of 16 to 64 bits.
    pub(super) fn integer(&mut self) -> Result<i64, String> {
        let bits = self.varint()?;
        Ok((bits >> 1).cast_signed() ^ -(bits & 1).cast_signed())
    }

    /// Passes over a value; booleans in lists take a byte, those in fields none.
    pub(super) fn skip(&mut self, kind: Kind, in_list: bool) -> Result<(), String> {
        match kind {
            Kind::True | Kind::False if !in_list => Ok(()),
            Kind::True | Kind::False | Kind::Byte => self.byte().map(drop),
            Kind::Integer => self.varint().map(drop),
            Kind::Double => self.skip_bytes(8),
            Kind::Uuid => self.skip_bytes(16),
            Kind::Binary => {
                let length = self.varint()?;
                self.skip_bytes(length)
            }
            Kind::List => self.list(u64::MAX, |this, kind| this.skip(kind, true)),
            Kind::Struct => self.structure(|_, _, _| Ok(false)),
            // Parquet has none.
            Kind::Map => Err("has a map in its metadata".to_owned()),
        }
    }

    fn deeper<T>(&mut self, go: impl FnOnce(&mut Self) -> Result<T, String>) -> Result<T, String> {
        if self.depth == DEEPEST {
            return Err(format!("has metadata nested deeper than {DEEPEST} levels"));
        }
        self.depth += 1;
        let gone = go(self);
        self.depth -= 1;
        gone
    }

    fn byte(&mut self) -> Result<u8, String> {
        let mut byte = [0];
        self.reader.read_exact(&mut byte).map_err(|error| format!("has metadata that are cut: {error}"))?;
        self.read += 1;
        Ok(byte[0])
    }

    fn varint(&mut self) -> Result<u64, String> {
        let mut bits = 0;
        for place in 0..10 {
            let byte = self.byte()?;
            bits |= u64::from(byte & 0x7f) << (7 * place);
            if byte & 0x80 == 0 {
                return Ok(bits);
            }
        }
        Err("has an integer of more than 64 bits in its metadata".to_owned())
    }

    fn skip_bytes(&mut self, length: u64) -> Result<(), String> {
        let skipped = std::io::copy(&mut self.reader.by_ref().take(length), &mut std::io::sink());
        match skipped {
            Ok(skipped) if skipped == length => {
                self.read += length;
                Ok(())
            }
            Ok(_) => Err("has metadata that are cut".to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }
}
