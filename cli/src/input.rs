//! Architectures of a file or a space, read on a thread of their own: a run can end, and write what it has, while
//! standard input keeps it waiting.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::iter;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread::Builder;
use std::time::Duration;

use clap::{ArgGroup, Args};
use naswot::{Architecture, Error, Space};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::console::Console;
use crate::exit::{Failure, Result};
use crate::interrupt;
use crate::network_file::{self, Lines};
use crate::options::space;
use crate::threads::refused;

/// Number of lines that are read ahead.
const AHEAD: usize = 256;
/// Time to wait for a line before looking whether the run is to end.
const PATIENCE: Duration = Duration::from_millis(50);
/// Networks that stand for those of an input: their figures are computed in some 10 ms, and their mean is a few percent off.
const TYPICAL: usize = 128;
/// Bytes in which a whole line of a file is looked for.
const LINE_BYTES: u64 = 8 << 10;

/// The networks that a command takes: those of a file, or of a search space.
#[derive(Args, Debug)]
#[command(group = ArgGroup::new("networks").args(["file", "space"]).required(true))]
pub(crate) struct InputOptions {
    /// Architectures, one JSON object a line, or rows of scores; `-` is standard input
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// Networks of a search space, in place of a file
    #[arg(
        long,
        value_name = "SPACE",
        value_parser = space(),
        requires = "which",
        help_heading = "Networks"
    )]
    space: Option<Space>,
    #[command(flatten)]
    which: Subset,
    /// Seed of the sample [default: 0]
    #[arg(
        long,
        value_name = "SEED",
        requires = "sample",
        conflicts_with_all = ["all", "only"],
        allow_negative_numbers = true,
        help_heading = "Networks"
    )]
    sample_seed: Option<u64>,
    /// Take the networks whose index leaves I when divided by M: 0/M to M-1/M are the whole
    ///
    /// Rows keep their index among all networks, so that `naswot merge` can join the shards.
    #[arg(long, value_name = "I/M", help_heading = "Networks")]
    shard: Option<Shard>,
}

#[derive(Args, Debug)]
#[group(id = "which", multiple = false)]
#[command(next_help_heading = "Networks")]
struct Subset {
    /// Every network of the space, in the order of its enumeration
    // What conflicts with an argument that is there is not required: hence both.
    #[arg(long, requires = "space", conflicts_with = "file")]
    all: bool,
    /// So many different networks of the space or of FILE, drawn as `naswot sample` does
    #[arg(long, value_name = "N")]
    sample: Option<usize>,
    /// Those that a file names, one a line or in a table: hashes of nasbench101, numbers of nasbench201, or cells in any
    /// notation; `-` is standard input
    #[arg(long, value_name = "FILE", requires = "space", conflicts_with = "file")]
    only: Option<PathBuf>,
}

/// A shard of an input: one of so many parts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shard {
    index: usize,
    of: usize,
}

impl Shard {
    pub(crate) const WHOLE: Self = Shard { index: 0, of: 1 };

    /// Whether it has the network of an index.
    pub(crate) fn holds(self, index: usize) -> bool {
        index % self.of == self.index
    }

    /// Number of its networks, of so many in all.
    fn share(self, total: u64) -> u64 {
        let (index, of) = (self.index as u64, self.of as u64);
        total / of + u64::from(index < total % of)
    }
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let numbers = text.split_once('/').and_then(|(i, m)| Some((i.parse().ok()?, m.parse().ok()?)));
        match numbers {
            Some((index, of)) if index < of => Ok(Shard { index, of }),
            Some((_, 0)) => Err("there are no shards of 0".to_owned()),
            Some((_, of)) => Err(format!("shards count from 0: the last of {of} is {}/{of}", of - 1)),
            None => Err("is not of the form I/M, such as 0/4".to_owned()),
        }
    }
}

impl InputOptions {
    /// Starts to read the networks.
    pub(crate) fn open(&self, console: &Console) -> Result<Input> {
        let shard = self.shard();
        match (&self.file, self.space) {
            (_, Some(space)) => self.open_space(space, shard),
            (Some(file), None) => match self.which.sample {
                Some(n) => self.open_sample(file, n, shard, console),
                None => Input::open_file(file, shard, Lines::Objects),
            },
            (None, None) => Err(Failure::unusable("which networks? Give a FILE, or --space")),
        }
    }

