//! The CUDA kernels compile for each architecture that they are meant for, spill nothing, and take no more registers than
//! the blocks that shall run at once leave them. No GPU is needed: NVRTC compiles, `nvdisasm` shows the instructions.

mod common;

use std::error::Error;
use std::fs;
use std::process::{Command, ExitCode};

use common::harness::{Requirement, needs, run};
use common::wheels;
use naswot::testing::cuda::{SOURCES, compile};

/// Ampere, Hopper, Blackwell.
const ARCHITECTURES: [&str; 3] = ["sm_80", "sm_90a", "sm_100"];

/// Registers of a multiprocessor.
const REGISTERS: u32 = 65_536;

/// Kernel, its source, threads of a block, blocks that shall run at once on a multiprocessor, and instructions that it
/// must have.
const KERNELS: [(&str, &str, u32, u32, &[&str]); 7] = [
    // A thread a block of eight weights: 32-bit products in halves.
    ("weights", "weights.cu", 256, 4, &["IMAD.WIDE", "STG.E.128"]),
    ("start", "agreement.cu", 256, 8, &[]),
    ("agreement", "agreement.cu", 256, 4, &["POPC", "E.ADD.STRONG.GPU"]),
    ("combine", "combine.cu", 128, 4, &["LDG.E.128", "STG.E.128", "SHFL.BFLY"]),
    ("conv_narrow", "conv.cu", 256, 2, &["FFMA", "LDS.128", "STS.128", "LDG.E.128.CONSTANT", "MEMBAR"]),
    ("conv_wide", "conv.cu", 256, 2, &["FFMA", "LDS.128", "STS.128", "LDG.E.128.CONSTANT", "MEMBAR"]),
    // One block a network: a launch has few, so each may take what it likes.
    ("cholesky", "cholesky.cu", 256, 1, &["DFMA", "MUFU.RSQ64H"]),
];

fn main() -> ExitCode {
    let trials = ARCHITECTURES.map(|architecture| {
        needs(Requirement::Nvrtc, &format!("all kernels for {architecture}"), move |_| kernels(architecture))
    });
    run(trials.into())
}

fn kernels(architecture: &str) -> Result<(), Box<dyn Error>> {
    let compiled = compile(Some(&wheels::nvrtc()?), architecture)?;
    assert_eq!(compiled.len(), SOURCES.len());
    let folder = tempfile::tempdir()?;
    for source in &compiled {
        let file = folder.path().join(source.source);
        fs::write(&file, &source.cubin)?;
        let listing = Command::new(wheels::nvdisasm()?).arg("--print-code").arg(&file).output()?;
        assert!(listing.status.success(), "{}", String::from_utf8_lossy(&listing.stderr));
        let listing = String::from_utf8_lossy(&listing.stdout).into_owned();
        let expected: Vec<_> = KERNELS.iter().filter(|(_, file, ..)| *file == source.source).collect();
        // Every kernel is one that we know.
        assert_eq!(
            source.log.matches("Compiling entry function").count(),
            expected.len(),
            "{}",
            source.source
        );
        for (kernel, _, threads, blocks, instructions) in expected {
            let properties =
                section(&source.log, &format!("Compiling entry function '{kernel}'"), "Compile time");
            assert!(
                properties.contains("0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads"),
                "{properties}"
            );
            let registers = number_before(properties, " registers").ok_or("no registers")?;
            // Registers are given out eight at a time.
            let most = REGISTERS / (threads * blocks) / 8 * 8;
            assert!(registers <= most, "{kernel}, {architecture}: {registers} registers, {most} leave room");
            let code = section(&listing, &format!(".section\t.text.{kernel},"), ".section\t");
            for instruction in *instructions {
                assert!(code.contains(instruction), "{kernel}, {architecture}: no {instruction}");
            }
            println!("{kernel}, {architecture}: {registers} registers of {most}");
        }
    }
    Ok(())
}

/// A text from a start on, up to the next end.
fn section<'a>(text: &'a str, start: &str, end: &str) -> &'a str {
    let Some(first) = text.find(start) else { return "" };
    let rest = &text[first..];
    &rest[..rest[start.len()..].find(end).map_or(rest.len(), |place| place + start.len())]
}

/// The number that stands before a word.
fn number_before(text: &str, word: &str) -> Option<u32> {
    text[..text.find(word)?].rsplit(' ').next()?.parse().ok()
}
