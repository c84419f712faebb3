//! The operations of pickles, by the byte that stands for each, and their arguments.

use std::io::{self, BufRead, Read};

use super::callable::Callable;

/// An operation with its argument.
#[derive(Debug, PartialEq)]
pub(super) enum Operation {
    /// Nothing: the protocol's version or the length of a frame.
    Nothing,
    Stop,
    Mark,
    Pop,
    PopMark,
    Duplicate,
    None,
    Bool(bool),
    Integer(i64),
    /// An integer of more than 64 bits.
    LongInteger,
    Real(f64),
    Text(String),
    Bytes(Vec<u8>),
    EmptyList,
    Append,
    Appends,
    List,
    /// A tuple of the topmost values.
    Tuple(usize),
    /// A tuple of what stands above the mark.
    MarkedTuple,
    EmptyDict,
    Dict,
    SetItem,
    SetItems,
    EmptySet,
    AddItems,
    /// Remembers the topmost value, under a number or the next one.
    Put(Option<u32>),
    Get(u32),
    Global(Callable),
    /// A callable whose module and name are the topmost values.
    StackGlobal,
    Reduce,
    Build,
}

/// The unread rest of a pickle.
pub(super) struct Operations<R> {
    from: R,
    /// Bytes before the operation that was read last, and those before the next one.
    pub(super) start: u64,
    position: u64,
    /// Most bytes of one argument.
    limit: usize,
}

impl<R: BufRead> Operations<R> {
    pub(super) fn new(from: R, limit: usize) -> Self {
        Operations { from, start: 0, position: 0, limit }
    }

    /// The next operation; the error says what is wrong with it.
    pub(super) fn next(&mut self) -> Result<Operation, String> {
        self.start = self.position;
        let [operation] = self.bytes()?;
        Ok(match operation {
            0x80 => match self.bytes()? {
                [2..=5] => Operation::Nothing,
                [version] => return Err(format!("it is of protocol {version}, not of 2 to 5")),
            },
            0x95 => {
                self.bytes::<8>()?;
                Operation::Nothing
            }
            b'.' => Operation::Stop,
            b'(' => Operation::Mark,
            b'0' => Operation::Pop,
            b'1' => Operation::PopMark,
            b'2' => Operation::Duplicate,
            b'N' => Operation::None,
            0x88 => Operation::Bool(true),
            0x89 => Operation::Bool(false),
            b'K' => Operation::Integer(i64::from(u8::from_le_bytes(self.bytes()?))),
            b'M' => Operation::Integer(i64::from(u16::from_le_bytes(self.bytes()?))),
            b'J' => Operation::Integer(i64::from(i32::from_le_bytes(self.bytes()?))),
            0x8a => self.long(1)?,
            0x8b => self.long(4)?,
            b'G' => Operation::Real(f64::from_be_bytes(self.bytes()?)),
            b'X' => self.text(4)?,
            0x8c => self.text(1)?,
            0x8d => self.text(8)?,
            b'U' | b'C' => Operation::Bytes(self.prefixed(1)?),
            b'T' | b'B' => Operation::Bytes(self.prefixed(4)?),
            0x8e | 0x96 => Operation::Bytes(self.prefixed(8)?),
            b']' => Operation::EmptyList,
            b'a' => Operation::Append,
            b'e' => Operation::Appends,
            b'l' => Operation::List,
            b')' => Operation::Tuple(0),
            0x85 => Operation::Tuple(1),
            0x86 => Operation::Tuple(2),
            0x87 => Operation::Tuple(3),
            b't' => Operation::MarkedTuple,
            b'}' => Operation::EmptyDict,
            b'd' => Operation::Dict,
            b's' => Operation::SetItem,
            b'u' => Operation::SetItems,
            0x8f => Operation::EmptySet,
            0x90 => Operation::AddItems,
            b'q' => Operation::Put(Some(u32::from(u8::from_le_bytes(self.bytes()?)))),
            b'r' => Operation::Put(Some(u32::from_le_bytes(self.bytes()?))),
            0x94 => Operation::Put(None),
            b'h' => Operation::Get(u32::from(u8::from_le_bytes(self.bytes()?))),
            b'j' => Operation::Get(u32::from_le_bytes(self.bytes()?)),
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                Operation::Global(Callable::named(&module, &name)?)
            }
            0x93 => Operation::StackGlobal,
            b'R' => Operation::Reduce,
            b'b' => Operation::Build,
            _ => {
                let what = "no operation on plain values and arrays, in protocols 2 to 5, is written so";
                return Err(format!("byte 0x{operation:02x} stands where an operation must: {what}"));
            }
        })
    }

    fn bytes<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let mut bytes = [0; N];
        self.from.read_exact(&mut bytes).map_err(broken)?;
        self.position += N as u64;
        Ok(bytes)
    }

    /// Bytes behind their number, which is a little-endian integer of so many bytes.
    fn prefixed(&mut self, prefix: usize) -> Result<Vec<u8>, String> {
        let mut length = [0; 8];
        self.from.read_exact(&mut length[..prefix]).map_err(broken)?;
        let length = usize::try_from(u64::from_le_bytes(length)).unwrap_or(usize::MAX);
        if length > self.limit {
            return Err(format!(
                "{length} bytes of text or data are more than the {} that naswot reads",
                self.limit
            ));
        }
        // What is not there takes no memory.
        let mut bytes = Vec::with_capacity(length.min(1 << 16));
        let read = (&mut self.from).take(length as u64).read_to_end(&mut bytes).map_err(broken)?;
        self.position += (prefix + read) as u64;
        if read < length { Err(CUT.to_owned()) } else { Ok(bytes) }
    }

    fn text(&mut self, prefix: usize) -> Result<Operation, String> {
        let bytes = self.prefixed(prefix)?;
        String::from_utf8(bytes).map(Operation::Text).map_err(|_| "text that is not UTF-8".to_owned())
    }

    /// An integer in two's complement, of so many bytes as stand before it.
    fn long(&mut self, prefix: usize) -> Result<Operation, String> {
        let bytes = self.prefixed(prefix)?;
        let negative = bytes.last().is_some_and(|&last| last >= 0x80);
        let mut extended = [if negative { u8::MAX } else { 0 }; 8];
        match extended.get_mut(..bytes.len()) {
            Some(low) => {
                low.copy_from_slice(&bytes);
                Ok(Operation::Integer(i64::from_le_bytes(extended)))
            }
            None => Ok(Operation::LongInteger),
        }
    }

    /// A name that ends with its line.
    fn line(&mut self) -> Result<String, String> {
        const LONGEST: u64 = 256;
        let mut line = Vec::new();
        let read = (&mut self.from).take(LONGEST).read_until(b'\n', &mut line).map_err(broken)?;
        self.position += read as u64;
        match line.pop() {
            Some(b'\n') => String::from_utf8(line).map_err(|_| "a name that is not UTF-8".to_owned()),
            Some(_) if read as u64 == LONGEST => Err(format!("a name of {LONGEST} bytes or more")),
            _ => Err(CUT.to_owned()),
        }
    }
}

const CUT: &str = "it ends in the middle";

fn broken(error: io::Error) -> String {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => CUT.to_owned(),
        _ => error.to_string(),
    }
}