    /// Networks drawn from a file, whose positions in the sample are their indices.
    fn open_sample(&self, file: &Path, n: usize, shard: Shard, console: &Console) -> Result<Input> {
        let seed = self.sample_seed.unwrap_or(0);
        let drawn = network_file::sample(file, Lines::Objects, n, seed, console)?;
        let drawn = drawn.into_iter().map(|(number, network)| (number, Ok(network)));
        let input = Input::new(file.display().to_string(), Some(n as u64), shard, drawn)?;
        Ok(Input { distinct: true, ..input })
    }

    fn open_space(&self, space: Space, shard: Shard) -> Result<Input> {
        let unnumbered = |architecture| (None, Ok(architecture));
        if let Some(path) = &self.which.only {
            let names = network_file::names(path)?;
            network_file::judge_names(path, space, &names)?;
            let (numbers, names): (Vec<usize>, Vec<String>) = names.into_iter().unzip();
            let total = names.len() as u64;
            // On the thread that reads: hashing a space takes long enough for Ctrl-C.
            let found = iter::once_with(move || space.find(&names)).flatten();
            let name = path.display().to_string();
            return Input::new(name, Some(total), shard, numbers.into_iter().map(Some).zip(found));
        }
        let name = space.name().to_owned();
        let input = match self.which.sample {
            Some(n) => {
                let sample = space.sample(n, self.sample_seed.unwrap_or(0))?;
                Input::new(name, Some(n as u64), shard, sample.into_iter().map(unnumbered))
            }
            None => {
                let all = space.all()?;
                Input::new(name, Some(space.count()? as u64), shard, all.map(unnumbered))
            }
        };
        Ok(Input { distinct: true, space: Some(space), ..input? })
    }

    /// The shard that is taken.
    pub(crate) fn shard(&self) -> Shard {
        self.shard.unwrap_or(Shard::WHOLE)
    }

    /// What tells the networks of all shards from those of another input, for a manifest: null for what a pipe brings.
    pub(crate) fn identity(&self) -> Result<Map<String, Value>> {
        let digest = self.file().map(file_sha256).transpose()?.map(Value::from);
        let sample = self.which.sample;
        let fields = [
            ("input_space", self.space.map(|space| space.name().into())),
            ("input_sha256", digest),
            ("sample", sample.map(Value::from)),
            ("sample_seed", sample.map(|_| self.sample_seed.unwrap_or(0).into())),
        ];
        Ok(fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect())
    }

    /// The file of architectures or of their names, where there is one.
    pub(crate) fn file(&self) -> Option<&Path> {
        self.file.as_deref().or(self.which.only.as_deref())
    }
}

/// The input of a command: architectures, one after the other.
pub(crate) struct Input {
    name: String,
    /// Lines, or the system's error where they could not be read on.
    lines: Receiver<Result<InputLine, String>>,
    /// A line that was put back.
    held: Option<InputLine>,
    taken: usize,
    /// Number of networks, where that is known and cheap to know.
    total: Total,
    /// The space that the networks are all of, or drawn from.
    space: Option<Space>,
    /// Whether no cell comes twice.
    distinct: bool,
}

/// The number of networks of an input, and how it is known.
enum Total {
    Unknown,
    Networks(u64),
    LinesOf(PathBuf, Shard),
}

/// A line of the input that is not blank, or a network of a space.
#[derive(Clone, Debug)]
pub(crate) struct InputLine {
    /// Position among the networks, from 0; those of other shards count.
    pub(crate) index: usize,
    /// Number of the line in a file, from 1.
    pub(crate) number: Option<usize>,
    /// The architecture, or why it is none.
    pub(crate) architecture: Result<Architecture, String>,
}

/// The next line of an input.
pub(crate) enum NextLine {
    Line(InputLine),
    /// Nothing for a while.
    Nothing,
    End,
    /// The run is to end.
    Interrupted,
}

