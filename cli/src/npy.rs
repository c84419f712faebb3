//! Files in NumPy's format that this command has written.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use npyz::NpyFile;

/// The last number of a file of uint32 numbers; none where it is not as long as its header says.
pub(crate) fn last_number(path: &Path) -> io::Result<Option<u32>> {
    let mut file = File::open(path)?;
    let size = file.metadata()?.len();
    let Ok(numbers) = NpyFile::new(&mut file).map(|npy| npy.len()) else { return Ok(None) };
    let header = file.stream_position()?;
    let mut last = [0; size_of::<u32>()];
    if numbers == 0
        || numbers.checked_mul(last.len() as u64).and_then(|bytes| bytes.checked_add(header)) != Some(size)
    {
        return Ok(None);
    }
    file.seek(SeekFrom::End(-(last.len() as i64)))?;
    file.read_exact(&mut last)?;
    Ok(Some(u32::from_ne_bytes(last)))
}
