//! Folders with rows, kernels and tables, and the command that makes pages of them.

use std::error::Error;
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use naswot::{Agreement, Architecture, SkeletonSettings};
use naswot_cli::columns::{COLUMNS, place};
use naswot_cli::rows::names;
use tempfile::TempDir;

/// A folder in which the command runs.
pub(crate) struct Folder(TempDir);

impl Folder {
    pub(crate) fn new() -> Result<Self, Box<dyn Error>> {
        let folder = Folder(TempDir::new()?);
        fs::create_dir(folder.path("k"))?;
        Ok(folder)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn address(&self, name: &str) -> String {
        format!("file://{}", self.path(name).display())
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> Result<(), Box<dyn Error>> {
        Ok(fs::write(self.path(name), text)?)
    }

    pub(crate) fn kernel(&self, index: usize, kernel: &Agreement) -> Result<(), Box<dyn Error>> {
        Ok(kernel.write_npy(File::create(self.path(&format!("k/{index}.npy")))?)?)
    }

    /// Runs the command; its exit code, standard output and standard error.
    pub(crate) fn naswot(&self, arguments: &str) -> Result<(Option<i32>, String, String), Box<dyn Error>> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_naswot"));
        command.current_dir(self.0.path()).args(arguments.split(' ')).stdin(Stdio::null());
        let Output { status, stdout, stderr } = command.output()?;
        let stderr = String::from_utf8(stderr)?;
        assert!(!stderr.contains("panicked"), "{stderr}");
        Ok((status.code(), String::from_utf8(stdout)?, stderr))
    }

    /// Runs a command that comes to its end; its standard output.
    pub(crate) fn done(&self, arguments: &str) -> Result<String, Box<dyn Error>> {
        let (code, stdout, stderr) = self.naswot(arguments)?;
        assert_eq!(code, Some(0), "{arguments}: {stderr}");
        Ok(stdout)
    }

    /// Runs a command that cannot start; what it says.
    pub(crate) fn refused(&self, arguments: &str) -> Result<String, Box<dyn Error>> {
        let (code, _, stderr) = self.naswot(arguments)?;
        assert_eq!(code, Some(2), "{arguments}: {stderr}");
        Ok(stderr.trim_end().to_owned())
    }
}

/// A row of scores, its columns by name.
#[derive(Clone)]
pub(crate) struct Row(Vec<String>);

impl Row {
    /// The row of a network that was scored.
    pub(crate) fn of(index: usize, architecture: &Architecture, kernel: &Agreement) -> Self {
        let mut row = Row(vec![String::new(); COLUMNS.len()]);
        let score = kernel.log_det();
        let skeleton = architecture.space().settings(&SkeletonSettings::default());
        for (column, value) in [
            ("index", index.to_string()),
            ("line", (index + 1).to_string()),
            ("space", architecture.space().to_string()),
            ("id", architecture.id()),
            ("arch", architecture.arch()),
            ("score", score.to_string()),
            ("activations", kernel.activations().to_string()),
            ("parameters", (1000 + 37 * (index % 5003)).to_string()),
            ("macs", (90_000 + 1009 * (index % 4001)).to_string()),
            ("seconds", "0.01".to_owned()),
            ("batch_size", kernel.images().to_string()),
            ("stem", skeleton.stem.unwrap().to_string()),
            ("cells", skeleton.cells.unwrap().to_string()),
            ("seed", "0".to_owned()),
            ("data", "synthetic".to_owned()),
            ("batch_sha256", "0".repeat(64)),
            ("initializer", "space".to_owned()),
            ("convention", "relu".to_owned()),
            ("precision", "f32".to_owned()),
            ("backend", "cpu".to_owned()),
            ("device", "a processor".to_owned()),
            ("naswot_version", "0.1.0".to_owned()),
            ("noise", "0".to_owned()),
            ("repeats", "1".to_owned()),
            ("convs", (10 + index % 7).to_string()),
            ("scores", "nwot".to_owned()),
        ] {
            row = row.with(column, &value);
        }
        row
    }

    #[must_use]
    pub(crate) fn with(mut self, column: &str, value: &str) -> Self {
        let place = place(column);
        value.clone_into(&mut self.0[place]);
        self
    }

    /// The row of a network that could not be scored.
    #[must_use]
    pub(crate) fn failed(self, error: &str) -> Self {
        self.with("score", "").with("seconds", "").with("error", error)
    }
}

/// A file of rows.
pub(crate) fn csv(rows: &[Row]) -> Result<String, Box<dyn Error>> {
    let mut writer = csv::WriterBuilder::new().from_writer(Vec::new());
    writer.write_record(names())?;
    for Row(fields) in rows {
        writer.write_record(fields)?;
    }
    Ok(String::from_utf8(writer.into_inner()?)?)
}

/// A K of so many images, whose codes are drawn by a seed.
pub(crate) fn kernel(images: usize, seed: u64) -> Agreement {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(0x1234_5678_9abc_def1);
    let mut bit = || {
        // xorshift64
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state >> 63 == 1
    };
    let codes: Vec<Vec<bool>> = (0..images).map(|_| (0..8 * images).map(|_| bit()).collect()).collect();
    Agreement::from_codes(&codes).unwrap()
}