/// The place of a network in the input, for a message.
pub(crate) fn place(input: &str, index: usize, line: Option<usize>) -> String {
    match line {
        Some(line) => format!("{input}:{line}"),
        None => format!("{input}, network {index}"),
    }
}

impl Input {
    /// Opens a file; `-` is standard input.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        Self::open_file(path, Shard::WHOLE, Lines::Objects)
    }

    /// Opens a file whose lines may be cells by themselves; `-` is standard input.
    pub(crate) fn open_cells(path: &Path) -> Result<Self> {
        Self::open_file(path, Shard::WHOLE, Lines::Cells)
    }

    fn open_file(path: &Path, shard: Shard, lines: Lines) -> Result<Self> {
        let name = path.display().to_string();
        let (lines, plain) = network_file::open(path, lines)?;
        let total = if plain { Total::LinesOf(path.to_owned(), shard) } else { Total::Unknown };
        Ok(Input { total, ..Self::new(name, None, shard, lines)? })
    }

    /// The input of a shard. `total` counts the networks of all shards.
    fn new<I>(name: String, total: Option<u64>, shard: Shard, architectures: I) -> Result<Self>
    where
        I: IntoIterator<Item = (Option<usize>, naswot::Result<Architecture>), IntoIter: Send + 'static>,
    {
        let lines =
            architectures.into_iter().enumerate().filter_map(move |(index, (number, architecture))| {
                match architecture {
                    // What cannot be read on is every shard's concern.
                    Err(Error::Io { source, .. }) => Some(Err(source.to_string())),
                    architecture => shard.holds(index).then(|| {
                        let architecture = architecture.map_err(|error| error.to_string());
                        Ok(InputLine { index, number, architecture })
                    }),
                }
            });
        let total = total.map_or(Total::Unknown, |total| Total::Networks(shard.share(total)));
        Self::of(name, total, lines)
    }

    /// An input that reads lines on a thread of its own.
    fn of(
        name: String,
        total: Total,
        mut lines: impl Iterator<Item = Result<InputLine, String>> + Send + 'static,
    ) -> Result<Self> {
        let (sender, receiver) = sync_channel(AHEAD);
        let reading = Builder::new().spawn(move || {
            // A receiver that is gone wants no more lines.
            let _ = lines.try_for_each(|line| sender.send(line));
        });
        reading.map_err(|error| refused(&error))?;
        Ok(Input { name, lines: receiver, held: None, taken: 0, total, space: None, distinct: false })
    }

    /// An input of the same lines once more, all of which have been taken from it.
    pub(crate) fn again(&self, lines: &Arc<[InputLine]>) -> Result<Self> {
        let (total, lines) = (Total::Networks(lines.len() as u64), Arc::clone(lines));
        let lines = (0..lines.len()).map(move |place| Ok(lines[place].clone()));
        let input = Self::of(self.name.clone(), total, lines)?;
        Ok(Input { distinct: self.distinct, space: self.space, ..input })
    }

    /// Number of networks that are to come, for a progress bar: blank lines of a file count.
    pub(crate) fn total(&self) -> Option<u64> {
        match &self.total {
            Total::Unknown => None,
            Total::Networks(networks) => Some(*networks),
            Total::LinesOf(path, shard) => count_lines(path).map(|lines| shard.share(lines)),
        }
    }

    /// Some networks that stand for those of the input, where that is cheap: a sample of the space, or lines from all over a
    /// file. None where nothing is known of them.
    pub(crate) fn typical(&self) -> Vec<Architecture> {
        match (&self.total, self.space) {
            (_, Some(space)) => {
                let most = space.count().unwrap_or(TYPICAL).min(TYPICAL);
                space.sample(most, 0).unwrap_or_default()
            }
            (Total::LinesOf(path, _), None) => lines_of(path, TYPICAL).unwrap_or_default(),
            _ => Vec::new(),
        }
    }

    /// The file's name as it was given, or the space's.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Whether no cell comes twice, as in a space.
    pub(crate) fn distinct(&self) -> bool {
        self.distinct
    }

    /// Number of networks read so far, the unreadable ones included.
    pub(crate) fn taken(&self) -> usize {
        self.taken
    }

    /// The next line, if it comes in a while.
    pub(crate) fn next(&mut self) -> Result<NextLine> {
        if interrupt::requested() {
            return Ok(NextLine::Interrupted);
        }
        if let Some(line) = self.held.take() {
            self.taken += 1;
            return Ok(NextLine::Line(line));
        }
        match self.lines.recv_timeout(PATIENCE) {
            Ok(Err(error)) => Err(self.broken(&error)),
            Ok(Ok(line)) => {
                self.taken += 1;
                Ok(NextLine::Line(line))
            }
            Err(RecvTimeoutError::Timeout) => Ok(NextLine::Nothing),
            Err(RecvTimeoutError::Disconnected) => Ok(NextLine::End),
        }
    }

    /// Puts back the line that has just been taken: it comes next.
    pub(crate) fn put_back(&mut self, line: InputLine) {
        self.taken -= 1;
        self.held = Some(line);
    }

    fn broken(&self, error: &str) -> Failure {
        let message = format!("{}: {error}", self.name);
        if self.taken == 0 { Failure::unusable(message) } else { Failure::stopped(message) }
    }
}

/// Digest of a regular file; none of a pipe, which can be read once.
fn file_sha256(path: &Path) -> Result<Option<String>> {
    if !path.is_file() {
        return Ok(None);
    }
    let (mut digest, mut buffer) = (Sha256::new(), vec![0; 1 << 16]);
    let unusable = |error: io::Error| Failure::unusable(format_args!("{}: {error}", path.display()));
    let mut file = File::open(path).map_err(unusable)?;
    loop {
        match file.read(&mut buffer).map_err(unusable)? {
            0 => break,
            read => digest.update(&buffer[..read]),
        }
    }
    Ok(Some(digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()))
}

/// Number of lines of a regular file.
fn count_lines(path: &Path) -> Option<u64> {
    let (mut reader, mut lines, mut last) = (File::open(path).ok()?, 0, b'\n');
    let mut buffer = vec![0; 1 << 16];
    loop {
        let read = reader.read(&mut buffer).ok()?;
        let Some(&end) = buffer[..read].last() else { break };
        lines += buffer[..read].iter().filter(|&&byte| byte == b'\n').count() as u64;
        last = end;
    }
    Some(lines + u64::from(last != b'\n'))
}

/// The architectures of some lines of a file, from places all over it.
fn lines_of(path: &Path, count: usize) -> io::Result<Vec<Architecture>> {
    let mut file = File::open(path)?;
    let size = file.metadata()?.len();
    let mut cells = Vec::new();
    for i in 0..count as u64 {
        let place = size * i / count as u64;
        file.seek(SeekFrom::Start(place))?;
        let mut text = Vec::new();
        file.by_ref().take(LINE_BYTES).read_to_end(&mut text)?;
        // A place is in the middle of a line, but for the first.
        let whole = text.split(|&byte| byte == b'\n').nth(usize::from(place > 0));
        let line = whole.and_then(|line| std::str::from_utf8(line).ok());
        cells.extend(line.and_then(|line| Architecture::from_json(line).ok()));
    }
    Ok(cells)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_from_all_over_a_file_stand_for_it() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let cells = Space::NasBench201.sample(1000, 0).unwrap();
        let lines: Vec<String> = cells.iter().map(Architecture::to_json).collect();
        std::fs::write(file.path(), lines.join("\n")).unwrap();
        let found = lines_of(file.path(), 50).unwrap();
        assert_eq!(found[0], cells[0]);
        // None twice, in their order, from every part.
        let places: Vec<usize> =
            found.iter().map(|found| cells.iter().position(|cell| cell == found).unwrap()).collect();
        assert!(places.len() == 50 && places.windows(2).all(|pair| pair[0] < pair[1]), "{places:?}");
        assert!(places[49] > 960, "{places:?}");
        // What is no network is passed over.
        std::fs::write(file.path(), "no line of a network\n".repeat(100)).unwrap();
        assert!(lines_of(file.path(), 10).unwrap().is_empty());
    }
}
